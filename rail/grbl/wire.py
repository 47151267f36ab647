"""Bytes to and from one port as replies: what is read, what it says of the controller, and what the loss of the port means.

Errors of the port are mapped to rail errors here.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import serial

from rail.errors import RailPortError
from rail.grbl.protocol import (
    Alarm,
    Banner,
    Blank,
    ErrorReply,
    LineAssembler,
    Ok,
    Reply,
    Unrecognised,
    classify,
)

_log = logging.getLogger(__name__)

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


class Wire:
    """Sends bytes, collects replies and what they say of the controller.

    Attributes
    ----------
    outstanding : int
        Lines sent and not yet answered.
    reset_seen : bool
        A banner came that nobody asked for.
    alarm : int or None
        Code of the last ``ALARM:N`` since the last banner.
    numb : bool
        An alarm came and no banner since: it may answer nothing before a reset.
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
        self.numb = False
        self.doubtful = False
        self.unrecognised: deque[str] = deque(maxlen=20)
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

    def _note(self, reply: Reply) -> Reply:
        self.silent, self.heard = False, True
        if isinstance(reply, Ok | ErrorReply):
            self.outstanding = max(0, self.outstanding - 1)
        elif isinstance(reply, Banner):
            self.reset_seen = True
            self.alarm = None
            self.numb = False
            self.outstanding = 0
        elif isinstance(reply, Alarm):
            self.alarm, self.numb = reply.code, True
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
