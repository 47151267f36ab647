"""The bench itself on firmware that uses the chip as stock GRBL does, which ours does not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil_tests.firmware_sim import LOCKSTEP, FirmwareBench, Terminal, make

pytestmark = pytest.mark.timeout(120)

SOURCE = Path(__file__).parent / "firmware" / "grbl_idioms.c"
CHIP = ("-mmcu=atmega328p", "-DF_CPU=16000000L", "-Os", "-std=gnu11", "-Wall", "-Wextra", "-Werror")


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    make()  # or be skipped without the tools
    elf = tmp_path_factory.mktemp("idioms") / "idioms.elf"
    subprocess.run(["avr-gcc", *CHIP, "-o", str(elf), str(SOURCE)], check=True, timeout=60)
    return elf


@pytest.fixture
def bench(elf: Path) -> Iterator[FirmwareBench]:
    with FirmwareBench("--um-per-step", "4", "--switch-um", "-4000", elf=elf, speed=LOCKSTEP) as bench:
        yield bench


def report(terminal: Terminal) -> tuple[int, str]:
    count, state = terminal.report().strip("<>").split("|")
    return int(count), state


def test_steps_of_timers_used_as_grbl_does_are_counted(bench: FirmwareBench) -> None:
    """Timer 1 with a top of 0 before its first step, timer 0 started from a preset count, interrupts within interrupts."""
    terminal = Terminal(bench)
    terminal.until("Grbl")
    place = 0
    for steps in (2000, -1, 1, -1500, 7):
        assert terminal.ask(f"G{steps}") == ["ok"]
        place += steps
        for _ in range(60):
            if report(terminal) == (place, "Idle"):
                break
            terminal.lines(0.01)
        assert report(terminal) == (place, "Idle")
        assert bench.steps == place
    assert bench.truth()["pulses"] == 3509
    terminal.close()


def test_its_eeprom_and_its_limit_interrupt(bench: FirmwareBench) -> None:
    terminal = Terminal(bench)
    terminal.until("Grbl")
    assert terminal.ask("EA") == ["ok"]
    assert terminal.ask("EZ") == ["ok"]
    assert terminal.ask("E\xc0") == ["ok"]  # among them 0xff, which is written by erasing alone
    assert terminal.ask("G-3000") == ["ok"]
    for _ in range(60):
        if report(terminal)[1] == "Alarm":
            break
        terminal.lines(0.01)
    assert report(terminal) == (-1001, "Alarm")  # counted, and not yet pulsed
    assert bench.steps == -1000
    bench.command("switch", **{"is": "open"})  # leaving it would interrupt, too
    bench.command("reset")
    terminal.until("Grbl")
    assert report(terminal)[0] == 0
    assert terminal.ask("G100") == ["ok"]  # and after a reset it starts again
    terminal.lines(0.1)
    assert bench.steps == -900
    terminal.close()
