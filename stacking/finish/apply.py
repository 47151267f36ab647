"""A recipe applied to a picture: in strips, in floating point, rounded once at the end. The same picture, the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from stacking.colour import LUMA, decode, encode, profile_name
from stacking.crop import Rectangle, of_aspect
from stacking.errors import StackingUsageError
from stacking.finish import detail_steps as detail
from stacking.finish.colour_steps import (
    by_matrix,
    gray_gains,
    luma_of,
    temperature_matrix,
    with_hue_saturation,
    with_levels,
)
from stacking.finish.curve import MonotoneCurve
from stacking.finish.gamut import within_gamut
from stacking.finish.recipe import CropStep, DenoiseStep, LocalContrastStep, Recipe, WhiteBalanceStep
from stacking.finish.spaces import Profile, Space, space_named, space_of
from stacking.frames import Pixels

F32 = NDArray[np.float32]
PixelStep = Callable[[F32], F32]

_STRIP_ROWS = 128
_GRAY_RADIUS_PX = 2
# Of a picture, to find its brightest part.
_LOOKED_AT = 1_000_000
_HISTOGRAM_BINS = 1 << 16
_HISTOGRAM_SPAN = (-1.0, 3.0)
# Noise is what the quieter of the pixels have that look like noise; so many there must be.
_NOISE_QUANTILE, _LEAST_SMOOTH = 0.15, 0.03


@dataclass(frozen=True, slots=True)
class _Stage:
    """A step on a strip of encoded values that starts at a row of the picture, and how many rows beyond it looks at."""

    run: Callable[[F32, int], F32]
    reach: int = 0


def apply_recipe(image: Pixels, recipe: Recipe, *, dtype: DTypeLike | None = None, icc: bytes | None = None) -> Pixels:
    """Correct a picture.

    Parameters
    ----------
    image : ndarray, shape (rows, columns, 3), uint8 or uint16
        Encoded RGB.
    dtype : dtype, optional
        uint8 or uint16 of the result; that of `image` by default.
    icc : bytes, optional
        Profile of the values of `image`; sRGB by default. Values of a profile that is more than primaries and a curve are taken
        as they are.

    Returns
    -------
    ndarray, shape (rows, columns, 3), C-contiguous
        A new array in the colour space that `result_profile` tells; the very values of `image` where the recipe has no step.

    Raises
    ------
    StackingUsageError
        Where the crop or the gray point lies outside the picture, or its profile cannot be converted.
    """
    wanted = np.dtype(image.dtype if dtype is None else dtype)
    top = int(np.iinfo(wanted).max)
    cut = crop_rectangle(recipe.crop, image.shape[1], image.shape[0]).of(image)
    source = space_of(icc) or space_named(Profile.SRGB)
    target = _target(recipe, icc)
    reader = _Reader(cut, source)
    stages = _stages(image, reader, recipe, source)
    if not stages and target is None and wanted == image.dtype:
        return cut.copy()
    writer = _writer(source, target)
    out = np.empty(cut.shape, wanted)
    pad = sum(stage.reach for stage in stages)
    height = max(_STRIP_ROWS, pad)
    for start in range(0, cut.shape[0], height):
        end = min(start + height, cut.shape[0])
        strip = reader.through(stages, start, end, pad)
        out[start:end] = np.rint(np.clip(writer(strip), 0, 1) * np.float32(top)).astype(wanted)
    return out


def result_profile(recipe: Recipe, icc: bytes | None) -> bytes | None:
    """The profile of a corrected picture: that of the recipe's output, else the one it had."""
    return icc if recipe.output is None else space_named(recipe.output.profile).icc


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
        return of_aspect(Rectangle(0, 0, columns, rows), step.aspect)
    rectangle = Rectangle(step.x or 0, step.y or 0, step.width or 0, step.height or 0)
    if not rectangle.within(columns, rows):
        raise StackingUsageError(
            f"the crop {','.join(map(str, rectangle))} does not lie inside the picture of {columns}x{rows}",
            remedy="Give x,y,width,height in pixels of this picture.",
        )
    return rectangle


