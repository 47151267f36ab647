"""What is wrong with a controller's settings for a rail: pure, from the numbers and the profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from rail.profiles import RailProfile


class Severity(StrEnum):
    """How bad a finding is."""

    WRONG = "wrong"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes
    ----------
    key : str
        The setting (``$1``) or the property it concerns.
    severity : Severity
    message : str
        What is wrong and what comes of it.
    remedy : str
        How to mend it.
    """

    key: str
    severity: Severity
    message: str
    remedy: str


_TOLERANCE = 0.002


def diagnose(settings: Mapping[int, float], profile: RailProfile, *, reset_on_open: bool = False) -> list[Finding]:
    """Check ``$`` settings (number to value) against the needs of a rail; worst first.

    `reset_on_open` says that the controller restarted when its port was opened.
    """
    found = [*_holding(settings), *_scale(settings, profile), *_limits(settings, profile), *_reports(settings)]
    if reset_on_open:
        found.append(
            Finding(
                "reset-on-open",
                Severity.WARNING,
                "The controller restarts when its port is opened, so every new command finds the position unknown.",
                "focusrail has asked the port to leave it running from now on; if this comes again, put a 10 uF capacitor "
                "between RESET and GND of the board, or work within one command.",
            )
        )
    order = list(Severity)
    return sorted(found, key=lambda finding: order.index(finding.severity))


def _holding(settings: Mapping[int, float]) -> Iterator[Finding]:
    if settings.get(1, 255) != 255:
        yield Finding(
            "$1",
            Severity.WRONG,
            f"$1={settings[1]:g} lets go of the motor {settings[1]:g} ms after each move; the carriage slips to a full step.",
            "Set $1=255.",
        )
    if settings.get(0, 10) < 3:
        yield Finding("$0", Severity.WRONG, f"$0={settings[0]:g} us is too short a step pulse.", "Set $0=10.")


def _scale(settings: Mapping[int, float], profile: RailProfile) -> Iterator[Finding]:
    theirs, ours = settings.get(100), profile.steps_per_mm
    if theirs is None or theirs <= 0:
        yield Finding(
            "$100", Severity.WRONG, "$100 gives no steps/mm; nothing would move.", "Set $100 to the rail's steps/mm."
        )
        return
    if ours is not None and abs(ours - theirs) > _TOLERANCE * ours:
        yield Finding(
            "$100",
            Severity.WARNING,
            f"$100={theirs:g} steps/mm, profile {profile.name!r} says {ours:.3f}; focusrail goes by the profile, "
            "other programs will not.",
            f"Set $100={ours:.3f}, or take the profile that fits.",
        )
    rate = settings.get(110, 0.0) * theirs / 60
    if rate > 30_000:
        yield Finding(
            "$110",
            Severity.WRONG,
            f"$110={settings[110]:g} mm/min asks for {rate:.0f} steps/s; an ATmega328P makes 30000.",
            f"Set $110={30_000 * 60 / theirs * 0.9:.0f} or less.",
        )
    for number, what in ((110, "maximum rate"), (120, "acceleration")):
        if settings.get(number, 1.0) <= 0:
            yield Finding(
                f"${number}", Severity.WRONG, f"${number}=0: the {what} is zero.", f"Set ${number} above zero."
            )


def _limits(settings: Mapping[int, float], profile: RailProfile) -> Iterator[Finding]:
    homing = bool(settings.get(22, 0))
    if settings.get(20, 0) and not homing:
        yield Finding(
            "$20", Severity.WRONG, "$20=1 (soft limits) without $22=1 (homing) cannot work.", "Set $20=0, or $22=1."
        )
    if settings.get(21, 0) and not homing:
        yield Finding(
            "$21",
            Severity.NOTE,
            "$21=1: unused limit inputs must not float, or they stop the rail with ALARM:1.",
            "Set $21=0 on a rail without switches.",
        )
    if homing:
        yield Finding(
            "$22",
            Severity.NOTE,
            "$22=1: stock GRBL homes Z first, then X and Y; a rail with one switch fails.",
            "Use a build for one axis, wire the switch to all three limit inputs, or set $22=0.",
        )
        if settings.get(27, 1.0) <= 0:
            yield Finding("$27", Severity.WRONG, "$27=0: homing cannot back off its switch.", "Set $27=1.")
        travel = settings.get(130, 0.0)
        if profile.travel_um is not None and travel * 1000 < profile.travel_um * (1 - _TOLERANCE):
            yield Finding(
                "$130",
                Severity.WARNING,
                f"$130={travel:g} mm is shorter than the profile's travel of {profile.travel_um / 1000:g} mm.",
                f"Set $130={profile.travel_um / 1000:g}.",
            )


def _reports(settings: Mapping[int, float]) -> Iterator[Finding]:
    if settings.get(13, 0):
        yield Finding(
            "$13", Severity.WARNING, "$13=1: reports in inches, so only every 2.5 um can be told apart.", "Set $13=0."
        )
    if not int(settings.get(10, 1)) & 1:
        yield Finding(
            "$10",
            Severity.NOTE,
            f"$10={settings[10]:g}: reports give work positions, which need the offset to be read.",
            "Set $10=1 (or 3 with the buffer).",
        )
    if settings.get(32, 0):
        yield Finding("$32", Severity.WARNING, "$32=1: laser mode; a rail has no laser.", "Set $32=0.")
