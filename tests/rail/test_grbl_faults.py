"""What goes wrong on a bench: nothing wrong is believed, motion ends, and the message says what to do."""

from __future__ import annotations

import pytest

from rail.axis import AxisState
from rail.errors import (
    RailAlarmError,
    RailDeviceError,
    RailError,
    RailLimitError,
    RailPortError,
    RailPositionUnknownError,
    RailProtocolError,
    RailResetError,
    RailTimeoutError,
)
from rail.simulator.states import State
from tests.rail.faults import believed_right, changed_once, zeroed
from tests.rail.grbl_virtual import VirtualRail

SWITCHED = {21: 1, 130: 60, 25: 1500, 24: 100}


def test_a_restart_in_motion_loses_the_position() -> None:
    rail = VirtualRail()
    axis, _ = zeroed(rail)
    rail.call_later(0.5, rail.restart)
    begin = rail.port.now
    with pytest.raises(RailResetError) as caught:
        axis.move_to(5000)
    assert rail.port.now - begin < 1.5
    assert "zero" in caught.value.remedy
    assert not axis.status().position_known
    with pytest.raises(RailPositionUnknownError, match="restarted"):
        axis.move_to(0)
    assert axis.zero().position == 0.0
    axis.move_to(100)


def swallow_banner(rail: VirtualRail) -> None:
    heard = bytearray()

    def swallow(data: bytes) -> bytes:
        heard.extend(data)
        if b"Grbl" in heard and b"help]" not in heard:
            return b""
        if b"help]" in data or b"Grbl" in data:
            rail.port.mangle_in = lambda data: data
            return b""
        return data

    rail.port.mangle_in = swallow


@pytest.mark.parametrize("when", ["in motion", "at rest", "at rest on machine zero"])
def test_a_restart_whose_banner_was_lost_is_found_all_the_same(when: str) -> None:
    rail = VirtualRail()
    axis, _ = zeroed(rail)
    if when != "at rest on machine zero":
        axis.move_to(1000)
    swallow_banner(rail)
    if when == "in motion":
        rail.call_later(0.5, rail.restart)
        with pytest.raises(RailError):
            axis.move_to(5000)
    else:
        rail.restart()
    assert not axis.status().position_known
    with pytest.raises(RailPositionUnknownError):
        axis.move_to(0)


def test_unplugging_in_motion_and_plugging_in_again() -> None:
    rail = VirtualRail()
    axis, origin = zeroed(rail)

    def unplug() -> None:
        rail.port.unplugged = True

    rail.call_later(0.5, unplug)
    with pytest.raises(RailPortError) as caught:
        axis.move_to(5000)
    assert "goes on" in caught.value.state
    assert axis.status().state is AxisState.DISCONNECTED
    assert axis.status().position is None
    axis.close()
    with rail.open() as again:
        assert any("stopped first" in notice for notice in again.notices)
        assert not rail.moving()
        assert believed_right(rail, again, origin)


def test_a_hard_limit_in_motion() -> None:
    rail = VirtualRail(homing=True, settings=SWITCHED)
    axis = rail.open()
    axis.unlock()
    axis.zero()

    def press() -> None:
        rail.slide.stuck = True
        rail.controller.changed()

    rail.call_later(0.5, press)
    with pytest.raises(RailAlarmError) as caught:
        axis.move_to(-5000)
    assert caught.value.code == 1
    assert "unlock" in caught.value.remedy
    assert axis.status().state is AxisState.ALARM
    assert not axis.status().position_known
    with pytest.raises(RailAlarmError):
        axis.jog(100)
    rail.slide.stuck = None
    rail.controller.changed()
    assert axis.unlock().state is AxisState.IDLE
    with pytest.raises(RailPositionUnknownError):
        axis.move_to(0)
    axis.jog(500)


