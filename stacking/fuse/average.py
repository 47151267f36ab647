"""The plain mean of the frames: what fusion is measured against, and what flat subjects want."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.bands import Bands, rows_of
from stacking.fuse.canvas import Canvas, spans_by_level
from stacking.fuse.chroma_guide import compose_picture
from stacking.fuse.frame_planes import FramePlanes


class AverageFusion:
    """Running mean of luma and chroma over the frames that have a pixel."""

    def __init__(self, canvas: Canvas, bands: Bands) -> None:
        self._canvas = canvas
        self._bands = bands
        self._sums = [np.zeros(canvas.level_shape(level), np.float32) for level in (0, 1, 1)]
        self._counts = [np.zeros(canvas.level_shape(level), np.float32) for level in (0, 1)]
        self._low = np.full(canvas.level_shape(0), 255, np.uint8)
        self._high = np.zeros(canvas.level_shape(0), np.uint8)

    def add(
        self, planes: FramePlanes, matrix: NDArray[np.float64], frame_size: tuple[int, int], position: float
    ) -> None:
        """Take in one frame."""
        del position
        from stacking.fuse.pyramid_kernels import widen_range

        spans = spans_by_level(self._canvas, matrix, frame_size, 2)
        for plane, total, span in zip(
            (planes.luma, planes.red, planes.blue), self._sums, (spans[0], spans[1], spans[1]), strict=True
        ):
            for y, (a, b) in enumerate(span):
                total[y, a:b] += plane[y, a:b]
        for count, span in zip(self._counts, spans, strict=True):
            for y, (a, b) in enumerate(span):
                count[y, a:b] += 1.0
        widened = rows_of(widen_range, planes.luma, spans[0], planes.white, self._low, self._high)
        self._bands.run(self._canvas.height, widened)

    def result(self) -> NDArray[np.uint16]:
        """The mean."""
        luma, red, blue = self._sums
        full, half = (np.maximum(count, 1.0) for count in self._counts)
        luma /= full
        red /= half
        blue /= half
        return compose_picture(luma, red, blue, self._bands, (self._low, self._high))
