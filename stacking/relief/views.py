"""The picture seen from the side: stereo pairs, anaglyphs and rocking videos, by marching each line of sight into the relief.

Every pixel of a view looks along its row of the relief, from near to far, and takes the first surface it meets (relief
mapping: Policarpo, Oliveira and Comba 2005). So near covers far, and what was hidden is stretched from its edge, never torn.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.relief.surface import Relief
from stacking.writers_blocks import eight_bit

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

# Total parallax between the eyes, as a part of the width: what is comfortable on a screen.
_PARALLAX = 0.03
_SOFTEN_PX = 1.5
_ROWS_AT_ONCE = 128
# Left eye red, right eye cyan, with the weights of Dubois (2001) for sRGB screens.
_LEFT_EYE = np.array([[0.437, 0.449, 0.164], [-0.062, -0.062, -0.024], [-0.048, -0.050, -0.017]], np.float32)
_RIGHT_EYE = np.array([[-0.011, -0.032, -0.007], [0.377, 0.761, 0.009], [-0.026, -0.093, 1.234]], np.float32)


class SideViews:
    """Views of one picture from places to the left and right of the lens.

    Parameters
    ----------
    picture : ndarray (rows, columns, 3), uint8 or uint16
    relief : Relief
        Of its size.
    longest_px : int
        Longest side of the views; a larger picture is reduced.
    """

    def __init__(self, picture: NDArray[Any], relief: Relief, *, longest_px: int) -> None:
        rows, columns = picture.shape[:2]
        scale = min(1.0, longest_px / max(rows, columns))
        size = (max(2, round(columns * scale)), max(2, round(rows * scale)))
        self._picture = eight_bit(np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA)))
        height = np.asarray(cv2.resize(relief.height_px(), size, interpolation=cv2.INTER_AREA), np.float32)
        height = np.asarray(cv2.medianBlur(height, 5), np.float32)
        # An outline moves with what is near: the slope that softening makes lies outside of it.
        height = np.asarray(cv2.dilate(height, _outline()), np.float32)
        height = np.asarray(cv2.GaussianBlur(height, (0, 0), _SOFTEN_PX), np.float32)
        low, high = float(height.min()), float(height.max())
        # the middle of the depth stays in the plane of the screen
        self._parallax = (height - np.float32((low + high) / 2)) * np.float32(
            _PARALLAX * size[0] / max(high - low, 1e-9)
        )

    def view(self, place: float) -> U8:
        """The picture from a place: -0.5 is the left eye, 0.5 the right one; shape (rows, columns, 3)."""
        side = 1 if place >= 0 else -1
        reach = int(np.ceil(float(np.abs(self._parallax).max()) * abs(place))) + 1
        out = np.empty_like(self._picture)
        for top in range(0, out.shape[0], _ROWS_AT_ONCE):
            field = self._parallax[top : top + _ROWS_AT_ONCE] * np.float32(abs(place))
            across = np.arange(field.shape[1], dtype=np.float32)[None] + np.float32(side) * _met(field, side, reach)
            down = np.arange(top, top + len(field), dtype=np.float32)[:, None].repeat(field.shape[1], 1)
            out[top : top + len(field)] = cv2.remap(
                self._picture, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )
        return out

    def pair(self) -> U8:
        """Left and right eye side by side, for parallel viewing; shape (rows, 2 columns + a gap, 3)."""
        left, right = self.view(-0.5), self.view(0.5)
        gap = np.zeros((left.shape[0], max(2, left.shape[1] // 100), 3), np.uint8)
        return np.concatenate([left, gap, right], axis=1)

    def anaglyph(self) -> U8:
        """Both eyes in one picture, for red and cyan glasses."""
        left, right = self.view(-0.5), self.view(0.5)
        for top in range(0, left.shape[0], _ROWS_AT_ONCE):
            here = slice(top, top + _ROWS_AT_ONCE)
            one, two = left[here].astype(np.float32), right[here].astype(np.float32)
            mixed = cv2.transform(one, _LEFT_EYE) + cv2.transform(two, _RIGHT_EYE)
            left[here] = np.clip(np.rint(mixed), 0, 255)
        return left

    def rocking(self, frames: int) -> Iterator[U8]:
        """Views of one swing from the middle to the right, to the left and back; the last leads to the first."""
        for k in range(frames):
            yield self.view(0.5 * float(np.sin(2 * np.pi * k / frames)))


def _met(field: F32, side: int, reach: int) -> F32:
    """The parallax of the first surface that each pixel's line of sight meets.

    A surface of parallax p at source x + side * p is seen at x; the largest parallax is the nearest surface.
    """
    columns = field.shape[1]
    padded = np.pad(field, ((0, 0), (reach, reach)), mode="edge")
    met: F32 = np.zeros(field.shape, np.float32)
    open_: NDArray[np.bool_] = np.ones(field.shape, np.bool_)
    before: F32 = np.full(field.shape, -1.0, np.float32)
    for shift in range(reach, -reach - 1, -1):
        start = reach + side * shift
        above = padded[:, start : start + columns] - np.float32(shift)
        hit = open_ & (above >= 0)
        met[hit] = shift + (above / np.maximum(above - before, np.float32(1e-6)))[hit]
        open_ &= ~hit
        before = above
    return met


def _outline() -> NDArray[np.uint8]:
    size = 2 * int(np.ceil(2 * _SOFTEN_PX)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)
