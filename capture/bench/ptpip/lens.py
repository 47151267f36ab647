"""The lens's focus motor: relative steps, a speed, two ends, play between the directions, and no scale to read."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class FocusMotor:
    """A motor that shifts the plane of focus by `um_per_step`; times are device seconds. Safe from any thread.

    A move takes time at `steps_per_s`; `play_steps` are lost at each change of direction.
    """

    um_per_step: float = 0.25
    half_travel_steps: int = 20000
    steps_per_s: float = 4000.0
    play_steps: int = 12
    position_steps: int = 0
    _before_steps: int = 0
    _since: float = -math.inf
    _until: float = -math.inf
    _direction: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def move(self, steps: int, now: float) -> bool:
        """Start to move by so many steps; False where an end stopped it short."""
        with self._lock:
            self._before_steps = round(self._at(now))
            wanted = steps
            if steps * self._direction < 0:
                wanted = int(math.copysign(max(abs(steps) - self.play_steps, 0), steps))
            if steps:
                self._direction = 1 if steps > 0 else -1
            target = self._before_steps + wanted
            self.position_steps = max(-self.half_travel_steps, min(self.half_travel_steps, target))
            way = abs(steps) - abs(target - self.position_steps)
            self._since, self._until = now, now + way / self.steps_per_s
            return self.position_steps == target

    def offset_um(self, now: float) -> float:
        """How far the plane of focus is shifted."""
        with self._lock:
            return self._at(now) * self.um_per_step

    def moving(self, now: float) -> bool:
        """Whether it moves."""
        with self._lock:
            return now < self._until

    @property
    def arrives_s(self) -> float:
        """When it is there, or was."""
        with self._lock:
            return self._until

    def rest_s(self, now: float) -> float:
        """Seconds since it last moved; infinity if it never did."""
        with self._lock:
            return max(now - self._until, 0.0)

    def _at(self, now: float) -> float:
        if now >= self._until:
            return float(self.position_steps)
        share = (now - self._since) / (self._until - self._since)
        return self._before_steps + share * (self.position_steps - self._before_steps)
