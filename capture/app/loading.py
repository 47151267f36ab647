"""What is off while a command's modules are imported: the search for garbage, interrupts, and threads that wait for work by counting.

Importing makes a hundred thousand objects that stay: to look through them again and again takes an eighth of the time until a command
begins. And NumPy and OpenCV each bring a library of linear algebra that begins a thread for every further core, which spins for a tenth
of a second before it sleeps; what we ask of it is too small to be shared out. An interrupt in the middle of Python's own book-keeping of
imports can leave a module locked for ever, for which another thread waits; or is lost. So it waits for their end, some tenths of a second.
"""

from __future__ import annotations

import gc
import os
from types import FrameType

_importing = _interrupted = False


def begin_imports() -> None:
    """Begin a process: nothing becomes garbage until `end_imports`. Before NumPy is imported."""
    global _importing
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _importing = True
    gc.disable()


def end_imports() -> None:
    """All that a command works with is there, and is never looked through again; nothing where no imports were begun.

    Raises
    ------
    KeyboardInterrupt
        Where one came meanwhile.
    """
    global _importing
    if not _importing:
        return
    gc.freeze()
    gc.enable()
    _importing = False
    if _interrupted:
        raise KeyboardInterrupt


def interrupt(number: int, frame: FrameType | None) -> None:
    """A signal handler: `KeyboardInterrupt`, from `end_imports` where it comes before that."""
    global _interrupted
    del number, frame
    if not _importing:
        raise KeyboardInterrupt
    _interrupted = True
