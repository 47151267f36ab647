"""Procedural subjects: slanted ground with domes, printed plates, hairs and bristles.

Each builder paints one layer on a canvas a little larger than the sensor, at one canvas pixel per pixel of the still, and gives
its depth as a share of the scene's depth range (0 nearest, 1 farthest).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.bench import scene_textures as tx
from capture.bench.scene_description import LayerDescription

Plane = NDArray[np.float32]
_SUPERSAMPLING = 2
_BRIGHTEST = 1.8
_DOME_CONTACT_DEG = 62.0


@dataclass(frozen=True, slots=True)
class Canvas:
    """The drawing area: sensor plus margin.

    Attributes
    ----------
    rows, columns : int
        Of the canvas.
    frame_rows, frame_columns : int
        Of the sensor, whose middle is the canvas's middle.
    """

    rows: int
    columns: int
    frame_rows: int
    frame_columns: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    @property
    def unit_px(self) -> float:
        """Length that one stands for in a description: the geometric mean of the sensor's sides."""
        return math.sqrt(self.frame_rows * self.frame_columns)

    def share_of_frame(self) -> tuple[Plane, Plane]:
        """x and y of the canvas pixels as a share of the sensor, 0 to 1 inside it; shapes (1, columns) and (rows, 1)."""
        x = (np.arange(self.columns, dtype=np.float32) - (self.columns - self.frame_columns) / 2) / self.frame_columns
        y = (np.arange(self.rows, dtype=np.float32) - (self.rows - self.frame_rows) / 2) / self.frame_rows
        return x[None, :].astype(np.float32), y[:, None].astype(np.float32)

    def point(self, x: float, y: float) -> NDArray[np.float64]:
        """Canvas pixel (x, y) of a point given as a share of the sensor."""
        return np.array(
            [
                (self.columns - self.frame_columns) / 2 + x * self.frame_columns,
                (self.rows - self.frame_rows) / 2 + y * self.frame_rows,
            ]
        )


@dataclass(frozen=True, slots=True)
class Painted:
    """One painted layer.

    Attributes
    ----------
    rgba : ndarray, shape (rows, columns, 4), float32
        Linear light, sRGB primaries, premultiplied; highlights exceed 1.
    depth : ndarray, shape (rows, columns), float32
        Share of the depth range; smooth beyond the layer's own outline.
    """

    rgba: NDArray[np.float32]
    depth: Plane


def slanted(canvas: Canvas, near: float, far: float, direction_deg: float) -> Plane:
    """Plane that rises from `near` to `far` across the sensor along a direction (0 to the right, 90 downwards)."""
    x, y = canvas.share_of_frame()
    along = (math.cos(math.radians(direction_deg)), math.sin(math.radians(direction_deg)))
    reach = 0.5 * (abs(along[0]) + abs(along[1]))
    share = 0.5 + (along[0] * (x - 0.5) + along[1] * (y - 0.5)) / (2.0 * reach)
    return np.asarray(near + (far - near) * share, dtype=np.float32)


def paint_ground(
    canvas: Canvas, description: LayerDescription, rng: np.random.Generator, texture: float, relief_px: float
) -> Painted:
    """An opaque rough ground with cracks and lichen, and glossy domes resting on it; a plain gradient for no texture.

    `relief_px` is the scene's whole depth range in pixels of the focused plane: it shapes the domes' shading.
    """
    depth = slanted(canvas, *description.depth, description.direction_deg)
    unit = canvas.unit_px
    if texture <= 0.0:
        shade = slanted(canvas, 0.8, 1.2, 45.0)[..., None]
        return Painted(np.dstack([np.asarray(description.tint, np.float32) * shade, np.ones_like(shade)]), depth)
    rough = tx.texture_mask(rng, canvas.shape, texture)
    coarse = tx.fractal(rng, canvas.shape, unit / 4, unit / 16, 0.7)
    fine = tx.fractal(rng, canvas.shape, unit / 20, 2.5, 0.8)
    relief = coarse * np.float32(unit / 735) + fine * rough * np.float32(1.5)
    slope_x, slope_y = tx.slopes(relief)
    shade = tx.lambert(slope_x, slope_y)
    base = np.asarray(description.tint, dtype=np.float32)
    lichen = tx.smoothstep(coarse + 0.35 * fine * rough, 0.25, 0.8)[..., None]
    colour = base * (1.0 - lichen) + np.asarray(description.second_tint, dtype=np.float32) * lichen
    colour = colour * np.exp(0.30 * fine * rough + 0.1 * coarse)[..., None]
    cracks = tx.ridges(tx.fractal(rng, canvas.shape, unit / 6, unit / 60, 0.55), 0.05) * rough
    colour *= (shade * (1.0 - 0.8 * cracks))[..., None]
    domes = _place_domes(canvas, description, rng)
    for x, y, radius in domes:
        _shadow(colour, x, y, radius)
    for x, y, radius in domes:
        tint = np.asarray(description.dome_tints[int(rng.integers(len(description.dome_tints)))], dtype=np.float32)
        height = description.dome_height * radius / (canvas.unit_px * description.dome_radius[1])
        _put_dome(colour, depth, (x, y, radius), height, relief_px, tint, rng, texture)
    tx.glitter(rng, colour, rough, round(160 * texture))
    colour = _softened(np.maximum(colour, 0.002))
    return Painted(np.dstack([colour, np.ones(canvas.shape, dtype=np.float32)]), depth)


