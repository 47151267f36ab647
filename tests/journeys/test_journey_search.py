"""A session that ends while its plan is still looked for: it is there, says so, and `resume` finishes the looking and goes on."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from capture.app.bench_launch import RunningBench
from tests.journeys.program import Finished, command, focusrail

SWEEP = "sweep of"
# The step is left open: one sweep of live frames tells it.
OPEN = (
    "--near",
    "700um",
    "--far",
    "900um",
    "--settle",
    "0.05",
    "--live-scale",
    "2",
    "--after",
    "stay",
    "--no-repair",
)


@pytest.fixture(scope="module")
def bench() -> Iterator[RunningBench]:
    options = (
        "--seed",
        "11",
        "--sensor",
        "480x320",
        "--live-scale",
        "2",
        "--time-scale",
        "20",
        "--settle-time",
        "0.05",
    )
    with RunningBench(*options) as running:
        focusrail("rail", "zero", "--rail", running.rail, "--json").done()
        yield running


def ended_while_looking(out: Path, what: Callable[[subprocess.Popen[str]], object], *arguments: str) -> Finished:
    """A command disturbed by `what` once its sweep moves the carriage."""
    before = _text(out / "log.txt").count(SWEEP)
    process = subprocess.Popen(
        command(*arguments, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    end_s = time.monotonic() + 60
    while _text(out / "log.txt").count(SWEEP) == before:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end_s
        time.sleep(0.01)
    what(process)
    stdout, stderr = process.communicate(timeout=90)
    assert json.loads((out / "manifest.json").read_text())["plan"] is None, "the search was over before"
    return Finished(process.returncode, stdout, stderr)


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def test_killed_and_interrupted_while_the_plan_is_looked_for_it_is_gone_on_with(
    devices: tuple[str, ...], tmp_path: Path
) -> None:
    out = tmp_path / "s"
    ended_while_looking(out, lambda process: process.kill(), "shoot", *devices, *OPEN, "--out", str(out))
    interrupted = ended_while_looking(out, lambda process: process.terminate(), "resume", str(out))
    assert interrupted.code == 130
    assert f"focusrail resume {out}" in interrupted.values["error"]["remedy"]
    assert json.loads((out / "manifest.json").read_text())["state"] == "interrupted"
    done = focusrail("resume", out, "--json").done()
    manifest: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    assert manifest["state"] == "finished"
    assert manifest["plan"]["settle_s"] == 0.05
    assert done["planned"] == done["frames"] == manifest["plan"]["frames"] > 3
    assert [frame["verdict"] for frame in manifest["frames"]] == ["accepted"] * done["frames"]
    assert manifest["frames"][0]["position_um"] == pytest.approx(700, abs=1)
    assert done["coverage"]["passed"] is not None
    sweeps = [line.split(SWEEP)[1] for line in _text(out / "log.txt").splitlines() if SWEEP in line]
    assert len(sweeps) >= 3
    assert len(set(sweeps[:3])) == 1, "each search begins where the first did"


def test_ctrl_c_in_a_sweep_says_where_the_carriage_stands(bench: RunningBench, devices: tuple[str, ...]) -> None:
    process = subprocess.Popen(
        command("step", *devices, "--live-scale", "2", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    assert any(SWEEP in line for line in process.stderr), process.communicate()
    begun_um = bench.ask({"get": "truth"})["carriage_um"]
    end_s = time.monotonic() + 60
    while bench.ask({"get": "truth"})["carriage_um"] == begun_um:
        assert time.monotonic() < end_s
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    error = json.loads(stdout)["error"]
    assert error["kind"] == "interrupted"
    told = re.search(r"the carriage stands at (-?[\d.]+) um", error["state"])
    assert told, error
    status = focusrail("rail", "status", "--rail", bench.rail, "--json").done()
    assert (status["state"], status["position_known"]) == ("idle", True)
    assert status["position_um"] == pytest.approx(float(told.group(1)), abs=0.7)


def test_a_rail_that_fails_while_the_plan_is_looked_for(
    bench: RunningBench, devices: tuple[str, ...], tmp_path: Path
) -> None:
    out = tmp_path / "s"
    reset = ended_while_looking(
        out, lambda process: bench.ask({"fault": "reset"}), "shoot", *devices, *OPEN, "--out", str(out)
    )
    assert reset.code == 3
    assert f"focusrail resume {out}" in reset.values["error"]["remedy"]
    refused = focusrail("resume", out, "--origin", "images", "--json")
    assert refused.code == 1
    assert "no frames yet" in refused.values["error"]["message"]
    # nothing was shot: the folder may be begun in anew, too
    given = ("--near", "0", "--far", "200um", "--step", "100um", "--settle", "0", "--origin", "here")
    done = focusrail("shoot", *devices, *given, "--out", out, "--json").done()
    assert done["frames"] == done["planned"] == 3
