"""One conversation with Marlin: numbered lines with checksums, sent again where it asks for them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rail.errors import HOME_AGAIN, RailAlarmError, RailProtocolError, RailRefusedError, RailResetError
from rail.grbl.codes import Code, CodeBook
from rail.grbl.link import LINE_S, REPORT_S, Link
from rail.grbl.protocol import Alarm, Banner, Blank, Ok, Reply, Status
from rail.marlin import protocol
from rail.marlin.protocol import Busy, Echo, MarlinReply, Position, Resend, UnknownCommand

_log = logging.getLogger(__name__)

RESENDS = 4
"""So often a line is sent that arrives damaged."""

_JUNK_S = 0.3
_SYNC_TRIES, _SYNC_UNHEARD = 4, 2  # fewer where nothing comes at all
BUSY_S = 5.0
"""Marlin says that it is busy every 2 s."""

_BUSY_LONGEST_S = 120.0

_ALARMS = {
    protocol.HALTED: Code(
        "it has halted itself (kill) and reads nothing until it is reset",
        "Its message is in the log of a session (`focusrail shoot --log-wire`). "
        "Boards without temperature sensors need dummy ones in their configuration. Press its reset "
        f"button or switch it off and on, then: {HOME_AGAIN}",
    ),
    protocol.STOPPED: Code("it has stopped because of an error", f"Unlock with `focusrail rail unlock`. {HOME_AGAIN}"),
    protocol.ENDSTOP: Code(
        "an end switch was hit in motion; steps may be lost", f"Unlock with `focusrail rail unlock`. {HOME_AGAIN}"
    ),
}


class MarlinBook(CodeBook):
    """Marlin has no numbers: its troubles in words."""

    def __init__(self) -> None:
        CodeBook.__init__(self, {}, _ALARMS)

    def alarmed(self, code: int | None, *, doing: str = "", state: str = "", hint: str = "") -> RailAlarmError:
        """The error for a trouble that stops Marlin."""
        meaning, remedy = self.alarms.get(code or protocol.STOPPED, _ALARMS[protocol.STOPPED])
        while_doing = f" ({doing})" if doing else ""
        return RailAlarmError(
            f"The controller is stopped: {meaning}{while_doing}.",
            code=code,
            remedy=f"{remedy} {hint}".strip(),
            state=state or "Nothing moves; the position is unknown until homed or zeroed again.",
        )


class MarlinLink(Link):
    """A link whose lines carry numbers and checksums.

    Attributes
    ----------
    position : Position or None
        The last position it told of.
    """

    def __init__(self, link: Link) -> None:
        super().__init__(link._port, clock=link._clock)  # noqa: SLF001
        self.book = MarlinBook()
        self.on_halt = link.on_halt
        self.position: Position | None = None
        self._number = 0
        self._syncs = 0

    def _classify(self, line: bytes) -> list[Reply]:
        reply = protocol.classify(line)
        return [] if isinstance(reply, Blank) else [reply]  # type: ignore[list-item]

    def say(
        self,
        line: str,
        limit_s: float = REPORT_S,
        *,
        longest_s: float = 0.0,
        on_slice: Callable[[], None] | None = None,
    ) -> list[MarlinReply]:
        """Send one line and wait for its ``ok``, however often it has to be sent.

        While Marlin says that it is busy, it is given `BUSY_S` more each time, up to the longest of `_BUSY_LONGEST_S`, `limit_s` and
        `longest_s`.

        Raises
        ------
        RailRefusedError
            This build has no such command.
        RailProtocolError
            It waits for somebody at its display.
        RailAlarmError, RailResetError, RailTimeoutError, RailPortError
        """
        if len(line) > protocol.LINE_MAX or not line.isascii() or not line.isprintable():
            raise ValueError(f"not a line for the controller: {line!r}")
        if self.outstanding:
            self.resynchronise()
        self._transmit(line)
        said: list[MarlinReply] = []
        deadline = self.now() + limit_s
        longest = self.now() + max(limit_s, longest_s, _BUSY_LONGEST_S)
        resends = 0
        while True:
            if on_slice is not None:
                on_slice()
            reply: MarlinReply | None = self.receive(min(deadline, self.now() + 0.02))
            if reply is None:
                if self.now() >= deadline:
                    raise self._silence(f"the answer to {line!r}", limit_s)
            elif isinstance(reply, Resend):
                resends += 1
                if (
                    reply.number == 1 and self._number > 1
                ):  # it counts from the beginning: it has, and its first word was lost
                    self.reset_seen = True
                    raise self.reset_error()
                self._await_ok(deadline)  # which belongs to the request, not to the line
                if resends > RESENDS:
                    raise self._silence(f"a whole line after {resends} attempts at {line!r}", limit_s)
                _log.warning("sent again, damaged on its way: %r", line)
                self._renumber()
                self._transmit(line)
            elif isinstance(reply, Busy):
                deadline = min(max(deadline, self.now() + self._busy_s(reply)), longest)
            elif isinstance(reply, Ok):
                return _known(said, line)
            else:
                said.append(self._no_end(reply))

    def _busy_s(self, reply: Busy) -> float:
        """How long it is waited for after this; not at all where it waits for somebody."""
        if "paused" in reply.text:
            raise RailProtocolError(
                f"The controller waits for somebody at its display ({reply.text}).",
                remedy="Press the button there, then try again.",
                state="Nothing moves until then.",
            )
        return BUSY_S

    def _transmit(self, line: str) -> None:
        self._number += 1
        self.outstanding = 1
        self._write(protocol.numbered(self._number, line).encode("ascii") + b"\n")

    def _no_end(self, reply: MarlinReply) -> MarlinReply:
        """Raise where `reply` ends the conversation."""
        if isinstance(reply, Banner):
            raise self.reset_error()
        if isinstance(reply, Alarm):
            raise self.book.alarmed(reply.code)
        return reply

    def _command(
        self,
        line: str,
        limit_s: float,
        watch: Callable[[Status], None] | None,  # noqa: ARG002
        poll_after_s: float,  # noqa: ARG002
        idle_poll_s: float,  # noqa: ARG002
        on_slice: Callable[[], None] | None,
    ) -> list[Reply]:
        return list(self.say(line, limit_s, on_slice=on_slice))  # type: ignore[arg-type]

    def resynchronise(self, tries: int = _SYNC_TRIES) -> None:
        """Find the beginning of the conversation again: a word is echoed that cannot be an older answer."""
        start, attempts, unheard = self.now(), 0, 0
        while attempts < tries and unheard < _SYNC_UNHEARD:
            attempts += 1
            unheard += 1
            self.drain()
            self.silent = True  # until anything comes
            self._syncs += 1
            word = f"SYNC-{self._syncs}"
            # No byte sums to 999: an unfinished line before it becomes invalid instead of being carried out now. Marlin throws away what
            # it has received when it finds a line damaged, so nothing follows before it has answered.
            self._write(b"*999\n")
            self._await_ok(self.now() + _JUNK_S)
            self._renumber()
            if self.silent:
                continue
            self._number += 1
            self._write(protocol.numbered(self._number, f"M118 {word}").encode("ascii") + b"\n")
            heard = False
            deadline = self.now() + LINE_S
            longest = self.now() + _BUSY_LONGEST_S
            while (reply := self.receive(deadline)) is not None:
                found = self._no_end(reply)
                if isinstance(found, Busy):
                    deadline = min(max(deadline, self.now() + self._busy_s(found)), longest)
                if isinstance(found, Echo) and found.text == word:
                    heard = True
                elif isinstance(found, Ok) and heard:
                    self.outstanding = 0
                    return
            unheard = 0
        raise self._silence("an echo", self.now() - start)

    def reset_error(self) -> RailResetError:
        """The error for a start that nobody asked for."""
        self._number = 0
        return super().reset_error()

    def _renumber(self) -> None:
        self._number = 0
        self._write(protocol.numbered(0, "M110 N0").encode("ascii") + b"\n")
        self._await_ok(self.now() + REPORT_S)

    def _await_ok(self, deadline: float) -> None:
        longest = self.now() + _BUSY_LONGEST_S
        while (reply := self.receive(deadline)) is not None:
            if isinstance(reply, Ok):
                return
            if isinstance(reply, Busy):
                deadline = min(max(deadline, self.now() + self._busy_s(reply)), longest)
            self._no_end(reply)

    def _note(self, reply: Reply) -> Reply:
        if isinstance(reply, Position):
            self.position = reply
        if isinstance(reply, Alarm) and reply.code == protocol.HALTED:
            self.on_halt()
        noted = super()._note(reply)
        if isinstance(reply, Banner):
            self.outstanding = 1  # what was sent before may still be read after the start, and answered
        return noted


def _known(said: list[MarlinReply], line: str) -> list[MarlinReply]:
    command = line.partition(" ")[0]
    unknown = next((reply for reply in said if isinstance(reply, UnknownCommand) and command in reply.text), None)
    if unknown is not None:
        raise RailRefusedError(
            f"The controller does not know {line!r} ({unknown.text}).",
            code=0,
            remedy="focusrail needs Marlin 2.0 or later; check how it was built.",
            state="At rest.",
        )
    return said
