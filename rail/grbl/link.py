"""One conversation over one port: a line, its answer, and whatever the controller pushes in between.

Single-threaded on purpose: the link reads while it waits, so no second thread can take a byte that is not its own.
Every wait has a deadline.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from rail.errors import HOME_AGAIN, RailRefusedError, RailResetError, RailTimeoutError
from rail.grbl import codes, encode
from rail.grbl.protocol import Alarm, Banner, ErrorReply, Message, Ok, Reply, Status
from rail.grbl.wire import Port, Wire

_log = logging.getLogger(__name__)

POLL_S = 0.2
"""Time between two ``?``: GRBL's recommended 5 Hz."""

MISSED_POLLS = 3
"""So many ``?`` in a row without an answer count as silence in motion; single ones may be dropped."""

_LAST_POLL_S = 0.1  # from the last of these to giving up

REPORT_S = 0.8
"""Deadline for a status report at rest, where more may keep the controller busy."""

LINE_S = 1.0
"""Deadline for the answer to a line that starts no motion."""

RESET_ASKED = Message("MSG", "Reset to continue")
"""After a hard alarm: from now on GRBL hears a reset."""

_SYNC_S, _SYNC_TRIES = 0.35, 6  # a first one may have ended a broken line
_RESEND_TRIES = 2  # at rest; what half a line has begun to move answers at its end, and is stopped before that
_DAMAGED = frozenset({1, 2, 3, 4, *range(20, 39), 100})
"""Refusals for what a line says, not for the controller's state: it was not carried out, and is sent once more. So is
what was refused for a reason that nobody knows: a refused line has done nothing, and no line is relative.
"""


