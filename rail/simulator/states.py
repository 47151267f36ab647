"""What a simulated controller can be in, and what its parser remembers: names and values without behaviour.

States, flags and their meaning follow GRBL 1.1's documentation (``grbl/wiki``: Interface, Jogging, Alarm and error codes).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, Flag, auto


class State(Enum):
    """What the controller is doing; the value is its name in status reports."""

    IDLE = "Idle"
    ALARM = "Alarm"
    CHECK = "Check"
    HOMING = "Home"
    CYCLE = "Run"
    HOLD = "Hold"
    JOG = "Jog"
    DOOR = "Door"
    SLEEP = "Sleep"


class Request(Flag):
    """What interrupts ask of the main program."""

    NONE = 0
    STATUS = auto()
    CYCLE_START = auto()
    CYCLE_STOP = auto()
    FEED_HOLD = auto()
    RESET = auto()
    DOOR = auto()
    CANCEL = auto()
    SLEEP = auto()


class Suspend(Flag):
    """How far a suspension has come."""

    NONE = 0
    HOLD_COMPLETE = auto()
    RETRACTED = auto()
    RESTORING = auto()
    RESTORED = auto()
    DOOR_AJAR = auto()
    MOTION_CANCEL = auto()
    JOG_CANCEL = auto()


class SpindleStop(Enum):
    """The spindle-stop override's own small state machine."""

    OFF = auto()
    STARTING = auto()
    STOPPED = auto()
    RESTORE = auto()
    RESTORE_AND_RUN = auto()


ALARM_HARD_LIMIT = 1
ALARM_SOFT_LIMIT = 2
ALARM_ABORT = 3
ALARM_PROBE_START = 4
ALARM_PROBE_CONTACT = 5
ALARM_HOMING_RESET = 6
ALARM_HOMING_DOOR = 7
ALARM_HOMING_PULLOFF = 8
ALARM_HOMING_APPROACH = 9

MOVING = (State.CYCLE, State.HOMING, State.HOLD, State.JOG, State.DOOR)
"""States in which a speed is reported and reports of rare fields are farther apart."""


@dataclass(slots=True)
class Modal:
    """The parser's modal groups, as the numbers of their G and M codes (38.2 as 382)."""

    motion: int = 0
    coordinates: int = 54
    plane: int = 17
    units: int = 21
    distance: int = 90
    feed_mode: int = 94
    flow: int = 0
    spindle: int = 5
    flood: bool = False
    tool_length: bool = False


@dataclass(slots=True)
class ParserState:
    """What the G-code parser remembers. Lengths mm, feed mm/min, all in single precision."""

    modal: Modal = field(default_factory=Modal)
    feed: float = 0.0
    rpm: float = 0.0
    tool: int = 0
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    system: tuple[float, float, float] = (0.0, 0.0, 0.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    tool_offset: float = 0.0


@dataclass(slots=True)
class Probe:
    """The probe input and cycle."""

    closed: bool = False
    away: bool = False
    active: bool = False
    found: bool = False
    succeeded: bool = False
    position: tuple[int, int, int] = (0, 0, 0)
