"""Cropping: the largest upright rectangle whose every pixel is valid in all frames; tighter, of an aspect ratio, by hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stacking.errors import RegistrationError, StackingUsageError
from stacking.frames import Registration
from stacking.fuse.deformation import straight
from stacking.options import Crop, StackOptions

if TYPE_CHECKING:
    from stacking.sharpness import StackSharpness

_ROUNDING_PX = 1e-6
_SMALLEST_PX = 16
_FOCUS_MARGIN = 0.02
_ASPECT = re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)")


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


def of_aspect(within: Rectangle, aspect: float) -> Rectangle:
    """The largest rectangle of an aspect ratio (width over height) in the middle of another one."""
    width = min(within.width, max(1, round(within.height * aspect)))
    height = min(within.height, max(1, round(within.width / aspect)))
    return Rectangle(within.x + (within.width - width) // 2, within.y + (within.height - height) // 2, width, height)


def round_cells(cells: NDArray[np.bool_], size: tuple[int, int], within: Rectangle, *, margin: float) -> Rectangle:
    """The part of a rectangle that holds the true cells of a coarse mask, with a margin round them.

    Parameters
    ----------
    cells : ndarray (cell rows, cell columns), bool
        Of the whole picture; single cells among false ones do not count.
    size : (width, height)
        Of the picture, in pixels.
    within : Rectangle
        Returned itself where no cell is left.
    margin : float
        Kept round the cells, a share of the longer side of `size`.
    """
    padded = np.pad(cells, 1)
    down, across = cells.shape
    neighbours = sum(
        padded[1 + y : 1 + y + down, 1 + x : 1 + x + across].astype(int) for y in (-1, 0, 1) for x in (-1, 0, 1)
    )
    kept = cells & (neighbours >= 3)
    if not kept.any():
        return within
    rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    width, height = size
    room = margin * max(size)
    left = max(within.x, int(np.floor(columns[0] * width / across - room)))
    top = max(within.y, int(np.floor(rows[0] * height / down - room)))
    right = min(within.x + within.width, int(np.ceil((columns[-1] + 1) * width / across + room)))
    bottom = min(within.y + within.height, int(np.ceil((rows[-1] + 1) * height / down + room)))
    return Rectangle(left, top, right - left, bottom - top) if right > left and bottom > top else within


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

    found = np.zeros(4, np.int64)
    largest_rectangle_of(np.ascontiguousarray(mask, np.bool_).view(np.uint8), found)
    return Rectangle(*found.tolist())


def by_hand_within(rectangle: tuple[int, int, int, int], size: tuple[int, int]) -> Rectangle:
    """A rectangle given by hand, in frames of that (width, height).

    Raises
    ------
    StackingUsageError
        Where it does not lie inside them.
    """
    by_hand = Rectangle(*rectangle)
    words = ",".join(map(str, by_hand))
    remedy = f"Give x,y,width,height in pixels of a frame, {_SMALLEST_PX} or more to a side."
    if min(by_hand.width, by_hand.height) < _SMALLEST_PX:
        raise StackingUsageError(f"the crop {words} is too small", remedy=remedy)
    if not by_hand.within(*size):
        raise StackingUsageError(
            f"the crop {words} does not lie inside the frames of {size[0]}x{size[1]}", remedy=remedy
        )
    return by_hand


def chosen_rectangle(
    options: StackOptions,
    size: tuple[int, int],
    registrations: Mapping[int, Registration],
    sharpness: StackSharpness | None,
) -> Rectangle:
    """The part of the reference frame that a stack's result shows.

    Raises
    ------
    RegistrationError
        Where the frames have no area in common.
    StackingUsageError
        Where a rectangle given by hand does not lie inside the frame.
    """
    whole = Rectangle(0, 0, *size)
    if options.crop_rectangle is not None:
        return by_hand_within(options.crop_rectangle, size)
    if options.crop is Crop.NONE:
        return whole if options.crop_aspect is None else _not_too_small(of_aspect(whole, options.crop_aspect))
    places = [straight(r, size) for r in registrations.values()]
    found = valid_rectangle(size, [m for m, _ in places], margin_px=max((px for _, px in places), default=0))
    if options.crop is Crop.FOCUS and sharpness is not None:
        found = round_cells(sharpness.in_focus, size, found, margin=_FOCUS_MARGIN)
    if options.crop_aspect is not None and min(found.width, found.height) >= _SMALLEST_PX:
        return _not_too_small(of_aspect(found, options.crop_aspect))
    if min(found.width, found.height) < _SMALLEST_PX:
        raise RegistrationError(
            "the frames have no area in common",
            remedy="Leave out the frames that moved, or keep the full frame with --crop none.",
        )
    return found


def _not_too_small(found: Rectangle) -> Rectangle:
    if min(found.width, found.height) < _SMALLEST_PX:
        raise StackingUsageError(
            f"a crop of that aspect ratio is {found.width}x{found.height}, which is too small",
            remedy=f"Give a ratio that leaves {_SMALLEST_PX} pixels or more to a side.",
        )
    return found


def parse_aspect(text: str) -> float | None:
    """Width over height of ``3:2``; None where the text is no ratio."""
    ratio = _ASPECT.fullmatch(text.strip())
    return float(ratio[1]) / float(ratio[2]) if ratio and float(ratio[2]) > 0 else None


def parse_crop(text: str) -> tuple[Crop, float | None, tuple[int, int, int, int] | None]:
    """``auto``, ``focus`` or ``none``, an aspect ratio ``3:2``, both ``focus,3:2``, or ``x,y,width,height``.

    Raises
    ------
    StackingUsageError
    """
    words = [word.strip() for word in text.split(",")]
    if len(words) == 4 and all(word.isdigit() for word in words):
        x, y, width, height = (int(word) for word in words)
        return Crop.AUTO, None, (x, y, width, height)
    aspect = parse_aspect(words[-1])
    names = words[:-1] if aspect is not None else words
    if len(names) <= 1 and all(name in list(Crop) for name in names) and (aspect is None or 0.01 < aspect < 100):
        return Crop(names[0]) if names else Crop.AUTO, aspect, None
    raise StackingUsageError(
        f"--crop {text}: that is no crop",
        remedy="Give auto, focus, none, an aspect ratio such as 3:2 or focus,3:2, or x,y,width,height in pixels.",
    )