class _Reader:
    """A picture's encoded values in the working space, strip by strip."""

    def __init__(self, cut: Pixels, source: Space) -> None:
        self.cut, self.rows = cut, cut.shape[0]
        top = int(np.iinfo(cut.dtype).max)
        values = np.arange(top + 1) / top
        self._matrix = None if np.array_equal(source.to_working, np.eye(3)) else source.to_working
        self._table = (values if self._matrix is None else source.to_linear(values)).astype(np.float32)

    def strip(self, first: int, last: int) -> F32:
        """Rows as encoded values."""
        values = self._table[self.cut[first:last]]
        return values if self._matrix is None else _as_f32(encode(by_matrix(values, self._matrix)))

    def through(self, stages: list[_Stage], start: int, end: int, pad: int | None = None) -> F32:
        """Rows after some stages."""
        pad = sum(stage.reach for stage in stages) if pad is None else pad
        first, last = max(start - pad, 0), min(end + pad, self.rows)
        strip = self.strip(first, last)
        for stage in stages:
            strip = stage.run(strip, first)
        return strip[start - first : end - first]

    def strips(self, stages: list[_Stage], height: int = _STRIP_ROWS) -> Iterator[F32]:
        """All rows after some stages."""
        for start in range(0, self.rows, height):
            yield self.through(stages, start, min(start + height, self.rows))


def _target(recipe: Recipe, icc: bytes | None) -> Space | None:
    """The space to convert to; None where the values stay in theirs."""
    if recipe.output is None:
        return None
    if space_of(icc) is None:
        raise StackingUsageError(
            f"the picture's profile '{profile_name(icc)}' is more than primaries and one curve: it cannot be converted",
            remedy="Leave out the output profile, or convert the frames to sRGB or Adobe RGB first.",
        )
    return space_named(recipe.output.profile)


def _writer(source: Space, target: Space | None) -> PixelStep:
    """Encoded values of the working space to those of the result's space, within its gamut."""
    space = source if target is None else target
    matrix = space.from_working
    if not np.array_equal(matrix, np.eye(3)):
        return lambda encoded: _as_f32(
            space.from_linear(within_gamut(by_matrix(_as_f32(decode(encoded)), matrix), space))
        )

    def held(encoded: F32) -> F32:
        outside = ((encoded < 0) | (encoded > 1)).any(axis=-1)
        if outside.any():
            encoded[outside] = encode(within_gamut(_as_f32(decode(encoded[outside]))[None], space)[0])
        return encoded

    return held


def _stages(image: Pixels, reader: _Reader, recipe: Recipe, source: Space) -> list[_Stage]:
    """The recipe's steps, in order; those that are told from the picture look at what comes before them."""
    stages: list[_Stage] = []

    def on_pixels(step: PixelStep) -> None:
        stages.append(_Stage(lambda strip, _: step(strip)))

    if recipe.denoise is not None and recipe.denoise.strength:
        stages.append(_denoise(reader, recipe.denoise))
    light = _light_matrix(image, recipe, source)
    if light is not None:
        on_pixels(lambda encoded: _as_f32(encode(by_matrix(_as_f32(decode(encoded)), light))))
    if recipe.levels is not None:
        black, white = recipe.levels.black, recipe.levels.white
        if recipe.levels.auto:
            black, white = _auto_levels(reader, stages, recipe.levels.low_percentile, recipe.levels.high_percentile)
        gamma = recipe.levels.gamma
        if (black, white, gamma) != (0.0, 1.0, 1.0):
            on_pixels(lambda encoded: with_levels(encoded, black, white, gamma))
    if recipe.curves is not None:
        curves = recipe.curves
        if curves.points:
            on_pixels(MonotoneCurve(curves.points).tabled)
        if curves.red or curves.green or curves.blue:
            of_channels = [MonotoneCurve(points) for points in (curves.red, curves.green, curves.blue)]
            on_pixels(lambda encoded: np.stack([of_channels[c].tabled(encoded[..., c]) for c in range(3)], axis=-1))
    colour = recipe.hue_saturation
    if colour is not None and colour != type(colour)():
        on_pixels(lambda encoded: _as_f32(encode(with_hue_saturation(_as_f32(decode(encoded)), colour))))
    if recipe.local_contrast is not None and recipe.local_contrast.amount:
        stages.append(_local_contrast(reader, stages, recipe.local_contrast))
    sharpen = recipe.sharpen
    if sharpen is not None and sharpen.amount:
        stages.append(_Stage(lambda strip, _: detail.sharpened(strip, sharpen), detail.sharpen_reach(sharpen)))
    return stages


def _denoise(reader: _Reader, step: DenoiseStep) -> _Stage:
    noise = step.threshold
    if noise is None:
        measure = _Stage(lambda strip, _: detail.noise_activity(luma_of(strip)), detail.ACTIVITY_REACH_PX)
        counts = np.zeros(_HISTOGRAM_BINS, np.int64)
        pixels = 0
        for strip in reader.strips([measure]):
            counts += _histogram(strip[np.isfinite(strip)])
            pixels += strip.size
        start, end = _HISTOGRAM_SPAN
        smoothest = int(np.searchsorted(np.cumsum(counts), _NOISE_QUANTILE * counts.sum()))
        noise = min(start + (end - start) / _HISTOGRAM_BINS * (smoothest + 1), detail.MOST_NOISE)
        if counts.sum() < _LEAST_SMOOTH * pixels:
            noise = 0.0  # detail everywhere
    return _Stage(lambda strip, _: detail.denoised(strip, step, noise), detail.denoise_reach(step))


def _local_contrast(reader: _Reader, before: list[_Stage], step: LocalContrastStep) -> _Stage:
    cell = detail.COARSE_PX
    rows = []
    for strip in reader.strips(list(before)):  # strips are whole cells high
        luma = luma_of(strip)
        padded = np.pad(luma, ((0, -luma.shape[0] % cell), (0, -luma.shape[1] % cell)), mode="edge")
        size = (padded.shape[1] // cell, padded.shape[0] // cell)
        rows.append(
            np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA), np.float32).reshape(size[1], size[0])
        )
    base = detail.coarse_base(np.concatenate(rows), step)
    return _Stage(lambda strip, first: detail.with_local_contrast(strip, base, first, step))


def _as_f32(values: NDArray[Any]) -> F32:
    return np.asarray(values, np.float32)


def _light_matrix(image: Pixels, recipe: Recipe, source: Space) -> NDArray[np.float64] | None:
    """White balance and exposure as one matrix on linear light."""
    matrix = np.eye(3) if recipe.white_balance is None else _balance_matrix(image, recipe.white_balance, source)
    if recipe.exposure is not None:
        matrix = matrix * 2.0**recipe.exposure.stops
    return None if np.array_equal(matrix, np.eye(3)) else matrix


def _balance_matrix(image: Pixels, step: WhiteBalanceStep, source: Space) -> NDArray[np.float64]:
    if step.temperature_k is not None:
        return temperature_matrix(step.temperature_k, step.tint)
    if step.gains is not None:
        return np.diag(step.gains)
    if step.brightest_percent is not None:
        return np.diag(gray_gains(_linear_of(_brightest(image, step.brightest_percent), source)))
    column, row = step.gray or (0, 0)
    rows, columns = image.shape[:2]
    if not (column < columns and row < rows):
        raise StackingUsageError(
            f"the gray point {column},{row} lies outside the picture of {columns}x{rows}",
            remedy="Give column and row of a point that should be gray.",
        )
    reach = _GRAY_RADIUS_PX
    around = image[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
    return np.diag(gray_gains(_linear_of(around, source)))


def _linear_of(colours: Pixels, source: Space) -> NDArray[Any]:
    """Linear light in the working space, any shape (..., 3)."""
    return np.asarray(source.to_linear(colours / np.float64(np.iinfo(colours.dtype).max)) @ source.to_working.T)


def _brightest(image: Pixels, percent: float) -> Pixels:
    """The brightest pixels by their luma, (count, 3), of those without a clipped channel unless hardly any are left."""
    stride = max(1, round((image.shape[0] * image.shape[1] / _LOOKED_AT) ** 0.5))
    colours = image[::stride, ::stride].reshape(-1, 3)
    luma = colours @ LUMA
    bright = luma >= np.quantile(luma, 1 - percent / 100)
    whole = bright & (colours < np.iinfo(image.dtype).max).all(axis=-1)
    chosen: Pixels = colours[whole if 4 * whole.sum() >= bright.sum() else bright]
    return chosen


def _auto_levels(reader: _Reader, before: list[_Stage], low: float, high: float) -> tuple[float, float]:
    """Black from the low percentile of the smallest channel, white from the high one of the largest: colours keep their detail."""
    start, end = _HISTOGRAM_SPAN
    dark = np.zeros(_HISTOGRAM_BINS, np.int64)
    bright = np.zeros(_HISTOGRAM_BINS, np.int64)
    for strip in reader.strips(list(before)):
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
