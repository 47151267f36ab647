"""Every row of docs/camera-faults.md, made to happen: the simulated camera behind the real libgphoto2, and a session's frame on it.

A row's quoted words must be what the user is told, its error the one that is raised, its exposures those that the camera counted.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from capture.camera.gphoto_camera import GphotoCamera
from capture.camera.opening import Deadlines, open_camera
from capture.camera.protocol import Role, Shot
from capture.errors import CameraError
from capture.session.exposing import Exposing
from capture.session.folder import SessionFolder
from capture.session.plan import StackPlan
from capture.session.policy import rule_for
from tests.capture.camera_bench import NetworkCamera
from tests.capture.camera_suite import check_files

DOCS = Path(__file__).parents[2] / "docs" / "camera-faults.md"
QUICK = Deadlines(
    open_s=10, call_s=6, live_s=6, shot_s=3, next_file_s=0.8, stall_s=5, memory_s=4, recover_s=6, battery_s=0
)
BRIEF = Deadlines(
    open_s=2, call_s=1.5, live_s=2, shot_s=1, next_file_s=0.8, stall_s=2, memory_s=1, recover_s=0.8, battery_s=0
)
PLANNED = 3


@dataclass(frozen=True)
class Scene:
    """One frame under one fault. `mended`: the fault is over in the session's pause before it tries again."""

    fault: dict[str, object]
    exposures: int = 1
    """Exposures that the camera counts for the frame."""
    target: str = "card"
    deadlines: Deadlines = QUICK
    mended: bool = False

    @property
    def repeats(self) -> int:
        """How often the driver repeats a lost shot by itself; where nothing helps, waiting teaches nothing."""
        return 0 if self.deadlines is BRIEF else 2


def fault(name: str, **parameters: object) -> dict[str, object]:
    return {"fault": name, **parameters}


# Faults of a frame, by the names of the rows in the docs.
SCENES = {
    "busy for a moment": Scene(fault("busy", seconds=30)),
    "busy when released, for a moment": Scene(fault("busy", on="release", seconds=20)),
    "busy for good": Scene(fault("busy"), exposures=0, deadlines=BRIEF),
    "card or memory full": Scene(fault("store_full"), exposures=0),
    "card taken out": Scene(fault("no_card"), exposures=0),
    "autofocus finds nothing": Scene(fault("out_of_focus"), exposures=0),
    "refuses the shot": Scene(fault("access_denied"), exposures=0),
    "refuses the transfer": Scene(fault("access_denied", on="transfer", shots=1), exposures=2),
    "hangs, and comes back": Scene(fault("hang", seconds=100)),
    "hangs for good": Scene(fault("hang"), exposures=0, deadlines=BRIEF),
    "hangs in the exposure": Scene(fault("hang", on="capture"), exposures=0, deadlines=BRIEF),
    "cut in a transfer, card": Scene(fault("cut_transfer")),
    "cut in a transfer, memory": Scene(fault("cut_transfer"), exposures=2, target="memory"),
    "stale frame": Scene(fault("stale_frame"), exposures=2),
    "second file missing": Scene(fault("missing_second_file"), exposures=2),
    "events lost": Scene(fault("lost_event"), deadlines=replace(QUICK, shot_s=0.5)),
    "slow link": Scene(fault("slow", bytes_per_s=8000)),
    "battery falls low": Scene(fault("low_battery", percent=12)),
    "battery empty": Scene(fault("low_battery", percent=0), exposures=0, deadlines=BRIEF),
    "switches itself off": Scene(fault("die_after", shots=1), deadlines=BRIEF),
    "switches itself off in an exposure": Scene(
        fault("die_after", shots=1, when="exposing"), exposures=0, deadlines=BRIEF
    ),
    "unplugged, and back": Scene(fault("unplug", seconds=20)),
    "unplugged for good": Scene(fault("unplug"), exposures=0, deadlines=BRIEF),
    "asleep, wakes when called": Scene(fault("asleep")),
    "asleep, wants a hand": Scene(fault("asleep", wakes="hand"), exposures=0, deadlines=BRIEF),
    "in playback": Scene(fault("wrong_mode"), exposures=0, deadlines=BRIEF),
    "in playback, and brought back": Scene(fault("wrong_mode"), mended=True),
}


