"""One test for each row of docs/faults.md: how often is tried again, after which pause, and what is left when it ends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from capture.camera.protocol import Shot, ShotFile
from capture.camera.shutter_camera import ShutterCamera
from capture.errors import CameraError, CaptureError, NotStoredError, SessionError, ShotIncompleteError
from capture.session.exposing import Exposing
from capture.session.folder import FEWEST_COMPARED, SessionFolder
from capture.session.moving import Moving, counts_as_before, tell_ways_on, ways_on
from capture.session.plan import StackPlan
from capture.session.policy import RULES, Repeat, Rule
from capture.session.records import EventKind, Verdict
from capture.session.shooting import Shooting
from capture.session.watching import ShootProgress
from rail.axis import Axis, AxisState, AxisStatus
from rail.errors import RailError, RailPositionUnknownError, RailProtocolError, RailTimeoutError
from rail.grbl.axis import GrblAxis
from tests.rail.grbl_virtual import VirtualRail

CAMERA_RULES = [rule for rule in RULES if issubclass(rule.kind, CameraError)]
RAIL_RULES = [rule for rule in RULES if issubclass(rule.kind, RailError)]


class Trouble:
    """Faults that come one after the other, each thrown once."""

    def __init__(self, *errors: CaptureError | RailError) -> None:
        self._errors = list(errors)
        self.calls = 0

    def strike(self) -> None:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)


class FaultyCamera:
    """Writes a file for each shot, after its faults; an incomplete shot leaves half of one."""

    def __init__(self, trouble: Trouble) -> None:
        self.trouble = trouble

    def shoot(self, folder: Path, stem: str) -> Shot:
        path = folder / f"{stem}.dng"
        try:
            self.trouble.strike()
        except ShotIncompleteError:
            path.write_bytes(b"half")
            raise
        content = f"picture {self.trouble.calls}".encode()
        path.write_bytes(content)
        return Shot((ShotFile(path, len(content), hashlib.sha256(content).hexdigest(), raw=True),))


class FaultyAxis(GrblAxis):
    """A rail with faults before its moves."""

    trouble: Trouble

    def move_to(self, target: float) -> AxisStatus:
        self.trouble.strike()
        return super().move_to(target)


class Reader:
    """Keeps what the user is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def frame_done(self, progress: ShootProgress, shot: Shot) -> None:
        self.told.append("done")

    def notice(self, text: str) -> None:
        self.told.append(text)

    trouble = notice


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[SessionFolder]:
    plan = StackPlan(0, 500, 50)
    with SessionFolder.create(tmp_path / "s", plan, devices={}, settings={}, origin="here") as made:
        made.journal.record(EventKind.INTENDED, 3, target=100.0)
        yield made


def errors(rule: Rule, count: int) -> list[CaptureError | RailError]:
    return [rule.kind(f"fault {number}", remedy="mend it") for number in range(1, count + 1)]


def events(folder: SessionFolder, kind: EventKind) -> int:
    return sum(event.kind is kind for event in folder.journal.events())


def name(rule: Rule) -> str:
    return rule.kind.__name__


@pytest.mark.parametrize("rule", CAMERA_RULES, ids=name)
def test_a_camera_fault_that_passes_in_time_costs_no_frame(rule: Rule, folder: SessionFolder) -> None:
    pauses: list[float] = []
    told: list[str] = []
    camera = FaultyCamera(Trouble(*errors(rule, rule.tries - 1)))
    shot = Exposing(folder, camera, told.append, pauses.append).shoot(3, 11)  # type: ignore[arg-type]
    assert shot.files[0].path == folder.frames_path / "0003.dng"
    assert folder.frames()[3].verdict is Verdict.ACCEPTED
    assert (camera.trouble.calls, len(told)) == (rule.tries, rule.tries - 1)
    assert pauses == [rule.pause_s] * (rule.tries - 1)
    # what did not count is kept, and told
    aside = sorted(path.name for path in folder.rejected_path.iterdir())
    halves = rule.tries - 1 if issubclass(rule.kind, ShotIncompleteError) else 0
    assert aside == [f"0003-{attempt}.dng" for attempt in range(1, halves + 1)]
    assert events(folder, EventKind.REJECTED) == halves
    assert [entry["file"] for entry in folder.frames()[3].rejected] == [f"frames/rejected/{file}" for file in aside]


