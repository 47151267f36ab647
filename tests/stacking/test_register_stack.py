"""Registration of whole stacks whose motion and brightness are known."""

from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacking.ahead import ahead
from stacking.errors import RegistrationError, StackingUsageError
from stacking.frames import STRAIGHT
from stacking.register import Registrar
from stacking.register.matching import Match, MatchQuery, match
from stacking.register.neighbours import NeighboursAhead
from stacking.register.similarity import Similarity
from tests.stacking.register_scenes import MARGIN, SIZE, STILL, Taken, errors_px, register, same, scene, stack, take


@pytest.mark.parametrize(
    ("name", "options", "limit_px"),
    [
        ("hardly moves", {"shift": 0.2, "turn": 0.0}, 0.06),
        ("ordinary", {}, 0.06),
        ("breathes 14 %", {"scale": 0.02}, 0.1),
        ("jumps 40 px and turns", {"shift": 25.0, "turn": 1.0}, 0.1),
        ("flickers", {"jitter": 0.25}, 0.1),
    ],
)
def test_motion_is_found(name: str, options: dict[str, float], limit_px: float) -> None:
    frames = stack(7, 1, **options)
    solution = register(frames)
    assert sorted(solution.registrations) == list(range(7)), solution.left_out
    assert solution.reference == 3
    worst = max(errors_px(solution, frames).values())
    assert worst < limit_px, f"{name}: {worst:.3f} px"
    assert {r.deformation for r in solution.registrations.values()} == {STRAIGHT}
    assert solution.deformed == ()


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.integers(0, 500), st.floats(-0.004, 0.004), st.floats(0, 10), st.floats(0, 0.5), st.floats(0, 0.3))
def test_a_good_frame_is_never_left_out(seed: int, scale: float, shift: float, turn: float, jitter: float) -> None:
    frames = stack(5, seed, scale=scale, shift=shift, turn=turn, jitter=jitter)
    solution = register(frames)
    assert solution.left_out == {}
    assert max(errors_px(solution, frames).values()) < 0.15


