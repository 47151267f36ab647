"""Progress with time left, on stderr: a bar on a terminal, one line a frame elsewhere."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from capture.app.output import say, show
from capture.camera.protocol import Shot
from capture.session.watching import ShootProgress

if TYPE_CHECKING:  # loaded where there is a terminal to draw on
    from rich.progress import Progress


class _Bar:
    """A rich bar where stderr is a terminal."""

    def __init__(self, title: str, total: int | None) -> None:
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}"),
            )
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task(title, total=total, note="")

    def start(self) -> None:
        if self._bar is not None:
            self._bar.start()

    def update(self, done: int, total: int, note: str, line: str) -> None:
        if self._bar is None:
            show(line)
        else:
            with contextlib.suppress(OSError):  # the terminal is gone; the work goes on
                self._bar.update(self._task, completed=done, total=total, note=note)

    def stop(self) -> None:
        if self._bar is not None:
            with contextlib.suppress(OSError):
                self._bar.stop()


class ShootingProgress:
    """Watches a session: a frame done, a notice; knows when the last frame was done."""

    def __init__(self, planned: int) -> None:
        self._bar = _Bar("shooting", planned)
        self.last_frame_s = time.monotonic()
        self.on_trouble: Callable[[str], None] = _nobody

    def frame_done(self, progress: ShootProgress, shot: Shot) -> None:
        """One more frame is safe on disk."""
        self.last_frame_s = time.monotonic()
        left = "" if progress.seconds_left is None else f"{_clock(progress.seconds_left)} left"
        covered = f"{progress.covered:.0%} of the range"
        where = f"frame {progress.done} of {progress.planned} at {progress.position:g}"
        parts = [part for part in (where, _name(shot), covered, left) if part]
        self._bar.update(progress.done, progress.planned, f"{covered} {left}", ", ".join(parts))

    def notice(self, text: str) -> None:
        """Something the user should read, now or in the log."""
        say(text)

    def trouble(self, text: str) -> None:
        """Something went wrong and is tried again."""
        say(text, logging.WARNING)
        self.on_trouble(text)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


class StackingProgress:
    """Called by the stacker with (stage, done, total); says a stage's time left from its own pace."""

    def __init__(self) -> None:
        self._bar = _Bar("stacking", None)
        self._stage = ""
        self._stage_started_s = time.monotonic()
        self._said_s = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """`done` of `total` steps of `stage` are finished."""
        now_s = time.monotonic()
        if stage != self._stage:
            self._stage, self._stage_started_s, self._said_s = stage, now_s, 0.0
        # one line a second is enough for a log
        if not sys.stderr.isatty() and done < total and now_s - self._said_s < 1.0:
            return
        self._said_s = now_s
        spent_s = now_s - self._stage_started_s
        left = f"{_clock(spent_s / done * (total - done))} left" if 0 < done < total else ""
        self._bar.update(done, total, f"{stage} {left}", f"{stage} {done} of {total}{', ' if left else ''}{left}")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


def _nobody(text: str) -> None:
    """Nobody is to be told."""


def _name(shot: Shot) -> str:
    """What the frame is called; a camera without a cable keeps its files."""
    return shot.files[0].path.name if shot.files else "on the camera's card"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
