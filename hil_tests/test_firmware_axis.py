"""The axis suite on real firmware in the AVR simulator, through the driver that drives a real rail."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from hil_tests.firmware_sim import LOCKSTEP, Build, FirmwareBench, PacedPort, open_paced, other_build
from rail.grbl.axis import GrblAxis
from tests.rail.axis_suite import AxisSuite

OTHER = other_build("$110=150")
pytestmark = pytest.mark.timeout(120)


class FirmwareRig:
    """A simulated MCU with its rail. Its time passes only while the host waits for bytes, so a busy machine spoils nothing."""

    def __init__(self, build: Build, *options: str, can_home: bool = False) -> None:
        self.bench: FirmwareBench = build.start(*options, speed=LOCKSTEP)
        self.can_home = can_home
        self._port: PacedPort | None = None

    def open(self) -> GrblAxis:
        self._port = PacedPort(self.bench)
        return open_paced(self.bench, self._port)

    def steps(self) -> int | None:
        return self.bench.steps

    def call_when(self, condition: Callable[[], bool], call: Callable[[], object]) -> None:
        assert self._port is not None
        self._port.when = (condition, call)

    def interrupt(self) -> None:
        raise KeyboardInterrupt

    def kill(self, axis: GrblAxis) -> None:
        axis._controller.link._port.close()

    def restart(self) -> None:
        self.bench.command("reset")

    def finish(self) -> None:
        self.bench.close()


class TestFirmware(AxisSuite):
    """As it comes: 1600 steps/mm, so that a report does not tell neighbouring steps apart."""

    @pytest.fixture
    def rig(self) -> Iterator[FirmwareRig]:
        rig = FirmwareRig(Build(um_per_step=0.625, setup=("$110=150", "$120=200", "$270=10000")))
        yield rig
        rig.finish()


class TestFirmwareWithSwitch(AxisSuite):
    """A coarser rail that homes, with backlash, hard and soft limits."""

    @pytest.fixture
    def rig(self) -> Iterator[FirmwareRig]:
        setup = (
            *("$110=150", "$120=200", "$270=10000", "$130=10", "$23=1", "$27=0.5", "$25=400", "$24=60"),
            *("$22=1", "$21=1", "$X"),
        )
        rig = FirmwareRig(
            Build(setup=setup),
            *("--backlash-um", "60", "--switch-um", "-3000", "--low-stop-um", "-4500", "--high-stop-um", "9000"),
            can_home=True,
        )
        yield rig
        rig.finish()


if OTHER is not None:

    class TestOtherFirmware(AxisSuite):
        """A user's GRBL build."""

        @pytest.fixture
        def rig(self) -> Iterator[FirmwareRig]:
            assert OTHER is not None
            rig = FirmwareRig(OTHER, can_home="$22=1" in OTHER.setup)
            yield rig
            rig.finish()
