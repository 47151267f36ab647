"""The carriage behind a controller: motions that end on a step the ledger knows, and an origin that is looked after.

The origin is written into the controller (see `rail.mark`), and every doubt about it is settled by reading it again there.
"""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from rail.errors import RailProtocolError, RailRefusedError, RailResetError
from rail.grbl import encode
from rail.grbl.controls import Controls
from rail.grbl.identity import Rest
from rail.grbl.position import NO_ORIGIN, Ledger, StepGrid
from rail.grbl.protocol import Status
from rail.grbl.rates import Rates
from rail.mark import DIGITS, Mark, decode_mark, encode_mark

_log = logging.getLogger(__name__)

_PACE_LAG_S = 0.15  # from the line's answer to the motor's first step
_PACE = 0.5
_BRAKES = 1.1
_NAMES = 9000


class Carriage:
    """Moves along the step grid and keeps `ledger` true.

    Attributes
    ----------
    controller : Controls
    grid : StepGrid
    rates : Rates
    ledger : Ledger
    rising : bool or None
        Direction of the last motion, in positions; None where it is not known.
    stale : bool
        Something went wrong since the ledger was last read from the controller: nothing is believed until it was.
    seen_um : float or None
        Position of the last report in motion; None while the position is unknown.
    origin_name : int or None
        What tells this origin from one that was set before or after it (see `rail.mark`).
    """

    def __init__(self, controller: Controls, grid: StepGrid, rates: Rates) -> None:
        self.controller = controller
        self.grid = grid
        self.rates = rates
        self.ledger = Ledger(grid)
        self.rising: bool | None = None
        self.stale = False
        self._disowned = False
        self._beside: tuple[float, ...] | None = None  # where Y and Z stood at the last rest, mm
        self.seen_um: float | None = None
        self.origin_name: int | None = None
        self.rested_s: float | None = None
        self._moving_s = -math.inf  # when the last report was asked for that showed it on its way

    @property
    def known(self) -> bool:
        """True while the position is known and nothing speaks against it."""
        return self.ledger.known and not self.stale

    def learn(self) -> None:
        """Read position and origin from the controller, at rest; the ledger believes nothing else."""
        self.controller.link.doubtful = False
        offset = self.controller.offset()
        place = self.controller.machine(self.controller.rest_report())
        ledger, grid = self.ledger, self.grid
        ledger.read(place[0])
        self._beside = place[1:]
        mark = self._mark(place, offset)
        if mark is not None and self._disowned:
            mark = None
            with suppress(RailRefusedError):  # locked: as soon as it is not
                self.controller.forget_origin()
                self._disowned = False
        if mark is None:
            ledger.lose(NO_ORIGIN)
            return
        self._take_up_origin(place, offset, mark)
        if not grid.report_tells_steps:
            digits = mark.digits
            steps = None if digits is None else grid.steps_like(place[0], digits, DIGITS)
            if steps is None:
                ledger.blur()
            else:
                ledger.arrive(steps)

    def agree(self, status: Status) -> None:
        """Compare a report at rest with the ledger; on any difference read everything again.

        So a restart that nobody heard, or another program's doing, is found: the count or the mark is not what it was.
        """
        place = self.controller.machine(status)
        offset = self.controller.work_offset_seen()
        ledger = self.ledger
        self._beside = place[1:]
        moved = ledger.machine is None or (ledger.exact and not self.grid.fits(ledger.machine, place[0]))
        unmarked = ledger.known and offset is not None and self._mark(place, offset) is None
        if moved or unmarked or self.controller.link.doubtful:
            self.rising = None
            self.learn()
        else:
            ledger.read(place[0])

    def halt(self) -> Status:
        """Bring the carriage to rest, keep its count, and put back the origin that a reset after a hold takes away."""
        ledger = self.ledger
        try:
            rest = self.controller.halt(need_offset=True)
            if rest.was_moving:
                ledger.blur()
                self.rising = None
            if rest.reset:
                self.restore(rest)
            elif not ledger.exact:
                self.learn()
        except RailResetError:
            self.restarted()
            raise
        if rest.status.state == "Idle" and ledger.known and not ledger.exact:
            self.snap()
        return rest.status

    def restarted(self) -> None:
        """The controller restarted: no origin that stands in it is believed, as a line on its way may have marked one since."""
        self.ledger.lose("the controller restarted")
        self.stale = self._disowned = True

    def recover(self) -> None:
        """After an answer was lost: come to rest and read everything again from the controller."""
        self.stale = True
        self.halt()
        self.ledger.blur()
        self.learn()
        self.stale = False

    def restore(self, rest: Rest, *, scale: float = 1.0) -> None:
        """Write the origin again that a reset at rest has cleared; lose it where the count was lost, too.

        `scale` brings a `Rest` taken before the settings were read to mm.
        """
        ledger = self.ledger
        place = self.controller.machine(rest.status.in_millimetres(inches=scale != 1.0))
        ledger.blur()
        ledger.read(place[0])
        if not rest.kept:
            ledger.lose("the controller had to be stopped dead in motion, or had let go of its motor")
            return
        offset = None if rest.offset is None else tuple(value * scale for value in rest.offset)
        mark = None if offset is None or self._disowned else self._mark(place, offset)
        if mark is None or offset is None or rest.status.state != "Idle":
            ledger.lose(NO_ORIGIN)
            return
        # G92 counts from where the carriage stands, so that must be known to the step first; and until the whole origin is
        # written, no mark may stand there.
        ledger.lose("the origin is being restored")
        self.snap()
        self._take_up_origin(place, offset, mark)
        self._write_origin()

    def forget_origin(self) -> None:
        """Clear the mark in the controller, so that nobody believes the position if what follows is broken off."""
        self.controller.forget_origin()

    def set_origin(self, here_um: float, *, homed: bool) -> None:
        """Call the present place `here_um`, or less than a report's unit from it where the grid is finer: the origin is read
        again from a report. Here and in the controller; where that fails, what the controller has counts.
        """
        ledger = self.ledger
        if ledger.machine is None:
            self.learn()
        self._beside = None  # homing may have named their places anew
        self.origin_name = 100 * (
            1 + secrets.randbelow(_NAMES)
        )  # nothing that a restart forgets may tell which is next
        here = ledger.machine or 0
        ledger.set_origin(self.grid.tellable(here - self.grid.steps(here_um)), homed=homed)
        try:
            self._write_origin()
            self._disowned = False
        except BaseException:
            ledger.lose("the origin could not be written")
            self.stale = True
            raise

    def snap(self) -> None:
        """On a grid finer than the report: go to the step that the report names, less than a micrometre away.

        Only such a step can serve as origin, and be recognised after a motion was broken off.
        """
        if self.grid.report_tells_steps:
            return
        x = self.controller.machine(self.controller.rest_report())[0]
        canonical = self.grid.steps_at(x)
        if not (self.ledger.exact and self.ledger.machine == canonical):
            self.go(canonical)

    def go(
        self,
        goal: int,
        *,
        jog: bool = False,
        on_slice: Callable[[], None] = lambda: None,
        feed_mm_min: float | None = None,
        seen: Callable[[Status], None] | None = None,
    ) -> None:
        """One straight motion to a machine step, watched, and checked against the controller's count.

        Slower than usual where `feed_mm_min` says so; `seen` is called with every report on the way, and may raise.

        Raises
        ------
        RailProtocolError
            It left the way there, or ended elsewhere: a digit was damaged on the wire, or somebody interfered.
        """
        ledger, grid, controller = self.ledger, self.grid, self.controller
        start = goal if ledger.machine is None else ledger.machine
        in_digits = ledger.known and not grid.report_tells_steps
        if in_digits:  # the mark names a step only while the carriage rests there
            controller.set_offset(None, self._mark_mm(None))
        goal_mm = grid.machine_mm(goal)
        ledger.blur()
        act = controller.jog if jog else controller.run
        rates = self.rates if feed_mm_min is None else replace(self.rates, feed_mm_min=feed_mm_min)
        watch = self._corridor(start, goal, rates, seen)
        for _ in range(2):
            self._moving_s = begun_s = controller.link.now()
            act(goal_mm, rates.feed_mm_min, rates.limit_s(goal - start), watch=watch, on_slice=on_slice)
            ended_s = controller.link.now()
            # the end of a jog is only seen by the next poll: between that and the one before it is when a jog takes so long
            due_s = begun_s + rates.duration_s(goal - start) + rates.jerk_s
            self.rested_s = min(max(due_s, self._moving_s), ended_s) if jog else ended_s - encode.SYNC_TAKES_S
            place = controller.machine(controller.rest_report())
            # A damaged byte before the line can make a comment of it: acknowledged, and nothing has moved.
            if grid.fits(goal, place[0]) or not grid.fits(start, place[0]):
                break
        if jog and in_digits and grid.fits(goal, place[0]):
            # A jog that somebody else cancelled within its last step looks the same. This line ends nowhere else.
            watch = self._corridor(goal, goal, rates, seen)  # a damaged digit would send it anywhere
            controller.run(goal_mm, rates.feed_mm_min, rates.limit_s(0), watch=watch, on_slice=on_slice)
            place = controller.machine(controller.rest_report())
        if not grid.fits(goal, place[0]):
            raise RailProtocolError(
                f"The controller stands at {place[0]:.3f} mm of its own count instead of {goal_mm:.3f} mm.",
                remedy="A line was damaged on its way, or someone pressed a button: move again, and check the cable.",
                state="At rest.",
            )
        # Exact even where the start was not: the target was absolute.
        ledger.arrive(goal)
        if in_digits:
            controller.set_offset(None, self._mark_mm(goal))
        if goal != start:
            self.rising = grid.um(goal - start) > 0

    def _corridor(
        self, start: int, goal: int, rates: Rates, seen: Callable[[Status], None] | None
    ) -> Callable[[Status], None]:
        slack = max(0.02, 4 / self.grid.controller_steps_per_mm)
        low, high = sorted((self.grid.machine_mm(start), self.grid.machine_mm(goal)))
        origin, beside = self.ledger.origin, self._beside
        link, begun, late = self.controller.link, self.controller.link.now(), 0

        def keeps_pace(done: int) -> bool:
            """False for a carriage that is far behind: a digit of its feed rate was lost, or something holds it up."""
            if not math.isfinite(link.asked_s):
                return True
            due = min(rates.covered(link.asked_s - begun - _PACE_LAG_S), abs(goal - start))
            return (
                done
                >= _PACE * min(self.controller.feed_override, 1.0) * due - slack * self.grid.controller_steps_per_mm
            )

        def can_brake(left_mm: float) -> bool:
            """False for a carriage that goes on past its goal: a digit of that was damaged, and the line was taken."""
            speed = self.controller.speed_mm_min / 60
            return speed * speed / (2 * rates.acceleration_mm_s2) <= _BRAKES * left_mm + slack

        def watch(status: Status) -> None:
            nonlocal late
            if seen is not None:
                seen(status)
            if not status.at_rest and math.isfinite(link.asked_s):
                self._moving_s = max(self._moving_s, link.asked_s)
            place = self.controller.machine_seen(status)
            if place is None:
                return
            if origin is not None:
                self.seen_um = self.grid.um(self.grid.steps_at(place[0]) - origin)
            if not low - slack <= place[0] <= high + slack:
                raise RailProtocolError(
                    f"The carriage left its way: {place[0]:.3f} mm is not between {low:.3f} and {high:.3f} mm of its count.",
                    remedy="A line to the controller was damaged, or it restarted: check the cable, then move again.",
                    state="Being stopped.",
                )
            if beside is not None and any(abs(a - b) > slack for a, b in zip(place[1:], beside, strict=True)):
                raise RailProtocolError(
                    "The controller moves another axis than X.",
                    remedy="A letter of its line was damaged on the wire: move again, and check the cable if it happens often.",
                    state="Being stopped.",
                )
            if not can_brake(high - place[0] if goal > start else place[0] - low):
                raise RailProtocolError(
                    "The carriage is too fast to come to rest where it was told to.",
                    remedy="A digit of its target was damaged on the wire: move again, and check the cable.",
                    state="Being stopped.",
                )
            late = 0 if keeps_pace(abs(self.grid.steps_at(place[0]) - start)) else late + 1
            if late >= 2:
                raise RailProtocolError(
                    "The carriage goes much slower than it was told to.",
                    remedy="A digit of its speed was damaged on the wire, or something holds the controller up: move again; check "
                    "the cable if it happens often.",
                    state="Being stopped.",
                )

        return watch

    def _take_up_origin(self, place: tuple[float, ...], offset: tuple[float, ...], mark: Mark) -> None:
        self.ledger.set_origin(self.grid.steps_at(offset[0]), homed=mark.homed)
        self.origin_name = round((place[1] - offset[1]) * 100)

    def _mark(self, place: tuple[float, ...], offset: tuple[float, ...]) -> Mark | None:
        return decode_mark(place[2] - offset[2], self.grid.controller_steps_per_mm, self.grid.steps_at(offset[0]))

    def _mark_mm(self, machine: int | None) -> float:
        digits = None if machine is None else machine % DIGITS
        return encode_mark(Mark(self.ledger.homed, digits), self.grid.controller_steps_per_mm, self.ledger.origin or 0)

    def _write_origin(self) -> None:
        ledger = self.ledger
        if ledger.machine is not None and ledger.origin is not None:
            work_mm = self.grid.machine_mm(ledger.machine - ledger.origin)
            mark_mm = self._mark_mm(ledger.machine if ledger.exact else None)
            named = self.controller.set_offset(work_mm, mark_mm, (self.origin_name or 0) / 100)
            self.origin_name = round(named * 100)
