"""The simulated controller, rule by rule: holds, doors, sleep, resets and alarms."""

from __future__ import annotations

import pytest

from tests.rail.sim_host import Host

QUICK = {110: 1000.0, 120: 200.0}
HOMING = {**QUICK, 22: 1.0, 23: 1.0, 24: 100.0, 25: 600.0, 26: 20.0, 27: 1.0, 130: 40.0}


def test_a_hold_stops_and_a_resume_goes_on() -> None:
    host = Host(QUICK)
    host.do("G91G1X5F600")
    host.run(0.2)
    host.write("!")
    host.run(0.01)
    assert host.state() == "Hold:1"
    host.settle()
    assert host.state() == "Hold:0"
    place = host.mm
    assert 0 < place < 5
    host.write("$G\n")
    assert host.run(1.0) == []  # nothing is read until the resume
    host.write("~")
    assert host.run(0.1)[-1] == "ok"
    host.settle()
    assert (host.mm, host.state()) == (5.0, "Idle")


def test_a_reset_in_hold_keeps_the_position_and_drops_the_rest() -> None:
    host = Host(QUICK)
    host.do("G91G1X5F600")
    host.run(0.2)
    host.write("!")
    host.settle()
    place = host.mm
    host.write(b"\x18")
    host.settle()
    assert host.take()[-1] == "Grbl 1.1h ['$' for help]"
    assert (host.mm, host.state()) == (place, "Idle")
    host.settle()
    assert host.mm == place


def test_the_door_stops_and_switches_off() -> None:
    host = Host(QUICK)
    host.do("M8", "G91G1X5F600")
    host.run(0.2)
    host.write(b"\x84")
    host.settle()
    assert host.take() == ["[MSG:Check Door]"]
    assert host.state() == "Door:0"
    assert not host.grbl.core.flood_pin
    host.write("~")
    assert host.state() == "Door:3"
    host.settle()
    assert host.grbl.core.flood_pin
    assert (host.mm, host.state()) == (5.0, "Idle")


def test_a_pause_waits_for_the_resume() -> None:
    host = Host(QUICK)
    host.write("M0\n")
    assert host.run(5.0) == []
    assert host.state() == "Hold:0"
    host.write("~")
    assert host.run(0.1) == ["ok"]


def test_asleep_only_a_reset_helps() -> None:
    host = Host({1: 255})
    host.do("$SLP")
    host.settle()
    assert host.take() == ["[MSG:Sleeping]"]
    assert host.state() == "Sleep"
    host.write("$X\n~")
    assert host.run(2.0) == []
    host.write(b"\x18")
    host.settle()
    assert host.take()[-1] == "[MSG:'$H'|'$X' to unlock]"
    assert host.state() == "Alarm"


def test_check_mode_parses_and_moves_nothing() -> None:
    host = Host(QUICK)
    assert host.ask("$C") == ["[MSG:Enabled]", "ok"]
    host.do("G1X5F100", "M3S1000", "M8", "G4P10", "M0")
    assert host.ask("G1X1Q1")[-1] == "error:20"
    assert host.ask("$100=1")[-1] == "error:8"
    assert host.ask("$J=X1F10")[-1] == "error:8"
    assert (host.mm, host.state()) == (0.0, "Check")
    assert host.ask("$C") == ["[MSG:Disabled]", "ok"]
    host.settle()
    assert host.take()[-1] == "Grbl 1.1h ['$' for help]"
    assert host.state() == "Idle"


# Resets and alarms ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["G91G1X5F600", "$J=G91X5F600"])
def test_a_reset_in_motion_is_an_alarm(line: str) -> None:
    host = Host(QUICK)
    host.do(line)
    host.run(0.2)
    host.write(b"\x18")
    host.settle()
    assert host.take() == ["ALARM:3", "", "Grbl 1.1h ['$' for help]", "[MSG:'$H'|'$X' to unlock]"]
    assert host.ask("G1X1F100")[-1] == "error:9"
    assert host.ask("$J=X1F100")[-1] == "error:8"
    assert host.ask("$C")[-1] == "error:8"
    assert host.ask("$X") == ["[MSG:Caution: Unlocked]", "ok"]
    assert host.state() == "Idle"
    assert host.mm == pytest.approx(host.x.carriage_um / 1000, abs=0.033)  # the motors fell to a full step