def _place_domes(
    canvas: Canvas, description: LayerDescription, rng: np.random.Generator
) -> list[tuple[float, float, float]]:
    """Domes (x, y, radius in canvas pixels) that do not touch each other."""
    placed: list[tuple[float, float, float]] = []
    for _ in range(60 * description.domes):
        if len(placed) >= description.domes:
            break
        radius = canvas.unit_px * float(rng.uniform(*description.dome_radius))
        x, y = canvas.point(float(rng.uniform(0.06, 0.94)), float(rng.uniform(0.08, 0.92)))
        if all(math.hypot(x - a, y - b) > 1.05 * (radius + c) for a, b, c in placed):
            placed.append((float(x), float(y), radius))
    return placed


def _window(shape: tuple[int, int], x: float, y: float, reach: float) -> tuple[slice, slice, Plane, Plane]:
    """The part of the canvas round a point, and the offsets of its pixels from that point."""
    rows = slice(max(0, math.floor(y - reach)), min(shape[0], math.ceil(y + reach) + 1))
    columns = slice(max(0, math.floor(x - reach)), min(shape[1], math.ceil(x + reach) + 1))
    dx = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - np.float32(x)
    dy = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(y)
    return rows, columns, dx, dy


def _shadow(colour: NDArray[np.float32], x: float, y: float, radius: float) -> None:
    """Soft contact shadow of a dome on the ground, away from the light; in place."""
    x, y = x - 0.28 * radius * tx.LIGHT[0], y - 0.28 * radius * tx.LIGHT[1]
    rows, columns, dx, dy = _window(colour.shape[:2], x, y, 1.5 * radius)
    distance = np.sqrt(dx * dx + dy * dy) / np.float32(radius)
    colour[rows, columns] *= (1.0 - 0.75 * tx.smoothstep(-distance, -1.45, -0.75))[..., None]


def _put_dome(
    colour: NDArray[np.float32],
    depth: Plane,
    place: tuple[float, float, float],
    height: float,
    relief_px: float,
    tint: Plane,
    rng: np.random.Generator,
    texture: float,
) -> None:
    """One spherical cap, freckled and glossy, painted over ground and depth; in place."""
    x, y, radius = place
    rows, columns, dx, dy = _window(colour.shape[:2], x, y, radius + 2)
    sine = math.sin(math.radians(_DOME_CONTACT_DEG))
    rho = np.sqrt(dx * dx + dy * dy) / np.float32(radius)
    inside = np.minimum(rho, 1.0) * sine
    cosine = np.sqrt(1.0 - inside * inside)
    cap = (cosine - math.cos(math.radians(_DOME_CONTACT_DEG))) / (1.0 - math.cos(math.radians(_DOME_CONTACT_DEG)))
    shape = rho.shape
    steep = min(height * relief_px / radius * 1.6, 1.0)
    skin = tx.fractal(rng, shape, max(radius / 4, 5.0), 2.5, 0.8)
    spots = tx.smoothstep(tx.fractal(rng, shape, max(radius / 6, 3.0), max(radius / 14, 2.0), 0.6), 0.55, 0.8)
    strength = np.float32(min(texture, 1.0))
    bump_x, bump_y = tx.slopes(skin * np.float32(0.35) * strength)
    fall = np.float32(steep * sine / radius) / np.maximum(cosine, 0.2)
    slope_x, slope_y = bump_x - dx * fall, bump_y - dy * fall
    dark = 1.0 - 0.7 * spots * strength
    skin_colour = tint * (np.exp(0.22 * skin * strength) * dark * tx.lambert(slope_x, slope_y))[..., None]
    shine = np.float32(1.6) * tx.gloss(slope_x, slope_y, 220.0) + np.float32(0.1) * tx.gloss(slope_x, slope_y, 14.0)
    skin_colour += shine[..., None]
    cover = np.clip((1.0 - rho) * radius + 0.5, 0.0, 1.0)[..., None]
    colour[rows, columns] = colour[rows, columns] * (1.0 - cover) + skin_colour * cover
    depth[rows, columns] -= np.float32(height) * np.maximum(cap, 0.0)


