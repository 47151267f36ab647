"""What a controller of GRBL's family can be asked and told, in its own units. Knows nothing of origins or profiles."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from rail.errors import (
    RailAlarmError,
    RailDeviceError,
    RailProtocolError,
    RailRefusedError,
    RailTimeoutError,
    RailUnknownControllerError,
)
from rail.grbl import codes, dialects, encode
from rail.grbl.link import LINE_S, POLL_S, Link
from rail.grbl.position import REPORT_INCH_MM, REPORT_MM
from rail.grbl.protocol import Alarm, Banner, Message, Reply, Status

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_HALT_S = 15.0
_STORE_S = 3.0
_OFFSET_POLLS = 35  # GRBL shows WCO in every 30th report while busy, in every 10th at rest

_SAME = 0.0021  # two roundings of a report that gives work positions

SETTING_INCHES = 13


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers.

    Attributes
    ----------
    version, options : str
        As said.
    dialect : str
        ``grbl``, ``grblhal``, ``fluidnc`` or ``marlin``.
    name : str
        Of that kind of controller, as its makers write it.
    homes_alone : bool
        Homing moves X alone. False: whatever its build and settings say.
    """

    version: str
    options: str
    dialect: str = "grbl"
    name: str = "GRBL 1.1"
    homes_alone: bool = False


@dataclass(frozen=True, slots=True)
class Rest:
    """How the controller came to rest.

    Attributes
    ----------
    status : Status
        The confirmed report at rest, in mm.
    was_moving : bool
        It was in motion, or in a hold, when it was asked.
    reset : bool
        A soft reset was needed; the work offset is gone with it.
    kept : bool
        The machine position is the same before and after that reset.
    offset : tuple of float or None
        Work offset before the reset, where it was seen; mm, or the report's unit before the settings were read.
    """

    status: Status
    was_moving: bool
    reset: bool = False
    kept: bool = True
    offset: tuple[float, ...] | None = None