@pytest.mark.parametrize(("stuck", "code"), [(False, 9), (True, 8)])
def test_a_failed_homing_is_no_success(stuck: bool, code: int) -> None:
    rail = VirtualRail(homing=True, settings={130: 20, 25: 1500, 24: 100})
    axis = rail.open()
    rail.slide.stuck = stuck
    rail.controller.changed()
    with pytest.raises(RailAlarmError) as caught:
        axis.home()
    assert caught.value.code == code
    assert "switch" in caught.value.message
    status = axis.status()
    assert status.state is AxisState.ALARM
    assert not status.position_known
    rail.slide.stuck = None
    rail.controller.changed()
    assert axis.unlock().state is AxisState.IDLE


def test_stock_grbl_homes_z_first_and_the_error_says_so() -> None:
    rail = VirtualRail(homing=True, stock_homing=True, settings={132: 10, 25: 1500})
    with rail.open() as axis, pytest.raises(RailAlarmError) as caught:
        axis.home()
    assert "moved Z and not X" in caught.value.message
    assert "homes Z first" in caught.value.remedy


def test_an_interrupt_while_homing_stops_it() -> None:
    rail = VirtualRail(homing=True, settings=SWITCHED)
    axis = rail.open()
    axis.unlock()
    axis.zero()
    rail.call_later(1.0, rail.interrupt)
    with pytest.raises(KeyboardInterrupt), axis:
        axis.home()
    assert not rail.moving()
    with rail.open() as axis:
        assert not axis.status().position_known


def test_a_killed_programs_homing_is_stopped_first() -> None:
    rail = VirtualRail(homing=True, settings={**SWITCHED, 25: 100})
    axis = rail.open()
    rail.call_later(1.0, lambda: rail.kill(axis))
    with pytest.raises(RailPortError):
        axis.home()
    with rail.open() as again:
        assert not rail.moving()
        assert not again.status().position_known


def test_a_homed_rail_stays_inside_its_travel() -> None:
    rail = VirtualRail(homing=True, settings={**SWITCHED, 20: 1})
    with rail.open() as axis:
        axis.home()
        low, high = axis.limits
        assert (low, high) == (-59_000.0, 0.0)
        with pytest.raises(RailLimitError):
            axis.move_to(10.0)
        assert axis.move_to(-3000).position == -3000
        axis.zero()
        assert axis.limits == (-20_000.0, 3000.0)
        assert axis.move_to(3000).position == 3000  # no further: there the controller's own limit is


def test_a_jog_past_the_controllers_soft_limit() -> None:
    rail = VirtualRail(homing=True, settings={**SWITCHED, 20: 1})
    with rail.open() as axis:
        axis.unlock()
        before = rail.steps()
        with pytest.raises(RailLimitError, match="error:15"):
            axis.jog(500)
        assert rail.steps() == before
        assert axis.status().state is AxisState.IDLE


@pytest.mark.parametrize("moving", [True, False])
def test_silence_is_noticed_and_forgiven_once_it_ends(moving: bool) -> None:
    rail = VirtualRail()
    axis, origin = zeroed(rail)
    axis.move_to(200)

    def silence() -> None:
        rail.port.mangle_in = lambda data: b""

    if moving:
        rail.call_later(0.5, silence)
    else:
        silence()
    begin = rail.port.now
    with pytest.raises(RailTimeoutError) as caught:
        axis.move_to(9000)
    assert rail.port.now - begin < 10.0
    assert caught.value.remedy
    assert not axis.status().position_known
    rail.port.mangle_in = lambda data: data
    assert not axis.status().position_known or believed_right(rail, axis, origin)
    axis.zero()
    assert axis.move_to(100).position == 100


def test_unlock_ends_a_foreign_hold_and_keeps_the_position() -> None:
    rail = VirtualRail()
    axis, origin = zeroed(rail)
    axis.move_to(500)
    rail.controller.receive(b"!")
    rail.controller.advance(rail.port.now + 0.1)
    assert axis.status().state is AxisState.HOLDING
    assert axis.unlock().state is AxisState.IDLE
    assert believed_right(rail, axis, origin)


