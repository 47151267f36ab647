"""Orders to a session that runs: pause, go on, stop after this frame, extend the far end.

They come from keys, signals and other processes, and are all written into one pipe or FIFO; the loop that shoots reads them between
its steps. Writing a byte is all that a signal handler does, so nothing can lock.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import stat
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from capture.errors import SessionError, UsageError
from capture.session.claims import folder_holder
from capture.session.records import SessionState

FIFO_NAME = ".control"
ANSWER_S = 60.0
"""How long an extension waits for its answer: orders are read between the steps of a frame, so a long exposure delays it."""
_ANSWERS = ".answer-"
_MOST_BYTES = 4096


class Order(StrEnum):
    """What a running session can be told."""

    PAUSE = "pause"
    GO_ON = "resume"
    TOGGLE = "toggle"  # pause, or go on where it is paused: one key, one signal
    STOP = "stop"  # after the frame it is at
    EXTEND = "extend"  # with a distance: the far end lies farther by so much


@dataclass(frozen=True, slots=True)
class Extension:
    """What a session says to an extension of its far end: why not ("" where it is extended), and where it lies now, in the axis's unit."""

    refused: str = ""
    far: float | None = None


class StoppedByUserError(Exception):
    """The user asked to stop after a frame; it is done, and the session can be gone on with."""


class Controls:
    """The receiving end; the thread that shoots reads it.

    Parameters
    ----------
    folder : Path or None
        Where other processes find the FIFO; None, or a disk that has none, leaves keys and signals.

    Attributes
    ----------
    paused, stopping : bool
    extend : callable
        Extends the far end by a distance, in the axis's unit, before it returns; whoever asked is told what it says.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.paused = False
        self.stopping = False
        self.extend: Callable[[float], Extension] = _not_yet
        self._ended = False
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

    def send(self, order: Order, distance: float | None = None) -> bool:
        """Give an order from this process; safe in a signal handler. False where none is taken any more."""
        if not self._ended:
            with contextlib.suppress(OSError):
                os.write(self._pipe[1], _line(order, distance))
        return not self._ended

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
            case [Order.EXTEND.value, distance, *asked_by]:
                with contextlib.suppress(ValueError):
                    self._extend(max(0.0, float(distance)), asked_by)

    def _extend(self, distance: float, asked_by: list[str]) -> None:
        extension = self.extend(distance)
        if self._path is not None and len(asked_by) == 1 and asked_by[0].isdigit():
            with contextlib.suppress(OSError):  # who asked may be gone
                answer = os.open(self._path.with_name(_ANSWERS + asked_by[0]), os.O_WRONLY | os.O_NONBLOCK)
                try:
                    os.write(answer, json.dumps(asdict(extension)).encode("ascii") + b"\n")
                finally:
                    os.close(answer)

    def end(self) -> None:
        """Take what still waits, and refuse orders from then on: nobody is to think that they are obeyed. Idempotent."""
        if self._ended:
            return
        self._ended = True
        self.extend = _over
        self._take(0)
        if self._fifo >= 0:
            os.close(self._fifo)
            self._fifo = -1
            if self._path is not None:
                with contextlib.suppress(OSError):
                    self._path.unlink()

    def close(self) -> None:
        """End, and give the pipe back; idempotent."""
        self.end()
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


def _not_yet(distance: float) -> Extension:
    del distance
    return Extension("nothing is shot yet")


def _over(distance: float) -> Extension:
    del distance
    return Extension("the session has ended")


def send_order(
    session: Path, order: Order, distance: float | None = None, *, answer_s: float = ANSWER_S
) -> Extension | None:
    """Give an order to the process that shoots `session`.

    Returns
    -------
    Extension or None
        What it says to an extension; None where that was not answered within `answer_s`, and for orders that need no answer.

    Raises
    ------
    SessionError
        Where nobody shoots it now, or it refuses.
    UsageError
        For an extension without a distance.
    """
    if order is Order.EXTEND and (distance is None or distance <= 0):
        raise UsageError("extend needs a distance above zero", remedy="For example: focusrail control DIR extend 200um")
    path = session / FIFO_NAME
    try:
        if not stat.S_ISFIFO(path.stat().st_mode):
            raise FileNotFoundError
        # without a reader this fails at once instead of waiting for one
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        raise _nobody_there(session, order) from error
    try:
        if order is Order.EXTEND:
            return _extended(session, descriptor, distance, answer_s)
        os.write(descriptor, _line(order, distance))
        return None
    except BrokenPipeError as error:  # it ended in this moment
        raise _nobody_there(session, order) from error
    finally:
        os.close(descriptor)


def _extended(session: Path, descriptor: int, distance: float | None, answer_s: float) -> Extension | None:
    """Order an extension, and wait for what the session says to it."""
    path = session / f"{_ANSWERS}{os.getpid()}"
    try:
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
        answers = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # a disk without FIFOs has none to give orders through either; the order is given all the same
        os.write(descriptor, _line(Order.EXTEND, distance))
        return None
    try:
        os.write(descriptor, _line(Order.EXTEND, distance, os.getpid()))
        ready, _, _ = select.select([answers], [], [], answer_s)
        answer = Extension(**json.loads(os.read(answers, _MOST_BYTES))) if ready else None
    finally:
        os.close(answers)
        path.unlink(missing_ok=True)
    if answer is not None and answer.refused:
        raise SessionError(
            f"the far end of {session} is not extended: {answer.refused}",
            remedy="Give a distance that stays inside, or shoot the rest as a session of its own.",
            state="The session goes on as planned.",
        )
    return answer


def _nobody_there(session: Path, order: Order) -> SessionError:
    """What is the matter with a session that takes no orders."""
    if not (session / "journal.db").is_file():
        return SessionError(
            f"{session} holds no session", remedy="Name the folder of a session that runs.", state="Nothing was done."
        )
    if (holder := folder_holder(session)) is not None:
        return SessionError(
            f"the session {session} is not shooting now, but its process is at work ({holder})",
            remedy="It takes orders from its first frame to its last, not while it looks for its plan or stacks. "
            f"`kill -INT {holder.pid}` stops it at once.",
            state="Nothing was done.",
        )
    if _is_finished(session):
        beyond = " What lies beyond its far end makes a session of its own." if order is Order.EXTEND else ""
        return SessionError(
            f"the session {session} is finished, and takes no orders",
            remedy=f"Orders are for sessions that run.{beyond}",
            state="Nothing was done.",
        )
    return SessionError(
        f"nobody is shooting {session} now",
        remedy=f"Orders are for sessions that run. Go on with it: focusrail resume {session}",
        state="Nothing was done.",
    )


def _is_finished(session: Path) -> bool:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return bool(json.loads((session / "manifest.json").read_text("utf-8"))["state"] == SessionState.FINISHED)
    return False


def _line(order: Order, *details: float | None) -> bytes:
    words = [order.value, *(f"{detail:.6f}".rstrip("0").rstrip(".") for detail in details if detail is not None)]
    return f"{' '.join(words)}\n".encode("ascii")
