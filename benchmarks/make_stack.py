"""Render a focus stack of a synthetic scene whose truth is known.

Every frame focuses at one depth z. A part of a layer at depth d is blurred by a disc of radius `max_blur` x |d - z| px, in linear
light, and the layers are laid over each other back to front, so that a blurred foreground spreads over what lies behind it. Then:
encoding with gamma 1/2.2, gain, similarity (breathing, rotation, shift), the lens' distortion, noise that grows with the signal, JPEG or
16-bit TIFF.

The folder holds frame_0000.*, ..., truth.tif (all in focus, 16 bit, geometry and exposure of the reference frame N // 2),
truth_depth.tif (float32, 0 nearest to 1 farthest) and meta.json (per frame: z, gain, 2x3 matrix from reference to frame, both freed
of distortion). With distortion, truth and depth have that of the reference frame.
Frame 0 focuses nearest unless told otherwise.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.scene import GAMMA, WHITE, Floats, Layer, build_scene

# Radii that blurred copies are made of; blur between two is mixed from both.
_RADII_PX = (0.0, 0.5, 0.8, 1.2, 1.7, 2.4, 3.3, 4.5, 6.0, 8.0, 10.5, 14.0, 18.0, 23.0, 29.0, 36.0, 44.0, 54.0)
_TILE_PX = 256
_DEPTH_OF_FIELD_SHARE = 0.006


@dataclass(frozen=True, slots=True)
class StackPlan:
    """What to render; lengths in pixels, angles in degrees, noise in 8-bit units at white, gain jitter relative in linear light.

    The distortion is radial: the share by which the corners of a frame are moved outward, r (1 + distortion (r / R)^2).
    """

    width: int = 4240
    height: int = 2832
    frames: int = 20
    seed: int = 1
    breathing: float = 0.0008
    shift_px: float = 1.5
    rotation_deg: float = 0.01
    noise: float = 2.0
    gain_jitter: float = 0.01
    max_blur_px: float | None = None
    suffix: Literal["jpg", "tif"] = "jpg"
    far_first: bool = False
    distortion: float = 0.0

    @property
    def blur_px(self) -> float:
        """Disc radius at a distance of 1 from focus."""
        return self.max_blur_px if self.max_blur_px is not None else _DEPTH_OF_FIELD_SHARE * self.width

    def aligned(self) -> StackPlan:
        """The same without breathing, shift, rotation and gain jitter: blending alone."""
        return replace(self, breathing=0.0, shift_px=0.0, rotation_deg=0.0, gain_jitter=0.0, distortion=0.0)


@dataclass(frozen=True, slots=True)
class FrameTruth:
    """Focus depth, gain and 2x3 matrix (reference pixel to frame pixel) of a frame."""

    z: float
    gain: float
    matrix: NDArray[np.float64]


def frame_truths(plan: StackPlan, rng: np.random.Generator) -> list[FrameTruth]:
    """Draw how each frame is focused, exposed and placed; the reference frame is left as it is."""
    reference, count = plan.frames // 2, plan.frames
    focus = np.linspace(0, 1, count)[:: -1 if plan.far_first else 1]
    shift = rng.normal(0, 1, (count, 2)) * plan.shift_px
    angle = np.radians(rng.normal(0, 1, count) * plan.rotation_deg)
    gain = 1 + rng.normal(0, 1, count) * plan.gain_jitter
    shift[reference], angle[reference], gain[reference] = 0, 0, 1
    centre = np.array([(plan.width - 1) / 2, (plan.height - 1) / 2])
    truths = []
    for index in range(count):
        scale = (1 + plan.breathing) ** (index - reference)
        cosine, sine = math.cos(angle[index]) * scale, math.sin(angle[index]) * scale
        linear = np.array([[cosine, -sine], [sine, cosine]])
        offset = centre - linear @ centre + shift[index]
        truths.append(FrameTruth(float(focus[index]), float(gain[index]), np.column_stack([linear, offset])))
    return truths


def make_stack(plan: StackPlan, folder: Path, threads: int = 2) -> None:
    """Render the stack into a folder (made if missing). Same plan, same files.

    Raises ValueError for a plan of fewer than two frames, OSError when the folder cannot be written.
    """
    if plan.frames < 2:
        raise ValueError("a stack has at least two frames")
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([plan.seed, 0x57AC])
    truths = frame_truths(plan, rng)
    margin = _margin(plan, truths)
    height, width = plan.height + 2 * margin, plan.width + 2 * margin
    layers = build_scene(rng, height, width)
    inner = (slice(margin, margin + plan.height), slice(margin, margin + plan.width))
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".canvas") as scratch, ThreadPoolExecutor(threads) as pool:
        # on disk: all frames of a large stack do not fit in memory
        canvases = np.memmap(scratch.name, np.uint16, "w+", shape=(plan.frames, height, width, 3))
        truth = np.empty((height, width, 3), np.uint16)
        depth = np.empty((height, width), np.float32)
        renderer = _Renderer(layers, [t.z for t in truths], plan.blur_px, canvases, truth, depth)
        tops, lefts = range(0, height, _TILE_PX), range(0, width, _TILE_PX)
        for done in pool.map(renderer.render, product(tops, lefts)):
            assert done is None
        if plan.distortion:
            still = np.eye(2, 3)
            _write(folder / "truth.tif", _seen(plan, truth, still, margin))
            _write(folder / "truth_depth.tif", _seen(plan, depth, still, margin, cv2.INTER_LINEAR))
        else:
            _write(folder / "truth.tif", truth[inner])
            _write(folder / "truth_depth.tif", depth[inner])
        del truth, depth, layers, renderer

        writer = _Writer(plan, truths, canvases, margin, folder)
        for done in pool.map(writer.write, range(plan.frames)):
            assert done is None
        del canvases, writer
    _write_meta(plan, truths, folder / "meta.json")


def _margin(plan: StackPlan, truths: Sequence[FrameTruth]) -> int:
    """How far the canvas must go beyond the reference frame, px, so that every frame is full."""
    corners = np.array([[0, 0, 1], [plan.width, 0, 1], [0, plan.height, 1], [plan.width, plan.height, 1]], float)
    corners[:, :2] = _free(plan, corners[:, :2])
    size = np.array([plan.width, plan.height])
    beyond = 0.0
    for truth in truths:
        seen = corners @ cv2.invertAffineTransform(truth.matrix).T
        beyond = max(beyond, float((-seen).max()), float((seen - size).max()))
    return math.ceil(beyond) + 8 if beyond > 1e-9 else 0


def _free(plan: StackPlan, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where points (n, 2) of a frame would be without distortion."""
    centre = np.array([(plan.width - 1) / 2, (plan.height - 1) / 2])
    seen = points - centre
    free = seen
    for _ in range(30):
        free = seen / (1 + plan.distortion * (free**2).sum(axis=1, keepdims=True) / (centre**2).sum())
    return np.asarray(free + centre, np.float64)


