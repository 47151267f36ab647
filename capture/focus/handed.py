"""An axis driven by jogs alone: the caller chooses from which side a position is come to, and no origin is needed."""

from __future__ import annotations

from dataclasses import replace

from capture.errors import FocusError
from rail.axis import Axis, AxisCapabilities, AxisStatus

# Travel each way where the axis does not know where it stands.
UNKNOWN_REACH = 3000.0


class HandedAxis:
    """What `AxisView` needs of an axis, counted from where the axis stood, in whole steps of it.

    `move_to` comes from below, or from above where `from_below` was set to False, from `take_up` beyond; `go` goes straight.

    Parameters
    ----------
    axis : Axis
    take_up : float
        Lost motion that is surely made up for.
    reach : float
        Farthest from where the axis stood that it may go, either way.
    """

    def __init__(self, axis: Axis, take_up: float, reach: float = UNKNOWN_REACH) -> None:
        self._axis = axis
        self._step = axis.capabilities.resolution
        self._steps = 0
        self._rising: bool | None = None
        self.from_below = True
        self.take_up = take_up
        low, high = -reach, reach
        status = axis.status()
        if status.position_known and status.position is not None:
            bottom, top = axis.limits
            low, high = max(low, bottom - status.position), min(high, top - status.position)
        self._bottom, self._top = low, high
        self.position = 0.0

    @property
    def capabilities(self) -> AxisCapabilities:
        """The axis's own."""
        return self._axis.capabilities

    @property
    def limits(self) -> tuple[float, float]:
        """Positions that can be come to from either side."""
        return min(self._bottom + self.take_up, 0.0), max(self._top - self.take_up, 0.0)

    @property
    def span(self) -> tuple[float, float]:
        """Positions that can be gone to at all."""
        return self._bottom, self._top

    def status(self) -> AxisStatus:
        """The axis's, with the position counted here."""
        return replace(self._axis.status(), position=self.position, position_known=True)

    def move_to(self, target: float) -> AxisStatus:
        """Come to `target` from the side that is wanted."""
        goal = round(target / self._step)
        ahead = goal - self._steps if self.from_below else self._steps - goal
        if ahead < 0 or self._rising is not self.from_below:
            beyond = -self.take_up if self.from_below else self.take_up
            self.go(min(max(goal * self._step + beyond, self._bottom), self._top))
        self.go(goal * self._step)
        return self.status()

    def go(self, target: float) -> float:
        """Go straight to `target`; where it stands then, in whole steps.

        Raises
        ------
        FocusError
            It lies beyond the travel.
        rail.errors.RailError
        """
        goal = round(target / self._step)
        if not self._bottom - self._step <= goal * self._step <= self._top + self._step:
            raise FocusError(
                f"the travel does not suffice: {target:.0f} from here lies outside {self._bottom:.0f} to {self._top:.0f}",
                remedy="Start from the middle of the travel, with the subject in focus there.",
                state=f"The carriage stands {self.position:.1f} from where it was.",
            )
        distance = goal - self._steps
        if distance:
            self._axis.jog(distance * self._step)
            self._rising = distance > 0
            self._steps = goal
            self.position = goal * self._step
        return self.position

    def stop(self) -> AxisStatus:
        """Stop motion at once."""
        return self._axis.stop()
