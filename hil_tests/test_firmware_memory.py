"""What the firmware keeps in its memory: settings, and a parked position."""

from __future__ import annotations

import pytest

from hil_tests.firmware_sim import FirmwareBench, Terminal
from hil_tests.test_firmware_machine import bench, place, settings, terminal
from rail.opening import open_axis

__all__ = ["bench", "terminal"]

pytestmark = pytest.mark.timeout(120)


def test_settings_outlive_power(bench: FirmwareBench, terminal: Terminal) -> None:
    terminal.do("$100=1234.567", "$275=3", "$13=1", "G10L2P1X0.5", "$275=0")
    kept = settings(terminal)
    assert kept["$100"] == "1234.567"
    bench.command("reset", power=True)
    assert not [line for line in terminal.until("Grbl") if "error" in line]
    assert settings(terminal) == kept
    assert next(line for line in terminal.ask("$#") if "G54" in line) == "[G54:0.0197,0.0000,0.0000]"


def test_one_damaged_copy_costs_the_last_change_at_most(bench: FirmwareBench, terminal: Terminal) -> None:
    terminal.do("$100=500", "$110=200", "$111=7")
    for copy in (0, 256):
        before = settings(terminal)
        bench.command("eeprom", at=copy + 40, xor=4)
        bench.command("reset", power=True)
        assert "error:7" not in terminal.until("Grbl")
        changed = {key for key, value in settings(terminal).items() if value != before[key]}
        assert len(changed) <= 1
        terminal.do("$112=3", "$112=4")
        assert settings(terminal)["$100"] == "500.000"


def test_a_supply_that_fails_while_settings_are_written_costs_one_change(
    bench: FirmwareBench, terminal: Terminal
) -> None:
    terminal.do("$100=500", "$110=200")
    seen = set()
    for number in range(60):
        value = 300 + number
        before = settings(terminal)
        terminal.write(f"$110={value}\n")
        bench.command("pass", s=0.0006 + 0.0035 * (number % 20))
        bench.command("reset", power=True)
        assert "error:7" not in terminal.until("Grbl")
        terminal.lines(0.02)
        after = settings(terminal)
        assert after["$110"] in {before["$110"], f"{value}.000"}
        assert {key for key in after if after[key] != before[key]} <= {"$110"}
        seen.add(after["$110"] == before["$110"])
    assert seen == {True, False}, "some were written, some were not"


def test_damaged_settings_are_told_and_defaults_hold(bench: FirmwareBench, terminal: Terminal) -> None:
    terminal.do("$100=500")
    for copy in (0, 256):
        bench.command("eeprom", at=copy + 40, xor=4)
    bench.command("reset", power=True)
    assert "error:7" in terminal.until("Grbl")
    assert settings(terminal)["$100"] == "1600.000"
    assert settings(terminal)["$1"] == "255"
    bench.command("reset", power=True)
    assert "error:7" not in terminal.until("Grbl")


# Parking ------------------------------------------------------------------------------------------------------------


def test_a_parked_position_outlives_power_once(bench: FirmwareBench, terminal: Terminal) -> None:
    terminal.do("$22=0", "$J=G91X1.234F600")
    terminal.lines(1)
    terminal.do("G92X0Z340.5", "G0X2.2")
    terminal.rest()
    assert terminal.ask("$PARK") == ["[MSG:Parked: switch off now]", "ok"]
    truth, said = bench.truth(), place(terminal)
    # Four full steps of 16 microsteps: where the driver stands when it gets power.
    assert truth["steps"] % 64 == 0
    for _ in range(2):
        bench.command("reset", power=True)
        assert "[MSG:Parked position restored]" in terminal.until("[MSG:Parked")
        assert place(terminal) == said
        assert next(line for line in terminal.ask("$#") if "G92" in line).startswith("[G92:1.2")
    terminal.do("G53G0X1")
    terminal.rest()
    bench.command("reset", power=True)
    assert terminal.until("[MSG")[-1].startswith("[MSG:Position unknown")
    assert place(terminal) == 0.0


def test_the_host_believes_a_parked_position_and_no_other(bench: FirmwareBench, terminal: Terminal) -> None:
    bench.command("speed", times=20)
    terminal.do("$22=0")
    with open_axis(bench.url) as axis:
        axis.zero()
        axis.move_to(1230.0)
    assert terminal.ask("$PARK")[-1] == "ok"
    bench.command("reset", power=True)
    terminal.lines(0.2)
    with open_axis(bench.url) as axis:
        status = axis.status()
        assert status.position_known
        assert status.position == pytest.approx(bench.truth()["carriage_um"], abs=1e-6)
        axis.move_to(500.0)
        assert bench.truth()["carriage_um"] == pytest.approx(500.0)
    bench.command("reset", power=True)
    terminal.lines(0.2)
    with open_axis(bench.url) as axis:
        assert not axis.status().position_known


def test_without_parking_nothing_is_known(bench: FirmwareBench, terminal: Terminal) -> None:
    terminal.do("$22=0", "G92X0", "G0X1")
    terminal.rest()
    bench.command("reset")
    terminal.until("[MSG:Position unknown")
    assert terminal.ask("$PARK")[-1] == "error:103"


def test_an_unplugged_board_boots_again(bench: FirmwareBench, terminal: Terminal) -> None:
    bench.command("unplug")
    bench.command("plug")
    again = Terminal(bench)
    again.until("[MSG:Position unknown")
    assert bench.truth()["boots"] == 2
    again.close()
