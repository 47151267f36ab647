from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.app.focus_options import FocusWishes
from capture.app.session_plan import formula_step
from capture.errors import UsageError
from capture.focus.region import Region
from capture.session.pace import Pace
from capture.session.plan import StackPlan
from capture.session.targets import Coverage


@pytest.mark.parametrize(
    ("near", "far", "step", "positions"),
    [
        (0, 100, 50, (0, 50, 100)),
        (0, 100, 40, (0, 40, 80, 100)),
        (-20, 20, 10, (-20, -10, 0, 10, 20)),
        (5, 5, 10, (5,)),
        (0, 1, 3, (0, 1)),
        (0, 0.3, 0.1, (0, 0.1, 0.2, 0.3)),
    ],
)
def test_positions_by_hand(near: float, far: float, step: float, positions: tuple[float, ...]) -> None:
    assert StackPlan(near, far, step).positions == pytest.approx(positions)


@pytest.mark.parametrize(
    ("pixel_um", "coc_um", "wavelength_nm", "step_um"),
    [
        (4.0, None, 550.0, 0.7 * (48.0 + 79.2)),  # N_eff 12, c 8: 2 N_eff c / m^2 and 4 lambda (N_eff / m)^2
        (4.0, 30.0, 550.0, 0.7 * (48.0 + 79.2)),  # a pixel that was told goes before a circle from the settings
        (None, 30.0, 550.0, 0.7 * (180.0 + 79.2)),
        (None, None, 550.0, 0.7 * (180.0 + 79.2)),
        (4.0, None, 450.0, 0.7 * (48.0 + 64.8)),
    ],
)
def test_the_step_of_the_formula(
    pixel_um: float | None, coc_um: float | None, wavelength_nm: float, step_um: float
) -> None:
    wishes = FocusWishes(2.0, 4.0, 1.0, wavelength_nm, 0.3, pixel_um, coc_um, None, Region())
    step = formula_step(wishes)
    assert step is not None
    assert step.value == pytest.approx(step_um)
    assert formula_step(replace(wishes, magnification=None)) is None


@given(st.floats(-1e5, 1e5), st.floats(0, 1e5), st.floats(10, 1e4))
def test_a_plan_covers_its_range_without_a_gap(near: float, length: float, step: float) -> None:
    plan = StackPlan(near, near + length, step)
    positions = plan.positions
    assert len(positions) == plan.count
    assert positions[0] == plan.near or plan.count == 1
    assert positions[-1] == plan.far
    gaps = [after - before for before, after in itertools.pairwise(positions)]
    assert all(gap > 0 for gap in gaps)
    assert all(gap <= step * (1 + 1e-5) + 1e-6 for gap in gaps)


@pytest.mark.parametrize(
    ("near", "far", "step", "settle_s"),
    [
        (0, 10, 0, 0),
        (0, 10, -1, 0),
        (10, 0, 1, 0),
        (0, math.nan, 1, 0),
        (0, 1, 1, math.nan),
        (0, math.inf, 1, 0),
        (0, 1e9, 1, 0),
        (0, 1, 1, -1),
        (0, 1, 1, 1e4),
    ],
)
def test_impossible_plans_are_refused(near: float, far: float, step: float, settle_s: float) -> None:
    with pytest.raises(UsageError) as refused:
        StackPlan(near, far, step, settle_s)
    assert refused.value.remedy


@given(
    st.integers(2, 60).flatmap(
        lambda count: st.tuples(st.just(count), st.lists(st.integers(0, count - 1), min_size=1, max_size=80))
    )
)
def test_coverage_is_the_share_of_neighbours_that_are_both_there(case: tuple[int, list[int]]) -> None:
    count, order = case
    plan = StackPlan(-300.0, -300.0 + 37.5 * (count - 1), 37.5)
    coverage = Coverage(plan)
    for index in order:
        coverage.add(plan.positions[index])
    there = set(order)
    pairs = sum(index in there and index + 1 in there for index in range(count - 1))
    assert coverage.share == pytest.approx(pairs / (count - 1))


def test_an_extended_range_is_covered_when_its_last_frame_is_there() -> None:
    plan = StackPlan(0, 300, 100)
    coverage = Coverage(plan)
    for position in plan.positions:
        coverage.add(position)
    assert coverage.share == 1
    coverage.extend(450)
    assert coverage.share == pytest.approx(3 / 5)
    coverage.extend(400)
    for position in (400, 450):
        coverage.add(position)
    assert coverage.share == 1


@pytest.mark.parametrize(
    ("took_s", "a_frame_s"),
    [
        ([], None),
        ([2.0], 2.0),
        ([2.0, 40.0], 2.0),  # the camera was away
        ([2.0, 40.0, 2.5], 2.5),
        ([9.0] * 8 + [3.0] * 15, 3.0),
    ],
)
def test_the_time_left_goes_by_what_a_frame_takes_mostly(took_s: list[float], a_frame_s: float | None) -> None:
    now_s = 0.0
    pace = Pace(lambda: now_s)
    for took in took_s:
        now_s += 1000  # a pause between two frames
        pace.begin()
        now_s += took
        pace.done()
    assert pace.left_s(10) == (None if a_frame_s is None else pytest.approx(10 * a_frame_s))