def paint_plate(
    canvas: Canvas, description: LayerDescription, rng: np.random.Generator, texture: float, relief_px: float
) -> Painted:
    """A slanted printed plate with bevelled edges: fine grain, text-like marks, rules."""
    del relief_px
    unit = canvas.unit_px
    mask, rows, columns = _plate_outline(canvas, description, rng)
    shape = (mask.shape[0], mask.shape[1])
    alpha = mask.astype(np.float32) / np.float32(255.0)
    rough = np.float32(min(texture, 1.0))
    grain = tx.fractal(rng, shape, unit / 30, 2.5, 0.85) * rough
    cloud = tx.fractal(rng, shape, unit / 3, unit / 12, 0.6)
    colour = np.asarray(description.tint, dtype=np.float32) * np.exp(0.12 * grain + 0.10 * cloud)[..., None]
    slope_x, slope_y = tx.slopes(grain * np.float32(0.35))
    bevel_px = max(3.0, unit / 220)
    inside = np.asarray(cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 5))
    bevel = cv2.GaussianBlur(np.minimum(inside, bevel_px), (0, 0), 1.0)
    edge_x, edge_y = tx.slopes(np.asarray(bevel, dtype=np.float32))
    colour *= tx.lambert(slope_x + edge_x, slope_y + edge_y)[..., None]
    colour += (0.18 * tx.gloss(slope_x + edge_x, slope_y + edge_y, 60.0))[..., None]
    if texture > 0.0:
        size = max(7.0, unit / 60 * description.mark_size)
        angle = float(rng.uniform(-25, 25))
        ink = tx.print_lines(rng, shape, height_px=size, angle_deg=angle, share=min(texture, 1.0) * 0.85)
        ink *= np.clip((inside - 2 * bevel_px) / 2.0, 0.0, 1.0)
        colour = colour * (1.0 - ink[..., None]) + np.asarray(description.second_tint, np.float32) * ink[..., None]
        tx.glitter(rng, colour, alpha, round(25 * texture))
    rgba = np.zeros((*canvas.shape, 4), dtype=np.float32)
    rgba[rows, columns] = _softened(np.dstack([np.maximum(colour, 0.002) * alpha[..., None], alpha]))
    return Painted(rgba, slanted(canvas, *description.depth, description.direction_deg))


def _plate_outline(
    canvas: Canvas, description: LayerDescription, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], slice, slice]:
    """Irregular polygon round the described middle: its coverage, 0 to 255, and the rows and columns that it is for."""
    corners = int(rng.integers(5, 8))
    angles = (np.arange(corners) + rng.uniform(-0.28, 0.28, corners)) * 2 * math.pi / corners + rng.uniform(0, 6)
    reach = canvas.unit_px * description.size * rng.uniform(0.8, 1.1, corners)
    x, y = canvas.point(*description.at)
    rows, columns, _, _ = _window(canvas.shape, float(x), float(y), float(reach.max()) + 6)
    points = np.array([x - columns.start, y - rows.start])
    points = points + reach[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    mask = np.zeros((max(rows.stop - rows.start, 0), max(columns.stop - columns.start, 0)), dtype=np.uint8)
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], (255,), cv2.LINE_AA, 4)
    return mask, rows, columns


def paint_strands(
    canvas: Canvas, description: LayerDescription, rng: np.random.Generator, texture: float, relief_px: float
) -> Painted:
    """Hairs right across the frame, or bristles that rise from one edge and taper: round, banded, with a line of light."""
    del relief_px
    factor = _SUPERSAMPLING
    ink = np.zeros((canvas.rows * factor, canvas.columns * factor, 4), dtype=np.uint8)
    for _ in range(math.ceil(description.count * min(texture, 1.0))):
        points = _bristle(canvas, description, rng) if description.kind == "bristles" else _hair(canvas, rng)
        width = factor * max(1.2, canvas.unit_px / 1470 * float(rng.uniform(*description.width_px)))
        _draw_strand(ink, points * factor, width, description, rng)
    small = cv2.resize(ink, (canvas.columns, canvas.rows), interpolation=cv2.INTER_AREA)
    drawn = np.nonzero(small[..., 3])
    value = small[drawn].astype(np.float32) / np.float32(255.0)
    # painted as square roots of linear light, which spreads eight bits well over the dark end
    value[:, :3] *= value[:, :3] * (np.float32(_BRIGHTEST) / value[:, 3:])
    rgba = np.zeros((*canvas.shape, 4), dtype=np.float32)
    rgba[drawn] = value
    return Painted(_softened(rgba), slanted(canvas, *description.depth, description.direction_deg))


