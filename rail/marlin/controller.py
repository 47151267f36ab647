"""What a Marlin board can be told, so that the same carriage moves on it.

Marlin has no real-time commands. An unfinished plan cannot be braked: M410 drops it with the motors at speed, and steps
are lost. So a motion is sent in pieces, never more of them ahead than the braking distance and some
milliseconds: what is not sent need not be cancelled, and the plan itself ends in a ramp. Nothing that blocks (M400)
is sent while the carriage is on its way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rail.errors import RailAlarmError, RailDeviceError, RailError, RailProtocolError, RailTimeoutError
from rail.grbl.encode import feed, millimetres
from rail.grbl.identity import Rest
from rail.grbl.link import LINE_S, POLL_S, Link
from rail.grbl.protocol import Reply, Status
from rail.grbl.reading import PRESSED
from rail.marlin import protocol
from rail.marlin.link import BUSY_S, MarlinLink
from rail.marlin.reading import BUSY_PLACE_S, MarlinReading

AHEAD_S = 0.08
"""So much more than the braking distance is sent ahead, seconds of travel: what a stop comes late."""

PIECES = 6
"""In so many pieces the way ahead is sent; Marlin's plan holds 16, on small boards 8."""

SHORTEST = 8
"""Steps. Marlin drops a move of fewer than 6 (MIN_STEPS_PER_SEGMENT)."""

_POLL_S = 0.03
_WATCHED_S = 0.6
_STILL_S = 0.6  # no step in so long a time: a piece of the way was lost
_DRAIN_S = 3.0
_REST_S = 15.0


