"""The controller's non-volatile memory: settings, work coordinates, startup lines, build information.

Settings have GRBL 1.1's numbers, units, checks and error codes (its documentation, "Settings" and ``error_codes``).
What a line writes takes time on the chip, byte by byte; `Eeprom.changed` counts the bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rail.simulator.single import print_number, single, to_uint8

AXES = "XYZ"
COORDINATES = ("G54", "G55", "G56", "G57", "G58", "G59", "G28", "G30")
STARTUP_LINES = 2

OK = 0
ERROR_STATEMENT = 3
ERROR_NEGATIVE = 4
ERROR_PULSE = 6
ERROR_SOFT_LIMIT = 10

_BYTES = (0, 1, 2, 3, 10, 23, 26)
_BOOLEANS = (4, 5, 6, 13, 20, 21, 22, 32)
_FLOATS = (11, 12, 24, 25, 27, 30, 31)
_AXIS_GROUPS = (100, 110, 120, 130)
_PRINTED = (0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 20, 21, 22, 23, 24, 25, 26, 27, 30, 31, 32)
_WHOLE_REVOLUTIONS = (30, 31)

STOCK_SETTINGS: Mapping[int, float] = {
    0: 10,
    1: 25,
    2: 0,
    3: 0,
    4: 0,
    5: 0,
    6: 0,
    10: 1,
    11: 0.01,
    12: 0.002,
    13: 0,
    20: 0,
    21: 0,
    22: 0,
    23: 0,
    24: 25,
    25: 500,
    26: 250,
    27: 1,
    30: 1000,
    31: 0,
    32: 0,
    **{
        group + axis: value for group, value in zip(_AXIS_GROUPS, (250, 500, 10, 200), strict=True) for axis in range(3)
    },
}
"""GRBL's generic defaults. $100 steps/mm, $110 mm/min, $120 mm/s2, $130 mm, each for X, Y, Z."""


def _zeros() -> dict[str, tuple[float, float, float]]:
    return dict.fromkeys(COORDINATES, (0.0, 0.0, 0.0))


