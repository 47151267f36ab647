"""Steps/mm from distances measured by hand: the arithmetic, its uncertainty, and the profile that keeps the result."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rail.errors import RailUsageError
from rail.profile_record import measured_now, record

KEY = "calibrated_steps_per_mm"

LARGEST_CHANGE = 0.2
"""A larger relative change comes from wrong parts (microsteps, lead), not from a screw's error."""


@dataclass(frozen=True, slots=True)
class StepsResult:
    """What came out.

    Attributes
    ----------
    steps_per_mm, uncertainty : float
        The value and its standard uncertainty, steps/mm.
    steps : int
        Steps that were commanded for each reading.
    measured_um, spread_um, reading_um : float
        Mean of the readings; their standard deviation (0 for one); standard uncertainty of one from the instrument's division.
    previous : float
        Steps/mm that the distance was commanded under.
    """

    steps_per_mm: float
    uncertainty: float
    steps: int
    measured_um: float
    spread_um: float
    reading_um: float
    previous: float

    def arithmetic(self) -> list[str]:
        """The way there, line by line."""
        millimetres = self.measured_um / 1000
        return [
            f"commanded: {self.steps} steps at {self.previous:.4f} steps/mm = {self.steps / self.previous:.4f} mm",
            f"measured:  {millimetres:.4f} mm (spread {self.spread_um:.2f} um, reading {self.reading_um:.2f} um)",
            f"{self.steps} steps / {millimetres:.4f} mm = {self.steps_per_mm:.4f} steps/mm",
            f"uncertainty: {self.steps_per_mm:.4f} x {self.uncertainty / self.steps_per_mm:.2e} = {self.uncertainty:.4f} steps/mm",
            f"change: {100 * (self.steps_per_mm / self.previous - 1):+.3f} %",
        ]


def steps_per_mm(
    commanded_um: float, measured_um: Sequence[float], previous: float, *, division_um: float
) -> StepsResult:
    """Steps/mm from a commanded distance and what was measured of it, once or several times.

    Parameters
    ----------
    commanded_um : float
        Not 0; its sign does not matter.
    measured_um : sequence of float
        One reading a movement, signs as they were read.
    previous : float
        Steps/mm that the distance was commanded under.
    division_um : float
        Smallest division of the instrument. A distance is the difference of two readings, each off by up to half of it:
        together sqrt(1/6) of it as standard uncertainty.

    Raises
    ------
    RailUsageError
        Readings that cannot be a distance.
    """
    steps = round(abs(commanded_um) * previous / 1000)
    lengths = [abs(value) for value in measured_um]
    if not lengths or not all(math.isfinite(value) and value > 0 for value in lengths):
        raise RailUsageError(
            "A measured distance must be above zero.", remedy="Measure again.", state="Nothing was written."
        )
    if steps == 0:
        raise RailUsageError(
            "The commanded distance is less than a step.",
            remedy="Command some millimetres.",
            state="Nothing was written.",
        )
    mean = statistics.fmean(lengths)
    spread = statistics.stdev(lengths) if len(lengths) > 1 else 0.0
    reading = division_um * math.sqrt(1 / 6)
    # The division is the same error each time, at worst: it does not shrink with the number of readings.
    total = math.hypot(spread / math.sqrt(len(lengths)), reading)
    value = steps * 1000 / mean
    return StepsResult(value, value * total / mean, steps, mean, spread, reading, previous)


def check_change(result: StepsResult) -> None:
    """Raise `RailUsageError` where the result is so far from before that a part must be another than the profile says."""
    ratio = result.steps_per_mm / result.previous
    if abs(ratio - 1) <= LARGEST_CHANGE:
        return
    guesses = {2.0: "twice the microsteps, or half the lead", 0.5: "half the microsteps, or twice the lead"}
    guesses |= {
        4.0: "four times the microsteps or a quarter of the lead",
        0.25: "a quarter of the microsteps or four times the lead",
    }
    nearest = min(guesses, key=lambda guess: abs(math.log(ratio / guess)))
    hint = (
        f" That is about {nearest:g} times: {guesses[nearest]} of what the profile says."
        if abs(ratio / nearest - 1) < 0.1
        else ""
    )
    raise RailUsageError(
        f"{result.steps_per_mm:.3f} steps/mm is {ratio:.3f} times what it was: no screw is that wrong.{hint}",
        remedy="Mend microsteps, lead or gear in the profile's [drive], or the jumpers; or measure again. --force writes it all the same.",
        state="Nothing was written.",
    )


def write_steps(profile_name: str | None, result: StepsResult) -> Path:
    """Put the result into the profile's file, a shipped one being copied to the user's own first; where it now stands.

    Raises
    ------
    RailUsageError
        The file cannot be written, or would not be valid.
    """
    note = f"gauge, {result.steps} steps as {result.measured_um / 1000:.4f} mm"
    measured = measured_now(round(result.steps_per_mm, 4), round(result.uncertainty, 4), "steps/mm", note)
    return record(profile_name, "steps", measured, key=KEY)
