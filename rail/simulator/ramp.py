"""Trapezoidal speed profiles: how far, how fast, at what time. Lengths in mm, speeds mm/s, accelerations mm/s2."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of constant acceleration."""

    speed: float
    acceleration: float
    duration_s: float

    def distance(self, t: float) -> float:
        """Distance `t` seconds into the phase."""
        return t * (self.speed + 0.5 * self.acceleration * t)

    def time(self, distance: float) -> float:
        """Time at which `distance` (within the phase) is reached."""
        if not self.acceleration:
            return distance / self.speed if self.speed else self.duration_s
        root = math.sqrt(max(self.speed**2 + 2 * self.acceleration * distance, 0.0))
        # The form without cancellation; root + speed is 0 only for a phase that starts and stays at rest.
        return 2 * distance / (root + self.speed) if root + self.speed else self.duration_s


@dataclass(frozen=True, slots=True)
class Ramp:
    """Up to three phases, one behind the other.

    Attributes
    ----------
    phases : tuple of Phase
    length_mm, duration_s, exit_speed : float
    """

    phases: tuple[Phase, ...]
    length_mm: float
    duration_s: float
    exit_speed: float

    def at(self, t: float) -> tuple[float, float]:
        """Distance covered and speed, `t` seconds after the start."""
        if t >= self.duration_s:
            return self.length_mm, self.exit_speed
        covered = 0.0
        for phase in self.phases:
            if t <= phase.duration_s:
                return min(covered + phase.distance(t), self.length_mm), max(phase.speed + phase.acceleration * t, 0.0)
            covered += phase.distance(phase.duration_s)
            t -= phase.duration_s
        return self.length_mm, self.exit_speed

    def time(self, distance: float) -> float:
        """When `distance` is reached; the whole duration for the length and beyond."""
        if distance >= self.length_mm:
            return self.duration_s
        before = 0.0
        for phase in self.phases:
            covered = phase.distance(phase.duration_s)
            if distance <= covered:
                return before + min(phase.time(distance), phase.duration_s)
            distance -= covered
            before += phase.duration_s
        return self.duration_s


def _ramp(phases: list[Phase], length: float, exit_speed: float) -> Ramp:
    kept = tuple(p for p in phases if p.duration_s > 0)
    return Ramp(kept, length, sum(p.duration_s for p in kept), exit_speed)


def trapezoid(entry: float, nominal: float, exit_speed: float, length: float, acceleration: float) -> Ramp:
    """From `entry` over at most `nominal` to `exit_speed` along `length`.

    Too fast for what the length allows, it brakes all along, and ``Ramp.exit_speed`` says what speed is left.
    """
    a = acceleration
    exit_speed = min(exit_speed, nominal)
    floor_square = entry**2 - 2 * a * length
    if floor_square >= exit_speed**2:
        left = math.sqrt(max(floor_square, 0.0))
        return _ramp([Phase(entry, -a, (entry - left) / a)], length, left)
    if entry > nominal:
        first = (entry**2 - nominal**2) / (2 * a)
        last = max(nominal**2 - exit_speed**2, 0.0) / (2 * a)
        if first + last <= length:
            cruise = (length - first - last) / nominal
            braking = [Phase(entry, -a, (entry - nominal) / a), Phase(nominal, 0.0, cruise)]
            return _ramp([*braking, Phase(nominal, -a, (nominal - exit_speed) / a)], length, exit_speed)
        left = math.sqrt(max(floor_square, 0.0))
        return _ramp([Phase(entry, -a, (entry - left) / a)], length, left)
    peak = min(nominal, math.sqrt(max(a * length + 0.5 * (entry**2 + exit_speed**2), 0.0)))
    if peak <= exit_speed:  # accelerating all along
        reached = math.sqrt(entry**2 + 2 * a * length)
        if reached <= peak:
            return _ramp([Phase(entry, a, (reached - entry) / a)], length, reached)
        exit_speed = min(exit_speed, peak)
    peak = max(peak, entry)
    cruise_length = length - (peak**2 - entry**2) / (2 * a) - (peak**2 - exit_speed**2) / (2 * a)
    cruise = max(cruise_length, 0.0) / peak if peak else 0.0
    phases = [Phase(entry, a, (peak - entry) / a), Phase(peak, 0.0, cruise)]
    return _ramp([*phases, Phase(peak, -a, (peak - exit_speed) / a)], length, exit_speed)


def braking(entry: float, length: float, acceleration: float) -> Ramp:
    """Brake to rest; where `length` is too short, to the speed left at its end."""
    needed = entry**2 / (2 * acceleration)
    if needed <= length:
        return _ramp([Phase(entry, -acceleration, entry / acceleration)], needed, 0.0)
    left = math.sqrt(entry**2 - 2 * acceleration * length)
    return _ramp([Phase(entry, -acceleration, (entry - left) / acceleration)], length, left)
