"""Registration of whole stacks whose motion, brightness and damage are known."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacking.errors import RegistrationError, StackingUsageError
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
) -> Taken:
    """Photograph a slope: blur grows with the distance of each column's depth (0..1 across the picture) from `depth`."""
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
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(fine, (onto_fine @ to_scene)[:2], (columns, rows), flags=flags)
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
    n: int, seed: int, *, scale: float = 0.001, shift: float = 1.5, turn: float = 0.02, jitter: float = 0.01
) -> list[Taken]:
    draw = np.random.default_rng([seed, 9])
    light = scene(seed)
    frames = []
    for k in range(n):
        a = (1 + scale) ** (k - n // 2) * np.exp(1j * np.radians(draw.normal(0, turn)))
        pose = Similarity(complex(a), complex(*draw.normal(0, shift, 2)))
        frames.append(
            take(light, pose, depth=k / (n - 1), gain=float(np.exp(draw.normal(0, jitter))), seed=100 * seed + k)
        )
    return frames


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
    assert solution.left_out == {at: f"the picture of frame {at} once more"}
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


def test_full_size_is_wanted_for_small_frames() -> None:
    assert Registrar.wants_full((320, 240))
    assert Registrar.wants_full((1728, 1152))
    assert not Registrar.wants_full((4240, 2832))


def same(one: Solution, two: Solution) -> bool:
    return sorted(one.registrations) == sorted(two.registrations) and all(
        np.array_equal(a.matrix, two.registrations[k].matrix) and np.array_equal(a.gain, two.registrations[k].gain)
        for k, a in one.registrations.items()
    )


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
