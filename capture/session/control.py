"""Orders to a session that runs: pause, go on, stop after this frame, extend the far end.

They come from keys, signals and other processes, and are all written into one pipe or FIFO; the loop that shoots reads them between
its steps. Writing a byte is all that a signal handler does, so nothing can lock.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
import time
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from capture.errors import SessionError, UsageError

FIFO_NAME = ".control"
_MOST_BYTES = 4096


class Order(StrEnum):
    """What a running session can be told."""

    PAUSE = "pause"
    GO_ON = "resume"
    TOGGLE = "toggle"  # pause, or go on where it is paused: one key, one signal
    STOP = "stop"  # after the frame it is at
    EXTEND = "extend"  # with a distance: the far end lies farther by so much


class Controls:
    """The receiving end; the thread that shoots reads it.

    Parameters
    ----------
    folder : Path or None
        Where other processes find the FIFO; None, or a disk that has none, leaves keys and signals.

    Attributes
    ----------
    paused, stopping : bool
    extension : float
        How far the far end was extended since `take_extension`, in the axis's unit.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.paused = False
        self.stopping = False
        self.extension = 0.0
        self._rest = b""
        self._pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._path = None if folder is None else folder / FIFO_NAME
        self._fifo = -1
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
                os.mkfifo(self._path, 0o600)
                # open for both, so that it never reads as ended when a writer leaves
                self._fifo = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def send(self, order: Order, distance: float | None = None) -> None:
        """Give an order from this process; safe in a signal handler."""
        with contextlib.suppress(OSError):
            os.write(self._pipe[1], _line(order, distance))

    def wait(self, seconds: float) -> None:
        """Take orders until `seconds` have passed; 0 takes what is there. Ends early when told to stop or to go on."""
        end_s = time.monotonic() + seconds
        while True:
            before = (self.paused, self.stopping)
            self._take(max(0.0, end_s - time.monotonic()))
            if time.monotonic() >= end_s or (self.paused, self.stopping) != before:
                return

    def wait_while_paused(self) -> None:
        """Take orders until one says to go on, or to stop."""
        while self.paused and not self.stopping:
            self.wait(3600.0)

    def take_extension(self) -> float:
        """The distance by which the far end was extended since the last call."""
        distance, self.extension = self.extension, 0.0
        return distance

    def _take(self, seconds: float) -> None:
        sources = [self._pipe[0], *([self._fifo] if self._fifo >= 0 else [])]
        ready, _, _ = select.select(sources, [], [], seconds)
        for source in ready:
            with contextlib.suppress(BlockingIOError):
                self._rest += os.read(source, _MOST_BYTES)
        *lines, self._rest = self._rest[-_MOST_BYTES:].split(b"\n")
        for line in lines:
            self._obey(line.decode("ascii", "replace").split())

    def _obey(self, words: list[str]) -> None:
        match words:
            case [Order.PAUSE.value]:
                self.paused = True
            case [Order.GO_ON.value]:
                self.paused = False
            case [Order.TOGGLE.value]:
                self.paused = not self.paused
            case [Order.STOP.value]:
                self.stopping = True
            case [Order.EXTEND.value, distance]:
                with contextlib.suppress(ValueError):
                    self.extension += max(0.0, float(distance))

    def close(self) -> None:
        """Take the FIFO away; idempotent."""
        if self._fifo >= 0:
            os.close(self._fifo)
            self._fifo = -1
            if self._path is not None:
                with contextlib.suppress(OSError):
                    self._path.unlink()
        for end in self._pipe:
            with contextlib.suppress(OSError):
                os.close(end)
        self._pipe = (-1, -1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def send_order(session: Path, order: Order, distance: float | None = None) -> None:
    """Give an order to the process that shoots `session`.

    Raises
    ------
    SessionError
        Where nobody shoots it now.
    UsageError
        For an extension without a distance.
    """
    if order is Order.EXTEND and (distance is None or distance <= 0):
        raise UsageError("extend needs a distance", remedy="For example: focusrail control DIR extend 200um")
    path = session / FIFO_NAME
    try:
        if not stat.S_ISFIFO(path.stat().st_mode):
            raise FileNotFoundError
        # without a reader this fails at once instead of waiting for one
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        raise SessionError(
            f"nobody is shooting {session} now", remedy=f"Go on with it: focusrail resume {session}"
        ) from error
    try:
        os.write(descriptor, _line(order, distance))
    finally:
        os.close(descriptor)


def _line(order: Order, distance: float | None) -> bytes:
    return f"{order.value}{'' if distance is None else f' {distance:.6f}'}\n".encode("ascii")
