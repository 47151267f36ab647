"""Step, range and `auto` on the simulated bench, against what it says of itself."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from capture.app.bench_launch import RunningBench
from capture.session.certifying import CHECK_PREFIX
from tests.journeys.program import command, focusrail
from tests.journeys.shoot_running import noted

PIXEL_UM = 4.0


@pytest.fixture(scope="module")
def bench() -> Iterator[RunningBench]:
    options = (
        "--seed",
        "11",
        "--sensor",
        "900x600",
        "--live-scale",
        "2",
        "--time-scale",
        "10",
        "--settle-time",
        "0.05",
    )
    with RunningBench(*options) as running:
        yield running


@pytest.fixture(scope="module")
def truth(bench: RunningBench) -> dict[str, Any]:
    told = bench.ask({"get": "truth"})
    focusrail("rail", "zero", "--rail", bench.rail, "--json").done()
    magnification, effective = told["magnification"], told["f_number_effective"]
    geometric = 4 * effective * PIXEL_UM / magnification**2
    wave = told["wavelength_um"] * 4 * effective**2 / magnification**2
    return {**told, "growth": 4 / geometric, "dof": geometric + wave, "geometric": geometric}


def optics(truth: dict[str, Any], wrong: float = 1.0) -> tuple[object, ...]:
    return "-m", truth["magnification"] * wrong, "-f", truth["f_number_effective"] / (1 + truth["magnification"])


def test_the_step_is_measured(bench: RunningBench, devices: tuple[str, ...], truth: dict[str, Any]) -> None:
    found = focusrail("step", *devices, *optics(truth), "--overlap", "0.4", "--json").done()
    assert found["blur_px_per_um"] == pytest.approx(truth["growth"], rel=0.1)
    assert found["formula_dof_um"] == pytest.approx(truth["dof"], rel=0.02)
    assert found["dof_um"] == pytest.approx(truth["dof"], rel=0.1)
    assert found["step_um"] == pytest.approx(0.6 * found["dof_um"], rel=1e-3)
    assert found["confidence"] > 0.5
    assert found["live_scale"] == pytest.approx(2.0)
    assert found["pixel_um"] == pytest.approx(PIXEL_UM)
    assert bench.ask({"get": "truth"})["carriage_um"] == pytest.approx(truth["carriage_um"], abs=3)


def test_a_wrong_magnification_is_noticed(devices: tuple[str, ...], truth: dict[str, Any]) -> None:
    found = focusrail("step", *devices, *optics(truth, 1.3), "--live-scale", "2", "--pixel", "4um", "--json").done()
    assert found["blur_px_per_um"] == pytest.approx(truth["growth"], rel=0.1)
    assert any("check the magnification" in note for note in found["notes"])


def test_without_optics_there_is_no_formula(devices: tuple[str, ...], truth: dict[str, Any]) -> None:
    found = focusrail("step", *devices, "--live-scale", "2", "--json").done()
    assert found["formula_dof_um"] is None
    assert found["dof_um"] == pytest.approx(truth["geometric"], rel=0.1)


@pytest.mark.parametrize(("knows_optics", "least"), [(True, 0.5), (False, 0.3)])
def test_near_and_far_end_are_found(
    bench: RunningBench, devices: tuple[str, ...], truth: dict[str, Any], knows_optics: bool, least: float
) -> None:
    given = (
        optics(truth) if knows_optics else ()
    )  # else the depth of field that the ends are weighed by lacks its wave part
    found = focusrail("range", *devices, *given, "--live-scale", "2", "--json").done()
    for name in ("near_um", "far_um"):
        assert found[name] == pytest.approx(truth[name] - truth["carriage_um"], abs=truth["dof"] / 2)
    assert found["confidence"] > least
    low, high = found["looked_um"]
    assert low < found["near_um"] < found["far_um"] < high
    assert bench.ask({"get": "truth"})["carriage_um"] == pytest.approx(truth["carriage_um"], abs=3)


def test_a_dry_run_finds_the_plan_and_shoots_nothing(
    bench: RunningBench, devices: tuple[str, ...], truth: dict[str, Any], tmp_path: Path
) -> None:
    shots = bench.ask({"get": "truth"})["shots"]
    found = focusrail("shoot", *devices, "--step", "auto", "--dry-run", "--out", tmp_path / "s", "--json").done()
    assert found["step"] == pytest.approx(0.7 * truth["dof"], rel=0.1)
    assert found["near"] < truth["near_um"] - truth["carriage_um"]
    assert found["far"] > truth["far_um"] - truth["carriage_um"]
    assert found["planned"] == len(found["positions"]) > 5
    assert bench.ask({"get": "truth"})["shots"] == shots + 1, "the test shot alone"
    [room] = [check["message"] for check in found["preflight"] if check["name"] == "disk"]
    assert "up to" not in room, "the test shot told how large a frame is"
    assert not (tmp_path / "s").exists()


def test_an_end_given_on_the_wrong_side_of_the_one_found_is_told(
    bench: RunningBench, devices: tuple[str, ...], truth: dict[str, Any], tmp_path: Path
) -> None:
    beyond = truth["far_um"] - truth["carriage_um"] + 3 * truth["dof"]
    asked = ("--near", beyond, "--step", "20um", "--settle", "0", "--out", tmp_path / "s", "--json")
    refused = focusrail("shoot", *devices, *asked)
    assert refused.code == 1
    assert refused.values["error"]["kind"] == "focus"
    assert re.search(r"--near [\d.]+ um lies beyond the far end that was found", refused.values["error"]["message"])
    assert "auto" in refused.values["error"]["remedy"]
    assert not list((tmp_path / "s").glob("frames/*.*"))
    assert bench.ask({"get": "truth"})["carriage_um"] == pytest.approx(truth["carriage_um"], abs=3)


@pytest.mark.usefixtures("truth")  # which makes the position known
def test_dark_live_frames_are_told(devices: tuple[str, ...]) -> None:
    before = focusrail("camera", "get", "shutter", *devices[2:], "--json").done()["value"]
    focusrail("camera", "set", "shutter", "1/8000", *devices[2:], "--json").done()
    try:
        found = focusrail("range", *devices, "--live-scale", "2", "--json").done()
    finally:
        focusrail("camera", "set", "shutter", before, *devices[2:], "--json").done()
    assert any("dark" in note for note in found["notes"])
    assert found["confidence"] < 0.5


def test_the_range_without_a_position_is_refused(devices: tuple[str, ...]) -> None:
    options = ("--seed", "12", "--sensor", "480x320", "--time-scale", "20")
    with RunningBench(*options) as fresh:
        refused = focusrail("range", "--rail", fresh.rail, "--camera", fresh.camera, "--json")
    assert refused.code == 3 or refused.code == 1
    assert "--origin" in refused.values["error"]["remedy"]


def test_a_forbidden_position_is_no_part_of_any_plan(
    bench: RunningBench, devices: tuple[str, ...], truth: dict[str, Any], tmp_path: Path
) -> None:
    before = bench.ask({"get": "truth"})["carriage_um"]
    refused = focusrail(
        "shoot", *devices, *plan(truth, 1.0), "--never-beyond", "200um", "--out", tmp_path / "s", "--json"
    )
    assert refused.code == 1
    assert refused.values["error"]["kind"] == "rail-limit"
    assert not (tmp_path / "s").exists()
    assert bench.ask({"get": "truth"})["carriage_um"] == before


def plan(truth: dict[str, Any], steps: float, first: float = 0.2, last: float = 0.8) -> tuple[object, ...]:
    near, far = (truth[name] - truth["carriage_um"] for name in ("near_um", "far_um"))
    span = far - near
    return "--near", near + first * span, "--far", near + last * span, "--step", steps * truth["dof"]


def test_a_coarse_plan_is_certified_and_not_changed(
    devices: tuple[str, ...], truth: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "s"
    done = focusrail("shoot", *devices, *plan(truth, 1.6, 0, 1), "--settle", "0", "--out", out, "--json").done()
    assert done["coverage"]["passed"] is False
    assert done["coverage"]["gaps_um"]
    assert done["added"] == 0
    assert done["frames"] == done["planned"]
    assert (out / "result" / "coverage.png").is_file()


def test_gaps_and_ends_are_repaired_where_asked(
    devices: tuple[str, ...], truth: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "s"
    done = focusrail("shoot", *devices, *plan(truth, 1.6), "--repair", "--settle", "0", "--out", out, "--json").done()
    coverage = done["coverage"]
    assert coverage["passed"] is True
    assert coverage["gaps_um"] == []
    assert coverage["dof_um"] == pytest.approx(truth["dof"], rel=0.15)
    assert done["added"] > 0
    assert done["frames"] == done["planned"] + done["added"]
    manifest = json.loads((out / "manifest.json").read_text())
    positions = sorted(frame["position_um"] for frame in manifest["frames"])
    near, far = (truth[name] - truth["carriage_um"] for name in ("near_um", "far_um"))
    assert positions[0] < near + truth["dof"]
    assert positions[-1] > far - truth["dof"]


def test_what_was_stopped_while_it_was_judged_is_judged_and_repaired_by_resume(
    devices: tuple[str, ...], truth: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "s"
    arguments = ("shoot", *devices, *plan(truth, 1.6), "--repair", "--settle", "0", "--out", out, "--json")
    with subprocess.Popen(
        command(*map(str, arguments)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        end_s = time.monotonic() + 60
        while not list(out.glob(f"{CHECK_PREFIX}*")):
            assert running.poll() is None
            assert time.monotonic() < end_s
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
    assert not list(out.glob(f"{CHECK_PREFIX}*"))
    done = focusrail("resume", out, "--json").done()
    assert done["coverage"]["passed"] is True
    assert done["added"] > 0
    assert any("was compared with a second exposure" in text for text in noted(out))


@pytest.mark.parametrize("fault", [{"fault": "shake", "px": 6.0}, {"fault": "flash_misfire", "factor": 0.4}])
def test_a_spoilt_frame_is_shot_again(
    bench: RunningBench, devices: tuple[str, ...], truth: dict[str, Any], tmp_path: Path, fault: dict[str, object]
) -> None:
    bench.ask(fault)
    done = focusrail(
        "shoot", *devices, *plan(truth, 0.6), "--repair", "--settle", "0", "--out", tmp_path / "s", "--json"
    ).done()
    assert done["reshot"] == 1
    [left_out] = done["left_out"]
    assert left_out["file"].startswith("frames/rejected/0001")
    assert ("shaken" if fault["fault"] == "shake" else "darker") in left_out["reason"]
    compared = [int(number) for number in re.findall(r"frame (\d+) was compared", " ".join(noted(tmp_path / "s")))]
    # frames that are added beside others, or shot again, bring new doubts: each round goes along the travel once
    turns = [at for at, (one, other) in enumerate(pairwise(compared), 1) if other <= one]
    assert len(turns) <= 3, f"the carriage went to and fro between second exposures: {compared}"
    assert next(iter(turns), len(compared)) >= 5, f"so many are sure to be looked at in the first round: {compared}"
    assert len(set(compared)) > 3


def disturbed(
    bench: RunningBench, arguments: tuple[object, ...], sign: str, then: list[dict[str, object]]
) -> dict[str, Any]:
    """What a session answers to which the next fault of `then` happens each time it says `sign`."""
    faults = list(then)
    with subprocess.Popen(
        command(*map(str, arguments)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        assert running.stdout is not None
        for line in running.stderr:
            if sign in line and faults:
                bench.ask(faults.pop(0))
        done: dict[str, Any] = json.loads(running.stdout.read())
        assert running.wait(60) == 0
    assert not faults
    return done


def test_an_old_picture_is_set_aside_and_shot_again(
    bench: RunningBench, devices: tuple[str, ...], truth: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "s"
    arguments = ("shoot", *devices, *plan(truth, 1.0), "--no-repair", "--settle", "0", "--out", out, "--json")
    done = disturbed(bench, arguments, "frame 3 of", [{"fault": "stale_frame"}])
    [left_out] = done["left_out"]
    assert "old picture" in left_out["reason"]
    old = (out / left_out["file"]).read_bytes()
    assert left_out["file"].startswith("frames/rejected/000")
    assert old in [path.read_bytes() for path in (out / "frames").glob("0*")], "an earlier frame once more"
    assert done["reshot"] == 1


SHAKE = {"fault": "shake", "px": 6.0}
DARK = {"fault": "flash_misfire", "factor": 0.4, "shots": 2}


@pytest.mark.parametrize(
    ("first", "sign", "then", "reshot", "spoken"),
    [
        (SHAKE, "is set aside", [SHAKE], 2, []),
        (SHAKE, "is set aside", [SHAKE, SHAKE], 2, ["is kept as it is"]),
        (None, "frame 13 of 13", [DARK], 0, []),
    ],
    ids=["shaken twice", "shaken thrice", "second exposures in the dark"],
)
def test_what_is_spoilt_while_it_is_judged_is_made_good(
    bench: RunningBench,
    devices: tuple[str, ...],
    truth: dict[str, Any],
    tmp_path: Path,
    first: dict[str, object] | None,
    sign: str,
    then: list[dict[str, object]],
    reshot: int,
    spoken: list[str],
) -> None:
    if first is not None:
        bench.ask(first)
    arguments = ("shoot", *devices, *plan(truth, 0.6), "--repair", "--settle", "0", "--out", tmp_path / "s", "--json")
    done = disturbed(bench, arguments, sign, then)
    assert done["reshot"] == reshot
    assert done["coverage"]["passed"] is True
    said = " ".join(done["coverage"]["notes"])
    assert [text for text in spoken if text not in said] == []
    assert ("kept as it is" in said) == ("is kept as it is" in spoken)
    assert "says nothing" not in said, "what was compared at the second try"
    assert any("that one says nothing" in text for text in noted(tmp_path / "s")) == (DARK in then)
    last = {}  # what the last second exposure said of each frame
    for text in noted(tmp_path / "s"):
        if found := re.match(r"frame (\d+) was compared with a second exposure: (.*)", text):
            last[found[1]] = found[2]
    kept = [number for number, told in last.items() if told != "it is as good"]
    assert kept == (["1"] if "is kept as it is" in spoken else [])
    if kept:  # what it does not cover is shot by another one
        manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
        at = {frame["number"]: frame["position_um"] for frame in manifest["frames"]}
        assert min(abs(at[number] - at[1]) for number in at if number != 1) < 0.1 * truth["dof"]


def test_a_stack_with_nothing_open_is_found_planned_shot_and_certified(
    devices: tuple[str, ...], truth: dict[str, Any], tmp_path: Path
) -> None:
    done = focusrail("run", *devices, "--out", tmp_path / "s", "--settle", "0.05", "--json").done()
    assert done["coverage"]["passed"] is True
    assert done["frames"] == done["planned"] + done["added"]
    assert Path(done["result"]).is_file()