class Controller:
    """One controller of GRBL's family behind a link. Every method raises rail errors only."""

    def __init__(self, link: Link, *, banner: str = "", reset_on_open: bool = False) -> None:
        self.link = link
        self.inches = False
        self.reset_on_open = reset_on_open
        self.dialect = dialects.GRBL
        self._banner = banner
        self._options = ""
        self._settings: dict[int, float] = {}
        self._offset: tuple[float, ...] | None = None  # in report units; None: not seen since the last reset
        self._homing = False
        self.outputs_on = False  # coolant outputs (a shutter, on a rail), as $G last said

    def identify(self) -> Identity:
        """Ask who answers, and refuse what is not known.

        Raises
        ------
        RailUnknownControllerError
            With what it said.
        """
        try:
            self.link.resynchronise()
            replies = self.link.command("$I")
        except RailTimeoutError as error:
            if self.link.unrecognised:
                raise unknown_controller(self.link.unrecognised[-1]) from error
            raise
        said = dialects.tags(replies)
        dialect = dialects.recognise(said, self._banner)
        if dialect is None:
            raise unknown_controller(" ".join(f"[{tag}:{body}]" for tag, body in said.items()) or "nothing to $I")
        self.dialect, self.link.book = dialect, dialect.book
        for line in dialect.greeting:
            try:
                self.command(line)
            except RailRefusedError as error:  # an older version without it
                _log.info("%s", error.message)
        self._options = said.get("OPT", "")
        version = said.get("VER", "").rstrip(": ")
        # focusrail's own firmware has one axis only
        alone = version.endswith(":focusrail") or dialect.home({}, self._options) != "$H"
        return Identity(version, self._options, dialect.key, dialect.name, homes_alone=alone)

    def settings(self) -> dict[int, float]:
        """Read the settings under GRBL's numbers; until twice the same, as a damaged digit must not become a scale."""

        def read() -> dict[int, float]:
            return dialects.read_settings(self.dialect, lambda line: self.link.command(line, 2 * LINE_S))

        found = _twice(read, "its settings")
        self.inches = bool(found.get(SETTING_INCHES, 0))
        self._settings = found
        return found

    def write_setting(self, number: int, value: float) -> None:
        """Set one setting, by GRBL's number; the controller is busy with its memory until it answers.

        Raises
        ------
        RailRefusedError
            It does not take it.
        """
        if self.dialect.paths is not None:
            self.command(dialects.path_line(self.dialect, number, value), _STORE_S)
        else:
            self.command(f"${number}={encode.setting(value)}", _STORE_S)
        self._offset = None

    def store_settings(self) -> str:
        """Make what was written last; returns what the user has to know, "" where all is done."""
        return dialects.KEEP_HINT if self.dialect.paths is not None else ""

    def setting_name(self, number: int) -> str:
        """How GRBL's setting `number` is called on this controller."""
        return self.dialect.name_of(number)

    def report_mm(self, settings: Mapping[int, float]) -> float:
        """Resolution of the controller's reports, in its millimetres: twice the largest error of a reading."""
        report = REPORT_INCH_MM if settings.get(SETTING_INCHES, 0) else REPORT_MM
        if not int(settings.get(10, 1)) & 1:
            report *= 2  # a work position and an offset, each rounded
        return report

    def offset(self) -> tuple[float, ...]:
        """The whole work offset (G54 to G59, G92, tool length), mm, read until twice the same."""

        def read() -> tuple[float, ...]:
            modal = [r.body for r in self.link.command("$G") if isinstance(r, Message) and r.tag == "GC"]
            words = modal[-1].split() if modal else []
            self.outputs_on = not {"M7", "M8"}.isdisjoint(words)
            system = next((w for w in words if w in {"G54", "G55", "G56", "G57", "G58", "G59"}), "G54")
            said = {r.tag: r.numbers() for r in self.link.command("$#", 2 * LINE_S) if isinstance(r, Message)}
            place, shift, tool = said.get(system), said.get("G92"), said.get("TLO") or (0.0,)
            if place is None or shift is None or len(place) != len(shift) or len(place) < 3:
                raise RailProtocolError(
                    "The controller's work offsets ($#) cannot be read for three axes.",
                    remedy="Is it stock GRBL 1.1? Check the cable if it worked before.",
                    state="At rest.",
                )
            total = [p + s for p, s in zip(place, shift, strict=True)]
            if len(tool) == len(total):  # grblHAL names it for every axis
                return tuple(t + z for t, z in zip(total, tool, strict=True))
            total[2] += tool[0]
            return tuple(total)

        self._offset = _twice(read, "its work offsets")
        return self._mm(self._offset)

    def report(self) -> Status:
        """One status report, in mm."""
        return self._see(self.link.ask_status())

    def rest_report(self, *, need_offset: bool = False) -> Status:
        """A report at rest, in mm, confirmed by a second one with the same state and position.

        With `need_offset` it asks until the controller has shown its work offset, too.
        """
        last = self.report()
        for _ in range(_OFFSET_POLLS if need_offset else 4):
            status = self.report()
            agreed = status.state == last.state and status.substate == last.substate and status.mpos == last.mpos
            if agreed and status.wpos == last.wpos and (self._offset is not None or not need_offset):
                return status
            if status.state in {"Run", "Jog", "Home"}:
                break
            last = status
            if need_offset:
                self._pause(POLL_S)
        raise RailProtocolError(
            "The controller's reports at rest do not agree with each other.",
            remedy="Check the cable and the earthing: bytes are damaged on the way.",
            state="Not known.",
        )

    def machine_seen(self, status: Status) -> tuple[float, ...] | None:
        """Machine position of a report in mm without asking for more; None where work positions are reported ($10=0) and
        no offset was seen yet.
        """
        return status.machine_position(self.work_offset_seen())

    def machine(self, status: Status) -> tuple[float, ...]:
        """Machine position of a report in mm; asks for the offset where it needs it. Only between two lines."""
        position = self.machine_seen(status)
        if position is None:
            position = status.machine_position(self.offset())
        if position is None or len(position) < 3:
            raise RailProtocolError(
                "The controller's report has no three axes.", remedy="Is it stock GRBL 1.1?", state="At rest."
            )
        return position

    def work_offset_seen(self) -> tuple[float, ...] | None:
        """The work offset last shown since the last reset, mm."""
        return None if self._offset is None else self._mm(self._offset)

    def command(self, line: str, limit_s: float = LINE_S) -> list[Reply]:
        """Send a line that starts no motion."""
        return self.link.command(line, limit_s)

    def set_offset(self, work_x_mm: float | None, work_z_mm: float) -> None:
        """Declare the present place to be `work_x_mm` (None: leave X as it is), with the origin's mark."""
        self._offset = None
        for line in self.dialect.set_offset(work_x_mm, work_z_mm):
            self.command(line)

    def forget_origin(self) -> None:
        """Take the origin's mark away."""
        self._offset = None
        for line in self.dialect.forget_offset():
            self.command(line)

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
        self._start(encode.move(machine_mm, feed_mm_min))
        idle = 0

        def seen(raw: Status) -> None:
            nonlocal idle
            status = self._see(raw)
            idle = idle + 1 if status.state == "Idle" else 0
            if status.state in {"Hold", "Door", "Alarm", "Sleep", "Check"}:
                raise RailProtocolError(
                    f"The controller went into {status.state} in the middle of a move.",
                    remedy="Was a button on the controller pressed? Then move again.",
                    state="Being stopped.",
                )
            if idle >= 2:  # one may be stale
                raise _unanswered("At rest.")
            watch(status)

        self.link.command(encode.SYNC, limit_s, watch=seen, poll=True, on_slice=on_slice)

    def _start(self, line: str) -> None:
        """Send a line that starts a motion; it is answered at once, so reports without its answer say that this was lost."""
        reports = 0

        def seen(raw: Status) -> None:
            nonlocal reports
            self._see(raw)
            reports += 1
            if reports >= 2:  # one may have been on its way
                raise _unanswered("Being stopped.")

        self.link.command(line, LINE_S, watch=seen, poll=True)

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
        self._start(encode.jog(machine_mm, feed_mm_min))

        def done(reply: Reply) -> bool:
            if not isinstance(reply, Status):
                return False
            status = self._see(reply)
            watch(status)
            return status.at_rest

        self.link.exchange(done, limit_s, poll=True, first_poll_s=0.0, on_slice=on_slice, what="the end of the jog")

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

    def let_go(self, word: str, limit_s: float) -> None:
        """Switch outputs off by `word`; by a soft reset where the line does not get through.

        Raises
        ------
        RailTimeoutError
            It did not; after the soft reset, which cleared the work offset, they are off.
        """
        try:
            self.command(word, limit_s)
        except RailRefusedError as error:
            _log.info("outputs are off in an alarm: %s", error.message)
        except RailTimeoutError:
            if self.link.soft_reset():
                self._offset = None
            raise
        self.outputs_on = False

    def watch(self, seconds: float, *, on_slice: Callable[[], None]) -> None:
        """Let time pass at rest; a restart, an alarm or silence ends it.

        Raises
        ------
        RailResetError, RailAlarmError, RailTimeoutError, RailPortError
        """
        end = self.link.now() + seconds
        next_poll = self.link.now() + POLL_S
        while (now := self.link.now()) < end:
            on_slice()
            if now >= next_poll:
                next_poll = now + POLL_S
                self.report()
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
        cancelled = held = False
        while link.now() < deadline:
            try:
                status = self.report()
            except (RailTimeoutError, RailAlarmError):
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
                if link.outstanding:
                    link.resynchronise()
                    continue
                confirmed = self.rest_report()
                return Rest(confirmed, was_moving=moving, offset=self.work_offset_seen())
            self._pause(POLL_S / 4)
        raise RailTimeoutError(
            f"The controller did not come to rest within {_HALT_S:.0f} s.",
            remedy="Switch off the motor's supply, then check the controller.",
            state="Probably still moving.",
        )

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
        """Soft reset; GRBL swallows one sent in the half second after a hard alarm, so it is sent twice if need be."""
        self._offset = None
        if not (self.link.soft_reset(1.5) or self.link.soft_reset(1.5)):
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

    def _pause(self, seconds: float) -> None:
        """Keep reading until the next question is due."""
        deadline = self.link.now() + seconds
        while (reply := self.link.receive(deadline)) is not None:
            if isinstance(reply, Banner):
                raise self.link.reset_error()
            if isinstance(reply, Status):
                self._see(reply)

    def _see(self, raw: Status) -> Status:
        if raw.wco is not None:
            self._offset = raw.wco
        return raw.in_millimetres(inches=self.inches)

    def _mm(self, values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(v * 25.4 for v in values) if self.inches else values


def _unanswered(state: str) -> RailProtocolError:
    return RailProtocolError(
        "The controller answers reports but not a line: the line or its answer was lost on the wire.",
        remedy="Move again; check the cable if it happens often.",
        state=state,
    )


def _twice(read: Callable[[], _T], what: str) -> _T:
    last = read()
    for _ in range(4):
        again = read()
        if again == last:
            return again
        last = again
    raise RailProtocolError(
        f"The controller's answers about {what} do not agree with each other.",
        remedy="Check the cable and the earthing: bytes are damaged on the way.",
        state="At rest.",
    )


def unknown_controller(said: str) -> RailUnknownControllerError:
    """The error for a controller that nobody here knows; `said` is what it answered."""
    return RailUnknownControllerError(
        f"This is no controller that focusrail knows; it said: {said!r}.",
        remedy="focusrail drives GRBL 1.1, grblHAL, FluidNC and Marlin. Check that this is the rail's port and its speed (the "
        "profile's `baud`), or flash one of them onto the controller.",
        state="Nothing was moved.",
    )
