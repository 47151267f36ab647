"""What one frame leaves behind for its registration: corners, a thumbnail, a brightness map, directional sharpness."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.errors import StackingUsageError
from stacking.register.similarity import Points

Gray = NDArray[np.uint8]
Map = NDArray[np.float32]
Scalar = TypeVar("Scalar", np.uint8, np.uint16, np.float32)

_THUMB_SIDE = 320
DETECT_PIXELS = 1_600_000
_LEAST_SIDE = 96
_CORNER_BLOCK = 7
_CORNERS = 500
GAMMA = 2.2
_CLIPPED = 250.0
_DEAD = 0.02
_LIGHT_SIDE = 64
# Of the thumbnail, in 8-bit units.
LEAST_CONTRAST = 0.25


@dataclass(frozen=True, slots=True)
class Grid:
    """How a reduced picture of a frame lies on the full one: working pixel u is at ``factor * u + (factor - 1) / 2``."""

    factor: float
    centre: complex

    @classmethod
    def of(cls, size: tuple[int, int], factor: float) -> Grid:
        """Return the grid of a picture reduced `factor` times from `size` = (width, height)."""
        return cls(factor, complex((size[0] - 1) / 2, (size[1] - 1) / 2))

    def to_full(self, xy: NDArray[np.float32]) -> Points:
        """Working pixels, shape (n, 2), to centred full-resolution points."""
        f = self.factor
        z = (xy[:, 0].astype(np.float64) + 1j * xy[:, 1].astype(np.float64)) * f + (f - 1) / 2 * (1 + 1j)
        return np.asarray(z - self.centre, np.complex128)

    def to_working(self, z: Points) -> NDArray[np.float32]:
        """Centred full-resolution points to working pixels, shape (n, 2)."""
        w = (z + self.centre - (self.factor - 1) / 2 * (1 + 1j)) / self.factor
        return np.stack([w.real, w.imag], 1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Scale:
    """One frame at one size, with its corners.

    Attributes
    ----------
    image : ndarray, shape (rows, columns), uint8
        Encoded luma.
    factor : int
        Full-resolution pixels per pixel of `image`.
    corners : ndarray, shape (n,), complex128
        Full-resolution pixels from the centre.
    strength : ndarray, shape (n,), float64
        Smaller eigenvalue of each corner's structure tensor over that of the noise.
    """

    image: Gray
    factor: int
    corners: Points
    strength: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Features:
    """One frame, reduced to what its registration needs.

    Attributes
    ----------
    index : int
        Place in the stack.
    scales : tuple of Scale
        Finest first, each half of the one before: a frame much blurrier than another is followed at a coarser scale.
    flat : ndarray, shape (<= 320, <= 320), float32
        The luma averaged down further and flattened (:func:`flatten`); for the first guess.
    light : ndarray, shape (<= 64, <= 64), float32
        Mean linear light of each block (0..1); -1 where it is clipped.
    sharpness : ndarray, shape (4, tiles, tiles), float32
        Mean squared difference across four directions, noise removed.
    dead : ndarray, shape (tiles, tiles), bool
        Tiles without the least difference between pixels.
    contrast : float
        Standard deviation of the smoothed thumbnail, in 8-bit units: next to nothing for a blank frame.
    flat_factor, light_factor : int
        Full-resolution pixels per pixel of `flat` and `light`.
    """

    index: int
    scales: tuple[Scale, ...]
    flat: Map
    light: Map
    sharpness: Map
    dead: NDArray[np.bool_]
    contrast: float
    flat_factor: int
    light_factor: int

    @property
    def blank(self) -> bool:
        """Whether there is nothing to see in it."""
        return self.contrast < LEAST_CONTRAST

    def without_detail(self) -> Features:
        """Return the same without scales above a megapixel: a fraction of the memory, a coarser match."""
        coarse = tuple(s for s in self.scales if s.image.size <= DETECT_PIXELS)
        return replace(self, scales=coarse or self.scales[-1:])


def working_factor(gray: Gray, size: tuple[int, int]) -> int:
    """Return 1 for a full-size luma, 2 for a half-size one (rounded down or up); StackingUsageError for any other shape."""
    width, height = size
    rows, columns = gray.shape
    if (columns, rows) == (width, height):
        return 1
    if columns in (width // 2, (width + 1) // 2) and rows in (height // 2, (height + 1) // 2):
        return 2
    raise StackingUsageError(
        f"luma of {columns}x{rows} belongs to no frame of {width}x{height}", remedy="give it at full or at half size"
    )


def extract(index: int, gray: Gray, size: tuple[int, int]) -> Features:
    """Reduce one frame to its features. Depends on this frame alone: frames may be reduced in any number of threads.

    Parameters
    ----------
    index : int
        Place in the stack.
    gray : ndarray, shape (height // 2, width // 2) or (height, width), uint8
        Encoded luma.
    size : (int, int)
        Width and height of the full picture.
    """
    factor = working_factor(gray, size)
    gray = gray[: size[1] // factor, : size[0] // factor]
    scales, noise = _scales(gray, size, factor)
    measured = next((scale.image for scale in scales if scale.image.size <= DETECT_PIXELS), scales[-1].image)
    shortest, longest = sorted(gray.shape)
    by_flat, by_light = (min(-(-longest // side), shortest) for side in (_THUMB_SIDE, _LIGHT_SIDE))
    thumb = np.asarray(shrink(gray, by_flat), np.float32)
    differences = directional_differences(measured)
    light = mean_light(gray, by_light)
    return Features(
        index=index,
        scales=scales,
        flat=flatten(thumb),
        light=light,
        sharpness=differences - np.float32(2 * noise**2),
        dead=np.asarray((differences < _DEAD).all(0)),
        contrast=float(cv2.GaussianBlur(thumb, (0, 0), 2.0).std()),
        flat_factor=factor * by_flat,
        light_factor=factor * by_light,
    )


def _scales(gray: Gray, size: tuple[int, int], factor: int) -> tuple[tuple[Scale, ...], float]:
    """Return the scales, and the noise of the finest one that corners are looked for in."""
    scales: list[Scale] = []
    image, by, first_noise = gray, 1, 0.0
    while True:
        if image.size <= DETECT_PIXELS:
            noise = estimate_noise(image)
            first_noise = first_noise or noise
            xy, strength = find_corners(image, noise)
            scales.append(Scale(image, factor * by, Grid.of(size, factor * by).to_full(xy), strength))
        else:
            scales.append(Scale(image, factor * by, np.zeros(0, np.complex128), np.zeros(0)))
        if min(image.shape) // 2 < _LEAST_SIDE and image.size <= DETECT_PIXELS:
            break
        image, by = shrink(image, 2), by * 2
    # A picture too large to look for corners in borrows those of the next smaller one.
    for k in range(len(scales) - 2, -1, -1):
        if scales[k].image.size > DETECT_PIXELS:
            scales[k] = replace(scales[k], corners=scales[k + 1].corners, strength=scales[k + 1].strength)
    return tuple(scales), first_noise


def shrink(image: NDArray[Scalar], by: int) -> NDArray[Scalar]:
    """Average blocks of by x by pixels; what is left over at the right and lower border is dropped."""
    if by == 1:
        return image
    rows, columns = image.shape[0] // by, image.shape[1] // by
    whole = image[: rows * by, : columns * by]
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), image.dtype)


def flatten(thumb: Map) -> Map:
    """Take the local mean away and divide by the local contrast: what is left knows neither gain nor slow shading.

    Shape of `thumb`, float32; zero mean, deviation at most about 1, small where the thumbnail is smooth.
    """
    image = cv2.GaussianBlur(thumb, (0, 0), 1.0)
    wide = max(4.0, max(thumb.shape) / 20)
    high = image - cv2.GaussianBlur(image, (0, 0), wide)
    power = cv2.GaussianBlur(high * high, (0, 0), wide)
    floor = 0.05 * float(power.mean()) + 0.02
    return np.asarray(high / np.sqrt(power + floor), np.float32)


def estimate_noise(image: Gray) -> float:
    """Return the standard deviation of the noise (Immerkaer 1996, on the calmest tenth of blocks in eight strips)."""
    rows = image.shape[0]
    strip = min(rows, max(8, min(32, rows // 8)))
    starts = np.unique(np.linspace(0, max(0, rows - strip), 8).astype(int))
    image = np.concatenate([image[y : y + strip] for y in starts])
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.asarray(np.abs(cv2.filter2D(image, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT)), np.float32)
    blocks = shrink(response[: strip * starts.size], max(1, min(16, min(strip, image.shape[1]) // 2)))
    calm = float(np.quantile(blocks, 0.1))
    return max(0.15, calm * float(np.sqrt(np.pi / 2)) / 6)


def find_corners(image: Gray, noise: float, count: int = _CORNERS) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Find the strongest corner (Shi and Tomasi 1994) of every cell of a grid that covers the picture evenly.

    Parameters
    ----------
    image : ndarray, shape (rows, columns), uint8
    noise : float
        Standard deviation of its noise.
    count : int
        Cells of the grid, about.

    Returns
    -------
    xy : ndarray, shape (n, 2), float32
        Pixels of `image`.
    strength : ndarray, shape (n,), float64
        Smaller eigenvalue over what noise alone gives; the cells where it is below 1 are left out.
    """
    rows, columns = image.shape
    block = _CORNER_BLOCK
    # Sobel's derivative of white noise has variance 12 sigma^2; OpenCV scales it by 1 / (4 * block * 255) and sums over the block.
    floor = 12 * noise**2 * block**2 / (4 * block * 255) ** 2
    strength = cv2.cornerMinEigenVal(image, block, ksize=3)
    margin = block
    side = max(block, int(np.sqrt(rows * columns / count)))
    y_cells, x_cells = (rows - 2 * margin) // side, (columns - 2 * margin) // side
    if y_cells < 1 or x_cells < 1:
        return np.zeros((0, 2), np.float32), np.zeros(0)
    y0, x0 = (rows - y_cells * side) // 2, (columns - x_cells * side) // 2
    area = strength[y0 : y0 + y_cells * side, x0 : x0 + x_cells * side]
    cells = area.reshape(y_cells, side, x_cells, side).transpose(0, 2, 1, 3).reshape(y_cells * x_cells, side * side)
    at = cells.argmax(1)
    value = cells[np.arange(at.size), at].astype(np.float64) / floor
    cell_y, cell_x = np.divmod(np.arange(at.size), x_cells)
    y, x = np.divmod(at, side)
    xy = np.stack([x0 + cell_x * side + x, y0 + cell_y * side + y], 1).astype(np.float32)
    strong = value > 1
    return xy[strong], value[strong]


def mean_light(gray: Gray, by: int) -> Map:
    """Average blocks of linear light: blur moves light about and keeps its sum, so this hardly knows what is in focus.

    Returns
    -------
    ndarray, shape (rows // by, columns // by), float32
        0..1; -1 where a fiftieth of the block is clipped.
    """
    table = ((np.arange(256) / 255) ** GAMMA * 65535 + 0.5).astype(np.uint16)
    light = shrink(np.asarray(cv2.LUT(gray, table), np.uint16), by).astype(np.float32) / np.float32(65535)
    clipped = shrink(cv2.threshold(gray, _CLIPPED - 1, 255, cv2.THRESH_BINARY)[1].astype(np.uint8, copy=False), by)
    light[clipped > 255 // 50] = -1
    return np.asarray(light, np.float32)


def directional_differences(image: Gray, tiles: int = 12) -> Map:
    """Return the mean squared difference of pixels two apart along -, |, \\ and / in tiles x tiles tiles.

    Shape (4, tiles, tiles), float32. Defocus lowers all four together, a shake those along its path. One tile of nothing where the
    picture has too few pixels for any.
    """
    rows, columns = image.shape
    if rows < 4 or columns < 3:
        return np.zeros((4, 1, 1), np.float32)
    tiles = max(1, min(tiles, (rows - 2) // 4, (columns - 2) // 4))
    high, wide = (rows - 2) // tiles // 2, (columns - 2) // tiles
    f = image.astype(np.int16)
    pairs = (
        (f[1:-1, 2:], f[1:-1, :-2]),
        (f[2:, 1:-1], f[:-2, 1:-1]),
        (f[2:, 2:], f[:-2, :-2]),
        (f[2:, :-2], f[:-2, 2:]),
    )
    out = np.empty((4, tiles, tiles), np.float32)
    for k, (a, b) in enumerate(pairs):
        every_second_row = slice(0, tiles * high * 2, 2)
        d = (a[every_second_row, : tiles * wide] - b[every_second_row, : tiles * wide]).astype(np.float32)
        out[k] = (d * d).reshape(tiles, high, tiles, wide).mean((1, 3))
    return out
