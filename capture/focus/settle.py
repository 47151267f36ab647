"""Settle time, seen through the camera: how long the picture shakes after a move, from live frames at known times after many moves.

Time counts from the motor's stop. The frames are asked for one by one, never faster than the camera gives them, so each is exposed
between its order and its arrival, and is taken as in the middle of that; a camera that hands out frames which it exposed before the order
makes the shake look longer, never shorter.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.camera.protocol import LiveFrame
from capture.errors import CameraError, FocusError
from capture.focus.bands import linear_gray
from capture.focus.region import Region
from capture.focus.settle_law import SETTLED_PX, SettleEstimate, conclude
from capture.focus.shift import ShiftMeter
from capture.focus.sweep import Say, silent
from rail.axis import Axis
from rail.errors import RailError, RailPositionUnknownError

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_REST_FRAMES = 6
# At rest a picture moves no less than this share of what it did before; so many times the longest shake later it shows its place of rest.
_NO_LESS, _RESTED = 0.8, 1.15
# So much of the value may moves differ by before more are made.
_SURE = 0.1
_LONGEST_S = 8.0
_FEWEST_MOVES, _MOST_MOVES = 6, 24
_ENOUGH_SHIFTS = 45
_REST_S = 0.12
_PATIENCE_S = 90.0
_FIRST_S = 0.06
_QUIET = 4.0
_LIVE_EXPOSURE_S = 1.0 / 30.0
_MOST_BROKEN = 5


@dataclass(frozen=True, slots=True)
class _Watched:
    times_s: F64
    shifts: F64
    move: NDArray[np.intp]


def measure_settle(
    axis: Axis,
    frames: Iterator[LiveFrame],
    live_scale: float,
    *,
    step: float,
    place: float | None = None,
    exposure_s: float | None = None,
    moves: int | None = None,
    region: Region | None = None,
    say: Say = silent,
    clock: Callable[[], float] = time.monotonic,
) -> SettleEstimate:
    """Move by a step to one place time and again, and watch the picture come to rest; the carriage ends there.

    Parameters
    ----------
    axis : Axis
        Its position is known. Where it has an attribute ``rested_s`` (`time.monotonic` of the motor's last stop), times count from
        there, else from the return of its `move_to`.
    frames : iterator of LiveFrame
        An open stream.
    live_scale : float
        Pixels of the still for one of the live frame.
    step : float
        The move that is watched, in the axis's unit; negative where the axis comes to its targets from above.
    place : float or None
        None: where it stands.
    exposure_s : float or None
        Of a live frame; None: a thirtieth of a second.
    moves : int or None
        So many, and six where these do not agree; None: as many as it takes.
    region : Region or None
    say : callable
    clock : callable

    Raises
    ------
    FocusError
        The picture has no texture to see a shake with, or never comes to rest.
    CaptureError, rail.errors.RailError
    """
    exposure = min(exposure_s or _LIVE_EXPOSURE_S, _LIVE_EXPOSURE_S)
    watch = _Watch(axis, frames, live_scale, step, place, region or Region(), exposure, clock)
    say("watching the picture at rest")
    watch.learn()
    say(f"one move of {step:g}, to see how long it shakes")
    watch.scout()
    say("the same move time and again, from one picture at rest to the next")
    found = watch.conclude(watch.gather(moves))
    if moves is not None and found.uncertainty_s > _SURE * found.value_s:
        found = watch.conclude(watch.gather(_FEWEST_MOVES))
    return found


def _refuse_endless(since_s: float, count: int) -> None:
    """Raise where `count` frames since a step have shown no rest for too long."""
    if since_s <= _LONGEST_S:
        return
    if count < 2 * _REST_FRAMES:
        raise FocusError(
            f"the live view is too slow to see a shake with: {count} frames in {since_s:.0f} s after a step",
            remedy="Shorten the exposure, end what else uses the computer or the camera's link, and try again; "
            "or choose a settle time by hand (--settle).",
            state="The carriage stands where it was; nothing was written.",
        )
    raise FocusError(
        f"the picture still moves {_LONGEST_S:g} s after a step",
        remedy="Put the rail on a firm table, keep hands, fans and the subject still, and try again.",
        state="The carriage stands where it was; nothing was written.",
    )


class _Watch:
    """Moves, and the shifts of the frames that follow."""

    def __init__(
        self,
        axis: Axis,
        frames: Iterator[LiveFrame],
        live_scale: float,
        step: float,
        place: float | None,
        region: Region,
        exposure_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._axis = axis
        position = axis.status().position
        if position is None:
            raise RailPositionUnknownError(
                "the position of the rail is unknown",
                remedy="Give --origin here to zero it where it stands, or --origin home to home it.",
            )
        self._place = position if place is None else place
        self._frames = frames
        self._scale = live_scale
        self._step = step
        self._region = region
        self._exposure_s = exposure_s
        self._clock = clock
        self._random = np.random.default_rng(1)
        self._meter: ShiftMeter | None = None
        self._asked_s = 0.0
        self.period_s = 0.0
        self.rest_px = 0.0
        self.frames = 0
        self._shaken_s = 0.0
        self._times: list[float] = []
        self._shifts: list[F64] = []
        self._number: list[int] = []

    def learn(self) -> None:
        """The camera's pace, and how much the picture at rest seems to move; the carriage stands before its move then.

        At rest it is when it moves no less than shortly before, or by less than what matters.
        """
        self._approach()
        begun = self._clock()
        before = math.inf
        while True:
            arrivals, grays = [], []
            for _ in range(_REST_FRAMES + 1):
                grays.append(self._look()[1])
                arrivals.append(self._clock())
            self._refer(grays[:1])
            shifts = np.array([self._shift(gray) for gray in grays[1:]])
            self.rest_px = float(np.sqrt(((shifts - shifts.mean(axis=0)) ** 2).sum(axis=1).mean()))
            quiet = _QUIET * self.rest_px < SETTLED_PX or self.rest_px > _NO_LESS * before
            if quiet or self._clock() - begun > _LONGEST_S:
                break
            before = self.rest_px
        self.period_s = max(float(np.median(np.diff(arrivals))), 1e-3)

    def scout(self) -> None:
        """The first move, from rest, watched until it rests again.

        Raises
        ------
        FocusError
            It does not.
        """
        limit = max(SETTLED_PX, _QUIET * self.rest_px)
        told_s, early = self._step_on()
        times: list[float] = []
        grays: list[F32] = []
        quiet, moved_s = 0, 0.0
        # frames may come as fast as it swings, and seem quiet: as long as it moved, it is watched on
        while quiet < _REST_FRAMES or times[-1] < 2 * moved_s + _REST_S:
            at_s, gray = early.pop(0) if early else self._paced()
            times.append(at_s - told_s)
            grays.append(gray)
            near = ShiftMeter(gray).shift(grays[-2]) * self._scale if len(grays) > 1 else np.array([np.inf, 0.0])
            quiet, moved_s = (quiet + 1, moved_s) if float(np.hypot(*near)) < limit else (0, times[-1])
            _refuse_endless(times[-1], len(times))
        self._refer(grays[-_REST_FRAMES // 2 :])
        shifts = [self._shift(gray) for gray in grays]
        self._shaken_s = max(
            (at for at, shift in zip(times, shifts, strict=True) if float(np.hypot(*shift)) > limit), default=0.0
        )
        self._times, self._shifts, self._number = times, shifts, [0] * len(times)

    def gather(self, moves: int | None) -> _Watched:
        """More moves to the one place, each watched for somewhat longer than it shakes, until enough shaken frames were seen."""
        times, shifts, number = self._times, self._shifts, self._number
        limit = max(SETTLED_PX, 3 * self.rest_px)
        shaken = sum(float(np.hypot(*shift)) > limit for shift in shifts)
        move = number[-1] + 1
        latest_s = self._clock() + _PATIENCE_S
        while move < (moves or _FEWEST_MOVES) or (
            moves is None and 0 < shaken < _ENOUGH_SHIFTS and move < _MOST_MOVES and self._clock() < latest_s
        ):
            begun = self._clock()
            self._approach()
            while self._clock() - begun < self._shaken_s + _REST_S:
                self._look()  # the move before must not be seen in this one
            told_s, early = self._step_on()
            while number[-1] != move or times[-1] < 1.3 * self._shaken_s + _REST_S:
                at_s, gray = early.pop(0) if early else self._paced()
                times.append(at_s - told_s)
                shifts.append(self._shift(gray))
                number.append(move)
                _refuse_endless(times[-1], number.count(move))
                if float(np.hypot(*shifts[-1])) > limit:
                    shaken += 1
                    self._shaken_s = max(self._shaken_s, times[-1])
            move += 1
        since_s, seen = np.array(times), np.array(shifts)
        # the reference may have been taken a little beside the place of rest
        rested = since_s >= min(_RESTED * self._shaken_s, float(since_s.max()))
        return _Watched(since_s, seen - np.median(seen[rested], axis=0), np.array(number, np.intp))

    def conclude(self, watched: _Watched) -> SettleEstimate:
        """What was seen until now says."""
        return conclude(watched.times_s, watched.shifts, watched.move, self._exposure_s, self.rest_px, self.frames)

    def _approach(self) -> None:
        self._axis.move_to(self._place - self._step)

    def _step_on(self) -> tuple[float, list[tuple[float, F32]]]:
        """The move itself; when the motor stopped, and the frames since then that were seen before the axis said so."""
        if not hasattr(self._axis, "rested_s"):
            self._axis.move_to(self._place)
            told_s = self._clock()
            # the first moments tell most, however slow the camera is
            self._pause(told_s + min(self.period_s, _FIRST_S) * float(self._random.uniform()))
            return told_s, []
        seen: list[tuple[float, F32]] = []
        with ThreadPoolExecutor(1) as mover:
            motion = mover.submit(self._axis.move_to, self._place)
            try:
                self._pause(self._clock() + self.period_s * float(self._random.uniform()))
                while not motion.done():
                    seen.append(self._paced())
                motion.result()
            except BaseException:
                with suppress(RailError):
                    self._axis.stop()
                raise
        rested_s = self._axis.rested_s
        told_s = self._clock() if rested_s is None else float(rested_s)
        return told_s, [frame for frame in seen if frame[0] >= told_s]

    def _paced(self) -> tuple[float, F32]:
        """A frame at a chance time, not before the camera has the next one."""
        self._pause(self._asked_s + self.period_s * float(self._random.uniform(1.05, 1.6)))
        return self._look()

    def _pause(self, until_s: float) -> None:
        left_s = until_s - self._clock()
        if left_s > 0:
            time.sleep(left_s)  # the times of the frames are what is chosen here

    def _look(self) -> tuple[float, F32]:
        for _ in range(_MOST_BROKEN):
            self._asked_s = self._clock()
            live = next(self._frames)
            spent_s = self._clock() - self._asked_s
            encoded = cv2.imdecode(np.frombuffer(live.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
            if encoded is not None:
                self.frames += 1
                begun_s = self._asked_s + max(0.5 * (spent_s - self._exposure_s), 0.0)
                return begun_s, np.ascontiguousarray(self._region.crop(linear_gray(np.asarray(encoded, np.uint8))))
        raise CameraError("the live frames cannot be read", remedy="Switch the camera off and on, and try again.")

    def _refer(self, grays: list[F32]) -> None:
        try:
            self._meter = ShiftMeter(np.asarray(np.mean(grays, axis=0), np.float32))
        except ValueError as error:
            raise FocusError(
                f"no shake can be seen here: {error}",
                remedy="Light the subject well, and jog until it is in focus.",
                state="Nothing was written.",
            ) from None

    def _shift(self, gray: F32) -> F64:
        assert self._meter is not None
        return self._meter.shift(gray) * self._scale