def test_half_size_luma_gives_full_size_matrices() -> None:
    frames = stack(5, 2)
    registrar = Registrar(SIZE)
    for k, frame in enumerate(frames):
        registrar.add(k, cv2.resize(frame.gray, (SIZE[0] // 2, SIZE[1] // 2), interpolation=cv2.INTER_AREA))
    assert max(errors_px(registrar.solve(), frames).values()) < 0.15


@pytest.mark.parametrize("size", [(481, 361), (480, 361)])
def test_odd_sizes_may_be_halved_either_way(size: tuple[int, int]) -> None:
    light = scene(3)
    whole = take(light, noise=0).gray
    gray = np.pad(whole, ((0, size[1] - 360), (0, size[0] - 480)), mode="edge")
    down = cv2.resize(gray[:360, :480], (240, 180), interpolation=cv2.INTER_AREA)
    up = np.pad(down, ((0, (size[1] + 1) // 2 - 180), (0, (size[0] + 1) // 2 - 240)), mode="edge")
    registrar = Registrar(size)
    for k, half in enumerate((down, up[: (size[1] + 1) // 2, : (size[0] + 1) // 2], down)):
        registrar.add(k, half)
    for found in registrar.solve().registrations.values():
        np.testing.assert_allclose(found.matrix, np.eye(2, 3), atol=0.02)


def test_brightness_is_matched_whatever_is_in_focus() -> None:
    light = scene(4)
    gains = [1.0, 1.35, 0.7, 1.0, 1.1]
    frames = [take(light, Similarity(1, 2j * k), depth=k / 4, gain=g, seed=k) for k, g in enumerate(gains)]
    solution = register(frames, reference=0)
    for k, g in enumerate(gains):
        np.testing.assert_allclose(solution.registrations[k].gain, g ** (-1 / 2.2), rtol=0.002)


def test_a_periodic_texture_is_registered_by_what_is_not_periodic() -> None:
    """A weave of equal threads fits itself at every period: what is left of irregularity, and small steps, tell which."""
    rows, columns = SIZE[1] + 2 * MARGIN, SIZE[0] + 2 * MARGIN
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    weave = 0.25 + 0.1 * np.sin(x * (2 * np.pi / 24)) * np.sin(y * (2 * np.pi / 24))
    light = np.clip(weave * (scene(13, marks=40, roughness=0.3) / 0.2) ** 0.5, 0.004, 0.85).astype(np.float32)
    draw = np.random.default_rng(14)
    poses = [
        STILL if k == 3 else Similarity(1 + 0.001 * (k - 3) + 0j, complex(*draw.normal(0, 2.5, 2))) for k in range(7)
    ]
    frames = [take(light, pose, depth=k / 6, seed=k) for k, pose in enumerate(poses)]
    solution = register(frames)
    assert sorted(solution.registrations) == list(range(7))
    assert max(errors_px(solution, frames).values()) < 0.3


@pytest.mark.parametrize("gone", [{3, 4}, {2, 5}])
def test_missing_middle_frames_are_bridged(gone: set[int]) -> None:
    frames = [frame for k, frame in enumerate(stack(9, 16)) if k not in gone]
    solution = register(frames)
    assert sorted(solution.registrations) == list(range(len(frames)))
    assert max(errors_px(solution, frames).values()) < 0.1


def test_a_brighter_frame_is_matched_and_named() -> None:
    frames = stack(9, 8)
    frames[2] = take(scene(8), frames[2].pose, depth=2 / 8, gain=1.3, seed=802)
    solution = register(frames)
    assert solution.left_out == {}
    assert [k for k, note in solution.notes if "stops brighter" in note] == [2]
    reference = frames[solution.reference].gain
    np.testing.assert_allclose(solution.registrations[2].gain, (reference / 1.3) ** (1 / 2.2), rtol=0.002)


def test_a_brighter_frame_is_named_where_all_flicker() -> None:
    frames = stack(13, 8, jitter=0.1)
    frames[2] = take(scene(8), frames[2].pose, depth=2 / 12, gain=1.4, seed=802)
    assert 2 in {k for k, note in register(frames).notes if "stops brighter" in note}


@pytest.mark.parametrize("count", [3, 4, 5])
def test_a_brighter_frame_is_not_what_the_others_are_matched_to(count: int) -> None:
    frames = stack(count, 8)
    middle = count // 2
    frames[middle] = take(scene(8), frames[middle].pose, depth=middle / (count - 1), gain=1.3, seed=802)
    assert register(frames).reference != middle


def test_end_frames_out_of_focus_everywhere_are_kept() -> None:
    light = scene(9, marks=600)
    blurs = [9.0, 5.0, 2.0, 0.0, 2.0, 5.0, 9.0]
    frames = []
    for k, s in enumerate(blurs):
        soft = light if s == 0 else cv2.GaussianBlur(light, (0, 0), s)
        frames.append(take(soft, Similarity(1.004 ** (k - 3), complex(3 * k, -k)), depth=0.5, seed=k))
    solution = register(frames)
    assert solution.left_out == {}
    assert max(errors_px(solution, frames).values()) < 1.0


def test_few_marks_on_an_empty_ground_suffice() -> None:
    light = np.full((SIZE[1] + 2 * MARGIN, SIZE[0] + 2 * MARGIN), 0.5, np.float32)
    draw = np.random.default_rng(10)
    for _ in range(25):
        cv2.circle(
            light, draw.integers([150, 150], [520, 400]).tolist(), int(draw.integers(3, 12)), 0.1, 2, cv2.LINE_AA
        )
    frames = [take(light, Similarity(1.002**k, complex(5 * k, 2)), depth=0.25 * k, seed=k) for k in range(5)]
    solution = register(frames)
    assert solution.left_out == {}
    assert max(errors_px(solution, frames).values()) < 0.25


def test_without_motion_only_brightness_is_matched() -> None:
    light = scene(11)
    frames = [take(light, Similarity(1, 5 * k), gain=1 + 0.1 * k, depth=0.2 * k, seed=k) for k in range(3)]
    solution = register(frames, motion="none", reference=0)
    for k in range(3):
        np.testing.assert_array_equal(solution.registrations[k].matrix, np.eye(2, 3))
        assert solution.registrations[k].gain.mean() == pytest.approx((1 + 0.1 * k) ** (-1 / 2.2), rel=0.01)


def test_a_single_frame_lies_on_itself() -> None:
    solution = register(stack(2, 12)[:1])
    np.testing.assert_array_equal(solution.registrations[0].matrix, np.eye(2, 3))


def test_unrelated_pictures_are_an_error_that_says_so() -> None:
    frames = [take(scene(20 + k)) for k in range(2)]
    with pytest.raises(RegistrationError, match="no two frames") as caught:
        register(frames)
    assert "one stack" in caught.value.remedy


def test_nothing_to_register_is_an_error() -> None:
    with pytest.raises(RegistrationError, match="no frame"):
        Registrar(SIZE).solve()
    with pytest.raises(RegistrationError, match="blank"):
        register([Taken(np.zeros((360, 480), np.uint8), Similarity(), 1.0)] * 3)


def test_wrong_use_is_named() -> None:
    with pytest.raises(StackingUsageError, match="sideways"):
        Registrar(SIZE, motion="sideways")
    registrar = Registrar(SIZE)
    with pytest.raises(StackingUsageError, match="100x100"):
        registrar.add(0, np.zeros((100, 100), np.uint8))
    registrar.add(3, take(scene(1)).gray)
    with pytest.raises(StackingUsageError, match="after frame 3"):
        registrar.add(2, take(scene(1)).gray)


@pytest.mark.parametrize(
    ("size", "motion"),
    [
        ((18, 16), "similarity"),
        ((5, 3), "similarity"),
        ((1, 1), "similarity"),
        ((1, 50), "similarity"),
        ((1, 1), "none"),
        ((2000, 3), "none"),
    ],
)
def test_frames_too_small_to_tell_where_they_lie_are_called_that(size: tuple[int, int], motion: str) -> None:
    registrar = Registrar(size, motion=motion)
    for k in range(8):
        registrar.add(k, np.random.default_rng(k).integers(0, 255, size[::-1], np.uint8))
    with pytest.raises(RegistrationError, match="too small") as caught:
        registrar.solve()
    assert ("--align none" in caught.value.remedy) == (size == (18, 16))


def test_full_size_is_wanted_for_small_frames() -> None:
    assert Registrar.wants_full((320, 240))
    assert Registrar.wants_full((1728, 1152))
    assert not Registrar.wants_full((4240, 2832))


def test_the_same_frames_give_the_same_bytes_whatever_the_threads() -> None:
    frames = stack(6, 13)
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = register(frames)
        cv2.setNumThreads(4)
        four = register(frames)
    finally:
        cv2.setNumThreads(before)
    assert same(one, four)


def test_measuring_beforehand_and_solving_between_change_nothing() -> None:
    frames = stack(6, 14)
    expected = register(frames)
    registrar = Registrar(SIZE)
    measured = [registrar.measure(k, f.gray) for k, f in reversed(list(enumerate(frames)))][::-1]
    for k, features in enumerate(measured):
        registrar.add(k, features)
        registrar.solve()
    assert same(registrar.solve(), expected)


def test_missing_indices_are_no_trouble() -> None:
    frames = stack(8, 15)
    registrar = Registrar(SIZE)
    for k in (0, 1, 3, 4, 7):
        registrar.add(k, frames[k].gray)
    solution = registrar.solve()
    assert sorted(solution.registrations) == [0, 1, 3, 4, 7]
    assert solution.reference == 3
    assert max(errors_px(solution, frames).values()) < 0.1


def test_memory_hardly_grows_with_the_frames() -> None:
    frames = stack(3, 16)
    registrar = Registrar(SIZE)
    tracemalloc.start()
    try:
        held = []
        for k in range(36):
            registrar.add(k, frames[k % 3].gray.copy())
            if k in (17, 35):
                held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert held[1] - held[0] < 18 * 40_000


@pytest.mark.parametrize("motion", ["similarity", "none"])
def test_matching_neighbours_ahead_changes_nothing_and_asks_nothing_twice(motion: str) -> None:
    frames = [f.gray for f in stack(6, 17)]
    frames[2] = np.full_like(frames[2], 7)  # blank: nobody's neighbour
    asked: list[tuple[int, int, bool]] = []

    def counted(query: MatchQuery) -> Match | None:
        asked.append((query.old.index, query.new.index, query.known is None))
        return match(query)

    alone = Registrar(SIZE, motion=motion, matcher=counted)
    for k, gray in enumerate(frames):
        alone.add(k, gray)
    expected, asked = set(asked), []
    neighbours = NeighboursAhead(SIZE, counted, still=motion == "none")
    registrar = Registrar(SIZE, motion=motion, matcher=neighbours.match)
    measured = ahead(
        lambda k: "unreadable" if k == 6 else registrar.measure(k, frames[k]), range(7), threads=2, depth=2
    )
    for k, found in neighbours.passing(measured):
        if not isinstance(found, str):
            registrar.add(k, found)
    assert same(registrar.solve(), alone.solve())
    assert sorted(asked) == sorted(expected)
