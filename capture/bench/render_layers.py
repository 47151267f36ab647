"""Layers made ready for drawing at one pitch: their pyramid, where they are empty, and the bank of defocus discs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.bench.optics import Kernel, disc
from capture.bench.scene import Layer

Picture = NDArray[np.float32]
_FIRST_RADIUS = 0.8
# From one disc of the bank to the next: below two pixels the pixel grid hides the difference.
_RATIO_SMALL, _RATIO = 1.6, 1.4
# A pyramid level is used for discs of 2 to 3 of its own pixels: small kernels, and still much wider than what it adds.
_LARGEST_KERNEL_RADIUS = 3.0
_CELL = 8
_BINOMIAL = np.array([0.25, 0.5, 0.25], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Disc:
    """One disc of the bank: radius in output pixels, the pyramid level it is applied at, and its kernel there."""

    radius: float
    level: int
    kernel: Kernel

    @property
    def reach_px(self) -> int:
        """How far from a pixel, in output pixels, the disc can fetch light."""
        return (int(self.kernel.shape[0]) // 2 + (2 if self.level else 0)) << self.level


def disc_bank(largest: float, top_level: int) -> list[Disc]:
    """Discs from a point to `largest` output pixels, each with its pyramid level."""
    bank = [Disc(0.0, 0, disc(0.0))]
    radius = _FIRST_RADIUS
    while True:
        radius = min(radius, largest)
        level = 0
        while level < top_level and radius / 2**level > _LARGEST_KERNEL_RADIUS:
            level += 1
        variance = radius**2 / 4.0 / 4.0**level
        if level:
            variance -= _level_variance(level)
        bank.append(Disc(radius, level, disc(variance)))
        if radius >= largest:
            return bank
        radius *= _RATIO_SMALL if radius < 2.0 else _RATIO


def _level_variance(level: int) -> float:
    """Variance that going down to a level and bilinear enlarging back up add, in squared pixels of the level.

    A step down (binomial, then pairs averaged) adds 3/4 of a squared fine pixel; enlarging 2^k times adds 1/6 + 4^-k / 12; the
    bicubic resampling between takes 0.058 away on average.
    """
    return 0.25 * (1.0 - 4.0**-level) + 1.0 / 6.0 + 4.0**-level / 12.0 - 0.058


def unbiased(position: Picture) -> Picture:
    """Positions to ask of OpenCV's bicubic interpolation so that it draws what lies at `position`.

    Its kernel (a = -3/4) does not reproduce a slope: at a fraction f of a pixel it looks f (1 - f) (1 - 2 f) / 2 farther, up to
    0.05 px. The inverse is a polynomial fit, good to 0.002 px.
    """
    t = position - np.floor(position)
    t -= np.float32(0.5)
    square = t * t
    correction = np.float32(1.2277) - np.float32(2.864) * square
    correction *= np.float32(0.25) - square
    correction *= t
    correction += position
    return correction


class PreparedLayer:
    """One layer at the pitch of a renderer: its pyramid, its depth, and where it is empty."""

    def __init__(self, layer: Layer, pitch_px: float) -> None:
        rgba = layer.rgba
        self.canvas_rows, self.canvas_columns = int(rgba.shape[0]), int(rgba.shape[1])
        step, self.pitch_x, self.pitch_y = 32, 1.0, 1.0
        if pitch_px > 1.0:
            step = 16
            rows = step * math.ceil(self.canvas_rows / pitch_px / step)
            columns = step * math.ceil(self.canvas_columns / pitch_px / step)
            down = max(round(rows * pitch_px) - self.canvas_rows, 0)
            right = max(round(columns * pitch_px) - self.canvas_columns, 0)
            rgba = single(cv2.copyMakeBorder(rgba, 0, down, 0, right, cv2.BORDER_REFLECT))
            self.pitch_y, self.pitch_x = rgba.shape[0] / rows, rgba.shape[1] / columns
            rgba = single(cv2.resize(rgba, (columns, rows), interpolation=cv2.INTER_AREA))
        self.opaque = layer.opaque
        self.nearest_um, self.farthest_um = float(layer.depth_um.min()), float(layer.depth_um.max())
        self.depth_um = layer.depth_um
        self.levels = [np.ascontiguousarray(rgba)]
        while step > 1:
            rows, columns = self.levels[-1].shape[:2]
            soft = cv2.sepFilter2D(self.levels[-1], -1, _BINOMIAL, _BINOMIAL, borderType=cv2.BORDER_REFLECT)
            self.levels.append(single(cv2.resize(soft, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)))
            step //= 2
        full = layer.rgba[..., 3]
        cells = full.reshape(self.canvas_rows // _CELL, _CELL, self.canvas_columns // _CELL, _CELL).max(axis=(1, 3)) > 0
        self.filled = cv2.integral(cells.astype(np.uint8))

    def empty(self, left: float, right: float, top: float, bottom: float) -> bool:
        """Whether nothing is painted inside a rectangle, in still pixels from the optical axis."""
        rows, columns = self.filled.shape
        x0 = _clip(math.floor((left + self.canvas_columns / 2) / _CELL), columns - 2)
        x1 = _clip(math.floor((right + self.canvas_columns / 2) / _CELL), columns - 2) + 1
        y0 = _clip(math.floor((top + self.canvas_rows / 2) / _CELL), rows - 2)
        y1 = _clip(math.floor((bottom + self.canvas_rows / 2) / _CELL), rows - 2) + 1
        f = self.filled
        return int(f[y1, x1]) - int(f[y0, x1]) - int(f[y1, x0]) + int(f[y0, x0]) == 0


def _clip(value: int, top: int) -> int:
    return max(0, min(value, top))


def single(array: object) -> Picture:
    """What OpenCV returns, typed as the single precision it was given."""
    return np.asarray(array, dtype=np.float32)
