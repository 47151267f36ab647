"""A session that shoots in a process of its own, to be disturbed on the way."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from capture.session.journal import Journal
from tests.journeys.program import Finished, command

PLAN = ("--near", "1mm", "--far", "1.5mm", "--step", "100um", "--settle", "0.1", "-m", "2", "-f", "2.8")


class Running:
    """A `shoot` under way."""

    def __init__(self, session: Path, devices: tuple[str, ...], *more: str) -> None:
        self.session = session
        arguments = ("shoot", *devices, *PLAN, "--origin", "home", "--out", str(session), "--json", *more)
        self.process = subprocess.Popen(
            command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def wait(self, condition: Callable[[], bool]) -> None:
        end_s = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end_s
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.01)

    def frames(self) -> int:
        folder = self.session / "frames"
        return len(list(folder.glob("0*"))) if folder.is_dir() else 0

    def after_frames(self, count: int) -> Running:
        self.wait(lambda: self.frames() >= count)
        return self

    def paused_after(self, count: int) -> Running:
        """What takes a process of its own comes while it is paused, so that it is not at its end before."""
        self.after_frames(count).process.send_signal(signal.SIGUSR1)
        self.wait(lambda: "paused" in noted(self.session))
        return self

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGUSR1)

    def end(self) -> Finished:
        out, err = self.process.communicate(timeout=110)
        return Finished(self.process.returncode, out, err)


def noted(session: Path) -> list[str]:
    with Journal(session / "journal.db") as journal:
        return [event.detail["text"] for event in journal.events() if event.kind.value == "noted"]
