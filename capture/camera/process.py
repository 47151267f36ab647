"""The child process that owns libgphoto2, seen from the session: started, asked with deadlines, ended.

Nothing that happens in the library can hold or end the session: a request that is not answered in time ends the child, and a child that
dies ends the request.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from capture.camera.faults import INTERRUPTED
from capture.camera.wire import CAMERA_EVENT, Done, Failed, Progress, Reply, Request

# what passes between us and libgphoto2, and every event of the camera, for the log of a session that asks for it
_wire = logging.getLogger("capture.camera.wire")

_POLL_S = 0.25
_START_S = 15.0
_END_S = 6.0


class ProcessDiedError(Exception):
    """The child ended while a request was running; `cause` says how."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class ProcessHungError(Exception):
    """The child did not answer in time and was ended."""

    def __init__(self, waited_s: float) -> None:
        super().__init__(f"no answer for {waited_s:.1f} s")
        self.waited_s = waited_s


class FailedCallError(Exception):
    """The library or the operating system refused; see `wire.Failed`."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.text)
        self.failed = failed


def _environment() -> dict[str, str]:
    """The child's environment: English words from the library, no settings file of it in anybody's home, our own import path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    # libgphoto2 keeps settings under either of these; where that cannot be made, it keeps them in memory.
    return kept | {
        "HOME": os.devnull,
        "XDG_CONFIG_HOME": os.devnull,
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }


LAST_S = 10.0
"""A deadline that will pass so soon is told: an exposure is part of it, and its silence is none."""
_SHORT_S = 8.0


class LibraryProcess:
    """One child process with libgphoto2 in it.

    Parameters
    ----------
    module : str
        The module that serves the socket.
    """

    def __init__(self, module: str = "capture.camera.gphoto_child") -> None:
        ours, theirs = Pipe(duplex=True)
        self._connection: Connection[Request, Reply] = ours
        self._words = os.memfd_create("driver-stderr")
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", module, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._words,
                env=_environment(),
                start_new_session=True,
            )
        self._alive, self._interrupted = True, False

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self._alive and self._child.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def ask(
        self,
        operation: str,
        *,
        deadline_s: float,
        watched: Path | None = None,
        on_progress: Callable[[Progress], float | None] | None = None,
        on_silence: Callable[[float, float], None] | None = None,
        arguments: dict[str, object] | None = None,
    ) -> object:
        """Run one operation of the driver with its arguments by name, and return its result.

        The deadline is one of silence: each message and each byte by which a file in the folder `watched` grows starts it anew;
        `on_progress` may return the seconds to wait from there on; `on_silence` is called once with the seconds of silence and the
        deadline, `LAST_S` before it passes.

        Raises
        ------
        FailedCallError
            The driver refused.
        ProcessDiedError, ProcessHungError
            The child is gone; this instance is spent.
        """
        _wire.debug("> %s %s", operation, arguments or "")
        try:
            # The child's own limit only ends one that lost its session while it hung.
            self._connection.send(
                Request(operation, arguments or {}, deadline_s=deadline_s + (900.0 if watched else 0.0))
            )
            return self._await(deadline_s, watched, on_progress, on_silence)
        except KeyboardInterrupt:
            # Its answer would be taken for that of the next request.
            self._interrupted = True
            self.kill()
            raise
        except (EOFError, OSError):
            cause = self._obituary()
            _wire.debug("! the library's process ended: %s", cause)
            self._release()
            raise ProcessDiedError(cause) from None

    def _await(
        self,
        deadline_s: float,
        watched: Path | None,
        on_progress: Callable[[Progress], float | None] | None,
        on_silence: Callable[[float, float], None] | None,
    ) -> object:
        since, grown = time.monotonic(), 0
        while True:
            silent_s = time.monotonic() - since
            if silent_s >= deadline_s:
                _wire.debug("! no answer for %.1f s: the library's process is ended", silent_s)
                self.kill()
                raise ProcessHungError(silent_s)
            if on_silence is not None and silent_s >= max(deadline_s - LAST_S, _SHORT_S):
                on_silence(silent_s, deadline_s)
                on_silence = None
            if not self._connection.poll(min(_POLL_S, deadline_s - silent_s)):
                if watched is not None and (size := _size_of_parts(watched)) != grown:
                    since, grown = time.monotonic(), size
                continue
            since = time.monotonic()
            reply = self._connection.recv()
            _log_reply(reply)
            if isinstance(reply, Done):
                return reply.result
            if isinstance(reply, Failed):
                raise FailedCallError(reply)
            if on_progress is not None and reply.stage != CAMERA_EVENT:
                deadline_s = on_progress(reply) or deadline_s

    def _obituary(self) -> str:
        if self._interrupted:
            return INTERRUPTED
        try:
            code = self._child.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return "it closed its socket"
        if code >= 0:
            return f"exit code {code}{self._last_words()}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"

    def _last_words(self) -> str:
        if self._words < 0:
            return ""
        said = os.pread(self._words, 65536, max(0, os.fstat(self._words).st_size - 65536)).decode("utf-8", "replace")
        lines = said.strip().splitlines()
        return f": {lines[-1]}" if lines else ""

    def _release(self) -> None:
        self._alive = False
        self._connection.close()
        if self._words >= 0:
            os.close(self._words)
            self._words = -1

    def kill(self) -> None:
        """End the child at once; idempotent."""
        self._child.kill()
        self._child.wait(timeout=_END_S)
        self._release()

    def close(self) -> None:
        """Let the child release the camera and end; end it where it does not; idempotent."""
        self._connection.close()
        try:
            self._child.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait(timeout=_END_S)
        self._release()


def _log_reply(reply: Reply) -> None:
    if not _wire.isEnabledFor(logging.DEBUG):
        return
    match reply:
        case Done(bytes() as result):
            _wire.debug("< done, %d bytes", len(result))
        case Done(list() as result):
            _wire.debug("< done, %d entries", len(result))
        case Done(result):
            _wire.debug("< done %s", result if result is not None else "")
        case Failed(code, text, reasons):
            _wire.debug("< failed %d %s %s", code, text, "; ".join(reasons))
        case Progress(stage, detail):
            _wire.debug("< %s %s", stage, detail)


def _size_of_parts(folder: Path) -> int:
    total = 0
    for part in folder.glob(".*.part"):
        try:
            total += part.stat().st_size
        except FileNotFoundError:
            continue
    return total
