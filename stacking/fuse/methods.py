"""The methods of fusion by name."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stacking.frames import Pixels
from stacking.fuse.average import AverageFusion
from stacking.fuse.bands import Bands
from stacking.fuse.canvas import Canvas
from stacking.fuse.depth import DepthEstimate
from stacking.fuse.depth_volume import volume_bytes_per_pixel
from stacking.fuse.depthmap import DepthMapFusion
from stacking.fuse.frame_planes import FramePlanes
from stacking.fuse.noise import NoiseEnergy, measure_noise
from stacking.fuse.pyramid import PyramidFusion, PyramidTuning, levels_for
from stacking.options import Method

# Bytes per pixel of the canvas: running sums, planes of the frame at hand, and the result while it is made.
_BYTES_PER_PIXEL = {Method.AVERAGE: 24.0, Method.DEPTHMAP: 44.0, Method.PYRAMID: 34.5, Method.AUTO: 34.5}
# What is still held of them when the depth is made.
_RESULT_BYTES_PER_PIXEL = 10.0


class Fusion(Protocol):
    """A running fusion: frames go in one after the other, in memory that does not grow with their number.

    Attributes
    ----------
    passes : int
        How often the frames have to come, each time in the same order.
    """

    passes: int

    def next_pass(self) -> None:
        """Called between two passes."""

    def add(
        self, planes: FramePlanes, matrix: NDArray[np.float64], frame_size: tuple[int, int], position: float
    ) -> None:
        """Take in one frame, resampled through ``matrix`` (canvas to frame); ``frame_size`` is (width, height)."""

    def result(self) -> tuple[NDArray[np.uint16], DepthEstimate | None]:
        """The picture and its depth; ends the fusion."""


def noise_for(method: Method, canvas: Canvas, image: Pixels, gain: NDArray[np.float64]) -> NoiseEnergy:
    """Measure the noise of a frame as a method wants it known; ``canvas`` is the whole picture."""
    if method is Method.AVERAGE:
        return NoiseEnergy((0.0,))
    return measure_noise(image, gain, levels_for(canvas), PyramidTuning().share)


def fusion_for(
    method: Method,
    canvas: Canvas,
    bands: Bands,
    noise: NoiseEnergy,
    *,
    levels: int,
    depth_frames: int,
    depth_level: int | None = None,
) -> Fusion:
    """A running fusion by its name, on the whole picture or a strip of it.

    ``levels`` and ``depth_level`` are those of the whole picture; ``depth_frames`` the frames that a depth map is wanted of (0:
    none is).
    """
    if method is Method.AVERAGE:
        return AverageFusion(canvas, bands)
    if method is Method.DEPTHMAP:
        return DepthMapFusion(canvas, bands, noise)
    tuning = PyramidTuning(levels=levels)
    return PyramidFusion(canvas, bands, noise, tuning, depth_frames=depth_frames, depth_level=depth_level)


def bytes_per_pixel(method: Method, *, pixels: int, depth_frames: int) -> float:
    """Memory that a fusion takes per pixel of its canvas; ``pixels`` of the whole picture, ``depth_frames`` as for `fusion_for`."""
    own = _BYTES_PER_PIXEL[method]
    if not depth_frames or method in (Method.DEPTHMAP, Method.AVERAGE):
        return own
    return own + volume_bytes_per_pixel(pixels, depth_frames, own - _RESULT_BYTES_PER_PIXEL)
