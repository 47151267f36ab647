"""Every refusal says what happened, what to do, and in what state things are left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capture.app.main import run
from capture.app.opening import telling_where
from capture.app.output import InterruptedRunError
from capture.errors import CameraError, CaptureError, FocusError
from capture.focus.axis_view import returning
from rail.errors import RailError, RailLimitError
from rail.grbl.axis import GrblAxis
from rail.opening import open_axis
from rail.simulator import DeviceClock, RailOptions, SimulatedRail
from tests.rail.grbl_virtual import VirtualRail

NOWHERE = "--rail socket://127.0.0.1:2"
PLAN = "--near 0 --far 1mm --step 10um"
REFUSALS = {
    "rail status": 2,
    f"rail status {NOWHERE}": 3,
    "rail status --rail /dev/none": 3,
    f"rail move x {NOWHERE}": 2,
    f"rail move 10 --profile nope {NOWHERE}": 2,
    "rail settings --rail lens:": 2,
    f"rail doctor {NOWHERE}": 3,
    f"rail calibrate backlash {NOWHERE}": 3,
    "camera get nonsense": 2,
    "camera get iso --camera shutter": 2,
    "camera info --listing none.txt": 2,
    "camera info --listing file": 2,
    "camera preview -o file": 2,
    "camera shot --out file": 2,
    "camera shot --out empty --bracket 1/60": 2,
    "control nope pause": 1,
    "control empty extend": 2,
    "control empty extend 3bananas": 2,
    "resume nope": 1,
    "report-bug nope": 1,
    f"shoot --out file {PLAN}": 1,
    f"shoot --out new {PLAN}": 2,
    f"shoot --out new --near 1mm --far 0 --step 10um {NOWHERE}": 2,
    f"shoot --out new {PLAN} --never-beyond 0.5mm {NOWHERE}": 1,
    f"shoot --out new {PLAN} {NOWHERE}": 3,
    "run --out new --nonsense": 2,
    f"run --out new {PLAN} --depth nowhere/d.tif {NOWHERE}": 1,
    f"run --out new {PLAN} --recipe nowhere.toml {NOWHERE}": 2,
    f"step {NOWHERE}": 3,
    "range": 2,
    "stack nope -o x.tif": 1,
    "frobnicate": 2,
}


@pytest.mark.parametrize(("words", "code"), REFUSALS.items())
def test_a_refusal_is_told_whole(
    words: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("no picture")
    assert run([*words.split(), "--json"]) == code
    error = json.loads(capsys.readouterr().out)["error"]
    assert all(error[key] for key in ("kind", "message", "remedy", "state")), error
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (FocusError("what"), "The rail is idle, the carriage stands at 200 um."),
        (CameraError("what", state="link gone"), "Link gone. The rail is idle, the carriage stands at 200 um."),
        (CameraError("what", state="exposed; it stands at 3 um"), "exposed; it stands at 3 um"),
        (RailLimitError("what", state="Nothing has moved."), "Nothing has moved."),
    ],
)
def test_an_error_says_where_the_carriage_stands(error: CaptureError | RailError, state: str) -> None:
    with VirtualRail().open() as axis:
        axis.zero()
        axis.move_to(200)
        with pytest.raises(type(error)) as told, telling_where(axis):
            raise error
    assert told.value.state == state


def go_and_end(axis: GrblAxis, target: float, error: BaseException) -> None:
    with returning(axis):
        axis.move_to(target)
        raise error


def test_ctrl_c_leaves_the_carriage_where_it_was_stopped_and_says_where() -> None:
    with VirtualRail().open() as axis:
        axis.zero()
        axis.move_to(200)
        with pytest.raises(InterruptedRunError) as told, telling_where(axis):
            go_and_end(axis, 300, KeyboardInterrupt())
        assert told.value.state == "Motion is stopped. The rail is idle, the carriage stands at 300 um."
        assert axis.status().position == 300
        with pytest.raises(FocusError):
            go_and_end(axis, 400, FocusError("what"))
        assert axis.status().position == 300


def test_nothing_zeroes_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    rail = SimulatedRail(RailOptions(), DeviceClock(20.0))
    rail.start()
    try:
        assert run(["rail", "calibrate", "settle", "--rail", rail.url, "--camera", "usb:9,9", "--json"]) == 1
        error = json.loads(capsys.readouterr().out)["error"]
        assert error["kind"] == "rail-position-unknown"
        assert "--origin here" in error["remedy"]
        with open_axis(rail.url) as axis:
            assert not axis.status().position_known
    finally:
        rail.stop()


def test_a_place_that_is_not_known_is_said_to_be() -> None:
    with VirtualRail().open() as axis, pytest.raises(FocusError) as told, telling_where(axis):
        raise FocusError("what")
    assert told.value.state == "The rail is idle, its position unknown."


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [(["--version"], 0, "focusrail 0."), ([], 2, "a command is missing"), (["rail"], 2, "a command is missing")],
)
def test_a_command_line_without_a_command(
    arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    shown = capsys.readouterr()
    assert told in shown.out + shown.err
