"""Marlin's line protocol as values: text in, replies out, no I/O; and the lines it is sent.

Facts after Marlin's sources (2.0 to 2.1: ``gcode/queue.cpp``, ``gcode/host/M114.cpp``, ``gcode/geometry/G92.cpp``,
``core/language.h``). Nothing here raises on any input: what is not understood becomes `Unrecognised`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rail.grbl.protocol import Alarm, Banner, Blank, Message, Ok, Reply, Unrecognised

ASK_NAME = "M115"
HALTED = 1001
"""`Alarm` code used here (Marlin has none; these are no ``ALARM:N``) for one that has killed itself: it reads nothing any more."""
STOPPED = 1002
"""For one that waits for M999."""
ENDSTOP = 1003
"""For an end switch that was hit in motion."""

LINE_MAX = 90
"""Marlin's buffer holds 96 characters of a line."""

_POSITION = re.compile(
    r"X:(-?\d+\.\d+) Y:(-?\d+\.\d+) Z:(-?\d+\.\d+)(?: [A-W]:-?\d+\.\d+){0,7}"
    r"\s+Count X:\s?(-?\d+) Y:\s?(-?\d+) Z:\s?(-?\d+)(?: [A-W]:\s?-?\d+){0,6}\s*\Z"
)
_RESEND = re.compile(r"(?:Resend:|rs)\s*N?(\d{1,9})\Z")
_ENDSTOP = re.compile(r"([xyz]2?_(?:min|max)): (TRIGGERED|open)\Z", re.IGNORECASE)
_OK = re.compile(r"ok(?: [NPB]\d+)*(?: T:.*)?\Z")
_WORD = re.compile(r"([A-Z])(-?\d+(?:\.\d+)?)(?=\s|;|\Z)")
_RANGE = re.compile(r"Min:\s+X(-?\d+\.\d+).*Max:\s+X(-?\d+\.\d+)")


@dataclass(frozen=True, slots=True)
class Position:
    """``X:.. Y:.. Z:.. Count X:.. Y:.. Z:..``: work position in mm (two decimals), and steps.

    In the answer to M114 the steps are those at the end of the plan; in that to G92, those of the motors now.
    """

    work_mm: tuple[float, float, float]
    counts: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Resend:
    """``Resend: N``: line N did not arrive whole and was not carried out. An ``ok`` follows that answers nothing."""

    number: int


@dataclass(frozen=True, slots=True)
class Busy:
    """``echo:busy: processing``: it lives, the answer comes later."""

    text: str


@dataclass(frozen=True, slots=True)
class UnknownCommand:
    """``echo:Unknown command: "..."``: this build has no such command; an ``ok`` follows."""

    text: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """``Error:...`` that does not stop it."""

    text: str


@dataclass(frozen=True, slots=True)
class Endstop:
    """``x_min: TRIGGERED`` in the answer to M119."""

    name: str
    pressed: bool


@dataclass(frozen=True, slots=True)
class Echo:
    """``echo:...`` and other talk."""

    text: str


MarlinReply = Reply | Position | Resend | Busy | UnknownCommand | Trouble | Endstop | Echo


def names_marlin(text: str) -> bool:
    """Is this Marlin's answer to M115?"""
    return text.startswith("FIRMWARE_NAME:Marlin")


def says_halted(text: str) -> bool:
    """Is this the last that Marlin says before it reads nothing any more?"""
    return text.startswith("Error:") and _error(text) == Alarm(HALTED)


def says_busy(text: str) -> bool:
    """Is this what Marlin says every 2 s while it homes or drains its plan?"""
    return text.startswith("echo:busy:")


def names_stranger(text: str) -> bool:
    """Is this another firmware's answer to M115?"""
    return text.startswith("FIRMWARE_NAME:") and not names_marlin(text)


def classify(line: bytes) -> MarlinReply:
    """Read one line."""
    text = line.decode("ascii", errors="replace").strip("\r\n\0 \t")
    if not text:
        return Blank()
    if _OK.match(text):
        return Ok()
    if match := _POSITION.match(text):
        x, y, z, *counts = match.groups()
        if any(len(number) > 12 for number in match.groups()):
            return Unrecognised(text)
        return Position((float(x), float(y), float(z)), (int(counts[0]), int(counts[1]), int(counts[2])))
    if match := _RESEND.match(text):
        return Resend(int(match.group(1)))
    if match := _ENDSTOP.match(text):
        return Endstop(match.group(1).lower(), match.group(2).upper() == "TRIGGERED")
    if text.endswith("start") and not text.startswith(
        ("echo:", "//")
    ):  # a restart in the middle of a line is glued to it
        return Banner(text, "Marlin", "")
    if text.startswith(("FIRMWARE_NAME:", "Cap:")):
        tag, _, body = text.partition(":")
        return Message(tag, body)
    if text.startswith("Error:"):
        return _error(text)
    if text.startswith("echo:"):
        return _echo(text)
    if text.startswith(
        ("//", ";", "Marlin ", "wait", "M", "Soft endstops", "Min:", "Reporting endstop", "SYNC-", "T:", "B:")
    ):
        return Echo(text)
    return Unrecognised(text)


def _error(text: str) -> MarlinReply:
    if "kill()" in text or "halted" in text or "system stopped" in text:
        return Alarm(HALTED)
    if "Printer stopped" in text:
        return Alarm(STOPPED)
    return Trouble(text)


def _echo(text: str) -> MarlinReply:
    body = text[5:].strip()
    if body.startswith("busy:"):
        return Busy(body)
    if body.startswith("Unknown command:"):
        return UnknownCommand(body)
    if body.startswith("endstops hit:"):
        return Alarm(ENDSTOP)
    return Echo(body)


def numbered(number: int, line: str) -> str:
    """`line` with its number and checksum, so that no damaged line is carried out."""
    text = f"N{number} {line}"
    checksum = 0
    for byte in text.encode("ascii"):
        checksum ^= byte
    return f"{text}*{checksum}"


def words(text: str) -> tuple[str, dict[str, float]] | None:
    """A G- or M-code line as its command and its other words: ``M92 X80.00 Y80.00`` to ``("M92", {"X": 80, ...})``."""
    text = text.strip()
    command, _, rest = text.partition(" ")
    if not re.fullmatch(r"[GM]\d{1,4}", command):
        return None
    return command, {letter: float(value) for letter, value in _WORD.findall(rest) if len(value) < 13}


def travel(text: str) -> tuple[float, float] | None:
    """Lowest and highest X of the answer to M211, work mm."""
    match = _RANGE.search(text)
    return (float(match.group(1)), float(match.group(2))) if match else None
