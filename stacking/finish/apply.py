"""A recipe applied to a picture: in strips, in floating point, rounded once at the end. The same picture, the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from stacking.colour import decode, decode_table, encode
from stacking.crop import Rectangle
from stacking.errors import StackingUsageError
from stacking.finish.colour_steps import (
    by_matrix,
    gray_gains,
    luma_of,
    temperature_matrix,
    with_hue_saturation,
    with_levels,
)
from stacking.finish.curve import MonotoneCurve
from stacking.finish.recipe import CropStep, Recipe, SharpenStep, WhiteBalanceStep
from stacking.frames import Pixels

F32 = NDArray[np.float32]
Step = Callable[[F32], F32]

_STRIP_ROWS = 128
_GRAY_RADIUS_PX = 2
_HISTOGRAM_BINS = 1 << 16
_HISTOGRAM_SPAN = (-1.0, 3.0)


def apply_recipe(image: Pixels, recipe: Recipe, *, dtype: DTypeLike | None = None) -> Pixels:
    """Correct a picture.

    Parameters
    ----------
    image : ndarray, shape (rows, columns, 3), uint8 or uint16
        Encoded RGB with the sRGB curve.
    dtype : dtype, optional
        uint8 or uint16 of the result; that of `image` by default.

    Returns
    -------
    ndarray, shape (rows, columns, 3), C-contiguous
        A new array; the very values of `image` where the recipe has no step.

    Raises
    ------
    StackingUsageError
        Where the crop or the gray point lies outside the picture.
    """
    wanted = np.dtype(image.dtype if dtype is None else dtype)
    top = int(np.iinfo(wanted).max)
    rectangle = crop_rectangle(recipe.crop, image.shape[1], image.shape[0])
    cut = rectangle.of(image)
    steps = _pixel_steps(image, cut, recipe)
    if not steps and recipe.sharpen is None and wanted == image.dtype:
        return cut.copy()
    table = _encoded_table(image.dtype)
    out = np.empty(cut.shape, wanted)
    pad = 0 if recipe.sharpen is None else _reach(recipe.sharpen)
    rows = cut.shape[0]
    for start in range(0, rows, _STRIP_ROWS):
        end = min(start + _STRIP_ROWS, rows)
        first, last = max(start - pad, 0), min(end + pad, rows)
        strip = table[cut[first:last]]
        for step in steps:
            strip = step(strip)
        if recipe.sharpen is not None:
            strip = sharpened(strip, recipe.sharpen)
        strip = strip[start - first : end - first]
        out[start:end] = np.rint(np.clip(strip, 0, 1) * np.float32(top)).astype(wanted)
    return out


def crop_rectangle(step: CropStep | None, columns: int, rows: int) -> Rectangle:
    """The rectangle of an image that a crop keeps.

    Raises
    ------
    StackingUsageError
        Where it does not lie inside.
    """
    if step is None:
        return Rectangle(0, 0, columns, rows)
    if step.aspect is not None:
        width = min(columns, max(1, round(rows * step.aspect)))
        height = min(rows, max(1, round(columns / step.aspect)))
        return Rectangle((columns - width) // 2, (rows - height) // 2, width, height)
    rectangle = Rectangle(step.x or 0, step.y or 0, step.width or 0, step.height or 0)
    if not rectangle.within(columns, rows):
        raise StackingUsageError(
            f"the crop {','.join(map(str, rectangle))} does not lie inside the picture of {columns}x{rows}",
            remedy="Give x,y,width,height in pixels of this picture.",
        )
    return rectangle


def sharpened(encoded: F32, step: SharpenStep) -> F32:
    """Unsharp mask: the luma's fine detail, where there is any, added to all channels alike."""
    luma = luma_of(encoded)
    detail = luma - _blurred(luma, step.radius_px)
    activity = _blurred(detail * detail, 2 * step.radius_px)
    spared = np.float32(step.threshold**2)
    mask = activity / (activity + spared) if spared else np.ones_like(activity)
    return np.asarray(encoded + (np.float32(step.amount) * mask * detail)[..., None], np.float32)


def _blurred(plane: F32, sigma_px: float) -> F32:
    size = 2 * _half_width(sigma_px) + 1
    return np.asarray(cv2.GaussianBlur(plane, (size, size), sigma_px, borderType=cv2.BORDER_REFLECT_101), np.float32)


def _half_width(sigma_px: float) -> int:
    return max(1, int(np.ceil(3 * sigma_px)))


def _reach(step: SharpenStep) -> int:
    """Rows beyond a strip that its sharpening looks at."""
    return _half_width(step.radius_px) + _half_width(2 * step.radius_px)


