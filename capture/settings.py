"""Settings: flags, then ``FOCUSRAIL_*``, then ``focusrail.toml`` in the folder, then the user's own ``focusrail.toml``."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from capture.errors import ConfigurationError, UsageError
from capture.lengths import parse_um

FILE_NAME = "focusrail.toml"
ENVIRONMENT_PREFIX = "FOCUSRAIL_"


class SettingsModel(BaseModel):
    """Every setting that may stand in a file or the environment; None where it was not set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("pixel_um", "coc_um", mode="before")
    @classmethod
    def _with_unit(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return parse_um(value)
        except UsageError as error:
            raise ValueError(error.message) from error

    rail: str | None = Field(None, description="port of the rail: /dev/ttyUSB0, socket://host:port")
    profile: str | None = Field(None, description="rail profile: a name, or the path of a TOML file")
    camera: str | None = Field(None, description="port of the camera: usb:001,004 or ptpip:host:port")
    magnification: float | None = Field(None, gt=0, description="image size over object size")
    f_number: float | None = Field(None, gt=0, description="f-number as marked on the lens")
    pupil: float | None = Field(None, gt=0, description="pupil magnification of the lens")
    pixel_um: float | None = Field(None, gt=0, description="pixel pitch of the sensor in um")
    coc_um: float | None = Field(None, gt=0, description="circle of confusion on the sensor in um")
    wavelength_nm: float | None = Field(None, gt=0, description="wavelength of the light in nm")
    overlap: float | None = Field(None, ge=0, lt=1, description="share by which neighbouring zones of focus overlap")
    settle_s: float | None = Field(None, ge=0, le=600, description="wait between stop and shutter, in seconds")
    iso: str | None = Field(None, description="ISO the session sets")
    shutter: str | None = Field(None, description="shutter time the session sets, for example 1/60")
    aperture: str | None = Field(None, description="aperture the session sets, for example 5.6")
    format: str | None = Field(None, description="RAW, JPEG or RAW+JPEG")
    target: str | None = Field(None, description="card or memory")
    method: str | None = Field(None, description="fusion method: auto, pyramid, depthmap, average")
    flash_wait_s: float | None = Field(
        None, ge=0, le=600, description="seconds a flash takes to charge between two shots"
    )
    notify: str | None = Field(None, description="at the end and on trouble: bell, desktop, or a command")
    memory: str | None = Field(None, description="memory the stacker may use, for example 4G")


@dataclass(frozen=True, slots=True)
class SettingValue:
    """One setting and where it came from."""

    value: Any
    source: str


class Settings:
    """All settings with their sources; flags are laid over with `choose`."""

    def __init__(self, values: Mapping[str, SettingValue]) -> None:
        self._values = dict(values)

    def choose(self, name: str, flag: Any, default: Any = None) -> Any:
        """The flag where it was given, else the setting, else `default`."""
        if flag is not None:
            return flag
        found = self._values.get(name)
        return default if found is None else found.value

    def listing(self) -> dict[str, SettingValue]:
        """Every setting by name; the unset ones with source ``default``."""
        names = SettingsModel.model_fields
        return {name: self._values.get(name, SettingValue(None, "default")) for name in names}


def settings_paths(folder: Path) -> tuple[Path, Path]:
    """The two files that are looked at: in `folder`, and the user's."""
    return folder / FILE_NAME, platformdirs.user_config_path("focusrail") / FILE_NAME


def load_settings(folder: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read files and environment.

    Raises
    ------
    ConfigurationError
        For a file that is no TOML, a name that is no setting, or a value that does not fit; it names file and key.
    """
    environment = os.environ if environment is None else environment
    here, users = settings_paths(folder)
    values: dict[str, SettingValue] = {}
    for path in (users, here):
        for name, value in _read_file(path).items():
            values[name] = SettingValue(value, str(path))
    from_environment = {
        name: environment[ENVIRONMENT_PREFIX + name.upper()]
        for name in SettingsModel.model_fields
        if environment.get(ENVIRONMENT_PREFIX + name.upper())
    }
    for name, value in _checked(from_environment, "the environment", upper=True).items():
        values[name] = SettingValue(value, ENVIRONMENT_PREFIX + name.upper())
    return Settings(values)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}", remedy="Mend the file or move it away.") from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}", remedy="Mend the line it names.") from error
    return _checked(content, str(path))


def _checked(content: Mapping[str, Any], where: str, *, upper: bool = False) -> dict[str, Any]:
    try:
        return SettingsModel.model_validate(content).model_dump(exclude_none=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        name = ENVIRONMENT_PREFIX + key.upper() if upper else key
        known = ", ".join(SettingsModel.model_fields)
        remedy = f"Known settings: {known}." if first["type"] == "extra_forbidden" else "Correct the value."
        raise ConfigurationError(f"{where}: {name}: {first['msg']}", remedy=remedy) from error