def test_soft_limits() -> None:
    host = Host({**HOMING, 20: 1.0})
    host.do("$X")
    assert host.ask("$J=X0.1F100")[-1] == "error:15"
    assert host.ask("$J=X-40.1F100")[-1] == "error:15"
    host.do("G1X-5F600")
    host.write("G1X1F600\n")
    host.settle()
    assert host.take() == ["ALARM:2", "[MSG:Reset to continue]"]
    assert -5.0 <= host.mm < 0  # a controlled stop first
    host.write("?$X\n")
    assert host.run(1.0) == []
    host.write(b"\x18")
    host.settle()
    assert host.take() == ["ok", "", "Grbl 1.1h ['$' for help]", "[MSG:'$H'|'$X' to unlock]"]


def test_hard_limits_stop_dead() -> None:
    host = Host({**QUICK, 21: 1.0}, microsteps=1)
    host.do("G91G1X-25F1000")
    host.settle()
    assert host.take() == ["ALARM:1", "[MSG:Reset to continue]"]
    assert host.x.carriage_um == pytest.approx(-20_000, abs=8)
    host.write("?")
    assert host.run(1.0) == []
    host.write(b"\x18")
    host.settle()
    assert host.take()[-2:] == ["[MSG:Check Limits]", "[MSG:'$H'|'$X' to unlock]"]
    assert "Pn:X" in host.report()


def test_without_hard_limits_the_switch_is_only_reported() -> None:
    host = Host(QUICK)
    host.do("G91G1X-20.2F1000", "G4P0")
    assert "Pn:X" in host.report()
    host.do("G1X-5", "G4P0")
    assert host.x.carriage_um == -20_500.0
    assert host.mm == pytest.approx(-25.2)
    assert host.x.rest.lost > 0


def test_homing_a_rail() -> None:
    host = Host(HOMING, backlash_um=60.0)
    assert host.state() == "Alarm"
    host.write("$H\n")
    assert host.run(0.5) == []
    host.write("?")
    assert host.run(0.5) == []
    host.settle()
    first, second = host.take()
    assert first.startswith("<Home|MPos:-39.000,0.000,0.000")
    assert second == "ok"
    assert host.state() == "Idle"
    assert host.x.carriage_um == pytest.approx(-20_000 + 1000 - 60, abs=12)
    host.do("G53G0X-38", "G4P0")
    assert host.x.carriage_um == pytest.approx(-20_000 + 2000 - 60, abs=12)


def test_homing_twice_finds_the_same_place() -> None:
    host = Host(HOMING, backlash_um=60.0)
    host.do("$H")
    first = host.x.carriage_um
    host.do("G53G0X-20", "G4P0", "$H")
    assert host.x.carriage_um == first
    assert host.mm == -39.0


def test_stock_homing_looks_for_z_first() -> None:
    host = Host({**HOMING, 131: 5.0, 132: 5.0}, one_axis=False)
    assert host.ask("$H") == ["ALARM:9", "ok"]
    host.settle()
    assert host.take()[-1] == "[MSG:'$H'|'$X' to unlock]"
    assert host.x.carriage_um == 0.0


def test_homing_that_cannot_leave_the_switch() -> None:
    host = Host(HOMING)
    host.x.stuck = True
    host.grbl.changed()
    assert host.ask("$H") == ["ALARM:8", "ok"]


def test_a_reset_ends_homing() -> None:
    host = Host(HOMING)
    host.write("$H\n")
    host.run(1.0)
    host.write(b"\x18")
    host.settle()
    assert host.take()[:2] == ["ALARM:6", "ok"]
    place = host.x.carriage_um
    host.run(5.0)
    assert host.x.carriage_um == place < 0


def test_startup_lines_run_after_homing_not_after_unlocking() -> None:
    host = Host(HOMING)
    host.eeprom.startup[0] = "G91"
    assert host.ask("$X") == ["[MSG:Caution: Unlocked]", "ok"]
    assert host.ask("$H") == [">G91:ok", "ok"]
