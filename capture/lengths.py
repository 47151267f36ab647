"""Lengths as people write them: ``12um``, ``0.4mm``, ``-7000``, ``12st``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from capture.errors import UsageError
from rail.axis import AxisUnit

_LENGTH = re.compile(
    r"^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(um|µm|μm|mm|cm|m|nm|st|steps?)?\s*$", re.IGNORECASE
)
_UM_PER = {"um": 1.0, "µm": 1.0, "μm": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "nm": 1e-3}


@dataclass(frozen=True, slots=True)
class Length:
    """A length or position in the unit of an axis: micrometres, or steps of a lens drive."""

    value: float
    unit: AxisUnit

    def __str__(self) -> str:
        return f"{self.value:g}{self.unit.value}"


def parse_length(text: str, *, what: str = "length") -> Length:
    """Read one length; micrometres where no unit is given.

    Raises
    ------
    UsageError
        For anything that is not a finite number with a known unit.
    """
    match = _LENGTH.match(text)
    if match is None or not math.isfinite(float(match[1])):
        raise UsageError(
            f"{what}: '{text}' is not a length", remedy="Write a number with a unit, for example 12um, 0.4mm or 12st."
        )
    number, unit = float(match[1]), (match[2] or "um").lower()
    if unit.startswith("st"):
        return Length(number, AxisUnit.STEP)
    return Length(number * _UM_PER[unit], AxisUnit.UM)


def parse_um(text: str, *, what: str = "length") -> float:
    """Read one length that can only be micrometres (an optical size, a rail's travel)."""
    length = parse_length(text, what=what)
    if length.unit is not AxisUnit.UM:
        raise UsageError(f"{what}: '{text}' counts lens steps", remedy="Give it in um or mm.")
    return length.value


_SIZE = re.compile(r"^\s*(\d+\.?\d*)\s*([kmgt]?)(i?)b?\s*$", re.IGNORECASE)


def parse_size_bytes(text: str, *, what: str = "size") -> int:
    """Read a memory or file size: ``4G``, ``800M``, ``1.5GiB``; bytes where no unit is given.

    Prefixes without an ``i`` are read as binary ones too, as most programs that take a memory limit do.
    """
    match = _SIZE.match(text)
    if match is None:
        raise UsageError(f"{what}: '{text}' is not a size", remedy="Write for example 800M or 4G.")
    return int(float(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " "))
