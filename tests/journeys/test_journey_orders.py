"""A session that runs is told to pause, go on, stop, extend; and what its end and its faults leave behind."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from capture.app.bench_launch import RunningBench
from capture.app.stack_options import options_to_record
from capture.session.folder import SessionFolder
from capture.session.plan import StackPlan
from stacking.options import StackOptions
from tests.journeys.program import focusrail
from tests.journeys.shoot_running import PLAN, Running, noted

FRAMES = 6
# Where nothing is to happen on the way, the last of two flags counts.
QUICK = ("--settle", "0")


@pytest.fixture(scope="module")
def bench() -> Iterator[RunningBench]:
    options = ("--seed", "5", "--sensor", "320x240", "--time-scale", "20", "--switches", "--start", "3000")
    with RunningBench(*options) as running:
        yield running


@pytest.fixture
def devices(bench: RunningBench) -> tuple[str, ...]:
    return "--rail", bench.rail, "--camera", bench.camera


def test_paused_it_stands_and_told_to_go_on_it_ends(devices: tuple[str, ...], tmp_path: Path) -> None:
    running = Running(tmp_path / "s", devices).paused_after(1)
    count = running.frames()
    # while it stands: an order to pause changes nothing, one to go on is obeyed
    focusrail("control", running.session, "pause", "--json").done()
    assert running.frames() == count
    assert noted(running.session) == ["paused"]
    running.go_on()  # goes on, and at once pauses again, if it saw both
    running.go_on()
    focusrail("control", running.session, "resume", "--json").done()
    assert running.end().done()["frames"] == FRAMES
    assert noted(running.session)[-1] == "going on"


def test_an_order_to_pause_is_obeyed_before_the_next_frame(devices: tuple[str, ...], tmp_path: Path) -> None:
    # many frames, so that the order finds it under way however slow the machine is; it is not shot to its end
    running = Running(tmp_path / "s", devices, "--far", "9mm").after_frames(1)
    focusrail("control", running.session, "pause", "--json").done()
    running.wait(lambda: "paused" in noted(running.session))
    count = running.frames()
    running.process.send_signal(signal.SIGUSR2)
    ended = running.end()
    assert (ended.code, running.frames()) == (130, count)
    assert f"after {count} of 81 frames" in ended.values["error"]["message"]


@pytest.mark.parametrize("how", ["control", "signal"])
def test_stopped_after_a_frame_it_can_be_gone_on_with(devices: tuple[str, ...], tmp_path: Path, how: str) -> None:
    running = Running(tmp_path / "s", devices)
    if how == "control":
        focusrail("control", running.paused_after(2).session, "stop", "--json").done()
    else:
        running.after_frames(2).process.send_signal(signal.SIGUSR2)
    ended = running.end()
    assert ended.code == 130
    assert "focusrail resume" in ended.values["error"]["remedy"]
    assert 2 <= running.frames() < FRAMES
    values = focusrail("resume", running.session, "--json").done()
    assert (values["frames"], values["planned"]) == (FRAMES, FRAMES)
    # a finished session is left as it is
    manifest = (running.session / "manifest.json").read_bytes()
    assert focusrail("resume", running.session, "--json").done()["frames"] == FRAMES
    assert (running.session / "manifest.json").read_bytes() == manifest


def test_signals_before_the_first_frame_are_answered(devices: tuple[str, ...], tmp_path: Path) -> None:
    running = Running(tmp_path / "s", devices, "--far", "9mm", "--settle", "20")
    assert running.process.stderr is not None
    said = running.process.stderr.readline()
    running.process.send_signal(signal.SIGUSR1)
    while said and "not paused" not in said:
        said = running.process.stderr.readline()
    assert said
    running.process.send_signal(signal.SIGUSR2)
    ended = running.end()
    assert (ended.code, ended.values["error"]["kind"]) == (130, "interrupted")


def test_the_far_end_is_extended(devices: tuple[str, ...], tmp_path: Path) -> None:
    running = Running(tmp_path / "s", devices, *QUICK).paused_after(1)
    answer = focusrail("control", running.session, "extend", "250um", "--json").done()
    assert (answer["obeyed"], answer["far_um"]) == (True, 1750.0)
    running.go_on()
    values = running.end().done()
    assert (values["planned"], values["frames"], values["added"]) == (FRAMES, FRAMES + 3, 3)
    frames = json.loads((running.session / "manifest.json").read_text())["frames"]
    assert [round(frame["position_um"]) for frame in frames[-3:]] == [1600, 1700, 1750]
    assert frames[-1]["added"] == "far end extended by the user"


def test_nothing_passes_the_position_that_is_never_passed(
    bench: RunningBench, devices: tuple[str, ...], tmp_path: Path
) -> None:
    before = bench.ask({"get": "truth"})
    arguments = ("shoot", *devices, *PLAN, "--origin", "here", "--out", tmp_path / "s", "--json")
    refused = focusrail(*arguments, "--never-beyond", "1.4mm")
    assert (refused.code, refused.values["error"]["kind"]) == (1, "rail-limit")
    assert "never to be passed" in refused.values["error"]["message"]
    assert bench.ask({"get": "truth"}) == before
    assert not (tmp_path / "s").exists()
    running = Running(tmp_path / "s", devices, "--never-beyond", "1.6mm").paused_after(1)
    beyond = focusrail("control", running.session, "extend", "250um", "--json")
    assert beyond.code == 1
    assert "it would lie at 1750 um, and the allowed range ends at 1600 um" in beyond.values["error"]["message"]
    assert beyond.values["error"]["remedy"]
    assert beyond.values["error"]["state"] == "The session goes on as planned."
    assert focusrail("control", running.session, "extend", "100um", "--json").done()["obeyed"] is True
    running.go_on()
    ended = running.end()
    assert (ended.done()["frames"], ended.values["added"]) == (FRAMES + 1, 1)
    assert "the far end is not extended: it would lie at 1750 um" in ended.stderr
    assert not list(running.session.glob(".answer-*"))
    frames = json.loads((running.session / "manifest.json").read_text())["frames"]
    assert max(frame["position_um"] for frame in frames) == pytest.approx(1600, abs=0.7)


def test_nobody_to_tell_is_said(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "journal.db").touch()
    error = focusrail("control", tmp_path / "s", "pause", "--json")
    assert error.code == 1
    assert "nobody is shooting" in error.values["error"]["message"]
    assert "focusrail resume" in error.values["error"]["remedy"]
    nothing = focusrail("control", tmp_path / "nope", "pause", "--json")
    assert nothing.code == 1
    assert "holds no session" in nothing.values["error"]["message"]
    assert "resume" not in nothing.values["error"]["remedy"]
    assert focusrail("control", tmp_path / "s", "extend", "--json").code == 2
    (tmp_path / "s" / "manifest.json").write_text('{"state": "finished", "plan": {"near_um": 0}}')
    over = focusrail("control", tmp_path / "s", "extend", "200um", "--json")
    assert over.code == 1
    assert "is finished" in over.values["error"]["message"]
    assert "session of its own" in over.values["error"]["remedy"]
    lock = os.open(tmp_path / "s", os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    stacking = focusrail("control", tmp_path / "s", "pause", "--json").values["error"]
    assert f"process {os.getpid()}" in stacking["message"]
    assert f"kill -INT {os.getpid()}" in stacking["remedy"]
    os.close(lock)


def test_what_a_stack_cannot_write_is_said_before_the_session_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "depth.tif").write_text("of another picture")
    devices = {"rail": {"port": "socket://127.0.0.1:9", "profile": None}, "camera": {"port": "ptpip:127.0.0.1:9:9"}}
    stack = options_to_record(StackOptions(depth=tmp_path / "depth.tif"))
    plan = StackPlan(0, 100, 50)
    SessionFolder.create(tmp_path / "s", plan, devices=devices, settings={}, origin="here", stack=stack).close()
    refused = focusrail("resume", tmp_path / "s", "--json")
    assert refused.code == 1
    assert "depth.tif" in refused.values["error"]["message"]
    # without it the devices are opened, which are not there
    (tmp_path / "depth.tif").unlink()
    assert focusrail("resume", tmp_path / "s", "--json").code == 3


def test_the_end_is_told(devices: tuple[str, ...], tmp_path: Path) -> None:
    told = tmp_path / "told.txt"
    order = f'printf "%s|%s|%s\\n" "$FOCUSRAIL_EVENT" "$FOCUSRAIL_MESSAGE" "$FOCUSRAIL_SESSION" >> {told}'
    Running(tmp_path / "s", devices, *QUICK, "--notify", order).end().done()
    assert told.read_text() == f"finished|{FRAMES} frames in {tmp_path / 's'}|{tmp_path / 's'}\n"


def test_a_battery_that_runs_low_is_announced(bench: RunningBench, devices: tuple[str, ...], tmp_path: Path) -> None:
    told = tmp_path / "told.txt"
    order = f'printf "%s|%s\\n" "$FOCUSRAIL_EVENT" "$FOCUSRAIL_MESSAGE" >> {told}'
    # looked at after a shot, every three seconds at most
    running = Running(tmp_path / "s", devices, "--notify", order, "--settle", "0.7").after_frames(1)
    bench.ask({"fault": "low_battery", "percent": 8})
    ended = running.end()
    bench.ask({"clear": "low_battery"})
    assert ended.done()["frames"] == FRAMES
    assert "battery is at 8 %" in ended.stderr
    assert "trouble|frame" in told.read_text()
    assert "battery is at 8 %" in told.read_text()


def test_a_notification_that_fails_stops_nothing(devices: tuple[str, ...], tmp_path: Path) -> None:
    assert Running(tmp_path / "s", devices, *QUICK, "--notify", "exit 3").end().done()["frames"] == FRAMES


def test_nobody_reading_along_any_more_stops_nothing(devices: tuple[str, ...], tmp_path: Path) -> None:
    running = Running(tmp_path / "s", devices).after_frames(2)
    assert running.process.stderr is not None
    running.process.stderr.close()
    assert running.process.stdout is not None
    out = running.process.stdout.read()
    running.process.stdout.close()
    assert running.process.wait(60) == 0
    assert json.loads(out)["frames"] == FRAMES


def test_progress_tells_frames_coverage_and_time_left(devices: tuple[str, ...], tmp_path: Path) -> None:
    ended = Running(tmp_path / "s", devices, *QUICK).end()
    ended.done()
    lines = [line for line in ended.stderr.splitlines() if line.startswith("frame ")]
    assert lines[0].startswith(f"frame 1 of {FRAMES} at 1000, 0001.dng, 0% of the range, ")
    assert lines[3].startswith(f"frame 4 of {FRAMES} at 1300, 0004.dng, 60% of the range, ")
    assert lines[-1].startswith(f"frame {FRAMES} of {FRAMES} at 1500, {FRAMES:04d}.dng, 100% of the range, ")
    assert all(line.endswith(" s left") for line in lines)


def test_a_session_counts_as_it_was_begun(bench: RunningBench, devices: tuple[str, ...], tmp_path: Path) -> None:
    running = Running(tmp_path / "s", devices).after_frames(2)
    running.process.kill()
    running.end()
    refused = focusrail("resume", running.session, "--origin", "here", "--json")
    assert refused.code == 1
    assert "--origin home" in refused.values["error"]["remedy"]
    bench.ask({"fault": "reset"})
    lost = focusrail("resume", running.session, "--json")
    assert lost.code in (1, 3)
    assert "--origin home" in lost.values["error"]["remedy"]
    assert focusrail("resume", running.session, "--origin", "home", "--json").done()["frames"] == FRAMES


def test_the_cameras_settings_are_put_back(bench: RunningBench, devices: tuple[str, ...], tmp_path: Path) -> None:
    running = Running(tmp_path / "s", devices, "--iso", "200").after_frames(2)
    running.process.kill()
    running.end()
    focusrail("camera", "set", "iso", "800", "--camera", bench.camera, "--json").done()
    resumed = focusrail("resume", running.session, "--json")
    assert resumed.done()["frames"] == FRAMES
    assert "iso was 800; put back to the session's 200" in resumed.stderr
    frames = json.loads((running.session / "manifest.json").read_text())["frames"]
    assert {frame["exposure"]["iso"] for frame in frames} == {200}


def test_an_exposure_that_was_not_recorded_is_kept_and_shot_again(devices: tuple[str, ...], tmp_path: Path) -> None:
    running = Running(tmp_path / "s", devices).after_frames(3)
    running.process.kill()
    running.end()
    frames = running.session / "frames"
    last = max(frames.glob("0*"))
    stray = frames / f"{int(last.stem) + 1:04d}.dng"
    stray.write_bytes(b"not recorded")
    cut = frames / "0001.dng"
    cut.write_bytes(cut.read_bytes()[:-100])
    from capture.session.journal import Journal
    from capture.session.records import EventKind

    with Journal(running.session / "journal.db") as journal:
        journal.record(EventKind.INTENDED, int(stray.stem), target=0.0)
        journal.record(EventKind.EXPOSING, int(stray.stem), attempt=1)
    values = focusrail("resume", running.session, "--json").done()
    assert values["frames"] == FRAMES
    assert {entry["file"].split("/")[-1].split("-")[0] for entry in values["left_out"]} >= {"0001", stray.stem}
    assert any(path.read_bytes() == b"not recorded" for path in (frames / "rejected").iterdir())


def test_two_sessions_on_one_rail_or_one_folder(devices: tuple[str, ...], tmp_path: Path) -> None:
    running = Running(tmp_path / "s", devices).paused_after(1)
    again = focusrail("resume", running.session, "--json")
    assert again.code == 1
    message = again.values["error"]["message"]
    assert f"held by another process (process {running.process.pid}, focusrail shoot --rail" in message
    assert ", since 20" in message
    other = focusrail("shoot", *devices, *PLAN, "--origin", "here", "--out", tmp_path / "other", "--json")
    moved = focusrail("rail", "move", "1mm", *devices[:2], "--json")
    shot = focusrail("camera", "shot", "--out", tmp_path / "shots", *devices[2:], "--json")
    for refused in (other, moved, shot):
        error = refused.values["error"]
        assert (refused.code, error["kind"]) == (1, "held")
        assert f"another session (process {running.process.pid}, focusrail shoot" in error["message"]
        assert f"session {running.session})" in error["message"]
        assert f"focusrail control {running.session} stop" in error["remedy"]
        assert error["state"]
    assert not (tmp_path / "other").exists()
    running.go_on()
    assert running.end().done()["frames"] == FRAMES


def test_a_report_for_the_maintainer_has_no_pictures(devices: tuple[str, ...], tmp_path: Path) -> None:
    Running(tmp_path / "s", devices, *QUICK, "--log-wire").end().done()
    archive = tmp_path / "report.zip"
    focusrail("report-bug", tmp_path / "s", "-o", archive, "--json").done()
    with zipfile.ZipFile(archive) as packed:
        names = packed.namelist()
        log = packed.read("log.txt").decode()
        listed = {entry["file"] for entry in json.loads(packed.read("files.json"))}
    assert {"journal.db", "manifest.json", "log.txt", "system.json", "settings.json"} <= set(names)
    assert not any(name.endswith((".dng", ".tif", ".jpg")) for name in names)
    assert "frames/0001.dng" in listed
    assert "rail.wire: > b'G" in log
    assert "rail.wire: < b'ok\\r\\n'" in log
    assert "rail.wire: > b'$H\\n'" in log  # from the first byte on, before the folder was there
    assert "capture.camera.wire: > shoot" in log
    assert "capture.camera.wire: < event file_added " in log
    assert focusrail("report-bug", tmp_path / "s", "-o", archive, "--json").code == 1


RAIL_FAULTS = {
    # fault: exit code, kinds (both restart the controller, which is locked then: which of both is seen first is chance), what is said
    "reset": (3, ("rail-reset", "rail-alarm"), "focusrail resume"),
    "alarm": (3, ("rail-alarm", "rail-reset"), "focusrail resume"),
    "store_full": (3, ("shot-refused",), "focusrail resume"),
}


@pytest.mark.parametrize("fault", RAIL_FAULTS)
def test_a_fault_that_ends_the_session_says_how_to_go_on(
    bench: RunningBench, devices: tuple[str, ...], tmp_path: Path, fault: str
) -> None:
    code, kinds, remedy = RAIL_FAULTS[fault]
    running = Running(tmp_path / "s", devices).after_frames(3)
    bench.ask({"fault": fault})
    ended = running.end()
    bench.ask({"clear": fault})
    assert ended.code == code
    assert ended.values["error"]["kind"] in kinds, ended
    assert remedy in ended.values["error"]["remedy"]
    assert f"of {FRAMES} frames are safe" in ended.values["error"]["state"]
    assert json.loads((running.session / "manifest.json").read_text())["state"] == "failed"
    assert focusrail("resume", running.session, "--origin", "home", "--json").done()["frames"] == FRAMES


def test_a_rail_whose_cable_comes_back_goes_on_or_says_that_its_place_is_lost(
    bench: RunningBench, devices: tuple[str, ...], tmp_path: Path
) -> None:
    running = Running(tmp_path / "s", devices).after_frames(3)
    bench.ask({"fault": "unplug", "part": "rail"})
    bench.ask({"fault": "plug", "part": "rail"})
    ended = running.end()
    if ended.code:
        assert "position" in ended.values["error"]["message"] + ended.values["error"]["state"]
        ended = focusrail("resume", running.session, "--origin", "home", "--json")
    assert ended.done()["frames"] == FRAMES


def test_a_cameras_cable_that_comes_back_loses_no_frame(
    bench: RunningBench, devices: tuple[str, ...], tmp_path: Path
) -> None:
    running = Running(tmp_path / "s", devices).after_frames(3)
    bench.ask({"fault": "unplug", "part": "camera"})
    bench.ask({"fault": "plug", "part": "camera"})
    ended = running.end()
    assert ended.done()["frames"] == FRAMES
    told = [line for line in ended.stderr.splitlines() if "again" in line]
    log = (running.session / "log.txt").read_text()
    assert told
    assert all(line in log for line in told)
