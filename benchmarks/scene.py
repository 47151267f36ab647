"""The synthetic subject of the benchmark stacks: layers with depth, painted once, in linear light.

Back to front: a slanted textured ground with smooth areas, domes, crossing hairs of both contrasts, slanted plates with hard edges
and fine print, more hairs, and bristles in front. Specular dots brighter than white lie on ground, domes and plates. Depth runs
from 0 (nearest) to 1 (farthest).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = NDArray[np.uint16]
Mask = NDArray[np.uint8]
Floats = NDArray[np.float32]
Tint = tuple[float, float, float]

# Linear light is kept as 16 bit with this value for white: room for highlights four times as bright.
WHITE = 16383
GAMMA = 2.2
# A stroke's position in 1/16 px.
_SUBPIXEL_BITS = 4
_TEXTURE_TINTS: dict[str, Tint] = {
    "ground": (0.16, 0.20, 0.24),
    "domes": (0.14, 0.22, 0.40),
    "plates": (0.40, 0.36, 0.30),
}
_DARK_INK, _BRIGHT_INK = 0.02, 0.82


@dataclass(frozen=True, slots=True)
class Dome:
    """A spherical cap on a layer; centre and radius in pixels, height in units of depth."""

    column: float
    row: float
    radius_px: float
    height: float


@dataclass(frozen=True, slots=True)
class Relief:
    """Depth of a layer: a plane from `start` to `end` along `direction` across the whole canvas, with domes towards the lens."""

    start: float
    end: float
    direction: tuple[float, float]
    canvas: tuple[int, int]
    domes: tuple[Dome, ...] = ()

    def depth(self, rows: slice, columns: slice) -> Floats:
        """Depth inside a rectangle of the canvas, (rows, columns)."""
        height, width = self.canvas
        x = np.arange(columns.start, columns.stop, dtype=np.float32)[None]
        y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
        across, down = self.direction
        share = (across * (x if across > 0 else x - width) + down * (y if down > 0 else y - height)) / (
            abs(across) * width + abs(down) * height
        )
        depth = (self.start + (self.end - self.start) * share).astype(np.float32)
        for dome in self.domes:
            inside = 1 - ((x - dome.column) ** 2 + (y - dome.row) ** 2) / dome.radius_px**2
            depth = np.minimum(depth, self.start - dome.height * np.sqrt(np.maximum(inside, 0))).astype(np.float32)
        return depth


@dataclass(frozen=True, slots=True)
class Layer:
    """Colour (rows, columns, BGR; `WHITE` is white, linear), opacity (0 to 255; None: opaque everywhere) and depth."""

    name: str
    colour: Colour
    opacity: Mask | None
    relief: Relief


def build_scene(rng: np.random.Generator, height: int, width: int) -> list[Layer]:
    """Paint all layers, back to front, on a canvas of height x width pixels."""
    canvas = (height, width)
    unit = max(0.4, width / 4240)
    domes = tuple(
        Dome(
            width * (at + rng.uniform(-0.04, 0.04)),
            height * rng.uniform(0.25, 0.7),
            height * rng.uniform(0.13, 0.22),
            0.27,
        )
        for at in (0.2, 0.52, 0.82)
    )
    ground = Relief(0.78, 1.0, (0.8, float(rng.choice((-0.5, 0.5)))), canvas)
    far_colour, far_opacity = _strands(rng, canvas, 22, (1.0, 2.6 * unit))
    near_colour, near_opacity = _strands(rng, canvas, 12, (1.0, 3.0 * unit))
    bristle_colour, bristle_opacity = _strands(rng, canvas, 26, (4 * unit, 12 * unit), rising=True)
    return [
        Layer("ground", _texture(rng, canvas, _TEXTURE_TINTS["ground"], prints=90), None, ground),
        Layer(
            "domes",
            _texture(rng, canvas, _TEXTURE_TINTS["domes"], prints=70),
            _discs(canvas, domes),
            Relief(0.77, 0.77, (1.0, 0.0), canvas, domes),
        ),
        Layer("far hairs", far_colour, far_opacity, Relief(0.44, 0.49, (-0.6, 0.4), canvas)),
        Layer(
            "plates",
            _texture(rng, canvas, _TEXTURE_TINTS["plates"], prints=160),
            _polygons(rng, canvas),
            Relief(0.25, 0.43, (0.5, 0.7), canvas),
        ),
        Layer("near hairs", near_colour, near_opacity, Relief(0.18, 0.24, (0.3, -0.8), canvas)),
        Layer("bristles", bristle_colour, bristle_opacity, Relief(0.0, 0.16, (0.2, -0.9), canvas)),
    ]


def _octaves(
    rng: np.random.Generator,
    canvas: tuple[int, int],
    cell_px: float,
    count: int,
    persistence: float = 0.8,
    channels: int = 1,
) -> Floats:
    """Sum of smooth noise at halving cell sizes, unit variance, (height, width, channels)."""
    height, width = canvas
    total = np.zeros((height, width, channels), np.float32)
    amplitude, power = 1.0, 0.0
    for _ in range(count):
        if cell_px < 1:
            break
        grid = rng.standard_normal((int(height / cell_px) + 3, int(width / cell_px) + 3, channels), np.float32)
        total += amplitude * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC).reshape(total.shape)
        power += amplitude**2
        amplitude *= persistence
        cell_px /= 2
    return (total / math.sqrt(power)).astype(np.float32)


def _texture(rng: np.random.Generator, canvas: tuple[int, int], tint: Tint, prints: int) -> Colour:
    """Texture whose contrast fades to nothing in places, with print in both contrasts and specular dots."""
    height, width = canvas
    base = max(canvas) / 12
    contrast = 0.03 + 0.97 / (1 + np.exp(-6 * (_octaves(rng, canvas, base * 2.5, 2, 0.62) + 0.35)))
    relief = 0.55 * _octaves(rng, canvas, base, 12) * contrast + 0.2 * _octaves(rng, canvas, base * 1.5, 4, 0.62, 3)
    light = np.clip(np.asarray(tint, np.float32) * np.exp(np.clip(relief, -2.5, 1.6)), 0.003, 1.0)
    for index in range(prints):
        size = float(rng.uniform(0.4, 2.2)) * max(0.4, width / 4240)
        text = "".join(chr(code) for code in rng.integers(33, 126, int(rng.integers(3, 12))))
        (columns, rows), drop = cv2.getTextSize(text, index % 8, size, 1)
        left, base_line = int(rng.integers(0, width)), int(rng.integers(0, height))
        thickness = max(1, int(size * rng.uniform(0.8, 2)))
        top, start = max(0, base_line - rows - 9), max(0, left - 9)
        box = (slice(top, base_line + drop + 9), slice(start, left + columns + 9))
        ink = np.zeros(light[box].shape[:2], np.uint8)
        cv2.putText(ink, text, (left - start, base_line - top), index % 8, size, 255, thickness, cv2.LINE_AA)
        light[box] += ink[..., None] / np.float32(255) * ((_DARK_INK if index % 2 else _BRIGHT_INK) - light[box])
    for _ in range(prints):
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        cv2.circle(light, centre, int(rng.integers(1, max(2, width // 1500) + 1)), (float(rng.uniform(1, 4)),) * 3, -1)
    painted: Colour = np.rint(light * WHITE).astype(np.uint16)
    return painted


def _strands(
    rng: np.random.Generator,
    canvas: tuple[int, int],
    count: int,
    width_px: tuple[float, float],
    *,
    rising: bool = False,
) -> tuple[Colour, Mask]:
    """Bent hairs across the canvas, dark and bright; or tapering bristles that rise from the lower edge."""
    height, width = canvas
    shade = np.zeros((height, width, 3), np.uint8)
    opacity = np.zeros(canvas, np.uint8)
    pieces = 48
    for _ in range(count):
        if rising:
            start, angle = np.array([rng.uniform(0, width), height + 5.0]), -math.pi / 2 + rng.normal(0, 0.35)
            length = height * rng.uniform(0.25, 0.6)
        else:
            start, angle = rng.uniform(-0.05, 1.05, 2) * (width, height), rng.uniform(0, 2 * math.pi)
            length = max(canvas) * rng.uniform(0.2, 0.8)
        bent = angle + rng.normal(0, 0.5) * np.linspace(0, 1, pieces)
        points = start + np.cumsum(np.stack([np.cos(bent), np.sin(bent)], 1) * length / pieces, 0)
        fixed = np.rint(points * (1 << _SUBPIXEL_BITS)).astype(int).tolist()
        thickness = rng.uniform(*width_px)
        tone = np.clip(rng.choice([20.0, 90.0, 170.0, 235.0]) + rng.normal(0, 18, 3), 5, 250)
        for piece in range(pieces - 1):
            wide = max(1, round(thickness * (1 - 0.8 * piece / pieces) if rising else thickness))
            banded = np.clip(tone * (1 + 0.25 * math.sin(1.7 * piece)), 3, 250).tolist()
            # colour is wider than opacity, so that a soft edge shows no other colour
            cv2.line(shade, fixed[piece], fixed[piece + 1], banded, wide + 4, cv2.LINE_8, _SUBPIXEL_BITS)
            cv2.line(opacity, fixed[piece], fixed[piece + 1], 255, wide, cv2.LINE_AA, _SUBPIXEL_BITS)
    linear: Colour = np.rint((np.arange(256) / 255) ** GAMMA * WHITE).astype(np.uint16)
    colour: Colour = linear[shade]
    return colour, opacity


def _discs(canvas: tuple[int, int], domes: tuple[Dome, ...]) -> Mask:
    mask = np.zeros(canvas, np.uint8)
    one = 1 << _SUBPIXEL_BITS
    for dome in domes:
        centre = (round(dome.column * one), round(dome.row * one))
        cv2.circle(mask, centre, int(dome.radius_px * one), 255, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
    return mask


def _polygons(rng: np.random.Generator, canvas: tuple[int, int]) -> Mask:
    height, width = canvas
    mask = np.zeros(canvas, np.uint8)
    for across, down in ((0.14, 0.2), (0.45, 0.75), (0.86, 0.35)):
        angle = np.sort(rng.uniform(0, 2 * math.pi, int(rng.integers(4, 8))))
        corners = np.stack([width * (across + 0.12 * np.cos(angle)), height * (down + 0.17 * np.sin(angle))], 1)
        cv2.fillPoly(mask, [np.rint(corners * 16).astype(np.int32)], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    return mask
