"""Energy of a frame in narrow bands of spatial frequency, block by block.

Energies do not feel where in a block the texture lies, so the slow change of magnification over a sweep hardly matters; they are taken
of linear light, divided by the frame's brightness (flicker), and their noise is known from two frames of one position.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.focus.defocus import BANDWIDTH_OCTAVES

F32 = NDArray[np.float32]

_BORDER_PX = 16
_CLIPPED = 0.98
_WIDE_PX = 4.0


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
        self._size = tuple(cv2.getOptimalDFTSize(n + 2 * _BORDER_PX) for n in (rows, columns))
        radius = np.hypot(np.fft.fftfreq(self._size[0])[:, None], np.fft.rfftfreq(self._size[1])[None, :])
        radius[0, 0] = 1e-9
        octaves = [np.log2(radius / frequency) / BANDWIDTH_OCTAVES for frequency in frequencies]
        self._filters = [_packed(np.exp(-0.5 * octave * octave), self._size[1]) for octave in octaves]
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
        mean = max(float(gray.mean()), 1e-6)
        return self._energies(self._spectrum(np.asarray(gray / mean, np.float32)), self.window_px)

    def noise(self, one: F32, other: F32) -> F32:
        """Energies of the noise alone, from two frames of one position; shape as of `measure`."""
        first, second = (frame / np.float32(max(float(frame.mean()), 1e-6)) for frame in (one, other))
        return self._energies(
            self._spectrum(np.asarray((first - second) / np.sqrt(2.0), np.float32)), 4 * self.window_px
        )

    def clipped(self, gray: F32) -> NDArray[np.bool_]:
        """Blocks with clipped light: (block rows, block columns), bool. What is clipped has no honest energy."""
        share = cv2.GaussianBlur((gray > _CLIPPED).astype(np.float32), (0, 0), self.window_px)
        return np.asarray(share[:: self.stride_px, :: self.stride_px] > 0.02)

    def _spectrum(self, gray: F32) -> F32:
        """Packed as OpenCV packs the spectrum of what is real."""
        rows, columns = self.shape
        below, right = self._size[0] - rows - _BORDER_PX, self._size[1] - columns - _BORDER_PX
        padded = cv2.copyMakeBorder(gray, _BORDER_PX, below, _BORDER_PX, right, cv2.BORDER_REFLECT)
        return np.asarray(cv2.dft(padded), np.float32)

    def _energies(self, spectrum: F32, window_px: float) -> F32:
        rows, columns = self.shape
        found = np.empty((len(self._filters), *self.grid), np.float32)
        inside = (slice(_BORDER_PX, _BORDER_PX + rows), slice(_BORDER_PX, _BORDER_PX + columns))
        # where the window is wide, its blur of half the picture is as good and costs a quarter
        halved = window_px >= _WIDE_PX and self.stride_px % 2 == 0 and min(rows, columns) >= 2 * _BORDER_PX
        for band, weights in enumerate(self._filters):
            plane = cv2.idft(cv2.multiply(spectrum, weights), flags=cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT)[inside]
            energy = cv2.multiply(plane, plane)
            if halved:
                half = ((columns + 1) // 2, (rows + 1) // 2)
                energy = cv2.GaussianBlur(
                    cv2.resize(energy, half, interpolation=cv2.INTER_AREA), (0, 0), 0.5 * window_px
                )
                found[band] = energy[:: self.stride_px // 2, :: self.stride_px // 2]
            else:
                energy = cv2.GaussianBlur(energy, (0, 0), window_px)
                found[band] = energy[:: self.stride_px, :: self.stride_px]
        return found


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
