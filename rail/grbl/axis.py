"""A controller as an `rail.axis.Axis`: absolute positions in um, kept truthful.

The origin lives in the controller (see `rail.mark`), so it survives from one process to the next and dies with the
controller's memory. Each operation leaves the carriage at rest on a step the ledger knows, or says that it cannot.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from rail.axis import AxisCapabilities, AxisState, AxisStatus, AxisUnit
from rail.errors import (
    RailBusyError,
    RailDeviceError,
    RailError,
    RailLimitError,
    RailPortError,
    RailPositionUnknownError,
    RailProtocolError,
    RailRefusedError,
    RailResetError,
    RailStoppedError,
    RailUsageError,
)
from rail.grbl import reach
from rail.grbl.carriage import Carriage
from rail.grbl.configure import Change, changes
from rail.grbl.controls import Controls
from rail.grbl.diagnose import diagnose
from rail.grbl.findings import Finding, Setup
from rail.grbl.guard import STATES
from rail.grbl.homing import HomingAxis
from rail.grbl.identity import Identity
from rail.grbl.link import Link
from rail.grbl.outputs import OUTPUTS_OFF, OutputAxis
from rail.grbl.position import StepGrid
from rail.grbl.rates import Rates
from rail.greeting import greet
from rail.profiles import RailProfile

_log = logging.getLogger(__name__)

_STOP_S = 5.0
_SCALE = {3, 100}  # settings that change where a count of steps is
_WOKEN = {
    "Sleep": "The controller was asleep when it was opened, its motor let go; a soft reset woke it.",
    "Check": "The controller was in check mode when it was opened, in which nothing moves; a soft reset ended that.",
    "Idle": "The controller read no lines when it was opened: it was busy with another program's, a dwell (G4) perhaps, and what "
    "may have stood behind that. A soft reset ended it, before anything of it could move.",
}
_ORIGIN_REMEDY = (
    "Home it with `focusrail rail home` (--origin home), or zero it where it stands with `focusrail rail zero` "
    "(--origin here)."
)


class GrblAxis(HomingAxis, OutputAxis):
    """One rail behind a controller of GRBL's family or Marlin; make one with `connect` or `rail.ports.open_axis`.

    One thread at a time operates it. `stop` may be called from another thread, or by a signal handler: the operation
    under way then ends by itself within 50 ms.
    """

    _unread = False  # settings were written and could not be read again

    @classmethod
    def connect(cls, link: Link, profile: RailProfile) -> Self:
        """Greet, stop what a predecessor left moving, identify, read settings and position. Closes `link` on failure.

        Raises
        ------
        RailUnknownControllerError, RailTimeoutError, RailPortError, RailProtocolError
        """
        try:
            try:
                return cls._connect(link, profile)
            except RailResetError:  # a controller that restarts when opened may greet once before it does
                link.reset_seen = False
                return cls._connect(link, profile)
        except BaseException:
            link.close()
            raise

    @classmethod
    def _connect(cls, link: Link, profile: RailProfile) -> Self:
        controller = greet(link)
        found = controller.halt(need_offset=True)
        rest = controller.wake(found)
        identity = controller.identify()
        settings = controller.settings()
        grid = _step_grid(profile, settings, controller)
        carriage = Carriage(controller, grid, Rates.of(profile, settings, grid))
        axis = cls(carriage, profile, identity, settings)
        if rest.was_moving:
            axis._say("The controller was moving or held when it was opened; it was stopped first.")
        elif rest is not found:
            axis._say(_WOKEN[found.status.state])
        if rest.reset:
            carriage.restore(rest, scale=25.4 if controller.inches else 1.0)
        carriage.learn()
        if controller.outputs_on:  # whoever pressed a shutter here is gone
            controller.let_go(OUTPUTS_OFF, axis._output_s)
            carriage.learn()  # where that took a reset, no origin is left
            axis._say("An output of the controller (a shutter) was on when it was opened; it was switched off first.")
        if carriage.known and not carriage.ledger.exact and rest.status.state == "Idle":
            carriage.snap()
        return axis

    @property
    def identity(self) -> Identity:
        """Who the controller says it is."""
        return self._identity

    @property
    def profile(self) -> RailProfile:
        """The profile in use."""
        return self._profile

    @property
    def rested_s(self) -> float | None:
        """When the motor stopped after the last move (`time.monotonic`); None after a jog, whose end is seen too late."""
        return self._carriage.rested_s

    @property
    def reset_on_open(self) -> bool:
        """True where the controller restarted when its port was opened."""
        return self._controller.reset_on_open

    @property
    def capabilities(self) -> AxisCapabilities:
        """Micrometres; homing where the controller has it switched on; one step."""
        return AxisCapabilities(AxisUnit.UM, bool(self._settings.get(22, 0)), self._grid.step_um)

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest allowed position, um: the travel once homed, else the profile's range."""
        return reach.limits(self._profile, self._settings, self._ledger)

    def status(self) -> AxisStatus:
        """Read the axis now; a lost link is ``disconnected``, a silent controller ``unknown``; neither is raised.

        While another thread moves the axis, the last position seen is returned.
        """
        try:
            # A stop is short, and what it leaves is worth waiting for.
            with self._turn.taken(wait_s=_STOP_S if self._turn.stopping else 0.05):
                return self._read_status()
        except RailBusyError:
            return self._in_motion()

    def settings(self) -> dict[int, float]:
        """The controller's settings under GRBL's numbers and in its units, read now.

        Raises
        ------
        RailDeviceError
        """
        with self._turn.taken():
            self._ready(any_state=True)
            self._settings = self._controller.settings()
            return dict(self._settings)

    def diagnose(self) -> list[Finding]:
        """What is wrong with the controller's set-up for this rail, and how to mend it."""
        settings, controller, homed = self.settings(), self._controller, self._ledger.homed
        with self._turn.taken():
            pins, startup = controller.report().pins, controller.startup_lines()
        who, named = self._identity, controller.setting_name
        return diagnose(Setup(settings, self._profile, who, pins, self.reset_on_open, named, homed, startup))

    def setting_name(self, number: int) -> str:
        """How GRBL's setting `number` is called on this controller."""
        return self._controller.setting_name(number)

    def changes(self) -> list[Change]:
        """What of the controller's settings the profile would change."""
        return changes(self._profile, self.settings(), self._identity.dialect, self._controller.setting_name)

    def write(self, wanted: Sequence[Change]) -> str:
        """Write settings one by one, read them back, and go on with them; the origin is forgotten where they move it.

        Returns what the user has to do to keep them, "" where nothing.

        Raises
        ------
        RailRefusedError
            The controller does not take one; those before it are written, and are gone on with.
        RailProtocolError
            It took one and shows another.
        """
        with self._turn.taken():
            self._ready(any_state=True)
            if any(change.number in _SCALE for change in wanted):
                self._carriage.forget_origin()
                self._ledger.lose("the controller's scale was changed")
            try:
                for change in wanted:
                    self._controller.write_setting(change.number, change.wanted)
                hint = self._controller.store_settings() if wanted else ""
            except RailDeviceError:  # those before it count
                self._unread = True
                with suppress(RailDeviceError):
                    self._take_up_settings()
                raise
            self._take_up_settings()
            left = changes(self._profile, self._settings, self._identity.dialect, self._controller.setting_name)
            unwritten = [change for change in left if change.number in {c.number for c in wanted}]
        if unwritten:
            said = ", ".join(f"{change.name}={change.now:g} instead of {change.wanted:g}" for change in unwritten)
            raise RailProtocolError(
                f"The controller took the settings and shows others: {said}.",
                remedy="Write them again; check the cable if it stays.",
                state="At rest.",
            )
        return hint

    def _ready(self, *, any_state: bool = False) -> str:
        state = super()._ready(any_state=any_state)
        if self._unread:
            self._take_up_settings()
        return state

    def _take_up_settings(self) -> None:
        self._settings = self._controller.settings()
        self._unread = False
        self._grid = _step_grid(self._profile, self._settings, self._controller)
        self._carriage = Carriage(self._controller, self._grid, Rates.of(self._profile, self._settings, self._grid))
        self._ledger = self._carriage.ledger
        self._carriage.learn()

    def zero(self) -> AxisStatus:
        """Call the present position 0.

        Raises
        ------
        RailAlarmError
            The controller is locked.
        """
        return self.set_position(0.0)

    def set_position(self, position: float) -> AxisStatus:
        """Call the present place `position`, um, rounded to whole steps: found again by other means than a switch.

        Raises
        ------
        RailAlarmError
            The controller is locked.
        """
        reach.finite(position, "position")
        with self._turn.taken():
            self._take_in()
            self._restart_untold = False  # which this answers
            self._ready()
            with self._halting():
                self._carriage.snap()
            self._carriage.set_origin(position, homed=False)
            return self._axis_status(AxisState.IDLE)

    def unlock(self) -> AxisStatus:
        """Leave an alarm, a sleep or a check mode.

        Raises
        ------
        RailAlarmError
            It did not unlock.
        """
        with self._turn.taken():
            self._unlock()
            return self._axis_status(AxisState.IDLE)

    def move_to(self, target: float) -> AxisStatus:
        """Go to `target`, um, from the profile's side, and return once the axis stands there, as its own count says.

        Raises
        ------
        RailPositionUnknownError, RailLimitError, RailUsageError
            Nothing has moved.
        RailStoppedError
            `stop` ended the move; the position is kept.
        RailDeviceError
            The controller failed; motion was stopped where that was possible.
        """
        with self._turn.taken():
            reach.finite(target, "position")
            self._ready()
            ledger = self._ledger
            if ledger.origin is None:
                raise RailPositionUnknownError(
                    f"The position is unknown: {ledger.reason}.", remedy=_ORIGIN_REMEDY, state="At rest."
                )
            allowed = self.limits
            reach.check_target(target, allowed, ledger)
            goal = ledger.target(target)
            upwards = self._profile.approach_sign > 0
            if goal == ledger.machine and ledger.exact and self._carriage.rising is upwards:
                return self._axis_status(AxisState.IDLE)
            with self._halting():
                rising = self._carriage.rising
                start = reach.approach_from(goal, self._profile, allowed, ledger, rising=rising)
                if start is not None:
                    self._carriage.go(start, on_slice=self._turn.check)
                self._carriage.go(goal, on_slice=self._turn.check)
            return self._axis_status(AxisState.IDLE)

    def jog(self, distance: float) -> AxisStatus:
        """Move by `distance`, um, from wherever the axis is. `stop` cancels it; the position read then is returned.

        Raises
        ------
        RailLimitError
            It would leave the allowed range, or is longer than that range while the position is unknown.
        RailDeviceError
        """
        with self._turn.taken():
            reach.finite(distance, "distance")
            self._ready()
            ledger = self._ledger
            reach.check_jog(distance, self.limits, ledger)
            goal = (ledger.machine or 0) + self._grid.steps(distance)
            try:
                with self._halting():
                    self._carriage.go(goal, jog=True, on_slice=self._turn.check)
            except RailStoppedError:
                return self._axis_status(AxisState.IDLE)
            except RailRefusedError as error:
                if error.code != 15:
                    raise
                raise RailLimitError(error.message, remedy=error.remedy, state="Nothing has moved.") from error
            return self._axis_status(AxisState.IDLE)

    def stop(self) -> AxisStatus:
        """Stop motion at once and keep the position.

        Called while another operation runs (from another thread, or by a signal handler in the same one) it makes that
        operation stop.
        """
        if self._turn.mine:
            self._turn.ask_stop()
            return self._in_motion()
        with self._turn.taken(by_stopping=True):
            if not self._controller.link.open:
                return self._gone()
            try:
                self._take_in()
                state = self._carriage.halt().state
                return self._axis_status(STATES.get(state, AxisState.UNKNOWN))
            except RailPortError:
                return self._gone()

    def close(self) -> None:
        """Stop motion and close the port; the motor stays powered. Idempotent."""
        link = self._controller.link
        try:
            if link.open and self._silent and not self._controller.answers():
                self._controller.hold()  # it was told already; whoever opens it next finds it held
            elif link.open:
                self.stop()
        except RailError as error:
            _log.warning("while closing: %s %s", error, error.state)
        finally:
            link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _step_grid(profile: RailProfile, settings: dict[int, float], controller: Controls) -> StepGrid:
    theirs = settings.get(100, 0.0)
    name = controller.setting_name(100)
    if theirs <= 0:
        raise RailUsageError(
            f"The controller's steps/mm are {theirs:g} ({name}).",
            remedy=f"Set {name} to the rail's steps/mm: full steps per turn x microsteps / lead in mm.",
            state="At rest.",
        )
    ours = profile.steps_per_mm or theirs
    if abs(ours - theirs) > 0.002 * theirs:
        _log.warning(
            "profile %s: %.3f steps/mm, the controller's %s is %.3f; the profile counts",
            profile.name,
            ours,
            name,
            theirs,
        )
    return StepGrid(ours, theirs, -1 if profile.invert else 1, controller.report_mm(settings))
