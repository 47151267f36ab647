"""Backlash and settle time measured through the whole program at the pace of real devices, on random benches.

``python -m tests.capture.calibration_campaign FOLDER FIRST COUNT`` prints one line of JSON for each seed, and the sums: even seeds measure
the backlash, odd ones the settle time; the bench says what is true. Times of shake need a computer that is not busy (``nice -n -10``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from capture.app.bench_launch import RunningBench
from tests import by_seed
from tests.journeys.program import focusrail
from tests.journeys.session_campaign import devices

MOTOR_STEP_UM = 0.625  # of the simulated bench
_SETTLE_SHARE = 0.2
_BUILT_IN_BACKLASH_UM = 250.0
_LONGEST_S = 900.0


def depth_of_field_um(truth: dict[str, Any]) -> float:
    """Of two pixels, with the wave part."""
    effective, magnification = truth["f_number_effective"], truth["magnification"]
    geometric = 4 * effective * truth["pixel_um"] / magnification**2
    return float(geometric + truth["wavelength_um"] * (2 * effective / magnification) ** 2)


def options_of(seed: int) -> tuple[str, ...]:
    """The bench of a seed; where times count, of small frames: what the bench takes to draw one passes for the camera's own delay."""
    rng = np.random.default_rng(seed)
    size = ("--sensor", "240x160") if seed % 2 else ("--sensor", "480x320")
    backlash_um = float(rng.choice([0.0, rng.uniform(1, 20), rng.uniform(20, 0.8 * _BUILT_IN_BACKLASH_UM)]))
    return (
        *("--seed", str(seed), *size, "--live-scale", f"{rng.uniform(1.0, 2.0):.2f}"),
        *("--magnification", f"{np.exp(rng.uniform(0, np.log(5))):.2f}"),
        *("--f-number", str(rng.choice([2.8, 4.0, 5.6]))),
        *("--noise", f"{rng.uniform(0.5, 1.5):.2f}", "--flicker", f"{rng.uniform(0, 0.03):.3f}"),
        *("--texture", "sparse" if rng.random() < 0.3 else "rich"),
        *("--backlash", f"{backlash_um:.1f}", "--settle-time", f"{rng.uniform(0.1, 1.5):.2f}"),
    )


def run(seed: int) -> dict[str, Any]:
    """One measurement, and what is true."""
    options = options_of(seed)
    what = "settle" if seed % 2 else "backlash"
    with RunningBench(*options, "--time-scale", "1") as bench:
        truth = bench.ask({"get": "truth"})
        middle_um = (truth["near_um"] + truth["far_um"]) / 2 - truth["carriage_um"]
        focusrail("rail", "jog", f"{middle_um:.1f}um", "--rail", bench.rail, longest_s=_LONGEST_S)
        more = ("--origin", "here") if what == "settle" else ()
        measured = focusrail(
            *("rail", "calibrate", what, *devices(bench), *more, "--no-write", "--json"), longest_s=_LONGEST_S
        )
    record: dict[str, Any] = {"seed": seed, "what": what, "options": " ".join(options), "refused": "", "good": False}
    if measured.code:
        return record | {"refused": measured.values["error"]["message"]}
    value, uncertainty = float(measured.values["value"]), float(measured.values["uncertainty"])
    if what == "backlash":
        true = float(truth["backlash_um"])
        tolerance = max(MOTOR_STEP_UM, depth_of_field_um(truth) / 10)
    else:
        true = float(truth["settle_s"])
        tolerance = _SETTLE_SHARE * true
        record |= {"live_value": measured.values["live_value"], "notes": measured.values["notes"]}
    return record | {
        "true": true,
        "value": value,
        "uncertainty": uncertainty,
        "tolerance": round(tolerance, 3),
        "within_interval": abs(value - true) <= uncertainty + 0.05,
        "good": abs(value - true) <= tolerance,
    }


def campaign(folder: Path, seeds: range) -> Iterator[dict[str, Any]]:
    """Run them; one record for each."""
    del folder
    for seed in seeds:
        yield run(seed)


def ended(record: dict[str, Any]) -> str:
    """What was measured, and how that ended."""
    return f"{record['what']}: {'refused' if record['refused'] else 'within tolerance' if record['good'] else 'off'}"


if __name__ == "__main__":
    by_seed.main(campaign, ended)
