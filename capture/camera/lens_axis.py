"""The lens's own focus motor as an axis (the protocol `rail.axis.Axis`), for lenses that have one.

It counts steps, not micrometres. The motor knows no place: positions are what was ordered since the origin, which is the motor's near end
(`home`) or wherever it stands (`zero`). It has play: every target is approached while focusing away from the camera, so that the play is
always on the same side and drops out of all differences.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self

from capture.camera.focus_drive import counts_steps
from capture.camera.interrupts import held_interrupts
from capture.camera.lens_ledger import LensLedger, LensPlace
from capture.camera.roles import Setting
from capture.errors import CameraError, FocusEndError
from rail.axis import AxisCapabilities, AxisState, AxisStatus, AxisUnit
from rail.errors import (
    RailBusyError,
    RailDeviceError,
    RailEndError,
    RailLimitError,
    RailPositionUnknownError,
    RailRefusedError,
    RailStoppedError,
    RailUsageError,
)
from rail.turn import Turn

_STOP_S = 20.0
_LONGEST_TRAVEL = 250_000


class FocusingCamera(Protocol):
    """What the axis asks of a camera; `GphotoCamera` is one."""

    @property
    def identity(self) -> str:
        """The same as long as the same camera stays plugged in."""

    def focus_drive(self) -> Setting:
        """The entry that moves the motor; `CameraSettingError` where there is none."""

    def focusing(self) -> AbstractContextManager[None]:
        """Several orders to the motor follow."""

    def drive_focus(self, steps: int) -> None:
        """Move by so many steps (positive: farther)."""

    def close(self) -> None:
        """Release it."""


class LensAxis:
    """The focus motor of a camera's lens. Position grows towards the subject's far side.

    Parameters
    ----------
    camera : GphotoCamera
        Open.
    ledger : LensLedger or None
        Where the place is kept between programs; None: by the camera's identity.
    take_up_steps : int or None
        Steps by which a target is undershot before it is approached; more than the motor's play. None: 200 for motors that count their
        steps, 4 for those that know only small, middle and large ones.
    owned : bool
        Whether the camera is closed with the axis.

    Raises
    ------
    CameraSettingError
        The camera drives no focus.
    """

    def __init__(
        self,
        camera: FocusingCamera,
        *,
        ledger: LensLedger | None = None,
        take_up_steps: int | None = None,
        owned: bool = True,
    ) -> None:
        drive = camera.focus_drive()
        self.camera = camera
        self._counts = counts_steps(drive)
        self._take_up = take_up_steps if take_up_steps is not None else 200 if self._counts else 4
        self._chunk = 500 if self._counts else 4
        self._reach = 40_000 if self._counts else 2_000
        self._ledger = LensLedger(camera.identity) if ledger is None else ledger
        self._place = self._ledger.read()
        self._owned = owned
        self._closed = False
        self._turn = Turn()
        self._about: int | None = None

    @property
    def capabilities(self) -> AxisCapabilities:
        """Steps; it can home where the camera tells that the motor stands at its end."""
        return AxisCapabilities(AxisUnit.STEP, can_home=self._counts, resolution=1.0)

    @property
    def limits(self) -> tuple[float, float]:
        """Generous: the motor's own ends are found by running into them, which the camera reports; those that are known count."""
        place = self._place
        near = 0 if place.homed else -self._reach if place.near_end is None else place.near_end
        return float(near), float(self._reach if place.far_end is None else place.far_end)

    def status(self) -> AxisStatus:
        """Where it stands, as counted."""
        if self._closed:
            return AxisStatus(AxisState.DISCONNECTED, None, position_known=False, homed=False)
        try:
            # A stop is short, and what it leaves is worth waiting for.
            with self._turn.taken(_STOP_S if self._turn.stopping else 0.0):
                state = AxisState.IDLE
        except RailBusyError:
            state = AxisState.MOVING
        place = self._place
        return AxisStatus(state, float(place.count) if place.known else None, place.known, place.homed)

    # -- origin ------------------------------------------------------------------------------------------------------------------

    def home(self) -> AxisStatus:
        """Focus as near as the motor goes, and come back by the take-up: there is 0."""
        self._check_open()
        if not self._counts:
            raise RailRefusedError(
                "this camera does not tell when its lens stands at an end",
                code=0,
                remedy="Focus by hand where counting shall begin, then zero it: --origin here, or `focusrail rail zero`.",
                state="Nothing has moved.",
            )
        with self._motion():
            self._place = LensPlace()
            self._run_to_near_end()
            self._drive(self._take_up)
            self._settle_at(LensPlace(0, known=True, homed=True, taken_up=True, near_end=-self._take_up))
        return self.status()

    def _run_to_near_end(self) -> None:
        for _ in range(0, _LONGEST_TRAVEL, self._chunk):
            try:
                self._turn.check()
                self._drive(-self._chunk)
            except FocusEndError:
                return
            except RailStoppedError as error:
                error.remedy, error.state = "Home it again.", "Its position is unknown."
                raise
        raise RailDeviceError(
            f"the lens came to no end within {_LONGEST_TRAVEL} steps",
            remedy="See that the lens is switched to autofocus (its motor is off in manual), then home again; or zero it.",
            state="Its position is unknown.",
        )

    def zero(self) -> AxisStatus:
        """Call the present position 0."""
        return self.set_position(0.0)

    def set_position(self, position: float) -> AxisStatus:
        """Call the present place `position`, rounded to whole steps."""
        self._check_open()
        self._settle_at(self._place.counted_from(_whole(position)))
        return self.status()

    def unlock(self) -> AxisStatus:
        """A lens has no alarm."""
        self._check_open()
        return self.status()

    # -- motion ------------------------------------------------------------------------------------------------------------------

    def move_to(self, target: float) -> AxisStatus:
        """Go to `target`, rounded to whole steps, approached from the near side."""
        self._check_open()
        goal = _whole(target)
        if not self._place.known:
            raise RailPositionUnknownError(
                "the position of the lens is unknown",
                remedy="Home it (--origin home), or zero it where it stands (--origin here).",
                state="Nothing has moved.",
            )
        self._check_limits(goal)
        try:
            self._travel(goal - self._place.count)
        except RailStoppedError as error:
            error.message = f"the move to {goal} st was stopped at {self._place.count} st"
            raise
        return self.status()

    def jog(self, distance: float) -> AxisStatus:
        """Move by `distance`, approached from the near side; allowed while the position is unknown."""
        self._check_open()
        steps = _whole(distance)
        if abs(steps) > self._reach:
            raise _outside(f"a distance of {steps} st", -self._reach, self._reach)
        if self._place.known:
            self._check_limits(self._place.count + steps)
        with contextlib.suppress(RailStoppedError):
            self._travel(steps)
        return self.status()

    def stop(self) -> AxisStatus:
        """End a motion that another thread waits for; the position is kept."""
        if self._turn.mine:
            self._turn.ask_stop()
        else:
            with self._turn.taken(_STOP_S, by_stopping=True):
                pass
        return self.status()

    def _travel(self, steps: int) -> None:
        """Move by `steps` with the take-up where it is needed; `RailStoppedError` where `stop` ended it."""
        place = self._place
        if steps == 0 and (place.taken_up or not place.known):
            return
        back = 0 if steps > 0 and (place.taken_up or place.at_end < 0) else min(steps, 0) - self._take_up
        goal = place.count + steps
        with self._motion():
            counted = self._leg(back)
            left = steps - back
            if back and self._place.at_end < 0:  # as good as a take-up
                left = goal - self._place.count if counted else steps
            if left < 0:
                raise FocusEndError("The lens's focus motor stands at its near end.")
            self._leg(left)

    def _leg(self, steps: int) -> bool:
        """Orders in one direction; whether the count is that from before, which ends where an end is met that was not known."""
        sign, left, done = (1 if steps > 0 else -1), abs(steps), 0
        while left:
            self._turn.check()
            part = min(left, self._chunk)
            before, self._place = self._place, LensPlace()
            try:
                self._drive(sign * part)
            except FocusEndError:
                self._about = before.count + sign * (part // 2) if before.known else None
                return self._at_end(before, sign * part)
            left, done = left - part, done + part
            # Reversed, the play comes first: only after the take-up is it surely on this side.
            taken_up = sign > 0 and (before.taken_up or done >= self._take_up)
            self._place = replace(before, count=before.count + sign * part, taken_up=taken_up, at_end=0)
        return True

    def _at_end(self, before: LensPlace, steps: int) -> bool:
        """The motor stands at an end, before all of `steps` were done: whether the count still holds.

        A take-up may run into the near end, a move never into the far one. Where an end was not known, counting begins anew there.

        Raises
        ------
        FocusEndError
            It stands short of where it was to go, or nobody knows any more where it stands.
        """
        sign, reached = (1 if steps > 0 else -1), before.count + steps
        end = before.far_end if sign > 0 else before.near_end
        counted = end is not None and sign * (reached - end) >= 0
        if counted and end is not None:
            self._place = replace(before, count=end, taken_up=sign > 0, at_end=sign)
        else:
            near, far = (None, 0) if sign > 0 else (0, None)
            self._place = LensPlace(taken_up=sign > 0, near_end=near, far_end=far, at_end=sign)
        if (before.known and not counted) or (sign > 0 and reached != end):
            raise FocusEndError("The lens's focus motor stands at its end.")
        return counted

    @contextlib.contextmanager
    def _motion(self) -> Iterator[None]:
        """A motion: the record says "unknown" until it has ended, and what then is known."""
        with self._turn.taken(_STOP_S):
            yield from self._recorded()

    def _recorded(self) -> Iterator[None]:
        self._ledger.write(LensPlace())
        try:
            with held_interrupts(self._turn.ask_stop), self.camera.focusing():
                yield
        except FocusEndError as error:
            if not self._place.at_end:  # told late, of an order that seemed done
                self._place = LensPlace()
            place, end = self._place, {-1: "near end", 1: "far end"}.get(self._place.at_end, "end")
            where, ways_on = f"that is {place.count} st", ""
            if not place.known:
                where, ways_on = "its position is unknown", "; home it, or jog it away from its end and zero it again"
                if place.at_end:
                    ways_on = (
                        "; where that end lies is known now, so count anew: --origin here (or `rail zero`); or home it"
                    )
            ended = RailEndError(
                f"the lens came to the {end} of its travel",
                remedy=f"Take a shorter range, or move the camera{ways_on}.",
                state=f"The lens stands at its {end}; {where}.",
            )
            ended.about = self._about
            raise ended from error
        except CameraError as error:
            # Between two orders the count still holds; in the middle of one nobody knows.
            raise RailDeviceError(error.message, remedy=error.remedy, state=self._where()) from error
        finally:
            self._ledger.write(self._place)

    def _where(self) -> str:
        place = self._place
        return f"The lens stands at {place.count} st." if place.known else "The lens's position is unknown."

    def _drive(self, steps: int) -> None:
        self.camera.drive_focus(steps)

    def _settle_at(self, place: LensPlace) -> None:
        self._place = place
        self._ledger.write(place)

    # -- limits and end ------------------------------------------------------------------------------------------------------------

    def _check_limits(self, goal: int) -> None:
        low, high = self.limits
        if not low <= goal <= high:
            raise _outside(f"{goal} st", low, high)

    def _check_open(self) -> None:
        if self._closed:
            raise RailDeviceError("the lens axis was closed", remedy="Open it again.", state="closed")

    def close(self) -> None:
        """Stop motion and release the camera; idempotent."""
        if self._closed:
            return
        self.stop()
        self._closed = True
        if self._owned:
            self.camera.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _whole(value: float) -> int:
    if not math.isfinite(value):
        raise RailUsageError(f"{value} is no position", remedy="Give a finite number of steps, for example 120st.")
    return round(value)


def _outside(what: str, low: float, high: float) -> RailLimitError:
    return RailLimitError(
        f"{what} lies outside the allowed range, {low:g} to {high:g} st",
        remedy="Give a position within the range, or set the origin elsewhere.",
        state="Nothing has moved.",
    )
