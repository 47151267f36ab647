"""Error and alarm codes of GRBL 1.1 and its family in words, each with what to do next.

Meanings after GRBL's own tables (doc/csv/error_codes_en_US.csv and alarm_codes_en_US.csv of GRBL 1.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from rail.errors import HOME_AGAIN, RailAlarmError, RailRefusedError
from rail.grbl import firmware_codes


class Code(NamedTuple):
    """What a code means and what to do about it."""

    meaning: str
    remedy: str


_AGAIN = "Try again; if it stays, the line was damaged on its way: check the cable and the earthing."
_REPORT = "Nothing this program sends should cause it: try again, and check the cable if it stays."
_HOME_AGAIN = f"Unlock with `focusrail rail unlock`, jog clear of the switches if need be, then: {HOME_AGAIN}"

ERRORS: dict[int, Code] = {
    1: Code("a G-code word had no letter", _AGAIN),
    2: Code("a number was missing or not readable", _AGAIN),
    3: Code("a $ command was not recognised", _AGAIN),
    4: Code("a negative value where only a positive one is allowed", _REPORT),
    5: Code("homing is not enabled ($22=0)", "Without an end switch use `focusrail rail zero`; with one, set $22=1."),
    6: Code("the step pulse must be at least 3 microseconds", "Set $0=10."),
    7: Code(
        "the settings memory could not be read; defaults were restored", "Enter the settings again and check them."
    ),
    8: Code("only possible at rest", "Wait until the axis stands still, or `focusrail rail stop`."),
    9: Code("locked by an alarm or busy with a jog", "Unlock with `focusrail rail unlock`."),
    10: Code("soft limits need homing ($20 without $22)", "Set $22=1 if the rail has an end switch, else $20=0."),
    11: Code("the line is longer than the controller takes", _REPORT),
    12: Code("the step rate is too high", "Lower the maximum rate $110 or the steps/mm $100."),
    13: Code("the safety door is open", "Close the door input and go on."),
    14: Code("the line is too long for the settings memory", _REPORT),
    15: Code(
        "the jog would pass the controller's soft limit",
        "Jog a shorter way; on a rail that was not homed, soft limits mislead: home it or set $20=0.",
    ),
    16: Code("a jog line with a forbidden word", _REPORT),
    17: Code("laser mode needs a PWM spindle", "Set $32=0: a rail has no laser."),
    20: Code("an unsupported command", "The controller lacks a command this program needs: is it stock GRBL 1.1?"),
    21: Code("two commands of one group in a line", _REPORT),
    22: Code("no feed rate", _REPORT),
    23: Code("a whole number was expected", _REPORT),
    24: Code("two commands claim the axis words", _REPORT),
    25: Code("a word appears twice", _REPORT),
    26: Code("axis words are missing", _REPORT),
    27: Code("the line number is out of range", _REPORT),
    28: Code("a value is missing", _REPORT),
    29: Code("no such work coordinate system", _REPORT),
    30: Code("G53 needs G0 or G1", _REPORT),
    31: Code("axis words that no command uses", _REPORT),
    32: Code("an arc without axis words in its plane", _REPORT),
    33: Code("the target is not reachable", _REPORT),
    34: Code("the arc's radius is impossible", _REPORT),
    35: Code("an arc without offsets in its plane", _REPORT),
    36: Code("words that nothing uses", _REPORT),
    37: Code("a tool length offset on the wrong axis", _REPORT),
    38: Code("the tool number is too large", _REPORT),
}

ALARMS: dict[int, Code] = {
    1: Code("a limit switch was hit in motion; steps were probably lost", _HOME_AGAIN),
    2: Code("the target lies outside the controller's soft limits; it did not go there", _HOME_AGAIN),
    3: Code("reset while in motion; steps were probably lost", _HOME_AGAIN),
    4: Code("the probe was not in its starting state", _HOME_AGAIN),
    5: Code("the probe found nothing", _HOME_AGAIN),
    6: Code("homing was broken off by a reset", _HOME_AGAIN),
    7: Code("homing was broken off by the safety door", "Close the door input, then home again."),
    8: Code(
        "homing failed: the switch did not open again when backing off",
        "Raise the pull-off $27, or look for a stuck or wrongly wired switch ($5 inverts it).",
    ),
    9: Code(
        "homing failed: no switch was found",
        "Check the switch and its wiring, the homing direction $23 and that the travel $130 covers the rail.",
    ),
    10: Code("homing failed: the second switch of a dual axis was not found", "Check the switches."),
}

FOCUSRAIL_ERRORS = {number: Code(*words) for number, words in firmware_codes.ERRORS.items()}
"""What focusrail's own firmware says beside GRBL's codes."""

Z_FIRST = (
    "Stock GRBL homes Z first, then X and Y, so a rail with one switch fails: use a build for one axis, wire the one switch to the "
    "limit inputs of all three axes, or work without homing (`focusrail rail zero`)."
)
"""Why homing fails on a one-axis rail with stock GRBL."""


GRBLHAL_ERRORS: dict[int, Code] = {
    39: Code("the value is out of range", _REPORT),
    40: Code("not allowed while a tool change is pending", "Finish it on the controller, or reset the controller."),
    41: Code("not allowed while the spindle is on", "Switch the spindle off."),
    42: Code("plane XY must be chosen", _REPORT),
    45: Code("the emergency stop is pressed", "Release it, then `focusrail rail unlock`."),
    46: Code("homing is required first", "Home it with `focusrail rail home`, or clear bit 2 of $22."),
    47: Code("motors report a fault", "Check the drivers and their supply."),
    50: Code("the value is not allowed for this setting", _REPORT),
    53: Code("the setting is not there in this build", _REPORT),
}

GRBLHAL_ALARMS: dict[int, Code] = {
    10: Code(
        "the emergency stop input is active",
        "Release it. grblHAL's inputs are normally closed: with nothing wired to them, invert them with $14.",
    ),
    11: Code("homing is required before anything moves", "Home it with `focusrail rail home`, or clear bit 2 of $22."),
    12: Code(
        "a limit switch is engaged",
        "Move clear of it by hand. grblHAL's limit inputs are normally closed: with no switch wired, set $5=7 or $21=0.",
    ),
    13: Code("the probe protection was triggered", _HOME_AGAIN),
    14: Code("the spindle did not reach its speed", _HOME_AGAIN),
    15: Code("homing failed: the second switch of a dual axis was not found", "Check the switches."),
    16: Code("the controller's self test failed", "Switch it off and on; reflash it if it stays."),
    17: Code("a motor driver reports a fault", "Check the driver and its supply, then home again."),
    18: Code(
        "homing failed: the homing passes ($43 to $47) do not fit the axes", "Set $44=1, $45=0 and $46=0 for X alone."
    ),
}

FLUIDNC_ERRORS: dict[int, Code] = {
    39: Code("the value is out of range", _REPORT),
    60: Code("the file system could not be mounted", "Check the SD card or flash; the rail does not need it."),
    152: Code(
        "the configuration is not valid", "Read `$SS` on its console, mend config.yaml, then restart the controller."
    ),
}

FLUIDNC_ALARMS: dict[int, Code] = {
    10: Code("the spindle reports a fault", _HOME_AGAIN),
    11: Code(
        "a control input is active at start", "Release it, or mend its pin in config.yaml (`:low`, `:high`, `:pu`)."
    ),
    12: Code("homing: both switches of the axis are closed", "Check the switches' wiring and pins in config.yaml."),
    13: Code("a limit switch was hit and stopped the motors hard", _HOME_AGAIN),
    14: Code("the axis is not homed", "Home it, or set `must_home: false` under `start:` in config.yaml."),
    15: Code("locked since it started", _HOME_AGAIN),
}


@dataclass(frozen=True, slots=True)
class CodeBook:
    """What one kind of controller means by its numbers; GRBL's own where it says nothing else."""

    errors: Mapping[int, Code]
    alarms: Mapping[int, Code]

    def knows(self, code: int) -> bool:
        """Is the meaning of ``error:code`` known?"""
        return code in self.errors or code in ERRORS

    def refused(self, code: int, line: str, *, state: str = "") -> RailRefusedError:
        """The error for ``error:code`` in answer to `line`."""
        meaning, remedy = self.errors.get(code) or ERRORS.get(
            code, Code("a reason this program does not know", _REPORT)
        )
        return RailRefusedError(
            f"The controller refused {line!r} with error:{code}: {meaning}.", code=code, remedy=remedy, state=state
        )

    def alarmed(self, code: int | None, *, doing: str = "", state: str = "", hint: str = "") -> RailAlarmError:
        """The error for ``ALARM:code`` (None: it is in alarm and did not say why), met while `doing` something."""
        if code is None:
            meaning, remedy = "locked since it started, or by an earlier alarm", _HOME_AGAIN
            message = f"The controller is in alarm: {meaning}"
        else:
            unknown = Code("a reason this program does not know", _HOME_AGAIN)
            meaning, remedy = self.alarms.get(code) or ALARMS.get(code, unknown)
            message = f"The controller went into ALARM:{code}: {meaning}"
        if doing:
            message = f"{message} ({doing})"
        return RailAlarmError(
            f"{message}.",
            code=code,
            remedy=f"{remedy} {hint}".strip(),
            state=state or "Locked; nothing moves; the position is unknown until homed or zeroed again.",
        )


GRBL_BOOK = CodeBook(FOCUSRAIL_ERRORS, {})
