"""GRBL 1.1's ``$`` settings in words (after its doc/csv/setting_codes_en_US.csv)."""

from __future__ import annotations

from rail.grbl import firmware_codes

MARLIN_PER = {100: 1.0, 110: 60.0, 120: 1.0}
"""What Marlin has a command for, and GRBL's unit in one of its own: it counts speeds in mm/s."""

_AXES = "XYZ"
_MEANINGS: dict[int, str] = {
    0: "step pulse length, us",
    1: "time after which the motor is let go, ms (255: never)",
    2: "step pins inverted, axis mask",
    3: "direction pins inverted, axis mask",
    4: "enable pin inverted",
    5: "limit pins inverted",
    6: "probe pin inverted",
    10: "contents of status reports, mask",
    11: "junction deviation, mm",
    12: "arc tolerance, mm",
    13: "reports in inches",
    20: "soft limits",
    21: "hard limits",
    22: "homing",
    23: "homing direction, axis mask",
    24: "homing, slow approach, mm/min",
    25: "homing, search, mm/min",
    26: "homing, switch debounce, ms",
    27: "homing, pull-off, mm",
    30: "highest spindle speed, rpm",
    31: "lowest spindle speed, rpm",
    32: "laser mode",
}
for _base, _what in (
    (100, "steps/mm"),
    (110, "highest rate, mm/min"),
    (120, "acceleration, mm/s2"),
    (130, "travel, mm"),
):
    _MEANINGS.update({_base + _n: f"{_axis}: {_what}" for _n, _axis in enumerate(_AXES)})


def per(number: int, dialect: str) -> float:
    """GRBL's unit of setting `number` in one of that which controllers of this dialect show."""
    return MARLIN_PER.get(number, 1.0) if dialect == "marlin" else 1.0


def meaning(number: int, dialect: str = "grbl") -> str:
    """What setting `number` is, with the unit that `dialect` shows it in; "" where nobody here knows it."""
    words = _MEANINGS.get(number) or firmware_codes.SETTINGS.get(number, "")
    return words.replace("mm/min", "mm/s") if per(number, dialect) == 60.0 else words