def _hair(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.float64]:
    """A gently bent line from outside the frame to outside; shape (n, 2), canvas pixels."""
    start = canvas.point(float(rng.uniform(-0.1, 1.1)), float(rng.choice([-0.08, 1.08])))
    if rng.random() < 0.5:
        start = canvas.point(float(rng.choice([-0.08, 1.08])), float(rng.uniform(0.0, 1.0)))
    goal = canvas.point(float(rng.uniform(0.15, 0.85)), float(rng.uniform(0.15, 0.85)))
    heading = math.atan2(goal[1] - start[1], goal[0] - start[0])
    steps, length = 128, 1.6 * max(canvas.shape)
    along = np.linspace(-0.2, 1.0, steps)
    bend = heading + float(rng.normal(0, 0.5)) * along
    bend += float(rng.uniform(0.05, 0.3)) * np.sin(along * float(rng.uniform(4, 11)) + float(rng.uniform(0, 6)))
    return start + np.cumsum(np.stack([np.cos(bend), np.sin(bend)], axis=1) * length / steps, axis=0)


def _bristle(canvas: Canvas, description: LayerDescription, rng: np.random.Generator) -> NDArray[np.float64]:
    """A line from one edge of the frame towards the inside; shape (n, 2), canvas pixels, root first."""
    towards = math.radians(description.grow_deg)
    along = float(rng.uniform(-0.05, 1.05))
    x, y = math.cos(towards), math.sin(towards)
    across = abs(x) > abs(y)
    edge = -0.06 if (x if across else y) > 0 else 1.06
    root = canvas.point(edge, along) if across else canvas.point(along, edge)
    length = canvas.unit_px * description.size * float(rng.uniform(0.6, 1.15))
    steps = 64
    bend = towards + float(rng.normal(0, 0.22)) + float(rng.normal(0, 0.45)) * np.linspace(0, 1, steps)
    return root + np.cumsum(np.stack([np.cos(bend), np.sin(bend)], axis=1) * length / steps, axis=0)


def _draw_strand(
    ink: NDArray[np.uint8],
    points: NDArray[np.float64],
    width: float,
    description: LayerDescription,
    rng: np.random.Generator,
) -> None:
    """Draw one strand as three nested strokes (rim, body, line of light) with bands of pigment along it."""
    tint = np.asarray(description.tint if rng.random() < description.first_share else description.second_tint)
    tint = tint * rng.uniform(0.75, 1.25) * (1.0 + rng.normal(0, 0.06, 3))
    normal = np.gradient(points, axis=0)
    normal = np.stack([normal[:, 1], -normal[:, 0]], axis=1) / np.maximum(np.hypot(*normal.T), 1e-6)[:, None]
    side = np.sign(normal @ np.array(tx.LIGHT[:2]) + 1e-9)[:, None]
    steps = len(points)
    taper = 1.0 - 0.85 * np.linspace(0, 1, steps) if description.kind == "bristles" else np.ones(steps)
    bands = 1.0 + 0.3 * np.sin(np.arange(steps) * float(rng.uniform(0.9, 2.2)) + float(rng.uniform(0, 6)))
    for share, shift, gain in ((1.0, 0.0, 0.42), (0.66, 0.1, 1.0), (0.2, 0.22, 2.3)):
        place = np.round((points + normal * side * (shift * width * taper)[:, None]) * 16).astype(np.int32)
        for k in range(steps - 1):
            thick = width * share * taper[k]
            if share < 0.5 and thick < 0.7:
                continue
            value = np.sqrt(np.clip(tint * gain * bands[k] / _BRIGHTEST, 0.0, 1.0)) * 255.0
            colour = (float(value[0]), float(value[1]), float(value[2]), 255.0)
            cv2.line(ink, place[k].tolist(), place[k + 1].tolist(), colour, max(1, round(thick)), cv2.LINE_AA, 4)


def _softened(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half a pixel of softness, so that a canvas can be resampled between its pixels without beating."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.5, borderType=cv2.BORDER_REFLECT), dtype=np.float32)
