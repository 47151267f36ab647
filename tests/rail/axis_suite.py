"""What every axis must do, whatever it is made of: subclass `AxisSuite` and give it a `rig` fixture."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest

from rail.axis import Axis, AxisState, AxisStatus, AxisUnit
from rail.errors import (
    RailError,
    RailLimitError,
    RailPortError,
    RailPositionUnknownError,
    RailRefusedError,
    RailStoppedError,
    RailUsageError,
)


class Rig(Protocol):
    """One rail for a test: it outlives the axis objects that are opened on it."""

    @property
    def can_home(self) -> bool:
        """It has an end switch that `home` finds."""

    def open(self) -> Any:
        """Open the axis as a new program would."""

    def steps(self) -> int | None:
        """Motor steps counted outside the controller, in its direction; None where nobody counts."""

    def call_when(self, condition: Callable[[], bool], call: Callable[[], object]) -> None:
        """Run `call` as soon as `condition` holds, while an operation waits."""

    def interrupt(self) -> None:
        """What Ctrl-C does to the operation under way: for `call_when`."""

    def kill(self, axis: Any) -> None:
        """Drop the connection as a killed program does: nothing is stopped."""

    def restart(self) -> None:
        """Switch the controller off and on, or reset it."""

    def finish(self) -> None:
        """Clear away."""


class AxisSuite:
    """The conformance suite. All motion stays within `reach_um` (in the axis's unit) of where the carriage stands at first."""

    unit = AxisUnit.UM
    reach_um = 2000.0
    can_restart = True

    @pytest.fixture
    def axis(self, rig: Rig) -> Iterator[Axis]:
        with rig.open() as axis:
            yield axis

    def counted(self, rig: Rig, axis: Axis, status: AxisStatus, start: tuple[int, float]) -> None:
        """The position says what was counted outside, exactly."""
        steps = rig.steps()
        if steps is None:
            return
        assert status.position is not None
        moved = (status.position - start[1]) / axis.capabilities.resolution
        assert abs(steps - start[0]) == pytest.approx(abs(moved), abs=1e-6)

    def half_way(self, rig: Rig, axis: Axis) -> Callable[[], bool]:
        """A condition: a third of the reach is behind the carriage (the take-up before a move is shorter)."""
        start = rig.steps()

        def passed() -> bool:
            steps = rig.steps()
            if start is None or steps is None:
                seen = axis.status().position
                return seen is not None and seen > self.reach_um / 3
            return abs(steps - start) * axis.capabilities.resolution > self.reach_um / 3

        return passed

    def test_capabilities(self, rig: Rig, axis: Axis) -> None:
        can = axis.capabilities
        assert can.unit is self.unit
        assert can.can_home == rig.can_home
        assert 0 < can.resolution < 1000
        low, high = axis.limits
        assert low < high

    def test_an_unknown_position_refuses_moves_and_allows_jogs(self, rig: Rig, axis: Axis) -> None:
        rig_steps = rig.steps()
        status = axis.status()
        if status.position_known:
            pytest.fail("the rig must start with an unknown position")
        assert status.position is None
        assert not status.homed
        with pytest.raises(RailPositionUnknownError) as caught:
            axis.move_to(100.0)
        assert "zero" in caught.value.remedy
        assert rig.steps() == rig_steps
        jogged = axis.jog(self.reach_um / 4)
        assert jogged.state is AxisState.IDLE
        assert not jogged.position_known
        if rig_steps is not None:
            assert abs((rig.steps() or 0) - rig_steps) * axis.capabilities.resolution == pytest.approx(
                self.reach_um / 4, abs=axis.capabilities.resolution / 2 + 1e-6
            )
        axis.jog(-self.reach_um / 4)
        assert rig.steps() == rig_steps

    def test_zero_makes_here_the_origin(self, axis: Axis) -> None:
        status = axis.zero()
        assert status == AxisStatus(AxisState.IDLE, 0.0, position_known=True, homed=False)
        assert axis.status() == status

    def test_moves_are_absolute_and_arrive(self, rig: Rig, axis: Axis) -> None:
        axis.zero()
        start = (rig.steps() or 0, 0.0)
        for share in (0.1, 0.1, 0.73, -0.5, 0.0, 0.001, 1.0):
            status = axis.move_to(share * self.reach_um)
            assert status.state is AxisState.IDLE
            assert status.position == pytest.approx(share * self.reach_um, abs=axis.capabilities.resolution / 2 + 1e-6)
            assert axis.status() == status
            self.counted(rig, axis, status, start)
        assert axis.move_to(0.0).position == 0.0
        assert rig.steps() in {None, start[0]}

    def test_many_small_steps_do_not_add_up_an_error(self, rig: Rig, axis: Axis) -> None:
        axis.zero()
        start = (rig.steps() or 0, 0.0)
        step = 3.3 * axis.capabilities.resolution
        for number in range(1, 13):
            status = axis.move_to(number * step)
            assert status.position == pytest.approx(number * step, abs=axis.capabilities.resolution / 2 + 1e-6)
        self.counted(rig, axis, axis.status(), start)

    def test_targets_outside_the_limits_move_nothing(self, rig: Rig, axis: Axis) -> None:
        axis.zero()
        before = rig.steps()
        low, high = axis.limits
        for target in (low - 100, high + 100, 1e12):
            with pytest.raises(RailLimitError) as caught:
                axis.move_to(target)
            assert caught.value.remedy
            assert caught.value.state
        with pytest.raises(RailLimitError):
            axis.jog(high - low + 100)
        with pytest.raises(RailLimitError):
            axis.jog(high + 100)
        assert rig.steps() == before
        assert axis.status().position == 0.0

    def test_what_the_user_forbids_is_no_part_of_the_limits(self, rig: Rig, axis: Axis) -> None:
        axis.zero()
        low, high = axis.limits
        axis.keep_below(self.reach_um / 4)
        assert axis.limits == (low, self.reach_um / 4)
        before = rig.steps()
        with pytest.raises(RailLimitError):
            axis.move_to(self.reach_um / 2)
        assert rig.steps() == before
        assert axis.status().position == 0.0
        axis.keep_below(None)
        assert axis.limits == (low, high)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_what_is_no_number_moves_nothing(self, rig: Rig, axis: Axis, value: float) -> None:
        axis.zero()
        before = rig.steps()
        with pytest.raises(RailUsageError):
            axis.move_to(value)
        with pytest.raises(RailUsageError):
            axis.jog(value)
        assert rig.steps() == before

    def test_a_jog_keeps_a_known_position(self, rig: Rig, axis: Axis) -> None:
        axis.zero()
        start = (rig.steps() or 0, 0.0)
        for distance in (0.2 * self.reach_um, -0.31 * self.reach_um, 0.0):
            self.counted(rig, axis, axis.jog(distance), start)
        assert axis.status().position == pytest.approx(-0.11 * self.reach_um, abs=1.5 * axis.capabilities.resolution)

    def test_stop_at_rest_changes_nothing(self, rig: Rig, axis: Axis) -> None:
        axis.zero()
        axis.move_to(0.1 * self.reach_um)
        before, steps = axis.status(), rig.steps()
        assert axis.stop() == before
        assert axis.stop() == before
        assert rig.steps() == steps

    def test_stop_in_a_move_keeps_the_position(self, rig: Rig, axis: Axis) -> None:
        axis.zero()
        start = (rig.steps() or 0, 0.0)
        rig.call_when(self.half_way(rig, axis), axis.stop)
        with pytest.raises(RailStoppedError):
            axis.move_to(self.reach_um)
        status = axis.status()
        assert status.state is AxisState.IDLE
        assert status.position_known
        assert status.position is not None
        assert 0 < status.position < self.reach_um
        self.counted(rig, axis, status, start)
        assert axis.move_to(0.0).position == 0.0
        assert rig.steps() in {None, start[0]}

    def test_stop_in_a_jog_returns_where_it_stands(self, rig: Rig, axis: Axis) -> None:
        axis.zero()
        start = (rig.steps() or 0, 0.0)
        rig.call_when(self.half_way(rig, axis), axis.stop)
        status = axis.jog(self.reach_um)
        assert status.state is AxisState.IDLE
        assert status.position is not None
        assert 0 < status.position < self.reach_um
        self.counted(rig, axis, status, start)

    @pytest.mark.parametrize("how", ["move", "jog"])
    def test_an_interrupt_stops_the_motion(self, rig: Rig, how: str) -> None:
        start = (0, 0.0)

        def session() -> None:
            nonlocal start
            with rig.open() as axis:
                axis.zero()
                start = (rig.steps() or 0, 0.0)
                rig.call_when(self.half_way(rig, axis), rig.interrupt)
                axis.move_to(self.reach_um) if how == "move" else axis.jog(self.reach_um)

        with pytest.raises(KeyboardInterrupt):
            session()
        stopped = rig.steps()
        with rig.open() as axis:
            status = axis.status()
            assert status.state is AxisState.IDLE
            assert rig.steps() == stopped
            assert status.position is not None
            assert 0 < status.position < self.reach_um
            self.counted(rig, axis, status, start)

    def test_a_new_program_knows_the_position(self, rig: Rig, axis: Axis) -> None:
        axis.zero()
        start = (rig.steps() or 0, 0.0)
        status = axis.move_to(0.37 * self.reach_um)
        axis.close()
        for share in (0.371, 0.05):
            with rig.open() as again:
                assert again.status() == status
                status = again.move_to(share * self.reach_um)
                self.counted(rig, again, status, start)

    def test_a_restart_loses_the_position(self, rig: Rig, axis: Axis) -> None:
        if not self.can_restart:
            return
        axis.zero()
        axis.move_to(0.1 * self.reach_um)
        axis.close()
        rig.restart()
        with rig.open() as again:
            status = again.status()
            assert not status.position_known
            assert status.position is None
            if status.state is AxisState.ALARM:
                status = again.unlock()
            assert not status.position_known
            with pytest.raises(RailPositionUnknownError):
                again.move_to(0.0)

    def test_a_restart_in_mid_session_is_noticed(self, rig: Rig, axis: Axis) -> None:
        if not self.can_restart:
            return
        axis.zero()
        rig.restart()
        with pytest.raises(RailError) as caught:
            axis.move_to(0.1 * self.reach_um)
        assert caught.value.remedy
        status = axis.status()
        assert not status.position_known
        if status.state is AxisState.ALARM:
            axis.unlock()
        assert axis.zero().position == 0.0

    def test_a_killed_programs_motion_is_stopped_first(self, rig: Rig) -> None:
        axis = rig.open()
        axis.zero()
        start = (rig.steps() or 0, 0.0)

        def die() -> None:
            rig.kill(axis)

        rig.call_when(self.half_way(rig, axis), die)
        with pytest.raises(RailPortError):
            axis.move_to(self.reach_um)
        assert axis.status().state is AxisState.DISCONNECTED
        assert not axis.status().position_known
        axis.close()
        with rig.open() as again:
            status = again.status()
            assert status.state is AxisState.IDLE
            assert status.position is not None
            self.counted(rig, again, status, start)
            assert again.move_to(0.0).position == 0.0
            assert rig.steps() in {None, start[0]}

    def test_closing_twice_is_fine_and_ends_it(self, rig: Rig, axis: Axis) -> None:
        axis.close()
        axis.close()
        assert axis.status().state is AxisState.DISCONNECTED
        assert axis.stop().state is AxisState.DISCONNECTED
        for operation in (lambda: axis.move_to(0.0), lambda: axis.jog(1.0), axis.zero, axis.home, axis.unlock):
            with pytest.raises(RailError) as caught:
                operation()
            assert caught.value.remedy

    def test_home(self, rig: Rig, axis: Axis) -> None:
        if not axis.capabilities.can_home:
            with pytest.raises(RailRefusedError) as caught:
                axis.home()
            assert "zero" in caught.value.remedy
            return
        status = axis.home()
        assert status == AxisStatus(AxisState.IDLE, 0.0, position_known=True, homed=True)
        home_steps = rig.steps()
        low, high = axis.limits
        away = max(-self.reach_um, low) if abs(low) > abs(high) else min(self.reach_um, high)
        assert axis.move_to(away).homed
        axis.close()
        with rig.open() as again:
            assert again.status().homed
            assert again.move_to(0.0).position == 0.0
            assert rig.steps() == home_steps
            assert not again.zero().homed
