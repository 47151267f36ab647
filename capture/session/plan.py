"""The plan of a stack: a frozen value with a pure list of positions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from capture.errors import UsageError
from rail.axis import AxisUnit

_SAME = 1e-6
MAX_FRAMES = 20_000
LONGEST_SETTLE_S = 600.0


def check_step(step: float, unit: AxisUnit) -> None:
    """Refuse a step that leads nowhere.

    Raises
    ------
    UsageError
    """
    if not step > 0:
        raise UsageError(f"a step of {step:g} {unit} leads nowhere", remedy="Give a step greater than zero.")


def check_ends(near: float, far: float) -> None:
    """Refuse a far end before the near end.

    Raises
    ------
    UsageError
    """
    if far < near:
        raise UsageError(
            f"the far end ({far:g}) lies before the near end ({near:g})",
            remedy="Positions grow towards the subject: near < far. Swap the two.",
        )


def check_settle(settle_s: float) -> None:
    """Refuse a wait that cannot be.

    Raises
    ------
    UsageError
    """
    if not 0 <= settle_s <= LONGEST_SETTLE_S:
        raise UsageError(
            f"a settle time of {settle_s:g} s is out of range (0 to {LONGEST_SETTLE_S:g} s)",
            remedy="Give seconds, for example --settle 0.5, or auto to have it measured.",
        )


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
            raise UsageError(
                "near, far, step and settle must be finite numbers",
                remedy="Give for example --near 0 --far 1.6mm --step 40um --settle 0.5.",
            )
        check_step(self.step, self.unit)
        check_ends(self.near, self.far)
        check_settle(self.settle_s)
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