class Link(Wire):
    """Sends lines and real-time bytes, waits for their answers.

    Attributes
    ----------
    book : codes.CodeBook
        What this controller's numbers mean.
    asked_s : float
        When the oldest question was asked that the last report may be the answer to.
    silent_since_s : float
        When the last deadline passed.
    sums : bool
        The controller checks the sums of lines that have one (`encode.summed`), so all have one.
    """

    def __init__(self, port: Port, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(port, clock=clock)
        self.book = codes.GRBL_BOOK
        self.asked_s = math.inf
        self.silent_since_s = -math.inf
        self.sums = False

    def command(
        self,
        line: str,
        limit_s: float = LINE_S,
        *,
        watch: Callable[[Status], None] | None = None,
        poll_after_s: float = math.inf,
        idle_poll_s: float = POLL_S,
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
        poll_after_s : float
            After so long ask ``?`` while waiting, and give up after `MISSED_POLLS` without an answer. Not before a line that
            starts a motion is answered: a report that is older than that motion would be taken for one of its.
        idle_poll_s : float
            After a report of idleness ask again so soon.
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
            return self._command(line, limit_s, watch, poll_after_s, idle_poll_s, on_slice)
        except RailRefusedError as error:
            if error.code not in _DAMAGED and self.book.knows(error.code):
                raise
            # A damaged byte may have made two lines of it, with an answer each: nothing is sent before both were heard.
            self.outstanding += 1
            try:
                self.resynchronise(_RESEND_TRIES)
            except RailTimeoutError:
                raise error from None
            _log.warning("sent again, as it may have been damaged on its way: %s", error.message)
            return self._command(line, limit_s, watch, poll_after_s, idle_poll_s, on_slice)

    def _command(
        self,
        line: str,
        limit_s: float,
        watch: Callable[[Status], None] | None,
        poll_after_s: float,
        idle_poll_s: float,
        on_slice: Callable[[], None] | None,
    ) -> list[Reply]:
        data = self._framed(line)
        if self.outstanding:
            self.resynchronise()
        self.outstanding += 1
        self._write(data)

        def answered(reply: Reply) -> bool:
            if isinstance(reply, ErrorReply):
                raise self.book.refused(reply.code, line)
            if isinstance(reply, Status) and watch is not None:
                watch(reply)
            return isinstance(reply, Ok)

        what = f"the answer to {line!r}"
        return self.exchange(
            answered, limit_s, poll_after_s=poll_after_s, idle_poll_s=idle_poll_s, on_slice=on_slice, what=what
        )

    def exchange(
        self,
        until: Callable[[Reply], bool],
        limit_s: float,
        *,
        poll_after_s: float = math.inf,
        idle_poll_s: float = POLL_S,
        on_slice: Callable[[], None] | None = None,
        what: str = "an answer",
        patience: int | None = None,
    ) -> list[Reply]:
        """Receive until `until` says so; the reply that satisfied it is the last of the list.

        After `poll_after_s` it begins to ask ``?``, `idle_poll_s` after a report of idleness again, and gives up after `patience` of
        them without an answer.
        """
        collected: list[Reply] = []
        start = self._clock()
        deadline = start + limit_s
        next_poll = start + poll_after_s
        unanswered = 0
        asked_s = math.inf
        most, last_s = (MISSED_POLLS, _LAST_POLL_S) if patience is None else (patience, POLL_S)
        while True:
            if on_slice is not None:
                on_slice()
            now = self._clock()
            if now >= next_poll and unanswered >= most:
                reply = self.receive(now)  # it may have come while this process was held up
                if reply is None:
                    raise self._silence(what, now - asked_s)
            else:
                if now >= next_poll:
                    self.realtime(encode.STATUS)
                    unanswered += 1
                    asked_s = min(asked_s, now)
                    next_poll = now + (POLL_S if unanswered < most else last_s)
                reply = self.receive(
                    min(deadline, next_poll, now + 0.02) if math.isfinite(next_poll) or on_slice else deadline
                )
            if reply is None:
                if self._clock() >= deadline:
                    error = self._silence(what, limit_s)
                    self.silent = math.isinf(next_poll) or unanswered >= most
                    raise error
                continue
            if isinstance(reply, Status):
                unanswered = 0
                self.asked_s, asked_s = asked_s, math.inf
                if reply.state == "Idle":
                    next_poll = min(next_poll, self._clock() + idle_poll_s)
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
            poll_after_s=0.0,
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
            if reply == RESET_ASKED:  # it came too early to be heard
                self.realtime(encode.SOFT_RESET)
        return False

    def resynchronise(self, tries: int = _SYNC_TRIES) -> None:
        """Find the beginning of the conversation again after an answer was lost or left unread.

        ``$G`` makes an unfinished line before it invalid instead of finishing it, and its own answer is unmistakable. Where it had
        to be asked more than once, all of its answers are waited for, or silence after one: a controller that was held up (a
        dwell, a slow host) gives them all, and the next line would take one for its own.
        """
        self.drain()
        heard = 0
        for asked in range(1, tries + 1):
            self._write(self._framed("$G"))
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
        raise self._silence("the answer to '$G'", tries * _SYNC_S)

    def _framed(self, line: str) -> bytes:
        if len(line) > encode.LINE_MAX - encode.SUM_TAKES or not line.isascii() or not line.isprintable():
            raise ValueError(f"not a line for the controller: {line!r}")
        return (encode.summed(line) if self.sums else line).encode("ascii") + b"\n"

    def reset_error(self) -> RailResetError:
        """The error for a banner that nobody asked for."""
        return RailResetError(
            "The controller restarted in mid-session.",
            remedy=f"{HOME_AGAIN} If it happens often: check the supply, the USB cable and the motor's earthing.",
            state="The controller is ready; the position is lost.",
        )

    def _silence(self, what: str, waited_s: float) -> RailTimeoutError:
        self.silent, self.silent_since_s = True, self._clock()
        heard = f" (last not understood: {self.unrecognised[-1]!r})" if self.unrecognised else ""
        return RailTimeoutError(
            f"The controller gave no sign of {what} for {waited_s:.1f} s{heard}.",
            remedy="Check power and cable; `focusrail rail status` connects again and stops what still moves.",
            state="Not known; a move that was under way may go on to its end.",
        )
