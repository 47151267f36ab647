"""Steps that are lost on no wire: the frames tell, the place is looked after, and what was shot at a wrong one is shot again."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from capture.app.bench_launch import RunningBench
from tests.journeys.program import Finished, command, focusrail

OPTIONS = ("--seed", "5", "--sensor", "320x240", "--time-scale", "40")
FRAMES = 9
STEP_UM = 90.0
OPTICS = ("-m", "2", "-f", "2.8")


class Session:
    """A `shoot` through the subject, from `near_um` on."""

    def __init__(self, bench: RunningBench, folder: Path, near_um: float, origin: str) -> None:
        self.folder = folder
        plan = ("--near", str(near_um), "--far", str(near_um + STEP_UM * (FRAMES - 1)), "--step", str(STEP_UM))
        devices = ("--rail", bench.rail, "--camera", bench.camera, "--origin", origin)
        self._process = subprocess.Popen(
            command("shoot", *devices, *plan, *OPTICS, "--settle", "0", "--out", str(folder), "--json"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def befalls(self, bench: RunningBench, after: int, **fault: object) -> None:
        """While it is paused after so many frames."""
        self._wait(lambda: len(list((self.folder / "frames").glob("0*"))) >= after)
        self._process.send_signal(signal.SIGUSR1)
        self._wait(lambda: '"paused"' in self._notes())
        bench.ask(fault)
        self._process.send_signal(signal.SIGUSR1)

    def _notes(self) -> str:
        from capture.session.journal import Journal

        with Journal(self.folder / "journal.db") as journal:
            return json.dumps([dict(event.detail) for event in journal.events()])

    def _wait(self, condition: object) -> None:
        assert callable(condition)
        end_s = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end_s
            assert self._process.poll() is None, self._process.communicate()
            time.sleep(0.01)

    def end(self) -> Finished:
        out, err = self._process.communicate(timeout=110)
        return Finished(self._process.returncode, out, err)


def verdicts(folder: Path) -> list[tuple[float, str]]:
    frames = json.loads((folder / "manifest.json").read_text())["frames"]
    return [(round(frame["position_um"]), frame["verdict"]) for frame in frames]


ALL = [STEP_UM * k for k in range(FRAMES)]


def test_without_a_switch_the_place_is_found_by_images(tmp_path: Path) -> None:
    with RunningBench(*OPTIONS, "--start", "400") as bench:
        start_um = bench.ask({"get": "truth"})["carriage_um"]
        session = Session(bench, tmp_path / "s", 0.0, "here")
        session.befalls(bench, 6, fault="lose_steps", steps=160)
        done = session.end()
        assert done.done()["frames"] == FRAMES
        assert "the picture stands still, though the rail moved on" in done.stderr
        assert {entry["reason"][:38] for entry in done.values["left_out"]} == {"shot after the rail had lost its place"}
        assert verdicts(tmp_path / "s") == [(at, "accepted") for at in ALL]
        # it went back to the near end, where it began
        assert bench.ask({"get": "truth"})["carriage_um"] == pytest.approx(start_um, abs=0.1 * STEP_UM)


def test_a_jam_ends_the_session_and_resume_asks_for_the_place(tmp_path: Path) -> None:
    with RunningBench(*OPTIONS, "--switches", "--start", "400") as bench:
        home = focusrail("rail", "home", "--rail", bench.rail, "--json").done()["position_um"]
        near_um = round(400.0 - bench.ask({"get": "truth"})["carriage_um"] + home)
        session = Session(bench, tmp_path / "s", near_um, "home")
        session.befalls(bench, 5, fault="jam")
        ended = session.end()
        assert ended.code == 3
        error = ended.values["error"]
        assert "the rail lost steps, or jams" in error["message"]
        assert "--origin home" in error["remedy"]
        assert "are set aside" in error["state"]
        accepted = [at - near_um for at, verdict in verdicts(tmp_path / "s") if verdict == "accepted"]
        assert accepted == pytest.approx(ALL[: len(accepted)], abs=1)
        bench.ask({"clear": "jam"})
        refused = focusrail("resume", tmp_path / "s", "--json")
        assert (refused.code, refused.values["error"]["kind"]) == (1, "rail-position-unknown")
        assert focusrail("resume", tmp_path / "s", "--origin", "home", "--json").done()["frames"] == FRAMES
        assert [at - near_um for at, _ in verdicts(tmp_path / "s")] == pytest.approx(ALL, abs=1)
