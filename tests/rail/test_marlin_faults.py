"""Marlin: its lines, and what goes wrong with it alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rail.axis import AxisState
from rail.errors import RailAlarmError, RailError, RailPositionUnknownError, RailProtocolError, RailTimeoutError
from rail.grbl.axis import GrblAxis
from rail.grbl.link import Link
from rail.grbl.protocol import Alarm, Banner, Ok, Unrecognised
from rail.marlin import protocol
from rail.marlin.protocol import Busy, Echo, Endstop, Position, Resend, Trouble, UnknownCommand
from rail.opening import open_axis
from rail.profiles import load_profile
from rail.simulator import DeviceClock, RailOptions, SimulatedRail
from rail.simulator.marlin import MarlinFirmware
from tests.rail.faults import Talker, believed_right, zeroed
from tests.rail.grbl_virtual import VirtualRail


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"ok", Ok()),
        (b"ok N12 P15 B3", Ok()),
        (b"ok T:21.3 /0.0 @:0", Ok()),
        (b"X:10.00 Y:-0.50 Z:123.07 E:0.00 Count X:16000 Y:-800 Z:0", Position((10.0, -0.5, 123.07), (16000, -800, 0))),
        (b"X:1.00 Y:0.00 Z:0.00 I:0.00 E:0.00 Count X:400 Y:0 Z:0 I:0", Position((1.0, 0.0, 0.0), (400, 0, 0))),
        (b"X:0.00 Y:0.00 Z:0.00 Count X: 0 Y: 0 Z: 0", Position((0.0, 0.0, 0.0), (0, 0, 0))),
        (b"Resend: 7", Resend(7)),
        (b"rs N7", Resend(7)),
        (b"Error:checksum mismatch, Last Line: 6", Trouble("Error:checksum mismatch, Last Line: 6")),
        (b"Error:Printer halted. kill() called!", Alarm(protocol.HALTED)),
        (b"Error:MINTEMP triggered, system stopped! Heater_ID: 0", Alarm(protocol.HALTED)),
        (b"echo:busy: processing", Busy("busy: processing")),
        (b'echo:Unknown command: "M999999"', UnknownCommand('Unknown command: "M999999"')),
        (b"echo:endstops hit:  X:0.02", Alarm(protocol.ENDSTOP)),
        (b"x_min: TRIGGERED", Endstop("x_min", pressed=True)),
        (b"start", Banner("start", "Marlin", "")),
        (b"echo:  M92 X80.00 Y80.00 Z400.00 E93.00", Echo("M92 X80.00 Y80.00 Z400.00 E93.00")),
        (b"X:1.0 Y:2", Unrecognised("X:1.0 Y:2")),
    ],
)
def test_marlins_lines(line: bytes, reply: object) -> None:
    assert protocol.classify(line) == reply


def test_numbers_and_checksums_are_marlins() -> None:
    assert protocol.numbered(0, "M110 N0") == "N0 M110 N0*125"  # as in the logs of every host
    assert protocol.words("M92 X80.00 Y80.28 Z400 E93 ; note") == (
        "M92",
        {"X": 80.0, "Y": 80.28, "Z": 400.0, "E": 93.0},
    )
    assert protocol.travel("  Min:  X0.00 Y0.00 Z0.00   Max:  X200.00 Y200.00 Z180.00") == (0.0, 200.0)


@given(st.binary(max_size=200))
def test_marlins_parser_raises_on_nothing(line: bytes) -> None:
    protocol.classify(line)
    text = line.decode("latin-1")
    protocol.words(text)
    protocol.travel(text)


def start_foreign_move(rail: VirtualRail, mm: float) -> None:
    """Another program's long move, and the program is gone."""
    rail.open().close()
    core = rail.controller.core
    rail.controller.receive(f"G1 X{mm} F120\n".encode())
    rail.controller.advance(core.now + 1.0)
    assert rail.moving()


def test_another_programs_long_move_is_dropped_and_the_place_with_it() -> None:
    rail = VirtualRail(dialect="marlin")
    axis, _ = zeroed(rail)
    axis.close()
    start_foreign_move(rail, 40)
    again = rail.open()
    assert not rail.moving()
    assert rail.steps() * rail.step_um < 8000  # it was 40 mm long
    assert not again.status().position_known  # M410 loses steps
    assert again.notices
    again.close()


def test_a_jog_is_cancelled_within_100_ms_and_ends_in_a_ramp() -> None:
    rail = VirtualRail(dialect="marlin")
    axis, origin = zeroed(rail)
    asked: list[float] = []
    sent: list[float] = []
    at: list[int] = []

    def watch(data: bytes) -> bytes:
        if b"G1 " in data:
            sent.append(rail.port.now)
        assert b"M410" not in data
        return data

    def stop() -> None:
        asked.append(rail.port.now)
        at.append(rail.steps())
        axis.stop()

    rail.port.mangle_out = watch
    rail.call_later(1.6, stop)
    status = axis.jog(9000)
    assert sent[-1] - asked[0] < 0.1
    # 2 mm/s and 50 mm/s2: 40 um to brake, and what was sent ahead
    assert (rail.steps() - at[0]) * rail.step_um < 40 + 0.1 * 2000 + 3 * rail.step_um
    assert status.position == pytest.approx((rail.steps() - origin) * rail.step_um)
    axis.close()


