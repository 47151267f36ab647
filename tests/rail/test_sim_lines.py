"""The simulated controller, rule by rule: overrides, outputs, probing, and what it answers to lines."""

from __future__ import annotations

import pytest

from tests.rail.sim_host import Host

QUICK = {110: 1000.0, 120: 200.0}
HOMING = {**QUICK, 22: 1.0, 23: 1.0, 24: 100.0, 25: 600.0, 26: 20.0, 27: 1.0, 130: 40.0}


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