class MarlinController(MarlinReading):
    """One Marlin board behind a link. Every method raises rail errors only."""

    hides_pull_off = True
    shows_inputs = False
    _strange = False  # busy with somebody else's command

    @classmethod
    def over(cls, link: Link, *, reset_on_open: bool, busy: bool = False) -> MarlinController:
        """Take over the port of a link that has heard Marlin; `busy` with what a program that is gone has begun."""
        marlin = MarlinLink(link)
        marlin.outstanding = 1  # whatever was asked so far
        controller = cls(marlin, reset_on_open=reset_on_open)
        controller._strange = busy
        return controller

    def run(
        self,
        machine_mm: float,
        feed_mm_min: float,
        limit_s: float,  # noqa: ARG002
        *,
        watch: Callable[[Status], None],
        on_slice: Callable[[], None],
    ) -> None:
        """Move in a straight line, and return once the motors have made the last step.

        As long as steps are counted it goes on; its deadline is a standstill of `_STILL_S`.
        """
        with self._marked():
            self._run(machine_mm, feed_mm_min, watch, on_slice)

    @contextmanager
    def _marked(self) -> Iterator[None]:
        """The origin's mark does not outlive an alarm: the next program would believe it. A halted board forgets by itself."""
        try:
            yield
        except RailAlarmError as error:
            if error.code != protocol.HALTED:
                with suppress(RailError):
                    self.forget_origin()
            raise

    def _run(
        self,
        machine_mm: float,
        feed_mm_min: float,
        watch: Callable[[Status], None],
        on_slice: Callable[[], None],
    ) -> None:
        goal = round(machine_mm * self._axes()[0])
        self._marlin.say("G90")
        shift = self._shift()
        start = self._place("G92").counts[0]
        self._ours = True
        reached = start
        if goal == start or abs(goal - start) >= SHORTEST:
            reached = self._send(start, goal, shift, feed_mm_min, watch, on_slice)
        if reached != goal and abs(goal - reached) < SHORTEST:
            # Too short for Marlin: from farther away it is long enough. The last motion has the direction that was asked for.
            away = reached - int(math.copysign(2 * SHORTEST, goal - reached))
            for leg in (away, goal):
                reached = self._send(reached, leg, shift, feed_mm_min, lambda _: None, on_slice)
        self._ours = False

    jog = run

    def command(self, line: str, limit_s: float = LINE_S) -> list[Reply]:
        """Send a line that starts no motion, at rest: M400 first, for outputs do not wait for the plan."""
        self._marlin.say("M400", limit_s)
        return list(self._marlin.say(line, limit_s))  # type: ignore[arg-type]

    @contextmanager
    def soft_limits_off(self) -> Iterator[None]:
        """M211, which lasts until it is said again or the board restarts; as it was afterwards, by whatever way that comes."""
        was_on = self._soft_limits
        if was_on:
            self._marlin.say("M211 S0")
        try:
            yield
        finally:
            if was_on and self.link.open and self.link.alarm != protocol.HALTED:
                self._marlin.say("M211 S1")

    def place_in_alarm(self) -> tuple[float, ...]:
        """Where the motors stand."""
        return self.machine(self.rest_report())

    def watch(self, seconds: float, *, on_slice: Callable[[], None]) -> None:
        """Let time pass at rest; a restart, an alarm or silence ends it."""
        end = self.link.now() + seconds
        with self._marked():
            while (left := end - self.link.now()) > 0:
                self._pause(min(left, POLL_S), on_slice)
                self.report(_WATCHED_S)

    def home(self, limit_s: float, *, on_slice: Callable[[], None]) -> list[str]:
        """Run G28 for X."""
        self._homing = True
        sign_s = min(limit_s, BUSY_S) if self._keeps_alive else limit_s
        try:
            self._marlin.say("G28 X", sign_s, longest_s=limit_s, on_slice=on_slice)
        except RailAlarmError as error:
            self._homing = False
            raise self._marlin.book.alarmed(error.code, doing="while homing") from error
        except RailDeviceError as error:
            self._homing = isinstance(error, RailTimeoutError)
            raise
        self._homing = False
        self._offset = None
        self.rest_report()
        return []

    def unlock(self) -> None:
        """M999 where it waits for that; a halted Marlin hears nothing."""
        link = self._marlin
        link.drain()
        if link.alarm == protocol.HALTED:
            raise link.book.alarmed(protocol.HALTED, doing="it cannot be unlocked")
        was, link.alarm = link.alarm, None
        if was == protocol.STOPPED:
            link.say("M999")
        if was is not None:
            self.forget_origin()
        link.drain()
        link.alarm = None
        self.rest_report()

    def hold(self) -> str:
        """Nothing more is sent: what was ends by itself within braking distance and `AHEAD_S`."""
        pressed = f" {PRESSED}" if self.outputs_on else ""
        return f"Nothing more is sent to it: what it has of the move ends within braking distance and {AHEAD_S:.2f} s of travel.{pressed}"

    def wake(self, rest: Rest) -> Rest:
        """Return `rest` as it is: Marlin hears lines whenever it rests."""
        return rest

    def halt(self, *, need_offset: bool) -> Rest:  # noqa: ARG002
        """Bring it to rest. What this program sent ends by itself; a longer plan of somebody else's is dropped, and steps with it."""
        link = self._marlin
        link.drain()
        if link.alarm == protocol.HALTED:
            raise link.book.alarmed(protocol.HALTED)
        if self._strange:
            self._strange = False
            return self._outlast()
        if self._homing:
            self._homing = False
            return self._drop()
        moving, self._ours = self._ours, False
        if link.outstanding:
            link.resynchronise()
        deadline = link.now() + _REST_S
        last: Status | None = None
        while link.now() < deadline:
            planned, now = self._place("M114", BUSY_PLACE_S), self._place("G92", BUSY_PLACE_S)
            status = self._status("Idle" if planned.counts == now.counts else "Run", now)
            if status.at_rest and last is not None and last.mpos == status.mpos:
                return Rest(status, was_moving=moving, offset=self._offset)
            if not status.at_rest:
                if not moving and abs(planned.counts[0] - now.counts[0]) > self._ahead(self._fastest()):
                    return self._drop()
                moving = True
            last = status
            self._pause(_POLL_S)
        raise RailTimeoutError(
            f"The controller did not come to rest within {_REST_S:.0f} s.",
            remedy="Switch off the motor's supply, then check the controller.",
            state="Probably still moving.",
        )

    def _outlast(self) -> Rest:
        """What a program that is gone has begun, most likely G28, comes to its own end: M410 in it makes Marlin kill itself."""
        self._marlin.resynchronise()
        self.forget_origin()
        return Rest(self.rest_report(), was_moving=True, reset=True, kept=False)

    def _drop(self) -> Rest:
        """M410: at once, with steps lost; the origin goes with them."""
        link = self._marlin
        # With its emergency parser Marlin hears it in the middle of anything, but not behind the ``?`` of a greeting.
        link.realtime(b"\nM410\n")
        link.outstanding += 1
        link.resynchronise()
        self.forget_origin()
        return Rest(self.rest_report(), was_moving=True, reset=True, kept=False)

    def _send(
        self,
        here: int,
        goal: int,
        shift: float,
        feed_mm_min: float,
        watch: Callable[[Status], None],
        on_slice: Callable[[], None],
    ) -> int:
        """Send the way from machine step `here` to `goal` piece by piece; where the motors then stand."""
        link, scale = self._marlin, self._axes()[0]
        ahead = self._ahead(feed_mm_min)
        piece = max(ahead // PIECES, SHORTEST)
        sent, at, moved_s = here, here, link.now()
        while True:
            on_slice()
            place = self._place("G92")
            watch(self._status("Run", place))
            if place.counts[0] != at:
                at, moved_s = place.counts[0], link.now()
            while sent != goal and abs(sent - at) < ahead:
                left = goal - sent
                step = left if abs(left) < 2 * piece else int(math.copysign(piece, left))
                sent += step
                link.say(f"G1 X{millimetres(sent / scale - shift)} F{feed(feed_mm_min)}")
                on_slice()
                moved_s = link.now()
            if sent == goal:
                if at == goal:
                    return goal
                if link.now() - moved_s > 2 * _POLL_S + 0.1:  # its first move waits 0.1 s for a second one
                    link.say("M400", _DRAIN_S)
                    return self._place("G92").counts[0]
            if link.now() - moved_s > _STILL_S:
                raise RailProtocolError(
                    "The controller has stopped moving in the middle of a move.",
                    remedy="Is another program talking to it? Then move again.",
                    state="Being stopped.",
                )
            self._pause(_POLL_S, on_slice)

    def _ahead(self, feed_mm_min: float) -> int:
        """Braking distance and some milliseconds, steps."""
        settings = self._settings
        speed = min(feed_mm_min, settings.get(110, feed_mm_min)) / 60
        braking = speed * speed / (2 * max(settings.get(120, 100.0), 0.01))
        return max(math.ceil((braking + AHEAD_S * speed) * self._axes()[0]), 2 * SHORTEST)

    def _fastest(self) -> float:
        return self._settings.get(110, 600.0)
