"""The shutter output of every controller: pressed after the motion, for its time, and let go of by every way out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rail.errors import RailAlarmError, RailError, RailPortError, RailProtocolError, RailStoppedError, RailTimeoutError
from rail.shutter import ShutterRelease, ShutterTimes
from tests.rail.grbl_virtual import VirtualRail

DIALECTS = ("grbl", "grblhal", "fluidnc", "marlin")
TIMES = ShutterTimes(half_press_s=0.05, press_s=0.1, lag_s=0.05)


def watched(dialect: str) -> tuple[VirtualRail, list[tuple[float, float]]]:
    """A rail that notes when its output comes on, and where the carriage stands then."""
    rail = VirtualRail(dialect=dialect)
    presses: list[tuple[float, float]] = []
    rail.controller.core.flood_came_on = lambda: presses.append((rail.controller.core.now, rail.carriage_um()))
    return rail, presses


def pressed(rail: VirtualRail) -> bool:
    return rail.controller.core.flood_pin


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_is_pressed_where_the_carriage_stands_and_for_its_time(dialect: str) -> None:
    rail, presses = watched(dialect)
    with rail.open() as axis:
        axis.zero()
        start = rail.carriage_um()
        release = ShutterRelease(axis, TIMES)
        for place in (0.0, 400.0, 800.0):
            axis.move_to(place)
            before = rail.port.now
            release.release(0.25)
            assert not pressed(rail)
            assert rail.port.now - before >= 0.25 + TIMES.lag_s
        assert not release.has_half_press
    assert [um - start for _, um in presses] == pytest.approx([0.0, 400.0, 800.0])


def stop(rail: VirtualRail, axis: object) -> None:
    axis.stop()  # type: ignore[attr-defined]


def interrupt(rail: VirtualRail, axis: object) -> None:
    raise KeyboardInterrupt


def restart(rail: VirtualRail, axis: object) -> None:
    rail.restart()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("way_out", "error"), [(stop, RailStoppedError), (interrupt, KeyboardInterrupt), (restart, RailError)]
)
def test_every_way_out_lets_go(
    dialect: str, way_out: Callable[[VirtualRail, object], None], error: type[BaseException]
) -> None:
    rail, presses = watched(dialect)
    with rail.open() as axis:
        axis.zero()
        rail.call_later(0.8, lambda: way_out(rail, axis))
        with pytest.raises(error):
            ShutterRelease(axis, TIMES).release(30.0)
        assert presses
        assert not pressed(rail)


def hit(rail: VirtualRail) -> None:
    """A limit switch closes; what Marlin makes of it."""
    core = rail.controller.core
    if core.firmware.key == "marlin":
        core.raise_alarm(1)
    else:
        core.hard_limit()
    rail.controller.changed()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_alarm_in_a_press_lets_go(dialect: str) -> None:
    rail, presses = watched(dialect)
    with rail.open() as axis:
        axis.zero()
        rail.call_later(0.8, lambda: hit(rail))
        with pytest.raises(RailAlarmError):
            ShutterRelease(axis, TIMES).release(30.0)
        assert presses
        assert not pressed(rail)
        assert not axis.status().position_known
        axis.unlock()
        axis.zero()
        ShutterRelease(axis, TIMES).release(0.1)
        assert len(presses) == 2
        assert not pressed(rail)


@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect != "marlin"])
def test_a_hold_in_a_press_lets_go_and_keeps_the_position(dialect: str) -> None:
    rail, _ = watched(dialect)
    with rail.open() as axis:
        axis.zero()
        axis.move_to(400)
        rail.call_later(0.8, lambda: rail.controller.receive(b"!"))
        begin = rail.port.now
        with pytest.raises(RailProtocolError, match="Hold"):
            ShutterRelease(axis, TIMES).release(30.0)
        assert rail.port.now - begin < 0.8 + 1.0
        assert not pressed(rail)
        assert axis.status().position == 400


def test_a_marlin_that_halts_in_a_press_is_said_to_keep_it() -> None:
    rail, _ = watched("marlin")
    with rail.open() as axis:
        axis.zero()
        rail.call_later(0.8, lambda: (rail.controller.core.raise_alarm(3), rail.controller.changed()))
        with pytest.raises(RailAlarmError, match="halted itself") as caught:
            ShutterRelease(axis, TIMES).release(30.0)
        assert "may stay so" in caught.value.state
        assert pressed(rail)
        rail.restart()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_controller_that_falls_silent_in_a_press_is_said_to_keep_it(dialect: str) -> None:
    rail, _ = watched(dialect)
    with rail.open() as axis:
        axis.zero()

        def cut() -> None:
            rail.port.mangle_in = rail.port.mangle_out = lambda data: b""

        rail.call_later(0.8, cut)
        begin = rail.port.now
        with pytest.raises(RailTimeoutError) as caught:
            ShutterRelease(axis, TIMES).release(30.0)
        assert rail.port.now - begin < 0.8 + 4.2
        assert "may stay so" in caught.value.state
        assert pressed(rail)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_a_killed_program_pressed_is_let_go_of_by_the_next(dialect: str) -> None:
    rail, _ = watched(dialect)
    axis = rail.open()
    axis.zero()
    rail.call_later(0.8, lambda: rail.kill(axis))
    with pytest.raises(RailPortError):
        ShutterRelease(axis, TIMES).release(30.0)
    assert pressed(rail)
    with rail.open() as again:
        assert not pressed(rail)
        assert again.status().position == 0.0
