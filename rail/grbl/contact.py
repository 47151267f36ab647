"""Where the end switch closes, compared with where it should: how lost steps are found on controllers that do not tell.

Stock GRBL and its kin set their count when homing ends and say nothing of the way they went. So while the position still comes
from the switch, the carriage is first driven to where that switch must close. With hard limits on, the controller stops by
itself when it closes, and its count there is exact; without, the input is looked at between short moves. Marlin does not
tell how far it backs off after homing: there the switch is looked for before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rail.errors import RailAlarmError
from rail.grbl.carriage import Carriage
from rail.grbl.link import POLL_S
from rail.grbl.protocol import Status
from rail.profiles import RailProfile

NOTABLE_UM = 10.0
"""A good switch closes within so much of its place: what is less is told as a figure only."""

NOTABLE_STEPS = 3

HARD_LIMIT = 1
"""``ALARM:1``."""

_PAST_UM = 1000.0  # so far past its place it is looked for slowly
_FAR_UM = 5000.0  # and so far where the controller stops by itself
_STRIDE_UM = 100.0
_BLIND_UM = 3000.0  # farther than this from where homing ends no switch is looked for where its place is not told
_LEAVE_UM = 5000.0  # a switch that is still closed so far from where it closed is stuck
_TAKE_UP_UM = 300.0  # more than the play of any screw: the switch is always met on the way towards it


@dataclass(frozen=True, slots=True)
class SwitchPlace:
    """Where the switch should be, in machine steps.

    Attributes
    ----------
    home : int
        Where homing ends.
    toward : int
        +1 or -1: the way to the switch.
    contact : int or None
        Where it closes; None where the controller does not tell how far it backs off.
    bounded : bool
        Soft limits forbid to go past `home`.
    """

    home: int
    toward: int
    contact: int | None
    bounded: bool


@dataclass(frozen=True, slots=True)
class Contact:
    """Where the switch closed, in machine steps.

    Attributes
    ----------
    step : int
    past : bool
        It had not closed there yet, and was not looked for farther on.
    already : bool
        It was closed there before anything moved: where it closes is not known.
    """

    step: int
    past: bool = False
    already: bool = False


class _SwitchClosedError(Exception):
    """It closed in the middle of a move."""


def place_of(carriage: Carriage, profile: RailProfile, settings: Mapping[int, float]) -> SwitchPlace | None:
    """Where the switch should be; None where the position does not come from it."""
    ledger = carriage.ledger
    if not carriage.known or not ledger.homed or not settings.get(22, 0):
        return None
    home = ledger.target(profile.home_position_um)
    toward = -1 if int(settings.get(23, 0)) & 1 else 1
    contact = None
    if 27 in settings and not carriage.controller.hides_pull_off:
        contact = home + toward * round(settings[27] * carriage.grid.controller_steps_per_mm)
    return SwitchPlace(home, toward, contact, bounded=bool(settings.get(20, 0)))


def notable_steps(step_um: float) -> float:
    """A shift of more steps than this is no switch's scatter."""
    return max(NOTABLE_STEPS, NOTABLE_UM / step_um)


