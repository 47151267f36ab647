"""The words between the camera body and the maker's protocol: what it refuses, tells and is ready for."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol


class Refusal(Enum):
    """Why the body did not do what was asked."""

    BUSY = auto()
    STORE_FULL = auto()
    OUT_OF_FOCUS = auto()
    ACCESS_DENIED = auto()
    NOT_LIVE = auto()
    NOT_EXPOSING = auto()
    BATTERY = auto()
    MODE = auto()
    NO_CARD = auto()
    END_OF_TRAVEL = auto()


class RefusedError(Exception):
    """The body refuses; nothing was done."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.name)
        self.why = why


class Happening(Enum):
    """What a body tells of itself."""

    FILE_IN_MEMORY = auto()
    FILE_ON_CARD = auto()
    DONE_IN_MEMORY = auto()
    DONE_ON_CARD = auto()
    CARD_FULL = auto()
    BATTERY_CHANGED = auto()
    MODE_CHANGED = auto()


class Readiness(Enum):
    """Whether the body takes a command."""

    READY = auto()
    BUSY = auto()
    BULB = auto()


class Listener(Protocol):
    """Who is told of happenings: the session that is open."""

    def __call__(self, happening: Happening, handle: int = 0) -> None:
        """`handle` names the object, where there is one."""
