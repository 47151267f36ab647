"""Energy of a frame in narrow bands of spatial frequency, block by block.

Energies do not feel where in a block the texture lies, so the slow change of magnification over a sweep hardly matters; they are taken
of linear light, divided by the frame's brightness (flicker), and their noise is known from two frames of one position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.focus.defocus import BANDWIDTH_OCTAVES

F32 = NDArray[np.float32]

_BORDER_PX = 16
_CLIPPED = 0.98
_WIDE_PX = 4.0
_LARGE_PX = 64
_COARSE = 0.14


@cache
def _linear_of_srgb() -> F32:
    x = np.arange(256) / 255.0
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32)


def linear_gray(encoded: NDArray[np.uint8]) -> F32:
    """Linear light, 0 to 1, of an sRGB-encoded gray picture (rows, columns), uint8."""
    return _linear_of_srgb()[encoded]


class BandEnergies:
    """Measures frames of one size.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the frames.
    frequencies : sequence of float
        Middles of the bands, cycles per pixel.
    window_px : float
        Standard deviation of the window in which energy is gathered.
    stride_px : int
        Distance between neighbouring blocks.
    """

    def __init__(
        self, shape: tuple[int, int], frequencies: Sequence[float], *, window_px: float = 5.0, stride_px: int = 8
    ) -> None:
        rows, columns = shape
        self.shape = shape
        self.frequencies = tuple(frequencies)
        self.window_px, self.stride_px = window_px, stride_px
        # coarse bands need no fine picture: half of it costs a quarter
        halves = stride_px % 2 == 0 and window_px >= _WIDE_PX and min(rows, columns) >= _LARGE_PX
        self._coarse = tuple(halves and frequency <= _COARSE for frequency in frequencies)
        self._whole = _Filters((rows, columns), [f for f, c in zip(frequencies, self._coarse, strict=True) if not c])
        half = ((rows + 1) // 2, (columns + 1) // 2)
        self._half = _Filters(half, [2 * f for f, c in zip(frequencies, self._coarse, strict=True) if c], halved=True)
        self._halves = halves
        self.grid = (len(range(0, rows, stride_px)), len(range(0, columns, stride_px)))

    def measure(self, gray: F32) -> F32:
        """Energies of a frame, in units of its mean brightness squared.

        Parameters
        ----------
        gray : ndarray, shape (rows, columns), float32
            Linear light.

        Returns
        -------
        ndarray, shape (bands, block rows, block columns), float32
        """
        return self._energies(np.asarray(gray / max(float(gray.mean()), 1e-6), np.float32), self.window_px)

    def noise(self, one: F32, other: F32) -> F32:
        """Energies of the noise alone, from two frames of one position; shape as of `measure`."""
        first, second = (frame / np.float32(max(float(frame.mean()), 1e-6)) for frame in (one, other))
        return self._energies(np.asarray((first - second) / np.sqrt(2.0), np.float32), 4 * self.window_px)

    def clipped(self, gray: F32) -> NDArray[np.bool_]:
        """Blocks with clipped light: (block rows, block columns), bool. What is clipped has no honest energy."""
        share = cv2.GaussianBlur((gray > _CLIPPED).astype(np.float32), (0, 0), self.window_px)
        return np.asarray(share[:: self.stride_px, :: self.stride_px] > 0.02)

    def _energies(self, light: F32, window_px: float) -> F32:
        found = np.empty((len(self.frequencies), *self.grid), np.float32)
        fine = (index for index, coarse in enumerate(self._coarse) if not coarse)
        stride = self.stride_px
        for band, plane in zip(fine, self._whole.planes(light), strict=True):
            energy = cv2.multiply(plane, plane)
            if self._halves:
                size = ((energy.shape[1] + 1) // 2, (energy.shape[0] + 1) // 2)
                energy = cv2.resize(energy, size, interpolation=cv2.INTER_AREA)
                found[band] = cv2.GaussianBlur(energy, (0, 0), 0.5 * window_px)[:: stride // 2, :: stride // 2]
            else:
                found[band] = cv2.GaussianBlur(energy, (0, 0), window_px)[::stride, ::stride]
        if any(self._coarse):
            coarse = (index for index, is_coarse in enumerate(self._coarse) if is_coarse)
            half = np.asarray(cv2.pyrDown(light, borderType=cv2.BORDER_REFLECT_101), np.float32)
            for band, plane in zip(coarse, self._half.planes(half), strict=True):
                energy = cv2.GaussianBlur(cv2.multiply(plane, plane), (0, 0), 0.5 * window_px)
                found[band] = energy[:: stride // 2, :: stride // 2]
        return found


class _Filters:
    """Bands of pictures of one size, cycles per pixel of theirs; `halved`: pictures that `cv2.pyrDown` made, whose blur is taken back."""

    def __init__(self, shape: tuple[int, int], frequencies: Sequence[float], *, halved: bool = False) -> None:
        self._shape = shape
        self._size = tuple(cv2.getOptimalDFTSize(n + 2 * _BORDER_PX) for n in shape)
        v, u = np.fft.fftfreq(self._size[0])[:, None], np.fft.rfftfreq(self._size[1])[None, :]
        radius = np.hypot(v, u)
        radius[0, 0] = 1e-9
        blur = (np.cos(np.pi * u / 2) * np.cos(np.pi * v / 2)) ** 4 if halved else np.ones_like(radius)
        self._weights = []
        for frequency in frequencies:
            octave = np.log2(radius / frequency) / BANDWIDTH_OCTAVES
            self._weights.append(_packed(np.exp(-0.5 * octave * octave) / blur, self._size[1]))

    def planes(self, picture: F32) -> Iterator[F32]:
        """Each band of `picture`."""
        if not self._weights:
            return
        rows, columns = self._shape
        below, right = self._size[0] - rows - _BORDER_PX, self._size[1] - columns - _BORDER_PX
        spectrum = cv2.dft(cv2.copyMakeBorder(picture, _BORDER_PX, below, _BORDER_PX, right, cv2.BORDER_REFLECT))
        inside = (slice(_BORDER_PX, _BORDER_PX + rows), slice(_BORDER_PX, _BORDER_PX + columns))
        for weights in self._weights:
            plane = cv2.idft(cv2.multiply(spectrum, weights), flags=cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT)
            yield np.asarray(plane[inside], np.float32)


def _packed(weights: NDArray[np.float64], columns: int) -> F32:
    """Real weights of the half spectrum (rows, columns // 2 + 1) for a spectrum packed as OpenCV does: each for real and imaginary part.

    The first column, and the last where their number is even, hold a real spectrum of their own, packed downwards.
    """
    rows = len(weights)
    down = (np.arange(rows) + 1) // 2
    packed = np.empty((rows, columns), np.float32)
    inner = (columns - 1) // 2
    packed[:, 0] = weights[down, 0]
    packed[:, 1 : 2 * inner + 1] = np.repeat(weights[:, 1 : inner + 1], 2, axis=1)
    if columns % 2 == 0:
        packed[:, -1] = weights[down, -1]
    return packed
