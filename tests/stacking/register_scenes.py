"""Scenes photographed with known motion, brightness and depth, and how a registration is held against them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stacking.register import Registrar, Solution
from stacking.register.similarity import Similarity

SIZE = (480, 360)
MARGIN = 96
STILL = Similarity()


def scene(seed: int, *, marks: int = 240, roughness: float = 1.0) -> np.ndarray:
    """A plane of blotches, strokes and dots in linear light, larger than a frame."""
    draw = np.random.default_rng([seed, 77])
    rows, columns = SIZE[1] + 2 * MARGIN, SIZE[0] + 2 * MARGIN
    light = np.full((rows, columns), 0.2, np.float32)
    for cell in (60, 25, 10, 5):
        coarse = draw.normal(0, 0.3 * roughness, (rows // cell + 3, columns // cell + 3)).astype(np.float32)
        light *= np.exp(cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC))
    for _ in range(marks):
        at = draw.integers(0, [columns, rows]).tolist()
        to = (np.array(at) + draw.integers(-30, 30, 2)).tolist()
        cv2.line(light, at, to, float(draw.uniform(0.02, 0.8)), int(draw.integers(1, 4)), cv2.LINE_AA)
    return np.clip(light, 0.004, 0.85)


@dataclass(frozen=True)
class Taken:
    """One frame and the truth about it."""

    gray: np.ndarray
    pose: Similarity
    gain: float


def take(
    light: np.ndarray,
    pose: Similarity = STILL,
    *,
    depth: float = 0.0,
    gain: float = 1.0,
    noise: float = 1.0,
    seed: int = 0,
    distortion: float = 0.0,
) -> Taken:
    """Photograph a slope: blur grows with the distance of each column's depth (0..1 across the picture) from `depth`.

    The lens moves the frame's corners outward by a share `distortion` of their distance.
    """
    rows, columns = light.shape
    levels = [0.0, 0.7, 1.4, 2.4, 4.0]
    stack = [light if s == 0 else cv2.GaussianBlur(light, (0, 0), s) for s in levels]
    blur = np.abs(np.linspace(-0.2, 1.2, columns) - depth) * 4.0
    at = np.interp(blur, levels, np.arange(len(levels)))
    seen = sum(np.maximum(0, 1 - np.abs(at - k))[None] * one for k, one in enumerate(stack))
    # Cubic interpolation with a = -0.75 and rounding to 1/32 px move edges by hundredths of a pixel: Lanczos, three times the size.
    fine = cv2.resize(np.asarray(seen, np.float32), None, fx=3, fy=3, interpolation=cv2.INTER_LANCZOS4)
    onto_fine = np.array([[3.0, 0, 1], [0, 3, 1], [0, 0, 1]])
    to_scene = np.vstack([pose.inverse().matrix((columns, rows)), [0, 0, 1]])
    onto = (onto_fine @ to_scene)[:2]
    if distortion:
        x, y = ((np.arange(side) - (side - 1) / 2) for side in (columns, rows))
        z = x[None] + 1j * y[:, None]
        free, corner = z, abs(complex(SIZE[0] - 1, SIZE[1] - 1)) / 2
        for _ in range(12):
            free = z / (1 + distortion * np.abs(free / corner) ** 2)
        across, down = free.real + (columns - 1) / 2, free.imag + (rows - 1) / 2
        where = onto @ np.stack([across.ravel(), down.ravel(), np.ones(z.size)])
        maps = where.reshape(2, rows, columns).astype(np.float32)
        seen = cv2.remap(fine, maps[0], maps[1], cv2.INTER_LINEAR)
    else:
        seen = cv2.warpAffine(fine, onto, (columns, rows), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    frame = np.clip(seen[MARGIN:-MARGIN, MARGIN:-MARGIN] * gain, 0, 1) ** (1 / 2.2) * 255
    frame = frame + np.random.default_rng([seed, 5]).normal(0, noise, frame.shape) if noise else frame
    return Taken(np.clip(np.round(frame), 0, 255).astype(np.uint8), pose, gain)


def register(frames: list[Taken], **options: object) -> Solution:
    registrar = Registrar(SIZE, **options)  # type: ignore[arg-type]
    for k, frame in enumerate(frames):
        registrar.add(k, frame.gray)
    return registrar.solve()


def errors_px(solution: Solution, frames: list[Taken]) -> dict[int, float]:
    x = np.linspace(-0.5, 0.5, 7) * SIZE[0] + 1j * np.linspace(-0.5, 0.5, 5)[:, None] * SIZE[1]
    reference = frames[solution.reference].pose.inverse()
    out = {}
    for k, found in solution.registrations.items():
        apart = Similarity.from_matrix(found.matrix, SIZE)(x) - reference.then(frames[k].pose)(x)
        out[k] = float(np.sqrt((np.abs(apart) ** 2).mean()))
    return out


def stack(
    n: int,
    seed: int,
    *,
    scale: float = 0.001,
    shift: float = 1.5,
    turn: float = 0.02,
    jitter: float = 0.01,
    distortion: float = 0.0,
) -> list[Taken]:
    draw = np.random.default_rng([seed, 9])
    light = scene(seed)
    frames = []
    for k in range(n):
        a = (1 + scale) ** (k - n // 2) * np.exp(1j * np.radians(draw.normal(0, turn)))
        pose = Similarity(complex(a), complex(*draw.normal(0, shift, 2)))
        level = float(np.exp(draw.normal(0, jitter)))
        frames.append(take(light, pose, depth=k / (n - 1), gain=level, seed=100 * seed + k, distortion=distortion))
    return frames


def same(one: Solution, two: Solution) -> bool:
    return sorted(one.registrations) == sorted(two.registrations) and all(
        np.array_equal(a.matrix, two.registrations[k].matrix) and np.array_equal(a.gain, two.registrations[k].gain)
        for k, a in one.registrations.items()
    )
