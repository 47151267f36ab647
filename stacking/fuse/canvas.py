"""The area that is fused, and which part of it a frame covers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Six taps of the resampling reach three pixels to each side.
_REACH_PX = 3.0
_WINDOW_PX = 256
_WINDOWS = 4


@dataclass(frozen=True, slots=True)
class Canvas:
    """A rectangle of the reference frame, in its full-resolution pixels; `whole` is what it is a strip of, if it is one.

    With `repeats_edges` frames count everywhere, their outermost pixels repeated beyond their border: for a picture of which that
    part is replaced.
    """

    x: int
    y: int
    width: int
    height: int
    whole: Canvas | None = None
    repeats_edges: bool = False

    def to_frame(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """The 2x3 matrix from pixels of this canvas to a frame, given the one from the reference frame to it."""
        moved = matrix.astype(np.float64).copy()
        moved[:, 2] += matrix[:, 0] * self.x + matrix[:, 1] * self.y
        return moved

    def level_shape(self, level: int) -> tuple[int, int]:
        """(rows, columns) of a pyramid level."""
        height, width = self.height, self.width
        for _ in range(level):
            height, width = (height + 1) // 2, (width + 1) // 2
        return height, width


def valid_spans(
    matrix: NDArray[np.float64],
    frame_size: tuple[int, int],
    shape: tuple[int, int],
    step: int = 1,
    margin_px: float = 0.0,
) -> NDArray[np.int32]:
    """Columns of each row whose pixels a frame really has.

    Parameters
    ----------
    matrix : ndarray (2, 3)
        From full-resolution canvas pixels to the frame.
    frame_size : (width, height)
    shape : (rows, columns)
        Of the plane; its pixel (y, x) lies at canvas pixel (y * step, x * step).
    margin_px : float
        Frame pixels to keep away from the frame's border.

    Returns
    -------
    ndarray, shape (rows, 2), int32
        First column and the one after the last; equal where the row has none.
    """
    rows, columns = shape
    y = np.arange(rows, dtype=np.float64) * step
    low = np.zeros(rows)
    high = np.full(rows, float(columns - 1))
    for axis, size in enumerate(frame_size):
        slope = matrix[axis, 0] * step
        base = matrix[axis, 1] * y + matrix[axis, 2]
        first, last = margin_px, size - 1 - margin_px
        if abs(slope) < 1e-12:
            outside = (base < first - 1e-6) | (base > last + 1e-6)
            high[outside] = -1.0
            continue
        a, b = (first - base) / slope, (last - base) / slope
        low = np.maximum(low, np.minimum(a, b) - 1e-6)
        high = np.minimum(high, np.maximum(a, b) + 1e-6)
    left = np.clip(np.ceil(low), 0, columns).astype(np.int32)
    right = np.clip(np.floor(high) + 1, 0, columns).astype(np.int32)
    return np.ascontiguousarray(np.stack([left, np.maximum(right, left)], axis=1))


def spans_by_level(
    canvas: Canvas, matrix: NDArray[np.float64], frame_size: tuple[int, int], levels: int
) -> list[NDArray[np.int32]]:
    """The valid spans of each level, shrunk by the reach of that level's filter unless the frame covers the whole canvas."""
    covers = _covers(canvas, matrix, frame_size)
    spans = []
    for level in range(levels):
        margin = 0.0 if covers else _REACH_PX + 2.0 * (2**level - 1)
        spans.append(
            valid_spans(matrix, frame_size, canvas.level_shape(level), 2**level, margin)
            if not covers
            else _whole(canvas.level_shape(level))
        )
    return spans


def _covers(canvas: Canvas, matrix: NDArray[np.float64], frame_size: tuple[int, int]) -> bool:
    """Whether a frame covers the canvas, and what it is a strip of."""
    whole = canvas if canvas.whole is None else canvas.whole
    if whole.repeats_edges:
        return True
    left, top = whole.x - canvas.x, whole.y - canvas.y
    corners = np.array([[x, y, 1.0] for x in (left, left + whole.width - 1) for y in (top, top + whole.height - 1)])
    there = corners @ matrix.T
    return bool((there >= -1e-6).all() and (there <= np.array(frame_size) - 1 + 1e-6).all())


def _whole(shape: tuple[int, int]) -> NDArray[np.int32]:
    spans = np.zeros((shape[0], 2), np.int32)
    spans[:, 1] = shape[1]
    return spans


def windows(columns: int, rows: int) -> list[Canvas]:
    """Sixteen windows on an even grid over a frame, to measure it by; fewer where it is small."""
    width, height = min(_WINDOW_PX, columns), min(_WINDOW_PX, rows)
    across = _WINDOWS if columns >= _WINDOWS * _WINDOW_PX else max(1, columns // _WINDOW_PX)
    down = _WINDOWS if rows >= _WINDOWS * _WINDOW_PX else max(1, rows // _WINDOW_PX)
    return [
        Canvas(
            (columns - width) * (2 * i + 1) // (2 * across), (rows - height) * (2 * j + 1) // (2 * down), width, height
        )
        for j in range(down)
        for i in range(across)
    ]
