"""Live view with focus peaking, and calibration by camera, as a user runs them."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import cv2
import pytest

from capture.app.bench_launch import RunningBench
from rail.profiles import load_profile
from tests.journeys.program import command, focusrail

BACKLASH_UM = 30.0
DEADLINE_S = 100.0


@pytest.fixture(scope="module")
def bench() -> Any:
    options = (
        "--seed",
        "5",
        "--sensor",
        "480x320",
        "--live-scale",
        "1.5",
        "--time-scale",
        "20",
        "--settle-time",
        "0.02",
    )
    with RunningBench(*options, "--backlash", str(BACKLASH_UM), "--start", "800") as running:
        focusrail("rail", "zero", "--rail", running.rail, "--json").done()
        yield running


def test_one_frame_into_a_file(devices: tuple[str, ...], tmp_path: Path) -> None:
    picture = tmp_path / "live.png"
    marks = ("--near", "-300", "--far", "400um", "--step", "20", "--dof", "30")
    done = focusrail("live", *devices, *marks, "-o", picture, "--json").done()
    assert done["file"] == str(picture)
    assert cv2.imread(str(picture)).shape[:2] == (213, 320)
    assert done["position_um"] == 0.0
    assert (done["near_um"], done["far_um"]) == (-300.0, 400.0)
    assert 0 < done["share"] < 1
    assert done["ended_by"] == "frame"
    again = focusrail("live", *devices, "-o", picture, "--json")
    assert again.code == 2
    assert "--force" in again.values["error"]["remedy"]
    assert [path.name for path in tmp_path.iterdir()] == ["live.png"]


def test_frames_for_a_page(bench: RunningBench, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    done = focusrail("live", "--camera", bench.camera, "--frames", folder, "--count", "3", "--json").done()
    assert done["frames"] == 3
    assert done["position_um"] is None
    lines = [json.loads(line) for line in (folder / "frames.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines] == ["live-000001.jpg", "live-000002.jpg", "live-000003.jpg"]
    assert all(cv2.imread(str(folder / line["file"])) is not None for line in lines)
    assert [line["arrived_s"] for line in lines] == sorted(line["arrived_s"] for line in lines)


def test_numbers_as_lines(devices: tuple[str, ...]) -> None:
    done = focusrail("live", *devices, "--jsonl", "--count", "2")
    assert done.code == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["frame"] for line in lines] == [1, 2]
    assert all(line["sharpness"] <= line["best_sharpness"] for line in lines)


@pytest.mark.parametrize("show", ["blocks", "kitty", "iterm", "sixel"])
def test_a_picture_in_the_terminal(bench: RunningBench, show: str) -> None:
    done = focusrail("live", "--camera", bench.camera, "--show", show, "--count", "1")
    assert done.code == 0
    begins = {"blocks": "▀", "kitty": "\x1b_Ga=T,f=100", "iterm": "\x1b]1337;File=inline=1", "sixel": "\x1bPq"}
    assert begins[show] in done.stderr
    assert "in focus" in done.stderr
    assert done.stderr.count("\x1b[?25l") == done.stderr.count("\x1b[?25h") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--json", "--jsonl"), "stdout"),
        (("--show", "hologram"), "hologram"),
        (("-o", "picture.tif"), "picture.tif"),
        (("--step", "-5um"), "--step"),
        (("--show", "window"), "display"),
    ],
)
def test_what_cannot_be_is_refused(bench: RunningBench, arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    plain = {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "WAYLAND_DISPLAY"}}
    refused = focusrail("live", "--camera", bench.camera, "--count", "1", *arguments, cwd=tmp_path, environment=plain)
    assert refused.code == 2
    assert said in refused.stderr


class Seat:
    """A terminal with `live` running in it."""

    def __init__(self, *arguments: str) -> None:
        self._own, other = pty.openpty()
        self.process = subprocess.Popen(
            command("live", "--show", "blocks", *arguments),
            stdin=other,
            stderr=other,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "COLUMNS": "70", "LINES": "20", "COLORTERM": "truecolor"},
        )
        os.close(other)
        self.text = ""

    def read_until(self, wanted: str) -> None:
        end = time.monotonic() + DEADLINE_S
        while wanted not in self.text:
            assert time.monotonic() < end, f"{wanted!r} never came: {self.text[-500:]!r}"
            if select.select([self._own], [], [], 0.5)[0]:
                self.text += os.read(self._own, 65536).decode("utf-8", "replace")

    def press(self, keys: str) -> None:
        self.text = ""
        os.write(self._own, keys.encode())

    def end(self) -> tuple[int, str]:
        """Its exit code, and its last words."""
        try:
            while self.process.poll() is None or select.select([self._own], [], [], 0.1)[0]:
                if select.select([self._own], [], [], 0.5)[0]:
                    self.text += os.read(self._own, 65536).decode("utf-8", "replace")
        except OSError:
            pass  # the other end is closed
        code = self.process.wait(DEADLINE_S)
        os.close(self._own)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code, self.text


def test_keys_jog_and_mark(bench: RunningBench, devices: tuple[str, ...]) -> None:
    seat = Seat(*devices, "--jog", "25um")
    seat.read_until("at 0.0 um")
    seat.press("n\x1b[C")
    seat.read_until("at 25.0 um")
    seat.press("+k")
    seat.read_until("at 75.0 um")
    seat.press("f-j")
    seat.read_until("at 50.0 um")
    seat.press("q")
    code, text = seat.end()
    assert code == 0
    assert "near 0.0 um, far 75.0 um" in text
    assert "\x1b[?25h" in text
    assert focusrail("rail", "status", "--rail", bench.rail, "--json").done()["position_um"] == 50.0
    focusrail("rail", "move", "0", "--rail", bench.rail, "--json").done()


def test_ctrl_c_stops_the_motion_and_ends_live_view(
    bench: RunningBench, devices: tuple[str, ...], tmp_path: Path
) -> None:
    slow = tmp_path / "slow.toml"  # 19 mm take 19 s at the bench's time scale: no machine is slow enough to miss them
    slow.write_text('name = "slow"\nfeed_um_s = 50\n')
    seat = Seat(*devices, "--jog", "19mm", "--profile", str(slow))
    seat.read_until("at 0.0 um")
    seat.press("k")
    seat.read_until("at ")
    seat.process.send_signal(signal.SIGINT)
    code, _ = seat.end()
    status = focusrail("rail", "status", "--rail", bench.rail, "--json").done()
    focusrail("rail", "move", "0", "--rail", bench.rail, "--json").done()  # first: the tests after this one start there
    assert code == 130
    assert status["state"] == "idle"
    assert status["position_known"]
    assert status["position_um"] < 19_000
    assert focusrail("camera", "get", "live_view", "--camera", bench.camera, "--json").done()["value"] in {"0", "2"}


@pytest.mark.timeout(300)
def test_backlash_is_measured_and_written(devices: tuple[str, ...], tmp_path: Path) -> None:
    profile = tmp_path / "mine.toml"
    profile.write_text('name = "mine"  # of the test\nbacklash_um = 60\n')
    done = focusrail(
        "rail", "calibrate", "backlash", *devices, "--profile", profile, "--repeats", "2", "--json", longest_s=280
    ).done()
    assert done["value"] == pytest.approx(BACKLASH_UM, abs=3.0)
    assert done["uncertainty"] < 15
    assert done["profile"] == str(profile)
    written = load_profile(profile)
    assert written.backlash_um == done["value"]
    assert written.calibration["backlash"].uncertainty == done["uncertainty"]
    assert "# of the test" in profile.read_text()
    assert focusrail("rail", "status", *devices, "--json").done()["position_um"] == 0.0


def test_magnification_is_measured_by_travel_and_written(
    bench: RunningBench, devices: tuple[str, ...], tmp_path: Path
) -> None:
    profile = tmp_path / "mine.toml"
    profile.write_text('name = "mine"\nbacklash_um = 60\n')
    done = focusrail(
        "rail", "calibrate", "magnification", *devices, "--profile", profile, "--json", longest_s=280
    ).done()
    truth = bench.ask({"get": "truth"})
    assert done["value"] == pytest.approx(truth["magnification"], abs=done["uncertainty"])
    assert done["uncertainty"] < 0.15 * done["value"]
    assert load_profile(profile).calibration["magnification"].value == done["value"]
