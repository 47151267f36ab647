"""How sharp each part of each frame is: kept from the first pass, for the depth of field in frames and for the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

_COLUMNS = 48
_FEWEST_BLOCKS = 6
# Blocks below this share of the picture's best ones have no detail to judge.
_FLAT = 0.02
# Sharpness (an amplitude) within this share of its peak counts as in focus.
_IN_FOCUS = 0.8
# A block whose best frame stands out of its worst by this share of the picture's best blocks was in focus somewhere.
_IN_FOCUS_SOMEWHERE = 0.08


def block_sharpness(gray: NDArray[np.uint8]) -> F32:
    """RMS of the Laplacian in blocks, about 48 to a row; shape (block rows, block columns).

    Parameters
    ----------
    gray : ndarray (rows, columns), uint8
    """
    rows, columns = gray.shape
    across = max(1, min(_COLUMNS, columns // 4))
    down = max(1, min(rows // 4 or 1, round(rows * across / columns)))
    # one pixel's noise is not detail
    detail = cv2.Laplacian(cv2.GaussianBlur(gray, (3, 3), 0), cv2.CV_32F)
    return np.sqrt(np.asarray(cv2.resize(detail * detail, (across, down), interpolation=cv2.INTER_AREA), np.float32))


@dataclass(frozen=True, slots=True)
class StackSharpness:
    """Sharpness of the blocks of all frames.

    Attributes
    ----------
    frames : tuple of int
    blocks : ndarray (frames, block rows, block columns), float32
        Above what the block never falls below: its noise and its blurred texture.
    """

    frames: tuple[int, ...]
    blocks: F32

    @property
    def whole(self) -> F32:
        """Sharpness of each frame: the mean of its blocks, (frames,)."""
        return np.asarray(self.blocks.mean(axis=(1, 2)), np.float32)

    @property
    def textured(self) -> NDArray[np.bool_]:
        """Blocks that have detail in some frame, (block rows, block columns)."""
        best = self.blocks.max(axis=0)
        return np.asarray(best > _FLAT * np.quantile(best, 0.99), np.bool_)

    @property
    def in_focus(self) -> NDArray[np.bool_]:
        """Blocks that some frame shows sharp, (block rows, block columns): blurred in every frame, a block hardly changes."""
        best = self.blocks.max(axis=0)
        return np.asarray(best > _IN_FOCUS_SOMEWHERE * np.quantile(best, 0.99), np.bool_)

    def frames_in_focus(self) -> float | None:
        """Frames within which a part of the subject is in focus; None where too little is seen.

        Counted in blocks that are sharpest inside the stack. The lower quartile of them: a block that holds several depths
        stays sharp for longer than any of its parts.
        """
        count = len(self.frames)
        best = self.blocks.argmax(axis=0)
        inside = self.textured & (best > 0) & (best < count - 1)
        if inside.sum() < _FEWEST_BLOCKS:
            return None
        sharp = (self.blocks > _IN_FOCUS * self.blocks.max(axis=0)).sum(axis=0)
        return float(np.quantile(sharp[inside], 0.25))


def stack_sharpness(maps: Mapping[int, F32]) -> StackSharpness | None:
    """All frames' blocks together; None where there is none, or the sizes differ."""
    frames = tuple(sorted(maps))
    if not frames or len({maps[k].shape for k in frames}) > 1:
        return None
    blocks = np.stack([maps[k] for k in frames])
    return StackSharpness(frames, np.maximum(blocks - blocks.min(axis=0), np.float32(0.0)))