@pytest.mark.parametrize("rule", CAMERA_RULES, ids=name)
def test_a_camera_fault_that_stays_ends_the_session(rule: Rule, folder: SessionFolder) -> None:
    pauses: list[float] = []
    camera = FaultyCamera(Trouble(*errors(rule, 9)))
    with pytest.raises(rule.kind, match=f"fault {rule.tries}") as ended:
        Exposing(folder, camera, lambda text: None, pauses.append).shoot(3, 11)  # type: ignore[arg-type]
    assert ended.value.remedy == "mend it"
    assert camera.trouble.calls == rule.tries
    assert folder.frames()[3].verdict is not Verdict.ACCEPTED
    assert [path for path in folder.frames_path.iterdir() if path.is_file()] == []
    recorded = events(folder, EventKind.FAILED) + events(folder, EventKind.REJECTED)
    assert recorded == rule.tries


@pytest.fixture
def rig() -> VirtualRail:
    return VirtualRail()


def faulty(rig: VirtualRail, *trouble: CaptureError | RailError) -> FaultyAxis:
    axis = rig.open()
    axis.zero()
    axis.__class__ = FaultyAxis
    assert isinstance(axis, FaultyAxis)
    axis.trouble = Trouble(*trouble)
    return axis


@pytest.mark.parametrize("rule", [rule for rule in RAIL_RULES if rule.repeat is Repeat.REOPEN], ids=name)
@pytest.mark.parametrize("known", [True, False], ids=["place kept", "place lost"])
def test_a_rail_that_comes_back_is_gone_on_with_only_where_it_knows_its_place(
    rule: Rule, known: bool, folder: SessionFolder, rig: VirtualRail
) -> None:
    pauses: list[float] = []
    reader = Reader()
    axis = faulty(rig, *errors(rule, 1))

    def reopen() -> Axis:
        if not known:
            rig.restart()
        return rig.open()

    moving = Moving(folder, axis, reader, pauses.append, reopen)
    if known:
        assert moving.move(3, 100.0) == pytest.approx(100, abs=1)
        assert reader.told[-1] == "the rail is back and knows its position: going on"
    else:
        with pytest.raises(RailError, match="lost its position before frame 3") as ended:
            moving.move(3, 100.0)
        assert "--origin here" in ended.value.remedy
        assert ended.value.state
    assert pauses == [rule.pause_s]
    moving.close()


def test_the_state_of_a_rail_that_came_back_without_its_place_can_be_told(
    folder: SessionFolder, rig: VirtualRail
) -> None:
    axis = faulty(rig, RailProtocolError("garbled", remedy="mend it"))

    def reopen() -> Axis:
        rig.restart()
        return rig.open()

    shooting = Shooting(folder, axis, ShutterCamera(axis), Reader(), reopen=reopen)
    with closing(shooting):
        with pytest.raises(RailError, match="lost its position before frame 1") as ended:
            shooting.run(folder.plan)
        assert "answers again" in ended.value.state
        assert shooting.axis.status().state is AxisState.IDLE
    assert shooting.axis.status().state is AxisState.DISCONNECTED


def test_a_rail_that_falls_silent_is_said_to_be_silent_to_the_end(
    folder: SessionFolder, rig: VirtualRail, monkeypatch: pytest.MonkeyPatch
) -> None:
    axis = rig.open()
    axis.zero()
    moving = Moving(folder, axis, Reader(), lambda _: None, rig.open)
    assert moving.move(3, 100.0) == pytest.approx(100, abs=1)
    monkeypatch.setattr(rig.controller, "take_output", lambda: b"")
    begin = rig.controller.core.now
    with pytest.raises(
        RailTimeoutError, match=r"no sign of a status report for 0.8 s; opening it again: Nothing answers"
    ):
        moving.move(4, 200.0)
    assert rig.controller.core.now - begin < 5.5  # 0.8 s, and the greeting


@pytest.mark.parametrize("rule", RAIL_RULES, ids=name)
def test_a_rail_fault_that_stays_ends_the_session(rule: Rule, folder: SessionFolder, rig: VirtualRail) -> None:
    pauses: list[float] = []
    trouble = errors(rule, 9)
    axis = faulty(rig, *trouble)

    def reopen() -> Axis:
        raise rule.kind("still gone", remedy="mend it")

    moving = Moving(folder, axis, Reader(), pauses.append, reopen)
    with pytest.raises(rule.kind) as ended:
        moving.move(3, 100.0)
    assert ended.value.remedy == "mend it"
    assert pauses == [rule.pause_s] * (rule.tries - 1)
    assert events(folder, EventKind.FAILED) == rule.tries - 1