@pytest.mark.parametrize("dialect", ["grbl", "grblhal", "fluidnc"])
@pytest.mark.parametrize("word", [b"G92", b"G1X", b"G4P"])
def test_a_hold_between_two_lines_is_called_one(dialect: str, word: bytes) -> None:
    """It keeps the next line waiting, whichever that is, and the reports say why."""
    rail = VirtualRail(dialect=dialect, steps_per_mm=3200.0)
    axis, origin = zeroed(rail)
    wanted = b"G43.1" if word == b"G92" and dialect == "grblhal" else word
    held = changed_once(rail.port, wanted, b"!" + wanted)
    with pytest.raises(RailProtocolError, match="Hold"):
        axis.move_to(1000)
    assert rail.port.now - held[0] < 1.0
    assert not rail.moving()
    assert axis.status().state is AxisState.IDLE
    assert believed_right(rail, axis, origin)


@pytest.mark.parametrize("line", ["$C", "$SLP"])
def test_modes_that_do_not_move_are_refused_and_left_by_unlock(line: str) -> None:
    rail = VirtualRail()
    axis, _ = zeroed(rail)
    rail.controller.receive(line.encode() + b"\n")
    rail.controller.advance(rail.port.now + 0.1)
    before = rail.steps()
    with pytest.raises(RailDeviceError):
        axis.move_to(500)
    assert rail.steps() == before
    assert axis.unlock().state is AxisState.IDLE
    axis.zero()
    axis.move_to(500)


def test_a_scale_changed_by_another_program_voids_the_position() -> None:
    rail = VirtualRail()
    axis, _ = zeroed(rail)
    axis.close()
    rail.controller.receive(b"$100=800\n")
    with rail.open() as again:
        assert not again.status().position_known


@pytest.mark.parametrize("approach", ["positive", "negative"])
def test_the_carriage_stands_at_one_place_from_whichever_side_it_comes(approach: str) -> None:
    rail = VirtualRail(backlash_um=120, profile=f"backlash_um = 150\napproach = '{approach}'")
    with rail.open() as axis:
        axis.zero()
        places = []
        for start in (-2000, 1500, 990, 1010, 1000, -3000):
            axis.move_to(start)
            axis.move_to(1000)
            places.append(rail.carriage_um())
        axis.jog(-700)
        axis.jog(300)
        axis.move_to(1000)
        places.append(rail.carriage_um())
        assert max(places) - min(places) < 1e-6


def test_the_take_up_stays_inside_the_limits() -> None:
    rail = VirtualRail(profile="range_low_um = -1000\nrange_high_um = 1000\nbacklash_um = 500")
    seen: list[float] = []
    with rail.open() as axis:
        axis.zero()
        axis.move_to(500)
        rail.port.mangle_in = lambda data: (seen.append(rail.steps() * rail.step_um), data)[1]
        axis.move_to(-1000)
    assert min(seen) >= -1000 - rail.step_um


@pytest.mark.parametrize("dialect", ["grbl", "grblhal", "fluidnc"])
def test_a_jog_is_cancelled_within_100_ms(dialect: str) -> None:
    rail = VirtualRail(dialect=dialect)
    axis, _ = zeroed(rail)
    sent: list[float] = []
    asked: list[float] = []

    def watch(data: bytes) -> bytes:
        if b"\x85" in data:
            sent.append(rail.port.now)
        return data

    rail.port.mangle_out = watch

    def stop() -> None:
        asked.append(rail.port.now)
        axis.stop()

    rail.call_later(0.6, stop)
    axis.jog(9000)
    assert sent[0] - asked[0] < 0.1


def test_one_that_answers_again_is_not_left_held() -> None:
    rail = VirtualRail(settings={110: 600, 120: 200})
    axis, origin = zeroed(rail)

    def fall_silent() -> None:
        rail.port.mangle_in = lambda data: b""

    rail.call_later(0.3, fall_silent)
    with pytest.raises(RailTimeoutError):
        axis.move_to(9000)
    rail.port.mangle_in = lambda data: data
    axis.close()
    assert rail.controller.core.state is State.IDLE
    with rail.open() as again:
        assert believed_right(rail, again, origin)
