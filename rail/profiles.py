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

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Literal, Self

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rail.errors import RailUsageError

DEFAULT_PROFILE = "default"

TAKE_UP = 1.25
"""Times the backlash, so that a profile's rounded figure is enough."""


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


class Calibration(BaseModel):
    """One measured value of a profile: a table ``[calibration.NAME]``.

    Attributes
    ----------
    value, uncertainty : float
        Half the width of the 95 % confidence interval.
    unit, date : str
        The date is ISO 8601.
    note : str
        Under which circumstances.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    value: float
    uncertainty: float = Field(ge=0)
    unit: str
    date: str
    note: str = ""


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
    direction_inverted : bool or None
        The bit of X in the controller's ``$3`` that this rail was set up with; None: not known.
    baud : int
        Speed of a real serial port.
    calibration : mapping of str to Calibration
        What was measured, and when; `rail.profile_record` writes it.
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
    direction_inverted: bool | None = None
    baud: int = Field(default=115_200, ge=1_200, le=4_000_000)
    calibration: dict[str, Calibration] = Field(default_factory=dict)

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

    @property
    def take_up_um(self) -> float:
        """Travel in which the play is surely taken up, um."""
        return TAKE_UP * self.backlash_um


def user_profile_folder() -> Path:
    """Where a user's own profiles are looked for first: ``~/.config/focusrail/profiles`` on Linux."""
    return platformdirs.user_config_path("focusrail") / "profiles"


def user_profile_path(name: str) -> Path:
    """The user's own file for the profile `name`."""
    return user_profile_folder() / f"{name}.toml"


def profile_names() -> list[str]:
    """Names of the built-in profiles and of the user's own, sorted."""
    folder = resources.files("rail") / "profile_files"
    names = {entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")}
    own = user_profile_folder()
    if own.is_dir():
        names |= {path.stem for path in own.glob("*.toml")}
    return sorted(names)


def load_profile(name_or_path: str | Path | None = None) -> RailProfile:
    """Load a profile: the user's own or a built-in one by name, or a TOML file by path (anything with a slash or ``.toml``).

    Raises
    ------
    RailUsageError
        No such profile; not readable; a key or value that is not allowed (the message names it and its line).
    """
    name = str(name_or_path) if name_or_path is not None else DEFAULT_PROFILE
    return parse_profile(profile_text(name), source=name)


def profile_text(name: str) -> str:
    """The TOML text of a profile, as `load_profile` finds it.

    Raises
    ------
    RailUsageError
    """
    if name.endswith(".toml") or "/" in name:
        return _read(Path(name).expanduser())
    if user_profile_path(name).is_file():
        return _read(user_profile_path(name))
    names = profile_names()
    if name not in names:
        raise RailUsageError(
            f"There is no profile {name!r}.", remedy=f"Take one of {', '.join(names)}, or the path of a TOML file."
        )
    return (resources.files("rail") / "profile_files" / f"{name}.toml").read_text("utf-8")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RailUsageError(
            f"The profile {path} cannot be read: {error}.", remedy="Give the path of a TOML file."
        ) from error


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
        faults = "; ".join(_fault(fault["loc"], fault["msg"], text) for fault in error.errors())
        raise RailUsageError(
            f"The profile {source} is not valid: {faults}.",
            remedy=f"Allowed keys are {', '.join(RailProfile.model_fields)}; [drive] has {', '.join(Drive.model_fields)}.",
        ) from error


def _fault(place: tuple[int | str, ...], message: str, text: str) -> str:
    """``drive.lead_mm (line 7): Input should be greater than 0``."""
    name = ".".join(str(part) for part in place) or "profile"
    table, key = (str(place[0]), str(place[-1])) if len(place) > 1 else ("", str(place[0]) if place else "")
    current = ""
    for number, row in enumerate(text.splitlines(), 1):
        stripped = row.strip()
        if stripped.startswith("["):
            current = stripped.strip("[] \t")
            if not table and current == key:
                return f"{name} (line {number}): {message}"
        elif current == table and re.match(rf"{re.escape(key)}\s*=", stripped):
            return f"{name} (line {number}): {message}"
    return f"{name}: {message}"
