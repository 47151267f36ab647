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
