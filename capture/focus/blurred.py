"""Frames in which nothing is sharp though both neighbours are: a knock, or a focus that slipped, in a stack of any step.

A frame between two planes of a coarse stack may show nothing sharp either; but defocus is alike on both sides of a plane, so there what is
sharp in one neighbour is as blurred as in the frame on that neighbour's other side. A knock along one direction leaves sharp what lies
across it, so each direction is looked at by itself as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from capture.focus.survey import COARSE_BANDS, FrameSurvey

# Octaves of energy by which a frame's sharpest blocks lie below those of both neighbours, and by which blocks that are sharp in a
# neighbour lie below what the other side of it shows (docs/campaigns-focus.md).
_DULL, _LESS = 2.5, 1.5
_SHARPEST = 0.99
_SHARP, _SEEN = 5.0, 2.0
_FEWEST_BLOCKS = 12
_FINE = len(COARSE_BANDS)
# Of the texture's gradient, in degrees; and the least share of a block's energy that is told along one of them (the directions' rounding).
_DIRECTIONS_DEG = (0, 45, 90, 135)
_LEAST_SHARE = 2.0**-6


def blurred_frames(
    positions: Mapping[int, float], surveys: Mapping[int, FrameSurvey], noise: NDArray[np.float32]
) -> set[int]:
    """Frames, by number, that show nothing sharp although their neighbours let it be expected; never the first or the last.

    Parameters
    ----------
    positions : mapping of int to float
    surveys : mapping of int to FrameSurvey
        Of the same frames.
    noise : ndarray, shape (bands, block rows, block columns), float32
        As of `noise_levels`.
    """
    order = sorted(surveys, key=lambda number: positions[number])
    if len(order) < 5:
        return set()
    frames = [surveys[number] for number in order]
    above = np.stack([frame.levels[_FINE:] for frame in frames]).astype(np.float32) - noise[_FINE:]
    seen = [above, *(above + _along(frames, degrees) for degrees in _DIRECTIONS_DEG)]
    return {order[place] for levels in seen for place in _blurred_places(levels)}


def _along(frames: Sequence[FrameSurvey], degrees: float) -> NDArray[np.float32]:
    """Base-2 logarithm of twice the share of the fine bands' energy that has its gradient along a direction; of noise that is 0.

    Shape (frames, fine bands, block rows, block columns).
    """
    direction = np.stack([frame.direction for frame in frames]).astype(np.float32) / 127
    twice = 2 * np.radians(degrees)
    share = 1 + direction[:, :, 0] * np.cos(twice) + direction[:, :, 1] * np.sin(twice)
    return np.asarray(np.log2(np.maximum(share, _LEAST_SHARE)), np.float32)


def _blurred_places(above: NDArray[np.float32]) -> list[int]:
    """Places in the order of the frames, by octaves above the noise of shape (frames, fine bands, block rows, block columns)."""
    sharpest = np.quantile(above.reshape(*above.shape[:2], -1), _SHARPEST, axis=2)
    found = []
    for place in range(1, len(above) - 1):
        dull = np.minimum(sharpest[place - 1], sharpest[place + 1]) - sharpest[place]
        if dull.max() > _DULL and _against_the_other_side(above[:, 0], place) < -_LESS:
            found.append(place)
    return found


def _against_the_other_side(above: NDArray[np.float32], place: int) -> float:
    """Octaves that blocks which are sharp in a neighbour have more here than on the other side of that neighbour (median)."""
    without = above.copy()
    without[place] = -np.inf
    top = without.argmax(axis=0)
    differences = []
    for side in (-1, 1):
        beside, beyond = place + side, place + 2 * side
        if not 0 <= beyond < len(above):
            continue
        sharp = (top == beside) & (above[beside] > _SHARP) & (np.maximum(above[place], above[beyond]) > _SEEN)
        differences.append((np.maximum(above[place], 0) - np.maximum(above[beyond], 0))[sharp])
    every = np.concatenate(differences)
    return float(np.median(every)) if len(every) >= _FEWEST_BLOCKS else 0.0
