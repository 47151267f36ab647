"""Fusion by depth map: where is each pixel sharp, then the mean of the frames nearest to that depth.

The first pass finds depth from the focus curve of every pixel, smooths and fills it; the second takes each pixel from the
frames that lie around its depth. True colour and little noise on smooth surfaces; crossings and hairs suffer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.bands import Bands, rows_of
from stacking.fuse.canvas import Canvas, spans_by_level
from stacking.fuse.depth import DepthEstimate
from stacking.fuse.frame_planes import FramePlanes
from stacking.fuse.noise import NoiseEnergy
from stacking.fuse.pyramid import PyramidFusion, PyramidTuning

# Frames on each side of the depth that still count.
_REACH_FRAMES = 1.0


class DepthMapFusion:
    """A fusion in two passes over the frames.

    Parameters
    ----------
    canvas : Canvas
    bands : Bands
    noise : NoiseEnergy
    """

    passes = 2

    def __init__(self, canvas: Canvas, bands: Bands, noise: NoiseEnergy) -> None:
        self._canvas = canvas
        self._bands = bands
        # Two levels are all the depth is made of; power and clamp of the picture play no part.
        self._focus: PyramidFusion | None = PyramidFusion(
            canvas, bands, noise, PyramidTuning(share=2.0, powers=(6,), levels=2, clamp=False), wants_moments=True
        )
        self._estimate: DepthEstimate | None = None
        self._count = 0

    def next_pass(self) -> None:
        """The frames come once more, in the same order."""
        assert self._focus is not None
        self._estimate = self._focus.result()[1]
        self._focus = None
        self._half = np.ascontiguousarray(self._filled()[::2, ::2])
        shapes = [self._canvas.level_shape(level) for level in (0, 1, 1)]
        self._sums = [np.zeros(shape, np.float32) for shape in shapes]
        self._weights = [np.zeros(shape, np.float32) for shape in shapes[:2]]

    def add(
        self, planes: FramePlanes, matrix: NDArray[np.float64], frame_size: tuple[int, int], position: float
    ) -> None:
        """Take in one frame."""
        from stacking.fuse.plain_kernels import accumulate_near

        if self._focus is not None:
            self._focus.add(planes, matrix, frame_size, position)
            return
        number = float(self._count)
        self._count += 1
        spans = spans_by_level(self._canvas, matrix, frame_size, 2)
        none = np.empty((1, 1), np.float32)
        for plane, depth, span, total, weight in (
            (planes.luma, self._filled(), spans[0], self._sums[0], self._weights[0]),
            (planes.red, self._half, spans[1], self._sums[1], self._weights[1]),
            (planes.blue, self._half, spans[1], self._sums[2], none),
        ):
            self._bands.run(
                plane.shape[0], rows_of(accumulate_near, plane, depth, number, _REACH_FRAMES, span, total, weight)
            )

    def result(self) -> tuple[NDArray[np.uint16], DepthEstimate | None]:
        """The picture and its depth."""
        from stacking.fuse.plain_kernels import compose_rgb
        from stacking.fuse.pyramid_kernels import divide_rows

        for total, weight in zip(self._sums, (*self._weights, self._weights[1]), strict=True):
            self._bands.run(total.shape[0], rows_of(divide_rows, total, weight))
        rgb = np.empty((self._canvas.height, self._canvas.width, 3), np.uint16)
        unclamped = np.empty((1, 1), np.uint16)
        luma, red, blue = self._sums
        self._bands.run(rgb.shape[0], rows_of(compose_rgb, luma, unclamped, unclamped, red, blue, rgb))
        return rgb, self._estimate

    def _filled(self) -> NDArray[np.float32]:
        assert self._estimate is not None
        return self._estimate.filled
