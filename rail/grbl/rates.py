"""How fast the axis goes, and how long a motion may take at most."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from rail.grbl.position import StepGrid
from rail.profiles import RailProfile

_MARGIN_S = 3.0
_LEAST_OVERRIDE = 0.1
_SEARCH = 1.5  # GRBL searches for a switch over 1.5 times the travel
_LOCATE = 5.0  # and touches it again within 5 times the pull-off
_CYCLES = 2  # stock GRBL: Z first, then X and Y


@dataclass(frozen=True, slots=True)
class Rates:
    """Feed, acceleration and deadlines, in the controller's units.

    Attributes
    ----------
    feed_mm_min : float
        Of moves and jogs: the profile's, cut to ``$110``.
    acceleration_mm_s2 : float
        ``$120``.
    steps_per_mm : float
        ``$100``.
    homing_s : float
        Deadline of a homing cycle.
    jerk_s : float
        How long the acceleration takes to come up, where that is limited.
    """

    feed_mm_min: float
    acceleration_mm_s2: float
    steps_per_mm: float
    homing_s: float
    jerk_s: float = 0.0

    @classmethod
    def of(cls, profile: RailProfile, settings: dict[int, float], grid: StepGrid) -> Self:
        """From what the profile wants and the controller allows."""
        fastest = max(settings.get(110, 500.0), 0.1)
        feed = fastest
        if profile.feed_um_s is not None:
            scale = grid.steps_per_mm / grid.controller_steps_per_mm
            feed = min(fastest, profile.feed_um_s * 60 / 1000 * scale)
        seek, locate = max(settings.get(25, 500.0), 0.1), max(settings.get(24, 25.0), 0.1)
        pull_off = abs(settings.get(27, 1.0))
        travel = max((settings.get(number, 200.0) for number in (130, 131, 132)), default=200.0)
        search_s = 60 * _SEARCH * travel / min(seek, fastest) + 60 * 4 * _LOCATE * pull_off / min(locate, fastest)
        acceleration = max(settings.get(120, 10.0), 0.01)
        jerk = settings.get(270, 0.0)  # focusrail's firmware
        jerk_s = acceleration / jerk if jerk > 0 else 0.0
        return cls(feed, acceleration, grid.controller_steps_per_mm, _CYCLES * 1.2 * search_s + 10.0, jerk_s)

    def duration_s(self, steps: int) -> float:
        """Time of a motion from rest to rest with a trapezoid of speed."""
        distance, speed, rate = abs(steps) / self.steps_per_mm, self.feed_mm_min / 60, self.acceleration_mm_s2
        if distance <= speed * speed / rate:
            return 2 * math.sqrt(distance / rate)
        return distance / speed + speed / rate

    def covered(self, seconds: float) -> float:
        """Steps of a long motion that are done so long after its start at least, as carefully as a controller may accelerate."""
        since_s, speed, rate = max(seconds - self.jerk_s, 0.0), self.feed_mm_min / 60, self.acceleration_mm_s2 / 2
        ramp_s = speed / rate
        mm = rate * since_s * since_s / 2 if since_s < ramp_s else speed * (since_s - ramp_s / 2)
        return mm * self.steps_per_mm

    def limit_s(self, steps: int) -> float:
        """Deadline for that motion, at the least that somebody can turn the feed override down to, and a margin for the wire.

        Silence, and a carriage that does not come on as it should, are noticed long before.
        """
        return self.duration_s(steps) / _LEAST_OVERRIDE + _MARGIN_S
