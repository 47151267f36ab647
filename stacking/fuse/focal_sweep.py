"""What selection leaves beside and in thin things in front, taken away with the help of the mean of all frames.

Beside a strand no frame shows the ground both sharp and free of the strand's blur, and in it the ground shines through: each choice of
frames errs there. The plain mean of all frames is a focal sweep: in linear light it is the true picture blurred by one kernel, nearly
the same at every depth and across the outlines of what stands in front (Nagahara, Kuthirummal, Zhou and Nayar 2008; Kuthirummal et al.
2011). So the fused picture, blurred by this kernel, must give the mean; where it does not, band by band, one of the two errs. Which of
them is told by what lies around: gates, by a small network of fixed numbers (`sweep_gates`) fitted on stacks of known
truth. The difference times its gate is added to the picture. No depth is used but for how much the frames chosen vary around a pixel.

The kernel is not known beforehand: it is the gain, ring by ring of spatial frequency, that takes the picture to the mean best.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.fuse.bands import Bands, rows_of
from stacking.fuse.canvas import Canvas

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]

# Below this many frames their mean is no sweep, and a picture of fewer rows or columns has no kernel that can be measured.
FEWEST_FRAMES, SMALLEST_PX = 5, 128
# Kept for the whole picture: mean square at half size, frame number at a quarter, range at half size.
KEPT_BYTES_PER_PIXEL = 1.75
# And what the correction takes beside the picture, measured.
WORK_BYTES_PER_PIXEL = 21
# Bands that are corrected, from a half to a sixteenth; what is coarser is left alone: no brightness is pumped.
LEVELS = 4
# Spatial frequency of the first ring in cycles per pixel of the picture at a quarter, and rings per octave.
_FIRST_RING, _RINGS_PER_OCTAVE, RINGS = 0.008, 3, 22
_LEAST_BRIGHTNESS = 3.0
# Over so many pixels at half size the change fades to nothing at the borders of the picture.
_BORDER_PX = 4
# Of 255, and of the picture's brightness: what is added and what is taken at most.
_BOUND_LEVELS, _LIGHTER_SHARE, _DARKER_SHARE = 1.0, 0.08, 0.12
# Below this brightness less, in proportion: the light round a broad dark part is many times its own, and so are the kernel's errors.
_DARK_LEVELS = 64.0
# A step beyond what the frames have at the pixel itself counts from the first figure on, in full from the second: small ones err.
_STRAY_LEVELS, _SURE_LEVELS = 1.0, 3.0
# Cells that the local gain of the picture's light is told in, pixels at half size; it is smoothed over two of them.
_GAIN_CELLS_PX = 8
_HOT, _HOT_RANGE, _GLOW_SHARE = 200.0, 55.0, 0.5


class FocalSweep:
    """Running sums over the frames of a canvas or a strip of it, and the correction they allow.

    Parameters
    ----------
    canvas : Canvas
        The whole picture, or a strip of it.
    """

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        half, quarter = canvas.level_shape(1), canvas.level_shape(2)
        self.frames = 0
        self._square: F32 = np.zeros(half, np.float32)
        self._number: F32 = np.zeros(quarter, np.float32)
        self._low: U8 = np.empty(half, np.uint8)
        self._high: U8 = np.empty(half, np.uint8)
        self._left: NDArray[np.int32] = np.zeros(half[0], np.int32)
        self._right: NDArray[np.int32] = np.full(half[0], half[1], np.int32)

    def add(self, half: F32, weight: F32, spans: NDArray[np.int32]) -> None:
        """Take in a frame: its luma at half size, what it weighs in the fusion at a quarter, its valid columns at half size."""
        cv2.accumulateSquare(half, self._square)
        if self.frames:
            cv2.scaleAdd(weight, float(self.frames), self._number, self._number)
        np.maximum(self._left, spans[:, 0], out=self._left)
        np.minimum(self._right, spans[:, 1], out=self._right)
        self.frames += 1

    def close(self, weight_sum: F32, low: U8, high: U8) -> None:
        """All frames are there: their weight at a quarter, and the range of luma they have at each pixel."""
        self._square *= np.float32(1.0 / max(self.frames, 1))
        self._number /= np.maximum(weight_sum, np.float32(1e-37))
        self._number *= np.float32(1.0 / max(self.frames - 1, 1))
        self._low[:] = low[::2, ::2]
        self._high[:] = high[::2, ::2]

    def part(self, strip: Canvas) -> FocalSweep:
        """Sums of a strip of the canvas, to be taken back (`take`); this where the strip is all of it."""
        return self if strip == self._canvas else FocalSweep(strip)

    def take(self, part: FocalSweep, first: int, stop: int) -> None:
        """Take back the canvas's rows ``first`` to ``stop`` from a part that has all frames; both are multiples of 4, or the end."""
        if part is self:
            return
        self.frames = part.frames
        for level, whole, piece in (
            (1, self._square, part._square),
            (2, self._number, part._number),
            (1, self._low, part._low),
            (1, self._high, part._high),
            (1, self._left, part._left),
            (1, self._right, part._right),
        ):
            top = (part._canvas.y - self._canvas.y) >> level
            a, b = first >> level, -(-stop >> level)
            whole[a:b] = piece[a - top : b - top]

    def residuals(self, picture: U16, bands: Bands) -> tuple[F32, list[tuple[F32, list[F32]]]]:
        """The picture's luma at half size, and what the gates are given (:func:`residuals`), once all frames are there."""
        from stacking.fuse.sweep_kernels import half_luma

        half: F32 = np.empty(self._square.shape, np.float32)
        bands.run(half.shape[0], rows_of(half_luma, picture.reshape(picture.shape[0], -1), half))
        # Where not every frame is there the picture stands for their mean.
        for y, part in self._beyond():
            self._square[y, part] = half[y, part] ** 2
        return half, residuals(half, self._square, self._high - self._low, self._number, bands)

    def _beyond(self) -> Iterator[tuple[int, slice]]:
        """Parts of rows at half size that a frame does not reach."""
        for y in np.flatnonzero((self._left > 0) | (self._right < self._low.shape[1])):
            yield int(y), slice(0, int(self._left[y]))
            yield int(y), slice(int(self._right[y]), None)

    def correct(self, picture: U16, bands: Bands, *, ends: bool = True) -> None:
        """Correct the luma of the picture (rows, columns, 3) of the whole canvas, in place; ends the sums unless others follow."""
        from stacking.fuse.sweep_kernels import add_enlarged

        if self.frames < FEWEST_FRAMES or min(picture.shape[:2]) < SMALLEST_PX:
            return
        half, found = self.residuals(picture, bands)
        if ends:
            self._square = self._number = np.empty((0, 0), np.float32)
        change = gated(found, bands)
        del found
        self._bound(change, half)
        # What blur brings in from beyond the border is not known.
        for k in range(_BORDER_PX):
            share = np.float32((k + 0.5) / _BORDER_PX)
            for place in (k, -1 - k):
                change[place] *= share
                change[:, place] *= share
        for y, part in self._beyond():
            change[y, part] = 0.0
        bands.run(picture.shape[0], rows_of(add_enlarged, change, picture.reshape(picture.shape[0], -1)))

    def _bound(self, change: F32, half: F32) -> None:
        """Hold the change of the half-size luma in bounds, in place."""
        # What is dark stays as dark: a deep hollow has no light of its own to be given back, and little to be taken.
        share = np.clip(half * np.float32(1.0 / _DARK_LEVELS), 0.0, 1.0)
        np.minimum(change, (np.float32(_BOUND_LEVELS) + np.float32(_LIGHTER_SHARE) * half) * share, out=change)
        np.maximum(change, (np.float32(-_BOUND_LEVELS) - np.float32(_DARKER_SHARE) * half) * share, out=change)
        # And what no frame shows near by is not made up, nor by a little what none shows there.
        around = np.ones((3, 3), np.uint8)
        lowest, highest = cv2.erode(self._low, around), cv2.dilate(self._high, around)
        np.clip(change, np.minimum(lowest - half, 0.0), np.maximum(highest - half, 0.0), out=change)
        beyond = change - np.clip(change, np.minimum(self._low - half, 0.0), np.maximum(self._high - half, 0.0))
        sure = (np.abs(beyond) - np.float32(_STRAY_LEVELS)) * np.float32(1.0 / (_SURE_LEVELS - _STRAY_LEVELS))
        change -= beyond * (np.float32(1.0) - np.clip(sure, 0.0, 1.0))


