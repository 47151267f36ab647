"""Keys and signals for a session that runs: p pause or go on, s stop after this frame, + one more frame at the far end.

Signals, for scripts: SIGUSR1 pauses or goes on, SIGUSR2 stops after this frame. ``focusrail control`` does the same from elsewhere.
Before the first frame and after the last they are answered as `capture.app.entry` has it.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from capture.app.output import say
from capture.session.control import Controls, Order

_SIGNALS: dict[int, Order] = {signal.SIGUSR1: Order.TOGGLE, signal.SIGUSR2: Order.STOP}
_KEYS = {"p": Order.TOGGLE, " ": Order.TOGGLE, "s": Order.STOP, "+": Order.EXTEND}


@contextmanager
def keys_and_signals(controls: Controls, step: float) -> Iterator[None]:
    """Until the context ends, keys and signals are orders to the session; the terminal is left as it was found.

    Parameters
    ----------
    controls : Controls
    step : float
        By how much ``+`` extends the far end, in the axis's unit.
    """

    before: dict[int, Any] = {}

    def give(number: int, frame: FrameType | None) -> None:
        if not controls.send(_SIGNALS[number]) and callable(before.get(number)):
            before[number](number, frame)

    if threading.current_thread() is threading.main_thread():
        before.update({number: signal.signal(number, give) for number in _SIGNALS})
    try:
        with _keyboard(controls, step):
            yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def _keyboard(controls: Controls, step: float) -> Iterator[None]:
    if not _may_read_keys():
        yield
        return
    descriptor = sys.stdin.fileno()
    saved = termios.tcgetattr(descriptor)
    end_read, end_write = os.pipe()

    def read() -> None:
        while True:
            ready, _, _ = select.select([descriptor, end_read], [], [])
            if end_read in ready:
                return
            try:
                key = os.read(descriptor, 1).decode("ascii", "replace").lower()
            except OSError:
                return  # the terminal was closed; the session goes on
            if not key:
                return
            order = _KEYS.get(key)
            if order is not None:
                controls.send(order, step if order is Order.EXTEND else None)

    thread = threading.Thread(target=read, name="keys", daemon=True)
    try:
        tty.setcbreak(descriptor)
        say("keys: p pause or go on, s stop after this frame, + one more step at the far end, Ctrl-C stop now")
        thread.start()
        yield
    finally:
        os.write(end_write, b".")
        if thread.ident is not None:
            thread.join(timeout=2)
        with suppress(termios.error):  # a terminal that was closed needs no mode
            termios.tcsetattr(descriptor, termios.TCSADRAIN, saved)
        os.close(end_read)
        os.close(end_write)


def _may_read_keys() -> bool:
    """Whether a terminal is there whose keys are for us: a job in the background that touched it would be stopped."""
    try:
        return sys.stdin is not None and sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:
        return False  # a terminal, but not ours: started by setsid
