"""Procedural surfaces: fractal relief, grain, cracks, print. All in linear light, all drawn from one generator."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

# From the upper left, towards the viewer (x right, y down, z to the viewer).
LIGHT = (-0.48, -0.58, 0.66)


def fractal(
    rng: np.random.Generator, shape: tuple[int, int], coarse_px: float, fine_px: float, persistence: float
) -> Plane:
    """Sum of value-noise octaves, cells from `coarse_px` down to `fine_px`.

    Returns
    -------
    ndarray, shape `shape`, float32
        Zero mean, unit variance (of the sum over many draws).
    """
    rows, columns = shape
    total = np.zeros(shape, dtype=np.float32)
    cell, amplitude, power = coarse_px, 1.0, 0.0
    while True:
        cell = max(cell, 1.0)
        small = rng.standard_normal((int(rows / cell) + 4, int(columns / cell) + 4), dtype=np.float32)
        octave = _enlarge(small, shape, cell)
        total += np.float32(amplitude) * octave
        power += amplitude**2
        if cell <= max(fine_px, 1.0):
            break
        cell /= 2.0
        amplitude *= persistence
    total *= np.float32(1.0 / math.sqrt(power))
    return total


def _enlarge(small: Plane, shape: tuple[int, int], cell: float) -> Plane:
    """Cells of `cell` pixels, interpolated, brought back to unit variance."""
    if cell <= 1.0:
        return small[: shape[0], : shape[1]]
    large = cv2.resize(
        small, (math.ceil(small.shape[1] * cell), math.ceil(small.shape[0] * cell)), interpolation=cv2.INTER_CUBIC
    )
    edge = int(cell)
    return np.asarray(large[edge : edge + shape[0], edge : edge + shape[1]] * np.float32(1.25))


def slopes(height: Plane) -> tuple[Plane, Plane]:
    """Central differences of a height field, in height per pixel: along x and along y."""
    return (
        np.asarray(cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=1, scale=0.5, borderType=cv2.BORDER_REFLECT)),
        np.asarray(cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=1, scale=0.5, borderType=cv2.BORDER_REFLECT)),
    )


def lambert(slope_x: NDArray[np.floating[Any]], slope_y: NDArray[np.floating[Any]]) -> Plane:
    """Diffuse shade of a surface with these slopes (towards the viewer positive), 1 for a flat one; never negative."""
    shade = (-slope_x * LIGHT[0] - slope_y * LIGHT[1] + LIGHT[2]) / (
        LIGHT[2] * np.sqrt(1.0 + slope_x * slope_x + slope_y * slope_y)
    )
    return np.asarray(np.maximum(shade, 0.0), dtype=np.float32)


def gloss(slope_x: NDArray[np.floating[Any]], slope_y: NDArray[np.floating[Any]], exponent: float) -> Plane:
    """Highlight of the light (Blinn and Phong's half-vector form), 1 in its middle."""
    half = np.array([LIGHT[0], LIGHT[1], LIGHT[2] + 1.0])
    half /= np.linalg.norm(half)
    cosine = (-slope_x * half[0] - slope_y * half[1] + half[2]) / np.sqrt(1.0 + slope_x * slope_x + slope_y * slope_y)
    return np.asarray(np.maximum(cosine, 0.0) ** exponent, dtype=np.float32)


def ridges(noise: Plane, width: float) -> Plane:
    """Thin lines where a noise crosses zero: 1 on the line, falling to 0 at `width`."""
    return np.asarray(np.clip(1.0 - np.abs(noise) / width, 0.0, 1.0) ** 2, dtype=np.float32)


def smoothstep(value: NDArray[np.floating[Any]], low: float, high: float) -> Plane:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), dtype=np.float32)


def texture_mask(rng: np.random.Generator, shape: tuple[int, int], amount: float) -> Plane:
    """Where a surface is rough: all of it for 1, fainter on a few worn patches; patches of it below 1; none for 0."""
    if amount <= 0.0:
        return np.zeros(shape, dtype=np.float32)
    cloud = fractal(rng, shape, max(shape) / 5, max(shape) / 12, 0.5)
    level = -1.5 + 3.0 * (1.0 - min(amount, 1.0))
    worn = smoothstep(cloud, level - 0.15, level + 0.35)
    return np.asarray(0.25 + 0.75 * worn, dtype=np.float32) if amount >= 1.0 else worn


def glitter(rng: np.random.Generator, target: NDArray[np.float32], where: Plane, count: int) -> None:
    """Small specular facets, brighter than white, put into `target` (rows, columns, 3) in place where `where` is rough."""
    rows, columns = where.shape
    stamp = cv2.getGaussianKernel(7, 1.2)
    spot = np.asarray(stamp @ stamp.T / stamp.max() ** 2, dtype=np.float32)[..., None]
    for y, x, power in zip(
        rng.integers(3, rows - 4, count), rng.integers(3, columns - 4, count), rng.uniform(0.2, 1.3, count), strict=True
    ):
        if where[y, x] > 0.4:
            target[y - 3 : y + 4, x - 3 : x + 4] += np.float32(power) * spot


def print_lines(
    rng: np.random.Generator, shape: tuple[int, int], *, height_px: float, angle_deg: float, share: float
) -> Plane:
    """Ink of lines of made-up text and rules, 0 to 1, turned by `angle_deg`."""
    rows, columns = shape
    side = math.ceil(math.hypot(rows, columns))
    ink = np.zeros((side, side), dtype=np.uint8)
    y = height_px * 1.5
    fonts = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)
    letters = np.array(list("ABCDEFGHKLMNPRSTUVWXYZabdefghknprstuwz0123456789"))
    while y < side:
        scale = height_px / 22.0 * float(rng.choice([0.7, 1.0, 1.0, 1.5]))
        kind = rng.random()
        if kind < 0.16:
            period = int(rng.integers(3, 9))
            long = int(side * rng.uniform(0.1, 0.3))
            left = int(rng.uniform(0, side - long))
            ink[int(y - 14 * scale) : int(y), left : left + long : period] = 255
        elif kind < 0.28:
            cv2.line(ink, (0, int(y)), (side, int(y)), 255, max(1, round(scale * 1.5)), cv2.LINE_AA)
        else:
            x = rng.uniform(0, side * 0.1)
            while x < side:
                word = "".join(rng.choice(letters, int(rng.integers(2, 9))))
                if rng.random() < share:
                    thick = max(1, round(scale * float(rng.uniform(1.0, 2.4))))
                    font = int(rng.choice(fonts))
                    cv2.putText(ink, word, (int(x), int(y)), font, scale, 255, thick, cv2.LINE_AA)
                x += len(word) * 21 * scale + 16 * scale
        y += (30 * scale) * float(rng.uniform(1.0, 1.35))
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle_deg, 1.0)
    turn[:, 2] += np.array([(columns - side) / 2, (rows - side) / 2])
    turned = cv2.warpAffine(ink, turn, (columns, rows), flags=cv2.INTER_CUBIC)
    return np.asarray(turned, dtype=np.float32) / np.float32(255.0)
