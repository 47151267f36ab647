"""What a controller said last before it fell silent for good: a Marlin that has halted itself answers no later program.

Kept in the user's runtime folder, which a reboot empties, until the port answers again. A note is a courtesy: where it cannot be
written or read, there is none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path


def remember_halt(url: str) -> None:
    """The controller at `url` has halted itself."""
    with contextlib.suppress(OSError):
        path = _note(url)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch()


def forget_halt(url: str) -> None:
    """It answers."""
    with contextlib.suppress(OSError):
        _note(url).unlink(missing_ok=True)


def was_halted(url: str) -> bool:
    """Was that its last word?"""
    with contextlib.suppress(OSError):
        return _note(url).exists()
    return False


def _note(url: str) -> Path:
    folder = os.environ.get("XDG_RUNTIME_DIR") or f"{tempfile.gettempdir()}/focusrail-runtime-{os.getuid()}"
    name = os.path.realpath(url) if url.startswith("/") else url
    return Path(folder) / "focusrail" / f"halted-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