def test_a_position_lost_on_the_way_is_a_device_that_failed(folder: SessionFolder, rig: VirtualRail) -> None:
    axis = faulty(rig, RailPositionUnknownError("lost count"))
    with pytest.raises(RailError, match="lost its position before frame 3: lost count") as ended:
        Moving(folder, axis, Reader(), lambda seconds: None, None).move(3, 100.0)
    assert "--origin here" in ended.value.remedy


@pytest.mark.parametrize("befell", ["nothing", "zeroed", "restarted, and zeroed"])
def test_a_count_is_the_sessions_only_from_the_very_origin_that_was_set(
    tmp_path: Path, rig: VirtualRail, befell: str
) -> None:
    """Zeroed at the same step of a controller that has restarted, it looks the same but for its name."""
    with rig.open() as axis:
        name = axis.zero().origin
    made = SessionFolder.create(
        tmp_path / "n", StackPlan(0, 500, 50), devices={}, settings={}, origin="here", origin_name=name
    )
    with made as named:
        if befell.startswith("restarted"):
            rig.controller.receive(b"\x18")
        with rig.open() as axis:
            if befell != "nothing":
                axis.zero()
            assert counts_as_before(named, axis.status()) is (befell == "nothing")


def test_images_are_offered_where_there_are_frames_to_compare_with(folder: SessionFolder) -> None:
    for number in range(1, FEWEST_COMPARED + 1):
        assert "--origin images" not in ways_on(folder)
        assert "begin anew in another folder" in ways_on(folder)
        entry = {"file": f"frames/{number:04d}.dng", "sha256": str(number), "bytes": 1, "raw": True}
        folder.journal.record(EventKind.STORED, number, files=[entry], exposure={}, notes=[])
        folder.journal.record(EventKind.ACCEPTED, number)
    assert "--origin images" in ways_on(folder)


@pytest.mark.parametrize("homed", [True, False])
def test_a_restart_names_the_command_that_goes_on_and_no_other(tmp_path: Path, rig: VirtualRail, homed: bool) -> None:
    plan = StackPlan(0, 500, 50)
    made = SessionFolder.create(tmp_path / "h", plan, devices={}, settings={}, origin="home", homed=homed)
    with made as session, rig.open() as axis:
        error = axis._controller.link.reset_error()
        tell_ways_on(session, error)
        assert ("--origin home" in error.remedy) is homed
        assert ("--origin here" in error.remedy) is not homed
        assert "rail zero" not in error.remedy
        assert "check the supply" in error.remedy


def test_a_full_disk_is_found_before_the_frame(folder: SessionFolder) -> None:
    camera = FaultyCamera(Trouble())
    exposing = Exposing(folder, camera, lambda text: None, lambda seconds: None)  # type: ignore[arg-type]
    exposing.frame_bytes = 1 << 60
    with pytest.raises(SessionError, match="the disk is full: frame 3 needs about") as ended:
        exposing.shoot(3, 11)
    assert "focusrail resume" in ended.value.remedy
    assert camera.trouble.calls == 0
    assert events(folder, EventKind.EXPOSING) == 0


def test_a_disk_that_fills_in_one_blow_is_named_at_once(folder: SessionFolder) -> None:
    camera = FaultyCamera(Trouble(NotStoredError("The picture could not be stored: No space left on device.")))
    with pytest.raises(SessionError, match=r"the disk took no more: .* No space left") as ended:
        Exposing(folder, camera, lambda text: None, lambda seconds: None).shoot(3, 11)  # type: ignore[arg-type]
    assert "focusrail resume" in ended.value.remedy
    assert "does not count" in ended.value.state
    assert camera.trouble.calls == 1
    assert folder.frames()[3].verdict is Verdict.REJECTED


def test_any_other_error_ends_it_at_once(folder: SessionFolder) -> None:
    camera = FaultyCamera(Trouble(CaptureError("what")))
    with pytest.raises(CaptureError, match="what"):
        Exposing(folder, camera, lambda text: None, lambda seconds: None).shoot(3, 11)  # type: ignore[arg-type]
    assert camera.trouble.calls == 1


def test_every_row_has_its_test() -> None:
    others = {SessionError, CaptureError}
    assert {rule.kind for rule in RULES} == {rule.kind for rule in (*CAMERA_RULES, *RAIL_RULES)} | others
