"""The far end of a session that runs, extended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.session.extending import extended, far_end, why_not
from capture.session.plan import StackPlan
from capture.session.targets import FrameTarget

PLAN = StackPlan(0, 1000, 100)


@given(st.floats(0.1, 1000), st.floats(1, 3000))
def test_the_new_end_is_met_and_no_step_is_wider_than_the_plans(step: float, distance: float) -> None:
    positions = extended(StackPlan(0, 1000, step), 1000, distance)
    assert positions[-1] == pytest.approx(1000 + distance)
    gaps = [after - before for before, after in zip([1000.0, *positions], positions, strict=False)]
    assert all(0 < gap <= step * (1 + 1e-9) for gap in gaps)


def test_the_far_end_is_that_of_all_frames_there_are_and_will_be() -> None:
    assert far_end([FrameTarget(11, 1000.0), FrameTarget(12, 1300.0), FrameTarget(1, 0.0)]) == 1300


@pytest.mark.parametrize(
    ("distance", "said"),
    [(500, ""), (501, "it would lie at 1501 um, and the allowed range ends at 1500 um"), (3001, "more than 3 times")],
)
def test_what_is_allowed(distance: float, said: str) -> None:
    refusal = why_not(PLAN, 1000, 1500, distance)
    assert said in refusal
    assert bool(said) == bool(refusal)
