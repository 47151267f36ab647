"""Hot pixels of developed pictures: found where they stand still while the picture moves, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stacking.develop_spots import spots_of, standing_spots, without_spots
from stacking.engine import Engine
from stacking.frames import Source
from stacking.options import StackOptions

HOT = ((40, 60), (90, 150), (120, 33), (71, 201), (25, 180))


def scene() -> NDArray[np.float64]:
    rng = np.random.default_rng(17)
    fine = cv2.GaussianBlur(rng.random((260, 360)), (0, 0), 1.6)
    picture = 110 + 18 * (fine - fine.mean()) / fine.std()
    for _ in range(60):  # glints of the subject, which move with it
        y, x = rng.integers(8, 250), rng.integers(8, 350)
        picture[y : y + 2, x : x + 2] = 235
    return np.repeat(picture[..., None], 3, axis=2) * [0.9, 1.0, 1.05]


def frames(*, hot: bool, moving: bool, count: int = 9) -> list[NDArray[np.uint8]]:
    whole, rng = scene(), np.random.default_rng(18)
    out = []
    for k in range(count):
        dy, dx = (int(v) for v in rng.integers(0, 18, 2)) if moving else (9, 9)
        cut = whole[20 + dy : 20 + dy + 200, 20 + dx : 20 + dx + 280] + rng.normal(0, 1.0, (200, 280, 3))
        frame = np.clip(np.rint(cv2.GaussianBlur(cut, (0, 0), 0.4 + 0.25 * abs(k - count // 2))), 0, 255).astype(
            np.uint8
        )
        if hot:
            for n, (y, x) in enumerate(HOT):
                frame[y - 1 : y + 2, x - 1 : x + 2, n % 3] = 200
                frame[y, x] = 250
        out.append(frame)
    return out


def stacked(folder: Path, pictures: list[NDArray[np.uint8]]) -> tuple[Engine, NDArray[np.uint16], tuple[str, ...]]:
    folder.mkdir()
    engine = Engine(StackOptions(threads=1))
    for k, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{k}.jpg"), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        engine.add(Source(folder / f"{k}.jpg"))
    result = engine.finish()
    assert len(result.used) == len(pictures)
    return engine, result.image, result.notes


def test_what_stands_still_is_found_and_filled(tmp_path: Path) -> None:
    clean, with_hot = frames(hot=False, moving=True), frames(hot=True, moving=True)
    _, expected, _ = stacked(tmp_path / "clean", clean)
    engine, found, notes = stacked(tmp_path / "hot", with_hot)
    assert engine.development.spots >= len(HOT)
    assert any("hot or dead pixels" in note for note in notes)
    assert found.shape == expected.shape
    error = np.abs(found.astype(float) - expected) / 257
    assert error.max() < 45  # a hot pixel leaves 100 and more
    assert np.sqrt((error**2).mean()) < 2.0
    developed = engine.development.frame(Source(tmp_path / "hot" / "4.jpg")).image.astype(int)
    for y, x in HOT:
        assert np.abs(developed[y, x] - clean[4][y, x]).max() < 60


@pytest.mark.parametrize("moving", [True, False])
def test_glints_of_the_subject_are_left_alone(tmp_path: Path, moving: bool) -> None:
    engine, _, notes = stacked(tmp_path / "in", frames(hot=False, moving=moving))
    assert engine.development.spots == 0
    assert not any("hot or dead" in note for note in notes)


def test_the_places_are_those_of_the_frame() -> None:
    pictures = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in frames(hot=True, moving=True)]
    rng = np.random.default_rng(19)
    matrices = {k: np.array([[1.0, 0.0, s], [0.0, 1.0, t]]) for k, (s, t) in enumerate(rng.normal(0, 5, (9, 2)))}
    found = standing_spots({k: spots_of(p) for k, p in enumerate(pictures)}, matrices, factor=1, pixels=200 * 280)
    assert {(int(y), int(x)) for y, x in found} >= set(HOT)
    still = {k: np.eye(2, 3) for k in matrices}
    assert not len(standing_spots({k: spots_of(p) for k, p in enumerate(pictures)}, still, factor=1, pixels=200 * 280))


@pytest.mark.parametrize("seed", [21, 22])
def test_coloured_spots_in_a_rough_picture_are_found_and_nothing_else(seed: int) -> None:
    """One channel of one pixel, spread by the demosaic, in a picture that is rough everywhere it is sharp."""
    rng = np.random.default_rng(seed)
    rough = cv2.GaussianBlur(rng.random((260, 360)), (0, 0), 0.9)
    rough = 110 + 20 * (rough - rough.mean()) / rough.std()
    spread = np.array([[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]])
    hot = [(20 + 20 * n, 15 + 31 * n, n % 2) for n in range(8)]
    seen, matrices, count = {}, {}, 16
    for k in range(count):
        dy, dx = (int(v) for v in rng.integers(0, 6, 2))
        blur = 0.3 + 0.5 * np.abs(np.linspace(0, count - 1, 280) - k)[None]  # sharp in one part of each frame
        cut = rough[20 + dy : 220 + dy, 20 + dx : 300 + dx]
        banks = np.stack([cut, *(cv2.GaussianBlur(cut, (0, 0), s) for s in (1.0, 2.0, 4.0))])
        at = np.interp(np.minimum(blur, 4.0), [0.0, 1.0, 2.0, 4.0], np.arange(4.0)) * np.ones_like(cut)
        soft = sum(banks[j] * np.clip(1 - np.abs(at - j), 0, 1) for j in range(4))
        frame = np.repeat(np.asarray(soft)[..., None], 3, axis=2) + rng.normal(0, 1.5, (200, 280, 3))
        for y, x, channel in hot:
            frame[y - 1 : y + 2, x - 1 : x + 2, channel] += 110 * spread
        frame = np.clip(np.rint(frame), 0, 255).astype(np.uint8)
        frame = cv2.imdecode(cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1], 1)[..., ::-1]
        seen[k] = spots_of(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY))
        matrices[k] = np.array([[1.0, 0.0, -dx], [0.0, 1.0, -dy]])
    found = {(int(y), int(x)) for y, x in standing_spots(seen, matrices, factor=1, pixels=200 * 280)}
    assert found == {(y, x) for y, x, _ in hot}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_patch_goes_on_as_its_edges_do(dtype: type) -> None:
    slope = (np.add.outer(np.arange(40) * 2, np.arange(50))[..., None] + [0, 5, 9]).astype(dtype)
    image = slope.copy()
    image[20:22, 30:32] = 200
    image[0, 0] = 180
    without_spots(image, np.array([[10, 15]], np.int32), 2)
    assert np.abs(image.astype(int) - slope)[1:].max() <= 1
    without_spots(image, np.array([[0, 0], [19, 24]], np.int32), 2)  # at the border nothing is written outside
