"""Frames in which nothing is sharp though both neighbours are: a knock, or a focus that slipped, in a stack of any step.

A frame between two planes of a coarse stack may show nothing sharp either; but defocus is alike on both sides of a plane, so there what is
sharp in one neighbour is as blurred as in the frame on that neighbour's other side.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from capture.focus.survey import BANDS, COARSE_BANDS, FrameSurvey

# Octaves of energy by which a frame's sharpest blocks lie below those of both neighbours, and by which blocks that are sharp in a
# neighbour lie below what the other side of it shows (docs/campaigns-focus.md).
_DULL, _LESS = 2.5, 1.5
_SHARPEST = 0.99
_SHARP, _SEEN = 5.0, 2.0
_FEWEST_BLOCKS = 12
_FINE = len(COARSE_BANDS)


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
    above = np.stack([surveys[number].levels for number in order]).astype(np.float32) - noise
    sharpest = np.quantile(above[:, _FINE:].reshape(len(order), len(BANDS) - _FINE, -1), _SHARPEST, axis=2)
    found = set()
    for place in range(1, len(order) - 1):
        dull = np.minimum(sharpest[place - 1], sharpest[place + 1]) - sharpest[place]
        if dull.max() > _DULL and _against_the_other_side(above[:, _FINE], place) < -_LESS:
            found.add(order[place])
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
