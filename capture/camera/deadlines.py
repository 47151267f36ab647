"""How long calls to a camera may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each kind of call may take, in seconds.

    Attributes
    ----------
    open_s, call_s, live_s : float
        Opening the camera, reading or writing settings, one live frame.
    shot_s : float
        From the release to the first file, beyond the exposure.
    next_file_s : float
        From one file to the next.
    stall_s : float
        A transfer that does not move.
    memory_s : float
        A transfer out of the camera's memory, whose progress cannot be seen.
    recover_s : float
        Getting the camera back after the child or the link died.
    battery_s : float
        The battery is looked at after a shot, but not more often than this.
    """

    open_s: float = 20.0
    call_s: float = 15.0
    live_s: float = 8.0
    shot_s: float = 20.0
    next_file_s: float = 10.0
    stall_s: float = 15.0
    memory_s: float = 60.0
    recover_s: float = 25.0
    battery_s: float = 3.0
