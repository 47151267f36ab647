"""What a body is set to, in words of photography; a dialect turns them into the wire's numbers and back."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Protocol

ISO_SPEEDS = (100, 125, 160, 200, 250, 320, 400, 500, 640, 800, 1000, 1250, 1600, 2000, 2500, 3200, 4000, 5000, 6400)
F_NUMBERS = (
    *(1.4, 1.6, 1.8, 2.0, 2.2, 2.5, 2.8, 3.2, 3.5, 4.0, 4.5, 5.0, 5.6, 6.3, 7.1, 8.0, 9.0, 10.0, 11.0, 13.0, 14.0),
    *(16.0, 18.0, 20.0, 22.0, 25.0, 29.0, 32.0),
)
_DENOMINATORS = (
    *(8000, 6400, 5000, 4000, 3200, 2500, 2000, 1600, 1250, 1000, 800, 640, 500, 400, 320, 250, 200, 160, 125, 100),
    *(80, 60, 50, 40, 30, 25, 20, 15, 13, 10, 8, 6, 5, 4, 3),
)
_LONG = ("2/5", "1/2", "5/8", "10/13", "1", "13/10", "8/5", "2", "5/2", "3", "4", "5", "6", "8", "10", "13", "15", "20")
BULB = Fraction(-1)
"""The shutter setting that has no time of its own: open until the capture is terminated."""
SHUTTER_SPEEDS = (
    *(Fraction(1, n) for n in _DENOMINATORS),
    *(Fraction(text) for text in _LONG),
    Fraction(25),
    Fraction(30),
    BULB,
)


class Clock(Protocol):
    """The bench's clock: device seconds, which may run at a multiple of real time."""

    def now(self) -> float:
        """Device seconds since some start."""

    def wait_until(self, device_s: float, wake: threading.Event | None = None) -> bool:
        """Wait until the device time is reached; False where `wake` was set before."""


@dataclass(frozen=True, slots=True)
class Quality:
    """The files a shot makes; `jpeg` is empty or one of ``basic``, ``normal``, ``fine``."""

    raw: bool
    jpeg: str = ""

    def __post_init__(self) -> None:
        if not self.raw and not self.jpeg:
            raise ValueError("a shot makes a RAW file, a JPEG or both")


@dataclass(frozen=True, slots=True)
class BodySettings:
    """Everything that can be set on the body.

    Attributes
    ----------
    iso : int
    shutter_s : Fraction
        Seconds, or `BULB`.
    f_number : float
    quality : Quality
    focus : str
        ``manual``, ``single`` or ``continuous``.
    program : str
        ``M``, ``P``, ``A`` or ``S``.
    white_balance : str
    drive : str
        ``single`` or ``quiet``.
    delay_s : float
        Pause between the mirror and the shutter (device seconds).
    magnify : int
        Of live view; 1 shows the whole field.
    exposure_preview : bool
        Whether live view is as bright as the still will be; else as bright as suits the eye.
    battery_percent : int
    """

    iso: int = 100
    shutter_s: Fraction = Fraction(1, 60)
    f_number: float = 4.0
    quality: Quality = Quality(raw=True)
    focus: str = "manual"
    program: str = "M"
    white_balance: str = "daylight"
    drive: str = "single"
    delay_s: float = 0.0
    magnify: int = 1
    exposure_preview: bool = True
    battery_percent: int = 88

    def changed(self, key: str, value: Any) -> BodySettings:
        """The settings with one of them changed."""
        return replace(self, **{key: value})
