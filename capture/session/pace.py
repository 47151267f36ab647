"""How long the frames to come will take, by those there were."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from statistics import median_low

_RECENT = 15


class Pace:
    """The time a frame takes: the median of the last ones, to which a pause or a camera that was away adds nothing.

    Parameters
    ----------
    clock : callable
        Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._took_s: deque[float] = deque(maxlen=_RECENT)
        self._begun_s = 0.0

    def begin(self) -> None:
        """A frame is begun; what came before it, as a pause, is no part of it."""
        self._begun_s = self._clock()

    def done(self) -> None:
        """It is done."""
        self._took_s.append(self._clock() - self._begun_s)

    def left_s(self, frames: int) -> float | None:
        """Seconds for so many more; None until the first is done."""
        return median_low(self._took_s) * frames if self._took_s else None
