"""What stands round every operation of an axis: readiness before it, rest after it, and a position believed only while nothing
speaks against it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rail.axis import AxisState, AxisStatus
from rail.errors import (
    RailAlarmError,
    RailDeviceError,
    RailError,
    RailPortError,
    RailRefusedError,
    RailResetError,
    RailTimeoutError,
)
from rail.grbl.carriage import Carriage
from rail.grbl.contact import HARD_LIMIT, SwitchPlace, place_of
from rail.grbl.identity import Identity
from rail.profiles import RailProfile
from rail.turn import Turn

_log = logging.getLogger(__name__)

STATES = {
    "Idle": AxisState.IDLE,
    "Run": AxisState.MOVING,
    "Jog": AxisState.MOVING,
    "Hold": AxisState.HOLDING,
    "Door": AxisState.HOLDING,
    "Home": AxisState.HOMING,
    "Alarm": AxisState.ALARM,
}
_LISTEN_S = 0.1
_SWIFT_UM = 100.0  # a switch that is met at speed is met less exactly


class GuardedAxis:
    """Carriage, ledger and turn of one axis, and what keeps them true."""

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
        self._shift_um: float | None = None
        self._locked_at_contact = False
        self._silent = False

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know about how the axis was found, and what homing found out."""
        return tuple(self._notices)

    @contextmanager
    def _halting(self, *, homing: bool = False) -> Iterator[None]:
        """Whatever ends the block early, the axis is brought to rest before the error goes on.

        One that does not answer is only told to: what more can be done takes time, and is done by the next operation. But
        `homing` hears nothing but a reset.
        """
        place = place_of(self._carriage, self._profile, self._settings)
        try:
            yield
        except RailPortError:
            self._ledger.lose("the link was lost in motion")
            raise
        except (RailResetError, RailAlarmError, RailRefusedError) as error:
            if self._restarted(error):
                raise self._told_restart() from error
            if not isinstance(error, RailAlarmError):
                self._stop_after(error)
                raise
            told = self._slipped(error, place)
            self._ledger.lose("the controller went into alarm")
            if told is None:
                raise
            raise told from error
        except BaseException as error:
            if isinstance(error, RailTimeoutError) and self._controller.link.silent and not homing:
                raise self._mute(error) from error
            self._stop_after(error)
            if self._restart_untold and isinstance(error, RailDeviceError):
                raise self._told_restart() from error
            raise

    def _slipped(self, error: RailAlarmError, place: SwitchPlace | None) -> RailAlarmError | None:
        """What a hard limit says of the steps before it, where the position came from the switch at `place`."""
        if error.code != HARD_LIMIT or place is None or place.contact is None:
            return None
        try:
            met = self._grid.steps_at(self._controller.place_in_alarm()[0])
        except RailError as second:
            _log.info("where the switch was met is not known: %s", second)
            return None
        self._was_unlocked = False  # that reset was ours
        off_um = abs(self._grid.um(met - place.contact))
        if off_um <= _SWIFT_UM:
            return None
        return RailAlarmError(
            f"{error.message} It was met {off_um:.0f} um from its place: steps had been lost since the rail was homed, or the "
            "carriage was moved by hand.",
            code=error.code,
            remedy=error.remedy,
            state=error.state,
        )

    def _mute(self, error: RailTimeoutError) -> RailDeviceError:
        """The error for a controller that fell silent in motion; it has been told to hold."""
        self._carriage.stale = self._silent = True
        try:
            state = self._controller.hold()
        except RailPortError as lost:
            self._ledger.lose("the link was lost in motion")
            return lost
        if self._restarted(error):
            return self._told_restart()
        return RailTimeoutError(error.message, remedy=error.remedy, state=state)

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
            self._carriage.restarted()
        if link.alarm is not None:
            self._ledger.lose(f"the controller went into ALARM:{link.alarm}")

    def _restarted(self, error: RailDeviceError) -> bool:
        """Does a restart stand behind `error`? A controller that homes restarts locked: its refusals are not the cause.

        A boot loader is silent before the banner for longer than is waited here: then the next operation tells of it.
        """
        link = self._controller.link
        if not isinstance(error, RailResetError):
            try:
                self._take_in()
                while (
                    isinstance(error, RailTimeoutError)
                    and not self._restart_untold
                    and link.now() < link.silent_since_s + _LISTEN_S
                ):
                    link.receive(link.silent_since_s + _LISTEN_S)
                    self._take_in()
            except RailPortError:
                return False
        return isinstance(error, RailResetError) or self._restart_untold

    def _told_restart(self) -> RailResetError:
        """The error that tells of a restart, once."""
        self._restart_untold = False
        self._controller.link.reset_seen = False
        self._carriage.restarted()
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
            if self._silent:
                self._controller.report()  # before more is tried, which takes seconds
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
            self._silent = False
            carriage.agree(status)
        except RailPortError:
            self._ledger.lose("the link was lost")
            raise
        except (RailResetError, RailAlarmError, RailRefusedError, RailTimeoutError) as error:
            if self._restarted(error):
                raise self._told_restart() from error
            if isinstance(error, RailAlarmError):
                self._ledger.lose("the controller went into alarm")
            self._silent = link.silent
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
            self._silent = False
            if carriage.stale and status.at_rest and status.state != "Alarm":
                carriage.recover()
                status = self._controller.report()
            if status.at_rest:
                carriage.agree(status)
            alarmed = self._controller.link.alarm is not None and status.at_rest  # Marlin's reports do not say so
            return self._axis_status(AxisState.ALARM if alarmed else STATES.get(status.state, AxisState.UNKNOWN))
        except RailPortError:
            return self._gone()
        except RailResetError:
            carriage.restarted()
            self._restart_untold = True
            return self._axis_status(AxisState.UNKNOWN)
        except RailDeviceError as error:
            _log.warning("%s", error)
            carriage.stale = True
            self._silent = self._controller.link.silent
            # A critical alarm answers nothing until a reset.
            alarm = self._controller.link.alarm is not None
            return self._axis_status(AxisState.ALARM if alarm else AxisState.UNKNOWN)

    def _end_hold(self) -> None:
        """GRBL answers no line while it is held: come to rest first, the origin kept."""
        try:
            state = self._controller.report().state
        except (RailTimeoutError, RailAlarmError):
            return
        if state in {"Hold", "Door", "Run", "Jog"}:
            self._carriage.halt()

    def _unlock(self) -> None:
        link, carriage = self._controller.link, self._carriage
        self._restart_untold = False
        try:
            link.drain()
            self._end_hold()
            self._controller.unlock()
        except RailResetError:
            self._controller.unlock()
        link.drain()
        if link.reset_seen:
            link.reset_seen = False
            carriage.restarted()
        carriage.stale = False
        carriage.learn()

    def _axis_status(self, state: AxisState) -> AxisStatus:
        ledger, known = self._ledger, self._carriage.known
        if not known:
            return AxisStatus(state, None, position_known=False, homed=False)
        return AxisStatus(state, ledger.position_um, known, ledger.homed, self._carriage.origin_name)

    def _in_motion(self) -> AxisStatus:
        return AxisStatus(AxisState.MOVING, self._carriage.seen_um, self._carriage.known, self._ledger.homed)

    def _gone(self) -> AxisStatus:
        self._ledger.lose("the link was lost")
        return self._axis_status(AxisState.DISCONNECTED)

    def _say(self, notice: str) -> None:
        _log.warning("%s", notice)
        self._notices.append(notice)
