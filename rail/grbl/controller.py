"""What a controller of GRBL's family can be told, in its own units. Knows nothing of origins or profiles."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rail.errors import (
    RailAlarmError,
    RailDeviceError,
    RailProtocolError,
    RailRefusedError,
    RailTimeoutError,
)
from rail.grbl import codes, encode
from rail.grbl.identity import Rest
from rail.grbl.link import LINE_S, POLL_S, RESET_ASKED
from rail.grbl.protocol import Alarm, Banner, Message, Reply, Status
from rail.grbl.reading import ControllerReading, held_error, unanswered_error

_log = logging.getLogger(__name__)

_HALT_S = 15.0
_ALARM_S = 0.55  # GRBL hears no reset in the half second after a hard alarm
_BANNER_S = 0.75  # from a soft reset to the banner, amply
_HEARD_S = 0.1  # and of one that will hardly be heard
_WATCHED_S = 0.5  # three questions
_IDLE_POLL_S = 2 * encode.SYNC_TAKES_S  # one that idles has answered the dwell by then
_SAME = 0.0021  # two roundings of a report that gives work positions


class Controller(ControllerReading):
    """One controller of GRBL's family behind a link. Every method raises rail errors only."""

    hides_pull_off = False
    shows_inputs = True

    def run(
        self,
        machine_mm: float,
        feed_mm_min: float,
        limit_s: float,
        *,
        watch: Callable[[Status], None],
        on_slice: Callable[[], None],
    ) -> None:
        """Move in a straight line and return once the planner is empty (not before the motion has ended)."""
        self._prompt(encode.move(machine_mm, feed_mm_min), LINE_S, when="before a move")
        idle = 0

        def seen(raw: Status) -> None:
            nonlocal idle
            status = self._see(raw)
            idle = idle + 1 if status.state == "Idle" else 0
            if status.state in {"Hold", "Door", "Alarm", "Sleep", "Check"}:
                raise held_error(status.state, "in the middle of a move")
            if idle >= 2:  # one may be stale
                raise unanswered_error("At rest.")
            watch(status)

        self.link.command(
            encode.SYNC, limit_s, watch=seen, poll_after_s=POLL_S, idle_poll_s=_IDLE_POLL_S, on_slice=on_slice
        )

    def jog(
        self,
        machine_mm: float,
        feed_mm_min: float,
        limit_s: float,
        *,
        watch: Callable[[Status], None],
        on_slice: Callable[[], None],
    ) -> None:
        """Jog and return once the controller is idle again."""
        self._prompt(encode.jog(machine_mm, feed_mm_min), LINE_S, when="before a move")

        def done(reply: Reply) -> bool:
            if not isinstance(reply, Status):
                return False
            status = self._see(reply)
            watch(status)
            return status.at_rest

        self.link.exchange(done, limit_s, poll_after_s=0.0, on_slice=on_slice, what="the end of the jog")

    def home(self, limit_s: float, *, on_slice: Callable[[], None]) -> list[str]:
        """Run the homing cycle; what the controller said about it. Status is silent meanwhile, so nothing is asked.

        Raises
        ------
        RailAlarmError
            It failed; an ``ok`` that follows the alarm does not make it a success.
        RailRefusedError
            Homing is not enabled.
        """
        self._homing = True
        try:
            line = self.dialect.home(self._settings, self._options)
            said = self.link.command(line, limit_s, on_slice=on_slice)
        except RailAlarmError as error:
            self._homing = False
            self._await_banner()
            doing = "while homing; it moved Z and not X" if self._homed_z_first() else "while homing"
            hint = self._z_first() if error.code in {8, 9} else ""
            raise self.link.book.alarmed(error.code, doing=doing, hint=hint) from error
        except RailDeviceError as error:
            self._homing = isinstance(error, RailTimeoutError)
            raise
        self._homing = False
        if self.rest_report().state != "Idle":
            raise self.link.book.alarmed(self.link.alarm, doing="after homing", hint=self._z_first())
        return [reply.body for reply in said if isinstance(reply, Message) and reply.tag == "MSG"]

    @contextmanager
    def soft_limits_off(self) -> Iterator[None]:
        """GRBL's soft limits are a setting in its EEPROM, which is left alone."""
        yield

    def place_in_alarm(self) -> tuple[float, ...]:
        """Machine position where a hard limit stopped the motors, mm. What answers nothing until a reset is reset; it stays locked.

        Raises
        ------
        RailTimeoutError, RailPortError
        """
        alarm = self.link.alarm
        self._reset_in_alarm()
        place = self.machine(self.rest_report())
        self.link.alarm = alarm
        return place

    def _reset_in_alarm(self) -> None:
        """Soft reset, once it is heard, if there was none since the alarm; the controller stays locked."""
        link = self.link
        if not link.numb:
            return
        alarm, deadline = link.alarm, link.now() + _ALARM_S
        while (reply := link.receive(deadline)) is not None and reply != RESET_ASKED:
            pass
        self._reset()
        link.alarm = alarm

    def let_go(self, word: str, limit_s: float) -> None:
        """Switch outputs off by `word`; by a soft reset where the line does not get through.

        What is locked by an alarm takes no line. GRBL has switched them off with the alarm (``mc_reset``), FluidNC has not
        (``protocol_do_alarm``); every soft reset does.

        Raises
        ------
        RailProtocolError
            It is held; the soft reset that ends the hold switches them off.
        RailTimeoutError
            It took no line; where it heard the soft reset, which cleared the work offset, they are off, else `outputs_on` stays.
        """
        link = self.link
        try:
            if link.alarm is not None or not (link.silent or self._takes(word, limit_s)):
                self._reset_in_alarm()
        except RailTimeoutError:
            self._reset_unheard()
            raise
        self.outputs_on = False
        if link.silent:  # and said so already: no time is lost over another line
            self._reset_unheard()

    def _reset_unheard(self) -> None:
        self._offset = None
        self.outputs_on = not self.link.soft_reset(_HEARD_S)

    def _takes(self, word: str, limit_s: float) -> bool:
        try:
            self._prompt(word, limit_s, poll_after_s=0.0, most=math.inf)  # a release may have to be held first
        except RailRefusedError as error:
            _log.info("locked: %s", error.message)
            return False
        return True

    def watch(self, seconds: float, *, on_slice: Callable[[], None]) -> None:
        """Let time pass at rest; a restart, an alarm, a hold or silence ends it.

        Raises
        ------
        RailResetError, RailAlarmError, RailProtocolError, RailTimeoutError, RailPortError
        """
        end = self.link.now() + seconds
        next_poll = self.link.now() + POLL_S
        while (now := self.link.now()) < end:
            on_slice()
            if now >= next_poll:
                next_poll = now + POLL_S
                state = self._see(self.link.ask_status(_WATCHED_S)).state
                if state in {"Hold", "Door"}:
                    raise held_error(state, "at rest")
            reply = self.link.receive(min(end, now + 0.02))
            if isinstance(reply, Banner):
                raise self.link.reset_error()
            if isinstance(reply, Alarm):
                raise self.link.book.alarmed(reply.code)

    def unlock(self) -> None:
        """Leave an alarm: ``$X``, after a soft reset where the controller reads nothing before one."""
        link = self.link
        try:
            state = self.report().state
        except (RailTimeoutError, RailAlarmError):
            state = "silent"
        if state in {"silent", "Sleep"}:
            self._reset()
            state = self.report().state
        if state == "Check":
            self.command("$C")
            self._await_banner()
        elif state == "Alarm":
            self.command("$X")
        link.drain()
        link.alarm = None
        if self.rest_report().state == "Alarm":
            raise self.link.book.alarmed(None, doing="it did not unlock")

    def hold(self) -> str:
        """Tell a controller that does not answer to hold: it may hear all the same, and keeps its count then."""
        self.link.realtime(encode.FEED_HOLD)
        return (
            "It was told to hold, and has not said that it does: if it heard, nothing moves; if not, a move that was under way "
            f"goes on to its end.{self._pressed()}"
        )

    def halt(self, *, need_offset: bool) -> Rest:
        """Bring the controller to rest, keeping its step count where that is possible, and confirm it.

        A jog is cancelled, a move is held and then dropped by a soft reset at rest (which keeps the count and clears
        the work offset: `Rest.offset` has it where `need_offset` asked for it or it was seen).

        Raises
        ------
        RailTimeoutError
            It stayed silent or kept moving.
        """
        link = self.link
        link.drain()
        if self._homing:
            self._homing = False
            self._reset()
            return Rest(self.rest_report(), was_moving=True, reset=True, kept=False)
        moving = link.outstanding > 0
        if moving:
            link.realtime(encode.FEED_HOLD)  # an unread line may still start a motion: do not believe an Idle
        deadline = link.now() + _HALT_S
        cancelled = held = patient = False
        while link.now() < deadline:
            try:
                status = self.report()
            except (RailTimeoutError, RailAlarmError):
                if not patient and link.alarm is None:
                    patient = True  # a reset loses what moves, so not before a second look
                    continue
                # Silent: homing for a process that is gone, or a critical alarm. Only a reset is heard there.
                self._reset()
                return Rest(self.rest_report(), was_moving=True, reset=True, kept=False)
            if status.state == "Jog" and not cancelled:
                link.realtime(encode.JOG_CANCEL)
                cancelled = moving = True
            elif status.state in {"Run", "Home"} and not held:
                link.realtime(encode.FEED_HOLD)
                held = moving = True
            elif status.state in {"Hold", "Door"} and status.at_rest:
                return self._drop_held(need_offset=need_offset)
            elif status.at_rest:
                if (rest := self._confirm(was_moving=moving, need_offset=need_offset)) is not None:
                    return rest
                continue
            self._pause(POLL_S / 4)
        raise RailTimeoutError(
            f"The controller did not come to rest within {_HALT_S:.0f} s.",
            remedy="Switch off the motor's supply, then check the controller.",
            state="Probably still moving.",
        )

    def _confirm(self, *, was_moving: bool, need_offset: bool) -> Rest | None:
        """The rest that a report told of; None where something was still to come."""
        link = self.link
        if link.outstanding:
            # A hold of ours that the report is older than? In it no line would be answered.
            if self.report().state not in {"Hold", "Door"}:
                link.resynchronise()
            return None
        try:
            confirmed = self.rest_report()
        except RailProtocolError:
            if self.report().at_rest:
                raise
            return None  # a line that was taken for lost has begun to move it
        if confirmed.state in {"Hold", "Door"}:  # our own, which came when the move had just ended
            return self._drop_held(need_offset=need_offset)
        return Rest(confirmed, was_moving=was_moving, offset=self.work_offset_seen())

    def wake(self, rest: Rest) -> Rest:
        """Leave sleep (``$SLP``), check mode (``$C``) and a line that takes long (a dwell), in which some other program left it.

        By a soft reset: no line is read there, or ``$I`` is refused. Sleep let go of the motor: the count is worth nothing then.
        """
        state = rest.status.state
        if state == "Idle" and self._reads_lines():
            # What stood behind a short dwell may have begun to move meanwhile.
            return rest if self.report().state == "Idle" else self.halt(need_offset=True)
        if state not in {"Idle", "Sleep", "Check"}:
            return rest
        if state != "Sleep":
            with suppress(RailProtocolError):  # it shows none: what it is, is asked next
                self.rest_report(need_offset=True)
        offset = self.work_offset_seen()
        self._reset()
        return Rest(self.rest_report(), rest.was_moving, reset=True, kept=state != "Sleep", offset=offset)

    def _reads_lines(self) -> bool:
        try:
            self.link.resynchronise()
        except RailTimeoutError:
            return False
        return True

    def _drop_held(self, *, need_offset: bool) -> Rest:
        before = self.machine(self.rest_report(need_offset=need_offset))
        offset = self.work_offset_seen()
        self._reset()
        status = self.rest_report()
        if status.state == "Alarm":
            self.command("$X")
            status = self.rest_report()
        after = self.machine(status)
        kept = all(abs(a - b) <= _SAME for a, b in zip(after, before, strict=True))
        return Rest(status, was_moving=True, reset=True, kept=kept, offset=offset)

    def _reset(self) -> None:
        """Soft reset; sent twice if need be."""
        self._offset = None
        if not (self.link.soft_reset(_BANNER_S) or self.link.soft_reset(_BANNER_S)):
            raise RailTimeoutError(
                "The controller does not answer a reset.",
                remedy="Switch it off and on, then connect again.",
                state="Not known; it may still move.",
            )

    def _await_banner(self) -> None:
        """After a failed homing, and after leaving check mode, the controller resets itself."""
        deadline = self.link.now() + 2.0
        while (reply := self.link.receive(deadline)) is not None:
            if isinstance(reply, Banner):
                self.link.reset_seen = False
                self._offset = None
                return
        _log.info("no banner where one was expected")

    def _z_first(self) -> str:
        return codes.Z_FIRST if self.dialect.home(self._settings, self._options) == "$H" else ""

    def _homed_z_first(self) -> bool:
        try:
            position = self.machine(self.rest_report())
        except RailDeviceError:
            return False
        return position[2] != 0.0 and position[0] == 0.0
