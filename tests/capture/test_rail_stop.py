"""`rail stop` ends what another focusrail moves, and nothing that is not one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capture.app.main import run
from capture.app.opening import PROGRAMS
from rail.errors import RailBusyError
from rail.holders import in_the_way
from rail.opening import open_axis
from rail.simulator import DeviceClock, RailOptions, SimulatedRail
from tests.journeys.program import command


@pytest.fixture
def rail() -> Iterator[SimulatedRail]:
    rail = SimulatedRail(RailOptions(homed=True, max_rate_mm_min=60), DeviceClock(1.0))
    rail.start()
    yield rail
    rail.stop()


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_rail_stop_ends_the_move_of_another_focusrail(
    rail: SimulatedRail, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Started in the background by a shell that switches SIGINT off for it, as scripts do; an interrupt stops it all the same."""
    with open_axis(rail.url) as axis:
        offset_um = (axis.status().position or 0.0) - rail.sample().position_um
    for stop in ("command", "interrupt"):
        moving = subprocess.Popen(
            command("rail", "move", "15000", "--rail", rail.url, "--json"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=tmp_path,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # noqa: PLW1509 - as a shell does
        )
        with moving:
            wait_for(lambda: rail.sample().moving)
            if stop == "command":
                with pytest.raises(RailBusyError) as caught:
                    open_axis(rail.url, programs=PROGRAMS)
                assert f"process {moving.pid}" in caught.value.message
                assert f"kill {moving.pid}" in caught.value.remedy
                assert run(["rail", "stop", "--rail", rail.url, "--json"]) == 0
                said = json.loads(capsys.readouterr().out)
                assert said["ended_process"] == moving.pid
                assert (said["state"], said["position_known"]) == ("idle", True)
                assert said["position_um"] == pytest.approx(rail.sample().position_um + offset_um, abs=1)
            else:
                moving.send_signal(signal.SIGINT)
            error = json.loads(moving.communicate(timeout=60)[0])["error"]
            assert moving.returncode == 130
            assert error["kind"] == "interrupted"
            assert "stopped" in error["state"]
            assert not rail.sample().moving


def test_another_program_is_named_and_left_alone(rail: SimulatedRail, capsys: pytest.CaptureFixture[str]) -> None:
    host, port = rail.url.removeprefix("socket://").split(":")
    hold = f"import socket, sys; s = socket.create_connection(({host!r}, {port})); print('there', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as stranger:
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == "there\n"
        assert run(["rail", "stop", "--rail", rail.url, "--json"]) == 3
        error = json.loads(capsys.readouterr().out)["error"]
        assert error["kind"] == "rail-busy"
        assert f"process {stranger.pid}" in error["message"]
        assert stranger.poll() is None
        stranger.communicate()
    assert run(["rail", "stop", "--rail", rail.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ended_process"] is None


def test_a_child_that_inherited_the_port_is_not_in_the_way(rail: SimulatedRail) -> None:
    host, port = rail.url.removeprefix("socket://").split(":")
    with socket.create_connection((host, int(port))) as held:
        os.set_inheritable(held.fileno(), True)
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False) as child:
            assert in_the_way(rail.url) == ()
            child.communicate(b"\n")


@pytest.mark.parametrize(("arguments", "code"), [(("rail", "home"), 1), (("rail", "status"), 0)])
def test_a_rail_without_homing_refuses_to_home(
    arguments: tuple[str, ...], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = SimulatedRail(RailOptions(), DeviceClock(8.0))
    plain.start()
    try:
        assert run([*arguments, "--rail", plain.url, "--json"]) == code
    finally:
        plain.stop()
    said = json.loads(capsys.readouterr().out)
    assert code == 0 or (said["error"]["kind"] == "rail-refused" and "zero" in said["error"]["remedy"])


def test_an_empty_port_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rail", "status", "--rail", "", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "usage"
