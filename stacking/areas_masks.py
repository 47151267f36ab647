"""Where an area is: painted, drawn as a polygon, or found by depth and confidence; and how its edge is blended."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.crop import Rectangle
from stacking.errors import StackingUsageError
from stacking.fuse.canvas import Canvas

if TYPE_CHECKING:
    from stacking.areas_options import Area

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
_FULL = 255
# Specks and pinholes of an automatic mask that are smaller than this are taken out.
_SPECK_PX = 9


def area_mask(area: Area, canvas: Canvas, frame_size: tuple[int, int], depth: F32 | None, confidence: F32 | None) -> U8:
    """How far each pixel of the canvas belongs to an area, 0 to 255, its edge feathered.

    Raises
    ------
    StackingUsageError
        Where a painted mask cannot be read or has another size, or there is no depth to go by.
    """
    shape = (canvas.height, canvas.width)
    mask: U8 = np.full(shape, _FULL, np.uint8)
    if area.mask is not None:
        mask = np.minimum(mask, _painted(Path(area.mask), canvas, frame_size))
    if area.polygon:
        corners = np.array([[x * canvas.width - 0.5, y * canvas.height - 0.5] for x, y in area.polygon])
        drawn = np.zeros(shape, np.uint8)
        cv2.fillPoly(drawn, [np.rint(corners).astype(np.int32)], (_FULL,))
        mask = np.minimum(mask, drawn)
    if area.wants_depth:
        mask = np.minimum(mask, _by_depth(area, shape, depth, confidence))
    if area.feather_px and not area.everywhere:
        sigma = area.feather_px / 2
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.uint8)
    return mask


def box_of(mask: U8, margin_px: int) -> Rectangle | None:
    """The rectangle round what is not 0, with a margin as far as there is room; None for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    top, left = max(int(rows[0]) - margin_px, 0), max(int(columns[0]) - margin_px, 0)
    bottom = min(int(rows[-1]) + 1 + margin_px, mask.shape[0])
    right = min(int(columns[-1]) + 1 + margin_px, mask.shape[1])
    return Rectangle(left, top, right - left, bottom - top)


def _painted(path: Path, canvas: Canvas, frame_size: tuple[int, int]) -> U8:
    try:
        stored = np.frombuffer(path.read_bytes(), np.uint8)
        image = cv2.imdecode(stored, cv2.IMREAD_UNCHANGED) if len(stored) else None
    except (OSError, cv2.error) as error:
        raise StackingUsageError(f"the mask {path} cannot be read: {error}", remedy="Name a PNG or TIFF.") from error
    if image is None:
        raise StackingUsageError(f"the mask {path} is no picture", remedy="Paint it white on black, as PNG or TIFF.")
    values = np.asarray(image)
    if values.dtype == np.uint16:
        values = (values // 257).astype(np.uint8)
    if values.ndim == 3:
        transparent = values.shape[2] == 4 and values[..., 3].min() < _FULL
        values = values[..., 3] if transparent else values[..., :3].max(axis=2)
    size = (values.shape[1], values.shape[0])
    if size == (canvas.width, canvas.height):
        return np.ascontiguousarray(values, np.uint8)
    if size == frame_size:
        part = values[canvas.y : canvas.y + canvas.height, canvas.x : canvas.x + canvas.width]
        return np.ascontiguousarray(part, np.uint8)
    raise StackingUsageError(
        f"the mask {path.name} is {size[0]}x{size[1]}, the result {canvas.width}x{canvas.height}",
        remedy=f"Paint it on the result, or on a frame ({frame_size[0]}x{frame_size[1]}).",
    )


def _by_depth(area: Area, shape: tuple[int, int], depth: F32 | None, confidence: F32 | None) -> U8:
    if depth is None or confidence is None:
        raise StackingUsageError(
            f"{area.label} goes by depth, and a plain average has none",
            remedy="Choose another --method, or draw the area.",
        )
    there = np.ones(shape, np.bool_)
    if area.depth is not None:
        with np.errstate(invalid="ignore"):
            there &= (depth >= area.depth[0]) & (depth <= area.depth[1])
    if area.confidence_below is not None:
        there &= confidence < area.confidence_below
    found = there.astype(np.uint8) * np.uint8(_FULL)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_SPECK_PX, _SPECK_PX))
    closed = cv2.morphologyEx(found, cv2.MORPH_CLOSE, disc)
    return np.asarray(cv2.morphologyEx(closed, cv2.MORPH_OPEN, disc), np.uint8)
