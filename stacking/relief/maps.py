"""Depth as files that other programs read, and as a picture for people."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.plots import number_text, ticks
from stacking.relief.surface import DepthUnit, Relief

_BAR_SHARE, _LEAST_BAR_PX = 0.12, 90
_HATCH_PX = 12
_ROWS_AT_ONCE = 256
_INK, _PAPER = (20, 20, 20), (255, 255, 255)


def sixteen_bit_depth(relief: Relief) -> tuple[NDArray[np.uint16], dict[str, Any]]:
    """Depth in 16 bit and what its numbers mean: depth = offset + step * value; 0 is unknown.

    The step is a whole or half, quarter... of the unit that spends the 16 bit well.
    """
    known = ~relief.holes
    values = np.zeros(relief.depth.shape, np.uint16)
    low, high = (float(relief.depth[known].min()), float(relief.depth[known].max())) if known.any() else (0.0, 0.0)
    step = 2.0 ** int(np.ceil(np.log2(max((high - low) / 65534.0, 2.0**-24))))
    offset = float(np.floor(low / step)) * step - step
    scaled = np.rint((relief.depth[known].astype(np.float64) - offset) / step)
    values[known] = np.clip(scaled, 1, 65535).astype(np.uint16)
    meaning = {"unit": relief.scale.unit.value, "offset": offset, "step": step, "unknown": 0, "larger": "farther"}
    if relief.scale.pixel_um is not None:
        meaning["pixel_um"] = relief.scale.pixel_um
    return values, meaning


def confidence_map(relief: Relief) -> NDArray[np.float32]:
    """Confidence with 0 in every hole."""
    return np.where(relief.holes, np.float32(0.0), relief.confidence).astype(np.float32)


def depth_colours(relief: Relief) -> NDArray[np.uint8]:
    """Depth in colours, near warm and far dark; filled holes are hatched; shape (rows, columns, 3), RGB."""
    low, high = relief.span
    rows, columns = relief.depth.shape
    period = max(_HATCH_PX, columns // 150)
    across = np.arange(columns)
    colours = np.empty((rows, columns, 3), np.uint8)
    for top in range(0, rows, _ROWS_AT_ONCE):
        here = slice(top, min(top + _ROWS_AT_ONCE, rows))
        share = np.clip((high - relief.filled[here]) / max(high - low, 1e-9), 0, 1)
        colours[here] = _ramp((share * 255).astype(np.uint8))
        stripes = (np.arange(here.start, here.stop)[:, None] + across) % period < max(2, period // 4)
        colours[here][np.isnan(relief.depth[here]) & stripes] = _PAPER
    return colours


def depth_meaning(relief: Relief) -> str:
    """What the values of a float depth file are, as JSON: ``unit``, and ``pixel_um`` where it is known."""
    meaning: dict[str, object] = {"unit": relief.scale.unit.value}
    if relief.scale.pixel_um is not None:
        meaning["pixel_um"] = relief.scale.pixel_um
    return json.dumps(meaning)


def depth_picture(relief: Relief) -> NDArray[np.uint8]:
    """Depth in colours with a scale to its right; shape (rows, columns + scale, 3), RGB."""
    rows, columns = relief.depth.shape
    width = max(_LEAST_BAR_PX, int(columns * _BAR_SHARE))
    side = np.full((rows, width, 3), 255, np.uint8)
    top, bottom = rows // 12, rows - rows // 12
    ramp = np.linspace(255, 0, bottom - top).astype(np.uint8)[:, None].repeat(max(8, width // 5), 1)
    left = width // 8
    side[top:bottom, left : left + ramp.shape[1]] = _ramp(ramp)
    low, high = relief.span
    begin = left + ramp.shape[1] + width // 20
    words = [(number_text(value), value) for value in ticks(low, high)]
    unit = "um" if relief.scale.unit is DepthUnit.UM else "frames"
    size, thick = _text_size([unit, *(word for word, _ in words)], width - begin), max(1, width // 200)

    def write(word: str, middle: int) -> None:
        place = (begin, middle + int(10 * size))
        cv2.putText(side, word, place, cv2.FONT_HERSHEY_SIMPLEX, size, _INK, thick, cv2.LINE_AA)

    write(unit, top // 2)
    for word, value in words:
        write(word, top + round((bottom - top) * (value - low) / max(high - low, 1e-9)))
    return np.concatenate([depth_colours(relief), side], axis=1)


def _text_size(words: list[str], room_px: int) -> float:
    """The scale of the font at which the longest word fits."""
    widest = max(cv2.getTextSize(word, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)[0][0] for word in words)
    return min(room_px / (widest + 10), room_px / 120)


def _ramp(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.applyColorMap(values, cv2.COLORMAP_INFERNO)[..., ::-1], np.uint8).copy()
