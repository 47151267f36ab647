"""The simulated controller, rule by rule, beyond what was recorded: motion, reports, jogs, settings and memory."""

from __future__ import annotations

import re

import pytest

from rail.simulator.controller import GrblController
from rail.simulator.eeprom import Eeprom
from tests.rail.sim_host import Host

QUICK = {110: 1000.0, 120: 200.0}


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
