"""What is known about the position: one state machine, counting whole steps.

The controller counts steps and reports millimetres with three decimals; the host counts the same steps. On a grid
finer than the report a reading fits several steps, so the ledger says whether its count is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

REPORT_MM = 0.001
"""Resolution of a report in mm (three decimals)."""

REPORT_INCH_MM = 0.00254
"""Resolution of a report in inches (four decimals)."""


@dataclass(frozen=True, slots=True)
class StepGrid:
    """How steps, the controller's millimetres and the carriage's micrometres belong together.

    Attributes
    ----------
    steps_per_mm : float
        Of the carriage: from the profile, else the controller's own.
    controller_steps_per_mm : float
        ``$100``: what a millimetre of G-code is in steps. Where the two differ, distances still come out right.
    sign : int
        +1 or -1: the direction in which the controller's count grows, seen in positions.
    report_mm : float
        Resolution of the controller's reports, in its millimetres: twice the largest error of a reading.
    """

    steps_per_mm: float
    controller_steps_per_mm: float
    sign: int
    report_mm: float = REPORT_MM

    @property
    def step_um(self) -> float:
        """One step of the carriage, um."""
        return 1000.0 / self.steps_per_mm

    @property
    def report_tells_steps(self) -> bool:
        """True where a report tells every step from its neighbours."""
        return self.controller_steps_per_mm * self.report_mm <= 1.0 + 1e-9

    def steps_at(self, machine_mm: float) -> int:
        """The machine step nearest to a reading in the controller's mm.

        A carriage sent to that step reports the same reading again.
        """
        return round(machine_mm * self.controller_steps_per_mm)

    def fits(self, steps: int, machine_mm: float) -> bool:
        """True where a carriage at `steps` can report `machine_mm`: half a report unit apart at most, and float32 noise."""
        noise = 2e-7 * abs(machine_mm) + 1e-5
        return abs(self.machine_mm(steps) - machine_mm) <= self.report_mm / 2 + noise

    def steps_like(self, machine_mm: float, digits: int, modulus: int) -> int | None:
        """The one step that can report `machine_mm` and whose count has `digits` modulo `modulus`; else None."""
        nearest = self.steps_at(machine_mm)
        reach = int(self.report_mm * self.controller_steps_per_mm) + 1
        found = [
            s for s in range(nearest - reach, nearest + reach + 1) if s % modulus == digits and self.fits(s, machine_mm)
        ]
        return found[0] if len(found) == 1 else None

    def tellable(self, steps: int) -> int:
        """The nearest step that a report tells from its neighbours."""
        if self.report_tells_steps:
            return steps
        return self.steps_at(round(self.machine_mm(steps) / self.report_mm) * self.report_mm)

    def machine_mm(self, steps: int) -> float:
        """The controller's mm at a machine step."""
        return steps / self.controller_steps_per_mm

    def um(self, steps: int) -> float:
        """A number of machine steps as um of position."""
        return self.sign * steps * 1000.0 / self.steps_per_mm

    def steps(self, um: float) -> int:
        """The whole number of machine steps nearest to `um` of position."""
        return self.sign * round(um * self.steps_per_mm / 1000.0)


NO_ORIGIN = "the rail was not homed or zeroed since its controller started"
"""Why a position is unknown where nothing else is known of it."""


class Ledger:
    """Where the carriage is, as far as is known.

    ``machine`` is the controller's own count. It is meaningful (for jogs) even while the position is unknown; the
    position is known only while an origin is. Every way to lose the origin goes through `lose`.
    """

    def __init__(self, grid: StepGrid) -> None:
        self.grid = grid
        self._machine: int | None = None
        self._origin: int | None = None
        self._exact = False
        self._homed = False
        self._reason = NO_ORIGIN

    @property
    def machine(self) -> int | None:
        """The controller's step count; None before the first reading."""
        return self._machine

    @property
    def origin(self) -> int | None:
        """Machine step of position 0; None while the position is unknown."""
        return self._origin

    @property
    def exact(self) -> bool:
        """True where `machine` is the very step, not only one that the report allows."""
        return self._exact

    @property
    def known(self) -> bool:
        """True while the position is known."""
        return self._origin is not None and self._machine is not None

    @property
    def homed(self) -> bool:
        """True where the origin comes from an end switch."""
        return self._homed and self.known

    @property
    def reason(self) -> str:
        """Why the position is not known."""
        return self._reason

    @property
    def position_um(self) -> float | None:
        """The position, None while it is unknown."""
        if self._origin is None or self._machine is None:
            return None
        return self.grid.um(self._machine - self._origin) + 0.0

    def target(self, position_um: float) -> int:
        """Machine step for a position; the position must be known."""
        if self._origin is None:
            raise ValueError("no origin")
        return self._origin + self.grid.steps(position_um)

    def read(self, machine_mm: float) -> None:
        """Take a reading at rest. A count that can report it stands; another one is replaced by the nearest step."""
        if self._machine is not None and self._exact and self.grid.fits(self._machine, machine_mm):
            return
        self._machine = self.grid.steps_at(machine_mm)
        self._exact = self.grid.report_tells_steps

    def arrive(self, machine: int) -> None:
        """The carriage was sent to this step and its reading agrees."""
        self._machine = machine
        self._exact = True

    def blur(self) -> None:
        """The carriage was stopped between two readings: the next reading replaces the count."""
        self._exact = False

    def set_origin(self, origin: int, *, homed: bool) -> None:
        """From now on this machine step is position 0."""
        self._origin = origin
        self._homed = homed
        self._reason = ""

    def lose(self, reason: str) -> None:
        """Forget the origin; `reason` completes "the position is unknown because"."""
        if self._origin is not None or self._reason in {"", NO_ORIGIN}:
            self._reason = reason
        self._origin = None
        self._homed = False
        self._exact = False
