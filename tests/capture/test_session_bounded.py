"""A position that is never passed, whoever asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from capture.session.bounded import BoundedAxis, bounded, refuse_beyond
from capture.session.plan import StackPlan
from rail.axis import Axis
from rail.errors import RailLimitError
from rail.grbl.axis import GrblAxis
from rail.profiles import RailProfile
from tests.rail.grbl_virtual import VirtualRail

PROFILE = RailProfile(name="test", backlash_um=40)


@pytest.fixture
def rail() -> Iterator[GrblAxis]:
    with VirtualRail(profile="backlash_um = 40").open() as axis:
        axis.zero()
        yield axis


def test_no_motion_passes_the_bound(rail: GrblAxis) -> None:
    axis: Axis = BoundedAxis(rail, 500.0)
    assert axis.limits[1] == 500.0
    assert axis.move_to(500.0).position == pytest.approx(500, abs=1)
    for attempt in (lambda: axis.move_to(501.0), lambda: axis.jog(5.0), lambda: axis.move_to(2000.0)):
        with pytest.raises(RailLimitError, match="never to be passed"):
            attempt()
    assert axis.status().position == pytest.approx(500, abs=1)
    assert axis.jog(-200.0).position == pytest.approx(300, abs=1)


def test_a_rail_that_comes_from_the_far_side_keeps_its_take_up_inside(rail: GrblAxis) -> None:
    rail._profile = PROFILE.model_copy(update={"approach": "negative"})
    axis = BoundedAxis(rail, 500.0)
    assert axis.limits[1] == 450.0  # and 1.25 times the backlash is the way beyond it
    with pytest.raises(RailLimitError):
        axis.move_to(480.0)


def test_homing_that_ends_beyond_the_bound_is_refused(rail: GrblAxis) -> None:
    rail._profile = PROFILE.model_copy(update={"home_position_um": 900.0})
    with pytest.raises(RailLimitError, match="homing ends at 900"):
        BoundedAxis(rail, 500.0).home()
    assert rail.status().position == 0


def test_without_a_bound_the_axis_is_left_alone(rail: GrblAxis) -> None:
    assert bounded(rail, None) is rail


@pytest.mark.parametrize(("far", "refused"), [(499.0, False), (500.0, False), (500.1, True)])
def test_a_plan_beyond_it_is_refused_before_anything_is_opened(far: float, refused: bool) -> None:
    plan = StackPlan(0, far, 50)
    refuse_beyond(plan, None)
    if not refused:
        refuse_beyond(plan, 500.0)
        return
    with pytest.raises(RailLimitError, match="never to be passed"):
        refuse_beyond(plan, 500.0)
