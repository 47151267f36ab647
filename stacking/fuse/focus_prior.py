"""What the first pass knows about depth, for the second: a mild preference for frames near each surface's depth.

While frames are registered, each leaves a sketch of its focus (three bytes per 16 pixels). When the transforms are known the
sketches are laid on the canvas and a depth is found from them (:mod:`stacking.fuse.depth_volume`). In the fusion a frame far
from that depth counts less: where there is little detail this takes noise and foreign blur out of the sum. It never
forbids a frame, so a hair that the coarse depth misses is still taken by its energy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.fuse.bands import Bands, rows_of
from stacking.fuse.canvas import Canvas
from stacking.fuse.depth_volume import DepthVolume

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

# Frames at which the preference has fallen to 1/e: a fifth of the stack, at least this many; and the least preference.
_REACH_OF_STACK = 0.2
_LEAST_REACH_FRAMES = 1.5
LEAST_PREFERENCE = 0.2


@dataclass(frozen=True, slots=True)
class FocusSketch:
    """Focus of one frame, coarsely, in its own pixels.

    Attributes
    ----------
    codes : ndarray (2, rows, columns), uint8
        Energy in two octaves, see :func:`stacking.fuse.depth_kernels.energy_table`.
    gray : ndarray (rows, columns), uint8
    offset_px : float
        Sample i lies at pixel 4 i + offset of the frame, both ways.
    """

    codes: U8
    gray: U8
    offset_px: float


def focus_sketch(half: U8, bands: Bands, offset_px: float = 0.5) -> FocusSketch:
    """Sketch the focus of a frame from its gray at half size; sample i lies at pixel 2 i + ``offset_px``."""
    from stacking.fuse.depth_kernels import focus_rows

    luma = half.astype(np.float32)
    quarter = np.asarray(cv2.pyrDown(luma), np.float32)
    rows, columns = quarter.shape
    codes: U8 = np.zeros((2, rows, columns), np.uint8)
    spans: NDArray[np.int32] = np.zeros((rows, 2), np.int32)
    spans[:, 1] = columns
    for into, plane, step in ((codes[0], luma, 2), (codes[1], quarter, 1)):
        bands.run(rows, rows_of(focus_rows, plane, step, spans, into))
    return FocusSketch(codes, np.clip(quarter + 0.5, 0, 255).astype(np.uint8), offset_px)


class FocusPrior:
    """Preference for each frame at each place of the canvas.

    Parameters
    ----------
    canvas : Canvas
    sketches : sequence of FocusSketch or None
        In the order in which the frames will be fused; None where a frame has none.
    matrices : sequence of ndarray (2, 3)
        From the canvas to each frame.
    gains : sequence of float
        Brightness match of each frame.
    bands : Bands
    """

    def __init__(
        self,
        canvas: Canvas,
        sketches: Sequence[FocusSketch | None],
        matrices: Sequence[NDArray[np.float64]],
        gains: Sequence[float],
        bands: Bands,
    ) -> None:
        self._canvas = canvas
        count = len(sketches)
        self._reach = max(_LEAST_REACH_FRAMES, _REACH_OF_STACK * count)
        rows, columns = canvas.level_shape(2)
        volume = DepthVolume(canvas, count, bands)
        guide: F32 = np.zeros((rows, columns), np.float32)
        sharpest: F32 = np.zeros((rows, columns), np.float32)
        known = False
        for number, (sketch, matrix, gain) in enumerate(zip(sketches, matrices, gains, strict=True)):
            if sketch is None:
                continue
            known = True
            codes, gray = _laid_out(sketch, matrix, (rows, columns))
            volume.take(codes, number, float(number))
            code = np.asarray(cv2.blur(codes.max(axis=0).astype(np.float32), (3, 3)), np.float32)
            wins = code > sharpest
            sharpest[wins] = code[wins]
            guide[wins] = gray[wins] * np.float32(gain / 255.0)
        self.number: F32 | None = volume.depth_along(guide)[0] if known else None

    def at(self, number: int, level: int) -> F32:
        """Preference for frame ``number`` at a level of the pyramid, shape ``canvas.level_shape(level)``, 0.2 to 1."""
        shape = self._canvas.level_shape(level)
        if self.number is None:
            return np.ones(shape, np.float32)
        away = (self.number - np.float32(number)) * np.float32(1.0 / self._reach)
        plane = np.maximum(np.exp(-away * away), np.float32(LEAST_PREFERENCE)).astype(np.float32)
        for _ in range(2, level):
            plane = np.asarray(cv2.pyrDown(plane), np.float32)
        if level >= 2:
            return np.ascontiguousarray(plane)
        step = 0.25 * 2**level
        matrix = np.array([[step, 0.0, 0.0], [0.0, step, 0.0]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(
            cv2.warpAffine(plane, matrix, (shape[1], shape[0]), flags=flags, borderMode=cv2.BORDER_REPLICATE),
            np.float32,
        )


def _laid_out(sketch: FocusSketch, matrix: NDArray[np.float64], shape: tuple[int, int]) -> tuple[U8, F32]:
    """A sketch on the grid of the canvas: codes (0 where the frame has nothing) and gray."""
    to_sketch = matrix.astype(np.float64).copy()
    to_sketch[:, 2] = (matrix[:, 2] - sketch.offset_px) * 0.25
    size = (shape[1], shape[0])
    nearest = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    codes = np.stack([cv2.warpAffine(plane, to_sketch, size, flags=nearest) for plane in sketch.codes])
    gray = cv2.warpAffine(
        sketch.gray, to_sketch, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(codes, np.uint8), gray.astype(np.float32)
