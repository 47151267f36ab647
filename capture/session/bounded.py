"""An axis that never passes one position: the lens must not touch the subject."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from capture.session.plan import StackPlan
from rail.axis import Axis, AxisCapabilities, AxisStatus
from rail.errors import RailLimitError

_SLACK = 1e-6


def refuse_beyond(plan: StackPlan, never_beyond: float | None) -> None:
    """Refuse a plan that passes `never_beyond`, before anything is opened.

    Raises
    ------
    rail.errors.RailLimitError
    """
    if never_beyond is not None and plan.far > never_beyond + _SLACK:
        raise RailLimitError(
            f"the far end at {plan.far:g} {plan.unit.value} lies beyond {never_beyond:g} {plan.unit.value}, "
            "which is never to be passed",
            remedy="Choose a nearer far end, or a larger --never-beyond if the lens has the room.",
            state="Nothing has moved.",
        )


def bounded(axis: Axis, never_beyond: float | None) -> Axis:
    """`axis`, or one that keeps to `never_beyond` where that is given."""
    return axis if never_beyond is None else BoundedAxis(axis, never_beyond)


class BoundedAxis:
    """An axis that refuses every motion beyond `never_beyond`, whoever asks for it: plan, sweep, repair, extension, parking.

    Parameters
    ----------
    axis : Axis
        Closed with this one.
    never_beyond : float
        Highest position, in the axis's unit, counted from the session's origin.

    Attributes
    ----------
    axis : Axis
    never_beyond : float
    """

    def __init__(self, axis: Axis, never_beyond: float) -> None:
        self.axis = axis
        self.never_beyond = never_beyond

    @property
    def capabilities(self) -> AxisCapabilities:
        """The axis's."""
        return self.axis.capabilities

    @property
    def limits(self) -> tuple[float, float]:
        """The axis's, and nothing beyond the bound; a rail that comes from the far side keeps its take-up inside, too."""
        low, high = self.axis.limits
        profile = getattr(self.axis, "profile", None)
        take_up = 0.0
        if profile is not None and profile.approach_sign < 0:
            take_up = profile.take_up_um
        return low, min(high, self.never_beyond - take_up)

    def status(self) -> AxisStatus:
        """The axis's."""
        return self.axis.status()

    def home(self) -> AxisStatus:
        """Home, unless the place where homing ends lies beyond the bound."""
        profile = getattr(self.axis, "profile", None)
        if profile is not None and profile.home_position_um > self.never_beyond + _SLACK:
            raise self._beyond(f"homing ends at {profile.home_position_um:g} um, which")
        return self.axis.home()

    def zero(self) -> AxisStatus:
        """The axis's; the bound is counted from the new origin."""
        return self.axis.zero()

    def set_position(self, position: float) -> AxisStatus:
        """The axis's; the bound is counted from the session's origin, as `position` is."""
        return self.axis.set_position(position)

    def unlock(self) -> AxisStatus:
        """The axis's."""
        return self.axis.unlock()

    def move_to(self, target: float) -> AxisStatus:
        """Go to `target` unless that is too far."""
        if target > self.limits[1] + _SLACK:
            raise self._beyond(f"{target:g} {self.capabilities.unit.value}")
        return self.axis.move_to(target)

    def jog(self, distance: float) -> AxisStatus:
        """Jog, unless that is known to lead too far; where the position is unknown, the caller sees to it."""
        position = self.axis.status().position
        if position is not None and distance > 0 and position + distance > self.never_beyond + _SLACK:
            raise self._beyond(f"a jog by {distance:g} {self.capabilities.unit.value} from {position:g}")
        return self.axis.jog(distance)

    def stop(self) -> AxisStatus:
        """The axis's."""
        return self.axis.stop()

    def close(self) -> None:
        """The axis's."""
        self.axis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        """What an axis has beyond the protocol (a profile, the time of its last stop) is there as without a bound."""
        return getattr(self.axis, name)

    def _beyond(self, what: str) -> RailLimitError:
        return RailLimitError(
            f"{what} lies beyond {self.never_beyond:g} {self.capabilities.unit.value}, which is never to be passed",
            remedy="Keep the plan inside, or give a larger --never-beyond if the lens has the room.",
            state="Nothing has moved.",
        )
