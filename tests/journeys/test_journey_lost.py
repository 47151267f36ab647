"""Steps that are lost on no wire: the frames tell, the place is looked after, and what was shot at a wrong one is shot again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capture.app.bench_launch import RunningBench
from tests.journeys.program import focusrail
from tests.journeys.shoot_running import Running

OPTIONS = ("--seed", "5", "--sensor", "320x240", "--time-scale", "40")
FRAMES = 9
STEP_UM = 90.0


def shooting(bench: RunningBench, folder: Path, near_um: float, origin: str) -> Running:
    """A session through the subject, from `near_um` on."""
    plan = ("--near", str(near_um), "--far", str(near_um + STEP_UM * (FRAMES - 1)), "--step", str(STEP_UM))
    devices = ("--rail", bench.rail, "--camera", bench.camera)
    return Running(folder, devices, "--origin", origin, *plan, "--settle", "0")


def verdicts(folder: Path) -> list[tuple[float, str]]:
    frames = json.loads((folder / "manifest.json").read_text())["frames"]
    return [(round(frame["position_um"]), frame["verdict"]) for frame in frames]


ALL = [STEP_UM * k for k in range(FRAMES)]


def test_without_a_switch_the_place_is_found_by_images(tmp_path: Path) -> None:
    with RunningBench(*OPTIONS, "--start", "400") as bench:
        start_um = bench.ask({"get": "truth"})["carriage_um"]
        session = shooting(bench, tmp_path / "s", 0.0, "here").paused_after(6)
        bench.ask({"fault": "lose_steps", "steps": 160})
        session.go_on()
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
        session = shooting(bench, tmp_path / "s", near_um, "home").paused_after(5)
        bench.ask({"fault": "jam"})
        session.go_on()
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
