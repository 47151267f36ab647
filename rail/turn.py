"""Whose turn it is on an axis, and how a stop reaches the one whose turn it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rail.errors import RailBusyError, RailStoppedError

_OTHER_THREAD_S = 30.0


class Turn:
    """One operation at a time. `ask_stop` may come from any thread, or from a signal handler inside the operation."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._stop_asked = threading.Event()
        self._stopping = threading.Event()

    @property
    def stopping(self) -> bool:
        """True while a stop ends the operation under way, or looks whether all stands."""
        return self._stopping.is_set()

    @property
    def mine(self) -> bool:
        """True inside an operation of this thread."""
        return self._owner == threading.get_ident()

    def ask_stop(self) -> None:
        """Let the operation under way end with `RailStoppedError` at its next `check`."""
        self._stop_asked.set()

    def check(self) -> None:
        """Called by waiting operations, every 50 ms or more often.

        Raises
        ------
        RailStoppedError
            Somebody asked for a stop.
        """
        if self._stop_asked.is_set():
            self._stop_asked.clear()
            raise RailStoppedError(
                "The motion was stopped before its end.", remedy="Move on when ready.", state="At rest; position kept."
            )

    @contextmanager
    def taken(self, wait_s: float = _OTHER_THREAD_S, *, by_stopping: bool = False) -> Iterator[None]:
        """Run an operation; `by_stopping` ends the one under way first.

        Raises
        ------
        RailBusyError
            Another one is under way, after `wait_s`.
        """
        if by_stopping:
            self._stopping.set()
        try:
            if self.mine or not self._acquire(wait_s, by_stopping=by_stopping):
                raise RailBusyError(
                    "Another operation of this axis is under way.", remedy="Wait for its end, or stop it."
                )
            try:
                self._owner = threading.get_ident()
                self._stop_asked.clear()
                yield
            finally:
                self._owner = None
                self._lock.release()
        finally:
            if by_stopping:
                self._stopping.clear()

    def _acquire(self, wait_s: float, *, by_stopping: bool) -> bool:
        deadline = time.monotonic() + wait_s
        if not by_stopping:
            # A stop that waits for its turn goes first: it is meant for what was before, not for what comes after.
            while self._lock.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
                if not self._stopping.is_set():
                    return True
                self._lock.release()
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.002)
            return False
        # Asked again and again: an operation that was about to begin takes no notice of what was asked before.
        while time.monotonic() < deadline:
            self._stop_asked.set()
            if self._lock.acquire(timeout=0.05):
                return True
        return False
