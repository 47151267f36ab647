"""An axis counted from where it stands, its own origin left alone: what `--origin here` would count by, for a look that leaves no trace."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Never, Self

from capture.focus.handed import HandedAxis
from capture.session.bounded import BoundedAxis
from rail.axis import Axis, AxisStatus
from rail.errors import RailUsageError


def limits_from_here(axis: Axis) -> tuple[float, float]:
    """Limits as they will be once `axis` is zeroed where it stands.

    Those of a homed axis are the travel's own, counted from the switch; those of a zeroed one lie round its origin, wherever that is.
    """
    if isinstance(axis, BoundedAxis):  # whose bound counts from the new origin
        axis = axis.axis
    status = axis.status()
    offset = status.position if status.homed and status.position is not None else 0.0
    low, high = axis.limits
    return low - offset, high - offset


class AxisFromHere(HandedAxis):
    """`axis` by jogs alone, 0 where it stands: its position need not be known, and is counted on as it was.

    Parameters
    ----------
    axis : Axis
        Closed with this one.
    """

    def __init__(self, axis: Axis) -> None:
        profile = getattr(axis, "profile", None)
        low, high = limits_from_here(axis)
        take_up = 0.0 if profile is None else float(profile.take_up_um)
        super().__init__(axis, take_up, max(-low, high))
        self.from_below = profile is None or profile.approach_sign > 0
        self._limits = low, high

    @property
    def limits(self) -> tuple[float, float]:
        """Those of the axis once it is zeroed here; what lies beyond its range as it counts now is refused by `move_to`."""
        return self._limits

    def jog(self, distance: float) -> AxisStatus:
        """Go straight on by `distance`."""
        self.go(self.position + distance)
        return self.status()

    def unlock(self) -> Never:
        """Refused, as all that changes what the axis knows."""
        raise self._refused()

    def home(self) -> Never:
        """Refused."""
        raise self._refused()

    def zero(self) -> Never:
        """Refused."""
        raise self._refused()

    def set_position(self, position: float) -> Never:
        """Refused."""
        del position
        raise self._refused()

    def close(self) -> None:
        """The axis's."""
        self._axis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        """What an axis has beyond the protocol: its profile, the time of its last stop."""
        return getattr(self._axis, name)

    def _refused(self) -> RailUsageError:
        return RailUsageError(
            "this look leaves the rail's origin as it is", remedy="Give the command for it by itself.", state="At rest."
        )