@pytest.mark.parametrize("emergency", [True, False])
def test_without_the_emergency_parser_it_moves_and_stops_as_well(emergency: bool) -> None:
    rail = VirtualRail(dialect="marlin")
    rail.controller.core.firmware = MarlinFirmware(emergency_parser=emergency)
    rail.restart()
    axis, origin = zeroed(rail)
    assert ("EMERGENCY_PARSER" in {f.key for f in axis.diagnose()}) is not emergency
    rail.call_later(0.4, axis.stop)
    with pytest.raises(RailError):
        axis.move_to(5000)
    assert axis.status().position == pytest.approx((rail.steps() - origin) * rail.step_um)
    axis.close()


def halt(rail: VirtualRail) -> None:
    rail.controller.core.raise_alarm(3)
    rail.controller.changed()


def test_a_halted_marlin_says_what_helps() -> None:
    rail = VirtualRail(dialect="marlin")
    axis, _ = zeroed(rail)
    rail.call_later(0.3, lambda: halt(rail))
    with pytest.raises(RailAlarmError) as caught:
        axis.move_to(3000)
    assert "reset" in caught.value.remedy
    assert axis.status().state is AxisState.ALARM
    assert not axis.status().position_known
    with pytest.raises(RailAlarmError):
        axis.unlock()
    rail.restart()
    assert not axis.status().position_known
    axis.zero()
    assert axis.move_to(100).position == 100
    axis.close()


@pytest.mark.parametrize(
    "said", [b"Error:Printer halted. kill() called!\n", b"start\nError:MINTEMP triggered, system stopped!\n"]
)
def test_a_marlin_that_halts_as_it_is_opened_says_so(said: bytes) -> None:
    port = Talker(said)
    told: list[bool] = []
    link = Link(port, clock=lambda: port.now)
    link.on_halt = lambda: told.append(True)
    with pytest.raises(RailAlarmError, match="halted itself") as caught:
        GrblAxis.connect(link, load_profile())
    assert "reset" in caught.value.remedy
    assert told


def test_a_halted_marlin_is_said_to_be_halted_to_later_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    rail = SimulatedRail(RailOptions(dialect="marlin"), DeviceClock(20.0))
    rail.start()
    try:
        with open_axis(rail.url) as axis:
            rail.inject("alarm", {"code": 3})
            with pytest.raises(RailAlarmError):
                axis.jog(3000)
        monkeypatch.setattr("rail.greeting.SILENT_S", 1.0)  # all that it would wait
        with pytest.raises(RailAlarmError, match="still answers nothing") as caught:
            open_axis(rail.url)
        assert "reset" in caught.value.remedy
        rail.inject("reset", {})
        open_axis(rail.url).close()
        assert not list((tmp_path / "focusrail").iterdir())
    finally:
        rail.stop()


def test_a_switch_hit_in_motion_loses_the_place() -> None:
    rail = VirtualRail(dialect="marlin")
    axis, _ = zeroed(rail)

    def hit() -> None:
        rail.controller.core.reset_request()
        rail.controller.core.raise_alarm(1)
        rail.controller.changed()

    rail.call_later(0.4, hit)
    with pytest.raises(RailAlarmError):
        axis.move_to(3000)
    assert not axis.status().position_known
    axis.unlock()
    axis.zero()
    assert axis.move_to(500).position == 500
    axis.close()


def test_damaged_lines_are_asked_for_again_and_nothing_is_lost() -> None:
    rail = VirtualRail(dialect="marlin")
    axis, origin = zeroed(rail)
    rng = random.Random(5)

    def noisy(data: bytes) -> bytes:
        if len(data) > 8 and rng.random() < 0.15:
            place = rng.randrange(len(data) - 1)
            return data[:place] + bytes([data[place] ^ 1 << rng.randrange(5)]) + data[place + 1 :]
        return data

    rail.port.mangle_out = noisy
    for target in (900, 300, -40, 1200):
        done: Callable[[], object] = lambda: axis.move_to(target)  # noqa: B023, E731
        try:
            done()
        except RailError:
            rail.port.mangle_out = lambda data: data
            axis.status()
            rail.port.mangle_out = noisy
        status = axis.status()
        if status.position is not None:
            assert status.position == pytest.approx((rail.steps() - origin) * rail.step_um)
    rail.port.mangle_out = lambda data: data
    axis.close()


def hit(rail: VirtualRail) -> None:
    rail.controller.core.raise_alarm(1)
    rail.controller.changed()