def residuals(half: F32, square: F32, range_: U8, number: F32, bands: Bands) -> list[tuple[F32, list[F32]]]:
    """Difference of the mean and the blurred picture, by band, and what its gate depends on.

    Parameters
    ----------
    half : ndarray (rows, columns), float32, 0 to 255
        Luma of the picture at half size.
    square : ndarray (rows, columns), float32
        Mean of the squares of the frames' luma there.
    range_ : ndarray (rows, columns), uint8
        Of the frames' luma.
    number : ndarray ((rows + 1) // 2, (columns + 1) // 2), float32, 0 to 1
        The frame chosen.
    bands : Bands

    Returns
    -------
    list of (ndarray, list of ndarray)
        By level from the finest: the difference in 8-bit units, and logarithms that its gate depends on, all of that level's shape: of the
        energy of the difference, of the picture in linear light, of what is near white, of the picture, of the range, of how much
        the frames chosen vary, and of how badly the kernel fits the surroundings; the sixth is the difference over its own energy's root.
    """
    surroundings = bands.beside(lambda: _surroundings(half, square, range_, number))
    differences = _differences(half, square, bands)
    out: list[tuple[F32, list[F32]]] = []
    for level, (difference, (of_light, around)) in enumerate(zip(differences, surroundings(), strict=True)):
        misfit = _take_explained(difference, of_light, level)
        power, ratio = _own(difference)
        out.append((difference, [power, *around[:4], ratio, around[4], misfit]))
    return out


