"""Fusion by depth map: each pixel is the mean of the frames next to its depth. Smooth surfaces, true colour, little noise.

The frames come twice: once to find the frame in focus at every pixel of the whole picture, once to be taken.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.bands import Bands, rows_of
from stacking.fuse.canvas import Canvas, spans_by_level
from stacking.fuse.chroma_guide import compose_picture
from stacking.fuse.depth_volume import DepthVolume
from stacking.fuse.focal_sweep import FocalSweep
from stacking.fuse.frame_planes import FramePlanes
from stacking.fuse.noise import NoiseEnergy
from stacking.fuse.pyramid import PyramidFusion, PyramidTuning

F32 = NDArray[np.float32]

# Level 1 decides, with three times as much of the finest detail's energy as the pyramid takes.
_SHARE, _POWER = 3.0, 8
_LEAST_WEIGHT = np.float32(1e-37)


class FocusFusion:
    """What finds the frames in focus: the mean of the frame numbers under a pyramid's weights, and the frame that weighs most.

    Parameters
    ----------
    canvas : Canvas
    bands : Bands
    noise : NoiseEnergy
        Of the frames.
    levels : int
        Of the pyramid, two at the least.
    volume : DepthVolume, optional
        Takes in the focus of every frame, for a depth map.
    sweep : FocalSweep, optional
        Takes in every frame, for the correction of the picture.
    """

    def __init__(
        self,
        canvas: Canvas,
        bands: Bands,
        noise: NoiseEnergy,
        *,
        levels: int,
        volume: DepthVolume | None = None,
        sweep: FocalSweep | None = None,
    ) -> None:
        # The picture plays no part, its range only for the sweep.
        tuning = PyramidTuning(share=_SHARE, powers=(_POWER, _POWER, 2), levels=levels, clamp=sweep is not None)
        self._pyramid = PyramidFusion(canvas, bands, noise, tuning, wants_weight=True, volume=volume, sweep=sweep)
        self._bands = bands
        self._most: F32 = np.zeros(canvas.level_shape(1), np.float32)
        self._strongest: F32 = np.zeros_like(self._most)
        self._moment: F32 = np.zeros_like(self._most)
        self._count = 0

    def add(
        self, planes: FramePlanes, matrix: NDArray[np.float64], frame_size: tuple[int, int], position: float
    ) -> None:
        """Take in one frame."""
        self._pyramid.add(planes, matrix, frame_size, position)
        weight, number = self._pyramid.weight, np.float32(self._count)
        self._count += 1

        def keep(first: int, stop: int) -> None:
            here, most = weight[first:stop], self._most[first:stop]
            more = here > most
            np.copyto(most, here, where=more)
            np.copyto(self._strongest[first:stop], number, where=more)
            self._moment[first:stop] += number * here

        self._bands.run(weight.shape[0], keep)

    def chosen(self) -> tuple[F32, F32]:
        """The number of the frame in focus at every second pixel of every second row, and how many frames on each side of it count.

        As many count as share the weight: one where one frame stands out, all where nothing is sharp in any, which leaves the least
        noise. The number is the mean where that lies among them; else that of the frame that weighs most, for a mean of many is drawn
        to the middle of the stack. All frames are there; ends the fusion.
        """
        self._pyramid.close_sweep()
        total = self._pyramid.weight_sum(1)
        shared = total / np.maximum(self._most, _LEAST_WEIGHT)
        reach: F32 = np.asarray(np.maximum((shared + 1) / 2, 1), np.float32)
        mean = self._moment / np.maximum(total, _LEAST_WEIGHT)
        chosen = np.where(np.abs(mean - self._strongest) < reach, mean, self._strongest)
        return np.asarray(chosen, np.float32), reach

    def result(self) -> NDArray[np.uint16]:
        """The picture of the pyramid; ends the fusion."""
        return self._pyramid.result()


class DepthMapFusion:
    """The mean of the frames next to a pixel's own.

    Parameters
    ----------
    canvas : Canvas
    bands : Bands
    chosen, reach : ndarray ((rows + 1) // 2, (columns + 1) // 2), float32
        As `FocusFusion.chosen` gives them, of this canvas.
    sharpens : bool
        Give the finest detail back what it has lost (`compose_picture`).
    """

    def __init__(self, canvas: Canvas, bands: Bands, chosen: F32, reach: F32, *, sharpens: bool) -> None:
        self._canvas = canvas
        self._bands = bands
        self._chosen, self._reach = np.ascontiguousarray(chosen), np.ascontiguousarray(reach)
        self._sharpens = sharpens
        self._count = 0
        self._weight: F32 = np.empty(canvas.level_shape(1), np.float32)
        shapes = [canvas.level_shape(level) for level in (0, 1, 1)]
        self._sums = [np.zeros(shape, np.float32) for shape in shapes]
        self._weights = [np.zeros(shape, np.float32) for shape in shapes[:2]]
        self._low: NDArray[np.uint8] = np.full(shapes[0], 255, np.uint8)
        self._high: NDArray[np.uint8] = np.zeros(shapes[0], np.uint8)

    def add(
        self, planes: FramePlanes, matrix: NDArray[np.float64], frame_size: tuple[int, int], position: float
    ) -> None:
        """Take in one frame."""
        del position
        from stacking.fuse.depthmap_kernels import accumulate_enlarged, near_rows
        from stacking.fuse.pyramid_kernels import accumulate_weighted, widen_range

        number = float(self._count)
        self._count += 1
        spans, half = spans_by_level(self._canvas, matrix, frame_size, 2)
        weight, none = self._weight, np.empty((1, 1), np.float32)
        luma, red, blue = self._sums
        self._bands.run(weight.shape[0], rows_of(near_rows, self._chosen, self._reach, number, weight))
        self._bands.run(
            luma.shape[0],
            rows_of(accumulate_enlarged, planes.luma, weight, spans, luma, self._weights[0]),
            rows_of(widen_range, planes.luma, spans, planes.white, self._low, self._high),
        )
        self._bands.run(
            weight.shape[0],
            rows_of(accumulate_weighted, planes.red, weight, half, red, self._weights[1]),
            rows_of(accumulate_weighted, planes.blue, weight, half, blue, none),
        )

    def result(self) -> NDArray[np.uint16]:
        """The picture."""
        from stacking.fuse.pyramid_kernels import divide_rows

        for total, weight in zip(self._sums, (*self._weights, self._weights[1]), strict=True):
            self._bands.run(total.shape[0], rows_of(divide_rows, total, weight))
        self._weights.clear()
        luma, red, blue = self._sums
        return compose_picture(luma, red, blue, self._bands, (self._low, self._high), sharpens=self._sharpens)
