"""Backlash, seen through the camera: where the carriage stands for one commanded position, come to from below and from above.

A sweep from below says what is seen at each position; frames that are come to from above are matched with it, and so are more frames
from below, which cancels what drifts. All of it are jogs, so no origin is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.camera.protocol import LiveFrame
from capture.errors import FocusError
from capture.focus.axis_view import AxisView
from capture.focus.handed import HandedAxis
from capture.focus.matching import Match, Matcher
from capture.focus.region import Region
from capture.focus.step import measure_step
from capture.focus.sweep import Say, silent, sweep
from rail.axis import Axis

F32 = NDArray[np.float32]

REPEATS = 4
_POSITIONS = 4
_ROUNDS = 3
# Lengths in units of the defocus at which the blur circle has grown by one live pixel.
_SPACING, _HALF_FRAMES, _USED = 0.8, 10, 6.0
_ENOUGH_TAKE_UP = 0.75
_PATIENCE = 3
_WINDOW_PX, _STRIDE_PX = 5.0, 8
# Quantiles 0.975 of Student's distribution by degrees of freedom.
_STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


@dataclass(frozen=True, slots=True)
class BacklashEstimate:
    """Lost motion on reversal.

    Attributes
    ----------
    value, uncertainty : float
        In the axis's unit; half the width of the 95 % confidence interval.
    repeats : tuple of float
        What each pair of passes gave.
    growth : float
        Of the blur circle's diameter, live pixels per unit, where it was measured.
    frames : int
        Live frames that were looked at.
    """

    value: float
    uncertainty: float
    repeats: tuple[float, ...]
    growth: float
    frames: int


class FocusingView(AxisView):
    """Remembers how sharp each frame was, so that it is known afterwards where the subject is in focus."""

    def __init__(self, axis: Axis | HandedAxis, frames: Iterator[LiveFrame], region: Region) -> None:
        super().__init__(axis, frames)
        self._region = region
        self.seen: list[tuple[float, float]] = []

    def frame(self, position: float) -> tuple[float, F32]:
        """As any view's."""
        reached, gray = super().frame(position)
        part = self._region.crop(gray)
        fine = part - cv2.GaussianBlur(part, (0, 0), 2.0)
        self.seen.append((reached, float((fine * fine).mean()) / max(float(part.mean()), 1e-6) ** 2))
        return reached, gray

    @property
    def sharpest(self) -> float:
        """Position of the sharpest frame."""
        return max(self.seen, key=lambda seen: seen[1])[0]


def measure_backlash(
    axis: Axis,
    frames: Iterator[LiveFrame],
    take_up: float,
    *,
    repeats: int = REPEATS,
    region: Region | None = None,
    say: Say = silent,
) -> BacklashEstimate:
    """Find the subject's focus near where the axis stands, and compare both sides; the carriage goes back there.

    Parameters
    ----------
    axis : Axis
    frames : iterator of LiveFrame
        An open stream.
    take_up : float
        Lost motion to reckon with at first, in the axis's unit; more is found, too.
    repeats : int
        Pairs of passes, 2 to 10.
    region : Region or None
        The part of the live frame that is looked at.
    say : callable

    Raises
    ------
    FocusError
        Nothing goes in and out of focus here, or the travel does not suffice.
    CaptureError, rail.errors.RailError
    """
    part = region or Region()
    handed = HandedAxis(axis, take_up)
    view = FocusingView(handed, frames, part)
    growth = measure_step(view, 1.0, 0.0, region=part, say=say).blur_px_per_um
    if growth is None:
        raise FocusError(
            "nothing in view goes in and out of focus, so no backlash can be seen",
            remedy="Jog until a subject with texture is about in focus, light it well, and try again.",
            state="The carriage stands within the sweep it made; nothing was written.",
        )
    passes = _Passes(handed, view, part, growth, view.sharpest, say)
    value = passes.first()
    found = tuple(passes.compare(value, k) for k in range(repeats))
    handed.from_below = True
    handed.move_to(0.0)
    spread = float(np.std(found, ddof=1))
    half_width = _STUDENT[repeats - 1] * spread / np.sqrt(repeats)
    return BacklashEstimate(
        max(float(np.mean(found)), 0.0), float(half_width), found, growth, passes.frames + len(view.seen)
    )