def _take_explained(difference: F32, of_light: F32, level: int) -> F32:
    """Take off a band's difference, in place, what a gain on the picture's own light explains in the surroundings.

    The kernel is not quite the same at every depth, least at the ends of the sweep and where it does not reach: there the difference
    goes with the picture itself over whole areas. Given back is the logarithm of what is left, as a share of that light's energy.
    """
    cells = _GAIN_CELLS_PX >> level
    shape = difference.shape[1] // cells + 1, difference.shape[0] // cells + 1

    def over_cells(plane: F32) -> F32:
        return _smooth(np.asarray(cv2.resize(plane, shape, interpolation=cv2.INTER_AREA), np.float32))

    def everywhere(plane: F32) -> F32:
        return np.asarray(cv2.resize(plane, difference.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)

    energy = over_cells(of_light * of_light) + np.float32(0.1)
    explained = everywhere(over_cells(difference * of_light) / energy)
    explained *= of_light
    difference -= explained
    return everywhere(_log(over_cells(difference * difference) / energy, 0.001))


def _slope(square: F32) -> F32:
    """From linear light to 8-bit units."""
    return np.asarray(np.float32(0.5) / np.sqrt(np.maximum(square, np.float32(_LEAST_BRIGHTNESS**2))), np.float32)


def _near_white(half: F32) -> F32:
    return np.asarray(np.clip((half - np.float32(_HOT)) * np.float32(1.0 / _HOT_RANGE), 0.0, 1.0), np.float32)


def _differences(half: F32, square: F32, bands: Bands) -> list[F32]:
    """The bands of the mean less the picture as blurred."""
    light = half * half
    residual, glow = _compared(light, square, light * _near_white(half), bands)
    slope = _slope(square)
    residual *= slope
    # Light that the sensor could not count shines about in every frame but the sharp one.
    glow *= np.float32(_GLOW_SHARE)
    glow *= slope
    residual -= np.clip(residual, 0.0, glow)
    return _laplacian(residual)


def _own(of_residual: F32) -> tuple[F32, F32]:
    """What a gate depends on of the difference itself: the logarithm of its energy, and it as a share of that."""
    power = _smooth(of_residual**2)
    ratio = of_residual / np.sqrt(power + np.float32(0.01))
    return _log(power, 0.01), ratio


def _surroundings(half: F32, square: F32, range_: U8, number: F32) -> list[tuple[F32, list[F32]]]:
    """By level the picture's light, and what the gates depend on besides: energies of that light, of what is near white, of the
    picture; range; variation.
    """
    of_light = _laplacian(half * half * _slope(square))
    of_half, hots = _laplacian(half), _gaussian(_near_white(half), LEVELS)
    ranges = _gaussian(range_.astype(np.float32), LEVELS)
    numbers, squares = _gaussian(number, LEVELS), _gaussian(number * number, LEVELS)
    out: list[tuple[F32, list[F32]]] = []
    for level in range(LEVELS):
        if level:
            spread = _smooth(squares[level - 1]) - _smooth(numbers[level - 1]) ** 2
        else:
            spread = _smooth(squares[0], 1.0) - _smooth(numbers[0], 1.0) ** 2
            spread = _up(spread, half.shape)
        around = [
            _log(_smooth(of_light[level] ** 2), 0.01),
            _log(_smooth(hots[level]), 0.003),
            _log(_smooth(of_half[level] ** 2), 0.01),
            _log(ranges[level], 1.0),
            _log(np.maximum(spread, np.float32(0.0)), 0.001),
        ]
        out.append((of_light[level], around))
    return out


def gated(residual: list[tuple[F32, list[F32]]], bands: Bands) -> F32:
    """The change of the half-size luma: each band's difference times its gate, put together."""
    from stacking.fuse.sweep_gates import GATES
    from stacking.fuse.sweep_kernels import MOST_GATES, gate_rows

    change: F32 | None = None
    levels = zip(residual, GATES, MOST_GATES, strict=True)
    for (difference, inputs), (hidden, output), most in reversed(list(levels)):
        here: F32 = np.empty(difference.shape, np.float32)
        bands.run(here.shape[0], rows_of(gate_rows, difference, *inputs, hidden, output, most, here))
        if change is not None:
            here += _up(change, here.shape)
        change = here
    assert change is not None
    return change


def _log(plane: F32, more: float) -> F32:
    plane += np.float32(more)
    return np.asarray(cv2.log(plane, plane), np.float32)


def _compared(light: F32, square: F32, hot: F32, bands: Bands) -> tuple[F32, F32]:
    """The mean of the frames less the picture as blurred, in linear light; and what is near white as blurred.

    At half of this resolution the blur is a gain on each ring of the cosine transform; in the finest octave, where it changes little, a
    gain on the detail and one on the detail smoothed.
    """
    small, small_square = _down(light), _down(square)
    difference, glow = _by_rings(small, small_square, _down(hot), bands)
    fine, fine_square = light - _up(small, light.shape), square - _up(small_square, light.shape)
    smooth = _smooth(fine, 1.0)
    own, shared, other = _dot(fine, fine), _dot(fine, smooth), _dot(smooth, smooth)
    first, second = _dot(fine, fine_square), _dot(smooth, fine_square)
    determinant = max(own * other - shared * shared, 1e-9)
    fine *= np.float32((first * other - second * shared) / determinant)
    smooth *= np.float32((second * own - first * shared) / determinant)
    fine_square -= fine
    fine_square -= smooth
    fine_square += _up(difference, light.shape)
    return fine_square, _up(glow, light.shape)


def _by_rings(light: F32, square: F32, hot: F32, bands: Bands) -> tuple[F32, F32]:
    """The mean less the picture as blurred, and what is near white as blurred."""
    from stacking.fuse.sweep_kernels import ring_gain, ring_sums

    picture, table = _transformed(light), _ring_table()
    together, alone = np.zeros(RINGS + 1), np.zeros(RINGS + 1)
    ring_sums(picture, _transformed(square), table, together, alone)
    gains: F32 = np.ones(RINGS + 2, np.float32)
    gains[2:] = together[1:] / np.maximum(alone[1:], 1e-9)
    blurred = []
    for plane in (picture, _transformed(hot)):
        bands.run(plane.shape[0], rows_of(ring_gain, plane, gains, table))
        blurred.append(
            np.asarray(cv2.dct(plane, flags=cv2.DCT_INVERSE)[: light.shape[0], : light.shape[1]], np.float32)
        )
    return square - blurred[0], blurred[1]


def _dot(a: F32, b: F32) -> float:
    """Of every fourth row."""
    return float(np.multiply(a[::4], b[::4]).sum(dtype=np.float64))


def _down(plane: F32) -> F32:
    return np.asarray(cv2.pyrDown(plane), np.float32)


def _up(plane: F32, shape: tuple[int, ...]) -> F32:
    return np.asarray(cv2.pyrUp(plane, dstsize=(shape[1], shape[0])), np.float32)


def _transformed(plane: F32) -> F32:
    rows, columns = plane.shape
    height, width = _transform_size(rows), _transform_size(columns)
    border = cv2.copyMakeBorder(plane, 0, height - rows, 0, width - columns, cv2.BORDER_REFLECT)
    return np.asarray(cv2.dct(border), np.float32)


def _transform_size(length: int) -> int:
    return 2 * int(cv2.getOptimalDFTSize((length + 1) // 2))


def _ring_table(entries: int = 4096) -> F32:
    """Ring, with its fraction, of a frequency of i / entries cycles per pixel."""
    frequency = np.maximum(np.arange(entries), 0.5) / entries
    ring = np.log2(frequency / _FIRST_RING) * _RINGS_PER_OCTAVE
    return np.asarray(np.clip(ring, 0.0, RINGS - 1.0), np.float32)


def _gaussian(plane: F32, levels: int) -> list[F32]:
    planes = [plane]
    for _ in range(levels - 1):
        planes.append(_down(planes[-1]))
    return planes


def _laplacian(plane: F32) -> list[F32]:
    planes = _gaussian(plane, LEVELS + 1)
    for level in range(LEVELS):
        planes[level] = planes[level] - _up(planes[level + 1], planes[level].shape)
    return planes[:LEVELS]


def _smooth(plane: F32, sigma: float = 2.0) -> F32:
    taps = 2 * int(2 * sigma) + 1
    return np.asarray(cv2.GaussianBlur(plane, (taps, taps), sigma), np.float32)
