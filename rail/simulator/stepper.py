"""Step generation: moves cut into short segments of constant speed, and the pulses they give to the axes.

As in GRBL, the main program prepares a few segments of 10 ms ahead of the timer interrupt that plays them. So a hold
takes effect some 50 ms late, the reported speed runs ahead of the motion, and a main program that is kept busy for
too long lets the motion run dry.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from rail.simulator.planner import Block, Overrides, Planner
from rail.simulator.ramp import Ramp, braking, trapezoid
from rail.simulator.slide import Slide

SEGMENTS = 5
SEGMENT_S = 0.01
SLOWEST_STEP_S = 0xFFFF * 8 / 16e6
"""The step timer cannot go slower."""

_LEAST_STEPS = 1.25
_NOISE = 1e-7  # steps; floating point leaves whole numbers a little off


@dataclass(slots=True)
class Trace:
    """A block's steps as the timer draws them: a line in integers (Bresenham), `done` of `events`."""

    steps: tuple[int, int, int]
    signs: tuple[int, int, int]
    events: int
    done: int = 0

    def steps_at(self, event: int, axis: int) -> int:
        """Signed steps of `axis` after `event` events of this block."""
        return self.signs[axis] * ((self.events + 2 * event * self.steps[axis] - 1) // (2 * self.events))


@dataclass(slots=True)
class Segment:
    """`events` step events of one trace, `interval_s` apart."""

    trace: Trace
    events: int
    interval_s: float
    pause_s: float = 0.0


class Stepper:
    """Segments, the timer that plays them, and the position counters.

    Parameters
    ----------
    planner : Planner
    overrides : Overrides
    slides : three of Slide
        What the pulses move.

    Attributes
    ----------
    counters : list of int
        The controller's own idea of where it is, steps.
    holding : bool
        Brake now, whatever the plan says.
    ended : bool
        No further segment is made: a hold is complete, or a motion of its own (homing) is.
    own : Block or None
        A motion outside the queue.
    locked : set of int
        Axes that get no pulses though they are counted (homing).
    """

    def __init__(self, planner: Planner, overrides: Overrides, slides: tuple[Slide, Slide, Slide]) -> None:
        self._planner = planner
        self._overrides = overrides
        self.slides = slides
        self.counters = [0, 0, 0]
        self.last_motion_s = -math.inf
        self.locked: set[int] = set()
        self.reset()

    def reset(self) -> None:
        """Forget segments and half-done blocks; the counters stay."""
        self.running = False
        self.holding = False
        self.ended = False
        self.own: Block | None = None
        self.speed = 0.0
        self._segments: deque[Segment] = deque()
        self._current: Segment | None = None
        self._started_s = 0.0
        self._played = 0
        self._pin_event: int | None = None
        self._block: Block | None = None
        self._trace: Trace | None = None
        self._ramp: Ramp | None = None
        self._ramp_s = 0.0
        self._ramp_from_mm = 0.0
        self._steps_left = 0.0
        self._carry_s = 0.0
        self._braking_on = False

    # Preparing segments -----------------------------------------------------------------------------------------

    def replan(self) -> None:
        """The plan is about to change, or has: the block in hand goes on from its present speed."""
        if self._block is not None:
            self._block.entry_speed = self.speed
            self._ramp = None

    def settle(self) -> None:
        """A hold is complete: the block in hand will start from rest."""
        self.speed = 0.0
        self.replan()

    def prepare(self) -> None:
        """Fill the segment buffer."""
        while not self.ended and len(self._segments) + (self._current is not None) < SEGMENTS:
            if self._block is None and not self._load():
                return
            if not self._segment():
                return

    def _load(self) -> bool:
        block = self.own or (self._planner.blocks[0] if self._planner.blocks else None)
        if block is None:
            return False
        self._block = block
        self._trace = Trace(block.steps, block.signs, block.events)
        self._steps_left = float(block.events)
        self._carry_s = 0.0
        self._ramp = None
        if self.holding or self._braking_on:
            block.entry_speed = self.speed  # still braking from the block before
            self._braking_on = False
        return True

    def _profile(self, block: Block) -> Ramp:
        self._ramp_s = 0.0
        self._ramp_from_mm = block.length_mm
        if self.holding:
            return braking(block.entry_speed, block.length_mm, block.acceleration)
        leave = 0.0 if self.own else self._planner.exit_speed()
        nominal = block.nominal_speed(self._overrides)
        ramp = trapezoid(block.entry_speed, nominal, leave, block.length_mm, block.acceleration)
        self._braking_on = ramp.exit_speed > leave + 1e-9
        return ramp

    def _segment(self) -> bool:
        block, trace = self._block, self._trace
        assert block is not None
        assert trace is not None
        if self._ramp is None:
            self._ramp = self._profile(block)
        ramp = self._ramp
        covered, _ = ramp.at(self._ramp_s)
        needed = ramp.time(covered + _LEAST_STEPS / block.steps_per_mm)
        slots = max(math.ceil((needed - self._ramp_s) / SEGMENT_S - 1e-9), 1)
        until = min(self._ramp_s + slots * SEGMENT_S, ramp.duration_s)
        span = until - self._ramp_s
        over = until >= ramp.duration_s
        distance, speed = ramp.at(until)
        left_mm = 0.0 if over and ramp.length_mm >= self._ramp_from_mm else max(self._ramp_from_mm - distance, 0.0)
        left_exact = left_mm * block.steps_per_mm
        left = math.ceil(left_exact - _NOISE)
        before = math.ceil(self._steps_left - _NOISE)
        events = before - left
        self.speed = speed
        if events <= 0 and self.holding:
            self.ended = True
            return False
        progress = before - left_exact
        pace = (span + self._carry_s) / progress if progress > 0 else 0.0
        self._carry_s = max(left - left_exact, 0.0) * pace
        self._segments.append(Segment(trace, max(events, 0), min(pace, SLOWEST_STEP_S), span if events <= 0 else 0.0))
        self._ramp_s = until
        self._steps_left = float(left)
        block.length_mm = left_mm
        if over:
            if left_mm > 0:
                self.ended = True  # braked to rest inside the block
                return False
            self._block = self._trace = self._ramp = None
            if self.own:
                self.ended = True
                return False
            self._planner.blocks.pop(0)
        return True

    # Playing them -----------------------------------------------------------------------------------------------

    def wake(self, now_s: float) -> None:
        """Start the timer: motors on, first segment."""
        for slide in self.slides:
            slide.energise()
        if not self.running:
            self.running = True
            self._next(now_s)

    def stop(self, now_s: float) -> None:
        """Stop the timer at once, wherever the motors are."""
        self.sync(now_s)
        self.running = False

    def next_event_s(self) -> float:
        """When the timer has something to say: a segment ends, or a switch changes inside it."""
        if not self.running:
            return math.inf
        if self._current is None:
            return self._started_s
        if self._pin_event is not None and self._played < self._pin_event:
            return self._started_s + self._pin_event * self._current.interval_s
        return self._started_s + self._current.pause_s + self._current.events * self._current.interval_s

    def handle(self, now_s: float) -> bool:
        """Do what is due at `now_s`; True where the motion has run out of segments."""
        if not self.running or self.next_event_s() > now_s:
            return False
        self.sync(now_s)
        current = self._current
        if current is not None and self._played < current.events:
            return False  # a switch changed inside the segment
        end = self._started_s
        if current is not None:
            end += current.pause_s + current.events * current.interval_s
            current.trace.done += current.events
        self._current = None
        return self._next(end)

    def _next(self, now_s: float) -> bool:
        self._started_s = now_s
        self._played = 0
        if not self._segments:
            self.running = False
            return True
        self._current = self._segments.popleft()
        self.look_ahead()
        return False

    def look_ahead(self) -> None:
        """Find out at which event of the segment a switch will change."""
        self._pin_event = None
        current = self._current
        if current is None:
            return
        for axis, slide in enumerate(self.slides):
            if axis in self.locked or not current.trace.steps[axis]:
                continue
            if slide.stuck is not None or slide.spec.switch_um is None:
                continue
            before = slide.pressed()
            if slide.pressed(slide.preview(self._steps_between(self._played, current.events, axis))) == before:
                continue
            low, high = self._played, current.events
            while high - low > 1:
                middle = (low + high) // 2
                if slide.pressed(slide.preview(self._steps_between(self._played, middle, axis))) == before:
                    low = middle
                else:
                    high = middle
            self._pin_event = high if self._pin_event is None else min(high, self._pin_event)

    def _steps_between(self, first: int, last: int, axis: int) -> int:
        assert self._current is not None
        trace = self._current.trace
        return trace.steps_at(trace.done + last, axis) - trace.steps_at(trace.done + first, axis)

    def sync(self, now_s: float) -> None:
        """Bring counters and slides to `now_s`."""
        current = self._current
        if current is None or not self.running:
            return
        due = current.events
        if current.interval_s > 0:
            due = min(int((now_s - self._started_s) / current.interval_s + 1e-4), current.events)
        if due <= self._played:
            return
        before = self.slides[0].carriage_um
        for axis, slide in enumerate(self.slides):
            steps = self._steps_between(self._played, due, axis)
            self.counters[axis] += steps
            if axis not in self.locked:
                slide.move(steps)
        self._played = due
        if self.slides[0].carriage_um != before:
            self.last_motion_s = self._started_s + due * current.interval_s
        if self._pin_event is not None and due >= self._pin_event:
            self.look_ahead()

    def carriage_moving(self) -> bool:
        """Does the present segment move the carriage of X?"""
        current = self._current
        if not self.running or current is None or 0 in self.locked:
            return False
        slide = self.slides[0]
        if self.last_motion_s >= self._started_s > -math.inf and self._played < current.events:
            return True
        return slide.preview(self._steps_between(self._played, current.events, 0)).carriage_um != slide.carriage_um
