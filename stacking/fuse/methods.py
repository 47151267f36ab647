"""The methods of fusion by name."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stacking.frames import Pixels
from stacking.fuse.average import AverageFusion
from stacking.fuse.bands import Bands
from stacking.fuse.canvas import Canvas
from stacking.fuse.depth_volume import DepthVolume
from stacking.fuse.focal_sweep import FocalSweep
from stacking.fuse.frame_planes import FramePlanes
from stacking.fuse.noise import NoiseEnergy, measure_noise
from stacking.fuse.pyramid import PyramidFusion, PyramidTuning, levels_for
from stacking.options import Method

# Bytes per pixel of the canvas or strip: running sums, planes of the frame at hand, and the result while it is made.
BYTES_PER_PIXEL = {Method.AVERAGE: 26.0, Method.DEPTHMAP: 36.0, Method.PYRAMID: 30.5, Method.AUTO: 30.5}


class Fusion(Protocol):
    """A running fusion: frames go in one after the other, in memory that does not grow with their number."""

    def add(
        self, planes: FramePlanes, matrix: NDArray[np.float64], frame_size: tuple[int, int], position: float
    ) -> None:
        """Take in one frame, resampled through ``matrix`` (canvas to frame); ``frame_size`` is (width, height)."""

    def result(self) -> NDArray[np.uint16]:
        """The picture; ends the fusion."""


def noise_for(method: Method, canvas: Canvas, image: Pixels, gain: NDArray[np.float64]) -> NoiseEnergy:
    """Measure the noise of a frame as a method wants it known; ``canvas`` is the whole picture."""
    if method is Method.AVERAGE:
        return NoiseEnergy((0.0,))
    return measure_noise(image, gain, levels_for(canvas), PyramidTuning().share)


def running_fusion(
    method: Method,
    canvas: Canvas,
    bands: Bands,
    noise: NoiseEnergy,
    *,
    levels: int,
    sharpens: bool,
    volume: DepthVolume | None,
    sweep: FocalSweep | None,
) -> AverageFusion | PyramidFusion:
    """A running fusion that needs the frames once, on the whole picture or a strip of it.

    ``levels`` are those of the whole picture; ``sharpens`` gives the finest detail back what it has lost; ``volume`` takes in the
    focus of every frame where a depth map is wanted, ``sweep`` every frame where the picture will be corrected.
    """
    if method is Method.AVERAGE:
        return AverageFusion(canvas, bands)
    tuning = PyramidTuning(levels=levels, sharpens=sharpens)
    return PyramidFusion(canvas, bands, noise, tuning, volume=volume, sweep=sweep)
