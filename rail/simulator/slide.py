"""The mechanics of one axis: motor, screw with backlash, carriage, end stops, switch.

Positions are micrometres in the bench's own coordinate, counted from the middle of the travel. The motor turns the
screw; the nut has play, so the carriage follows the screw only once the play is taken up (the *play* operator of
hysteresis). Against an end stop, jammed, or told to lose steps, the motor stalls: its pulses are counted by the
controller and move nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class SlideSpec:
    """The fixed part of an axis.

    Attributes
    ----------
    um_per_step : float
        Carriage travel of one microstep, above 0.
    backlash_um : float
        Play of the nut, lost at each reversal.
    low_um, high_um : float
        Hard stops of the carriage (infinite: none).
    switch_um : float or None
        The limit switch is closed where the carriage is at or below this; None: no switch.
    switch_at_high : bool
        The switch is at the other end: closed at or above `switch_um`.
    microsteps : int
        Microsteps of a full step: to the nearest of these the motor falls when its current is cut.
    """

    um_per_step: float
    backlash_um: float = 0.0
    low_um: float = -math.inf
    high_um: float = math.inf
    switch_um: float | None = None
    switch_at_high: bool = False
    microsteps: int = 16


@dataclass(frozen=True, slots=True)
class Rest:
    """Where the moving parts are: screw in steps, carriage in um, pulses not followed so far."""

    rotor: int
    carriage_um: float
    lost: int = 0


class Slide:
    """One axis.

    Parameters
    ----------
    spec : SlideSpec
    carriage_um : float
        Where the carriage stands at first; clipped to the stops.
    slack : float
        Where in its play the nut is: 0 pressed on by a positive move, 1 by a negative one.
    """

    def __init__(self, spec: SlideSpec, carriage_um: float = 0.0, *, slack: float = 1.0) -> None:
        self.spec = spec
        carriage = min(max(carriage_um, spec.low_um), spec.high_um)
        self._zero_um = carriage + (1.0 - slack) * spec.backlash_um
        self.rest = Rest(rotor=0, carriage_um=carriage)
        self.pulses = 0
        self.jammed = False
        self.lose = 0
        self.stuck: bool | None = None
        self._relaxed = 0

    @property
    def carriage_um(self) -> float:
        """True position of the carriage."""
        return self.rest.carriage_um

    @property
    def slack(self) -> float:
        """Where in its play the nut is, 0 to 1."""
        if not self.spec.backlash_um:
            return 1.0
        screw = self._zero_um + self.rest.rotor * self.spec.um_per_step
        return min(max(1.0 - (screw - self.rest.carriage_um) / self.spec.backlash_um, 0.0), 1.0)

    def pressed(self, rest: Rest | None = None) -> bool:
        """Is the limit switch closed, now or at `rest`?"""
        if self.stuck is not None:
            return self.stuck
        if self.spec.switch_um is None:
            return False
        carriage = (rest or self.rest).carriage_um
        return carriage >= self.spec.switch_um if self.spec.switch_at_high else carriage <= self.spec.switch_um

    def preview(self, steps: int) -> Rest:
        """Where `steps` pulses (signed) would lead; nothing moves."""
        moved = 0 if self.jammed else steps
        if self.lose and moved:
            moved -= int(math.copysign(min(abs(moved), self.lose), moved))
        return self._shifted(self.rest, moved, counted=steps)

    def move(self, steps: int) -> None:
        """Give the motor `steps` pulses."""
        if not steps:
            return
        after = self.preview(steps)
        if self.lose and not self.jammed:
            self.lose = max(self.lose - abs(steps), 0)
        self.rest = after
        self.pulses += abs(steps)

    def overrun(self, steps: int) -> None:
        """The rotor runs on by itself: no pulses, and nobody counts."""
        self._turn(steps)

    def release(self) -> None:
        """Cut the motor's current: the rotor falls to the nearest full step."""
        if self._relaxed:
            return
        # Every full step is a place of rest; half way the rotor falls back. (`rotor` counts from a full step.)
        whole = self.spec.microsteps * math.floor(self.rest.rotor / self.spec.microsteps + 0.5)
        self._relaxed = whole - self.rest.rotor
        self._turn(self._relaxed)

    def energise(self) -> None:
        """Switch the current on again: the rotor goes back to the driver's microstep."""
        back, self._relaxed = -self._relaxed, 0
        self._turn(back)

    def _turn(self, steps: int) -> None:
        if steps and not self.jammed:
            self.rest = replace(self._shifted(self.rest, steps, counted=0), lost=self.rest.lost)

    def _shifted(self, rest: Rest, steps: int, *, counted: int) -> Rest:
        spec = self.spec
        rotor = rest.rotor + steps
        if steps > 0 and math.isfinite(spec.high_um):
            # Pushed up, the nut lags the screw by the play; it may press the carriage against the stop, no further.
            rotor = max(
                min(rotor, math.floor((spec.high_um + spec.backlash_um - self._zero_um) / spec.um_per_step)), rest.rotor
            )
        elif steps < 0 and math.isfinite(spec.low_um):
            rotor = min(max(rotor, math.ceil((spec.low_um - self._zero_um) / spec.um_per_step)), rest.rotor)
        screw = self._zero_um + rotor * spec.um_per_step
        carriage = min(max(rest.carriage_um, screw - spec.backlash_um), screw)
        carriage = min(max(carriage, spec.low_um), spec.high_um)
        return Rest(rotor, carriage, rest.lost + abs(counted) - abs(rotor - rest.rotor) if counted else rest.lost)
