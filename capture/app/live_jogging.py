"""Jogging while frames are shown: one motion at a time, on a thread of its own, stopped on every way out."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Self

from rail.axis import Axis, AxisStatus
from rail.errors import RailError, RailStoppedError

_STOP_DEADLINE_S = 10.0


class Jogging:
    """Jogs `axis` (None: there is none) without holding up whoever shows frames.

    Attributes
    ----------
    message : str
        What the last motion failed with; "" where it did not.
    """

    def __init__(self, axis: Axis | None) -> None:
        self._axis = axis
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="jog")
        self._motion: Future[AxisStatus] | None = None
        self._waiting: float | None = None
        self._position = None if axis is None else axis.status().position
        self.message = ""

    @property
    def moving(self) -> bool:
        """Whether a motion is under way."""
        return self._motion is not None

    def position(self) -> float | None:
        """Where the axis stands, or is seen on its way; None where that is not known."""
        self._take_in()
        if self._axis is not None and self._motion is not None:
            return self._axis.status().position  # of another thread's motion: nothing is asked of the controller
        return self._position

    def by(self, distance: float) -> None:
        """Jog by `distance`, after the motion under way; one more waits at most."""
        self._take_in()
        if self._axis is None:
            return
        if self._motion is not None:
            self._waiting = distance
            return
        self.message = ""
        self._motion = self._worker.submit(self._axis.jog, distance)

    def stop(self) -> None:
        """Stop at once; nothing waits any more."""
        self._waiting = None
        if self._axis is not None and self._motion is not None:
            with suppress(RailError):
                self._axis.stop()

    def _take_in(self) -> None:
        if self._motion is None or not self._motion.done():
            return
        motion, self._motion = self._motion, None
        try:
            self._position = motion.result().position
        except RailStoppedError:
            self._position = None if self._axis is None else self._axis.status().position
        except RailError as error:
            self.message = f"{error.message} {error.remedy}".strip()
            self._position = None if self._axis is None else self._axis.status().position
            self._waiting = None
        if self._waiting is not None:
            distance, self._waiting = self._waiting, None
            self.by(distance)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting = None
        self.stop()
        if self._motion is not None:
            with suppress(RailError, TimeoutError):
                self._motion.result(_STOP_DEADLINE_S)
        self._worker.shutdown(wait=False)
