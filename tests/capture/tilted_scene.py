"""A `View` of a tilted, textured plane, blurred here by discs: nothing of it is shared with what is tested."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
FINE = 6  # the discs are drawn on a finer grid


@cache
def disc(diameter_px: float) -> F32:
    """A uniform disc of `diameter_px`, which sums to one."""
    reach = int(np.ceil(diameter_px / 2)) + 1
    axis = np.arange(-reach * FINE - FINE // 2, reach * FINE + FINE // 2 + FINE % 2 + 1)[: (2 * reach + 1) * FINE]
    inside = np.hypot(axis[:, None], axis[None, :]) <= max(diameter_px, 0.9) * FINE / 2
    size = 2 * reach + 1
    kernel = inside.reshape(size, FINE, size, FINE).sum(axis=(1, 3)).astype(np.float32)
    return np.asarray(kernel / kernel.sum(), np.float32)


def blurred(picture: F32, diameter_px: float) -> F32:
    """`picture` seen through a uniform disc of `diameter_px`."""
    return np.asarray(cv2.filter2D(picture, cv2.CV_32F, disc(diameter_px), borderType=cv2.BORDER_REFLECT), np.float32)


def texture(seed: int, shape: tuple[int, int] = (240, 320)) -> F32:
    """Noise with the spectrum of natural pictures, mean 0.3."""
    rng = np.random.default_rng(seed)
    radius = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    radius[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) / radius
    plane = np.fft.irfft2(spectrum, shape)
    return np.asarray(0.3 + 0.06 * plane / plane.std(), np.float32)


class Scene:
    """A `View` of a tilted, textured plane: near at the left, far at the right; as bright as `ground` where `bare` says so."""

    def __init__(
        self,
        seed: int,
        growth: float,
        near: float,
        far: float,
        *,
        noise: float = 0.002,
        bare: float = 0.0,
        ground: float = 0.3,
        shape: tuple[int, int] = (240, 320),
    ) -> None:
        self.growth, self.near, self.far, self.noise = growth, near, far, noise
        self.limits = (-20_000.0, 20_000.0)
        self.resolution = 0.5
        self.here = (near + far) / 2
        self.seen: list[float] = []
        self._rng = np.random.default_rng(seed)
        self._picture = texture(seed, shape)
        self._picture[: round(bare * len(self._picture))] = ground
        self._strips = 8
        self.depths: NDArray[np.float64] | None = None  # of the strips; None: evenly from near to far
        self.light = 1.0

    def frame(self, position: float) -> tuple[float, F32]:
        self.here = round(position / self.resolution) * self.resolution
        self.seen.append(self.here)
        return self.here, self.again()

    def again(self) -> F32:
        columns = self._picture.shape[1]
        out = np.empty_like(self._picture)
        depths = np.linspace(self.near, self.far, self._strips) if self.depths is None else self.depths
        edges = np.linspace(0, columns, self._strips + 1).astype(int)
        for depth, left, right in zip(depths, edges[:-1], edges[1:], strict=True):
            diameter = min(self.growth * abs(self.here - depth), 40.0)
            reach = int(np.ceil(diameter / 2)) + 2
            first, last = max(left - reach, 0), min(right + reach, columns)
            out[:, left:right] = blurred(self._picture[:, first:last], diameter)[:, left - first : right - first]
        flicker = 1 + 0.02 * self._rng.standard_normal()
        seen = out * flicker * self.light + self.noise * self._rng.standard_normal(out.shape)
        return np.asarray(np.minimum(seen, 1.0), np.float32)
