"""Cropping: the largest upright rectangle whose every pixel is valid in all frames."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stacking.errors import RegistrationError

_ROUNDING_PX = 1e-6


class Rectangle(NamedTuple):
    """An upright rectangle of whole pixels.

    Attributes
    ----------
    x, y : int
        Column and row of the upper left pixel.
    width, height : int
        In pixels.
    """

    x: int
    y: int
    width: int
    height: int

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.width * self.height

    def of(self, image: NDArray[Any]) -> NDArray[Any]:
        """The part of an image (rows, columns, ...) inside the rectangle: a view."""
        return image[self.y : self.y + self.height, self.x : self.x + self.width]

    def within(self, columns: int, rows: int) -> bool:
        """Whether it lies inside an image of that size, and has an area."""
        starts_inside = self.x >= 0 and self.y >= 0 and self.width > 0 and self.height > 0
        return starts_inside and self.x + self.width <= columns and self.y + self.height <= rows


def valid_rectangle(
    size: tuple[int, int], matrices: Iterable[NDArray[np.float64]], *, margin_px: float = 0.0
) -> Rectangle:
    """The largest rectangle of the reference frame that lies inside all frames.

    Each frame covers a parallelogram of the reference frame. Their intersection is convex, so a rectangle lies inside where
    its upper and lower row do; all pairs of rows are compared, and the answer is exact.

    Parameters
    ----------
    size : tuple of int
        (width, height) of every frame, in pixels.
    matrices : iterable of ndarray, shape (2, 3)
        Reference (x, y, 1) to frame (x, y), pixel centres at integers.
    margin_px : float
        Distance that valid pixels keep from a frame's border: half the width of the resampling kernel.

    Raises
    ------
    RegistrationError
        Where the frames have no area in common.
    """
    columns, rows = size
    y = np.arange(rows, dtype=np.float64)
    first, last = np.zeros(rows), np.full(rows, columns - 1.0)
    for matrix in matrices:
        for line, top in ((matrix[0], columns - 1.0), (matrix[1], rows - 1.0)):
            for sign, limit in ((1.0, margin_px), (-1.0, margin_px - top)):
                # sign * (a x + b y + c) >= limit, solved for x row by row
                slope = sign * line[0]
                room = sign * (line[1] * y + line[2]) - limit + _ROUNDING_PX
                if abs(slope) < 1e-12:
                    last[room < 0] = -1
                elif slope > 0:
                    np.maximum(first, -room / slope, out=first)
                else:
                    np.minimum(last, -room / slope, out=last)
    start, end = np.ceil(first - _ROUNDING_PX), np.floor(last + _ROUNDING_PX) + 1
    best = Rectangle(0, 0, 0, 0)
    for top in range(rows):
        if (rows - top) * (end[top] - start[top]) <= best.area:
            continue
        left, right = np.maximum(start[top:], start[top]), np.minimum(end[top:], end[top])
        areas = np.maximum(right - left, 0) * np.arange(1, rows - top + 1)
        found = int(np.argmax(areas))
        if areas[found] > best.area:
            best = Rectangle(int(left[found]), top, int(right[found] - left[found]), found + 1)
    if not best.area:
        raise RegistrationError(
            "the frames have no area in common", remedy="Give --crop none, or leave out the frames that lie elsewhere."
        )
    return best


def largest_rectangle(mask: NDArray[np.bool_]) -> Rectangle:
    """The largest upright rectangle of true pixels in a mask of any shape; the uppermost, then leftmost of equal ones.

    Exact, in time proportional to the pixels (largest rectangle under a histogram, row by row).

    Parameters
    ----------
    mask : ndarray, shape (rows, columns), bool

    Returns
    -------
    Rectangle
        Of width and height 0 where nothing is true.
    """
    from stacking.crop_kernels import largest_rectangle_of

    x, y, width, height = largest_rectangle_of(np.ascontiguousarray(mask, np.bool_).view(np.uint8))
    return Rectangle(int(x), int(y), int(width), int(height))
