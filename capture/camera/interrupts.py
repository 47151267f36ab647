"""Signals that end the program, held back for the moment in which giving up would leave a motor at an unknown place."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def held_interrupts(ask_stop: Callable[[], None]) -> Iterator[None]:
    """Call `ask_stop` when a signal comes, and obey the signal when the context ends; off the main thread nothing is held.

    What runs inside must end soon after it was called.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append((number, frame))
        ask_stop()

    before = {number: signal.getsignal(number) for number in _HELD}
    # Those that are ignored stay so, and those set outside of Python cannot be put back.
    held = {number: how for number, how in before.items() if how not in {signal.SIG_IGN, None}}
    for number in held:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, how in held.items():
            signal.signal(number, how)
        if came:
            signal.raise_signal(came[0][0])
