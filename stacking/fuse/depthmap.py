"""Fusion by depth map: each pixel is the mean of the frames next to its depth. Smooth surfaces, true colour, little noise.

The frames come twice: once to find the frame in focus at every pixel of the whole picture, once to be taken. Crossings and hairs suffer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.bands import Bands, rows_of
from stacking.fuse.canvas import Canvas, spans_by_level
from stacking.fuse.depth import enlarge_half
from stacking.fuse.focal_sweep import FocalSweep
from stacking.fuse.frame_planes import FramePlanes
from stacking.fuse.noise import NoiseEnergy
from stacking.fuse.pyramid import PyramidFusion, PyramidTuning

F32 = NDArray[np.float32]

# Frames on each side of the depth that still count.
_REACH_FRAMES = 1.0


class FocusFusion:
    """What finds the frames in focus: a pyramid's moments of the frame number, and the frame that weighs most.

    Parameters
    ----------
    canvas : Canvas
    bands : Bands
    noise : NoiseEnergy
        Of the frames.
    sweep : FocalSweep, optional
        Takes in every frame, for the correction of the picture.
    """

    def __init__(self, canvas: Canvas, bands: Bands, noise: NoiseEnergy, sweep: FocalSweep | None = None) -> None:
        # Two levels are all they are made of; the picture plays no part, its range only for the sweep.
        tuning = PyramidTuning(share=2.0, powers=(6,), levels=2, clamp=sweep is not None)
        self._pyramid = PyramidFusion(canvas, bands, noise, tuning, wants_moments=True, sweep=sweep)
        self._bands = bands
        self._most: F32 = np.zeros(canvas.level_shape(1), np.float32)
        self._strongest: F32 = np.zeros_like(self._most)
        self._count = 0

    def add(
        self, planes: FramePlanes, matrix: NDArray[np.float64], frame_size: tuple[int, int], position: float
    ) -> None:
        """Take in one frame."""
        self._pyramid.add(planes, matrix, frame_size, position)
        weight, number = self._pyramid.weight(1), np.float32(self._count)
        self._count += 1

        def keep(first: int, stop: int) -> None:
            here, most = weight[first:stop], self._most[first:stop]
            more = here > most
            np.copyto(most, here, where=more)
            np.copyto(self._strongest[first:stop], number, where=more)

        self._bands.run(weight.shape[0], keep)

    def sums(self) -> tuple[F32, F32, F32, F32]:
        """What `stacking.fuse.depth.in_focus` is given first; all frames are there."""
        self._pyramid.close_sweep()
        return *self._pyramid.moments(), self._strongest

    def result(self) -> NDArray[np.uint16]:
        """The picture of the pyramid; ends the fusion."""
        return self._pyramid.result()


class DepthMapFusion:
    """The mean of the frames next to a pixel's own.

    Parameters
    ----------
    canvas : Canvas
    bands : Bands
    chosen : ndarray ((rows + 1) // 2, (columns + 1) // 2), float32
        The number of the frame in focus, as `stacking.fuse.depth.InFocus` has it for this canvas.
    """

    def __init__(self, canvas: Canvas, bands: Bands, chosen: F32) -> None:
        self._canvas = canvas
        self._bands = bands
        self._full = enlarge_half(chosen, (canvas.height, canvas.width))
        self._half = np.ascontiguousarray(chosen)
        self._count = 0
        shapes = [canvas.level_shape(level) for level in (0, 1, 1)]
        self._sums = [np.zeros(shape, np.float32) for shape in shapes]
        self._weights = [np.zeros(shape, np.float32) for shape in shapes[:2]]

    def add(
        self, planes: FramePlanes, matrix: NDArray[np.float64], frame_size: tuple[int, int], position: float
    ) -> None:
        """Take in one frame."""
        del position
        from stacking.fuse.plain_kernels import accumulate_near

        number = float(self._count)
        self._count += 1
        spans = spans_by_level(self._canvas, matrix, frame_size, 2)
        none = np.empty((1, 1), np.float32)
        for plane, depth, span, total, weight in (
            (planes.luma, self._full, spans[0], self._sums[0], self._weights[0]),
            (planes.red, self._half, spans[1], self._sums[1], self._weights[1]),
            (planes.blue, self._half, spans[1], self._sums[2], none),
        ):
            self._bands.run(
                plane.shape[0], rows_of(accumulate_near, plane, depth, number, _REACH_FRAMES, span, total, weight)
            )

    def result(self) -> NDArray[np.uint16]:
        """The picture."""
        from stacking.fuse.plain_kernels import compose_rgb
        from stacking.fuse.pyramid_kernels import divide_rows

        for total, weight in zip(self._sums, (*self._weights, self._weights[1]), strict=True):
            self._bands.run(total.shape[0], rows_of(divide_rows, total, weight))
        rgb = np.empty((self._canvas.height, self._canvas.width, 3), np.uint16)
        unclamped = np.empty((1, 1), np.uint16)
        luma, red, blue = self._sums
        self._bands.run(rgb.shape[0], rows_of(compose_rgb, luma, unclamped, unclamped, red, blue, rgb))
        return rgb
