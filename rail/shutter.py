"""A camera's shutter on the rail's controller: for cameras that no computer can speak to.

The release hangs on the coolant output (M8), half press on the mist output (M7) where there is one; M9 lets go of both. The controller
carries them out after the motion before them. They are let go of by whatever way an exposure ends: an error, an interrupt, a stop; a
controller that is reset lets go by itself, and one that is opened again after its host died is told to first.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rail.errors import RailRefusedError

_log = logging.getLogger(__name__)

HALF_PRESS, PRESS = "M7", "M8"
_UNKNOWN_WORDS = (20, 0)  # GRBL's code; Marlin has none


class Outputs(Protocol):
    """An axis whose controller has outputs (`rail.grbl.axis.GrblAxis`)."""

    @property
    def has_mist_output(self) -> bool:
        """There is an output for M7."""

    def pulse(self, words: Sequence[tuple[str, float]], rest_s: float = 0.0) -> tuple[float, ...]:
        """Switch outputs on, one word after the other, each for some seconds; then all off."""


@dataclass(frozen=True, slots=True)
class ShutterTimes:
    """How a release is pressed.

    Attributes
    ----------
    half_press_s : float
        Half press before the release, so that a sleeping camera wakes up and its light meter is ready.
    press_s : float
        Shortest press that every camera takes.
    lag_s : float
        Longest time from the press to the opening of the shutter; also from its closing until the camera is ready.
    """

    half_press_s: float = 0.3
    press_s: float = 0.2
    lag_s: float = 0.3


class ShutterRelease:
    """Releases the shutter of whatever camera hangs on the controller of `axis`."""

    def __init__(self, axis: Outputs, times: ShutterTimes | None = None) -> None:
        self._axis = axis
        self._times = ShutterTimes() if times is None else times
        self._half_press = axis.has_mist_output

    @property
    def has_half_press(self) -> bool:
        """Whether the controller has an output for it, as it says itself, and takes the word."""
        return self._half_press

    def use(self, axis: Outputs) -> None:
        """Go on with an axis that was opened anew."""
        self._axis = axis

    def release(self, exposure_s: float, *, bulb: bool = True) -> float:
        """Press for the length of the exposure, and return when it is over; the time of the press, seconds of `time.time`.

        Parameters
        ----------
        exposure_s : float
            How long the shutter is open.
        bulb : bool
            Press as long as that, so that a camera set to B exposes so long; a camera that times itself takes no harm. Else a
            short press.

        Raises
        ------
        rail.errors.RailError
            The shutter was let go of; whether it was opened, nobody knows.
        """
        times = self._times
        pressed_s = max(times.press_s, exposure_s if bulb else 0.0)
        rest_s = max(0.0, exposure_s - pressed_s) + times.lag_s
        press = (PRESS, pressed_s)
        if self._half_press:
            try:
                return self._axis.pulse(((HALF_PRESS, times.half_press_s), press), rest_s)[-1]
            except RailRefusedError as error:
                if error.code not in _UNKNOWN_WORDS:
                    raise
                _log.info("the controller has no half press (%s) after all", HALF_PRESS)
                self._half_press = False
        return self._axis.pulse((press,), rest_s)[-1]
