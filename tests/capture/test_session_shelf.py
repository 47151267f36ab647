"""Surveys on the shelf are what was put there, and take no memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.focus.shelf import SurveyShelf
from capture.focus.survey import FrameSurvey


def survey(seed: int) -> FrameSurvey:
    rng = np.random.default_rng(seed)
    shape = (3 + seed % 5, 4 + seed % 3)
    return FrameSurvey(
        float(rng.random()),
        rng.random((5, *shape)).astype(np.float16),
        rng.integers(-127, 127, (2, 2, *shape)).astype(np.int8),
        rng.integers(0, 255, (7 + seed % 4, 9)).astype(np.uint8),
    )


def same(one: FrameSurvey, other: FrameSurvey) -> bool:
    return one.brightness == other.brightness and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        and getattr(one, name).dtype == getattr(other, name).dtype
        for name in ("levels", "direction", "thumb")
    )


@pytest.fixture
def shelf() -> Iterator[SurveyShelf]:
    made = SurveyShelf()
    yield made
    made.close()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["put", "take", "look"]), st.integers(1, 9)), max_size=40))
def test_it_is_a_dictionary(steps: list[tuple[str, int]]) -> None:
    shelf, like = SurveyShelf(), dict[int, FrameSurvey]()
    for index, (what, number) in enumerate(steps):
        if what == "put":
            shelf[number] = like[number] = survey(index)
        elif what == "take":
            assert (shelf.pop(number, None) is None) == (like.pop(number, None) is None)
        elif number in like:
            assert same(shelf[number], like[number])
        assert set(shelf) == set(like)
    assert all(same(found, like[number]) for number, found in shelf.items())
    assert bool(shelf) == bool(like)
    shelf.close()


def test_what_was_taken_out_stays_readable(shelf: SurveyShelf) -> None:
    shelf[1] = survey(1)
    taken = shelf[1]
    shelf[2] = survey(2)
    assert same(shelf[2], survey(2))
    shelf.close()
    assert same(taken, survey(1))


def test_looking_at_the_last_ones_maps_no_more_of_the_file_while_frames_come(shelf: SurveyShelf) -> None:
    def mapped_kb() -> int:
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"RssFile:\s+(\d+)", status)[1])  # type: ignore[index]

    large = FrameSurvey(
        1.0, np.zeros((5, 64, 64), np.float16), np.zeros((2, 2, 64, 64), np.int8), np.zeros((256, 256), np.uint8)
    )
    seen = []
    for number in range(200):
        shelf[number] = large
        for one in range(max(0, number - 5), number + 1):
            assert float(shelf[one].levels.sum() + shelf[one].direction.sum() + shelf[one].thumb.sum()) == 0
        seen.append(mapped_kb())
    # all of the file are 24 MB, six surveys less than one
    assert max(seen[20:]) - seen[20] < 4000, seen[::20]
