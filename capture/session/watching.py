"""What is told about a session while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from capture.camera.protocol import Shot


@dataclass(frozen=True, slots=True)
class ShootProgress:
    """How far the session is. `seconds_left` is None until the first frame is done."""

    done: int
    planned: int
    position: float
    seconds_left: float | None


class Watcher(Protocol):
    """What is told about the session while it runs. Must return quickly."""

    def frame_done(self, progress: ShootProgress, shot: Shot) -> None:
        """A frame was accepted."""

    def notice(self, text: str) -> None:
        """Something the user should read."""

    def trouble(self, text: str) -> None:
        """Something went wrong and is tried again; the user may want to see to it."""
