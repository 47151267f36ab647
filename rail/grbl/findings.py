"""What a diagnosis is made from, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rail.grbl.identity import Identity
from rail.grbl.settings import MARLIN_PER
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
        The setting (``$1``, or its name on this controller) or the property it concerns.
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


@dataclass(frozen=True, slots=True)
class Setup:
    """What is examined.

    Attributes
    ----------
    settings : mapping of int to float
        Under GRBL's numbers.
    profile : RailProfile
    identity : Identity
    pins : str
        Letters of the inputs that read as active at rest.
    reset_on_open : bool
        The controller restarted when its port was opened.
    name : callable
        What a setting is called on this controller.
    homed : bool
        The origin comes from the end switch.
    startup : mapping of int to str
        Lines that the controller runs at each start, by number.
    """

    settings: Mapping[int, float]
    profile: RailProfile
    identity: Identity = field(default_factory=lambda: Identity("", ""))
    pins: str = ""
    reset_on_open: bool = False
    name: Callable[[int], str] = lambda number: f"${number}"
    homed: bool = False
    startup: Mapping[int, str] = field(default_factory=dict)

    @property
    def homing(self) -> bool:
        """Homing is switched on."""
        return bool(self.settings.get(22, 0))

    def shown(self, number: int) -> str:
        """``$1=25``; ``M203 X10, that is 600`` where the controller counts in another unit."""
        value = self.settings.get(number, 0.0)
        if self.identity.dialect == "marlin" and number in MARLIN_PER:
            unit = MARLIN_PER[number]
            return f"{self.name(number)}{value / unit:g}" + (f", that is {value:g}" if unit != 1.0 else "")
        return f"{self.name(number)}={value:g}"

    def mend(self, number: int, value: float) -> str:
        """``Set $1=255.``, in the controller's own words and unit."""
        if self.identity.dialect == "marlin" and number in MARLIN_PER:
            return f"Send `{self.name(number)}{value / MARLIN_PER[number]:.4g}`, then `M500`."
        return f"Set {self.name(number)}={value:g}."
