"""Random scenes for the simulated bench, of its own kinds of layers, put together as the bench's specimen is not."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np

from capture.bench.scene_description import SceneDescription

Rng = np.random.Generator


def write_scene(seed: int, folder: Path) -> Path:
    """A ground at any slope with up to seven domes; up to three plates, two layers of hairs and two of bristles before it."""
    rng = np.random.default_rng([seed, 77])
    near, slope = float(rng.uniform(0, 0.5)), float(rng.uniform(-180, 180))
    far = max(float(rng.uniform(0.6, 1)), near + 0.2)

    def before() -> str:
        depths = [max(end - 0.02 - float(rng.exponential(0.15)), 0.0) for end in (near, far)]
        return f"depth = [{depths[0]:.3f}, {depths[1]:.3f}]\ndirection_deg = {slope + float(rng.uniform(-12, 12)):.1f}"

    layers = [
        f'kind = "ground"\ndepth = [{near:.3f}, {far:.3f}]\ndirection_deg = {slope:.1f}\ndomes = {int(rng.integers(0, 8))}\n'
        f"dome_radius = [0.05, {float(rng.uniform(0.1, 0.25)):.3f}]\ndome_height = {float(rng.uniform(0.05, 0.4)):.3f}\n"
        f"dome_tints = [{_tint(rng, 0.1, 0.4)}, {_tint(rng, 0.1, 0.4)}]\n{_tints(rng)}"
    ]
    for _ in range(int(rng.integers(0, 4))):
        at = rng.uniform(0.1, 0.9, 2)
        layers.append(
            f'kind = "plate"\n{before()}\nat = [{at[0]:.3f}, {at[1]:.3f}]\nsize = {float(rng.uniform(0.08, 0.3)):.3f}\n{_tints(rng)}'
        )
    layers += [
        f'kind = "hairs"\n{before()}\ncount = {int(rng.integers(2, 12))}\n{_width(rng, 1.5, 4)}\n{_tints(rng)}'
        for _ in range(int(rng.integers(0, 3)))
    ]
    layers += [
        f'kind = "bristles"\n{before()}\ngrow_deg = {float(rng.uniform(-180, 180)):.1f}\ncount = {int(rng.integers(2, 10))}\n'
        f"size = {float(rng.uniform(0.2, 0.5)):.3f}\n{_width(rng, 3, 9)}\n{_tints(rng)}"
        for _ in range(int(rng.integers(0, 3)))
    ]
    text = "\n".join(f"[[layer]]\n{layer}\n" for layer in layers)
    SceneDescription.model_validate(tomllib.loads(text))
    path = folder / f"scene-{seed}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _width(rng: Rng, least: float, most: float) -> str:
    width = float(rng.uniform(least, most))
    return f"width_px = [{width:.2f}, {1.7 * width:.2f}]"


def _tints(rng: Rng) -> str:
    return f"tint = {_tint(rng, 0.06, 0.45)}\nsecond_tint = {_tint(rng, 0.05, 0.4)}"


def _tint(rng: Rng, least: float, most: float) -> str:
    red, green, blue = rng.uniform(least, most) * rng.uniform(0.7, 1.3, 3)
    return f"[{red:.3f}, {green:.3f}, {blue:.3f}]"
