"""An axis counted from where it stands, that keeps its own count and its origin."""

from __future__ import annotations

import pytest

from capture.session.bounded import BoundedAxis
from capture.session.from_here import AxisFromHere, limits_from_here
from rail.errors import RailLimitError, RailUsageError
from tests.rail.grbl_virtual import VirtualRail


@pytest.mark.parametrize("origin", ["unknown", "zeroed", "homed"])
def test_it_goes_where_it_is_told_and_back_and_the_axis_counts_as_before(origin: str) -> None:
    rig = VirtualRail(backlash_um=40, homing=True, profile="backlash_um = 40")
    with rig.open() as axis:
        if origin == "homed":
            axis.home()
        else:
            axis.unlock()
        if origin == "zeroed":
            axis.zero()
        axis.jog(-2000.0 if origin == "homed" else 2000.0)
        axis.jog(100.0)  # the play is taken up, as for a frame
        before, stood = axis.status(), rig.carriage_um()
        here = AxisFromHere(axis)
        assert here.status().position == 0
        for target in (500.0, -300.0, 700.0):
            assert here.move_to(target).position == pytest.approx(target, abs=rig.step_um)
            assert rig.carriage_um() == pytest.approx(stood + target, abs=rig.step_um)
        here.move_to(0.0)
        assert rig.carriage_um() == pytest.approx(stood, abs=0.01)
        assert axis.status() == before
        for change in (here.home, here.zero, here.unlock, lambda: here.set_position(5.0)):
            with pytest.raises(RailUsageError, match="leaves the rail's origin"):
                change()


def test_limits_are_those_the_axis_has_once_it_is_zeroed_here() -> None:
    rig = VirtualRail(homing=True)
    with rig.open() as axis:
        axis.home()
        low, high = axis.limits
        middle = (low + high) / 2
        axis.move_to(middle)
        assert limits_from_here(axis) == pytest.approx((low - middle, high - middle))
        bounded = BoundedAxis(AxisFromHere(axis), 1000.0)
        assert bounded.limits == pytest.approx((low - middle, 1000.0))
        assert limits_from_here(BoundedAxis(axis, 1000.0)) == limits_from_here(axis), "the bound counts from here"
        with pytest.raises(RailLimitError, match="never to be passed"):
            bounded.move_to(1001.0)
        axis.zero()
        axis.move_to(50.0)
        assert limits_from_here(axis) == axis.limits
