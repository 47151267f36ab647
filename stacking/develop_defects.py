"""Hot and dead pixels of a sensor, found over a stack: they stand still while the picture moves and blurs.

A pixel is defective where it stands out from its eight nearest of the same colour far beyond what they differ among
themselves, in most frames looked at (in the others detail may hide it), and where its direct neighbours of the other
colours know nothing of it: any lens spreads the light of a point over them. So fine detail that happens to stay in place
is not taken for a defect.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

FRAMES_LOOKED_AT = 5
LEAST_FRAMES = 3
_AGREEING = 0.5
_MARGIN = 3
_STANDS_OUT = 2.0
"""Distance to the nearest of the eight, in units of the range of the eight: seven sigma of noise from their mean."""
_FLOOR = 0.005
"""Least distance, as a share of the sensor's range."""
_SPILL = 0.1
"""Share of the distance that a point of light leaves on at least one direct neighbour."""
_MOST_SHARE = 1e-3
"""Above this share of all pixels the finding is not believed."""
_SAME_COLOUR = ((-2, -2), (-2, 0), (-2, 2), (0, -2), (0, 2), (2, -2), (2, 0), (2, 2))
# Each direct neighbour, and the pixels of its colour that are farther from the suspect.
_BESIDE = (
    ((0, -1), ((0, -3), (-2, -1), (2, -1))),
    ((0, 1), ((0, 3), (-2, 1), (2, 1))),
    ((-1, 0), ((-3, 0), (-1, -2), (-1, 2))),
    ((1, 0), ((3, 0), (1, -2), (1, 2))),
)

Places = NDArray[np.int64]


def suspects(samples: NDArray[np.uint16], span: float) -> Places:
    """Defective-looking pixels of one mosaic.

    Parameters
    ----------
    samples : ndarray, shape (rows, columns), uint16
        Bayer mosaic in raw counts.
    span : float
        Counts between black and white.

    Returns
    -------
    ndarray, shape (n, 2), int64
        Row and column, in order.
    """
    from stacking.develop_defects_kernels import mark_spikes

    samples = np.ascontiguousarray(samples)
    marks = np.zeros(samples.shape, np.bool_)
    if min(samples.shape) > 2 * _MARGIN:
        mark_spikes(samples, np.float32(_STANDS_OUT), np.float32(_FLOOR * span), marks)
    places = np.stack(np.divmod(np.flatnonzero(marks), samples.shape[1]), axis=1)
    return places[_stands_alone(samples, places, span)]


def agreed(several: Iterable[Places], frames: int) -> Places:
    """The places that more than half of `frames` frames suspect, in order."""
    found = [places for places in several if len(places)]
    if not found:
        return np.zeros((0, 2), np.int64)
    places, counts = np.unique(np.concatenate(found), axis=0, return_counts=True)
    return places[counts > _AGREEING * frames]


def _stands_alone(samples: NDArray[np.uint16], places: Places, span: float) -> NDArray[np.bool_]:
    """Which of `places` (at least 3 pixels from the border) look defective in this mosaic."""
    value, around = _at(samples, places, (0, 0)), np.stack([_at(samples, places, step) for step in _SAME_COLOUR])
    low, high = around.min(axis=0), around.max(axis=0)
    above, below = value - high, low - value
    needed = _STANDS_OUT * (high - low) + _FLOOR * span
    hot, dead = above > needed, below > needed
    distance = np.maximum(above, below)
    for beside, farther in _BESIDE:
        neighbour = _at(samples, places, beside)
        others = np.stack([_at(samples, places, step) for step in farther])
        hot &= neighbour - others.max(axis=0) < _SPILL * distance
        dead &= others.min(axis=0) - neighbour < _SPILL * distance
    return np.asarray(hot | dead)


def believed(places: Places, pixels: int) -> Places:
    """`places`, or none where there are too many to be defects."""
    return places if len(places) <= _MOST_SHARE * pixels else places[:0]


def repair(samples: NDArray[np.uint16], places: Places) -> None:
    """Put the median of the eight nearest of its colour in the place of each defect, in place."""
    if len(places):
        around = np.stack([_at(samples, places, step) for step in _SAME_COLOUR])
        samples[places[:, 0], places[:, 1]] = np.rint(np.median(around, axis=0)).astype(np.uint16)


def spread(count: int) -> Sequence[int]:
    """Indices of the frames to look at: both ends, and some between."""
    return sorted({round(index) for index in np.linspace(0, count - 1, min(count, FRAMES_LOOKED_AT))})


def _at(samples: NDArray[np.uint16], places: Places, step: tuple[int, int]) -> NDArray[np.float64]:
    return samples[places[:, 0] + step[0], places[:, 1] + step[1]].astype(np.float64)