def _seen(
    plan: StackPlan,
    canvas: NDArray[Any],
    matrix: NDArray[np.float64],
    margin: int,
    interpolation: int = cv2.INTER_LANCZOS4,
) -> NDArray[Any]:
    """What a frame that lies at `matrix` sees of a canvas through the lens that distorts."""
    y, x = np.mgrid[: plan.height, : plan.width].reshape(2, -1).astype(np.float64)
    there = _free(plan, np.stack([x, y], axis=1))
    on_canvas = np.column_stack([there, np.ones(x.size)]) @ cv2.invertAffineTransform(matrix).T + margin
    maps = on_canvas.T.reshape(2, plan.height, plan.width).astype(np.float32)
    return np.asarray(cv2.remap(canvas, maps[0], maps[1], interpolation), canvas.dtype)


class _Renderer:
    """Renders all frames of one tile at a time, so that memory does not grow with the picture."""

    def __init__(
        self,
        layers: Sequence[Layer],
        focus: Sequence[float],
        blur_px: float,
        canvases: NDArray[np.uint16],
        truth: NDArray[np.uint16],
        depth: Floats,
    ) -> None:
        self._layers, self._focus, self._blur_px = layers, focus, blur_px
        self._canvases, self._truth, self._depth = canvases, truth, depth
        self._radii = [*(radius for radius in _RADII_PX if radius < blur_px), blur_px]
        border = int(blur_px * 1.1) + 8
        self._border = border + -border % 4
        self._encode = np.rint((np.arange(65536) / 65535) ** (1 / GAMMA) * 65535).astype(np.uint16)

    def render(self, corner: tuple[int, int]) -> None:
        height, width = self._depth.shape
        rows = slice(corner[0], min(height, corner[0] + _TILE_PX))
        columns = slice(corner[1], min(width, corner[1] + _TILE_PX))
        frames = [np.zeros((rows.stop - rows.start, columns.stop - columns.start, 3), np.float32) for _ in self._focus]
        truth, depth = np.zeros_like(frames[0]), np.zeros(frames[0].shape[:2], np.float32)
        for layer in self._layers:
            self._lay_over(layer, rows, columns, frames, truth, depth)
        for index, frame in enumerate(frames):
            self._canvases[index, rows, columns] = self._encoded(frame)
        self._truth[rows, columns] = self._encoded(truth)
        self._depth[rows, columns] = depth

    def _lay_over(
        self, layer: Layer, rows: slice, columns: slice, frames: list[Floats], truth: Floats, depth: Floats
    ) -> None:
        """Lay one layer over what is already there, in every frame and in the truth."""
        height, width = self._depth.shape
        top, left = max(0, rows.start - self._border), max(0, columns.start - self._border)
        around = (
            slice(top, min(height, rows.stop + self._border)),
            slice(left, min(width, columns.stop + self._border)),
        )
        opacity = np.ones((1, 1), np.float32) if layer.opacity is None else layer.opacity[around] / np.float32(255)
        if not opacity.any():
            return
        colour = layer.colour[around] * np.float32(1 / WHITE)
        source = np.dstack([colour * opacity[..., None], np.broadcast_to(opacity, colour.shape[:2])]).astype(np.float32)
        inner = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        layer_depth = layer.relief.depth(rows, columns)
        sharp = source[inner]
        truth *= 1 - sharp[..., 3:]
        truth += sharp[..., :3]
        np.copyto(depth, layer_depth, where=sharp[..., 3] > 0.5)
        blurred: dict[int, Floats] = {}
        for frame, z in zip(frames, self._focus, strict=True):
            steps = np.interp(np.abs(layer_depth - z) * self._blur_px, self._radii, np.arange(len(self._radii)))
            part = np.zeros_like(sharp)
            for step in range(int(steps.min()), math.ceil(steps.max()) + 1):
                weight = np.maximum(0, 1 - np.abs(steps - step)).astype(np.float32)
                if step not in blurred:
                    blurred[step] = np.ascontiguousarray(disc_blur(source, self._radii[step])[inner])
                part += blurred[step] * weight[..., None]
            np.multiply(frame, 1 - part[..., 3:], out=frame)
            np.add(frame, part[..., :3], out=frame)

    def _encoded(self, linear: Floats) -> NDArray[np.uint16]:
        return self._encode[(np.clip(linear, 0, 1) * 65535 + 0.5).astype(np.uint16)]


