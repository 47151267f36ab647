"""The simulated controller, rule by rule, beyond what was recorded."""

from __future__ import annotations

import re

import pytest

from rail.simulator.controller import GrblController
from rail.simulator.eeprom import Eeprom
from tests.rail.sim_host import Host

QUICK = {110: 1000.0, 120: 200.0}
HOMING = {**QUICK, 22: 1.0, 23: 1.0, 24: 100.0, 25: 600.0, 26: 20.0, 27: 1.0, 130: 40.0}


def test_idle_is_reported_before_the_line_just_sent_is_parsed() -> None:
    host = Host(QUICK)
    host.write("G91G1X1F300\n?")
    lines = host.run(0.02)
    assert lines[0].startswith("<Idle|MPos:0.000")
    assert lines[1] == "ok"
    assert host.state() == "Run"


def test_a_dwell_is_answered_once_the_motion_is_over() -> None:
    host = Host(QUICK)
    host.do("G91G1X2F600")
    assert host.mm < 0.1
    host.do("G4P0.01")
    assert (host.mm, host.state()) == (2.0, "Idle")


def test_a_move_takes_the_time_of_its_trapezoid() -> None:
    host = Host({1: 255, 110: 600, 120: 100})
    start = host.now
    host.do("G91G1X5F600", "G4P0")
    assert host.now - start == pytest.approx(5 / 10 + 10 / 100, abs=0.01)


@pytest.mark.parametrize(("distance", "feed"), [(0.5, 60), (3.0, 600), (-3.0, 2000), (0.004, 10)])
def test_short_and_fast_moves_end_on_the_step(distance: float, feed: float) -> None:
    host = Host(QUICK)
    host.do(f"G91G1X{distance}F{feed}", "G4P0")
    assert host.mm == pytest.approx(distance)
    assert host.x.carriage_um == pytest.approx(distance * 1000)


def test_straight_moves_are_joined_without_a_stop() -> None:
    host = Host({1: 255, **QUICK})
    start = host.now
    host.do("G91", *["G1X0.5F600"] * 8, "G4P0")
    assert host.now - start < 4 / 10 + 10 / 200 + 0.06
    host.do(*["G1X0.5", "G1X-0.5"] * 3, "G4P0")
    assert host.mm == pytest.approx(4.0)


def test_rare_fields_come_every_tenth_report_at_rest() -> None:
    host = Host()
    reports = [host.report() for _ in range(25)]
    assert [k for k, text in enumerate(reports) if "WCO" in text] == [0, 10, 20]
    assert [k for k, text in enumerate(reports) if "Ov:" in text] == [1, 11, 21]


def test_rare_fields_come_seldom_in_motion() -> None:
    host = Host(QUICK)
    host.do("G91G1X19F120")
    reports = [host.report() for _ in range(62)]
    assert all(text.startswith("<Run") for text in reports)
    assert [k for k, text in enumerate(reports) if "WCO" in text] == [0, 30, 60]
    assert [k for k, text in enumerate(reports) if "Ov:" in text] == [1, 21, 41, 61]


def test_a_new_offset_is_reported_at_once() -> None:
    host = Host()
    host.report()
    host.do("G92X3Z500")
    assert "WCO:-3.000,0.000,-500.000" in host.report()
    host.do("G10L2P1X1")
    assert "WCO:-2.000,0.000,-500.000" in host.report()
    host.do("G92.1")
    assert "WCO:1.000,0.000,0.000" in host.report()


def test_an_offset_waits_for_the_motion() -> None:
    host = Host(QUICK)
    host.do("G91G1X1F300")
    host.do("G92X0")
    assert host.mm == 1.0
    assert "WCO:1.000" in host.report()


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (0, r"<Idle\|WPos:-2\.000,0\.000,0\.000\|FS:0,0\|WCO:3\.000.*>"),
        (1, r"<Idle\|MPos:1\.000,0\.000,0\.000\|FS:0,0\|WCO:3\.000.*>"),
        (2, r"<Idle\|WPos:-2\.000,0\.000,0\.000\|Bf:15,128\|FS:0,0\|WCO.*>"),
        (3, r"<Idle\|MPos:1\.000,0\.000,0\.000\|Bf:15,128\|FS:0,0\|WCO.*>"),
    ],
)
def test_the_report_mask(mask: int, expected: str) -> None:
    host = Host({10: mask, **QUICK})
    host.do("G1X1F600", "G92X-2")
    assert re.fullmatch(expected, host.report())


