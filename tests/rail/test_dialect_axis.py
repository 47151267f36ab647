"""The conformance suite on the other controllers, without wall-clock time, in the builds of a rail that differ most."""

from __future__ import annotations

import pytest

from tests.rail.axis_suite import AxisSuite
from tests.rail.grbl_virtual import VirtualRail

SWITCH = {21: 1, 130: 60, 25: 1500, 24: 100}


class TestGrblHal(AxisSuite):
    @pytest.fixture
    def rig(self) -> VirtualRail:
        return VirtualRail(dialect="grblhal")


class TestGrblHalFineInverted(AxisSuite):
    @pytest.fixture
    def rig(self) -> VirtualRail:
        return VirtualRail(
            dialect="grblhal", steps_per_mm=3200.0, profile="invert = true\napproach = 'negative'\nbacklash_um = 60"
        )


class TestGrblHalWithSwitch(AxisSuite):
    @pytest.fixture
    def rig(self) -> VirtualRail:
        rail = VirtualRail(dialect="grblhal", homing=True, settings=SWITCH)
        rail.open().unlock()
        return rail


class TestFluidNc(AxisSuite):
    @pytest.fixture
    def rig(self) -> VirtualRail:
        return VirtualRail(dialect="fluidnc", steps_per_mm=1600.0)


class TestFluidNcWithSwitch(AxisSuite):
    @pytest.fixture
    def rig(self) -> VirtualRail:
        rail = VirtualRail(dialect="fluidnc", homing=True, settings=SWITCH)
        rail.open().unlock()
        return rail


class TestMarlin(AxisSuite):
    @pytest.fixture
    def rig(self) -> VirtualRail:
        return VirtualRail(dialect="marlin")


class TestMarlinFineInverted(AxisSuite):
    @pytest.fixture
    def rig(self) -> VirtualRail:
        return VirtualRail(
            dialect="marlin", steps_per_mm=3200.0, profile="invert = true\napproach = 'negative'\nbacklash_um = 60"
        )


class TestMarlinWithSwitch(AxisSuite):
    @pytest.fixture
    def rig(self) -> VirtualRail:
        return VirtualRail(dialect="marlin", homing=True, settings={**SWITCH, 21: 0})
