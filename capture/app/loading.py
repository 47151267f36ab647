"""What is off while a command's modules are imported: the search for garbage, and threads that wait for work by counting.

Importing makes a hundred thousand objects that stay: to look through them again and again takes an eighth of the time until a command
begins. And NumPy and OpenCV each bring a library of linear algebra that begins a thread for every further core, which spins for a tenth
of a second before it sleeps; what we ask of it is too small to be shared out.
"""

from __future__ import annotations

import gc
import os


def begin_imports() -> None:
    """Begin a process: nothing becomes garbage until `end_imports`. Before NumPy is imported."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.disable()


def end_imports() -> None:
    """All that a command works with is there, and is never looked through again; nothing where no imports were begun."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
