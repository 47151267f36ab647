"""What must be right before a session is left alone: each line of the preflight, its remedy, and whether it stops the session."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from capture.app.session_beginning import clear_the_way
from capture.camera.protocol import CameraInfo, FileFormat, Role
from capture.camera.readiness import Obstacle, Store, obstacles
from capture.camera.roles import Setting, state_of
from capture.errors import CameraError, CaptureError, SessionError
from capture.session.bounded import bounded
from capture.session.plan import StackPlan
from capture.session.preflight import Check, RoomWatch, preflight
from rail.grbl.axis import GrblAxis
from tests.rail.grbl_virtual import VirtualRail

PLAN = StackPlan(0, 1000, 50)
READY = {
    Role.BATTERY: "80%", Role.SHUTTER: "1/60", Role.TARGET: "Memory card", Role.AUTOFOCUS: "Off", Role.EXPOSURE_MODE: "M",
    Role.DRIVE_MODE: "Single Shot", Role.FORMAT: "RAW", Role.LIVE_VIEW: "0",
}  # fmt: skip


class Body:
    """A camera as it stands before a session: its settings and its card, as values."""

    def __init__(self, store: Store, **settings: str) -> None:
        values = READY | {Role(role): value for role, value in settings.items()}
        self._info = CameraInfo(
            "Body",
            {
                role: state_of(Setting(f"/main/{role.value}", role.value, "radio", value, (value,)))
                for role, value in values.items()
            },
        )
        self._store = store

    def info(self) -> CameraInfo:
        return self._info

    def obstacles(self, *, frames: int = 1, bytes_a_frame: int | None = None) -> tuple[Obstacle, ...]:
        return obstacles(self._info, [self._store], frames=frames, bytes_a_frame=bytes_a_frame)


CARD = Store("card", 1 << 36, 2000)


@pytest.fixture
def axis() -> Iterator[GrblAxis]:
    with VirtualRail().open() as axis:
        axis.zero()
        yield axis


def failed(checks: list[Check]) -> list[Check]:
    return [check for check in checks if not check.passed]


def of_camera(folder: Path, store: Store = CARD, **settings: str) -> list[Check]:
    return preflight(PLAN, folder, None, Body(store, **settings), FileFormat.RAW, frame_bytes=1)


def test_a_bench_in_order_passes_every_check(tmp_path: Path, axis: GrblAxis) -> None:
    checks = preflight(PLAN, tmp_path, bounded(axis, 1200.0), Body(CARD), FileFormat.RAW, frame_bytes=1)
    assert failed(checks) == []
    assert {check.name for check in checks} == {"disk", "clock", "travel", "camera"}
    clear_the_way(checks, axis)
    assert "never beyond 1200" in next(check.message for check in checks if check.name == "travel")


@pytest.mark.parametrize(
    ("settings", "name", "words", "fatal"),
    [
        ({"battery": "12%"}, "battery", "12 %", False),
        ({"battery": "4%"}, "battery", "4 %", True),
        ({"exposure_mode": "A"}, "exposure mode", "may change from frame to frame", False),
        ({"autofocus": "AF-S"}, "focus", "focuses by itself", False),
        ({"shutter": "Bulb"}, "shutter", "bulb", True),
        ({"drive_mode": "Timer 10 sec"}, "drive mode", "late, or more than one", False),
        ({"live_view": "1"}, "live view", "live view is on", False),
    ],
)
def test_the_camera(
    tmp_path: Path, axis: GrblAxis, settings: dict[str, str], name: str, words: str, fatal: bool
) -> None:
    (check,) = failed(of_camera(tmp_path, **settings))
    assert (check.name, check.fatal) == (name, fatal)
    assert words in check.message
    assert check.remedy
    if fatal:
        with pytest.raises(CameraError) as refused:
            clear_the_way([check], axis)
        assert (refused.value.message, refused.value.remedy) == (check.message, check.remedy)
        assert refused.value.state == "No frame was shot. The rail is idle, the carriage stands at 0 um."


@pytest.mark.parametrize(
    ("store", "words", "fatal"),
    [
        (Store("card", 1 << 36, 15), "room for about 15 of 21", False),
        (Store("card", 0, 0), "full", True),
        (Store("card", 1 << 36, 2000, read_only=True), "write-protected", True),
    ],
)
def test_the_card_for_the_whole_plan(tmp_path: Path, store: Store, words: str, fatal: bool) -> None:
    (check,) = failed(of_camera(tmp_path, store))
    assert (check.name, check.fatal) == ("card", fatal)
    assert words in check.message
    assert check.remedy


@pytest.mark.parametrize(("known", "fatal"), [(True, True), (False, False)])
def test_the_disk_for_the_whole_plan(tmp_path: Path, axis: GrblAxis, known: bool, fatal: bool) -> None:
    free = shutil.disk_usage(tmp_path).free
    frames, size = (PLAN.count, free // 10) if known else (free // 60_000_000 * 2 + 10, None)
    (check,) = failed(preflight(PLAN, tmp_path / "new", None, None, FileFormat.RAW, frames=frames, frame_bytes=size))
    assert (check.name, check.fatal) == ("disk", fatal)
    assert f"{frames} frames need" in check.message
    assert ("--out" in check.remedy) is not known  # a session that is there stays where it is
    if fatal:
        with pytest.raises(SessionError):
            clear_the_way([check], axis)


def test_the_picture_needs_room_too(tmp_path: Path) -> None:
    size = shutil.disk_usage(tmp_path).free // 22
    alone = preflight(PLAN, tmp_path, None, None, FileFormat.RAW, frame_bytes=size)
    assert failed(alone) == []
    (check,) = failed(preflight(PLAN, tmp_path, None, None, FileFormat.RAW, frame_bytes=size, stacks=True))
    assert "21 frames and their picture need" in check.message
    assert not check.fatal  # the frames have room, and are what cannot be had again


def test_room_for_the_frames_to_come_is_judged_before_each_by_what_they_really_took(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    room = RoomWatch(tmp_path)
    assert room.look(10, 0) == ""  # before the first frame nothing is known
    assert room.look(10, 1000) == ""
    short = room.look(40, free // 20)
    assert "of the 40 frames to come" in short
    assert "are free" in short
    assert room.look(39, free // 20) == ""  # told once
    assert "room for 2 of the 38" in room.look(38, int(free / 2.5))  # and once more when it is nearly full
    assert room.look(37, int(free / 2.5)) == ""
    assert "again" in room.look(37, 1000)
    assert room.look(36, 1000) == ""


def test_travel_and_the_position_that_is_never_passed(tmp_path: Path) -> None:
    with VirtualRail(profile="range_high_um = 900").open() as axis:
        axis.zero()
        (check,) = failed(preflight(PLAN, tmp_path, axis, None, FileFormat.RAW, frame_bytes=1))
        assert check.fatal
        assert "-20000 to 900 um" in check.message
        (check,) = failed(preflight(PLAN, tmp_path, bounded(axis, 400.0), None, FileFormat.RAW, frame_bytes=1))
        assert "-20000 to 400 um" in check.message
        with pytest.raises(CaptureError):
            clear_the_way([check], axis)


def test_a_clock_that_was_set_back(tmp_path: Path) -> None:
    later = (datetime.now(UTC) + timedelta(hours=3)).isoformat(timespec="milliseconds")
    (check,) = failed(preflight(PLAN, tmp_path, None, None, FileFormat.RAW, frame_bytes=1, last_event=later))
    assert (check.name, check.fatal) == ("clock", False)
    assert check.remedy.startswith("Set the computer's clock")
    os.utime(tmp_path, (time.time() + 7200,) * 2)
    (check,) = failed(preflight(PLAN, tmp_path, None, None, FileFormat.RAW, frame_bytes=1))
    assert check.name == "clock"
