"""Motions of the main program: lines, arcs, dwells, probing, and the wait for the queue to run empty."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rail.simulator import realtime, reports
from rail.simulator.core import Core, Task
from rail.simulator.planner import MoveRequest
from rail.simulator.single import single, to_uint16
from rail.simulator.states import ALARM_PROBE_CONTACT, ALARM_PROBE_START, ALARM_SOFT_LIMIT, Request, State

Position = tuple[float, float, float]

_PLAN_S = 0.0005
_DWELL_STEP_S = 0.05
_FULL_TURN_EPSILON = 5e-7


def auto_start(core: Core) -> None:
    """Queued moves start by themselves."""
    if core.planner.blocks:
        core.requests |= Request.CYCLE_START


def synchronize(core: Core) -> Task[None]:
    """Wait until every queued move is done; a hold prolongs it."""
    auto_start(core)
    while True:
        yield from realtime.execute(core)
        if core.abort or not (core.planner.blocks or core.state is State.CYCLE):
            return
        if core.quiet():
            yield None


def outside_travel(core: Core, target: Sequence[float]) -> bool:
    """Beyond the soft limits: GRBL's space is [-maximum travel, 0]."""
    ends = (core.firmware.travel(core, axis) for axis in range(3))
    return any(not low <= mm <= high for mm, (low, high) in zip(target, ends, strict=True))


def line(core: Core, target: Position, request: MoveRequest) -> Task[None]:
    """Queue a straight move to machine position `target`, waiting for room."""
    if core.eeprom.flag(20) and core.state is not State.JOG and outside_travel(core, target):
        yield from _soft_limit(core)
    if core.state is State.CHECK:
        return
    while True:
        yield from realtime.execute(core)
        if core.abort:
            return
        if not core.planner.full:
            break
        auto_start(core)
        if core.quiet():
            yield None
    core.stepper.replan()
    core.planner.append(target, request)
    yield _PLAN_S


def _soft_limit(core: Core) -> Task[None]:
    core.soft_limit = True
    if core.is_in(State.CYCLE):
        core.requests |= Request.FEED_HOLD
        while True:
            yield from realtime.execute(core)
            if core.abort:
                return
            if core.is_in(State.IDLE):
                break
            if core.quiet():
                yield None
    core.reset_request()
    core.raise_alarm(ALARM_SOFT_LIMIT)
    yield from realtime.execute(core)


def dwell(core: Core, seconds: float) -> Task[None]:
    """Wait for the queue, then for `seconds` in steps of 50 ms."""
    if core.state is State.CHECK:
        return
    yield from synchronize(core)
    for _ in range(to_uint16(math.ceil(single(seconds * 20)))):
        if core.abort:
            return
        yield from realtime.execute(core)
        yield _DWELL_STEP_S


def jog(core: Core, target: Position, request: MoveRequest) -> Task[int]:
    """A jog; error 15 past a soft limit."""
    if core.eeprom.flag(20) and outside_travel(core, target):
        return 15
    yield from line(core, target, request)
    if core.state is State.IDLE and core.planner.blocks:
        core.state = State.JOG
        core.stepper.prepare()
        core.wake_motors()
        yield realtime.PREPARE_S
    return 0


def arc(
    core: Core,
    target: Position,
    request: MoveRequest,
    centre: tuple[float, float],
    plane: tuple[int, int, int],
    *,
    clockwise: bool,
) -> Task[None]:
    """An arc or helix, as short lines no farther than ``$12`` from it.

    Parameters
    ----------
    centre : tuple of float
        Centre relative to the present position, mm, in the plane's two axes.
    plane : tuple of int
        First and second axis of the plane, and the axis across it.
    """
    first, second, across = plane
    start = core.parser.position
    middle = (start[first] + centre[0], start[second] + centre[1])
    spoke = (-centre[0], -centre[1])
    end = (target[first] - middle[0], target[second] - middle[1])
    radius = math.hypot(*centre)
    angle = math.atan2(spoke[0] * end[1] - spoke[1] * end[0], spoke[0] * end[0] + spoke[1] * end[1])
    if clockwise and angle >= -_FULL_TURN_EPSILON:
        angle -= 2 * math.pi
    elif not clockwise and angle <= _FULL_TURN_EPSILON:
        angle += 2 * math.pi
    tolerance = core.eeprom.settings[12]
    sagitta = tolerance * (2 * radius - tolerance)
    count = to_uint16(abs(0.5 * angle * radius) / math.sqrt(sagitta)) if sagitta > 0 else 0
    if count and request.inverse_time:
        request = MoveRequest(
            request.feed_mm_min * count, fixed_feed=request.fixed_feed, spindle_rpm=request.spindle_rpm
        )
    for index in range(1, count):
        turned = angle * index / count
        point = list(start)
        point[first] = single(middle[0] + spoke[0] * math.cos(turned) - spoke[1] * math.sin(turned))
        point[second] = single(middle[1] + spoke[0] * math.sin(turned) + spoke[1] * math.cos(turned))
        point[across] = single(start[across] + (target[across] - start[across]) * index / count)
        yield from line(core, (point[0], point[1], point[2]), request)
        if core.abort:
            return
    yield from line(core, target, request)


def probe(core: Core, target: Position, request: MoveRequest, *, away: bool, quiet: bool) -> Task[str]:
    """Move until the probe input changes.

    Returns
    -------
    str
        Where the parser then is: ``"target"``, ``"system"`` (where the axes are) or ``"none"`` (where it was).
    """
    if core.state is State.CHECK:
        return "target"
    yield from synchronize(core)
    if core.abort:
        return "none"
    state = core.probe
    state.succeeded = state.found = False
    state.away = away
    if core.probe_triggered():
        core.raise_alarm(ALARM_PROBE_START)
        yield from realtime.execute(core)
        state.away = False
        return "none"
    yield from line(core, target, request)
    state.active = True
    core.requests |= Request.CYCLE_START
    while True:
        yield from realtime.execute(core)
        if core.aborted():
            return "none"
        if core.is_in(State.IDLE):
            break
        if core.quiet():
            yield None
    if core.probe.found:
        state.succeeded = True
    elif quiet:
        state.position = core.counters()
    else:
        core.raise_alarm(ALARM_PROBE_CONTACT)
    state.active = state.away = False
    yield from realtime.execute(core)
    yield core.go_idle()
    core.stepper.reset()
    core.planner.clear(core.counters())
    yield from core.send(reports.probe(core))
    return "system" if state.succeeded else "target"
