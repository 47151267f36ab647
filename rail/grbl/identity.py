"""Who a controller is, and how it came to rest: values."""

from __future__ import annotations

from dataclasses import dataclass

from rail.errors import RailUnknownControllerError
from rail.grbl.protocol import Status


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers.

    Attributes
    ----------
    version, options : str
        As said.
    dialect : str
        ``grbl``, ``grblhal``, ``fluidnc`` or ``marlin``.
    name : str
        Of that kind of controller, as its makers write it.
    homes_alone : bool
        Homing moves X alone. False: whatever its build and settings say.
    tells_slips : bool
        It says itself, while homing, where it met its switch and where it should have.
    """

    version: str
    options: str
    dialect: str = "grbl"
    name: str = "GRBL 1.1"
    homes_alone: bool = False
    tells_slips: bool = False


@dataclass(frozen=True, slots=True)
class Rest:
    """How the controller came to rest.

    Attributes
    ----------
    status : Status
        The confirmed report at rest, in mm.
    was_moving : bool
        It was in motion, or in a hold, when it was asked.
    reset : bool
        A soft reset was needed; the work offset is gone with it.
    kept : bool
        The machine position is the same before and after that reset.
    offset : tuple of float or None
        Work offset before the reset, where it was seen; mm, or the report's unit before the settings were read.
    """

    status: Status
    was_moving: bool
    reset: bool = False
    kept: bool = True
    offset: tuple[float, ...] | None = None


def unknown_controller(said: str) -> RailUnknownControllerError:
    """The error for a controller that nobody here knows; `said` is what it answered."""
    return RailUnknownControllerError(
        f"This is no controller that focusrail knows; it said: {said!r}.",
        remedy="focusrail drives GRBL 1.1, grblHAL, FluidNC and Marlin. Check that this is the rail's port and its speed (the "
        "profile's `baud`), or flash one of them onto the controller.",
        state="Nothing was moved.",
    )
