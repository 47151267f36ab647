"""Vibration of the picture after a move, and the trail it leaves during an exposure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capture.bench.optics import Kernel

Path2D = NDArray[np.float64]

SETTLED_PX = 0.25
# Dry friction: it ends a vibration instead of letting it fade for ever, so pictures at rest are identical.
_FRICTION_PX = 0.05
_SAMPLES_PER_PERIOD = 12
_MAX_SAMPLES = 512


@dataclass(frozen=True, slots=True)
class Vibration:
    """A damped oscillation along one direction, in pixels of the still.

    Attributes
    ----------
    settle_s : float
        Device seconds after a move from which the shake stays under 0.25 px of the still; 0 for no vibration at all.
    amplitude_px : float
        Right at the end of a move.
    frequency_hz : float
    direction : (float, float)
        Unit vector, x and y.
    """

    settle_s: float
    amplitude_px: float = 8.0
    frequency_hz: float = 17.0
    direction: tuple[float, float] = (0.48, 0.877)

    def envelope_px(self, rest_s: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Bound of the shake at a time after the move: exponential decay less dry friction, 0.25 px at `settle_s`."""
        rest = np.asarray(rest_s, dtype=np.float64)
        if self.settle_s <= 0.0:
            return np.zeros_like(rest)
        decay_s = self.settle_s / math.log(self.amplitude_px / (SETTLED_PX + _FRICTION_PX))
        return np.asarray(np.maximum(self.amplitude_px * np.exp(-rest / decay_s) - _FRICTION_PX, 0.0))

    def path(self, rest_s: float, exposure_s: float) -> Path2D:
        """Offsets of the picture at even times during an exposure that begins `rest_s` after the move.

        Returns
        -------
        ndarray, shape (n, 2), float64
            x and y in pixels of the still.
        """
        if not math.isfinite(rest_s) or float(self.envelope_px(rest_s)) == 0.0:
            return np.zeros((1, 2))
        count = min(max(math.ceil(exposure_s * self.frequency_hz * _SAMPLES_PER_PERIOD), 2), _MAX_SAMPLES)
        times = rest_s + (np.arange(count) + 0.5) / count * exposure_s
        swing = self.envelope_px(times) * np.cos(2.0 * math.pi * self.frequency_hz * times)
        return np.asarray(swing[:, None] * np.asarray(self.direction))


def line(length_px: float, angle_deg: float) -> Path2D:
    """A straight shake of a total length through the middle; shape (n, 2)."""
    angle = math.radians(angle_deg)
    count = max(math.ceil(length_px * 4), 2)
    along = (np.arange(count) + 0.5) / count - 0.5
    return np.asarray(length_px * along[:, None] * np.array([math.cos(angle), math.sin(angle)]))


def trail(path_px: Path2D) -> Kernel | None:
    """The kernel that smears a picture along a path round its mean; None where the path stays within a tenth of a pixel.

    Parameters
    ----------
    path_px : ndarray, shape (n, 2)
        x and y in pixels of the picture to be smeared, each for the same share of the exposure.

    Returns
    -------
    ndarray, shape (m, m), float32, m odd; or None
        To be convolved with the picture; sums to one.
    """
    offset = path_px - path_px.mean(axis=0)
    reach = float(np.abs(offset).max())
    if reach < 0.1:
        return None
    half = math.ceil(reach)
    kernel = np.zeros((2 * half + 2, 2 * half + 2))
    corner = np.floor(offset).astype(int)
    part = offset - corner
    for down in (0, 1):
        for right in (0, 1):
            weight = (part[:, 0] if right else 1 - part[:, 0]) * (part[:, 1] if down else 1 - part[:, 1])
            np.add.at(kernel, (corner[:, 1] + half + down, corner[:, 0] + half + right), weight)
    kernel = kernel[: 2 * half + 1, : 2 * half + 1]
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)
