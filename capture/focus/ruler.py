"""The spacing of a ruled target (a stage micrometer, a ruler, a grating) in a picture of it: magnification follows."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_SHORTEST_PX, _FEWEST_LINES = 4.0, 5
_PROMINENT = 6.0
_HARMONICS = (2, 3)
_FINE = 1e-3
_FLAT = 1e-4


@dataclass(frozen=True, slots=True)
class Spacing:
    """Distance of neighbouring lines.

    Attributes
    ----------
    px, uncertainty_px : float
    angle_deg : float
        Of the direction across the lines.
    prominence : float
        Of the line's frequency over all else, in amplitude.
    """

    px: float
    uncertainty_px: float
    angle_deg: float
    prominence: float


def find_spacing(gray: F32) -> Spacing | None:
    """The strongest spacing of parallel lines, at any angle; None where none stands out.

    Parameters
    ----------
    gray : ndarray, shape (rows, columns), float32
    """
    rows, columns = gray.shape
    flat = gray - cv2.GaussianBlur(gray, (0, 0), max(rows, columns) / 8)
    window = np.asarray(cv2.createHanningWindow((columns, rows), cv2.CV_32F), np.float32)
    if float(flat.std()) < _FLAT * max(abs(float(gray.mean())), 1e-9):
        return None
    windowed = np.asarray(flat * window, np.float64)
    spectrum = np.abs(np.fft.rfft2(windowed))
    v, u = np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None, :]
    radius = np.hypot(v, u)
    seen = (radius < 1 / _SHORTEST_PX) & (radius > _FEWEST_LINES / max(rows, columns))
    if not seen.any():
        return None
    at = np.unravel_index(int(np.argmax(np.where(seen, spectrum, 0.0))), spectrum.shape)
    typical = float(np.sqrt((np.where(seen, spectrum, 0.0) ** 2).sum() / seen.sum()))
    found = np.array([float(np.fft.fftfreq(rows)[at[0]]), float(np.fft.rfftfreq(columns)[at[1]])])
    best, height = _climb(windowed, found, (1.0 / rows, 1.0 / columns))
    # what is strongest may be a harmonic of the lines
    for part in _HARMONICS:
        lower = best / part
        if np.hypot(*lower) > _FEWEST_LINES / max(rows, columns):
            refined, strength = _climb(windowed, lower, (0.5 / rows, 0.5 / columns))
            if strength > 0.25 * height:
                best, height = refined, strength
                break
    prominence = height / max(typical, 1e-12)
    if prominence < _PROMINENT:
        return None
    frequency = float(np.hypot(*best))
    extent = abs(best[0]) / frequency * rows + abs(best[1]) / frequency * columns
    # the phase over the window is known to about the noise over the signal of a turn
    uncertainty = 1.0 / frequency**2 / extent / prominence
    return Spacing(1 / frequency, uncertainty, float(np.degrees(np.arctan2(best[0], best[1]))) % 180, prominence)


def line_phase(gray: F32, lines: Spacing) -> float:
    """Where the lines lie, in turns of one of them (0 to 1): the phase of their frequency in the middle of the picture.

    Parameters
    ----------
    gray : ndarray, shape (rows, columns), float32
    lines : Spacing
        As `find_spacing` found them in a picture of the same size.
    """
    rows, columns = gray.shape
    angle = np.radians(lines.angle_deg)
    down, across = np.sin(angle) / lines.px, np.cos(angle) / lines.px
    y, x = np.arange(rows) - (rows - 1) / 2, np.arange(columns) - (columns - 1) / 2
    window = np.asarray(cv2.createHanningWindow((columns, rows), cv2.CV_32F), np.float64)
    wave = np.exp(-2j * np.pi * down * y) @ ((gray - gray.mean()) * window) @ np.exp(-2j * np.pi * across * x)
    return float(np.angle(wave) / (2 * np.pi)) % 1.0


def _climb(picture: F64, start: F64, reach: tuple[float, float]) -> tuple[F64, float]:
    """The top of the spectrum near a frequency (down, across), cycles per pixel, between its bins."""
    y, x = np.arange(picture.shape[0]), np.arange(picture.shape[1])
    best, step = start, np.array(reach)

    def height(frequency: F64) -> float:
        turn = 2 * np.pi * frequency[1] * x
        across = picture @ np.stack([np.cos(turn), np.sin(turn)], axis=1)
        return float(abs(np.exp(-2j * np.pi * frequency[0] * y) @ (across[:, 0] - 1j * across[:, 1])))

    top = height(best)
    while step[0] > _FINE * reach[0]:
        around = [best + step * np.array(move) for move in ((-1, 0), (1, 0), (0, -1), (0, 1))]
        heights = [height(frequency) for frequency in around]
        if max(heights) > top:
            best, top = around[int(np.argmax(heights))], max(heights)
        else:
            step = step / 2
    return best, top
