"""Telling somebody who is not looking: a bell, a desktop notification, or a command of the user's. Never an error of the session."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_log = logging.getLogger(__name__)

BELL, DESKTOP = "bell", "desktop"
COMMAND_S = 20.0


class Notifier:
    """Sends notices by the way the user chose.

    Parameters
    ----------
    way : str or None
        ``bell``, ``desktop``, or a command line for the shell, which finds ``FOCUSRAIL_EVENT`` (``finished`` or ``trouble``),
        ``FOCUSRAIL_MESSAGE`` and ``FOCUSRAIL_SESSION`` in its environment. None: nothing is sent.
    session : Path
    """

    def __init__(self, way: str | None, session: Path) -> None:
        self._way = way
        self._session = session
        self._running: list[subprocess.Popen[bytes]] = []

    def finished(self, message: str) -> None:
        """The session has come to its end."""
        self._send("finished", message)

    def trouble(self, message: str) -> None:
        """Something went wrong that the user may want to see to."""
        self._send("trouble", message)

    def close(self) -> None:
        """Give commands that still run their time, then end them."""
        for process in self._running:
            try:
                process.wait(timeout=COMMAND_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                _log.warning("the notification took longer than %g s and was ended", COMMAND_S)

    def _send(self, event: str, message: str) -> None:
        if self._way is None:
            return
        try:
            if self._way == BELL:
                sys.stderr.write("\a")
                sys.stderr.flush()
            elif self._way == DESKTOP:
                self._desktop(event, message)
            else:
                self._start(["/bin/sh", "-c", self._way], event, message)
        except OSError as error:
            _log.warning("the notification failed: %s", error)

    def _desktop(self, event: str, message: str) -> None:
        program = shutil.which("notify-send")
        if program is None:
            _log.warning("no desktop notification: notify-send is missing (apt install libnotify-bin)")
            return
        urgency = "normal" if event == "finished" else "critical"
        self._start([program, "--app-name=focusrail", f"--urgency={urgency}", "focusrail", message], event, message)

    def _start(self, command: Sequence[str], event: str, message: str) -> None:
        environment = os.environ | {
            "FOCUSRAIL_EVENT": event,
            "FOCUSRAIL_MESSAGE": message,
            "FOCUSRAIL_SESSION": str(self._session),
        }
        self._running = [process for process in self._running if process.poll() is None]
        self._running.append(
            subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )
