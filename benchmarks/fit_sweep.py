"""Fit the gates of the focal sweep (`stacking.fuse.focal_sweep`) on stacks of known truth.

    python -m benchmarks.fit_sweep STACK ... --output stacking/fuse/sweep_gates.py

A STACK is a folder as `benchmarks.make_stack` writes it. Frames are fused by their true transforms; the gates are found, band by band, so
that differences times gates come nearest to what the truth lacks in the fused luma (Adam; every stack counts by its own error).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.fuse.bands import Bands
from stacking.fuse.canvas import Canvas
from stacking.fuse.focal_sweep import LEVELS, FocalSweep
from stacking.fuse.frame_planes import LUMA, FramePlanes
from stacking.fuse.methods import noise_for
from stacking.fuse.pyramid import PyramidFusion, PyramidTuning
from stacking.fuse.sweep_kernels import HIDDEN, MOST_GATE
from stacking.options import Method

F32 = NDArray[np.float32]
Level = tuple[F32, F32, F32]
Gate = tuple[F32, F32]

_MARGIN_PX, _BATCH, _STEPS, _RATE, _DECAY = 64, 40000, 800, 0.02, 1e-4
_HEADER = '''"""The gates of the focal sweep, as `benchmarks.fit_sweep` found them on stacks of known truth.

By level from the finest: weights of the hidden values (9, 9), and of the output (2, 9); see `sweep_kernels.gate_rows`.
"""
'''


def soft_sign(x: F32) -> F32:
    """As the compiled loop has it."""
    v = np.clip(x, -3.0, 3.0)
    return np.asarray(v * (27 + v * v) / (27 + 9 * v * v), np.float32)


def _read(path: Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise SystemExit(f"{path} cannot be read")
    colours = image[..., ::-1]
    return (
        np.ascontiguousarray(colours, np.uint16)
        if image.dtype == np.uint16
        else np.ascontiguousarray(colours, np.uint8)
    )


def samples_of(folder: Path, bands: Bands) -> tuple[list[Level], float]:
    """By level: differences, inputs (9, n) with the constant, and what the truth lacks; and the mean square error of the picture."""
    meta = json.loads((folder / "meta.json").read_text())
    canvas = Canvas(0, 0, meta["width"], meta["height"])
    planes, sweep = FramePlanes(canvas), FocalSweep(canvas)
    fusion: PyramidFusion | None = None
    for frame, path in zip(meta["frame"], sorted(folder.glob("frame_*")), strict=True):
        image = _read(path)
        gain, matrix = np.full(3, frame["gain"] ** (-1 / meta["gamma"])), np.array(frame["matrix"])
        if fusion is None:
            noise = noise_for(Method.AUTO, canvas, image, gain)
            fusion = PyramidFusion(canvas, bands, noise, PyramidTuning(sharpens=True), sweep=sweep)
        planes.load(image, matrix, gain, bands)
        fusion.add(planes, matrix, (canvas.width, canvas.height), frame["z"])
    assert fusion is not None
    picture = fusion.result()
    truth = _read(folder / "truth.tif")
    lacking = np.asarray(((truth.astype(np.float32) - picture) / 257) @ LUMA, np.float32)
    lacking = np.asarray(cv2.pyrDown(lacking), np.float32)
    levels: list[Level] = []
    coarse = lacking
    for level, (difference, inputs) in enumerate(sweep.residuals(picture, bands)[1]):
        fine, coarse = coarse, np.asarray(cv2.pyrDown(coarse), np.float32)
        band = fine - cv2.pyrUp(coarse, dstsize=fine.shape[::-1])
        inputs[5] = soft_sign(inputs[5])
        cut = slice(_MARGIN_PX >> level + 1, -(_MARGIN_PX >> level + 1))
        stacked = np.stack([*(p[cut, cut] for p in inputs), np.ones_like(band[cut, cut])])
        levels.append((difference[cut, cut].ravel(), stacked.reshape(HIDDEN, -1), band[cut, cut].ravel()))
    return levels, float(np.mean(lacking**2))


def fit(samples: Sequence[tuple[Level, float]], rng: np.random.Generator) -> Gate:
    """The gate of one level; ``samples`` are those of every stack and that stack's mean square error."""
    difference, inputs, lacking = (np.concatenate([s[k] for s, _ in samples], axis=-1) for k in range(3))
    weight = np.concatenate([np.full(s[0].size, 1 / (s[0].size * square)) for s, square in samples])
    weight /= (weight * lacking**2).sum()
    mean, deviation = inputs.mean(axis=1), inputs.std(axis=1) + 1e-3
    mean[-1], deviation[-1] = 0.0, 1.0
    inputs = ((inputs - mean[:, None]) / deviation[:, None]).astype(np.float32)
    values = [rng.normal(0, 0.12, (HIDDEN, HIDDEN)), rng.normal(0, 0.1, HIDDEN), np.zeros(HIDDEN)]
    values[2][-1] = -1.0
    first, second = [np.zeros_like(v) for v in values], [np.zeros_like(v) for v in values]
    for step in range(1, _STEPS + 1):
        of = rng.integers(0, difference.size, min(_BATCH, difference.size))
        x, d = inputs[:, of], difference[of]
        hidden = soft_sign(values[0] @ x)
        slope = soft_sign(0.5 * (values[1] @ hidden + values[2] @ x))
        left = 0.5 * MOST_GATE * (1 + slope) * d - lacking[of]
        back = 2 * weight[of] * left * d * (difference.size / of.size) * 0.25 * MOST_GATE * (1 - slope**2)
        gradients = [(np.outer(values[1], back) * (1 - hidden**2)) @ x.T, hidden @ back, x @ back]
        rate = _RATE * min(1.0, (_STEPS - step) / (_STEPS * 0.5) + 0.02)
        for k, gradient in enumerate(gradients):
            g = gradient + _DECAY * values[k]
            first[k] = 0.9 * first[k] + 0.1 * g
            second[k] = 0.99 * second[k] + 0.01 * g * g
            values[k] -= rate * (first[k] / (1 - 0.9**step)) / (np.sqrt(second[k] / (1 - 0.99**step)) + 1e-8)
    folded = [v / deviation for v in (values[0], values[2])]
    for v in folded:
        v[..., -1] -= (v[..., :-1] * mean[:-1]).sum(axis=-1)
    return folded[0].astype(np.float32), np.stack([values[1], folded[1]]).astype(np.float32)


def written(gates: Sequence[Gate]) -> str:
    """The module of the gates."""

    def rows(values: F32) -> str:
        return "".join(f"            [{', '.join(f'{v:.5g}' for v in row)}],\n" for row in values)

    body = "".join(f"    (\n        [\n{rows(h)}        ],\n        [\n{rows(o)}        ],\n    ),\n" for h, o in gates)
    return f"""{_HEADER}
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

# fmt: off
_NUMBERS = (
{body})
# fmt: on
GATES: tuple[tuple[F32, F32], ...] = tuple(
    (np.array(hidden, np.float32), np.array(output, np.float32)) for hidden, output in _NUMBERS
)
"""


def main() -> None:
    """Fit, and write the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stacks", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    with Bands() as bands:
        found = [samples_of(folder, bands) for folder in arguments.stacks]
    gates = [fit([(levels[k], square) for levels, square in found], rng) for k in range(LEVELS)]
    arguments.output.write_text(written(gates))


if __name__ == "__main__":
    main()
