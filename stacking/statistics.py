"""Sharpness curves from running sums: where over z a block of the picture was sharpest, and how sure that is.

Guo's weighted fit of a Gaussian (2011, doi:10.1109/MSP.2011.941846): the logarithm of a Gaussian is a parabola, and its least
squares with weights y^2 needs seven sums, whatever the number of frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

_FEWEST_FRAMES = 3


@dataclass(frozen=True, slots=True)
class SharpnessPeaks:
    """The fitted curve of every block.

    Attributes
    ----------
    position : ndarray, float64
        Of the peak, in the unit of the positions; NaN where there is none.
    width : ndarray, float64
        Standard deviation of the curve, same unit; NaN where there is none.
    height : ndarray, float64
        Sharpness at the peak.
    confidence : ndarray, float64
        0 to 1: the part of the measured curve that the fit stands for; 0 where there is none.
    """

    position: F64
    width: F64
    height: F64
    confidence: F64


class SharpnessCurves:
    """Running sums of the sharpness of blocks over position.

    The result does not depend on the order in which the frames come, but for rounding.

    Parameters
    ----------
    shape : tuple of int
        Of the maps that will be added.
    origin, scale : float
        A position in the range and about half its extent: sums of powers keep their digits around it.
    """

    def __init__(self, shape: tuple[int, ...], *, origin: float = 0.0, scale: float = 1.0) -> None:
        if scale <= 0:
            raise ValueError(f"the scale must be positive, not {scale}")
        self._origin, self._scale = origin, scale
        self._powers = np.zeros((5, *shape))
        self._logs = np.zeros((3, *shape))
        self._energy = np.zeros(shape)
        self._frames = 0

    def add(self, position: float, sharpness: NDArray[np.floating]) -> None:
        """Take in one frame's map: sharpness above the noise, not negative."""
        if sharpness.shape != self._energy.shape:
            raise ValueError(f"expected a map of {self._energy.shape}, not {sharpness.shape}")
        t = (position - self._origin) / self._scale
        y = np.maximum(np.asarray(sharpness, np.float64), 0.0)
        square = y * y
        log = np.log(np.maximum(y, 1e-30))
        power = 1.0
        for k in range(5):
            self._powers[k] += square * power
            if k < 3:
                self._logs[k] += square * log * power
            power *= t
        self._energy += square * log * log
        self._frames += 1

    def peaks(self) -> SharpnessPeaks:
        """Fit every block."""
        s0, s1, s2, s3, s4 = self._powers
        safe = np.maximum(s0, 1e-300)
        mean = s1 / safe
        # Orthogonal parabola: 1, t - mean, and (t - mean)^2 less what of it the others hold.
        c2 = s2 / safe - mean**2
        c3 = s3 / safe - 3 * mean * s2 / safe + 2 * mean**3
        c4 = s4 / safe - 4 * mean * s3 / safe + 6 * mean**2 * s2 / safe - 3 * mean**4
        l0 = self._logs[0] / safe
        l1 = self._logs[1] / safe - mean * l0
        l2 = self._logs[2] / safe - 2 * mean * self._logs[1] / safe + mean**2 * l0
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = c3 / c2
            norm = c4 - c2**2 - slope * c3
            curvature = (l2 - c2 * l0 - slope * l1) / norm
            linear = l1 / c2 - curvature * slope
            usable = (s0 > 0) & (c2 > 1e-12) & (norm > 1e-12) & (curvature < 0) & (self._frames >= _FEWEST_FRAMES)
            shift = -linear / (2 * curvature)
            position = self._origin + self._scale * (mean + shift)
            width = self._scale * np.sqrt(-1.0 / (2 * curvature))
            height = np.exp(l0 - curvature * c2 - curvature * shift**2)
            spread = self._energy / safe - l0**2
            explained = (l1**2 / c2 + curvature**2 * norm) / spread
        return SharpnessPeaks(
            np.where(usable, position, np.nan),
            np.where(usable, width, np.nan),
            np.where(usable, height, 0.0),
            np.where(usable & np.isfinite(explained), np.clip(explained, 0.0, 1.0), 0.0),
        )
