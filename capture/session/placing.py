"""A position that was lost is found again by images: a few stills at known distances, compared with the session's last good frames.

The carriage goes slowly, by jogs of a few steps, never farther up than the frames that are there, and measures upwards only, so that
play does not count. What was found is believed where the stills agree with each other; else the origin stays unset.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from capture.camera.protocol import Camera
from capture.errors import SessionError
from capture.session.certifying import CHECK_PREFIX
from capture.session.folder import SessionFolder
from capture.session.place import MOST_FRAMES, PlaceFinder, Side, Sighting
from capture.session.plan import StackPlan
from capture.session.records import EventKind
from rail.axis import Axis, AxisState
from stacking.errors import StackingError

_log = logging.getLogger(__name__)

_LOOKS = 8  # stills until one lies among the frames
_STILLS = 5
_APART = 0.5  # of a step: the distance between the stills that are measured
# In steps of the plan: how far the stills may disagree, and by how much the picture may follow the rail wrongly.
MOST_ERROR = 0.25
# In distances between frames: how far the picture may be from where the rail says it stands.
MOST_OFF = 0.5
_ANOTHER_PICTURE = 1.4
# In distances between frames: what the comparison itself is off, as measured on rendered stacks (docs/session.md).
_COMMON, _COMMON_ASIDE = 0.03, 0.08
_SEEN = 2.5  # times that: a place that is off by more was lost
_SLOPE = (0.75, 1.3)


@dataclass(frozen=True, slots=True)
class Placed:
    """What was found.

    Attributes
    ----------
    position, error : float
        Where the carriage stands, and how far off that may be; in the axis's unit.
    stills : int
        That were taken; none of them counts as a frame.
    shift_px : float
        How far the picture lies aside of the session's frames, in pixels of the still.
    counted : float or None
        Where the axis counted itself until then; None where it did not know.
    """

    position: float
    error: float
    stills: int
    shift_px: float
    counted: float | None


def _common(shift_px: float) -> float:
    """What a comparison may be off, in distances between frames, where the picture lies `shift_px` aside."""
    return _COMMON_ASIDE if shift_px >= 1 else _COMMON


def _aside(seen: Sighting) -> str:
    return f"; the picture lies {seen.shift_px:.1f} px aside" if seen.shift_px >= 1 else ""


class Placing:
    """Finds the place of a session's carriage.

    Parameters
    ----------
    folder : SessionFolder
    axis, camera : Axis, Camera
        Open; the axis need not know its position.
    say : callable
    without : collection of int
        Frames that are not compared with.
    """

    def __init__(
        self,
        folder: SessionFolder,
        axis: Axis,
        camera: Camera,
        say: Callable[[str], None],
        *,
        without: Collection[int] = (),
    ) -> None:
        self._folder = folder
        self._axis = axis
        self._camera = camera
        self._say = say
        self._without = without
        self._stills = 0

    def find(self, plan: StackPlan, finder: PlaceFinder | None = None) -> Placed:
        """Look, measure, and set the axis's origin so that it counts as the session did; `finder` knows the session's frames already.

        Raises
        ------
        SessionError
            The place cannot be told surely enough; the position stays as unknown as it was.
        CameraError, rail.errors.RailError
        """
        if self._axis.status().state is AxisState.ALARM:
            self._axis.unlock()
        finder = finder or self._finder()
        self._say(
            f"looking for the place by images: comparing with {len(finder.positions)} frames "
            f"between {finder.positions[0]:g} and {finder.positions[-1]:g} {plan.unit.value}"
        )
        here = self._come_among(finder, plan)
        placed = self._measure(finder, plan, here)
        text = f"place found by {placed.stills} stills: {placed.position:.3f} {plan.unit.value}, to within {placed.error:.3f}"
        # killed before it is recorded, the origin is none that the session knows, and is looked for again
        name = self._axis.set_position(placed.position).origin
        self._folder.journal.record(EventKind.NOTED, text=text, origin_name=name)
        return placed

    def check(self, plan: StackPlan) -> Placed | None:
        """Where the axis knows its place, one still at the place of a frame that is there tells whether it counts as the session did.

        A rail that was zeroed elsewhere meanwhile cannot be told from one that was not by anything but the picture. One that is off by
        less than half a step, as after lost steps, is measured by more stills and set right: what was found is returned.

        Raises
        ------
        SessionError
            It does not, or the picture is another one. Too few frames, or frames that tell nothing, are no error.
        CameraError, rail.errors.RailError
        """
        try:
            finder = self._finder()
        except SessionError as error:
            if self._folder.accepted():
                self._say(f"note: the place is not compared with the frames: {error.message}")
            return None
        unit = plan.unit.value
        stands = self._axis.status().position
        if stands is None:
            return None
        self._stands_there(finder, plan, stands)
        low, high = float(finder.positions[0]), float(finder.positions[-1])
        inner = finder.spacing  # of a place at an end only one side is known
        nearest = min(finder.positions, key=lambda known: abs(known - min(max(stands, low + inner), high - inner)))
        reached = self._axis.move_to(float(nearest)).position
        seen = self._look(finder, plan)
        if reached is None:
            return None
        off = seen.position - reached
        if finder.is_alike(seen) and abs(off) <= MOST_OFF * finder.spacing:
            unsure = _common(seen.shift_px) * finder.spacing
            if abs(off) > max(_SEEN * unsure, self._axis.capabilities.resolution):
                return self._set_right(finder, plan, off)
            self._say(
                f"the place agrees with the session's frames to within {abs(off) + unsure:.2g} {unit}{_aside(seen)}"
            )
            return None
        if seen.side is Side.INSIDE and not finder.is_alike(seen) and seen.unlikeness < _ANOTHER_PICTURE:
            self._say(
                f"note: the picture at {reached:g} {unit} differs a little from the session's frames there{_aside(seen)}"
            )
            return None
        raise self._counts_otherwise(finder, plan, reached, seen)

    def _stands_there(self, finder: PlaceFinder, plan: StackPlan, stands: float) -> None:
        """A still where the carriage stands, before it moves in a count that may be wrong: the lens must not touch the subject.

        It may stand beside its count by the backlash, as nobody knows from which side it came. A place outside the frames looks
        like the end next to it, or like none.
        """
        seen = self._look(finder, plan)
        low, high = float(finder.positions[0]), float(finder.positions[-1])
        off = abs(seen.position - min(max(stands, low), high))
        slack = MOST_OFF * finder.spacing + self._take_up(plan)
        differs = seen.unlikeness >= _ANOTHER_PICTURE and low + slack <= stands <= high - slack
        agrees = off <= slack if finder.is_alike(seen) else not differs
        if not agrees:
            raise self._counts_otherwise(finder, plan, stands, seen)

    def _counts_otherwise(self, finder: PlaceFinder, plan: StackPlan, counted: float, seen: Sighting) -> SessionError:
        unit = plan.unit.value
        what = (
            f"the rail says {counted:.1f} {unit}, the picture is that of {seen.position:.1f} {unit}"
            if finder.is_alike(seen)
            else f"the picture at {counted:.1f} {unit} is none of the session's"
        )
        return SessionError(
            f"the rail does not count as it did when the session was shot: {what}",
            remedy=f"Find the place by images: focusrail resume {self._folder.path} --origin images. "
            "If you know the rail to be right and the subject to have changed: --no-check",
            state="The carriage stands still there. The frames so far are safe.",
        )

    def _set_right(self, finder: PlaceFinder, plan: StackPlan, off: float) -> Placed | None:
        """The rail counts `off` wrong; where more stills do not tell it surely enough, it counts on as it did, and that is said."""
        unit = plan.unit.value
        self._say(f"the rail counts wrong by about {off:+.2g} {unit}: it lost steps, or was moved by hand")
        try:
            return self.find(plan, finder)
        except SessionError as error:
            self._say(f"note: {error.message}; what is shot now lies about {abs(off):.2g} {unit} off")
            return None

    # -- frames that are known ---------------------------------------------------------------------------------------------------

    def _finder(self) -> PlaceFinder:
        accepted = [frame for frame in self._folder.accepted() if frame.number not in self._without]
        frames = [frame for frame in accepted if frame.files and frame.position is not None]
        last = self._last_known()
        if last is not None:
            frames.sort(key=lambda frame: abs((frame.position or 0.0) - last))
        chosen = sorted(frames[:MOST_FRAMES], key=lambda frame: frame.position or 0.0)
        try:
            return PlaceFinder([(f.position or 0.0, self._folder.path / str(f.files[0]["file"])) for f in chosen])
        except StackingError as error:
            raise self._not_found(f"the session's frames cannot be compared: {error.message}") from error

    def _last_known(self) -> float | None:
        """Where the carriage was last known to stand."""
        for event in reversed(self._folder.journal.events()):
            if event.kind in (EventKind.MOVED, EventKind.PARKED) and event.detail.get("position") is not None:
                return float(event.detail["position"])
        return None

    # -- motion ------------------------------------------------------------------------------------------------------------------

    def _come_among(self, finder: PlaceFinder, plan: StackPlan) -> float:
        """Jog until a still lies among the frames that are known; where that is."""
        travel = float(np.ptp(finder.positions)) + 4 * plan.step
        gone = 0.0
        for _ in range(_LOOKS):
            seen = self._look(finder, plan)
            if finder.is_alike(seen):
                return seen.position
            if seen.side is Side.INSIDE:
                break
            lag = abs(seen.position - finder.positions[0 if seen.side is Side.BEFORE else -1])
            # away from the subject as far as it seems, towards it half as far: what was guessed may be wrong
            distance = min(0.5 * lag, plan.step) if seen.side is Side.BEFORE else -(lag + plan.step)
            if abs(gone + distance) > travel:
                break
            self._jog(distance)
            gone += distance
        self._jog(-gone)  # to be looked for from where it was left
        raise self._not_found("what the camera shows here is like none of the session's last frames")

    def _measure(self, finder: PlaceFinder, plan: StackPlan, here: float) -> Placed:
        """Stills at known distances, upwards only; each tells the place of the first."""
        apart = self._rounded(_APART * finder.spacing)
        span = (_STILLS - 1) * apart
        low, high = float(finder.positions[0]), float(finder.positions[-1])
        start = min(max(here - span, low + 0.25 * finder.spacing), max(high - span, low))
        take_up = self._take_up(plan)
        self._jog(start - here - take_up)
        self._jog(take_up)
        found, distances, shifts = [], [], []
        for index in range(_STILLS):
            if index:
                self._jog(apart)
            seen = self._look(finder, plan)
            if finder.is_alike(seen):
                found.append(seen.position)
                distances.append(index * apart)
                shifts.append(seen.shift_px)
        if len(found) < _STILLS - 1:
            raise self._not_found(f"only {len(found)} of {_STILLS} stills look like the session's frames")
        slope = float(np.polyfit(distances, found, 1)[0])
        if not _SLOPE[0] <= slope <= _SLOPE[1]:
            raise self._not_found(f"the picture does not follow the rail: {slope:.2f} of the way it was moved")
        first = np.array(found) - np.array(distances)
        place = float(np.median(first)) + (_STILLS - 1) * apart
        scatter = float(np.sqrt(np.mean((first - np.median(first)) ** 2)))
        shift_px = float(np.median(shifts))
        # two sigma of a median of five, and what all of them may have in common
        common = _common(shift_px) * finder.spacing
        error = max(float(np.hypot(1.1 * scatter, common)), self._axis.capabilities.resolution)
        _log.info("places of the first still: %s; slope %.3f", first.round(2), slope)
        if error > MOST_ERROR * plan.step:
            raise self._not_found(
                f"the place is only known to within {error:.3g} {plan.unit.value}, more than a quarter of the step of {plan.step:g}"
            )
        return Placed(place, error, self._stills, shift_px, self._axis.status().position)

    def _look(self, finder: PlaceFinder, plan: StackPlan) -> Sighting:
        time.sleep(plan.settle_s)  # a length of time by its nature
        try:
            with TemporaryDirectory(dir=self._folder.path, prefix=CHECK_PREFIX) as scratch:
                shot = self._camera.shoot(Path(scratch), f"place{self._stills:02d}")
                self._stills += 1
                if not shot.files:
                    raise self._not_found("this camera gives no pictures to compare")
                seen = finder.look(shot.files[0].path)
        except StackingError as error:
            raise self._not_found(f"the still cannot be compared: {error.message}") from error
        except OSError as error:
            raise self._not_found(f"the still cannot be kept: {error.strerror or error}") from error
        _log.info("still %d: %s", self._stills, seen)
        return seen

    def _jog(self, distance: float) -> None:
        if distance:
            self._axis.jog(self._rounded(distance))

    def _rounded(self, distance: float) -> float:
        """To whole steps of the axis, so that distances add up."""
        resolution = self._axis.capabilities.resolution
        return round(distance / resolution) * resolution

    def _take_up(self, plan: StackPlan) -> float:
        profile = getattr(self._axis, "profile", None)
        return plan.step if profile is None else float(profile.take_up_um)

    def _not_found(self, why: str) -> SessionError:
        return SessionError(
            f"the place was not found by images: {why}",
            remedy=f"Jog to about where the session stopped and try again, or bring the carriage to the session's 0 by hand and "
            f"go on with: focusrail resume {self._folder.path} --origin here",
            state="The position is unknown; the carriage stands still. The frames so far are safe.",
        )
