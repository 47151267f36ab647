"""Running pyramid fusion: soft selection by local energy in every band (Burt and Kolczynski 1993, with a running sum)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.bands import Bands
from stacking.fuse.canvas import Canvas, spans_by_level
from stacking.fuse.frame_planes import FramePlanes

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PyramidTuning:
    levels: int = 6
    share: float = 0.5
    powers: tuple[int, ...] = (4, 6, 8, 8, 8, 8, 8, 8)
    base_power: int = 8
    floors: tuple[float, ...] = (4.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    clamp: bool = True


class PyramidFusion:
    def __init__(self, canvas: Canvas, bands: Bands, tuning: PyramidTuning = PyramidTuning()) -> None:
        self.canvas = canvas
        self.tuning = tuning
        self._bands = bands
        shapes = [canvas.level_shape(k) for k in range(tuning.levels + 1)]
        zeros = lambda shape: np.zeros(shape, np.float32)
        empty = lambda shape: np.empty(shape, np.float32)
        n = tuning.levels
        self._none = empty((1, 1))
        self._weight_sum = [zeros(s) for s in shapes]
        self._band_sum = [zeros(s) for s in shapes]
        self._red_sum = [self._none] + [zeros(s) for s in shapes[1:]]
        self._blue_sum = [self._none] + [zeros(s) for s in shapes[1:]]
        self._first = [self._none] + [zeros(s) for s in shapes[1:]]
        self._second = [self._none] + [zeros(s) for s in shapes[1:]]
        self._low = np.full(shapes[0], np.inf, np.float32)
        self._high = np.full(shapes[0], -np.inf, np.float32)
        # Of one frame.
        self._gauss = [empty(s) for s in shapes[1:]]
        self._red = [empty(s) for s in shapes[2:]]
        self._blue = [empty(s) for s in shapes[2:]]
        self._energy = [empty(s) for s in shapes[1:]]
        self._weight = [empty(s) for s in shapes[1:]]

    def add(
        self, planes: FramePlanes, matrix: NDArray[np.float64], frame_size: tuple[int, int], position: float
    ) -> None:
        from stacking.fuse import pyramid_kernels as kernels

        t, run, none = self.tuning, self._bands.run, self._none
        n = t.levels
        luma = [planes.luma, *self._gauss]
        red = [none, planes.red, *self._red]
        blue = [none, planes.blue, *self._blue]
        spans = spans_by_level(self.canvas, matrix, frame_size, n + 1)
        for k in range(n):
            run(luma[k + 1].shape[0], lambda a, b, k=k: kernels.reduce_rows(luma[k], luma[k + 1], a, b))
            if k:
                run(red[k + 1].shape[0], lambda a, b, k=k: kernels.reduce_rows(red[k], red[k + 1], a, b))
                run(red[k + 1].shape[0], lambda a, b, k=k: kernels.reduce_rows(blue[k], blue[k + 1], a, b))
        for k in range(n):
            run(
                luma[k].shape[0],
                lambda a, b, k=k: kernels.accumulate_level(
                    luma[k],
                    luma[k + 1],
                    self._energy[k - 1] if k else none,
                    t.share,
                    t.floors[k],
                    t.powers[k],
                    spans[k],
                    self._weight_sum[k],
                    self._band_sum[k],
                    self._weight[k - 1] if k else none,
                    self._energy[k],
                    position,
                    self._first[k],
                    self._second[k],
                    a,
                    b,
                ),
            )
            if k:
                w = self._weight[k - 1]
                run(
                    w.shape[0],
                    lambda a, b, k=k, w=w: kernels.accumulate_band(red[k], red[k + 1], w, self._red_sum[k], a, b),
                )
                run(
                    w.shape[0],
                    lambda a, b, k=k, w=w: kernels.accumulate_band(blue[k], blue[k + 1], w, self._blue_sum[k], a, b),
                )
        w = self._weight[n - 1]
        np.power((self._energy[n - 1] + np.float32(t.floors[n])) * np.float32(1 / 64), t.base_power, out=w)
        rows = w.shape[0]
        run(
            rows,
            lambda a, b: kernels.accumulate_weighted(
                luma[n], w, spans[n], self._band_sum[n], self._weight_sum[n], a, b
            ),
        )
        run(rows, lambda a, b: kernels.accumulate_weighted(red[n], w, spans[n], self._red_sum[n], none, a, b))
        run(rows, lambda a, b: kernels.accumulate_weighted(blue[n], w, spans[n], self._blue_sum[n], none, a, b))
        run(self.canvas.height, lambda a, b: kernels.widen_range(planes.luma, spans[0], self._low, self._high, a, b))

    def result(self) -> tuple[NDArray[np.uint16], NDArray[np.float32] | None]:
        from stacking.fuse import pyramid_kernels as kernels

        run = self._bands.run
        n = self.tuning.levels
        for sums, lowest in ((self._band_sum, 0), (self._red_sum, 1), (self._blue_sum, 1)):
            for k in range(lowest, n + 1):
                run(sums[k].shape[0], lambda a, b: kernels.divide_rows(sums[k], self._weight_sum[k], a, b))
            for k in range(n - 1, lowest - 1, -1):
                run(sums[k].shape[0], lambda a, b: kernels.expand_add(sums[k + 1], sums[k], sums[k], a, b))
        rgb = np.empty((self.canvas.height, self.canvas.width, 3), np.uint16)
        low = self._low if self.tuning.clamp else self._none
        run(
            rgb.shape[0],
            lambda a, b: kernels.compose_rgb(
                self._band_sum[0], low, self._high, self._red_sum[1], self._blue_sum[1], rgb, a, b
            ),
        )
        return rgb, None
