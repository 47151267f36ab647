"""Fit the gates of the focal sweep (`stacking.fuse.focal_sweep`) on stacks of known truth.

    python -m benchmarks.fit_sweep STACK ... --output stacking/fuse/sweep_gates.py

A STACK is a folder as `benchmarks.make_stack` writes it. Frames are fused by their true transforms; the gates of all bands are found
together, so that differences times gates, enlarged and added up, come nearest to what the truth lacks in the fused luma (Adam over
patches; every stack counts by its own error).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
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
from stacking.fuse.sweep_kernels import HIDDEN, MOST_GATES
from stacking.options import Method

F32 = NDArray[np.float32]
Gate = tuple[F32, F32]

_MARGIN_PX, _PATCH_PX, _RIM_PX, _BATCH, _STEPS, _RATE, _DECAY = 64, 256, 16, 4, 3000, 0.01, 1e-5
_FIRST, _SECOND, _EVERY = 0.9, 0.995, 37
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


@dataclass(frozen=True, slots=True)
class Sample:
    """A stack's picture: by level the differences (rows, columns) and what gates depend on (9, rows, columns), with the constant; what the
    truth lacks at full size; and the mean square of that.
    """

    levels: list[tuple[F32, F32]]
    lacking: F32
    error: float


def sample_of(folder: Path, bands: Bands) -> Sample:
    """Fuse a stack, and compare it with its truth."""
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
    levels = []
    for difference, inputs in sweep.residuals(picture, bands)[1]:
        inputs[5] = soft_sign(inputs[5])
        levels.append((difference, np.stack([*inputs, np.ones_like(difference)])))
    inside = lacking[_MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX]
    return Sample(levels, lacking, float(np.mean(inside**2)))


class Fit:
    """The gates of all levels while they are found; inputs are standardised."""

    def __init__(self, samples: Sequence[Sample], rng: np.random.Generator) -> None:
        self._samples, self._rng = samples, rng
        self._mean, self._deviation = [], []
        for level in range(LEVELS):
            some = np.concatenate([s.levels[level][1].reshape(HIDDEN, -1)[:, ::_EVERY] for s in samples], axis=1)
            mean, deviation = some.mean(axis=1), some.std(axis=1) + 1e-3
            mean[-1], deviation[-1] = 0.0, 1.0
            self._mean.append(mean[:, None])
            self._deviation.append(deviation[:, None])
        self._values = [
            [rng.normal(0, 0.12, (HIDDEN, HIDDEN)), rng.normal(0, 0.1, HIDDEN), np.zeros(HIDDEN)] for _ in range(LEVELS)
        ]
        for values in self._values:
            values[2][-1] = -1.0

    def run(self) -> list[Gate]:
        """All steps; the gates as `sweep_kernels.gate_rows` takes them."""
        first = [[np.zeros_like(v) for v in values] for values in self._values]
        second = [[np.zeros_like(v) for v in values] for values in self._values]
        for step in range(1, _STEPS + 1):
            gradients = [[_DECAY * v for v in values] for values in self._values]
            for of in self._rng.integers(0, len(self._samples), _BATCH):
                self._add_gradients(self._samples[of], gradients)
            rate = _RATE * min(1.0, (_STEPS - step) / (_STEPS * 0.6) + 0.01, step / 50)
            for level, values in enumerate(self._values):
                for k, gradient in enumerate(gradients[level]):
                    one, two = first[level], second[level]
                    one[k] = _FIRST * one[k] + (1 - _FIRST) * gradient
                    two[k] = _SECOND * two[k] + (1 - _SECOND) * gradient**2
                    mean, square = one[k] / (1 - _FIRST**step), two[k] / (1 - _SECOND**step)
                    values[k] -= rate * mean / (np.sqrt(square) + 1e-8)
        return [self._folded(level) for level in range(LEVELS)]

    def _add_gradients(self, sample: Sample, gradients: list[list[NDArray[np.float64]]]) -> None:
        """Those of the error of one patch."""
        unit = 1 << LEVELS
        y, x = (
            unit * self._rng.integers(_MARGIN_PX // unit, (n - _MARGIN_PX - _PATCH_PX) // unit + 1)
            for n in sample.lacking.shape
        )
        passed = []
        change: F32 | None = None
        for level in reversed(range(LEVELS)):
            size = _PATCH_PX >> level + 1
            rows, columns = (slice(v >> level + 1, (v >> level + 1) + size) for v in (y, x))
            difference, inputs = sample.levels[level]
            given = (inputs[:, rows, columns].reshape(HIDDEN, -1) - self._mean[level]) / self._deviation[level]
            weights, output, direct = self._values[level]
            hidden = soft_sign(weights @ given)
            slope = soft_sign(0.5 * (output @ hidden + direct @ given))
            here = difference[rows, columns]
            own = np.asarray(0.5 * MOST_GATES[level] * (1 + slope).reshape(here.shape) * here, np.float32)
            change = own if change is None else own + cv2.pyrUp(change)
            passed.append((here.ravel(), given, hidden, slope))
        assert change is not None
        left = sample.lacking[y : y + _PATCH_PX, x : x + _PATCH_PX] - cv2.pyrUp(change)
        left[:_RIM_PX] = left[-_RIM_PX:] = left[:, :_RIM_PX] = left[:, -_RIM_PX:] = 0.0
        back = np.asarray(-2 / (sample.error * _BATCH * (_PATCH_PX - 2 * _RIM_PX) ** 2) * left, np.float32)
        for level, (here, given, hidden, slope) in enumerate(reversed(passed)):
            back = np.asarray(4 * cv2.pyrDown(back), np.float32)
            inner = back.ravel() * here * 0.25 * MOST_GATES[level] * (1 - slope**2)
            through = np.outer(self._values[level][1], inner) * (1 - hidden**2)
            for k, gradient in enumerate((through @ given.T, hidden @ inner, given @ inner)):
                gradients[level][k] += gradient

    def _folded(self, level: int) -> Gate:
        """With the standardisation in the weights."""
        mean, deviation = self._mean[level].ravel(), self._deviation[level].ravel()
        weights, output, direct = self._values[level]
        folded = [v / deviation for v in (weights, direct)]
        for v in folded:
            v[..., -1] -= (v[..., :-1] * mean[:-1]).sum(axis=-1)
        return folded[0].astype(np.float32), np.stack([output, folded[1]]).astype(np.float32)


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
        samples = [sample_of(folder, bands) for folder in arguments.stacks]
    arguments.output.write_text(written(Fit(samples, rng).run()))


if __name__ == "__main__":
    main()
