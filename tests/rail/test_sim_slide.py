"""The mechanics of one axis: play, stops, stalls, the motor without current."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rail.simulator.slide import Slide, SlideSpec

STEPS = st.lists(st.integers(-4000, 4000), max_size=30)


def slide(backlash_um: float = 80.0, **more: float) -> Slide:
    return Slide(SlideSpec(1.25, backlash_um, -2000.0, 2000.0, switch_um=-1500.0), slack=0.0, **more)


def test_play_is_lost_at_each_reversal_and_only_there() -> None:
    axis = slide()
    axis.move(80)
    assert axis.carriage_um == 100.0
    axis.move(-32)
    assert axis.carriage_um == 100.0  # 40 of the 80 um are taken up
    axis.move(-40)
    assert axis.carriage_um == 90.0
    axis.move(-8)
    assert axis.carriage_um == 80.0
    axis.move(64)
    assert axis.carriage_um == 80.0
    axis.move(1)
    assert axis.carriage_um == 81.25


@settings(derandomize=True, deadline=None)
@given(STEPS)
def test_carriage_stays_within_play_and_stops(moves: list[int]) -> None:
    axis = slide()
    for steps in moves:
        axis.move(steps)
        screw = axis.rest.rotor * 1.25 + 80.0
        assert -2000.0 <= axis.carriage_um <= 2000.0
        assert screw - 80.0 - 1e-9 <= axis.carriage_um <= screw + 1e-9
        assert 0.0 <= axis.slack <= 1.0


@settings(derandomize=True, deadline=None)
@given(STEPS)
def test_every_pulse_is_followed_or_lost(moves: list[int]) -> None:
    axis = slide()
    for steps in moves:
        before = axis.rest
        axis.move(steps)
        followed = abs(axis.rest.rotor - before.rotor)
        assert followed + axis.rest.lost - before.lost == abs(steps)
    assert axis.pulses == sum(abs(steps) for steps in moves)


@settings(derandomize=True, deadline=None)
@given(STEPS, st.integers(-500, 500), st.integers(0, 400))
def test_a_move_in_two_parts_is_the_same_move(moves: list[int], last: int, lose: int) -> None:
    whole, halves = slide(), slide()
    for steps in moves:
        whole.move(steps)
        halves.move(steps)
    whole.lose = halves.lose = lose
    foreseen = whole.preview(last)
    whole.move(last)
    halves.move(last // 2)
    halves.move(last - last // 2)
    if last >= 0:  # floor division splits a negative number into a larger and a smaller part of one sign, too
        assert whole.rest == halves.rest
    assert whole.rest == foreseen


def test_lost_steps_are_lost_once() -> None:
    axis = slide(0.0)
    axis.lose = 10
    axis.move(4)
    axis.move(-4)
    assert (axis.carriage_um, axis.lose) == (0.0, 2)
    axis.move(10)
    assert (axis.carriage_um, axis.lose, axis.rest.lost) == (10.0, 0, 10)


def test_a_jam_stalls_the_motor() -> None:
    axis = slide(0.0)
    axis.jammed = True
    axis.move(100)
    assert (axis.carriage_um, axis.rest.rotor, axis.rest.lost) == (0.0, 0, 100)
    axis.jammed = False
    axis.move(8)
    assert axis.carriage_um == 10.0


def test_the_stop_holds_the_carriage_and_loses_steps() -> None:
    axis = slide()
    axis.move(5000)
    assert axis.carriage_um == 2000.0
    lost = axis.rest.lost
    assert lost == 5000 - axis.rest.rotor > 0
    axis.move(-64)
    assert axis.carriage_um == 2000.0  # the play comes first
    axis.move(-8)
    assert axis.carriage_um == 1990.0


@pytest.mark.parametrize(
    ("steps", "rest_um"), [(3, 0.0), (7, 0.0), (8, 20.0), (13, 20.0), (16, 20.0), (-7, 0.0), (-9, -20.0)]
)
def test_without_current_the_motor_falls_to_the_nearest_full_step(steps: int, rest_um: float) -> None:
    axis = slide(0.0)
    axis.move(steps)
    axis.release()
    assert axis.carriage_um == rest_um
    axis.release()
    assert axis.carriage_um == rest_um
    axis.energise()
    assert axis.carriage_um == steps * 1.25
    assert axis.rest.lost == 0


def test_the_switch_closes_at_its_place_unless_stuck() -> None:
    axis = slide(0.0)
    assert not axis.pressed()
    axis.move(-1199)
    assert not axis.pressed()
    axis.move(-1)
    assert axis.pressed()
    axis.stuck = False
    assert not axis.pressed()
    other = Slide(SlideSpec(1.0, switch_um=5.0, switch_at_high=True))
    assert not other.pressed()
    assert other.pressed(other.preview(5))