def disc_blur(image: Floats, radius_px: float) -> Floats:
    """Blur with a uniform disc; large discs on a smaller picture, where they lose nothing that is seen."""
    if radius_px <= 0:
        return image
    factor = 1 if radius_px < 8 else 2 if radius_px < 18 else 4
    rows, columns = image.shape[:2]
    if factor > 1:
        image = _resized(image, max(1, columns // factor), max(1, rows // factor), cv2.INTER_AREA)
    blurred: Floats = np.asarray(
        cv2.filter2D(image, -1, disc_kernel(radius_px / factor), borderType=cv2.BORDER_REFLECT), np.float32
    )
    return blurred if factor == 1 else _resized(blurred, columns, rows, cv2.INTER_LINEAR)


def _resized(image: Floats, columns: int, rows: int, interpolation: int) -> Floats:
    return np.asarray(cv2.resize(image, (columns, rows), interpolation=interpolation), np.float32)


def disc_kernel(radius_px: float) -> Floats:
    """A disc as convolution kernel, sum 1, each pixel weighted by the area covered."""
    reach, fine = math.ceil(radius_px + 0.5), 9
    side = 2 * reach + 1
    axis = (np.arange(side * fine) + 0.5) / fine - reach - 0.5
    covered = (axis[:, None] ** 2 + axis[None] ** 2 <= radius_px**2).astype(np.float32)
    kernel = covered.reshape(side, fine, side, fine).sum((1, 3))
    return np.asarray(kernel / kernel.sum(), np.float32)


class _Writer:
    """Writes each frame as the camera would: placed, gained, noisy."""

    def __init__(
        self, plan: StackPlan, truths: Sequence[FrameTruth], canvases: NDArray[np.uint16], margin: int, folder: Path
    ) -> None:
        self._plan, self._truths, self._canvases, self._margin, self._folder = plan, truths, canvases, margin, folder

    def write(self, index: int) -> None:
        plan, truth, margin = self._plan, self._truths[index], self._margin
        matrix = truth.matrix.copy()
        matrix[:, 2] -= matrix[:, :2] @ (margin, margin)
        if plan.distortion:
            placed = np.asarray(_seen(plan, self._canvases[index], truth.matrix, margin), np.uint16)
        elif np.array_equal(matrix, [[1, 0, -margin], [0, 1, -margin]]):
            placed = self._canvases[index, margin : margin + plan.height, margin : margin + plan.width]
        else:
            size = (plan.width, plan.height)
            placed = np.asarray(
                cv2.warpAffine(self._canvases[index], matrix, size, flags=cv2.INTER_LANCZOS4), np.uint16
            )
        light = placed.astype(np.float32) * np.float32(truth.gain ** (1 / GAMMA) / 257)
        grain = np.random.default_rng([plan.seed, 7, index]).standard_normal(light.shape, np.float32)
        light += grain * np.float32(plan.noise) * np.sqrt(0.15 + 0.85 * light / 255)
        if plan.suffix == "jpg":
            frame = np.clip(light + 0.5, 0, 255).astype(np.uint8)
        else:
            frame = np.clip(light * 257 + 0.5, 0, 65535).astype(np.uint16)
        _write(self._folder / f"frame_{index:04d}.{plan.suffix}", frame)


def _write(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16] | Floats) -> None:
    options: list[int] = []
    if path.suffix == ".jpg":
        options = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422]
    if not cv2.imwrite(str(path), image, options):
        raise OSError(f"could not write {path}")


