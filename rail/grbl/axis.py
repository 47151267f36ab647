"""A controller as an `rail.axis.Axis`: absolute positions in um, kept truthful.

The origin lives in the controller (see `rail.mark`), so it survives from one process to the next and dies with the
controller's memory. Each operation leaves the carriage at rest on a step the ledger knows, or says that it cannot.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rail.axis import AxisCapabilities, AxisState, AxisStatus, AxisUnit
from rail.errors import (
    RailAlarmError,
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
    RailTimeoutError,
    RailUsageError,
)
from rail.grbl import reach
from rail.grbl.carriage import Carriage
from rail.grbl.configure import Change, changes
from rail.grbl.controller import Identity
from rail.grbl.controls import Controls
from rail.grbl.diagnose import Finding, Setup, diagnose
from rail.grbl.link import LINE_S, Link
from rail.grbl.position import StepGrid
from rail.grbl.rates import Rates
from rail.grbl.turn import Turn
from rail.greeting import greet
from rail.profiles import RailProfile

_log = logging.getLogger(__name__)

_STATES = {
    "Idle": AxisState.IDLE,
    "Run": AxisState.MOVING,
    "Jog": AxisState.MOVING,
    "Hold": AxisState.HOLDING,
    "Door": AxisState.HOLDING,
    "Home": AxisState.HOMING,
    "Alarm": AxisState.ALARM,
}
OUTPUTS_OFF = "M9"
_STOP_S = 5.0
_BOOT_S = 2.0
_SCALE = {3, 100}  # settings that change where a count of steps is
_ORIGIN_REMEDY = (
    "Home it with `focusrail rail home` (--origin home), or zero it where it stands with `focusrail rail zero` "
    "(--origin here)."
)


class GrblAxis:
    """One rail behind a controller of GRBL's family or Marlin; make one with `connect` or `rail.ports.open_axis`.

    One thread at a time operates it. `stop` may be called from another thread, or by a signal handler: the operation
    under way then ends by itself within 50 ms.
    """

    def __init__(
        self, carriage: Carriage, profile: RailProfile, identity: Identity, settings: dict[int, float]
    ) -> None:
        self._carriage = carriage
        self._controller = carriage.controller
        self._ledger = carriage.ledger
        self._grid = carriage.grid
        self._profile = profile
        self._identity = identity
        self._settings = settings
        self._turn = Turn()
        self._notices: list[str] = []
        self._restart_untold = False
        self._was_unlocked = False

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
        rest = controller.halt(need_offset=True)
        identity = controller.identify()
        settings = controller.settings()
        grid = _step_grid(profile, settings, controller)
        carriage = Carriage(controller, grid, Rates.of(profile, settings, grid))
        axis = cls(carriage, profile, identity, settings)
        if rest.was_moving:
            axis._say("The controller was moving or held when it was opened; it was stopped first.")
        if rest.reset:
            carriage.restore(rest, scale=25.4 if controller.inches else 1.0)
        carriage.learn()
        if controller.outputs_on:  # whoever pressed a shutter here is gone
            controller.let_go(OUTPUTS_OFF, axis._output_s)
            axis._say("An output of the controller (a shutter) was on when it was opened; it was switched off first.")
        if carriage.known and not carriage.ledger.exact and rest.status.state == "Idle":
            carriage.snap()
        return axis

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know about how the axis was found."""
        return tuple(self._notices)

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
        """The controller's ``$`` settings, number to value, read now.

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
        settings = self.settings()
        with self._turn.taken():
            pins = self._controller.report().pins
        return diagnose(
            Setup(settings, self._profile, self._identity, pins, self.reset_on_open, self._controller.setting_name)
        )

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
            The controller does not take one; those before it are written.
        RailProtocolError
            It took one and shows another.
        """
        with self._turn.taken():
            self._ready(any_state=True)
            if any(change.number in _SCALE for change in wanted):
                self._carriage.forget_origin()
                self._ledger.lose("the controller's scale was changed")
            for change in wanted:
                self._controller.write_setting(change.number, change.wanted)
            hint = self._controller.store_settings() if wanted else ""
            self._settings = self._controller.settings()
            left = changes(self._profile, self._settings, self._identity.dialect, self._controller.setting_name)
            unwritten = [change for change in left if change.number in {c.number for c in wanted}]
            self._grid = _step_grid(self._profile, self._settings, self._controller)
            self._carriage = Carriage(self._controller, self._grid, Rates.of(self._profile, self._settings, self._grid))
            self._ledger = self._carriage.ledger
            self._carriage.learn()
        if unwritten:
            said = ", ".join(f"{change.name}={change.now:g} instead of {change.wanted:g}" for change in unwritten)
            raise RailProtocolError(
                f"The controller took the settings and shows others: {said}.",
                remedy="Write them again; check the cable if it stays.",
                state="At rest.",
            )
        return hint

    def home(self) -> AxisStatus:
        """Find the end switch; the place where homing ends becomes `RailProfile.home_position_um` (0).

        Raises
        ------
        RailAlarmError
            Homing failed: switch not found or stuck.
        RailRefusedError
            Homing is not enabled.
        """
        with self._turn.taken():
            self._take_in()
            self._restart_untold = False  # which this answers
            if not self._settings.get(22, 0):
                self._settings = self._controller.settings()
            if not self._settings.get(22, 0):
                raise self._controller.link.book.refused(5, "$H", state="Nothing has moved.")
            if self._controller.link.alarm is not None or self._ready(any_state=True) != "Idle":
                self._unlock()
            self._carriage.forget_origin()
            self._ledger.lose("homing did not finish")
            with self._halting():
                said = self._controller.home(self._carriage.rates.homing_s, on_slice=self._turn.check)
            for text in said:  # a firmware that found its switch elsewhere than expected says so: steps had been lost
                self._say(f"While homing the controller said: {text}.")
            x = self._controller.machine(self._controller.rest_report())[0]
            self._ledger.arrive(self._grid.steps_at(x))  # GRBL sets the count from $27 and $130: one it can report
            self._carriage.rising = None
            self._carriage.set_origin(self._profile.home_position_um, homed=True)
            return self._axis_status(AxisState.IDLE)

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

    @property
    def has_mist_output(self) -> bool:
        """The controller was built with M7, as its options ($I) say."""
        return "M" in self._identity.options.split(",")[0]

    def pulse(self, words: Sequence[tuple[str, float]], rest_s: float = 0.0) -> tuple[float, ...]:
        """Switch outputs on, one word after the other, each kept on for some seconds; then off, by whatever way this ends.

        Parameters
        ----------
        words : sequence of (str, float)
            Planner-synchronised words (``M7``, ``M8``): each waits for the motion before it. With the seconds until the next.
        rest_s : float
            Watched after that, too: a controller that fails is noticed.

        Returns
        -------
        tuple of float
            When each word was acknowledged: seconds of `time.time`.

        Raises
        ------
        RailRefusedError
            The controller does not know a word.
        RailStoppedError
            `stop` ended it.
        RailDeviceError
            What was on is off, or the message says that it may not be.
        """
        with self._turn.taken():
            self._ready()
            controller, at = self._controller, []
            with self._halting():
                try:
                    for word, seconds in words:
                        controller.command(word, self._output_s)
                        at.append(time.time())
                        controller.watch(seconds, on_slice=self._turn.check)
                finally:
                    if controller.link.open:
                        controller.let_go(OUTPUTS_OFF, self._output_s)
                controller.watch(rest_s, on_slice=self._turn.check)
            return tuple(at)

    @property
    def _output_s(self) -> float:
        """Deadline for an output word: focusrail's firmware waits for settle, half press and hold inside it."""
        return LINE_S + sum(self._settings.get(number, 0.0) for number in (272, 273, 274)) / 1000

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
                return self._axis_status(_STATES.get(state, AxisState.UNKNOWN))
            except RailPortError:
                return self._gone()

    def close(self) -> None:
        """Stop motion and close the port; the motor stays powered. Idempotent."""
        link = self._controller.link
        try:
            if link.open:
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

    @contextmanager
    def _halting(self) -> Iterator[None]:
        """Whatever ends the block early, the axis is brought to rest before the error goes on."""
        try:
            yield
        except RailPortError:
            self._ledger.lose("the link was lost in motion")
            raise
        except (RailResetError, RailAlarmError, RailRefusedError) as error:
            if self._restarted(error):
                raise self._told_restart() from error
            if isinstance(error, RailAlarmError):
                self._ledger.lose("the controller went into alarm")
            else:
                self._stop_after(error)
            raise
        except BaseException as error:
            self._stop_after(error)
            if self._restart_untold and isinstance(error, RailDeviceError):
                raise self._told_restart() from error
            raise

    def _stop_after(self, error: BaseException) -> None:
        _log.info("stopping: %s", type(error).__name__)
        try:
            self._carriage.halt()
        except RailResetError:
            self._restart_untold = True
        except RailError as second:
            self._carriage.stale = True
            _log.warning("stopping failed, too: %s", second)

    def _take_in(self) -> None:
        """Read what came since the last operation."""
        link = self._controller.link
        link.drain()
        if link.reset_seen:
            link.reset_seen = False
            self._restart_untold = True
            self._ledger.lose("the controller restarted")
            self._carriage.stale = True
        if link.alarm is not None:
            self._ledger.lose(f"the controller went into ALARM:{link.alarm}")

    def _restarted(self, error: RailDeviceError) -> bool:
        """Does a restart stand behind `error`? A controller that homes restarts locked: its refusals are not the cause.

        A boot loader is silent for a while before the banner; so silence is listened to.
        """
        link = self._controller.link
        if not isinstance(error, RailResetError):
            try:
                self._take_in()
                deadline = link.now() + (_BOOT_S if isinstance(error, RailTimeoutError) else 0.0)
                while not self._restart_untold and link.now() < deadline:
                    link.receive(link.now() + 0.05)
                    self._take_in()
            except RailPortError:
                return False
        return isinstance(error, RailResetError) or self._restart_untold

    def _told_restart(self) -> RailResetError:
        """The error that tells of a restart, once."""
        self._restart_untold = False
        self._controller.link.reset_seen = False
        self._ledger.lose("the controller restarted")
        self._carriage.stale = True
        return self._controller.link.reset_error()

    def _ready(self, *, any_state: bool = False) -> str:
        """Make sure that the axis is at rest, answers, and stands where the ledger says; return GRBL's state."""
        link, carriage = self._controller.link, self._carriage
        try:
            self._take_in()
            if self._restart_untold and not any_state:
                raise link.reset_error()
            if link.alarm is not None:
                raise link.book.alarmed(link.alarm)
            if carriage.stale or link.outstanding:
                carriage.recover()
            status = self._controller.report()
            if not status.at_rest or status.state in {"Hold", "Door"}:
                self._say("The controller was moving or held by something else; it was stopped first.")
                status = carriage.halt()
            if status.state == "Alarm" and not any_state:
                # Locked without an ALARM: it restarted, and its banner was lost.
                self._restart_untold |= self._was_unlocked and not link.doubtful
                raise link.book.alarmed(None)
            self._was_unlocked = status.state == "Idle"
            carriage.agree(status)
        except RailPortError:
            self._ledger.lose("the link was lost")
            raise
        except (RailResetError, RailAlarmError, RailRefusedError, RailTimeoutError) as error:
            if self._restarted(error):
                raise self._told_restart() from error
            if isinstance(error, RailAlarmError):
                self._ledger.lose("the controller went into alarm")
            raise
        if status.state in {"Check", "Sleep"} and not any_state:
            raise RailDeviceError(
                f"The controller is in its {status.state.lower()} mode and would not move.",
                remedy="Leave it with `focusrail rail unlock`.",
                state="At rest.",
            )
        return status.state

    def _read_status(self) -> AxisStatus:
        carriage = self._carriage
        try:
            if not self._controller.link.open:
                return self._gone()
            self._take_in()
            status = self._controller.report()
            if carriage.stale and status.at_rest and status.state != "Alarm":
                carriage.recover()
                status = self._controller.report()
            if status.at_rest:
                carriage.agree(status)
            return self._axis_status(_STATES.get(status.state, AxisState.UNKNOWN))
        except RailPortError:
            return self._gone()
        except RailResetError:
            self._ledger.lose("the controller restarted")
            carriage.stale = True
            self._restart_untold = True
            return self._axis_status(AxisState.UNKNOWN)
        except RailDeviceError as error:
            _log.warning("%s", error)
            carriage.stale = True
            # A critical alarm answers nothing until a reset.
            alarm = self._controller.link.alarm is not None
            return self._axis_status(AxisState.ALARM if alarm else AxisState.UNKNOWN)

    def _unlock(self) -> None:
        link, carriage = self._controller.link, self._carriage
        self._restart_untold = False
        try:
            link.drain()
            self._controller.unlock()
        except RailResetError:
            self._controller.unlock()
        link.drain()
        if link.reset_seen:
            link.reset_seen = False
            self._ledger.lose("the controller restarted")
        carriage.stale = False
        carriage.learn()

    def _axis_status(self, state: AxisState) -> AxisStatus:
        ledger, known = self._ledger, self._carriage.known
        return AxisStatus(state, ledger.position_um if known else None, known, ledger.homed and known)

    def _in_motion(self) -> AxisStatus:
        return AxisStatus(AxisState.MOVING, self._carriage.seen_um, self._carriage.known, self._ledger.homed)

    def _gone(self) -> AxisStatus:
        self._ledger.lose("the link was lost")
        return self._axis_status(AxisState.DISCONNECTED)

    def _say(self, notice: str) -> None:
        _log.warning("%s", notice)
        self._notices.append(notice)


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
