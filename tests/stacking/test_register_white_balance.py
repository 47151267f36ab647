"""White balance that drifts or jumps is matched channel by channel, and no cast comes of what does not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stacking.engine import Engine
from stacking.frames import Registration, Source
from stacking.register.similarity import Similarity
from stacking.register.white_balance import WhiteBalance, colour_blocks
from tests.stacking.pictures import as_bits, scene

ROWS, COLUMNS = 300, 400


def frame(depth: float, tint: tuple[float, float, float], *, seed: int = 3, scale: float = 1.0) -> NDArray[np.float64]:
    """A view of the scene, blurred by its distance from focus in linear light, then tinted."""
    light = (0.05 + 0.75 * scene(ROWS, COLUMNS, seed)) ** 2.2
    if depth:
        light = cv2.GaussianBlur(light, (0, 0), 6 * abs(depth))
    matrix = Similarity(scale).matrix((COLUMNS, ROWS))
    light = cv2.warpAffine(light, matrix, (COLUMNS, ROWS), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.clip(light, 0, 1) ** (1 / 2.2) * np.asarray(tint)


def matched(
    images: list[NDArray[np.float64]], bits: int, scales: list[float] | None = None
) -> list[NDArray[np.float64]]:
    """The gains of frames after the first, which is the reference."""
    scales = scales or [1.0] * len(images)
    registrations = {
        k: Registration(Similarity(scale).matrix((COLUMNS, ROWS)), np.ones(3), 0.0) for k, scale in enumerate(scales)
    }
    balance = WhiteBalance(as_bits(images[0], bits), registrations)
    for k, image in enumerate(images):
        balance.match(k, as_bits(image, bits))
    return [registrations[k].gain for k in range(1, len(images))]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("tint", [(1.1, 1.0, 0.85), (0.7, 1.0, 1.0), (0.7, 0.95, 0.66), (0.97, 1.0, 1.02)])
def test_a_drift_is_matched_whatever_is_in_focus(tint: tuple[float, float, float], bits: int) -> None:
    images = [frame(0.0, (0.8, 0.8, 0.8))] + [
        frame(depth, tuple(0.8 * t for t in tint))
        for depth in (0.0, 0.5, 1.0)  # type: ignore[arg-type]
    ]
    for gain in matched(images, bits):
        np.testing.assert_allclose(gain, 1 / np.asarray(tint), rtol=0.012)


@pytest.mark.parametrize("seed", range(4))
def test_no_cast_is_invented(seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = [frame(d, (0.9, 0.9, 0.9), seed=seed, scale=1 + 0.03 * k) for k, d in enumerate((0.0, 0.4, 1.0, 2.0))]
    noisy = [np.clip(image + rng.normal(0, 0.02, image.shape), 0, 1) for image in images]
    for gain in matched(noisy, 8, [1 + 0.03 * k for k in range(4)]):
        np.testing.assert_array_equal(gain, np.ones(3))


def test_pictures_without_colour_tell_nothing() -> None:
    gray = as_bits(np.repeat(scene(ROWS, COLUMNS, 1)[..., :1], 3, axis=2), 8)
    assert colour_blocks(gray) is None
    colour = frame(0.0, (0.9, 0.8, 0.7))
    assert matched([colour, gray.astype(np.float64) / 255], 8)[0].tolist() == [1, 1, 1]


def test_a_stack_with_a_jump_is_the_stack_without(tmp_path: Path) -> None:
    tints = [(0.8, 0.8, 0.8)] * 5
    results = []
    for name, jump in (("plain", (0.8, 0.8, 0.8)), ("jump", (0.56, 0.8, 0.9))):
        folder = tmp_path / name
        folder.mkdir()
        sources = []
        for k, tint in enumerate([*tints[:3], jump, tints[4]]):
            picture = as_bits(frame(0.4 * (k - 2), tint, scale=1 + 0.001 * k), 8)  # type: ignore[arg-type]
            cv2.imwrite(str(folder / f"{k}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            sources.append(Source(folder / f"{k}.png"))
        engine = Engine()
        engine.extend(sources)
        results.append(engine.finish())
    plain, jump = results
    assert jump.used == plain.used == tuple(range(5))
    assert any("3.png" in note and "colours" in note for note in jump.notes)
    assert not any("colours" in note for note in plain.notes)
    assert jump.image.shape == plain.image.shape
    error = (jump.image.astype(np.float64) - plain.image) / 257
    assert np.sqrt((error**2).mean()) < 0.8
    assert np.abs(error.mean((0, 1))).max() < 0.3
