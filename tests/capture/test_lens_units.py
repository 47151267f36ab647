"""Optics are known in micrometres: where a lens counts in steps they say nothing, and the frames alone tell."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from capture.app.session_options import ShootFlags
from capture.app.session_plan import wish_for
from capture.focus.judged_depth import JudgedDepth, WatchWishes
from capture.focus.watch import FrameWatch
from capture.settings import load_settings
from rail.axis import AxisUnit

OPTICS = WatchWishes(magnification=2.0, f_number=4.0, pixel_um=4.0)


@pytest.mark.parametrize(("unit", "suffix", "other"), [(AxisUnit.UM, "um", "steps"), (AxisUnit.STEP, "steps", "um")])
def test_a_certificate_counts_as_its_axis_does(unit: AxisUnit, suffix: str, other: str) -> None:
    with closing(FrameWatch(OPTICS, unit)) as watch:
        coverage = watch.coverage(None)
        assert coverage[f"gaps_{suffix}"] == []
        assert coverage.get(f"gaps_{other}") is coverage.get(f"dof_{other}") is None
    # 0.05 pixels of the half-size frame a unit are a geometric depth of field of 40
    told = JudgedDepth(OPTICS, unit, print).dof(0.05)
    assert (told == pytest.approx(40.0)) is (unit is AxisUnit.STEP)
    assert (JudgedDepth(OPTICS, unit, print).dof(None) is None) is (unit is AxisUnit.STEP)


@pytest.mark.parametrize(("near", "far", "found"), [("0", "1mm", True), ("0st", "900st", False)])
def test_a_step_of_the_formula_is_for_micrometres_alone(tmp_path: Path, near: str, far: str, found: bool) -> None:
    flags = ShootFlags(out=tmp_path, near=near, far=far, magnification=2.0, f_number=4.0)
    assert (wish_for(load_settings(tmp_path), flags).step is not None) is found
