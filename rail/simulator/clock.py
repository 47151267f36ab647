"""Device time: seconds of the simulated hardware, at a multiple of real time."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What the simulated devices ask for the time."""

    def now(self) -> float:
        """Device seconds since the clock started; never goes back."""

    def wait_until(self, device_s: float, wake: threading.Event | None = None) -> bool:
        """Wait until the device time is reached. False where `wake` was set before (or no-one can move the clock on)."""

    def real_s(self, device_s: float) -> float:
        """How long a span of device time lasts in real seconds."""


class DeviceClock:
    """Real time, scaled.

    Parameters
    ----------
    scale : float
        Device seconds per real second, above 0.
    start_s : float
        Device time at the start.
    """

    def __init__(self, scale: float = 1.0, *, start_s: float = 0.0) -> None:
        if not scale > 0:
            raise ValueError(f"a time scale of {scale} stops the clock; it must be above 0")
        self.scale = scale
        self._start_s = start_s
        self._origin = time.monotonic()

    def now(self) -> float:
        """Device seconds since the clock started."""
        return self._start_s + (time.monotonic() - self._origin) * self.scale

    def real_s(self, device_s: float) -> float:
        """How long a span of device time lasts in real seconds."""
        return device_s / self.scale

    def wait_until(self, device_s: float, wake: threading.Event | None = None) -> bool:
        """Wait until the device time is reached, or `wake` is set; True where the time was reached."""
        event = wake if wake is not None else threading.Event()
        while (left := device_s - self.now()) > 0:
            if event.wait(self.real_s(left)):
                return False
        return True


class ManualClock:
    """A clock that stands still until a test moves it on."""

    def __init__(self, start_s: float = 0.0) -> None:
        self._now = start_s
        self._moved = threading.Condition()

    def now(self) -> float:
        """Device seconds as last set."""
        return self._now

    def real_s(self, device_s: float) -> float:
        """Device time and real time are the same here."""
        return device_s

    def advance(self, device_s: float) -> None:
        """Move the clock on by `device_s` (not below 0) and wake who waits."""
        if device_s < 0:
            raise ValueError("a clock never goes back")
        with self._moved:
            self._now += device_s
            self._moved.notify_all()

    def wait_until(self, device_s: float, wake: threading.Event | None = None) -> bool:
        """Wait until someone has moved the clock to `device_s`, or `wake` is set; True where the time was reached."""
        with self._moved:
            while self._now < device_s:
                if wake is not None and wake.is_set():
                    return False
                self._moved.wait(0.02 if wake is not None else None)
        return True
