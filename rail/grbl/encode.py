"""Lines and real-time bytes for a GRBL controller. Lengths are the controller's millimetres, feed rates mm/min.

Every line says its own units and distance mode, so nothing depends on what another program left behind.
"""

from __future__ import annotations

import binascii
import math

from rail.errors import RailUsageError

STATUS = b"?"
FEED_HOLD = b"!"
SOFT_RESET = b"\x18"
JOG_CANCEL = b"\x85"

LINE_MAX = 79
"""Longest line that GRBL 1.1 takes without ``error:11``, characters."""

SUM_TAKES = 6
"""What `summed` adds, characters."""

SYNC = "G4P0.01"
"""A short dwell: its ``ok`` comes once the planner is empty."""
SYNC_TAKES_S = 0.05
"""GRBL dwells in steps of 50 ms (``DWELL_TIME_STEP``), so that is how long after the motor's stop the ``ok`` comes."""

FORGET_ORIGIN = "G92.1"
"""Clears the G92 offset, and with it the mark that says where the origin is."""


def summed(line: str) -> str:
    """`line` between two stars, the sum of all before the second one behind it: a changed or lost byte leaves no line to carry out.

    CRC-16 (polynomial 0x1021, from 0xFFFF) in four hexadecimal digits, as focusrail's firmware checks it.
    """
    opened = f"*{line}"
    return f"{opened}*{binascii.crc_hqx(opened.encode('ascii'), 0xFFFF):04X}"


def millimetres(value: float) -> str:
    """A length as GRBL reads it best: at most eight digits count, so five decimals; never an exponent.

    Raises
    ------
    RailUsageError
        Not finite, or 10 m and more.
    """
    if not math.isfinite(value) or abs(value) >= 10_000:
        raise RailUsageError(
            f"{value} mm is no length a rail can go to.", remedy="Give a finite length of a few millimetres."
        )
    text = f"{value:.5f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def feed(value_mm_min: float) -> str:
    """A feed rate as text; refuses what is not above zero."""
    if not math.isfinite(value_mm_min) or value_mm_min <= 0:
        raise RailUsageError(
            f"A feed rate of {value_mm_min} mm/min moves nothing.", remedy="Give a feed rate above zero."
        )
    return f"{max(value_mm_min, 0.001):.3f}".rstrip("0").rstrip(".")


def move(machine_mm: float, feed_mm_min: float) -> str:
    """A straight move of X to an absolute machine position."""
    return f"G21G90G94G53G1X{millimetres(machine_mm)}F{feed(feed_mm_min)}"


def jog(machine_mm: float, feed_mm_min: float) -> str:
    """A jog of X to an absolute machine position: cancellable, leaves the modal state alone, refused past soft limits."""
    return f"$J=G21G90G53X{millimetres(machine_mm)}F{feed(feed_mm_min)}"


def offset(work_x_mm: float | None, work_z_mm: float, work_y_mm: float = 0.0) -> str:
    """Declare the present place to be `work_x_mm` (None: leave X and Y as they are), `work_y_mm` and `work_z_mm`, in the G92 offset."""
    xy = "" if work_x_mm is None else f"X{millimetres(work_x_mm)}Y{millimetres(work_y_mm)}"
    return f"G21G92{xy}Z{millimetres(work_z_mm)}"


def tool_offset(z_mm: float) -> str:
    """Set the volatile tool length offset of Z."""
    return f"G21G43.1Z{millimetres(z_mm)}"


def setting(value: float) -> str:
    """A setting's value as text."""
    return f"{value:.3f}".rstrip("0").rstrip(".")
