"""The session's log file: what the program's own loggers say while the session runs."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from pathlib import Path
from typing import Self

from capture.errors import SessionError

PACKAGES = ("capture", "rail", "stacking")
_MOST_KEPT = 50_000  # records until the folder is there: opening, homing, a sweep
_FORMAT = "%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s"


class SessionLog(logging.Handler):
    """Keeps what is logged from the start, and writes it once the session's folder is there.

    A context, which adds itself to the loggers of `capture`, `rail` and `stacking`.

    Parameters
    ----------
    level : int
        ``DEBUG`` holds every byte on the serial wire and every event of the camera.
    """

    def __init__(self, level: int = logging.INFO) -> None:
        super().__init__(level)
        self._kept: deque[logging.LogRecord] = deque(maxlen=_MOST_KEPT)
        self._file: logging.FileHandler | None = None
        self._before: list[int] = []

    def write_to(self, path: Path) -> None:
        """Append to `path` from now on, and what was kept until now.

        Raises
        ------
        SessionError
        """
        if self._file is not None:
            return
        try:
            file = logging.FileHandler(path, encoding="utf-8")
        except OSError as error:
            raise SessionError(
                f"the log {path} cannot be written: {error.strerror or error}",
                remedy="Check the folder's permissions and room.",
                state="Nothing was shot since.",
            ) from error
        file.setFormatter(logging.Formatter(_FORMAT, datefmt="%Y-%m-%dT%H:%M:%S"))
        file.handleError = self.handleError  # type: ignore[method-assign]
        while self._kept:
            file.emit(self._kept.popleft())
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        """Write, or keep."""
        if self._file is None:
            self._kept.append(record)
        else:
            self._file.emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """A log that cannot be written, on a disk that is full, is no error of the session: it ends by its frames, not by this."""

    def __enter__(self) -> Self:
        loggers = [logging.getLogger(name) for name in PACKAGES]
        self._before = [logger.level for logger in loggers]
        for logger in loggers:
            logger.addHandler(self)
            logger.setLevel(self.level)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for name, old in zip(PACKAGES, self._before, strict=True):
            logging.getLogger(name).removeHandler(self)
            logging.getLogger(name).setLevel(old)
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        self.close()
