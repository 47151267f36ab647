"""What a controller of GRBL's family can be asked: who it is, its settings, where it stands and what its offsets are."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from rail.errors import RailProtocolError, RailRefusedError, RailTimeoutError
from rail.grbl import dialects, encode
from rail.grbl.identity import Identity, unknown_controller
from rail.grbl.link import LINE_S, POLL_S, REPORT_S, Link
from rail.grbl.position import REPORT_INCH_MM, REPORT_MM
from rail.grbl.protocol import Banner, Message, Reply, StartupLine, Status

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_SPEED = re.compile(r"\d{1,7}(\.\d{1,4})?")

_STORE_S = 3.0
_NAME_TRIES = 3
_PROMPT_REPORTS = 2  # one may have been on its way
_OFFSET_POLLS = 35  # GRBL shows WCO in every 30th report while busy, in every 10th at rest

SETTING_INCHES = 13

PRESSED = "A shutter release that was pressed may stay so until the controller is reset."


class ControllerReading:
    """The part of `rail.grbl.controller.Controller` that moves nothing."""

    def __init__(self, link: Link, *, banner: str = "", reset_on_open: bool = False) -> None:
        self.link = link
        self.inches = False
        self.reset_on_open = reset_on_open
        self.dialect = dialects.GRBL
        self._banner = banner
        self._options = ""
        self._settings: dict[int, float] = {}
        self._offset: tuple[float, ...] | None = None  # in report units; None: not seen since the last reset
        self._summed = False
        self._homing = False
        self.feed_override = 1.0  # somebody may turn a knob
        self.speed_mm_min = 0.0  # at the last report
        self.outputs_on = False  # coolant outputs (a shutter, on a rail), as $G last said

    def identify(self) -> Identity:
        """Ask who answers, and refuse what is not known.

        Raises
        ------
        RailUnknownControllerError
            With what it said.
        """
        said: dict[str, str] | None = None
        dialect = None
        try:
            for _ in range(_NAME_TRIES):
                self.link.resynchronise()
                before, said = said, dialects.tags(self.link.command("$I"))
                if set(said) == {"GC"}:  # what a program before this one asked for
                    said = None
                    continue
                dialect = dialects.recognise(said, self._banner)
                if dialect is not None or said == before:  # two that are damaged are not alike
                    break
        except RailTimeoutError as error:
            if self.link.unrecognised:
                raise unknown_controller(self.link.unrecognised[-1]) from error
            raise
        if said is None:
            raise RailProtocolError(
                "The controller answers so late that its answers cannot be told apart.",
                remedy="A slow radio link? Connect it by cable. Else switch it off and on.",
                state="Nothing was moved.",
            )
        if dialect is None:
            raise unknown_controller(" ".join(f"[{tag}:{body}]" for tag, body in said.items()) or "nothing to $I")
        self.dialect, self.link.book = dialect, dialect.book
        self.link.sums = said.get("SUM") == "CRC16"  # focusrail's firmware
        for line in dialect.greeting:
            try:
                self.command(line)
            except RailRefusedError as error:  # an older version without it
                _log.info("%s", error.message)
        self._options = said.get("OPT", "")
        version = said.get("VER", "").rstrip(": ")
        # focusrail's own firmware has one axis only
        ours = version.endswith(":focusrail")
        alone = ours or dialect.home({}, self._options) != "$H"
        return Identity(version, self._options, dialect.key, dialect.name, homes_alone=alone, tells_slips=ours)

    def settings(self) -> dict[int, float]:
        """Read the settings under GRBL's numbers; until twice the same, as a damaged digit must not become a scale."""

        def read() -> dict[int, float]:
            return dialects.read_settings(self.dialect, lambda line: self.link.command(line, 2 * LINE_S))

        found = _twice(read, "its settings")
        self.inches = bool(found.get(SETTING_INCHES, 0))
        self._settings = found
        return found

    def write_setting(self, number: int, value: float) -> None:
        """Set one setting, by GRBL's number, in the unit in which it is shown; the controller is busy with its memory until it answers.

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

    def startup_lines(self) -> Mapping[int, str]:
        """Lines that it runs at each start, by number; without the empty ones."""
        try:
            said = self.link.command("$N")
        except RailRefusedError as error:  # check mode
            _log.info("%s", error.message)
            return {}
        return {reply.number: reply.text for reply in said if isinstance(reply, StartupLine) and reply.text}

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
            self._summed = bool(place[0] and shift[0])
            total = [p + s for p, s in zip(place, shift, strict=True)]
            if len(tool) == len(total):  # grblHAL names it for every axis
                return tuple(t + z for t, z in zip(total, tool, strict=True))
            total[2] += tool[0]
            return tuple(total)

        self._offset = found = _twice(read, "its work offsets")
        if self._summed:  # rounded parts may add up to another last digit than the whole, which reports show
            self._offset = None
            try:
                self.rest_report(need_offset=True)
            except RailProtocolError as error:  # a grblHAL that was told not to ($10)
                _log.info("the work offset is in no report: %s", error)
            self._offset = self._offset or found
        return self._mm(self._offset)

    def switch_closed(self) -> bool:
        """The X limit input reads as active."""
        return "X" in self.report().pins

    def report(self) -> Status:
        """One status report, in mm."""
        return self._see(self.link.ask_status())

    def answers(self) -> bool:
        """Does one that fell silent answer again?"""
        try:
            self._see(self.link.ask_status(POLL_S))
        except RailTimeoutError:
            return False
        return True

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
            last = status  # asked without a pause: nothing moves, and every thirtieth report in a hold shows the offset
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

    def set_offset(self, work_x_mm: float | None, work_z_mm: float, work_y_mm: float = 0.0) -> float:
        """Declare the present place to be `work_x_mm` with the origin's name `work_y_mm` (None: leave both), and the origin's mark;
        the name that stands there then.
        """
        self._offset = None
        for line in self.dialect.set_offset(work_x_mm, work_z_mm, work_y_mm):
            self._prompt(line)
        return work_y_mm

    def forget_origin(self) -> None:
        """Take the origin's mark away."""
        self._offset = None
        for line in self.dialect.forget_offset():
            self._prompt(line)

    def _prompt(
        self,
        line: str,
        limit_s: float = REPORT_S,
        *,
        when: str = "at rest",
        poll_after_s: float = POLL_S,
        most: float = _PROMPT_REPORTS,
    ) -> None:
        """Send a line that is answered at once. `most` reports without its answer say that this was lost; or why it waits.

        Raises
        ------
        RailProtocolError
            It is held, or the line or its answer was lost.
        """
        reports = 0

        def seen(raw: Status) -> None:
            nonlocal reports
            state = self._see(raw).state
            if state in {"Hold", "Door"}:
                raise held_error(state, when)
            reports += 1
            if reports >= most:
                raise unanswered_error("Being stopped.")

        self.link.command(line, limit_s, watch=seen, poll_after_s=poll_after_s)

    def _pressed(self) -> str:
        return f" {PRESSED}" if self.outputs_on else ""

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
        if "Ov" in raw.fields:
            feed = raw.fields["Ov"].partition(",")[0]
            self.feed_override = int(feed) / 100 if feed.isdigit() and len(feed) < 4 else 1.0
        told = (raw.fields.get("FS") or raw.fields.get("F") or "").partition(",")[0]
        number = float(told) if _SPEED.fullmatch(told) else 0.0
        self.speed_mm_min = number * 25.4 if self.inches else number
        return raw.in_millimetres(inches=self.inches)

    def _mm(self, values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(v * 25.4 for v in values) if self.inches else values


def held_error(state: str, when: str) -> RailProtocolError:
    """The error for a controller that somebody else has held."""
    return RailProtocolError(
        f"The controller went into {state} {when}.",
        remedy="Was a button on the controller pressed? Then move again.",
        state="Being stopped.",
    )


def unanswered_error(state: str) -> RailProtocolError:
    """The error for a line, or an answer, that was lost on the wire."""
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
