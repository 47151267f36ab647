"""What a session does about a fault: what is tried again, how often and after which pause, and what ends it.

The same table stands in docs/faults.md, and a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from capture.errors import (
    CameraBusyError,
    CameraError,
    CameraLostError,
    CameraTimeoutError,
    CaptureError,
    SessionError,
    ShotBusyError,
    ShotIncompleteError,
    ShotRefusedError,
)
from rail.errors import (
    RailDeviceError,
    RailError,
    RailPortError,
    RailProtocolError,
    RailTimeoutError,
)


class Repeat(StrEnum):
    """What is done before the next try."""

    SHOOT = "shoot"  # the frame is exposed again where the carriage stands
    REOPEN = "reopen"  # the rail is opened anew; gone on only where it still knows its position and origin
    STOP = "stop"  # nothing: the session ends, and can be gone on with


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: for an error of `kind`, `tries` in all, with `pause_s` before each further one."""

    kind: type[CaptureError] | type[RailError]
    repeat: Repeat
    tries: int = 1
    pause_s: float = 0.0


# The first row that fits counts.
RULES = (
    # the driver has waited its whole deadline each time: a camera that writes its card is ready long before
    Rule(ShotBusyError, Repeat.SHOOT, 2, 1.0),
    Rule(ShotRefusedError, Repeat.SHOOT, 3, 1.0),
    Rule(ShotIncompleteError, Repeat.SHOOT, 3, 0.0),
    Rule(CameraBusyError, Repeat.SHOOT, 3, 5.0),
    Rule(CameraTimeoutError, Repeat.SHOOT, 2, 5.0),
    Rule(CameraLostError, Repeat.SHOOT, 3, 5.0),
    Rule(CameraError, Repeat.STOP),
    Rule(RailPortError, Repeat.REOPEN, 4, 3.0),
    Rule(RailTimeoutError, Repeat.REOPEN, 2, 1.0),
    Rule(RailProtocolError, Repeat.REOPEN, 2, 1.0),
    Rule(RailDeviceError, Repeat.STOP),
    Rule(RailError, Repeat.STOP),
    Rule(SessionError, Repeat.STOP),
    Rule(CaptureError, Repeat.STOP),
)


def rule_for(error: CaptureError | RailError) -> Rule:
    """The row for `error`."""
    return next(rule for rule in RULES if isinstance(error, rule.kind))
