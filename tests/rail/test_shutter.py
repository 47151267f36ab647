"""The shutter output of every controller: pressed after the motion, for its time, and let go of by every way out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rail.errors import RailError, RailPortError, RailStoppedError
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
