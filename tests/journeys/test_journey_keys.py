"""A session at a terminal: keys are orders, and a place that was lost is asked for."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from capture.app.bench_launch import RunningBench
from tests.journeys.program import BENCH_OPTIONS, command, focusrail

PLAN = ("--near", "0", "--far", "0.6mm", "--step", "100um", "--settle", "0.15", "-m", "2", "-f", "2.8")
FRAMES = 7


class Terminal:
    """A program with a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self._end, theirs = pty.openpty()
        self.said = ""

        def take_it() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command(*arguments),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            preexec_fn=take_it,  # noqa: PLW1509
        )
        os.close(theirs)

    def press(self, keys: str) -> None:
        os.write(self._end, keys.encode())

    def wait(self, condition: Callable[[], bool], deadline_s: float = 90.0) -> None:
        end_s = time.monotonic() + deadline_s
        while not condition():
            assert time.monotonic() < end_s, self.said
            self._read(0.05)

    def _read(self, seconds: float) -> None:
        if select.select([self._end], [], [], seconds)[0]:
            try:
                self.said += os.read(self._end, 65536).decode("utf-8", "replace")
            except OSError:  # the other end is closed
                time.sleep(seconds)

    def end(self) -> dict[str, object]:
        self.wait(lambda: self.process.poll() is not None)
        assert self.process.stdout is not None
        with self.process.stdout:
            values: dict[str, object] = json.loads(self.process.stdout.read())
        os.close(self._end)
        return values


def frames(session: Path) -> int:
    return len(list((session / "frames").glob("0*")))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forking with threads: none of ours run
def test_keys_pause_go_on_and_extend(bench: RunningBench, devices: tuple[str, ...], tmp_path: Path) -> None:
    session = tmp_path / "s"
    terminal = Terminal("shoot", *devices, *PLAN, "--origin", "here", "--out", str(session), "--json")
    terminal.wait(lambda: frames(session) >= 2)
    terminal.press("p")
    terminal.wait(lambda: "paused: the carriage stands" in terminal.said)
    count = frames(session)
    terminal.press("+")
    terminal.press(" ")
    terminal.wait(lambda: frames(session) > count)
    values = terminal.end()
    assert terminal.process.returncode == 0
    assert (values["frames"], values["added"]) == (FRAMES + 1, 1)
    assert "keys: p pause or go on" in terminal.said


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_place_that_was_lost_is_asked_for(tmp_path: Path) -> None:
    with RunningBench(*BENCH_OPTIONS) as bench:
        devices, session = ("--rail", bench.rail, "--camera", bench.camera), tmp_path / "s"
        terminal = Terminal("shoot", *devices, *PLAN, "--origin", "here", "--out", str(session), "--json")
        terminal.wait(lambda: frames(session) >= 2)
        terminal.press("s")
        assert "error" in terminal.end()
        assert terminal.process.returncode == 130
        done = frames(session)
        focusrail("rail", "move", "0", "--rail", bench.rail, "--json").done()
        bench.ask({"fault": "reset"})
        terminal = Terminal("resume", str(session), *devices, "--json")
        terminal.wait(lambda: "images or here" in terminal.said)
        assert frames(session) == done
        terminal.press("here\n")
        assert terminal.end()["frames"] == FRAMES
        (how,) = json.loads((session / "manifest.json").read_text())["resumed"]
        assert how["origin"] == "here"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("closed", [False, True], ids=["a terminal that is not ours", "a terminal that is closed"])
def test_a_terminal_without_keys_stops_nothing(closed: bool) -> None:
    code = (
        "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from capture.app.session_control import keys_and_signals\n"
        "from capture.session.control import Controls\n"
        "with Controls() as controls, keys_and_signals(controls, 1.0):\n"
        "    print('inside', flush=True)\n"
        "    sys.stderr.close()\n"
        "    controls.wait(0.2)\n"
        "print('out', flush=True)\n"
    )
    ours, theirs = pty.openpty()

    def leave_the_terminal() -> None:
        os.setsid()
        if closed:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=leave_the_terminal,  # noqa: PLW1509
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        assert process.stdout.readline() == "inside\n"
        os.close(ours)
        assert process.communicate(timeout=30)[0] == "out\n"
    assert process.returncode == 0
