"""The plan of a stack: a frozen value with a pure list of positions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from capture.errors import UsageError
from rail.axis import AxisUnit

_SAME = 1e-6
MAX_FRAMES = 20_000


@dataclass(frozen=True, slots=True)
class StackPlan:
    """From `near` to `far` in steps of at most `step`; both ends are shot.

    Attributes
    ----------
    near, far, step : float
        In `unit`; near <= far (positions grow towards the subject's far side), step > 0.
    settle_s : float
        Wait between the carriage's stop and the shutter, so that vibration dies away.
    unit : AxisUnit
    """

    near: float
    far: float
    step: float
    settle_s: float = 0.3
    unit: AxisUnit = AxisUnit.UM

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in (self.near, self.far, self.step, self.settle_s)):
            raise UsageError("near, far, step and settle must be finite numbers")
        if self.step <= 0:
            raise UsageError(
                f"a step of {self.step:g} {self.unit} leads nowhere", remedy="Give a step greater than zero."
            )
        if self.far < self.near:
            raise UsageError(
                f"the far end ({self.far:g}) lies before the near end ({self.near:g})",
                remedy="Positions grow towards the subject: near < far. Swap the two.",
            )
        if not 0 <= self.settle_s <= 600:
            raise UsageError(f"a settle time of {self.settle_s:g} s is out of range (0 to 600 s)")
        if (self.far - self.near) / self.step >= MAX_FRAMES:
            raise UsageError(
                f"this plan has more than {MAX_FRAMES} frames", remedy="Check the units of near, far and step."
            )

    @property
    def count(self) -> int:
        """Number of planned frames."""
        return math.ceil((self.far - self.near) / self.step - _SAME) + 1

    @property
    def positions(self) -> tuple[float, ...]:
        """All targets from near to far, in `unit`; each computed from the near end, so that nothing accumulates."""
        inner = [self.near + index * self.step for index in range(self.count - 1)]
        return (*inner, self.far)
