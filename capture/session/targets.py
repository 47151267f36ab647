"""Which frames a session is to have, and whether the axis can reach them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from capture.errors import UsageError
from capture.session.plan import StackPlan
from capture.session.records import FrameRecord
from rail.axis import Axis
from rail.errors import RailLimitError


@dataclass(frozen=True, slots=True)
class FrameTarget:
    """A frame to shoot: its number, its position in the axis's unit, and why it is not one of the plan's ("" where it is)."""

    number: int
    position: float
    added: str = ""


class Coverage:
    """Which share of a plan's range lies between neighbouring frames that are there. Adding one costs the same however many there are.

    Parameters
    ----------
    plan : StackPlan
    """

    def __init__(self, plan: StackPlan) -> None:
        self._near, self._step = plan.near, plan.step
        self._intervals = max(plan.count - 1, 1)
        self._there: set[int] = set()
        self._joined = 0

    def add(self, position: float) -> None:
        """A frame at `position` is there; a frame shot again changes nothing."""
        index = min(max(self._index(position), 0), self._intervals)
        if index not in self._there:
            self._there.add(index)
            self._joined += (index - 1 in self._there) + (index + 1 in self._there)

    def extend(self, far: float) -> None:
        """The range ends at `far` now; it never becomes smaller."""
        self._intervals = max(self._intervals, self._index(far))

    def _index(self, position: float) -> int:
        return math.ceil((position - self._near) / self._step - 1e-6)

    @property
    def share(self) -> float:
        """0 to 1."""
        return self._joined / self._intervals


def check_plan(plan: StackPlan, axis: Axis) -> None:
    """Refuse, before anything moves, a plan that the axis cannot follow.

    Raises
    ------
    UsageError
        Where the unit is not the axis's, or the step is finer than the axis can go.
    RailLimitError
        Where an end lies outside the allowed range.
    """
    if plan.unit is not axis.capabilities.unit:
        raise UsageError(
            f"the plan counts in {plan.unit.value}, the axis in {axis.capabilities.unit.value}",
            remedy="Give near, far and step in the axis's unit.",
        )
    low, high = axis.limits
    for name, position in (("near", plan.near), ("far", plan.far)):
        if not low <= position <= high:
            raise RailLimitError(
                f"the {name} end at {position:g} {plan.unit.value} lies outside the allowed range, "
                f"{low:g} to {high:g} {plan.unit.value}",
                remedy="Move the subject or the range, home the rail, or widen the profile's limits.",
                state="Nothing has moved.",
            )
    if plan.step < axis.capabilities.resolution * (1 - 1e-9) and plan.count > 1:
        raise UsageError(
            f"a step of {plan.step:g} {plan.unit.value} is finer than the axis's own step of {axis.capabilities.resolution:g}",
            remedy="Take a larger step, or a rail with a finer screw.",
        )


def targets_of(plan: StackPlan, frames: dict[int, FrameRecord]) -> list[FrameTarget]:
    """All frames a session is to have: the plan's, and those added to it; by position."""
    planned = [FrameTarget(number, position) for number, position in enumerate(plan.positions, 1)]
    added = [FrameTarget(f.number, f.target, f.added) for f in frames.values() if f.added and f.target is not None]
    return sorted([*planned, *added], key=lambda target: (target.position, target.number))
