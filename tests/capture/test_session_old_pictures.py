"""The first picture of a run, when it is one that the camera still held."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from capture.session.old_pictures import old_pictures
from capture.session.records import Event, EventKind

BEGUN = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


class Story:
    """A journal, told by what happened at which second; the camera's clock is `off_s` off."""

    def __init__(self, off_s: float = 0.0) -> None:
        self.off_s = off_s
        self.events: list[Event] = []

    def note(self, kind: EventKind, second: float, frame: int | None = None, **detail: object) -> Story:
        at = (BEGUN + timedelta(seconds=second)).isoformat(timespec="milliseconds")
        self.events.append(Event(len(self.events) + 1, at, kind, frame, detail))
        return self

    def frame(self, number: int, second: float, *, takes_s: float = 1.0, old_s: float = 0.0, **of_set: int) -> Story:
        taken = BEGUN + timedelta(seconds=second + takes_s / 2 + self.off_s - old_s)
        self.note(EventKind.EXPOSING, second, number, attempt=1, **of_set)
        exposure = {"time": taken.strftime("%Y:%m:%d %H:%M:%S")}  # without fractions: to the second
        return self.note(EventKind.STORED, second + takes_s, number, files=[{"file": "x", **of_set}], exposure=exposure)


def begun(off_s: float = 0.0) -> Story:
    return Story(off_s).note(EventKind.OPENED, 0)


@pytest.mark.parametrize("off_s", [0.0, -7200.0, 3.2e8])
@pytest.mark.parametrize("old_s", [0.0, 9.0, 4000.0])
def test_whatever_the_cameras_clock_says_an_old_first_picture_is_told(off_s: float, old_s: float) -> None:
    story = begun(off_s).frame(1, 10, old_s=old_s).frame(2, 13).frame(3, 16)
    assert set(old_pictures(story.events)) == ({1} if old_s else set())


def test_waits_of_the_session_and_of_the_camera_are_no_sign() -> None:
    # paused before the second; a flash, a hang or a slow link in the first, the second, in all of them
    assert not old_pictures(begun().frame(1, 10).frame(2, 4000).events)
    assert not old_pictures(begun().frame(1, 10, takes_s=60).frame(2, 75).events)
    assert not old_pictures(begun().frame(1, 10).frame(2, 15, takes_s=60).frame(3, 80).events)
    assert not old_pictures(begun().frame(1, 10, takes_s=1).frame(2, 15, takes_s=30).frame(3, 50, takes_s=30).events)


def test_each_run_has_a_first_and_one_that_was_shot_again_is_judged_anew() -> None:
    story = begun().frame(1, 10).frame(2, 13).note(EventKind.RESUMED, 100).frame(3, 110, old_s=90).frame(4, 113)
    assert set(old_pictures(story.events)) == {3}
    assert not old_pictures(story.frame(3, 120).events)


def test_of_a_set_the_exposure_that_is_looked_at_counts() -> None:
    story = begun()
    story.note(EventKind.EXPOSING, 5, 1, attempt=1, exposure=2).frame(1, 20, exposure=1).frame(2, 30, exposure=1)
    assert not old_pictures(story.events)


def test_a_clock_that_was_set_back_is_no_sign_and_pictures_without_a_time_tell_nothing() -> None:
    story = begun().frame(1, 10)
    story.off_s = -3600
    assert not old_pictures(story.frame(2, 13).events)
    none = begun().note(EventKind.EXPOSING, 1, 1, attempt=1).note(EventKind.STORED, 2, 1, files=[{}], exposure={})
    assert not old_pictures(none.frame(2, 5).events)
