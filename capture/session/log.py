"""The session's log file: what the program's own loggers say while the session runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from capture.errors import SessionError

PACKAGES = ("capture", "rail", "stacking")
_FORMAT = "%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s"


@contextmanager
def session_log(path: Path, level: int = logging.INFO) -> Iterator[None]:
    """Append what `capture`, `rail` and `stacking` log to `path` until the context ends."""
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise SessionError(
            f"the log {path} cannot be written: {error.strerror or error}",
            remedy="Check the folder's permissions and room.",
        ) from error
    handler.setFormatter(logging.Formatter(_FORMAT, datefmt="%Y-%m-%dT%H:%M:%S"))
    loggers = [logging.getLogger(name) for name in PACKAGES]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, old in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(old)
        handler.close()
