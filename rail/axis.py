"""The axis as the rest of the program sees it: one motor that moves the plane of focus.

A position grows towards the subject. Its unit is the axis's own: micrometres for a rail, drive steps for a lens motor
(``capabilities.unit``). Targets are absolute; a rail rounds them to its step grid and reports what it reached.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self


class AxisUnit(StrEnum):
    """What a position counts."""

    UM = "um"
    STEP = "st"


class AxisState(StrEnum):
    """What the axis is doing, in the words of the command line's contract."""

    IDLE = "idle"
    MOVING = "moving"
    HOLDING = "holding"
    HOMING = "homing"
    ALARM = "alarm"
    UNKNOWN = "unknown"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class AxisCapabilities:
    """What an axis can do.

    Attributes
    ----------
    unit : AxisUnit
        Unit of every position and distance of this axis.
    can_home : bool
        True where `home` finds an end switch.
    resolution : float
        Distance between two neighbouring reachable positions, in `unit`.
    """

    unit: AxisUnit
    can_home: bool
    resolution: float


@dataclass(frozen=True, slots=True)
class AxisStatus:
    """One reading of the axis.

    Attributes
    ----------
    state : AxisState
    position : float or None
        In the axis's unit; None where it is not known.
    position_known : bool
        False until homed or zeroed since the controller started, and again once the position was lost.
    homed : bool
        True where the origin comes from an end switch.
    origin : int or None
        Name of the origin that it counts from, another one whenever it was set anew; None where it is not known, or has no name.
    """

    state: AxisState
    position: float | None
    position_known: bool
    homed: bool
    origin: int | None = field(default=None, compare=False)


class SteeredAxis(Protocol):
    """What tells where it stands and goes where it is told: what looking through a camera needs of an axis."""

    @property
    def capabilities(self) -> AxisCapabilities:
        """What this axis can do."""

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest allowed position, in the axis's unit, kept by the host."""

    def status(self) -> AxisStatus:
        """Read the axis now. A lost link is reported as ``disconnected``, not raised."""

    def move_to(self, target: float) -> AxisStatus:
        """Go to `target` and return once the axis really stands still there.

        Approaches from the profile's side with backlash take-up. Refuses when the position is unknown
        (`RailPositionUnknownError`) or the target is out of range (`RailLimitError`).
        """


class Axis(SteeredAxis, Protocol):
    """One motorised axis. Every method raises `rail.errors.RailError` only; every wait has a deadline.

    Leaving the context, by whatever way, stops motion and closes the port; the motor stays powered.
    """

    def home(self) -> AxisStatus:
        """Find the end switch; its position becomes the origin."""

    def zero(self) -> AxisStatus:
        """Call the present position 0."""

    def set_position(self, position: float) -> AxisStatus:
        """Call the present place `position`: found again by other means than a switch."""

    def unlock(self) -> AxisStatus:
        """Leave an alarm. The position stays unknown where the alarm lost it."""

    def jog(self, distance: float) -> AxisStatus:
        """Move by `distance` from wherever the axis is; allowed while the position is unknown."""

    def stop(self) -> AxisStatus:
        """Stop motion at once, keeping the position; safe to call from a signal handler's way out."""

    def close(self) -> None:
        """Stop motion and close the port; idempotent."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
