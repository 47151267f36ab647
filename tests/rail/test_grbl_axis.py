"""The conformance suite on the simulated controller, without wall-clock time, in several builds of a rail."""

from __future__ import annotations

import pytest

from tests.rail.axis_suite import AxisSuite
from tests.rail.grbl_virtual import VirtualRail


class TestPlainRail(AxisSuite):
    @pytest.fixture
    def rig(self) -> VirtualRail:
        return VirtualRail()


class TestFineScrew(AxisSuite):
    @pytest.fixture
    def rig(self) -> VirtualRail:
        return VirtualRail(steps_per_mm=3200.0)


class TestInvertedCoarseSled(AxisSuite):
    @pytest.fixture
    def rig(self) -> VirtualRail:
        return VirtualRail(steps_per_mm=106.667, profile="invert = true\napproach = 'negative'\nbacklash_um = 60")


class TestInches(AxisSuite):
    @pytest.fixture
    def rig(self) -> VirtualRail:
        return VirtualRail(steps_per_mm=1600.0, settings={13: 1})


class TestWorkPositions(AxisSuite):
    @pytest.fixture
    def rig(self) -> VirtualRail:
        return VirtualRail(steps_per_mm=1600.0, settings={10: 2})


class TestProfileAgainstController(AxisSuite):
    """The controller believes in 250 steps/mm, the profile knows better."""

    @pytest.fixture
    def rig(self) -> VirtualRail:
        return VirtualRail(steps_per_mm=250.0, profile="calibrated_steps_per_mm = 400.0")


class TestWithSwitch(AxisSuite):
    @pytest.fixture
    def rig(self) -> VirtualRail:
        rail = VirtualRail(homing=True, settings={21: 1, 130: 60, 25: 1500, 24: 100})
        rail.open().unlock()
        return rail


@pytest.mark.parametrize("distance_um", [5.0, 60.0, 400.0, 3000.0])
@pytest.mark.parametrize("how", ["move", "jog"])
@pytest.mark.parametrize("settings", [{}, {110: 600, 120: 300}], ids=["slow", "fast"])
def test_when_the_motor_stopped_is_told(how: str, distance_um: float, settings: dict[int, float]) -> None:
    rail = VirtualRail(settings=settings)
    with rail.open() as axis:
        axis.zero()
        for sign in (1, -1, 1):
            if how == "move":
                axis.move_to(max(sign, 0) * distance_um)
            else:
                axis.jog(sign * distance_um)
            assert axis.rested_s == pytest.approx(rail.controller.core.stepper.last_motion_s, abs=0.02)


def test_a_jog_that_takes_longer_than_reckoned_did_not_stop_before_it_was_last_seen_moving() -> None:
    rail = VirtualRail()
    with rail.open() as axis:
        axis.zero()
        axis.jog(400.0)
        rail.controller.core.eeprom.settings[120] = 5.0  # of 50 that were read
        axis.jog(3000.0)
        assert axis.rested_s == pytest.approx(rail.controller.core.stepper.last_motion_s, abs=0.2)
