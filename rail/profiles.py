"""Rail profiles: what a rail is made of, as validated TOML. Micrometres and seconds; steps/mm come from the parts.

A profile file holds the keys of `RailProfile`::

    name = "my-rail"
    backlash_um = 80

    [drive]
    full_steps_per_turn = 200
    microsteps = 16
    lead_mm = 2.0
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rail.errors import RailUsageError

DEFAULT_PROFILE = "default"


class Drive(BaseModel):
    """Motor, driver and screw.

    Attributes
    ----------
    full_steps_per_turn : int
        Of the motor: 200 for 1.8 degrees, 20 for a DVD drive's sled.
    microsteps : int
        Of the driver, per full step.
    gear : float
        Motor turns per turn of the screw or pinion.
    lead_mm : float
        Travel per turn of the screw, mm (lead = pitch x starts).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    full_steps_per_turn: int = Field(default=200, ge=4, le=10_000)
    microsteps: int = Field(default=16, ge=1, le=512)
    gear: float = Field(default=1.0, gt=0, le=10_000)
    lead_mm: float = Field(gt=0, le=200)

    @property
    def steps_per_mm(self) -> float:
        """Full steps per turn x microsteps x gear / lead."""
        return self.full_steps_per_turn * self.microsteps * self.gear / self.lead_mm


class RailProfile(BaseModel):
    """One rail.

    Attributes
    ----------
    name, description : str
    drive : Drive or None
        Parts that the steps/mm follow from.
    calibrated_steps_per_mm : float or None
        Measured; takes precedence over `drive`. With neither, the controller's ``$100`` is believed.
    range_low_um, range_high_um : float
        Allowed positions while the rail is not homed, um.
    travel_um : float or None
        Travel from the home position, um; None takes the controller's ``$130`` less the pull-off ``$27``.
    home_position_um : float
        Position given to the place where homing ends.
    feed_um_s, acceleration_um_s2 : float or None
        None takes the controller's ``$110`` and ``$120``; a feed above ``$110`` is cut to it.
    backlash_um : float
        Lost motion on reversal, upper bound. Targets are approached from farther than this.
    approach : "positive" or "negative"
        Direction of the last motion before each target; "positive" is towards the subject.
    settle_s : float
        Time for the shake to die away after a move.
    invert : bool
        True where the controller's positive X moves away from the subject.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1, max_length=80)
    description: str = ""
    drive: Drive | None = None
    calibrated_steps_per_mm: float | None = Field(default=None, gt=0, le=1_000_000)
    range_low_um: float = Field(default=-20_000.0, ge=-2_000_000, le=0)
    range_high_um: float = Field(default=20_000.0, ge=0, le=2_000_000)
    travel_um: float | None = Field(default=None, gt=0, le=2_000_000)
    home_position_um: float = Field(default=0.0, ge=-2_000_000, le=2_000_000)
    feed_um_s: float | None = Field(default=None, gt=0, le=1_000_000)
    acceleration_um_s2: float | None = Field(default=None, gt=0, le=100_000_000)
    backlash_um: float = Field(default=200.0, ge=0, le=5_000)
    approach: Literal["positive", "negative"] = "positive"
    settle_s: float = Field(default=0.5, ge=0, le=60)
    invert: bool = False

    @model_validator(mode="after")
    def _range_is_one(self) -> Self:
        if self.range_low_um >= self.range_high_um:
            raise ValueError("range_low_um must be below range_high_um")
        return self

    @property
    def steps_per_mm(self) -> float | None:
        """Steps per mm of carriage; None where the controller's own figure is to be believed."""
        if self.calibrated_steps_per_mm is not None:
            return self.calibrated_steps_per_mm
        return None if self.drive is None else self.drive.steps_per_mm

    @property
    def full_step_um(self) -> float | None:
        """Travel of one full motor step, um: the places at which a motor is most exact. None without `drive`."""
        return None if self.drive is None else 1000.0 * self.drive.microsteps / self.drive.steps_per_mm

    @property
    def approach_sign(self) -> int:
        """+1 or -1."""
        return 1 if self.approach == "positive" else -1


def profile_names() -> list[str]:
    """Names of the built-in profiles, sorted."""
    folder = resources.files("rail") / "profile_files"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_profile(name_or_path: str | Path | None = None) -> RailProfile:
    """Load a built-in profile by name, or a TOML file by path (anything with a slash or ``.toml``).

    Raises
    ------
    RailUsageError
        No such profile; not readable; a key or value that is not allowed (the message names it).
    """
    name = str(name_or_path) if name_or_path is not None else DEFAULT_PROFILE
    if name.endswith(".toml") or "/" in name:
        path = Path(name).expanduser()
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RailUsageError(
                f"The profile {path} cannot be read: {error}.", remedy="Give the path of a TOML file."
            ) from error
        return parse_profile(text, source=str(path))
    names = profile_names()
    if name not in names:
        raise RailUsageError(
            f"There is no profile {name!r}.", remedy=f"Take one of {', '.join(names)}, or the path of a TOML file."
        )
    return parse_profile((resources.files("rail") / "profile_files" / f"{name}.toml").read_text("utf-8"), source=name)


def parse_profile(text: str, *, source: str) -> RailProfile:
    """Read a profile from TOML text; `source` names it in errors.

    Raises
    ------
    RailUsageError
    """
    try:
        return RailProfile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RailUsageError(f"The profile {source} is not TOML: {error}.", remedy="Mend the line it names.") from error
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'profile'}: {fault['msg']}" for fault in error.errors()
        )
        raise RailUsageError(
            f"The profile {source} is not valid: {faults}.",
            remedy=f"Allowed keys are {', '.join(RailProfile.model_fields)}; [drive] has {', '.join(Drive.model_fields)}.",
        ) from error
