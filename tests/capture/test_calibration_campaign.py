"""Calibration by camera against what the bench says of itself, over magnifications, backlashes and settle times (`make soak`)."""

from __future__ import annotations

from typing import Any

import pytest

from capture.app.bench_launch import RunningBench
from capture.camera.opening import open_camera
from capture.focus.backlash import measure_backlash
from capture.focus.settle import measure_settle
from rail.opening import open_axis

MOTOR_STEP_UM = 0.625
LIVE_SCALE = 2.0
SCREEN = ("--sensor", "900x600", "--live-scale", str(LIVE_SCALE))


def depth_of_field_um(truth: dict[str, Any]) -> float:
    """Of two pixels, with the wave part."""
    effective, magnification = truth["f_number_effective"], truth["magnification"]
    geometric = 4 * effective * truth["pixel_um"] / magnification**2
    return float(geometric + truth["wavelength_um"] * (2 * effective / magnification) ** 2)


@pytest.mark.soak
@pytest.mark.parametrize("magnification", [1, 2, 3.5, 5])
@pytest.mark.parametrize("backlash_um", [0, 5, 20, 65, 200])
def test_backlash(magnification: float, backlash_um: float) -> None:
    seed = str(round(100 * magnification + backlash_um))
    options = ("--seed", seed, "--magnification", str(magnification), "--backlash", str(backlash_um))
    with RunningBench(*SCREEN, *options, "--time-scale", "10") as bench:
        truth = bench.ask({"get": "truth"})
        with open_axis(bench.rail) as axis, open_camera(bench.camera) as camera, camera.live() as frames:
            found = measure_backlash(axis, frames, 250.0)
        after = bench.ask({"get": "truth"})
    tolerance = max(MOTOR_STEP_UM, depth_of_field_um(truth) / 10)
    assert found.value == pytest.approx(backlash_um, abs=tolerance)
    assert found.uncertainty < tolerance
    assert after["carriage_um"] == pytest.approx(truth["carriage_um"], abs=1.0)


@pytest.mark.soak
@pytest.mark.parametrize("settle_s", [0.1, 0.2, 0.3, 0.5, 1.0, 1.5])
@pytest.mark.parametrize("seed", ["31", "32"])
def test_settle_time(settle_s: float, seed: str) -> None:
    """At the pace of real devices: it needs a computer that is not busy."""
    with RunningBench(*SCREEN, "--seed", seed, "--settle-time", str(settle_s)) as bench:
        truth = bench.ask({"get": "truth"})
        with open_axis(bench.rail) as axis, open_camera(bench.camera) as camera:
            axis.zero()
            axis.move_to((truth["near_um"] + truth["far_um"]) / 2 - truth["carriage_um"])
            with camera.live() as frames:
                found = measure_settle(axis, frames, LIVE_SCALE, step=40.0, exposure_s=1 / 60)
    assert found.value_s == pytest.approx(settle_s, rel=0.2)
