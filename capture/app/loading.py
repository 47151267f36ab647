"""The search for garbage, which is off while a command's modules are imported.

Importing makes a hundred thousand objects that stay: to look through them again and again takes an eighth of the time until a command
begins.
"""

from __future__ import annotations

import gc


def begin_imports() -> None:
    """Begin a process: nothing becomes garbage until `end_imports`."""
    gc.disable()


def end_imports() -> None:
    """All that a command works with is there, and is never looked through again; nothing where no imports were begun."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