class _Passes:
    """Sweeps over one place, from both sides."""

    def __init__(
        self, handed: HandedAxis, view: FocusingView, region: Region, growth: float, centre: float, say: Say
    ) -> None:
        self._handed = handed
        self._view = view
        self._region = region
        self._unit = 1.0 / growth
        self._spacing = max(_SPACING * self._unit, view.resolution)
        self._centre = centre
        self._say = say
        self.frames = 0
        self._matcher: Matcher | None = None

    def first(self) -> float:
        """The sweep from below, and a first value from one pass from above; with more take-up where it was too little."""
        for _ in range(_ROUNDS):
            self._reference()
            value = self._descend()
            if value is not None and value < _ENOUGH_TAKE_UP * self._handed.take_up:
                return value
            self._handed.take_up *= 2.0
        raise FocusError(
            f"from above, the sweep from below was not found again within {self._handed.take_up / 2:.0f}",
            remedy="Check that the motor does not lose steps, that nothing slips, and that the subject does not move.",
            state=f"The carriage stands {self._handed.position:.0f} from where it was; nothing was written.",
        )

    def _reference(self) -> None:
        self._handed.from_below = True
        positions = self._centre + self._spacing * np.arange(-_HALF_FRAMES, _HALF_FRAMES + 1)
        low, high = self._view.limits
        positions = positions[(positions >= low) & (positions <= high)]
        self._say(f"reference: {len(positions)} live frames from below, {positions[0]:.0f} to {positions[-1]:.0f}")
        taken = sweep(self._view, positions, self._region, window_px=_WINDOW_PX, stride_px=_STRIDE_PX)
        try:
            self._matcher = Matcher(
                np.asarray(taken.positions, np.float64), taken.energies, taken.noise, taken.clipped, taken.bands
            )
        except ValueError as error:
            raise FocusError(
                f"no backlash can be seen here: {error}",
                remedy="Light the subject well, and jog until it is in focus.",
                state="Nothing was written.",
            ) from None

    def _descend(self) -> float | None:
        """Down from above until the sweep is passed; the median of what the frames within it tell."""
        assert self._matcher is not None
        low, high = float(self._matcher.positions[0]), float(self._matcher.positions[-1])
        self._handed.from_below = False
        found: list[float] = []
        position = high
        self._say("first pass from above")
        while position > max(low - self._handed.take_up, self._view.limits[0]):
            reached, match = self._look(position)
            if match.inside and match.position < high - self._unit:
                found.append(match.position - reached)
                if len(found) >= _POSITIONS or match.position < self._centre:
                    break
            position = reached - 1.5 * self._unit
        return float(np.median(found)) if len(found) >= _PATIENCE else None

    def compare(self, value: float, number: int) -> float:
        """One pass from below and one from above; the difference of what both tell."""
        # other places each time, so that what lies between the sweep's frames averages out
        offset = (0.618 * number % 1.0 - 0.5) * self._spacing
        places = self._centre + offset + self._unit * np.linspace(-_USED, _USED, _POSITIONS)
        low, high = self._view.limits
        self._say(f"from below and from above, pair {number + 1}")
        self._handed.from_below = True
        below = [self._difference(place) for place in places if low <= place <= high]
        self._handed.from_below = False
        above = [self._difference(place - value) for place in reversed(places) if low <= place - value <= high]
        if not below or not above:
            raise FocusError(
                "the travel does not suffice to come to the subject from both sides",
                remedy="Start from the middle of the travel, with the subject in focus there.",
                state=f"The carriage stands {self._handed.position:.0f} from where it was; nothing was written.",
            )
        return float(np.mean(above) - np.mean(below))

    def _difference(self, position: float) -> float:
        for _ in range(_PATIENCE):
            reached, match = self._look(position)
            if match.inside:
                return match.position - reached
        raise FocusError(
            "the live view does not show again what it showed before",
            remedy="Keep light and subject still, and the camera's settings unchanged, and try again.",
            state=f"The carriage stands {self._handed.position:.0f} from where it was; nothing was written.",
        )

    def _look(self, position: float) -> tuple[float, Match]:
        assert self._matcher is not None
        reached, gray = self._view.frame(position)
        self.frames += 1
        return reached, self._matcher.find(np.ascontiguousarray(self._region.crop(gray)))