@dataclass(slots=True)
class Eeprom:
    """Contents of the EEPROM.

    Attributes
    ----------
    settings : dict of int to float
        Setting number to value, each a 32-bit float or a byte.
    coordinates : dict of str to tuple of float
        ``G54`` to ``G59``, ``G28``, ``G30``: mm for X, Y, Z.
    startup : list of str or None
        Startup lines; None where the checksum does not fit (a blank chip, or a wiped line).
    build : str or None
        What ``$I=`` stored.
    defaults : mapping
        What ``$RST=$`` restores: the firmware's compiled values.
    valid : bool
        False on a blank chip.
    extra : dict of str to str
        Settings that GRBL does not have, by name (other firmwares).
    saved : dict of int to float, or None
        What a restart brings back, where writing a setting does not store it yet (other firmwares); None: `settings`.
    changed : int
        Bytes written since this was last set to 0.
    """

    settings: dict[int, float] = field(default_factory=lambda: dict(STOCK_SETTINGS))
    coordinates: dict[str, tuple[float, float, float]] = field(default_factory=_zeros)
    startup: list[str | None] = field(default_factory=lambda: [""] * STARTUP_LINES)
    build: str | None = ""
    defaults: Mapping[int, float] = field(default_factory=lambda: dict(STOCK_SETTINGS))
    valid: bool = True
    extra: dict[str, str] = field(default_factory=dict)
    saved: dict[int, float] | None = None
    changed: int = 0

    @classmethod
    def compiled(cls, defaults: Mapping[int, float], **stored: float) -> Eeprom:
        """A chip that runs firmware with `defaults`; `stored` (``s22=1``) are settings changed since."""
        values = {**STOCK_SETTINGS, **defaults}
        changed = {int(name[1:]): float(value) for name, value in stored.items()}
        return cls(settings={**values, **changed}, defaults=values)

    @classmethod
    def blank(cls) -> Eeprom:
        """A chip as it comes from the factory, with stock firmware."""
        return cls(startup=[None] * STARTUP_LINES, build=None, valid=False)

    def flag(self, number: int) -> bool:
        """A yes/no setting."""
        return bool(self.settings[number])

    def mask(self, number: int, axis: int) -> bool:
        """One axis's bit of a mask setting."""
        return bool(int(self.settings[number]) >> axis & 1)

    def axis(self, group: int, axis: int) -> float:
        """An axis setting: `group` 100 (steps/mm), 110 (mm/min), 120 (mm/s2) or 130 (mm)."""
        return self.settings[group + axis]

    def store(self, number: int, value: float) -> int:
        """Store ``$number=value``; an error code, or 0."""
        if value < 0:
            return ERROR_NEGATIVE
        if number in _BYTES or number in _BOOLEANS:
            whole = to_uint8(value)
            if number == 0 and whole < 3:
                return ERROR_PULSE
            if number == 20 and whole and not self.flag(22):
                return ERROR_SOFT_LIMIT
            if number == 22 and not whole:
                self._set(20, 0)
            self._set(number, float(bool(whole)) if number in _BOOLEANS else float(whole))
            return OK
        if number in _FLOATS or (number - number % 10 in _AXIS_GROUPS and number % 10 < len(AXES)):
            self._set(number, single(value))
            return OK
        return ERROR_STATEMENT

    def _set(self, number: int, value: float) -> None:
        if self.settings[number] != value:
            self.settings[number] = value
            self.changed += 2 if number in _BYTES or number in _BOOLEANS else 4  # with the checksum

    def write_coordinates(self, name: str, values: tuple[float, float, float]) -> None:
        """Store a work coordinate system or a G28/G30 position, mm."""
        if self.coordinates[name] != values:
            self.changed += 1 + 3 * sum(a != b for a, b in zip(self.coordinates[name], values, strict=True))
            self.coordinates[name] = values

    def write_startup(self, index: int, line: str) -> None:
        """Store a startup line. (Beyond the last one GRBL writes elsewhere in the chip; here nowhere.)"""
        if index < STARTUP_LINES and self.startup[index] != line:
            self.changed += 2 + max(len(line), len(self.startup[index] or ""))
            self.startup[index] = line

    def read_startup(self, index: int) -> str | None:
        """A startup line; one that cannot be read is None, and empty from then on."""
        line = self.startup[index]
        if line is None:
            self.write_startup(index, "")
        return line

    def write_build(self, line: str) -> None:
        """Store the build information of ``$I=``."""
        if self.build != line:
            self.changed += 2 + max(len(line), len(self.build or ""))
            self.build = line

    def restore(self, what: str) -> None:
        """``$RST=``: ``$`` settings, ``#`` coordinates, ``*`` all."""
        if what in "$*":
            for number, value in self.defaults.items():
                self._set(number, single(value))
            self.valid = True
        if what in "#*":
            for name in COORDINATES:
                self.write_coordinates(name, (0.0, 0.0, 0.0))
        if what == "*":
            # Only the first two bytes of each line are cleared: the checksum of a line with text in it fits no more.
            self.startup = ["" if line == "" else None for line in self.startup]
            self.build = "" if self.build == "" else None
            self.changed += 6

    def listing(self) -> list[str]:
        """The lines of ``$$``, without line ends."""
        lines = []
        for number in _PRINTED:
            decimals = 3 if number in _FLOATS and number not in _WHOLE_REVOLUTIONS else 0
            lines.append(f"${number}={print_number(self.settings[number], decimals)}")
        for group in _AXIS_GROUPS:
            lines += [f"${group + axis}={print_number(self.axis(group, axis), 3)}" for axis in range(len(AXES))]
        return lines

    def to_json(self) -> dict[str, object]:
        """What is stored, as plain values."""
        return {
            "settings": {str(number): value for number, value in self.settings.items()},
            "coordinates": {name: list(values) for name, values in self.coordinates.items()},
            "startup": list(self.startup),
            "build": self.build,
            "extra": dict(self.extra),
        }

    def load_json(self, stored: Mapping[str, object]) -> None:
        """Take over what `to_json` gave.

        Raises
        ------
        ValueError
            The mapping is not of that form.
        """
        try:
            settings = {int(k): float(v) for k, v in dict(stored["settings"]).items()}  # type: ignore[call-overload]
            coordinates = {str(k): tuple(float(c) for c in v) for k, v in dict(stored["coordinates"]).items()}  # type: ignore[call-overload]
            startup = [None if line is None else str(line) for line in list(stored["startup"])]  # type: ignore[call-overload]
            build = stored["build"]
            extra = {str(k): str(v) for k, v in dict(stored.get("extra", {})).items()}  # type: ignore[call-overload]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not the contents of a controller's EEPROM: {error!r}") from error
        if (
            settings.keys() != STOCK_SETTINGS.keys()
            or coordinates.keys() != set(COORDINATES)
            or len(startup) != STARTUP_LINES
        ):
            raise ValueError(
                "not the contents of this controller's EEPROM: other settings, coordinates or startup lines"
            )
        self.settings, self.startup = settings, startup
        self.coordinates = {name: (c[0], c[1], c[2]) for name, c in coordinates.items()}
        self.build = None if build is None else str(build)
        self.extra.update(extra)
