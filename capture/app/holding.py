"""Stopping what another focusrail moves: its process is told to end, and stops the motion on its way out."""

from __future__ import annotations

import os
import signal
import time

from capture.app.opening import LENS, PROGRAMS, rail_port
from capture.session.claims import rail_claimant
from capture.settings import Settings
from rail.errors import RailBusyError
from rail.holders import in_the_way

_END_S = 30.0
_LOOK_S = 0.02


def end_holder(settings: Settings, rail: str | None) -> int | None:
    """End the focusrail of this user that holds the rail named by flag or setting, and wait until it has let go.

    A session that is ended so says how far it came, and `focusrail resume` goes on with it. Other programs are left alone: opening
    the port names them.

    Returns
    -------
    int or None
        Its process number; None where there is none.

    Raises
    ------
    UsageError
        Where no rail is named.
    rail.errors.RailBusyError
        It does not end.
    """
    port = rail_port(settings, rail)
    if port.startswith(LENS):
        return None
    pid = _holder(port)
    if pid is None:
        return None
    try:
        os.kill(pid, signal.SIGTERM)
    except (ProcessLookupError, PermissionError):
        return None  # it has just ended by itself, or another user's it is, whom opening the rail names
    deadline = time.monotonic() + _END_S
    while _holder(port) == pid:
        if time.monotonic() >= deadline:
            raise RailBusyError(
                f"process {pid} holds {port}, was told to end (SIGTERM) and has not let go of it for {_END_S:.0f} s",
                remedy=f"`kill -9 {pid}`, then `focusrail rail stop` again; or switch off the motor's supply.",
                state="Not known; the rail may still move.",
            )
        time.sleep(_LOOK_S)
    return pid


def _holder(port: str) -> int | None:
    """The focusrail that has `port` open, or has claimed it: a session claims it over a lost link, too."""
    ours = [holder.pid for holder in in_the_way(port, PROGRAMS) if holder.ours]
    if ours:
        return ours[0]
    claimant = rail_claimant(port)
    return None if claimant is None else claimant.pid
