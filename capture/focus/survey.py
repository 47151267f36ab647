"""What is kept of every frame of a stack: brightness, energies of coarse bands, and the direction of fine texture, block by block.

A few ten kilobytes a frame, whatever its size; peaks, growth of blur, gaps and shaken frames are read from it.

References
----------
[1] J. Bigun and G. H. Granlund, "Optimal orientation detection of linear symmetry", ICCV 1987 (the structure tensor).
[2] M. Felsberg and G. Sommer, "The monogenic signal", IEEE Trans. Signal Process. 49, 2001 (the Riesz transform).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.focus.bands import BandEnergies, linear_gray
from capture.focus.defocus import BANDWIDTH_OCTAVES
from stacking.errors import FrameError

F16 = NDArray[np.float16]
F32 = NDArray[np.float32]

# Cycles per pixel of the half-size frame.
COARSE_BANDS = (0.03, 0.06, 0.11)
FINE_BANDS = (0.2, 0.35)
BANDS = COARSE_BANDS + FINE_BANDS
HALF_PX = 2.0  # pixels of the still in one of the half-size frame
_MOST_BLOCKS = 4000
_LEAST_STRIDE_PX = 8
_BORDER_PX = 16
_DIMMEST = -30.0


@dataclass(frozen=True, slots=True)
class FrameSurvey:
    """One frame.

    Attributes
    ----------
    brightness : float
        Mean of its linear light, 0 to 1.
    levels : ndarray, shape (bands, block rows, block columns), float16
        Base-2 logarithm of the energies in `BANDS`, in units of the mean brightness squared.
    direction : ndarray, shape (fine bands, 2, block rows, block columns), int8
        127 times cosine and sine of twice the angle of the texture's gradient, times how much of it has that direction (0 to 1).
    thumb : ndarray, uint8
        The frame, some hundred pixels wide.
    """

    brightness: float
    levels: F16
    direction: NDArray[np.int8]
    thumb: NDArray[np.uint8]


class Surveyor:
    """Surveys frames of one size: (rows, columns) of the half-size gray."""

    def __init__(self, shape: tuple[int, int]) -> None:
        rows, columns = shape
        self.shape = shape
        self.stride_px = max(_LEAST_STRIDE_PX, int(np.ceil(np.sqrt(rows * columns / _MOST_BLOCKS))))
        self.window_px = 0.6 * self.stride_px
        self.bands = BandEnergies(shape, COARSE_BANDS, window_px=self.window_px, stride_px=self.stride_px)
        self._size = tuple(cv2.getOptimalDFTSize(n + 2 * _BORDER_PX) for n in shape)
        v = np.fft.fftfreq(self._size[0])[:, None]
        u = np.fft.rfftfreq(self._size[1])[None, :]
        radius = np.hypot(u, v)
        radius[0, 0] = 1e-9
        # the Riesz transform of a band: its gradient's two components, each frequency at its own strength
        self._riesz = [
            (np.asarray(weight * 1j * u / radius, np.complex64), np.asarray(weight * 1j * v / radius, np.complex64))
            for weight in (np.exp(-0.5 * (np.log2(radius / f) / BANDWIDTH_OCTAVES) ** 2) for f in FINE_BANDS)
        ]

    def survey(self, gray: NDArray[np.uint8]) -> FrameSurvey:
        """Survey one frame.

        Parameters
        ----------
        gray : ndarray, shape as given, uint8
            sRGB-encoded luma at half size.

        Raises
        ------
        FrameError
            For another shape.
        """
        if gray.shape != self.shape:
            raise FrameError(f"a frame of {gray.shape[1]}x{gray.shape[0]} among others", remedy="Leave it out.")
        light = linear_gray(gray)
        brightness = float(light.mean())
        fine, direction = self._fine(np.asarray(light / max(brightness, 1e-6), np.float32))
        levels = np.concatenate([self.bands.measure(light), fine])
        width = 320
        thumb = cv2.resize(
            gray, (width, max(1, round(width * gray.shape[0] / gray.shape[1]))), interpolation=cv2.INTER_AREA
        )
        return FrameSurvey(brightness, _log(levels), direction, np.asarray(thumb))

    def _fine(self, light: F32) -> tuple[F32, NDArray[np.int8]]:
        rows, columns = self.shape
        below, right = self._size[0] - rows - _BORDER_PX, self._size[1] - columns - _BORDER_PX
        spectrum = np.fft.rfft2(cv2.copyMakeBorder(light, _BORDER_PX, below, _BORDER_PX, right, cv2.BORDER_REFLECT))
        inside = (slice(_BORDER_PX, _BORDER_PX + rows), slice(_BORDER_PX, _BORDER_PX + columns))
        energies, directions = [], []
        for parts in self._riesz:
            across, down = (np.fft.irfft2(spectrum * part, self._size)[inside].astype(np.float32) for part in parts)
            xx, yy, xy = (self._gathered(plane) for plane in (across * across, down * down, across * down))
            safe = np.maximum(xx + yy, 1e-12)
            energies.append(xx + yy)
            directions.append(np.stack([(xx - yy) / safe, 2 * xy / safe]))
        return np.stack(energies), np.rint(127 * np.stack(directions)).astype(np.int8)

    def _gathered(self, plane: F32) -> F32:
        blurred = cv2.GaussianBlur(plane, (0, 0), self.window_px)
        return np.asarray(blurred[:: self.stride_px, :: self.stride_px], np.float32)


def lain_on(survey: FrameSurvey, matrix: NDArray[np.float64], surveyor: Surveyor) -> FrameSurvey:
    """The levels and the thumbnail of a frame where the reference frame has its blocks.

    Parameters
    ----------
    survey : FrameSurvey
    matrix : ndarray, shape (2, 3)
        From (x, y, 1) of the reference frame to (x, y) of this one, in pixels of the still (`stacking.frames.Registration`).
    surveyor : Surveyor
        That made it.
    """
    stride, middle = HALF_PX * surveyor.stride_px, (HALF_PX - 1) / 2
    at = _places(survey.levels.shape[1:], matrix, stride, middle)
    levels = [
        cv2.remap(np.asarray(plane, np.float32), *at, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        for plane in survey.levels
    ]
    shrunk = HALF_PX * surveyor.shape[1] / survey.thumb.shape[1]
    at = _places(survey.thumb.shape, matrix, shrunk, (shrunk - 1) / 2)
    thumb = cv2.remap(survey.thumb, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return replace(survey, levels=np.asarray(np.stack(levels), np.float16), thumb=np.asarray(thumb, np.uint8))


def _places(shape: tuple[int, ...], matrix: NDArray[np.float64], stride_px: float, first_px: float) -> tuple[F32, F32]:
    """Columns and rows at which a grid of every `stride_px` pixels of the still, `first_px` the first, lies after `matrix`."""
    rows, columns = shape
    x, y = np.meshgrid(np.arange(columns) * stride_px + first_px, np.arange(rows) * stride_px + first_px)
    across, down = ((row[0] * x + row[1] * y + row[2] - first_px) / stride_px for row in matrix)
    return np.asarray(across, np.float32), np.asarray(down, np.float32)


def _log(energy: F32) -> F16:
    return np.asarray(np.log2(np.maximum(energy, 2.0**_DIMMEST)), np.float16)
