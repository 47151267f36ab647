"""Frames that match the others and do not belong, and such as are peculiar and do: who is left out, and what is said."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from stacking.register.damage import shaken_frames, smeared_frames, truncated_frames
from stacking.register.features import Map, directional_differences, estimate_noise
from stacking.register.similarity import Similarity
from tests.stacking.register_scenes import Taken, errors_px, register, scene, stack, take


def broken(frames: list[Taken], what: str, k: int) -> list[Taken]:
    gray = frames[k].gray
    if what == "foreign":
        gray = take(scene(99), seed=3).gray
    elif what == "blank":
        gray = np.clip(np.random.default_rng(1).normal(4, 1.5, gray.shape), 0, 255).astype(np.uint8)
    elif what == "truncated":
        gray = gray.copy()
        gray[200:] = 128
    elif what == "shaken":
        kernel = np.zeros((25, 25), np.float32)
        cv2.line(kernel, (2, 6), (22, 18), 1.0)
        gray = cv2.filter2D(gray, -1, kernel / kernel.sum())
    return [Taken(gray, f.pose, f.gain) if n == k else f for n, f in enumerate(frames)]


@pytest.mark.parametrize("at", [0, 3, 4])
@pytest.mark.parametrize(
    ("what", "reason"), [("foreign", "foreign"), ("blank", "blank"), ("truncated", "truncated"), ("shaken", "shaken")]
)
def test_a_frame_that_does_not_belong_is_left_out_and_the_rest_is_registered(what: str, reason: str, at: int) -> None:
    frames = broken(stack(9, 6), what, at)
    solution = register(frames)
    assert list(solution.left_out) == [at]
    assert reason in solution.left_out[at]
    assert solution.reference == (4 if at != 4 else solution.reference)
    assert solution.reference in solution.registrations
    errors = errors_px(solution, frames)
    assert sorted(errors) == [k for k in range(9) if k != at]
    assert max(errors.values()) < 0.1


@pytest.mark.parametrize("at", [0, 3, 8])
@pytest.mark.parametrize("what", ["foreign", "blank", "truncated", "repeated"])
def test_frames_that_need_no_alignment_are_looked_at_all_the_same(what: str, at: int) -> None:
    light = scene(6)
    frames = [take(light, depth=k / 8, seed=k) for k in range(9)]
    frames = [*frames, frames[at]] if what == "repeated" else broken(frames, what, at)
    solution = register(frames, motion="none")
    assert list(solution.left_out) == [9 if what == "repeated" else at]
    assert sorted(solution.registrations) == [k for k in range(9) if k not in solution.left_out]


def test_two_frames_that_lie_still_are_believed_whatever_they_show() -> None:
    assert register([take(scene(20 + k)) for k in range(2)], motion="none").left_out == {}


@pytest.mark.parametrize("at", [2, 6])
def test_a_frame_that_comes_twice_is_left_out_once(at: int) -> None:
    frames = stack(9, 4)
    frames[at] = frames[at - 1]
    solution = register(frames)
    assert solution.left_out == {at: f"the picture of frame {at - 1} once more"}
    same = register([frames[0]] * 3)
    assert same.left_out == {}


def test_two_foreign_frames_in_a_row_do_not_tear_the_stack() -> None:
    frames = broken(broken(stack(9, 6), "foreign", 3), "foreign", 4)
    solution = register(frames)
    assert sorted(solution.left_out) == [3, 4]
    assert max(errors_px(solution, frames).values()) < 0.1


@pytest.mark.parametrize("at", [0, 1, 5, 7, 8])
def test_a_bumped_frame_is_registered_and_named(at: int) -> None:
    frames = stack(9, 7)
    bumped = Similarity(complex(np.exp(0.02j)), 70 - 40j)
    frames[at] = take(scene(7), bumped, depth=at / 8, seed=700 + at)
    solution = register(frames)
    assert solution.left_out == {}
    assert [k for k, note in solution.notes if "moved" in note] == [at]
    assert max(errors_px(solution, frames).values()) < 0.12


def smear(light: np.ndarray, px: float, angle: float) -> np.ndarray:
    kernel = np.zeros((31, 31), np.float32)
    for along in np.linspace(-px / 2, px / 2, 200):
        kernel[round(15 + along * np.sin(angle)), round(15 + along * np.cos(angle))] += 1
    return np.asarray(cv2.filter2D(light, -1, kernel / kernel.sum()), np.float32)


@pytest.mark.parametrize(("at", "px", "angle"), [(0, 8.0, 0.8), (6, 10.0, 0.0), (3, 8.0, 1.57)])
def test_a_mild_shake_is_left_out_or_said_also_at_the_ends(at: int, px: float, angle: float) -> None:
    light = scene(11)
    frames = [take(smear(light, px, angle) if k == at else light, depth=k / 6, seed=k) for k in range(7)]
    solution = register(frames)
    said = set(solution.left_out) | {k for k, note in solution.notes if "shaken" in note}
    assert said == {at}
    assert set(solution.left_out) <= {at}


def test_no_shake_is_seen_where_there_is_none() -> None:
    frames = [take(scene(12), depth=k / 6, seed=k) for k in range(7)]
    solution = register(frames)
    assert not solution.left_out
    assert not [note for _, note in solution.notes if "shaken" in note]


@pytest.mark.parametrize(("at", "span"), [(0, (0.4, 1.0)), (0, (0.0, 0.5)), (5, (0.1, 0.6))])
def test_a_shaken_end_is_left_out_also_where_the_stack_begins_or_ends_inside_the_subject(
    at: int, span: tuple[float, float]
) -> None:
    light = scene(13)
    depths = np.linspace(*span, 6)
    clean = [take(light, depth=float(depth), seed=k) for k, depth in enumerate(depths)]
    shaken = take(smear(light, 12.0, 0.5), depth=float(depths[at]), seed=at)
    assert register(clean).left_out == {}
    assert list(register([shaken if k == at else frame for k, frame in enumerate(clean)]).left_out) == [at]


def sharpness(light: np.ndarray, depth: float, seed: int) -> Map:
    gray = take(light, depth=depth, seed=seed).gray
    return np.asarray(directional_differences(gray) - np.float32(2 * estimate_noise(gray) ** 2), np.float32)


RUN_DEPTHS = np.linspace(0.0, 1.0, 16)
# Strength in pixels of 480, and direction, of each frame's shake: another one for each, and the same for all.
SHAKES = {"each": [(9.0 + k % 4, 0.7 * k) for k in range(16)], "alike": [(10.0, 0.5)] * 16}


@pytest.fixture(scope="module")
def clean_run() -> list[Map]:
    light = scene(14)
    return [sharpness(light, float(depth), k) for k, depth in enumerate(RUN_DEPTHS)]


@pytest.fixture(scope="module", params=list(SHAKES))
def shaken_run(request: pytest.FixtureRequest) -> list[Map]:
    light = scene(14)
    smeared = [smear(light, *shake) for shake in SHAKES[request.param]]
    return [sharpness(smeared[k], float(depth), k) for k, depth in enumerate(RUN_DEPTHS)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_shaken_frames_in_a_row_are_found_wherever_they_are_and_no_others(
    count: int, clean_run: list[Map], shaken_run: list[Map]
) -> None:
    for first in range(len(clean_run) - count + 1):
        run = range(first, first + count)
        maps = [shaken_run[k] if k in run else clean_run[k] for k in range(len(clean_run))]
        assert sorted(shaken_frames(range(len(maps)), maps)) == list(run)


@pytest.mark.parametrize("part", [slice(None), slice(0, 9), slice(7, 16), slice(None, None, 3)])
def test_good_frames_are_not_taken_for_shaken_ones(part: slice, clean_run: list[Map]) -> None:
    maps = clean_run[part]
    assert shaken_frames(range(len(maps)), maps) == {}
    assert smeared_frames(range(len(maps)), maps) == {}


@pytest.mark.parametrize(
    ("fill", "others", "missing"),
    [(-1.0, 0.7, False), (-1.0, 0.1, True), (0.0, 0.004, False), (0.0, 0.1, True), (0.2, 0.2, True), (0.5, 0.02, True)],
)
def test_a_ground_that_an_exposure_makes_white_or_black_is_not_missing(
    fill: float, others: float, missing: bool
) -> None:
    light = [np.full((48, 64), others, np.float32) for _ in range(5)]
    dead = [np.zeros((12, 12), np.bool_) for _ in range(5)]
    light[2][40:], dead[2][10:] = fill, True
    cut = truncated_frames(range(5), dead, light)
    assert list(cut) == ([2] if missing else [])