def _write_meta(plan: StackPlan, truths: Sequence[FrameTruth], path: Path) -> None:
    frames = [
        {"index": i, "z": truth.z, "gain": truth.gain, "matrix": truth.matrix.tolist()}
        for i, truth in enumerate(truths)
    ]
    meta = {
        "width": plan.width,
        "height": plan.height,
        "frames": plan.frames,
        "reference": plan.frames // 2,
        "max_blur": plan.blur_px,
        "gamma": GAMMA,
        "plan": asdict(plan),
        "frame": frames,
    }
    path.write_text(json.dumps(meta, indent=1), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = StackPlan()
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--size", default=f"{default.width}x{default.height}", help="WIDTHxHEIGHT (default %(default)s)"
    )
    parser.add_argument("--frames", type=int, default=default.frames)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--breathing", type=float, default=default.breathing, help="relative change of scale per frame")
    parser.add_argument("--shift", type=float, default=default.shift_px, help="sigma of each frame's shift, px")
    parser.add_argument(
        "--rotation", type=float, default=default.rotation_deg, help="sigma of each frame's rotation, degrees"
    )
    parser.add_argument(
        "--distortion", type=float, default=default.distortion, help="share by which the lens moves corners outward"
    )
    parser.add_argument("--noise", type=float, default=default.noise, help="sigma at white, 8-bit units")
    parser.add_argument(
        "--gain-jitter", type=float, default=default.gain_jitter, help="sigma of each frame's relative gain"
    )
    parser.add_argument("--max-blur", type=float, help="disc radius across the whole depth, px (default 0.006 x width)")
    parser.add_argument("--format", choices=("jpg", "tif"), default=default.suffix, help="tif has 16 bit")
    parser.add_argument("--aligned", action="store_true", help="no breathing, shift, rotation or gain jitter")
    parser.add_argument("--far-first", action="store_true", help="frame 0 focuses farthest")
    given = parser.parse_args(arguments)
    width, height = (int(part) for part in given.size.lower().split("x"))
    plan = StackPlan(
        width=width,
        height=height,
        frames=given.frames,
        seed=given.seed,
        breathing=given.breathing,
        shift_px=given.shift,
        rotation_deg=given.rotation,
        noise=given.noise,
        gain_jitter=given.gain_jitter,
        max_blur_px=given.max_blur,
        suffix=given.format,
        far_first=given.far_first,
        distortion=given.distortion,
    )
    make_stack(plan.aligned() if given.aligned else plan, given.folder)


if __name__ == "__main__":
    main()