def test_reports_in_inches() -> None:
    host = Host({13: 1, **QUICK})
    host.do("G20", "G1X0.1F20", "G4P0")
    assert host.mm == pytest.approx(2.54, abs=0.003)
    assert "MPos:0.1000,0.0000,0.0000|FS:0.0,0" in host.report()
    assert "F20.0" in host.ask("$G")[0]


def test_buffer_state_in_a_report() -> None:
    host = Host({10: 3, **QUICK})
    host.do("G91", *["G1X1F60"] * 4)
    host.write("G1X1")
    assert "Bf:11,128" in host.report()  # the unfinished line is in the line buffer


def test_a_sixteenth_move_waits_for_room() -> None:
    host = Host({1: 255, **QUICK})
    host.do("G91G1X1F600")
    for _ in range(14):
        before = host.now
        host.do("X1")
        assert host.now - before < 0.01
    before = host.now
    host.do("X1")
    assert host.now - before > 0.02


# Jogging --------------------------------------------------------------------------------------------------------


def test_a_jog_is_cancelled_and_leaves_the_modes_alone() -> None:
    host = Host(QUICK)
    modes = host.ask("$G")[0]
    host.do("$J=G91G20X0.5F20")
    host.run(0.3)
    assert host.state() == "Jog"
    host.write(b"\x85")
    before = host.now
    while host.state() != "Idle":
        assert host.now - before < 0.4
    assert 0 < host.mm < 12.0
    assert host.ask("$G")[0] == modes
    host.do("G91G1X0.1F100", "G4P0")  # the parser knows where it is


def test_cancelling_works_on_jogs_only() -> None:
    host = Host(QUICK)
    host.do("G91G1X1F300")
    host.write(b"\x85")
    host.do("G4P0")
    assert host.mm == 1.0


def test_jogs_follow_each_other_and_are_cancelled_together() -> None:
    host = Host(QUICK)
    host.do("$J=G91X1F300", "$J=G91X1F300", "$J=G91X1F300")
    host.run(0.4)
    host.write("!")
    host.settle()
    assert host.state() == "Idle"
    assert host.mm < 2.5


def test_a_jog_without_axis_words_goes_to_machine_zero() -> None:
    host = Host(QUICK)
    host.do("G1X2F600", "G4P0", "$J=G91F600")
    host.settle()
    assert host.mm == 0.0


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("$J=G91X1", "error:22"),
        ("$J=G91X1F0", "error:22"),
        ("$J=X1F100M8", "error:16"),
        ("$J=G0X1F100", "error:16"),
        ("$J=G28F100", "error:16"),
        ("$J=G92X1F100", "error:16"),
        ("$J=X1F100S5", "error:36"),
        ("$JX1F100", "error:3"),
        ("$J=G53X0.01F100", "ok"),
        ("$J=G91G21X0.01F100N5", "ok"),
        ("$J=X1Q1F100", "error:20"),
        ("$J=XF100", "error:2"),
    ],
)
def test_jog_lines(line: str, answer: str) -> None:
    assert Host(QUICK).ask(line)[-1] == answer


# Settings and memory --------------------------------------------------------------------------------------------


def test_bytes_that_come_while_the_eeprom_is_written_are_lost() -> None:
    host = Host()
    host.write("$110=777\n$111=888\n$G\n")
    host.settle()
    lines = host.take()
    assert lines.count("ok") < 3
    assert host.eeprom.settings[110] == 777
    assert host.eeprom.settings[111] == 500
    host = Host(eeprom_byte_s=0.0)
    host.write("$110=777\n$111=888\n$G\n")
    host.settle()
    assert host.take().count("ok") == 3


