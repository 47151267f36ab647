"""What is told about a session while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from capture.camera.protocol import Shot


@dataclass(frozen=True, slots=True)
class ShootProgress:
    """How far the session is.

    Attributes
    ----------
    done, planned : int
        Frames, those that were added among them.
    position : float
        Of the last one, in the axis's unit.
    seconds_left : float or None
        From the session's own pace; None until the first frame is done.
    covered : float
        Share of the range, near end to far end, that lies between neighbouring frames that are there; 0 to 1.
    """

    done: int
    planned: int
    position: float
    seconds_left: float | None
    covered: float = 0.0


class Watcher(Protocol):
    """What is told about the session while it runs. Must return quickly."""

    def frame_done(self, progress: ShootProgress, shot: Shot) -> None:
        """A frame was accepted."""

    def notice(self, text: str) -> None:
        """Something the user should read."""

    def trouble(self, text: str) -> None:
        """Something went wrong and is tried again; the user may want to see to it."""
