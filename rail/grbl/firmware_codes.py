"""Codes of focusrail's own firmware, beyond GRBL's. Made by firmware/codes/generate.py: change its tables instead."""

from __future__ import annotations

ERRORS: dict[int, tuple[str, str]] = {
    100: (
        "bytes of the line were lost or changed on the way; it was not carried out",
        "Try again; if it happens often, check the cable and the earthing.",
    ),
    101: (
        "a one-axis rail has no Y and no Z to move",
        "Command X alone.",
    ),
    102: (
        "the setting's value is out of its range",
        "Take a value inside the range (firmware/codes/settings.csv lists it).",
    ),
    103: (
        "parking needs a known position: home or set G92 X first",
        "Home it with `focusrail rail home`, or zero it with `focusrail rail zero`, then park.",
    ),
    104: (
        "the driver's step phase is unknown: switch all power off and on before parking",
        "Switch board and motor supply off and on together, then home or zero, then park.",
    ),
}
"""Number -> meaning, remedy."""

SETTINGS: dict[int, str] = {
    270: "X: highest jerk, how fast the acceleration may change; 0: none, trapezoids of speed, mm/s3",
    271: "Microsteps of the driver, a power of two: where parking may stop",
    272: "M8: wait after the motion, before any press, ms",
    273: "M8: half press goes first by so much (0: with the release), ms",
    274: "M9: the release stays pressed at least so long, ms",
    275: "Shutter outputs inverted: 1 release, 2 half press, mask",
    276: "The limit input must be stable so long, ms",
}
"""Number -> meaning with unit."""