def test_one_setting_at_a_time_loses_nothing() -> None:
    host = Host()
    host.do("$100=1600", "$110=700.5", "$1=255", "$N0=G91", "$I=RAIL", "G10L20P2X1", "G28.1")
    assert "$100=1600.000" in host.ask("$$")
    assert "[VER:1.1h.20190830:RAIL]" in host.ask("$I")
    assert "$N0=G91" in host.ask("$N")
    assert "[G55:-1.000,0.000,0.000]" in host.ask("$#")


def test_the_eeprom_outlives_a_reset_the_rest_does_not() -> None:
    host = Host(QUICK)
    host.do("$110=321", "$N0=G91", "G10L2P1X4", "G1X1F600", "G92X0Z500", "M3S100")
    host.grbl.hardware_reset()
    host.settle()
    assert host.take()[-2:] == ["Grbl 1.1h ['$' for help]", ">G91:ok"]
    assert host.ask("$G")[0] == "[GC:G0 G54 G17 G21 G91 G94 M5 M9 T0 F0 S0]"
    assert "$110=321.000" in host.ask("$$")
    assert host.report() == "<Idle|MPos:0.000,0.000,0.000|FS:0,0|WCO:4.000,0.000,0.000>"
    assert host.x.carriage_um == 1000.0


def test_a_boot_loader_keeps_silent_and_swallows_what_is_sent() -> None:
    host = Host()
    host.grbl.hardware_reset(1.5)
    host.write("$X\n")
    assert host.run(1.4) == []
    host.write("$X\n")
    assert host.run(0.2) == ["", "Grbl 1.1h ['$' for help]"]


@pytest.mark.parametrize(("what", "kept"), [("$", "4.000"), ("#", "777.000")])
def test_restoring_defaults_restarts(what: str, kept: str) -> None:
    host = Host()
    host.do("$110=777", "G10L2P1X4")
    assert host.ask(f"$RST={what}") == ["[MSG:Restoring defaults]", "ok"]
    host.settle()
    assert host.take()[-1] == "Grbl 1.1h ['$' for help]"
    assert any(kept in line for line in host.ask("$$") + host.ask("$#"))


def test_a_blank_chip_initialises_itself() -> None:
    grbl = GrblController(Eeprom.blank())
    grbl.advance(3.0)
    first = grbl.take_output().decode().split("\r\n")
    assert first[0] == "error:7"
    assert first[-3:] == [">:error:7", ">:error:7", ""]
    grbl.hardware_reset()
    grbl.advance(6.0)
    assert grbl.take_output() == b"\r\nGrbl 1.1h ['$' for help]\r\n"


@pytest.mark.parametrize("line", ["$100=1", "$N0=G91", "$#", "$I", "$N", "$H", "$SLP", "$RST=*", "$$"])
def test_refused_in_motion(line: str) -> None:
    host = Host({22: 1.0, **QUICK})
    host.do("$X", "G91G1X2F100")
    assert host.ask(line)[-1] == "error:8"


# Holding, door, sleep, check ------------------------------------------------------------------------------------


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


# Overrides and outputs ------------------------------------------------------------------------------------------


def test_the_feed_override_changes_speed_in_motion() -> None:
    host = Host({1: 255, 110: 2000, 120: 500})
    host.do("G91G1X15F300")
    host.run(0.3)
    host.write(b"\x91" * 3)
    host.run(0.2)
    assert "FS:390," in host.report()
    for _ in range(20):
        host.write(b"\x91")
        host.run(0.02)
    host.run(0.2)
    assert "FS:600," in host.report()
    host.write(b"\x90")
    host.run(0.3)
    assert "FS:300," in host.report()
    host.settle()
    assert host.mm == 15.0


def test_the_rapid_override() -> None:
    host = Host({1: 255, 110: 800, 120: 500})
    host.write(b"\x97")
    host.do("G91G0X5")
    host.run(0.3)
    report = host.report()
    assert "FS:200," in report
    host.write(b"\x95")
    host.run(0.2)
    assert "FS:800," in host.report()


