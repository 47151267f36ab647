"""The certificate and the doubts, on stacks of a known scene blurred, shaken and thinned out here."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from capture.focus.blurred import blurred_frames
from capture.focus.certificate import Fate, certify, dof_of_growth, frames_for, growth_of_stills, noise_levels
from capture.focus.doubts import LIKELY, PLAIN, most_doubtful, shake_doubts, shaken_against
from capture.focus.odd import is_misfired, is_stale, neighbours
from capture.focus.survey import HALF_PX, FrameSurvey, Surveyor, lain_on
from tests.capture.tilted_scene import Scene

GROWTH_PX = 0.1  # of the still, per um
DOF_UM = 4 / GROWTH_PX
NEAR_UM, FAR_UM = 0.0, 400.0


class Stack:
    """Half-size frames of a tilted plane."""

    def __init__(self, seed: int = 3, *, noise: float = 0.004) -> None:
        self.scene = Scene(seed, GROWTH_PX / HALF_PX, NEAR_UM, FAR_UM, noise=noise)
        self.surveyor = Surveyor(self.scene.again().shape)

    def gray(self, position: float, *, light: float = 1.0, shake_px: float = 0.0) -> NDArray[np.uint8]:
        _, linear = self.scene.frame(position)
        if shake_px:
            length = shake_px / HALF_PX
            offsets = np.linspace(-length / 2, length / 2, 9)
            rows, columns = linear.shape
            moved = [
                cv2.warpAffine(
                    linear,
                    np.array([[1, 0, 0.8 * d], [0, 1, 0.6 * d]], np.float64),
                    (columns, rows),
                    borderMode=cv2.BORDER_REFLECT,
                )
                for d in offsets
            ]
            linear = np.mean(moved, axis=0)
            # the shake is of the light, the noise comes after it
            linear = linear + self.scene.noise * np.random.default_rng(7).standard_normal(linear.shape)
        clipped = np.clip(linear * light, 0, 1)
        encoded = np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)
        return np.asarray(np.rint(255 * encoded), np.uint8)

    def survey(self, position: float, *, light: float = 1.0, shake_px: float = 0.0) -> FrameSurvey:
        return self.surveyor.survey(self.gray(position, light=light, shake_px=shake_px))


@pytest.fixture(scope="module")
def stack() -> Stack:
    return Stack()


@pytest.fixture(scope="module")
def whole(stack: Stack) -> dict[float, FrameSurvey]:
    positions = np.arange(NEAR_UM - DOF_UM / 2, FAR_UM + DOF_UM, 0.7 * DOF_UM)
    return {float(position): stack.survey(float(position)) for position in positions}


def test_the_frames_tell_their_depth_of_field(stack: Stack, whole: dict[float, FrameSurvey]) -> None:
    growth = growth_of_stills(np.array(list(whole)), list(whole.values()), stack.surveyor)
    assert growth.confidence > 0.3
    assert dof_of_growth(growth.px_per_unit) == pytest.approx(DOF_UM, rel=0.15)


def test_steps_far_finer_than_the_depth_of_field_tell_it_too(stack: Stack) -> None:
    positions = np.arange(NEAR_UM - DOF_UM, FAR_UM / 3, DOF_UM / 5)
    surveyor = Surveyor((240, 120))
    # the near part alone: its coarse texture is never out of focus in so short a stack
    surveys = [surveyor.survey(np.ascontiguousarray(stack.gray(float(position))[:, :120])) for position in positions]
    growth = growth_of_stills(positions, surveys, surveyor)
    assert growth.confidence > 0.3
    assert dof_of_growth(growth.px_per_unit) == pytest.approx(DOF_UM, rel=0.2)
    found = certify(positions, surveys, DOF_UM, growth_half_px=growth.px_per_unit, overlap=0.3)
    assert found.gaps == ()
    assert found.textured > 0


def test_a_complete_stack_passes(whole: dict[float, FrameSurvey]) -> None:
    found = certify(np.array(list(whole)), list(whole.values()), DOF_UM, growth_half_px=GROWTH_PX / 2, overlap=0.3)
    assert found.passed
    assert found.gaps == ()
    assert found.weakest_share is not None
    assert found.weakest_share <= 0.75


@settings(max_examples=25, deadline=None)
@given(first=st.integers(2, 11), count=st.integers(1, 3))
def test_frames_taken_out_are_missed_and_their_places_named(
    whole: dict[float, FrameSurvey], first: int, count: int
) -> None:
    positions = list(whole)
    kept = positions[:first] + positions[first + count :]
    found = certify(np.array(kept), [whole[p] for p in kept], DOF_UM, growth_half_px=GROWTH_PX / 2, overlap=0.3)
    assert found.passed is False
    assert [(gap.near, gap.far) for gap in found.gaps] == [(positions[first - 1], positions[first + count])]
    wanted = frames_for(found.gaps, 0.7 * DOF_UM)
    assert wanted == pytest.approx(positions[first : first + count])


@pytest.mark.parametrize("side", ["near", "far"])
def test_an_end_that_was_cut_off_is_seen(whole: dict[float, FrameSurvey], side: str) -> None:
    positions = list(whole)
    kept = positions[5:] if side == "near" else positions[:-5]
    found = certify(np.array(kept), [whole[p] for p in kept], DOF_UM, growth_half_px=GROWTH_PX / 2)
    assert found.passed is False
    assert found.gaps == ()
    share = found.cut_near if side == "near" else found.cut_far
    assert share > 0.1
    assert len(found.reach) == 1
    assert found.reach[0] < kept[0] if side == "near" else found.reach[0] > kept[-1]


def test_every_block_has_a_fate_and_the_shares_count_them(whole: dict[float, FrameSurvey]) -> None:
    positions = list(whole)
    kept = [*positions[4:8], *positions[10:-4]]
    found = certify(np.array(kept), [whole[p] for p in kept], DOF_UM, growth_half_px=GROWTH_PX / 2, overlap=0.3)
    # strips side by side, each farther than the one before
    columns = np.arange(found.fates.shape[1]) / found.fates.shape[1]
    truth = np.broadcast_to(np.linspace(NEAR_UM, FAR_UM, 8)[(columns * 8).astype(int)], found.fates.shape)
    inner = np.broadcast_to(np.abs(columns * 8 % 1 - 0.5) < 0.25, truth.shape)
    for fate, there in (
        (Fate.BEYOND_NEAR, truth < kept[0] - DOF_UM / 2),
        (Fate.BEYOND_FAR, truth > kept[-1] + DOF_UM / 2),
        (Fate.IN_GAP, (truth > kept[3] + DOF_UM / 2) & (truth < kept[4] - DOF_UM / 2)),
    ):
        assert (there & inner).any()
        assert (found.fates[there & inner] == fate).mean() > 0.9
        assert (found.fates[~there & inner] == fate).mean() < 0.05
    counts = {fate: int((found.fates == fate).sum()) for fate in Fate}
    assert found.textured == found.fates.size - counts[Fate.NO_TEXTURE]
    assert found.cut_near == pytest.approx(counts[Fate.BEYOND_NEAR] / found.textured)
    assert found.cut_far == pytest.approx(counts[Fate.BEYOND_FAR] / found.textured)
    assert sum(gap.blocks for gap in found.gaps) == counts[Fate.IN_GAP]
    assert found.weakest is not None
    assert found.weakest < kept[0] - DOF_UM / 2 or found.weakest > kept[-1] + DOF_UM / 2


def test_what_comes_into_a_block_in_the_last_frame_is_no_subject_beyond_it(stack: Stack) -> None:
    positions = np.arange(FAR_UM - 3 * DOF_UM, FAR_UM + 1, DOF_UM / 4)
    # the far part alone: the stack ends where it ends
    surveyor = Surveyor((240, 120))
    surveys = [surveyor.survey(np.ascontiguousarray(stack.gray(float(p))[:, -120:])) for p in positions]
    levels = surveys[-1].levels.copy()
    levels[:, np.random.default_rng(5).random(levels.shape[1:]) < 0.08] += np.float16(1.3)
    surveys[-1] = replace(surveys[-1], levels=levels)
    found = certify(positions, surveys, DOF_UM, growth_half_px=GROWTH_PX / 2)
    assert found.textured > 200
    assert found.cut_far < 0.01


def test_a_frame_that_was_moved_is_laid_back() -> None:
    rng = np.random.default_rng(2)
    rough = cv2.resize(rng.uniform(0, 1, (9, 13)), (960, 640), interpolation=cv2.INTER_CUBIC)
    still = np.clip(128 + 400 * rough * cv2.GaussianBlur(rng.standard_normal((640, 960)), (0, 0), 3.0), 0, 255)
    matrix = np.array([[1.03, 0.004, -12.0], [-0.004, 1.03, 7.5]])
    surveyor = Surveyor((320, 480))

    def survey(picture: NDArray[np.float64]) -> FrameSurvey:
        return surveyor.survey(
            np.asarray(np.rint(cv2.resize(picture, (480, 320), interpolation=cv2.INTER_AREA)), np.uint8)
        )

    here, there = survey(still), survey(cv2.warpAffine(still, matrix, (960, 640)))
    back = lain_on(there, matrix, surveyor)
    inside = (slice(1, 4), slice(4, -4), slice(4, -4))
    assert np.abs(back.thumb[5:-5, 10:-10].astype(int) - here.thumb[5:-5, 10:-10]).mean() < 4.0
    assert np.abs(there.thumb[5:-5, 10:-10].astype(int) - here.thumb[5:-5, 10:-10]).mean() > 12.0
    apart, moved = (np.std((other.levels - here.levels).astype(np.float64)[inside]) for other in (back, there))
    assert apart < 0.35 * moved


def test_too_few_frames_are_not_judged(whole: dict[float, FrameSurvey]) -> None:
    positions = list(whole)[:2]
    found = certify(np.array(positions), [whole[p] for p in positions], DOF_UM)
    assert found.passed is None
    assert "too few" in found.notes[0]


@pytest.mark.parametrize("shake_px", [2.5, 4.0])
def test_a_second_exposure_shows_a_shake(stack: Stack, whole: dict[float, FrameSurvey], shake_px: float) -> None:
    noise = noise_levels(list(whole.values()))
    position = list(whole)[6]
    good, shaken = stack.survey(position), stack.survey(position, shake_px=shake_px)
    assert "shaken" in shaken_against(shaken, good, noise)
    assert shaken_against(good, shaken, noise) == ""


def test_a_mild_shake_is_told_though_the_light_changed(stack: Stack, whole: dict[float, FrameSurvey]) -> None:
    noise = noise_levels(list(whole.values()))
    position = list(whole)[8]
    good, shaken = stack.survey(position), stack.survey(position, shake_px=2.0, light=1.07)
    assert "shaken" in shaken_against(shaken, good, noise)
    brighter = stack.survey(position, light=1.07)
    assert shaken_against(good, brighter, noise) == ""
    assert shaken_against(brighter, good, noise) == ""


@pytest.mark.parametrize("shake_px", [3.0, 8.0, 20.0])
def test_a_shaken_frame_of_a_short_stack_stands_out(
    stack: Stack, whole: dict[float, FrameSurvey], shake_px: float
) -> None:
    positions = list(whole)[3:14]
    surveys = [whole[position] for position in positions]
    surveys[5] = stack.survey(positions[5], shake_px=shake_px)
    doubts = shake_doubts(dict(enumerate(positions)), dict(enumerate(surveys)), noise_levels(surveys))
    assert max(doubts, key=lambda index: doubts[index].score) == 5
    assert doubts[5].score > PLAIN
    assert not doubts[5].ruled_out


def test_frames_in_which_no_shake_can_hide_get_no_second_exposure(stack: Stack) -> None:
    # at half the usual step their neighbours foretell them well
    positions = np.arange(NEAR_UM - DOF_UM / 2, FAR_UM + DOF_UM, 0.35 * DOF_UM)
    surveys = {number: stack.survey(float(position)) for number, position in enumerate(positions)}
    at, noise = (
        {number: float(position) for number, position in enumerate(positions)},
        noise_levels(list(surveys.values())),
    )
    clean = most_doubtful(at, shake_doubts(at, surveys, noise))
    assert len(clean) < len(positions) / 2
    assert {0, len(positions) - 1} <= set(clean), "nobody speaks for the ends"
    for index in (5, 12, 20):
        spoilt = surveys | {index: stack.survey(float(positions[index]), shake_px=2.0)}
        assert most_doubtful(at, shake_doubts(at, spoilt, noise)).index(index) < 2


@pytest.mark.parametrize("steps", [0.7, 2.3])
def test_a_blurred_frame_is_named_whatever_the_step(stack: Stack, steps: float) -> None:
    positions = np.arange(NEAR_UM - DOF_UM / 2, FAR_UM + DOF_UM, steps * DOF_UM)[:9]
    grays = [stack.gray(float(position)) for position in positions]
    surveys = {number: stack.surveyor.survey(gray) for number, gray in enumerate(grays)}
    at = {number: float(position) for number, position in enumerate(positions)}
    assert blurred_frames(at, surveys, noise_levels(list(surveys.values()))) == set()
    surveys[2] = stack.surveyor.survey(np.asarray(cv2.blur(grays[2], (7, 7)), np.uint8))
    assert blurred_frames(at, surveys, noise_levels(list(surveys.values()))) == {2}


def test_a_frame_between_two_planes_is_not_called_blurred(stack: Stack) -> None:
    # two strips of the eight: planes 228 um apart, and nothing where the fourth frame is sharp
    depths = np.linspace(NEAR_UM, FAR_UM, 8)
    surveyor = Surveyor((240, 80))
    surveys = {}
    for number in range(7):
        gray = stack.gray(float((number - 2) * (depths[4] - depths[0]) / 2))
        surveys[number] = surveyor.survey(np.ascontiguousarray(np.hstack([gray[:, :40], gray[:, 160:200]])))
    noise = noise_levels(list(surveys.values()))
    sharpest = [float(np.quantile(surveys[number].levels[3] - noise[3], 0.99)) for number in (2, 3, 4)]
    assert sharpest[1] < min(sharpest[0], sharpest[2]) - 2.5
    assert blurred_frames({number: float(number) for number in surveys}, surveys, noise) == set()


@pytest.mark.parametrize("shake_px", [0.0, 3.0])
def test_an_empty_frame_is_not_called_shaken(stack: Stack, whole: dict[float, FrameSurvey], shake_px: float) -> None:
    noise = noise_levels(list(whole.values()))
    beyond = FAR_UM + 12 * DOF_UM
    empty = stack.survey(beyond)
    assert shaken_against(stack.survey(beyond, shake_px=shake_px), empty, noise) == ""
    positions = [*whole, *(FAR_UM + (3 + 0.7 * k) * DOF_UM for k in range(14))]
    surveys = [*whole.values(), *(stack.survey(position) for position in positions[len(whole) :])]
    doubts = shake_doubts(dict(enumerate(positions)), dict(enumerate(surveys)), noise_levels(surveys))
    last = [doubt.score for number, doubt in doubts.items() if positions[number] > FAR_UM + 6 * DOF_UM]
    assert last
    assert max(last) <= LIKELY / 2


@pytest.mark.parametrize("index", [0, 3, 6, 9])
def test_two_exposures_of_one_place_are_as_good(stack: Stack, whole: dict[float, FrameSurvey], index: int) -> None:
    noise = noise_levels(list(whole.values()))
    position = list(whole)[index]
    assert shaken_against(stack.survey(position), whole[position], noise) == ""


@pytest.mark.parametrize(
    ("light", "word"), [(0.3, "darker"), (0.7, "darker"), (1.6, "brighter"), (0.93, ""), (1.1, "")]
)
def test_a_misfired_flash_is_seen_and_flicker_is_not(
    stack: Stack, whole: dict[float, FrameSurvey], light: float, word: str
) -> None:
    positions = list(whole)
    others = [whole[positions[index]] for index in (3, 4, 6, 7)]
    told = is_misfired(stack.survey(positions[5], light=light), others, 0.03)
    assert (word in told) if word else told == ""


def test_a_frame_shown_twice_is_seen(stack: Stack, whole: dict[float, FrameSurvey]) -> None:
    positions = list(whole)
    assert is_stale(whole[positions[4]], [whole[positions[3]], whole[positions[4]]])
    assert not is_stale(whole[positions[4]], [whole[positions[3]], whole[positions[5]]])


def test_frames_without_a_pixel_that_is_not_clipped_are_none_that_are_shown_twice(stack: Stack) -> None:
    clipped = [stack.survey(position, light=1000.0) for position in (0.0, 5.0)]
    assert clipped[0].brightness == clipped[1].brightness, "or this would prove nothing"
    assert not is_stale(clipped[1], clipped[:1])


@pytest.mark.parametrize(("number", "expected"), [(1, [2, 3]), (3, [2, 4]), (5, [4, 3])])
def test_neighbours_lie_on_both_sides_where_there_are_two(number: int, expected: list[int]) -> None:
    assert neighbours(number, {1: 0.0, 2: 10.0, 3: 20.0, 4: 30.0, 5: 41.0}) == expected


def test_frames_that_show_nothing_are_no_repetition(stack: Stack) -> None:
    first, second = (stack.surveyor.survey(np.full(stack.surveyor.shape, 255, np.uint8)) for _ in range(2))
    assert not is_stale(second, [first])