class SwitchSearch:
    """Finds the place where the switch closes, coming from its open side.

    Parameters
    ----------
    carriage : Carriage
        Its position known, at rest.
    place : SwitchPlace
    settings : mapping of int to float
        The controller's.
    on_slice : callable
        Called while waiting; may raise.
    """

    def __init__(
        self, carriage: Carriage, place: SwitchPlace, settings: Mapping[int, float], on_slice: Callable[[], None]
    ) -> None:
        self._carriage = carriage
        self._place = place
        self._on_slice = on_slice
        self._stops = bool(settings.get(21, 0))
        self._slow = min(max(settings.get(24, 25.0), 0.1), carriage.rates.feed_mm_min)
        self._fast = min(max(settings.get(25, 500.0), 0.1), carriage.rates.feed_mm_min)
        self._um = abs(carriage.grid.um(1))
        self._travel = self._steps((settings[130] - 2 * settings.get(27, 0.0)) * 1000) if settings.get(130, 0) else None
        self._open_at = place.home
        self._near = max(round(notable_steps(self._um) / 2), 1)

    def find(self) -> Contact | None:
        """Where it closes; None where nothing can be said. With hard limits on, the controller is left locked at the contact.

        Raises
        ------
        rail.errors.RailError
            As a move does.
        """
        if self._stops:
            return self._by_alarm()
        found = self._by_looking()
        # Off the switch again: a homing that begins too far on it does not get free of it with its pull-off.
        off = self._open_at - self._place.toward * self._steps(_TAKE_UP_UM)
        self._carriage.go(
            min(off * self._place.toward, self._place.home * self._place.toward) * self._place.toward,
            on_slice=self._on_slice,
        )
        return found

    def _steps(self, um: float) -> int:
        return max(round(um / self._um), 1)

    def _end(self) -> int:
        """The farthest step to look at."""
        place = self._place
        if place.bounded:
            return place.home
        past = _FAR_UM if self._stops else _PAST_UM
        if place.contact is None:
            return place.home + place.toward * self._steps(_BLIND_UM)
        return place.contact + place.toward * self._steps(past)

    # The controller stops by itself -------------------------------------------------------------------------------

    def _by_alarm(self) -> Contact | None:
        place, carriage = self._place, self._carriage
        end = self._end()
        slowly = end
        if place.contact is not None and not place.bounded:
            slowly = place.contact + place.toward * self._steps(_PAST_UM)
        here = carriage.ledger.machine
        assert here is not None
        if self._closed():  # a hard limit is a change of the input: there would be none on the way into the end
            early = place.contact is not None and (place.contact - here) * place.toward > self._near
            return Contact(here, already=True) if early else None
        try:
            carriage.go(place.home, on_slice=self._on_slice)
            carriage.go(slowly, feed_mm_min=self._slow, on_slice=self._on_slice)
            carriage.go(end, feed_mm_min=self._fast, on_slice=self._on_slice)
        except RailAlarmError as error:
            if error.code != HARD_LIMIT:
                raise
            place_mm = carriage.controller.place_in_alarm()[0]
            return Contact(carriage.grid.steps_at(place_mm))
        return None if place.bounded else Contact(end, past=True)

    # Looking at the input -----------------------------------------------------------------------------------------

    def _by_looking(self) -> Contact | None:
        place, carriage = self._place, self._carriage
        closed_at: int | None = None
        if not self._closed():  # else it is on it already: not a step nearer to the end behind it
            try:
                # No faster than homing would meet it: it is seen a fifth of a second late.
                carriage.go(place.home, feed_mm_min=self._fast, on_slice=self._on_slice, seen=self._look_out())
            except _SwitchClosedError:
                carriage.halt()
        here = carriage.ledger.machine
        assert here is not None
        if self._closed():
            closed_at = here
            if not self._leave(here):
                return None
        else:
            self._open_at = here
            for look in self._looks():
                carriage.go(look, feed_mm_min=self._fast, on_slice=self._on_slice)
                if self._closed():
                    closed_at = look
                    break
                self._open_at = look
        if closed_at is None:
            return None if place.bounded else Contact(self._open_at, past=True)
        if place.contact is not None and all(
            abs(at - place.contact) <= self._near for at in (self._open_at, closed_at)
        ):
            return Contact(place.contact)
        while abs(closed_at - self._open_at) > max(self._near // 2, 1):
            middle = (closed_at + self._open_at) // 2
            self._approach(middle)
            if self._closed():
                closed_at = middle
            else:
                self._open_at = middle
        return Contact(closed_at)

    def _closed(self) -> bool:
        return self._carriage.controller.switch_closed()

    def _look_out(self) -> Callable[[Status], None]:
        """Ends a motion in which the switch closes: by the reports, or asked for where those do not show inputs."""
        link = self._carriage.controller.link
        next_s = link.now()

        def seen(status: Status) -> None:
            nonlocal next_s
            if "X" in status.pins:
                raise _SwitchClosedError
            if not self._carriage.controller.shows_inputs and link.now() >= next_s:
                if self._closed():
                    raise _SwitchClosedError
                next_s = link.now() + POLL_S

        return seen

    def _looks(self) -> list[int]:
        """Places to look at on the way from `home`: right before and behind the place of the switch, then stride by stride."""
        place, end = self._place, self._end()
        first = place.home
        looks: list[int] = []
        if place.contact is not None and not place.bounded:
            looks = [place.contact - place.toward * self._near, place.contact + place.toward * self._near]
            first = looks[-1]
        stride = self._steps(_STRIDE_UM)
        return looks + [first + place.toward * way for way in range(stride, abs(end - first) + 1, stride)]

    def _approach(self, step: int) -> None:
        """Go there on the way towards the switch, its play taken up."""
        self._carriage.go(step - self._place.toward * self._steps(_TAKE_UP_UM), on_slice=self._on_slice)
        self._carriage.go(step, feed_mm_min=self._fast, on_slice=self._on_slice)

    def _leave(self, here: int) -> bool:
        """From a closed switch away until it is open; not for ever, and not past the other end: it may be stuck."""
        far = self._steps(_LEAVE_UM)
        if self._travel is not None:
            far = min(far, self._travel - abs(self._place.home - here) - self._steps(_TAKE_UP_UM))
        stride = self._steps(_TAKE_UP_UM)
        for way in range(stride, far + 1, stride):
            self._open_at = here - self._place.toward * way
            self._carriage.go(self._open_at, feed_mm_min=self._fast, on_slice=self._on_slice)
            if not self._closed():
                return True
        return False