def test_jogs_ignore_the_feed_override() -> None:
    host = Host({1: 255, 110: 2000, 120: 500})
    host.write(b"\x92")
    host.run(0.05)
    host.do("$J=G91X5F300")
    host.run(0.3)
    assert "FS:300," in host.report()
    assert "Ov:90,100,100" in "".join(host.report() for _ in range(3))


def test_outputs_wait_for_the_motion_before_them() -> None:
    host = Host(QUICK)
    host.do("G91G1X1F600")
    host.write("M8\n")
    assert not host.grbl.core.flood_pin
    while not host.grbl.core.flood_pin:
        host.grbl.advance(host.now + 0.001)
    assert host.mm == 1.0
    host.settle()
    host.write(b"\x18")
    host.settle()
    assert not host.grbl.core.flood_pin


def test_accessories_are_reported() -> None:
    host = Host()
    host.do("M4S500", "M8")
    host.report()
    assert host.report().endswith("|FS:0,500|Ov:100,100,100|A:CF>")
    host.write(b"\xa0")
    assert host.report().endswith("|A:C>")
    host.do("M3S5000")
    assert "FS:0,1000" in host.report()


@pytest.mark.parametrize(
    ("byte", "field"),
    [(b"\x9a", "100,100,110"), (b"\x9d", "100,100,99"), (b"\x96", "100,50,100"), (b"\x93", "101,100,100")],
)
def test_override_bytes(byte: bytes, field: str) -> None:
    host = Host()
    host.report()
    host.write(byte)
    assert f"Ov:{field}" in host.report()


def test_the_idle_delay_lets_go_of_the_motor_255_does_not() -> None:
    released, held = Host({1: 25, **QUICK}), Host({1: 255, **QUICK})
    for host in (released, held):
        host.do("G91G1X0.02F60", "G4P0")  # 5 microsteps: nearest full step is 0
        host.run(1.0)
    assert released.x.carriage_um == 0.0
    assert held.x.carriage_um == 20.0
    released.do("G1X0.02F60")
    assert released.x.carriage_um == 20.0  # back at its microstep


# Probing --------------------------------------------------------------------------------------------------------


def test_a_probe_stops_where_it_closes() -> None:
    host = Host(QUICK)
    host.write("G91G38.2X5F200\n")
    host.run(0.5)
    host.grbl.set_probe(closed=True)
    closed_at = host.mm
    host.settle()
    prb, ok = host.take()
    assert ok == "ok"
    assert prb == f"[PRB:{closed_at:.3f},0.000,0.000:1]"
    assert host.mm > closed_at
    assert "Pn:P" in host.report()
    assert host.ask("G38.2X1F200")[0] == "ALARM:4"


@pytest.mark.parametrize(
    ("line", "first"),
    [("G38.2X0.5F200", "ALARM:5"), ("G38.3X0.5F200", "[PRB:0.500,0.000,0.000:0]"), ("G38.4X1F200", "ALARM:4")],
)
def test_a_probe_that_does_not_change(line: str, first: str) -> None:
    host = Host(QUICK)
    assert host.ask("G91" + line)[0] == first


