"""Whether the picture goes on as the rail says: lost steps, jams and jumps, and what is none of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from capture.focus.certificate import noise_levels
from capture.focus.judged_depth import WatchWishes
from capture.focus.survey import FrameSurvey
from capture.focus.travel import Stray, find_stray
from capture.focus.watch import FrameWatch
from tests.capture.test_certificate import Stack

COUNT, STEP = 14, 30.0


@pytest.fixture(scope="module")
def stack() -> Stack:
    stack = Stack(5)
    stack.scene._strips = 32  # a slope; with few strips it is a flight of stairs, which comes into focus by leaps
    return stack


def strayed(stack: Stack, places: Sequence[float], **odd: dict[int, float]) -> Stray | None:
    """Frames that stand at `places` and should be at even steps; `odd`: how some of them are spoilt."""
    surveys: list[FrameSurvey] = []
    for number, place in enumerate(places):
        spoilt = {name: values[number] for name, values in odd.items() if number in values}
        surveys.append(stack.survey(place, **spoilt))
    return find_stray(STEP * np.arange(len(places)), surveys, noise_levels(surveys))


EVEN = [STEP * k for k in range(COUNT)]


@pytest.mark.parametrize("step", [12.0, 30.0, 45.0])
def test_an_even_stack_goes_on_as_planned(stack: Stack, step: float) -> None:
    assert strayed(stack, [step * k for k in range(COUNT)]) is None


@pytest.mark.parametrize("at", [3, 7, 11])
@pytest.mark.parametrize("lost", [0.5, 1.0, 3.0])
def test_lost_steps_are_seen_where_they_were_lost(stack: Stack, at: int, lost: float) -> None:
    places = [place if k < at else max(place - lost * STEP, EVEN[at - 1]) for k, place in enumerate(EVEN)]
    found = strayed(stack, places)
    assert found is not None
    assert found.index == at
    assert found.share < 0.75


@pytest.mark.parametrize("at", [1, 6, 10])
def test_a_jam_is_seen_where_it_begins(stack: Stack, at: int) -> None:
    found = strayed(stack, [min(place, EVEN[at - 1]) for place in EVEN])
    assert found is not None
    assert found.index == at
    assert "stands still" in found.words


@pytest.mark.parametrize("at", [4, 9])
def test_a_carriage_that_slides_on_is_seen(stack: Stack, at: int) -> None:
    found = strayed(stack, [place if k < at else place + 2 * STEP for k, place in enumerate(EVEN[:-2])])
    assert found is not None
    assert found.index == at
    assert "times the way" in found.words


@pytest.mark.parametrize("at", [2, 3, 9, 13])
def test_a_carriage_that_slides_back_by_two_steps_is_seen(stack: Stack, at: int) -> None:
    found = strayed(stack, [place if k < at else place - 2 * STEP for k, place in enumerate(EVEN)])
    assert found is not None
    assert found.index == at
    assert "went back" in found.words


def test_a_first_picture_that_is_an_old_one_speaks_not_against_the_rail(stack: Stack) -> None:
    assert strayed(stack, [EVEN[2], *EVEN[1:]]) is None


@pytest.mark.parametrize("odd", [{"light": {6: 0.6}}, {"shake_px": {6: 6.0}}])
def test_a_frame_that_is_spoilt_by_itself_speaks_not_against_the_rail(
    stack: Stack, odd: dict[str, dict[int, float]]
) -> None:
    assert strayed(stack, EVEN, **odd) is None


def test_a_frame_shot_again_elsewhere_is_seen(stack: Stack) -> None:
    surveys = [stack.survey(place - (0.8 * STEP if k == 6 else 0)) for k, place in enumerate(EVEN)]
    noise = noise_levels(surveys)
    assert find_stray(np.array(EVEN), surveys, noise) is None  # as one that the camera gave once more
    found = find_stray(np.array(EVEN), surveys, noise, alone={6})
    assert found is not None
    assert found.index == 6


def test_the_watch_names_the_frame_until_it_was_looked_after(stack: Stack, tmp_path: Path) -> None:
    with closing(FrameWatch(WatchWishes())) as watch:
        for k, place in enumerate(EVEN):
            path = tmp_path / f"{k + 1}.png"
            gray = stack.gray(place if k < 8 else place - STEP)
            whole = cv2.resize(gray, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
            assert cv2.imwrite(str(path), cv2.cvtColor(whole, cv2.COLOR_GRAY2BGR))
            watch.frame_stored(k + 1, STEP * k, [path])
        found = watch.strayed(wait=True)
        assert found is not None
        assert found[0] == 9
        assert "frame 9: the picture stands still" in watch.coverage(None)["notes"][-1]
        watch.trust(9)
        assert watch.strayed(wait=True) is None
