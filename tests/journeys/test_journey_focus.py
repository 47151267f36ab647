"""Step, range and `auto` on the simulated bench, against what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capture.app.bench_launch import RunningBench
from tests.journeys.program import focusrail

pytestmark = pytest.mark.xdist_group("focus")

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


def test_near_and_far_end_are_found(bench: RunningBench, devices: tuple[str, ...], truth: dict[str, Any]) -> None:
    found = focusrail("range", *devices, "--live-scale", "2", "--json").done()
    for name in ("near_um", "far_um"):
        assert found[name] == pytest.approx(truth[name] - truth["carriage_um"], abs=truth["dof"] / 2)
    assert found["confidence"] > 0.5
    assert bench.ask({"get": "truth"})["carriage_um"] == pytest.approx(truth["carriage_um"], abs=3)


def test_a_dry_run_finds_the_plan_and_shoots_nothing(
    bench: RunningBench, devices: tuple[str, ...], truth: dict[str, Any], tmp_path: Path
) -> None:
    shots = bench.ask({"get": "truth"})["shots"]
    found = focusrail(
        "shoot", *devices, "--step", "auto", "--live-scale", "2", "--dry-run", "--out", tmp_path / "s", "--json"
    ).done()
    assert found["step"] == pytest.approx(0.7 * truth["geometric"], rel=0.1)
    assert found["near"] < truth["near_um"] - truth["carriage_um"]
    assert found["far"] > truth["far_um"] - truth["carriage_um"]
    assert found["planned"] == len(found["positions"]) > 5
    assert bench.ask({"get": "truth"})["shots"] == shots
    assert not (tmp_path / "s").exists()


def test_the_range_without_a_position_is_refused(devices: tuple[str, ...]) -> None:
    options = ("--seed", "12", "--sensor", "480x320", "--time-scale", "20")
    with RunningBench(*options) as fresh:
        refused = focusrail("range", "--rail", fresh.rail, "--camera", fresh.camera, "--json")
    assert refused.code == 3 or refused.code == 1
    assert "--origin" in refused.values["error"]["remedy"]
