"""The axis suite on real firmware in the AVR simulator, through the driver that drives a real rail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil_tests.firmware_sim import ELF, FirmwareBench, Terminal
from hil_tests.test_rail_axis import WiredRig
from tests.rail.axis_suite import AxisSuite

OTHER_ELF = os.environ.get("FOCUSRAIL_FIRMWARE_ELF", "")
pytestmark = [pytest.mark.xdist_group("firmware"), pytest.mark.timeout(120)]


class FirmwareRig(WiredRig):
    """A simulated MCU with its rail."""

    def __init__(self, *options: str, can_home: bool = False, elf: Path = ELF, setup: tuple[str, ...] = ()) -> None:
        self.bench = FirmwareBench(*options, elf=elf)
        self.can_home = can_home
        super().__init__(self.bench.url)
        terminal = Terminal(self.bench)
        terminal.until("Grbl", within_s=5)
        terminal.do(*setup)
        terminal.close()

    def steps(self) -> int | None:
        return self.bench.steps

    def restart(self) -> None:
        self.bench.command("reset")

    def finish(self) -> None:
        super().finish()
        self.bench.close()


class TestFirmware(AxisSuite):
    """As it comes: 1600 steps/mm, so that a report does not tell neighbouring steps apart."""

    @pytest.fixture
    def rig(self) -> Iterator[FirmwareRig]:
        rig = FirmwareRig("--um-per-step", "0.625", setup=("$110=150", "$120=200", "$270=10000"))
        yield rig
        rig.finish()


class TestFirmwareWithSwitch(AxisSuite):
    """A coarser rail that homes, with backlash, hard and soft limits."""

    @pytest.fixture
    def rig(self) -> Iterator[FirmwareRig]:
        rig = FirmwareRig(
            *("--um-per-step", "4", "--backlash-um", "60"),
            *("--switch-um", "-3000", "--low-stop-um", "-4500", "--high-stop-um", "9000"),
            can_home=True,
            setup=(
                *("$100=250", "$110=150", "$120=200", "$270=10000", "$130=10", "$23=1", "$27=0.5", "$25=400", "$24=60"),
                *("$22=1", "$21=1", "$X"),
            ),
        )
        yield rig
        rig.finish()


if OTHER_ELF:

    class TestOtherFirmware(AxisSuite):
        """A user's GRBL build."""

        @pytest.fixture
        def rig(self) -> Iterator[FirmwareRig]:
            rig = FirmwareRig("--um-per-step", "4", elf=Path(OTHER_ELF), setup=("$1=255", "$110=150", "$120=200"))
            yield rig
            rig.finish()