# Lines ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("", "ok"),
        ("g91 g1 x0.1 f50", "ok"),
        ("G1X1", "error:22"),
        ("G1 X1 (a comment) F100 ; and more", "ok"),
        ("/G0X0.1", "ok"),
        ("(unfinished", "ok"),
        ("G0X0.1)", "error:1"),
        ("N10G21", "ok"),
        ("N10000001G21", "error:27"),
        ("G90G91", "error:21"),
        ("M3M4", "error:21"),
        ("G1.5X1F1", "error:23"),
        ("M3.5", "error:23"),
        ("G38.1X1F1", "error:20"),
        ("G90.1", "error:20"),
        ("G91.1", "ok"),
        ("G43Z1", "error:20"),
        ("G43.1Z1", "ok"),
        ("G43.1", "error:37"),
        ("G61", "ok"),
        ("G61.1", "error:20"),
        ("G64", "error:20"),
        ("G28X1G1X2F1", "error:24"),
        ("G10L2X1", "ok"),
        ("G10X1", "error:28"),
        ("G10L3P1X1", "error:20"),
        ("G10L2P1", "error:26"),
        ("G10L2P1R1X1", "error:20"),
        ("G92", "error:26"),
        ("G53G80", "error:30"),
        ("G80X1", "error:31"),
        ("G80", "ok"),
        ("G2X1F10", "error:35"),
        ("G2F10", "error:26"),
        ("G2Z1F10I1", "error:32"),
        ("G2X1R0.1F10", "error:34"),
        ("G2X1Y1I5F10", "error:33"),
        ("G2X0Y0R1F10", "error:33"),
        ("G3X0.1Y0.1R0.1F100", "ok"),
        ("G18G2X0.1Z0.1R0.1F100", "ok"),
        ("G21P1", "error:36"),
        ("G93G1X1", "error:22"),
        ("G93G1X1F60", "ok"),
        ("G4P", "error:2"),
        ("T5", "ok"),
        ("T256", "error:38"),
        ("S-1", "error:4"),
        ("M6", "error:20"),
        ("M1", "ok"),
        ("G260P1", "error:23"),
        ("*", "error:1"),
        ("\x7f", "error:1"),
        ("$", "ok"),
        ("$$X", "error:3"),
        ("$G=1", "error:3"),
        ("$H", "error:5"),
        ("$Z", "error:2"),
        ("$1", "error:3"),
        ("$1=", "error:2"),
        ("$1=25X", "error:3"),
        ("$N0", "error:3"),
        ("$N0=G999", "error:20"),
        ("$Nx=G91", "error:2"),
        ("$SL", "error:3"),
        ("$RST=%", "error:3"),
        ("$I5", "error:3"),
        ("$#1", "error:3"),
        ("$X1", "error:3"),
        ("$J", "error:3"),
        ("G1" + "X0" * 37 + "F1", "error:25"),
        ("G1" + "X0" * 38 + "F1", "error:11"),
    ],
)
def test_answers(line: str, answer: str) -> None:
    assert Host(QUICK).ask(line)[-1] == answer


def test_the_state_stays_homing_after_an_unknown_homing_command() -> None:
    host = Host(HOMING)
    assert host.ask("$HX") == ["error:3"]
    assert host.state() == "Home"
    assert host.ask("$X")[-1] == "ok"
    assert host.state() == "Home"


def test_modes_last_and_end_with_the_program() -> None:
    host = Host(QUICK)
    host.do("G20G91G55G93G18T7S300F2M8", "G61", "G40", "G49")
    assert (
        host.ask("$G")[0] == "[GC:G0 G55 G18 G20 G91 G93 M5 M8 T0 F0 S300]"
    )  # a feed in moves a minute lasts one line
    assert host.ask("M2") == ["[MSG:Pgm End]", "ok"]
    assert host.ask("$G")[0] == "[GC:G1 G54 G17 G20 G90 G94 M5 M9 T0 F0 S300]"


def test_g28_goes_by_way_of_a_point() -> None:
    host = Host(QUICK)
    host.do("G1X2F600", "G28.1", "G1X4", "G91G28X1", "G4P0")
    assert host.mm == 2.0
    host.do("G90G1X1F600", "G30", "G4P0")
    assert host.mm == 0.0


def test_an_arc_comes_to_its_end_within_its_circle() -> None:
    host = Host(QUICK)
    host.write("G2X4Y0I2J0F600\n")
    high = 0.0
    while host.grbl.core.machine_position()[0] < 3.99:
        host.grbl.advance(host.now + 0.01)
        x, y, _ = host.grbl.core.machine_position()
        assert abs(((x - 2) ** 2 + y**2) ** 0.5 - 2) < 0.02
        high = max(high, y)
    assert high == pytest.approx(2.0, abs=0.02)


def test_without_a_host_nothing_happens() -> None:
    host = Host()
    assert host.grbl.quiescent
    assert host.run(1000.0) == []
    assert host.grbl.state.value == "Idle"
