from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stacking.develop import Development, as_source
from stacking.develop_defects import agreed, believed, repair, spread, suspects
from stacking.frames import Source
from tests.stacking.pictures import BLACK, WHITE, mosaic_of, scene, write_dng

ROWS, COLUMNS = 120, 160
SPAN = WHITE - BLACK
DEFECTS = [(20, 31), (57, 90), (80, 33), (99, 140), (44, 44)]


def frames(count: int = 5, noise: float = 0.004) -> list[NDArray[np.uint16]]:
    """A scene that moves and blurs, on one sensor with hot and dead pixels."""
    rng = np.random.default_rng(9)
    wide = scene(ROWS + 24, COLUMNS + 24, seed=2)
    made = []
    for index in range(count):
        part = cv2.GaussianBlur(wide, (0, 0), 1.5 + abs(index - count // 2))[
            index : index + ROWS, 2 * index : 2 * index + COLUMNS
        ]
        counts = mosaic_of(0.35 + 0.3 * part) + rng.normal(0, noise * SPAN, (ROWS, COLUMNS))
        for k, (y, x) in enumerate(DEFECTS):
            counts[y, x] = WHITE if k % 2 == 0 else BLACK - 200
        made.append(np.clip(np.rint(counts), 0, WHITE).astype(np.uint16))
    return made


def found_in(several: list[NDArray[np.uint16]]) -> list[tuple[int, int]]:
    places = agreed((suspects(samples, SPAN) for samples in several), len(several))
    return [(int(y), int(x)) for y, x in places]


def test_defects_are_found_and_nothing_else() -> None:
    found = found_in(frames())
    assert set(found) <= set(DEFECTS)
    assert len(found) >= len(DEFECTS) - 1  # one may hide in a place as bright or as dark as itself


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_noise_alone_has_no_defects(seed: int) -> None:
    rng = np.random.default_rng(seed)
    several = [rng.poisson(900, (100, 140)).astype(np.uint16) for _ in range(3)]
    assert found_in(several) == []


def test_a_point_of_light_that_stays_in_place_is_no_defect() -> None:
    """Five equal frames of specks as small as a lens can draw them."""
    rng = np.random.default_rng(3)
    specks = np.full((ROWS, COLUMNS), 0.1)
    specks[rng.integers(6, ROWS - 6, 60), rng.integers(6, COLUMNS - 6, 60)] = 40
    picture = np.clip(cv2.GaussianBlur(specks, (0, 0), 0.7), 0, 1)
    samples = mosaic_of(np.repeat(picture[..., None], 3, 2))
    assert found_in([samples] * 5) == []


def test_repair_puts_in_what_stands_around() -> None:
    clean = frames(1, noise=0)[0]
    flat = np.full_like(clean, 5000)
    flat[30, 40] = WHITE
    repair(flat, np.array([[30, 40]]))
    assert (flat == 5000).all()


def test_too_many_are_not_believed() -> None:
    places = np.argwhere(np.ones((10, 10)))
    assert len(believed(places, 10_000)) == 0
    assert len(believed(places[:5], 10_000)) == 5


@given(st.integers(1, 500))
def test_frames_looked_at_are_spread_to_both_ends(count: int) -> None:
    looked_at = spread(count)
    assert len(looked_at) == min(count, 5)
    assert (looked_at[0], looked_at[-1]) == (0, count - 1)


@pytest.fixture
def stack(tmp_path: Path) -> list[Source]:
    return [as_source(write_dng(tmp_path / f"{k}.dng", samples)) for k, samples in enumerate(frames())]


@pytest.mark.parametrize("quality", ["fast", "full"])
def test_a_stack_is_developed_without_them(stack: list[Source], quality: str) -> None:
    development = Development(stack, quality=quality)
    before = development.frame(stack[2]).image.astype(int)
    gray_before = development.gray_half(stack[2]).astype(int)
    assert development.learn_defects(stack) == development.defects >= 4
    after = development.frame(stack[2]).image.astype(int)
    changed = np.abs(after - before).max(axis=-1) > 3000
    y, x = DEFECTS[1]
    assert changed[y, x]
    near = np.zeros_like(changed)
    for y, x in DEFECTS:
        near[y - 6 : y + 7, x - 6 : x + 7] = True
    assert not changed[~near].any()
    assert np.abs(development.gray_half(stack[2]).astype(int) - gray_before).max() > 10


def test_too_few_frames_tell_nothing(stack: list[Source], tmp_path: Path) -> None:
    development = Development(stack)
    assert development.learn_defects(stack[:2]) == 0
    broken = Source(tmp_path / "broken.dng", raw=True)
    broken.path.write_bytes(b"II*\0 broken")
    assert development.learn_defects([stack[0], broken, stack[1]]) == 0
    assert development.learn_defects([stack[0], stack[1], broken, stack[3], stack[4]], threads=2) >= 4


def test_sensors_too_small_to_judge_are_left_alone() -> None:
    assert len(suspects(np.full((5, 40), 7, np.uint16), SPAN)) == 0
