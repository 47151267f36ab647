"""A rail without a switch that lost its place: found again by images, and the session goes on as if nothing had been."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capture.app.bench_launch import RunningBench
from tests.journeys.program import Finished, command, focusrail
from tests.journeys.session_campaign import devices, wait_for_frames

FRAMES, STEP_UM, NEAR_UM = 14, 45.0, 430.0
PLAN = (
    "--near",
    f"{NEAR_UM}um",
    "--far",
    f"{NEAR_UM + STEP_UM * (FRAMES - 1)}um",
    "--step",
    f"{STEP_UM}um",
    "--settle",
    "0.1",
    *("-m", "2", "-f", "2.8"),  # else the depth of field is measured on live frames at the end
)


@pytest.fixture(scope="module")
def bench() -> Iterator[RunningBench]:
    with RunningBench("--seed", "5", "--sensor", "480x320", "--time-scale", "20", "--backlash", "60") as running:
        yield running


def killed_after(bench: RunningBench, session: Path, frames: int) -> float:
    """A session that was begun at a place of its own and killed; where its 0 lies on the bench."""
    focusrail("rail", "jog", "-400um", "--rail", bench.rail, "--json").done()
    place = bench.ask({"get": "truth"})["carriage_um"]
    focusrail("rail", "jog", f"{-place}um", "--rail", bench.rail, "--json").done()  # upwards: the play is taken up
    zero_um: float = bench.ask({"get": "truth"})["carriage_um"]
    arguments = ("shoot", *devices(bench), *PLAN, "--origin", "here", "--out", str(session), "--json")
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    assert wait_for_frames(process, session, frames)
    process.kill()
    process.wait()
    return zero_um


def go_on(bench: RunningBench, session: Path, *more: str) -> Finished:
    return focusrail("resume", session, *devices(bench), *more, "--json")


def manifest_of(session: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((session / "manifest.json").read_text())
    return manifest


def test_a_place_that_was_lost_is_found_by_images(bench: RunningBench, tmp_path: Path) -> None:
    zero_um = killed_after(bench, tmp_path / "s", 7)
    bench.ask({"fault": "reset"})
    lost = go_on(bench, tmp_path / "s")
    assert lost.code in (1, 3)
    assert "--origin images" in lost.values["error"]["remedy"]
    # far from everything it is refused, and stays unknown
    focusrail("rail", "jog", "-9mm", "--rail", bench.rail, "--json").done()
    refused = go_on(bench, tmp_path / "s", "--origin", "images")
    assert refused.code == 1
    assert "not found by images" in refused.values["error"]["message"]
    assert "--origin here" in refused.values["error"]["remedy"]
    assert not focusrail("rail", "status", "--rail", bench.rail, "--json").done()["position_known"]
    focusrail("rail", "jog", "9mm", "--rail", bench.rail, "--json").done()
    # somebody leant on the rail meanwhile
    focusrail("rail", "jog", f"{random.Random(3).uniform(-60, 60):.0f}um", "--rail", bench.rail, "--json").done()
    found = go_on(bench, tmp_path / "s", "--origin", "images")
    assert found.done()["frames"] == FRAMES
    manifest = manifest_of(tmp_path / "s")
    how = manifest["resumed"][-1]
    assert how["origin"] == "images"
    assert how["error"] < 0.25 * STEP_UM
    assert [frame["number"] for frame in manifest["frames"] if frame["verdict"] == "accepted"] == list(
        range(1, FRAMES + 1)
    )
    # what the rail counts now is what it counted then
    here = focusrail("rail", "status", "--rail", bench.rail, "--json").done()["position_um"]
    assert bench.ask({"get": "truth"})["carriage_um"] - zero_um == pytest.approx(
        here, abs=max(3 * how["error"], 0.05 * STEP_UM)
    )


def test_a_rail_that_was_zeroed_elsewhere_meanwhile_is_found_out(bench: RunningBench, tmp_path: Path) -> None:
    killed_after(bench, tmp_path / "s", 8)
    focusrail("rail", "move", f"{NEAR_UM + 3 * STEP_UM}um", "--rail", bench.rail, "--json").done()
    place_um = focusrail("rail", "status", "--rail", bench.rail, "--json").done()["position_um"]
    # somebody zeroes the rail two steps from where its 0 was
    focusrail("rail", "jog", f"{2 * STEP_UM - place_um:.1f}um", "--rail", bench.rail, "--json").done()
    focusrail("rail", "zero", "--rail", bench.rail, "--json").done()
    stood_um = bench.ask({"get": "truth"})["carriage_um"]
    refused = go_on(bench, tmp_path / "s")
    assert refused.code == 1
    assert "counted from another origin" in refused.values["error"]["message"]
    assert bench.ask({"get": "truth"})["carriage_um"] == stood_um
    assert "--origin images" in refused.values["error"]["remedy"]
    assert len([f for f in manifest_of(tmp_path / "s")["frames"] if f["verdict"] == "accepted"]) < FRAMES


@pytest.mark.soak
def test_a_rail_that_counts_as_it_did_is_gone_on_with(bench: RunningBench, tmp_path: Path) -> None:
    killed_after(bench, tmp_path / "s", 9)
    agreed = go_on(bench, tmp_path / "s")
    assert agreed.done()["frames"] == FRAMES
    assert "the place agrees with the session's frames" in agreed.stderr
