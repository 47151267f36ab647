"""One conversation over one port: a line, its answer, and whatever the controller pushes in between.

Single-threaded on purpose: the link reads while it waits, so no second thread can take a byte that is not its own.
Every wait has a deadline. Errors of the port are mapped to rail errors here.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import serial

from rail.errors import RailPortError, RailRefusedError, RailResetError, RailTimeoutError
from rail.grbl import codes, encode
from rail.grbl.protocol import (
    Alarm,
    Banner,
    Blank,
    ErrorReply,
    LineAssembler,
    Message,
    Ok,
    Reply,
    Status,
    Unrecognised,
    classify,
)

_log = logging.getLogger(__name__)

POLL_S = 0.2
"""Time between two ``?``: GRBL's recommended 5 Hz."""

MISSED_POLLS = 3
"""So many ``?`` in a row without an answer count as silence in motion; single ones may be dropped."""

REPORT_S = 0.8
"""Deadline for a status report at rest, where more may keep the controller busy."""

LINE_S = 1.0
"""Deadline for the answer to a line that starts no motion."""

_SYNC_S, _SYNC_TRIES = 0.35, 6  # a first one may have ended a broken line
_DAMAGED = frozenset({1, 2, 3, 4, *range(20, 39), 100})
"""Refusals for what a line says, not for the controller's state: it was not carried out, and is sent once more. So is
what was refused for a reason that nobody knows: a refused line has done nothing, and no line is relative.
"""

_LOST_REMEDY = "Check the cable and the controller's power, then connect again."
_LOST_STATE = "The link is lost; a move that was under way goes on to its end."


class Port(Protocol):
    """What the link needs of a port; pyserial's ports have it. Reads must time out within about 20 ms."""

    @property
    def in_waiting(self) -> int:
        """Number of bytes that can be read at once (at least 1 if there are any)."""

    def read(self, size: int = 1, /) -> bytes:
        """Read up to `size` bytes; fewer at the port's time limit."""

    def write(self, data: bytes, /) -> int | None:
        """Write all of `data`."""

    def close(self) -> None:
        """Close the port."""