@dataclass(frozen=True)
class Row:
    """A row of the docs."""

    words: str
    error: str


def rows() -> dict[str, Row]:
    cells = [line.strip("|").split("|") for line in DOCS.read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    return {
        row[0].strip(): Row(quoted[0] if (quoted := re.findall('"(.+?)"', row[1])) else "", row[2].strip())
        for row in cells
        if len(row) == 5 and row[0].strip() not in {"fault", "---"}
    }


@pytest.fixture(scope="module")
def bench() -> Iterator[NetworkCamera]:
    with NetworkCamera("--format", "RAW+JPEG", "--scale", "20", "--size", "300x200") as camera:
        yield camera


@pytest.fixture
def well(bench: NetworkCamera) -> Iterator[NetworkCamera]:
    yield bench
    for name in bench.order(list="faults")["faults"]:
        if name != "plug":
            bench.order(clear=name)
    bench.order(fault="plug")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[SessionFolder]:
    plan = StackPlan(0.0, 20.0, 10.0)
    with SessionFolder.create(tmp_path / "session", plan, devices={}, settings={}, origin="keep") as folder:
        yield folder


class Frame:
    """The second frame of a session, as the session takes it."""

    def __init__(self, folder: SessionFolder, camera: GphotoCamera, pause: Callable[[float], None]) -> None:
        self.said: list[str] = []
        self.folder = folder
        self._exposing = Exposing(folder, camera, self.said.append, pause)

    def take(self, number: int) -> Shot | CameraError:
        try:
            return self._exposing.shoot(number, PLANNED)
        except CameraError as error:
            return error

    def told(self, end: Shot | CameraError) -> str:
        """All that the user is told, and the log."""
        if isinstance(end, Shot):
            return " ".join([*self.said, *end.notes, *end.warnings])
        return " ".join([*self.said, end.message, end.remedy])


@pytest.mark.parametrize("name", SCENES)
def test_the_frame_ends_as_the_table_says(well: NetworkCamera, folder: SessionFolder, name: str) -> None:
    scene, row = SCENES[name], rows()[name]
    with open_camera(well.port, deadlines=scene.deadlines, repeats=scene.repeats) as camera:
        camera.set(Role.FORMAT, "RAW+JPEG")
        camera.set(Role.TARGET, scene.target)

        def pause(_seconds: float) -> None:
            if scene.mended:
                well.order(clear=scene.fault["fault"])

        frame = Frame(folder, camera, pause)
        first = frame.take(1)
        assert isinstance(first, Shot)
        before = well.truth()["shots"]
        well.order(**scene.fault)
        end = frame.take(2)
        told = frame.told(end)
        assert row.words in told
        assert well.truth()["shots"] == before + scene.exposures
        arrived = {path.stem for path in folder.frames_path.iterdir() if path.is_file()}
        if isinstance(end, Shot):
            assert row.error == "none"
            check_files(end, folder.frames_path, "0002")
            assert arrived == {"0001", "0002"}
            assert [file.raw for file in end.files] == [True, False]
            return
        assert (type(end).__name__, bool(end.remedy), bool(end.state)) == (row.error, True, True)
        assert told.count("trying again") == rule_for(end).tries - 1
        assert arrived == {"0001"}


def killed_after(seconds: float, camera: GphotoCamera) -> threading.Thread:
    """Kill the library's process so long after now."""

    def kill() -> None:
        assert camera.driver_pid is not None
        os.kill(camera.driver_pid, signal.SIGSEGV)

    timer = threading.Timer(seconds, kill)
    timer.start()
    return timer


def killed_when(folder: Path, camera: GphotoCamera) -> threading.Thread:
    """Kill the library's process as soon as the frame's first part is on the disk."""
    end = time.monotonic() + 20

    def work() -> None:
        while time.monotonic() < end:
            if any(path.stat().st_size for path in folder.glob(".0002.*.part")):
                assert camera.driver_pid is not None
                os.kill(camera.driver_pid, signal.SIGKILL)
                return
            time.sleep(0.002)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


CRASHES = {
    "the library crashes before the shot": {},
    "the library crashes in a transfer": {"fault": "slow", "bytes_per_s": 60_000},
    "the library crashes in a long exposure": {},
}


@pytest.mark.parametrize("name", CRASHES)
def test_a_crash_of_the_library(well: NetworkCamera, folder: SessionFolder, name: str) -> None:
    row = rows()[name]
    with open_camera(well.port, deadlines=QUICK) as camera:
        camera.set(Role.FORMAT, "RAW+JPEG")
        camera.set(Role.TARGET, "card")
        before_s = camera.get(Role.SHUTTER).value
        if "exposure" in name:
            camera.set(Role.SHUTTER, "10")
            killer = killed_after(0.25, camera)
        elif "transfer" in name:
            killer = killed_when(folder.frames_path, camera)
        else:
            killer = killed_after(0.0, camera)
            killer.join()
        before = well.truth()["shots"]
        for order in [CRASHES[name]] if CRASHES[name] else []:
            well.order(**order)
        frame = Frame(folder, camera, lambda _seconds: None)
        end = frame.take(2)
        killer.join()
        camera.set(Role.SHUTTER, before_s)
        assert isinstance(end, Shot)
        assert row.words in frame.told(end)
        assert row.error == "none"
        assert well.truth()["shots"] == before + 1
        check_files(end, folder.frames_path, "0002")


def test_a_bulb_exposure_that_was_cut_off_is_repeated_and_the_shutter_closed(
    well: NetworkCamera, folder: SessionFolder
) -> None:
    with open_camera(well.port, deadlines=QUICK) as camera:
        before_s = camera.get(Role.SHUTTER).value
        camera.set(Role.TARGET, "card")
        camera.set(Role.SHUTTER, "bulb:0.4")
        before = well.truth()["shots"]
        killer = killed_after(0.25, camera)
        shot = camera.shoot(folder.frames_path, "0001")
        killer.join()
        camera.set(Role.SHUTTER, before_s)
        assert "The shot was lost and repeated." in shot.notes
        assert well.truth()["shots"] == before + 2
        check_files(shot, folder.frames_path, "0001")
        check_files(camera.shoot(folder.frames_path, "0002"), folder.frames_path, "0002")


def test_the_first_shot_of_a_run_is_found_by_the_room_that_it_took(well: NetworkCamera, folder: SessionFolder) -> None:
    with open_camera(well.port, deadlines=replace(QUICK, shot_s=0.5)) as camera:
        camera.set(Role.TARGET, "card")
        before = well.truth()["shots"]
        well.order(fault="lost_event")
        shot = camera.shoot(folder.frames_path, "0001")
        assert rows()["events lost"].words in shot.notes
        assert well.truth()["shots"] == before + 1
        check_files(shot, folder.frames_path, "0001")


# What stands in the way is told before the first frame.
OBSTACLES = {
    "battery low before the session": ({"fault": "low_battery", "percent": 15}, False),
    "battery empty before the session": ({"fault": "low_battery", "percent": 4}, True),
    "card full before the session": ({"fault": "store_full", "target": "card"}, True),
    "no card before the session": ({"fault": "no_card"}, True),
    "in playback before the session": ({"fault": "wrong_mode"}, True),
    "mode dial not on M": ({"fault": "wrong_mode", "mode": "auto"}, False),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_what_is_told_before_the_first_frame(well: NetworkCamera, name: str) -> None:
    order, fatal = OBSTACLES[name]
    with open_camera(well.port, deadlines=BRIEF) as camera:
        camera.set(Role.TARGET, "card")
        before = well.truth()["shots"]
        well.order(**order)
        found = [one for one in camera.obstacles() if rows()[name].words in one.message]
        assert [(one.fatal, bool(one.remedy)) for one in found] == [(fatal, True)]
        assert (rows()[name].error == "fatal") is fatal
        well.order(clear=order["fault"])
        assert not any(one.fatal for one in camera.obstacles())
    truth = well.truth()
    assert (truth["shots"], truth["live"]) == (before, False)


def test_autofocus_that_cannot_be_switched_off_is_told_before_the_first_frame() -> None:
    words = rows()["in autofocus before the session"].words
    with NetworkCamera("--maker", "generic", "--size", "300x200") as body, open_camera(body.port) as camera:
        assert not any(words in one.message for one in camera.obstacles())
        choices = camera.get(Role.AUTOFOCUS).choices
        camera.set(Role.AUTOFOCUS, next(choice for choice in choices if choice != "Manual"))
        (told,) = [one for one in camera.obstacles() if words in one.message]
        assert (told.fatal, bool(told.remedy)) == (False, True)


@pytest.mark.parametrize(
    ("maker", "order", "name"),
    [
        ("canon", fault("wrong_mode"), "in playback before the session"),
        ("canon", fault("busy"), "busy for good before the session"),
        ("generic", fault("wrong_mode"), ""),
    ],
)
def test_bodies_that_say_only_that_they_are_busy(maker: str, order: dict[str, object], name: str) -> None:
    """So do Canon EOS bodies; one without live view tells nothing before its first frame."""
    with (
        NetworkCamera("--maker", maker, "--size", "300x200") as body,
        open_camera(body.port, deadlines=replace(QUICK, live_s=1.0)) as camera,
    ):
        assert not any(one.fatal for one in camera.obstacles())
        live_view = camera.info().roles[Role.LIVE_VIEW]
        assert live_view is None or live_view.value == "0"  # the live frame that was asked for left it as it was
        body.order(**order)
        fatal = [one for one in camera.obstacles() if one.fatal]
        assert [rows()[name].words in one.message for one in fatal] == ([True] if name else [])
        assert body.truth()["shots"] == 0
        assert all("live_check" in one.remedy for one in fatal)
        camera.live_check = False
        assert not any(one.fatal for one in camera.obstacles())


# What opens no camera at all.
CLOSED = {
    "asleep or off before the session": fault("asleep", wakes="hand"),
    "hangs before the session": fault("hang"),
}


@pytest.mark.parametrize("name", CLOSED)
def test_a_camera_that_cannot_be_opened(well: NetworkCamera, name: str) -> None:
    row = rows()[name]
    well.order(**CLOSED[name])
    with pytest.raises(CameraError) as refusal:
        open_camera(well.port, deadlines=BRIEF)
    assert (type(refusal.value).__name__, row.words in refusal.value.message) == (row.error, True)
    assert "half-press" in refusal.value.remedy


def test_a_refused_connection(well: NetworkCamera) -> None:
    row = rows()["refuses the connection"]
    well.order(fault="access_denied", on="connect")
    with pytest.raises(CameraError) as refusal:
        open_camera(well.port, deadlines=BRIEF)
    assert (type(refusal.value).__name__, row.words in refusal.value.message) == (row.error, True)


def test_a_refused_setting(well: NetworkCamera) -> None:
    row = rows()["refuses a setting"]
    with open_camera(well.port, deadlines=QUICK) as camera:
        well.order(fault="access_denied", on="settings")
        with pytest.raises(CameraError) as refusal:
            camera.set(Role.ISO, "800" if camera.get(Role.ISO).value != "800" else "400")
    assert (type(refusal.value).__name__, row.words in refusal.value.message) == (row.error, True)


def test_a_setting_that_is_ignored() -> None:
    row = rows()["ignores a setting"]
    with NetworkCamera("--maker", "canon", "--size", "300x200") as camera_, open_camera(camera_.port) as camera:
        assert camera.set(Role.ISO, "800").value == "800"
        camera_.order(fault="access_denied", on="settings_silently", shots=0)
        with pytest.raises(CameraError) as refusal:
            camera.set(Role.ISO, "400")
        assert (type(refusal.value).__name__, row.words in refusal.value.message) == (row.error, True)
        assert camera.get(Role.ISO).value == "800"


def test_the_docs_have_a_row_for_every_test_and_no_other() -> None:
    assert set(rows()) == {
        *SCENES,
        *OBSTACLES,
        *CRASHES,
        *CLOSED,
        "busy for good before the session",
        "in autofocus before the session",
        "refuses the connection",
        "refuses a setting",
        "ignores a setting",
    }


def test_every_fault_of_the_simulated_camera_is_in_the_table(bench: NetworkCamera) -> None:
    made = {str(scene.fault["fault"]) for scene in SCENES.values()}
    assert set(bench.order(list="faults")["faults"]) - {"plug"} == made
