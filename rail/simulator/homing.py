"""The homing cycle: seek the switches, back off, approach slowly, back off again."""

from __future__ import annotations

import math

from rail.simulator import realtime
from rail.simulator.core import Core, Task
from rail.simulator.planner import MoveRequest
from rail.simulator.single import single, to_steps
from rail.simulator.states import (
    ALARM_HOMING_APPROACH,
    ALARM_HOMING_DOOR,
    ALARM_HOMING_PULLOFF,
    ALARM_HOMING_RESET,
    Request,
)

_SEARCH = 1.5
_LOCATE = 5.0
_PASSES = 4  # seek, back off, locate, back off


def cycle(core: Core) -> Task[None]:
    """All homing cycles of this build, one behind the other. Only a reset or the door ends it early."""
    for axes in core.homing_cycles:
        yield from _home(core, axes)
    yield from realtime.execute(core)
    if core.abort:
        return
    core.sync_parser()
    core.planner.clear(core.counters())


def _home(core: Core, axes: tuple[int, ...]) -> Task[None]:
    if core.abort:
        return
    settings = core.eeprom.settings
    travel = _SEARCH * max(core.eeprom.axis(130, axis) for axis in axes)
    rate = settings[25]
    for index in range(_PASSES):
        approach = index % 2 == 0
        if index:
            travel = settings[27] * (_LOCATE if approach else 1.0)
            rate = settings[24] if approach else settings[25]
        target = list(core.machine_position())
        for axis in axes:
            core.stepper.counters[axis] = 0
            towards_low = core.eeprom.mask(23, axis) == approach
            target[axis] = -travel if towards_low else travel
        rate = single(rate * math.sqrt(len(axes)))
        request = MoveRequest(feed_mm_min=rate, fixed_feed=True)
        failed = yield from _move(core, axes, target, request, approach=approach)
        if failed:
            return
        core.stepper.stop(core.now)
        core.stepper.reset()
        yield settings[26] / 1000
    for axis in axes:
        steps_per_mm, pulloff = core.eeprom.axis(100, axis), settings[27]
        low = core.eeprom.mask(23, axis)
        place = -core.eeprom.axis(130, axis) + pulloff if low else -pulloff
        core.stepper.counters[axis] = to_steps(single(place * steps_per_mm))


def _move(
    core: Core, axes: tuple[int, ...], target: list[float], request: MoveRequest, *, approach: bool
) -> Task[bool]:
    """One pass; True where it failed and the alarm has been announced."""
    seeking = set(axes)
    made = core.planner.block(core.stepper.counters, target, request)
    core.stepper.locked = set(range(3)) - seeking
    if made is not None:
        core.stepper.own = made[0]
        core.stepper.ended = False
        core.stepper.prepare()
        core.wake_motors()
    else:
        core.requests |= Request.CYCLE_STOP  # a distance without a step is over at once
    while True:
        if approach:
            pressed = core.limits()
            seeking -= {axis for axis in seeking if pressed >> axis & 1}
            _lock(core, set(range(3)) - seeking)
        core.stepper.prepare()
        asked = core.requests
        if asked & (Request.DOOR | Request.RESET | Request.CYCLE_STOP):
            if _failure(core, axes, asked, approach=approach):
                core.reset_request()
                core.stepper.locked = set()
                yield from realtime.execute(core)
                return True
            core.requests &= ~Request.CYCLE_STOP
            break
        if not seeking:
            break
        yield None
    core.stepper.sync(core.now)
    core.stepper.locked = set()
    return False


def _lock(core: Core, axes: set[int]) -> None:
    if axes != core.stepper.locked:
        core.stepper.sync(core.now)
        core.stepper.locked = axes
        core.stepper.look_ahead()


def _failure(core: Core, axes: tuple[int, ...], asked: Request, *, approach: bool) -> bool:
    if Request.RESET in asked:
        core.raise_alarm(ALARM_HOMING_RESET)
    if Request.DOOR in asked:
        core.raise_alarm(ALARM_HOMING_DOOR)
    if not approach and any(core.limits() >> axis & 1 for axis in axes):
        core.raise_alarm(ALARM_HOMING_PULLOFF)
    if approach and Request.CYCLE_STOP in asked:
        core.raise_alarm(ALARM_HOMING_APPROACH)
    return bool(core.alarm)
