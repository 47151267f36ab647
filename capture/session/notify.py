"""Telling somebody who is not looking: a bell, a desktop notification, or a command of the user's. Never an error of the session."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_log = logging.getLogger(__name__)

BELL, DESKTOP = "bell", "desktop"
COMMAND_S = 20.0
_SHELL, _DESKTOP_PROGRAM = "/bin/sh", "notify-send"
_PLAIN_WORD = re.compile(r"[\w./+-]+(?=\s|$)")


class Notifier:
    """Sends notices by the way the user chose. What fails of them is logged, and said the first time.

    Parameters
    ----------
    way : str or None
        ``bell``, ``desktop``, or a command line for the shell, which finds ``FOCUSRAIL_EVENT`` (``finished`` or ``trouble``),
        ``FOCUSRAIL_MESSAGE`` and ``FOCUSRAIL_SESSION`` (an absolute path) in its environment. None: nothing is sent.
    session : Path
    say : callable
        Called with what the user should read, and the log is to keep.
    """

    def __init__(self, way: str | None, session: Path, say: Callable[[str], None]) -> None:
        self._way = way
        self._session = session.absolute()
        self._say = say
        self._said = False
        self._running: list[subprocess.Popen[bytes]] = []

    def finished(self, message: str) -> None:
        """The session has come to its end."""
        self._send("finished", message)

    def trouble(self, message: str) -> None:
        """Something went wrong that the user may want to see to."""
        self._send("trouble", message)

    def close(self) -> None:
        """Give commands that still run their time, 20 s for all of them, then end them and what they started."""
        end_s = time.monotonic() + COMMAND_S
        for process in self._running:
            try:
                process.wait(timeout=max(0.0, end_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # its own group: it was begun in a session of its own
                process.wait()
                self._failed(f"it took longer than {COMMAND_S:g} s and was ended")
        self._look_at_ended()

    def _send(self, event: str, message: str) -> None:
        if self._way is None:
            return
        self._look_at_ended()
        try:
            if self._way == BELL:
                sys.stderr.write("\a")
                sys.stderr.flush()
            elif self._way == DESKTOP:
                urgency = "normal" if event == "finished" else "critical"
                command = [_DESKTOP_PROGRAM, "--app-name=focusrail", f"--urgency={urgency}", "focusrail", message]
                self._start(command, event, message)
            else:
                self._start([_SHELL, "-c", self._way], event, message)
        except OSError as error:
            self._failed(unready(self._way) or str(error))

    def _start(self, command: Sequence[str], event: str, message: str) -> None:
        environment = os.environ | {
            "FOCUSRAIL_EVENT": event,
            "FOCUSRAIL_MESSAGE": message,
            "FOCUSRAIL_SESSION": str(self._session),
        }
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

    def _look_at_ended(self) -> None:
        """What became of the commands that have ended."""
        ended = [process for process in self._running if process.poll() is not None]
        self._running = [process for process in self._running if process not in ended]
        for process in ended:
            if process.returncode > 0:
                program = _DESKTOP_PROGRAM if self._way == DESKTOP else self._way
                self._failed(unready(self._way) or f"{program} ended with exit code {process.returncode}")

    def _failed(self, why: str) -> None:
        text = f"the notification failed: {why}; nothing else depends on it"
        if self._said:
            _log.warning("%s", text)
        else:
            self._said = True
            self._say(text)


def unready(way: str | None) -> str:
    """Why nothing can be sent by `way` ("" where nothing speaks against it): its program is looked for, not started."""
    if way == DESKTOP:
        return "" if shutil.which(_DESKTOP_PROGRAM) else f"there is no program {_DESKTOP_PROGRAM}"
    if way is None or way == BELL or (word := _PLAIN_WORD.match(way.strip())) is None:
        return ""  # what begins with more than a word only the shell understands
    try:
        known = subprocess.run([_SHELL, "-c", 'command -v "$1"', "sh", word[0]], capture_output=True, check=False)
    except OSError as error:
        return f"{_SHELL} cannot be started: {error.strerror}"
    return "" if known.returncode == 0 else f"there is no program {word[0]}"
