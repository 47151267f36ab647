"""Steps on the colour of single pixels, in floating point and never clipping.

Arrays are (rows, columns, 3) float32; linear light has white at 1, encoded values too.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.colour import LUMA, SRGB_TO_XYZ_D65
from stacking.finish.recipe import ColourRange, HueSaturationStep

F32 = NDArray[np.float32]

NEUTRAL_K = 6500.0
_TINT_PER_DUV = 3000.0
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
# Linear sRGB to cone responses, and their cube roots to OkLab (Ottosson 2020).
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
FROM_CONES, FROM_OKLAB = np.linalg.inv(TO_CONES), np.linalg.inv(TO_OKLAB)
_PALE = 0.08
"""OkLab chroma below which vibrance works fully."""


def temperature_matrix(temperature_k: float, tint: float) -> NDArray[np.float64]:
    """Linear sRGB to linear sRGB: what was gray under that light becomes neutral, its luminance kept.

    Planckian locus after Krystek (1985), adaptation by the linear Bradford transform; identity at 6500 K and no tint.
    """
    cones = _BRADFORD @ np.column_stack([_white(temperature_k, tint), _white(NEUTRAL_K, 0.0)])
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(cones[:, 1] / cones[:, 0]) @ _BRADFORD
    matrix = np.linalg.inv(SRGB_TO_XYZ_D65) @ adapt @ SRGB_TO_XYZ_D65
    luminance = SRGB_TO_XYZ_D65[1]
    return np.asarray(matrix * (luminance.sum() / (luminance @ matrix).sum()))


def gray_gains(linear: NDArray[Any]) -> NDArray[np.float64]:
    """Factors that make the mean of `linear` neutral, its luminance kept."""
    mean = np.maximum(linear.reshape(-1, 3).astype(np.float64).mean(axis=0), 1e-6)
    return np.asarray(float(mean @ LUMA.astype(np.float64)) / mean)


def by_matrix(rgb: F32, matrix: NDArray[Any]) -> F32:
    """Every pixel times a 3x3 matrix."""
    return np.asarray(cv2.transform(rgb, matrix.astype(np.float32)), np.float32)


def luma_of(encoded: F32) -> F32:
    """The luma of encoded RGB, (rows, columns)."""
    return np.asarray(cv2.transform(encoded, LUMA[None]), np.float32)


def with_levels(encoded: F32, black: float, white: float, gamma: float) -> F32:
    """Black to 0, white to 1, the middle by `gamma`; below black odd, above white on and on."""
    out = (encoded - np.float32(black)) * np.float32(1.0 / (white - black))
    if gamma != 1.0:
        out = np.copysign(np.abs(out) ** np.float32(1.0 / gamma), out)
    return np.asarray(out, np.float32)


def with_hue_saturation(linear: F32, step: HueSaturationStep) -> F32:
    """Hue turned and chroma scaled in OkLCh, at constant lightness. Gray stays gray."""
    lab = by_matrix(np.cbrt(by_matrix(linear, TO_CONES)), TO_OKLAB)
    a, b = lab[..., 1], lab[..., 2]
    factor = np.full(a.shape, step.saturation, np.float32)
    if step.vibrance:
        chroma = np.hypot(a, b)
        factor *= 1 + np.float32(step.vibrance) * np.exp(-((chroma / np.float32(_PALE)) ** 2))
    turn = np.full(a.shape, np.deg2rad(step.hue_degrees), np.float32)
    for colour_range in step.ranges:
        weight = _weight(np.arctan2(b, a), colour_range)
        factor *= 1 + weight * np.float32(colour_range.saturation - 1)
        turn += weight * np.float32(np.deg2rad(colour_range.hue_degrees))
    cosine, sine = factor * np.cos(turn), factor * np.sin(turn)
    lab[..., 1], lab[..., 2] = cosine * a - sine * b, sine * a + cosine * b
    return by_matrix(by_matrix(lab, FROM_OKLAB) ** 3, FROM_CONES)


def _weight(hue: F32, colour_range: ColourRange) -> F32:
    """1 within a quarter of the width from the centre, falling smoothly to 0 at half of it."""
    distance = np.abs((np.rad2deg(hue) - colour_range.centre_degrees + 180) % 360 - 180)
    half = colour_range.width_degrees / 2
    t = np.clip((half - distance) / (half / 2), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _white(temperature_k: float, tint: float) -> NDArray[np.float64]:
    """XYZ of a light, Y 1: on the Planckian locus, `tint` / 3000 above it in the CIE 1960 diagram."""
    u, v = _locus(temperature_k)
    (before_u, before_v), (after_u, after_v) = _locus(temperature_k * 0.999), _locus(temperature_k * 1.001)
    along = np.array([after_u - before_u, after_v - before_v])
    across = np.array([along[1], -along[0]]) / np.hypot(*along)
    across *= np.sign(across[1])
    u, v = np.array([u, v]) + across * tint / _TINT_PER_DUV
    x, y = 3 * u / (2 * u - 8 * v + 4), 2 * v / (2 * u - 8 * v + 4)
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _locus(t: float) -> tuple[float, float]:
    u = (0.860117757 + 1.54118254e-4 * t + 1.28641212e-7 * t * t) / (1 + 8.42420235e-4 * t + 7.08145163e-7 * t * t)
    v = (0.317398726 + 4.22806245e-5 * t + 4.20481691e-8 * t * t) / (1 - 2.89741816e-5 * t + 1.61456053e-7 * t * t)
    return u, v