def _encoded_table(dtype: np.dtype[Any]) -> F32:
    top = int(np.iinfo(dtype).max)
    return (np.arange(top + 1) / top).astype(np.float32)


def _pixel_steps(image: Pixels, cut: Pixels, recipe: Recipe) -> list[Step]:
    """The recipe's steps on single pixels, encoded values to encoded values."""
    steps: list[Step] = []
    light = _light_matrix(image, recipe)
    if light is not None:
        steps.append(lambda encoded: _as_f32(encode(by_matrix(_as_f32(decode(encoded)), light))))
    if recipe.levels is not None:
        black, white = recipe.levels.black, recipe.levels.white
        if recipe.levels.auto:
            black, white = _auto_levels(cut, steps, recipe.levels.low_percentile, recipe.levels.high_percentile)
        gamma = recipe.levels.gamma
        if (black, white, gamma) != (0.0, 1.0, 1.0):
            steps.append(lambda encoded: with_levels(encoded, black, white, gamma))
    if recipe.curves is not None:
        curves = recipe.curves
        if curves.points:
            steps.append(MonotoneCurve(curves.points).tabled)
        if curves.red or curves.green or curves.blue:
            of_channels = [MonotoneCurve(points) for points in (curves.red, curves.green, curves.blue)]
            steps.append(lambda encoded: np.stack([of_channels[c].tabled(encoded[..., c]) for c in range(3)], axis=-1))
    colour = recipe.hue_saturation
    if colour is not None and colour != type(colour)():
        steps.append(lambda encoded: _as_f32(encode(with_hue_saturation(_as_f32(decode(encoded)), colour))))
    return steps


def _as_f32(values: NDArray[Any]) -> F32:
    return np.asarray(values, np.float32)


def _light_matrix(image: Pixels, recipe: Recipe) -> NDArray[np.float64] | None:
    """White balance and exposure as one matrix on linear light."""
    matrix = np.eye(3) if recipe.white_balance is None else _balance_matrix(image, recipe.white_balance)
    if recipe.exposure is not None:
        matrix = matrix * 2.0**recipe.exposure.stops
    return None if np.array_equal(matrix, np.eye(3)) else matrix


def _balance_matrix(image: Pixels, step: WhiteBalanceStep) -> NDArray[np.float64]:
    if step.temperature_k is not None:
        return temperature_matrix(step.temperature_k, step.tint)
    if step.gains is not None:
        return np.diag(step.gains)
    column, row = step.gray or (0, 0)
    rows, columns = image.shape[:2]
    if not (column < columns and row < rows):
        raise StackingUsageError(
            f"the gray point {column},{row} lies outside the picture of {columns}x{rows}",
            remedy="Give column and row of a point that should be gray.",
        )
    reach = _GRAY_RADIUS_PX
    around = image[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
    return np.diag(gray_gains(decode_table(image.dtype)[around]))


def _auto_levels(cut: Pixels, steps: list[Step], low: float, high: float) -> tuple[float, float]:
    """Black from the low percentile of the smallest channel, white from the high one of the largest: colours keep their detail."""
    table = _encoded_table(cut.dtype)
    start, end = _HISTOGRAM_SPAN
    dark = np.zeros(_HISTOGRAM_BINS, np.int64)
    bright = np.zeros(_HISTOGRAM_BINS, np.int64)
    for row in range(0, cut.shape[0], _STRIP_ROWS):
        strip = table[cut[row : row + _STRIP_ROWS]]
        for step in steps:
            strip = step(strip)
        dark += _histogram(strip.min(axis=-1))
        bright += _histogram(strip.max(axis=-1))
    width = (end - start) / _HISTOGRAM_BINS
    black = start + width * _percentile_bin(dark, low)
    white = start + width * (_percentile_bin(bright, high) + 1)
    return (black, white) if white - black > 0.01 else (0.0, 1.0)


def _histogram(values: F32) -> NDArray[np.int64]:
    start, end = _HISTOGRAM_SPAN
    bins = np.clip((values - np.float32(start)) * np.float32(_HISTOGRAM_BINS / (end - start)), 0, _HISTOGRAM_BINS - 1)
    return np.bincount(bins.astype(np.int32).ravel(), minlength=_HISTOGRAM_BINS)


def _percentile_bin(histogram: NDArray[np.int64], percentile: float) -> int:
    counted = np.cumsum(histogram)
    return int(np.searchsorted(counted, max(counted[-1] * percentile / 100.0, 1)))