@pytest.mark.parametrize("when", ["in a move", "at rest"])
def test_no_later_program_believes_the_place_before_an_alarm(when: str) -> None:
    rail = VirtualRail(dialect="marlin")
    axis, _ = zeroed(rail)
    if when == "in a move":
        rail.call_later(0.4, lambda: hit(rail))
        with pytest.raises(RailAlarmError):
            axis.move_to(3000)
    else:
        hit(rail)
        rail.controller.advance(rail.controller.core.now + 0.1)
        assert axis.status().state is AxisState.ALARM
        axis.unlock()
    rail.kill(axis)
    with rail.open() as again:
        assert not again.status().position_known


def test_a_marlin_that_waits_for_its_user_says_so() -> None:
    rail = VirtualRail(dialect="marlin")
    axis, _ = zeroed(rail)

    def paused(data: bytes) -> bytes:
        return data.replace(b"ok\n", b"echo:busy: paused for user\n")

    rail.port.mangle_in = paused
    with pytest.raises(RailProtocolError, match="waits for somebody") as caught:
        axis.move_to(100)
    assert "button" in caught.value.remedy
    rail.port.mangle_in = lambda data: data
    assert axis.move_to(100).position == 100
    axis.close()


def test_a_marlin_that_is_busy_for_ever_is_given_up() -> None:
    rail = VirtualRail(dialect="marlin")
    axis, _ = zeroed(rail)
    rail.port.mangle_in = lambda data: data.replace(b"ok\n", b"echo:busy: processing\n" * 60)
    begin = rail.port.now
    with pytest.raises(RailError):
        axis.move_to(100)
    assert rail.port.now - begin < 300
    axis.close()


def test_a_board_that_spoke_once_is_not_taken_for_one_that_answers_nothing() -> None:
    """What decides whether a note of an earlier halt is believed."""
    port = Talker(b"FIRMWARE_NAME:Marlin 2.1.2.1\n")
    link = Link(port, clock=lambda: port.now)
    with pytest.raises(RailTimeoutError):
        GrblAxis.connect(link, load_profile())
    assert link.heard
    nobody = Talker(b"")
    link = Link(nobody, clock=lambda: nobody.now)
    with pytest.raises(RailTimeoutError):
        GrblAxis.connect(link, load_profile())
    assert not link.heard


def test_a_zero_with_the_motor_off_is_where_it_stands_with_the_motor_on() -> None:
    rail = VirtualRail(dialect="marlin", steps_per_mm=1600.0)
    axis, _ = zeroed(rail)
    axis.jog(1000 + 5 * rail.step_um)  # no full step
    rail.controller.core.motors_off()
    relaxed = rail.steps()
    axis.zero()
    origin = rail.steps()
    assert origin != relaxed
    assert axis.move_to(500).position == 500
    assert (rail.steps() - origin) * rail.step_um == pytest.approx(500)
    axis.close()


def test_steps_that_marlin_left_out_are_not_counted_at_the_next_opening() -> None:
    """A move of two steps is dropped; M92 would take it for made."""
    rail = VirtualRail(dialect="marlin")
    axis = rail.open()
    axis.zero()
    origin = rail.steps()
    axis.move_to(1000)
    axis.close()
    rail.controller.receive(b"G0 X1.005 F100\n")
    with rail.open() as again:
        assert believed_right(rail, again, origin)
        again.move_to(500)
        assert believed_right(rail, again, origin)


@pytest.mark.parametrize("keepalive", [True, False])
def test_silence_while_homing_is_noticed_by_the_signs_of_life_that_stay_away(keepalive: bool) -> None:
    """Marlin says every two seconds that it is busy; a build without that is waited for as long as homing may take."""
    rail = VirtualRail(dialect="marlin", homing=True, settings={130: 60})
    rail.controller.core.firmware = MarlinFirmware(keepalive=keepalive)
    rail.restart()
    axis = rail.open()
    slow_s = axis._carriage.rates.homing_s
    assert slow_s > 20.0
    begin = rail.port.now

    def fall_silent() -> None:
        rail.port.mangle_in = rail.port.mangle_out = lambda data: b""

    rail.call_later(2.5, fall_silent)
    with pytest.raises(RailTimeoutError, match="no sign of"):
        axis.home()
    took_s = rail.port.now - begin
    assert took_s < 12.0 if keepalive else took_s > slow_s
    assert not axis.status().position_known


def test_a_position_that_another_programs_move_cost_is_said_to_have_been_lost_by_it() -> None:
    rail = VirtualRail(dialect="marlin")
    axis, _ = zeroed(rail)
    axis.close()
    rail.controller.receive(b"G1 X15 F600\n")
    rail.controller.advance(rail.port.now + 1.0)
    again = rail.open()
    assert any("moving" in notice for notice in again.notices)
    with pytest.raises(RailPositionUnknownError, match="stopped dead in motion"):
        again.move_to(100)
    again.close()