class Link:
    """Sends lines and real-time bytes, collects replies.

    Attributes
    ----------
    outstanding : int
        Lines sent and not yet answered.
    reset_seen : bool
        A banner came that nobody asked for.
    alarm : int or None
        Code of the last ``ALARM:N`` since the last banner.
    book : codes.CodeBook
        What this controller's numbers mean.
    asked_s : float
        When the oldest question was asked that the last report may be the answer to.
    heard : bool
        Something came since the port was opened.
    silent : bool
        The last deadline passed without a word; False where reports came, but not what was waited for.
    on_halt : callable
        Called when the controller says that it has halted itself, and will answer nothing more.
    doubtful : bool
        Something came that was not understood: it may have been a banner. Whoever checks sets it back.
    """

    def __init__(self, port: Port, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._port = port
        self._clock = clock
        self._assembler = LineAssembler()
        self._replies: deque[Reply] = deque()
        self._lost: str | None = None
        self._closed = False
        self.outstanding = 0
        self.reset_seen = False
        self.alarm: int | None = None
        self.doubtful = False
        self.book = codes.GRBL_BOOK
        self.unrecognised: deque[str] = deque(maxlen=20)
        self.asked_s = math.inf
        self.silent = False
        self.heard = False
        self.on_halt: Callable[[], None] = lambda: None

    @property
    def open(self) -> bool:
        """False once the port was closed or lost."""
        return not self._closed and self._lost is None

    def now(self) -> float:
        """The link's clock, s."""
        return self._clock()

    def close(self) -> None:
        """Close the port; idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            self._port.close()
        except (OSError, serial.SerialException) as error:
            _log.info("closing the port: %s", error)

    def realtime(self, byte: bytes) -> None:
        """Send one real-time byte; it is no line and gets no ``ok``."""
        self._write(byte)

    def drain(self) -> list[Reply]:
        """Take in what has arrived, without waiting."""
        self._read(wait=False)
        taken = list(self._replies)
        self._replies.clear()
        return [self._note(reply) for reply in taken]

    def receive(self, deadline: float) -> Reply | None:
        """The next reply, or None at `deadline` (on `now`'s clock), at the latest one port time limit after it.

        What has arrived is always read before the deadline is judged, so a busy host does not make a silent controller.
        """
        while not self._replies:
            if self._read(wait=self._clock() < deadline) == 0 and self._clock() >= deadline:
                return None
        return self._note(self._replies.popleft())

    def command(
        self,
        line: str,
        limit_s: float = LINE_S,
        *,
        watch: Callable[[Status], None] | None = None,
        poll: bool = False,
        on_slice: Callable[[], None] | None = None,
    ) -> list[Reply]:
        """Send one line and wait for its answer.

        Parameters
        ----------
        line : str
            Without line end.
        limit_s : float
            Deadline for the answer.
        watch : callable
            Called with every status report that arrives meanwhile; may raise.
        poll : bool
            Ask ``?`` while waiting, and give up after `MISSED_POLLS` without an answer.
        on_slice : callable
            Called at least every 20 ms or so while waiting; may raise.

        Returns
        -------
        list of Reply
            What was pushed before the answer.

        Raises
        ------
        RailRefusedError, RailAlarmError, RailResetError, RailTimeoutError, RailPortError
        """
        try:
            return self._command(line, limit_s, watch=watch, poll=poll, on_slice=on_slice)
        except RailRefusedError as error:
            if error.code not in _DAMAGED and self.book.knows(error.code):
                raise
            _log.warning("sent again, as it may have been damaged on its way: %s", error.message)
            return self._command(line, limit_s, watch=watch, poll=poll, on_slice=on_slice)

    def _command(
        self,
        line: str,
        limit_s: float,
        *,
        watch: Callable[[Status], None] | None,
        poll: bool,
        on_slice: Callable[[], None] | None,
    ) -> list[Reply]:
        if len(line) > encode.LINE_MAX or not line.isascii() or not line.isprintable():
            raise ValueError(f"not a line for the controller: {line!r}")
        if self.outstanding:
            self.resynchronise()
        self.outstanding += 1
        self._write(line.encode("ascii") + b"\n")

        def answered(reply: Reply) -> bool:
            if isinstance(reply, ErrorReply):
                raise self.book.refused(reply.code, line)
            if isinstance(reply, Status) and watch is not None:
                watch(reply)
            return isinstance(reply, Ok)

        return self.exchange(answered, limit_s, poll=poll, on_slice=on_slice, what=f"the answer to {line!r}")

    def exchange(
        self,
        until: Callable[[Reply], bool],
        limit_s: float,
        *,
        poll: bool = False,
        first_poll_s: float = POLL_S,
        on_slice: Callable[[], None] | None = None,
        what: str = "an answer",
        patience: int | None = None,
    ) -> list[Reply]:
        """Receive until `until` says so; the reply that satisfied it is the last of the list.

        With `poll` it asks ``?``, and gives up after `patience` of them without an answer.
        """
        collected: list[Reply] = []
        start = self._clock()
        deadline = start + limit_s
        next_poll = start + first_poll_s if poll else math.inf
        unanswered = 0
        asked_s = math.inf
        most = MISSED_POLLS if patience is None else patience
        while True:
            if on_slice is not None:
                on_slice()
            now = self._clock()
            if now >= next_poll and unanswered >= most:
                reply = self.receive(now)  # it may have come while this process was held up
                if reply is None:
                    raise self._silence(what, unanswered * POLL_S)
            else:
                if now >= next_poll:
                    self.realtime(encode.STATUS)
                    unanswered += 1
                    asked_s = min(asked_s, now)
                    next_poll = now + POLL_S
                reply = self.receive(min(deadline, next_poll, now + 0.02) if poll or on_slice else deadline)
            if reply is None:
                if self._clock() >= deadline:
                    error = self._silence(what, limit_s)
                    self.silent = not poll or unanswered >= most
                    raise error
                continue
            if isinstance(reply, Status):
                unanswered = 0
                self.asked_s, asked_s = asked_s, math.inf
            if isinstance(reply, Banner):
                raise self.reset_error()
            if isinstance(reply, Alarm):
                raise self.book.alarmed(reply.code)
            collected.append(reply)
            if until(reply):
                return collected

    def ask_status(self, limit_s: float = REPORT_S) -> Status:
        """One status report: asks again at 5 Hz while none comes.

        Raises
        ------
        RailTimeoutError
            None within `limit_s`.
        RailAlarmError, RailResetError, RailPortError
            As they come.
        """
        replies = self.exchange(
            lambda reply: isinstance(reply, Status),
            limit_s,
            poll=True,
            first_poll_s=0.0,
            what="a status report",
            patience=math.ceil(limit_s / POLL_S),
        )
        assert isinstance(replies[-1], Status)
        return replies[-1]

    def soft_reset(self, limit_s: float = 3.0) -> bool:
        """Send a soft reset and wait for the banner; what was queued or unanswered is gone.

        Returns False where no banner came. The reset counts as asked for (`reset_seen` stays as it is).
        """
        seen_before = self.reset_seen
        self.drain()
        deadline = self._clock() + limit_s
        self.realtime(encode.SOFT_RESET)
        while (reply := self.receive(deadline)) is not None:
            if isinstance(reply, Banner):
                self.reset_seen = seen_before
                return True
        return False

    def resynchronise(self) -> None:
        """Find the beginning of the conversation again after an answer was lost or left unread.

        ``$G`` makes an unfinished line before it invalid instead of finishing it, and its own answer is unmistakable. Where it had
        to be asked more than once, all of its answers are waited for, or silence after one: a controller that was held up (a
        dwell, a slow host) gives them all, and the next line would take one for its own.
        """
        self.drain()
        heard = 0
        for asked in range(1, _SYNC_TRIES + 1):
            self._write(b"$G\n")
            named = False
            deadline = self._clock() + _SYNC_S
            while (reply := self.receive(deadline)) is not None:
                if isinstance(reply, Banner):
                    raise self.reset_error()
                if isinstance(reply, Message) and reply.tag == "GC":
                    named = True
                elif isinstance(reply, Ok) and named:
                    heard, named = heard + 1, False
                    if heard == asked:
                        break
                    deadline = self._clock() + _SYNC_S
            if heard:
                self.outstanding = 0
                return
        raise self._silence("the answer to '$G'", _SYNC_TRIES * _SYNC_S)

    def reset_error(self) -> RailResetError:
        """The error for a banner that nobody asked for."""
        return RailResetError(
            "The controller restarted in mid-session.",
            remedy="Home or zero the rail again. If it happens often: check the supply, the USB cable and the motor's earthing.",
            state="The controller is ready; the position is lost.",
        )

    def _silence(self, what: str, waited_s: float) -> RailTimeoutError:
        self.silent = True
        heard = f" (last not understood: {self.unrecognised[-1]!r})" if self.unrecognised else ""
        return RailTimeoutError(
            f"The controller gave no sign of {what} for {waited_s:.1f} s{heard}.",
            remedy="Check power and cable; `focusrail rail status` connects again and stops what still moves.",
            state="Not known; a move that was under way may go on to its end.",
        )

    def _note(self, reply: Reply) -> Reply:
        self.silent, self.heard = False, True
        if isinstance(reply, Ok | ErrorReply):
            self.outstanding = max(0, self.outstanding - 1)
        elif isinstance(reply, Banner):
            self.reset_seen = True
            self.alarm = None
            self.outstanding = 0
        elif isinstance(reply, Alarm):
            self.alarm = reply.code
        elif isinstance(reply, Unrecognised):
            self.unrecognised.append(reply.text)
            self.doubtful = True
            _log.info("not understood: %r", reply.text)
        return reply

    def _read(self, *, wait: bool) -> int:
        """Read what there is (waiting for the first byte up to the port's time limit); return the number of bytes."""
        self._check_open()
        total = 0
        try:
            while (ready := self._port.in_waiting) or (wait and total == 0):
                data = self._port.read(ready or 1)
                total += len(data)
                for line in self._assembler.feed(data):
                    self._replies.extend(self._classify(line))
                if not data or total >= 65_536:
                    break
        except (OSError, serial.SerialException) as error:
            raise self._lose(error) from error
        except (TypeError, ValueError, AttributeError) as error:  # pyserial on a descriptor that another thread closed
            raise self._lose(error) from error
        return total

    def _write(self, data: bytes) -> None:
        self._check_open()
        _log.debug("> %r", data)
        try:
            self._port.write(data)
        except (OSError, serial.SerialException) as error:
            raise self._lose(error) from error

    def _classify(self, line: bytes) -> list[Reply]:
        return [reply for reply in classify(line) if not isinstance(reply, Blank)]

    def _check_open(self) -> None:
        if self._closed:
            raise RailPortError("The port is closed.", remedy="Connect again.", state="Disconnected.")
        if self._lost is not None:
            raise RailPortError(
                f"The link to the controller is lost: {self._lost}.", remedy=_LOST_REMEDY, state=_LOST_STATE
            )

    def _lose(self, error: Exception) -> RailPortError:
        self._lost = str(error) or type(error).__name__
        return RailPortError(
            f"The link to the controller is lost: {self._lost}.", remedy=_LOST_REMEDY, state=_LOST_STATE
        )
