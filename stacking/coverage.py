"""Was every textured part of the subject sharp in some frame? By blocks of the picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stacking.sharpness import StackSharpness

COVERED, GAP, END, FLAT = range(4)
COVERAGE_LEGEND: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("sharp inside the stack", (112, 173, 120)),
    ("sharp in one frame alone: the step is wide here", (240, 190, 70)),
    ("sharpest at an end: the range may be short", (196, 60, 44)),
    ("no detail to judge by", (226, 226, 226)),
)
# A neighbour of the sharpest frame that has less than this share of its sharpness was too far away.
_ALONE = 0.4
# Blocks whose sharpness hardly changes tell nothing.
_LEAST_CONTRAST = 0.15


def coverage_classes(sharpness: StackSharpness, positions: NDArray[np.float64]) -> NDArray[np.uint8]:
    """What each block's sharpness over position says.

    Parameters
    ----------
    sharpness : StackSharpness
    positions : ndarray (frames,)
        Of its frames; their order decides which are neighbours.

    Returns
    -------
    ndarray (block rows, block columns), uint8
        `COVERED`, `GAP`, `END` or `FLAT`.
    """
    blocks = sharpness.blocks[np.argsort(positions, kind="stable")]
    count = len(blocks)
    best = blocks.argmax(axis=0)
    peak = np.maximum(blocks.max(axis=0), np.float32(1e-9))
    before = np.take_along_axis(blocks, np.maximum(best - 1, 0)[None], axis=0)[0] / peak
    after = np.take_along_axis(blocks, np.minimum(best + 1, count - 1)[None], axis=0)[0] / peak
    classes: NDArray[np.uint8] = np.full(best.shape, COVERED, np.uint8)
    classes[np.maximum(before, after) < _ALONE] = GAP
    classes[(best == 0) | (best == count - 1)] = END
    middle = np.median(blocks, axis=0) / peak
    classes[~sharpness.textured | (1.0 - middle < _LEAST_CONTRAST)] = FLAT
    return classes


def coverage_colours(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Classes as colours of the legend, (block rows, block columns, 3)."""
    return np.array([colour for _, colour in COVERAGE_LEGEND], np.uint8)[classes]
