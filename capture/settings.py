"""Settings: flags, then ``FOCUSRAIL_*``, then ``focusrail.toml`` in the folder, then the user's own ``focusrail.toml``."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from capture.errors import ConfigurationError

FILE_NAME = "focusrail.toml"
ENVIRONMENT_PREFIX = "FOCUSRAIL_"


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
        from capture.settings_model import SettingsModel

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
    if any(name.startswith(ENVIRONMENT_PREFIX) for name in environment):
        from capture.settings_model import SettingsModel

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
    from pydantic import ValidationError

    from capture.settings_model import SettingsModel

    try:
        return SettingsModel.model_validate(content).model_dump(exclude_none=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        name = ENVIRONMENT_PREFIX + key.upper() if upper else key
        known = ", ".join(SettingsModel.model_fields)
        remedy = f"Known settings: {known}." if first["type"] == "extra_forbidden" else "Correct the value."
        raise ConfigurationError(f"{where}: {name}: {first['msg']}", remedy=remedy) from error
