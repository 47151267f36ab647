"""The real-time executor: alarms, status, holds, resumes, overrides - and the suspensions they lead to."""

from __future__ import annotations

from rail.simulator import reports
from rail.simulator.core import Core, Task
from rail.simulator.states import ALARM_HARD_LIMIT, ALARM_SOFT_LIMIT, Request, SpindleStop, State, Suspend

_ALARM_S = 0.5
_STATUS_FIRST_BYTE_S = 0.0004
_STATUS_S = 0.001
_DOOR_SPINDLE_S, _DOOR_COOLANT_S = 4.0, 1.0
_DELAY_STEP_S = 0.05
PREPARE_S = 0.0018
"""Time that it takes to fill the segment buffer."""

_HOLDS = Request.CANCEL | Request.FEED_HOLD | Request.DOOR | Request.SLEEP
_PREPARING = (State.CYCLE, State.HOLD, State.DOOR, State.HOMING, State.SLEEP, State.JOG)


def execute(core: Core) -> Task[None]:
    """One check point of the main program; stays here while suspended."""
    yield from execute_requests(core)
    if core.suspend:
        yield from _suspended(core)


def execute_requests(core: Core) -> Task[None]:
    """Do what interrupts have asked for."""
    if core.alarm and core.firmware.announces_alarms:
        yield from _announce_alarm(core)
    asked = core.requests
    if asked:
        if Request.RESET in asked:
            core.abort = True
            return
        if Request.STATUS in asked:
            yield _STATUS_FIRST_BYTE_S
            yield from core.send(reports.status(core))
            yield _STATUS_S
            core.requests &= ~Request.STATUS  # a second '?' before this moment is the same one
        if asked & _HOLDS:
            yield from _hold(core, asked)
            core.requests &= ~_HOLDS
        if Request.CYCLE_START in asked:
            if not asked & (Request.FEED_HOLD | Request.CANCEL | Request.DOOR):
                yield from _cycle_start(core)
            core.requests &= ~Request.CYCLE_START
        if Request.CYCLE_STOP in asked:
            yield from _cycle_stop(core)
            core.requests &= ~Request.CYCLE_STOP
    if core.override_bytes:
        _motion_overrides(core)
    if core.accessory_bytes:
        _accessory_overrides(core)
    if core.state in _PREPARING:
        core.stepper.prepare()


def _announce_alarm(core: Core) -> Task[None]:
    core.state = State.ALARM
    code = core.alarm
    yield from core.send(f"ALARM:{code}\r\n")
    yield _ALARM_S
    if code in (ALARM_HARD_LIMIT, ALARM_SOFT_LIMIT):
        yield from core.send(reports.MESSAGE_RESET)
        core.requests &= ~Request.RESET
        while Request.RESET not in core.requests:  # nothing is read or reported until then
            yield None
    core.alarm = 0


def _hold(core: Core, asked: Request) -> Task[None]:
    if core.state not in (State.ALARM, State.CHECK):
        if core.state in (State.CYCLE, State.JOG) and not core.suspend & (Suspend.MOTION_CANCEL | Suspend.JOG_CANCEL):
            core.stepper.replan()
            core.stepper.holding = True
            core.stepper.ended = False
            if core.state is State.JOG and Request.SLEEP not in asked:
                core.suspend |= Suspend.JOG_CANCEL
        if core.state is State.IDLE:
            core.suspend = Suspend.HOLD_COMPLETE
        if Request.CANCEL in asked and core.state is not State.JOG:
            core.suspend |= Suspend.MOTION_CANCEL
        if Request.FEED_HOLD in asked and core.state not in (State.DOOR, State.JOG, State.SLEEP):
            core.state = State.HOLD
        if Request.DOOR in asked:
            yield from core.send(reports.MESSAGE_DOOR)
            if Suspend.JOG_CANCEL not in core.suspend:
                if core.state is State.DOOR and Suspend.RESTORING in core.suspend:
                    core.suspend &= ~(Suspend.RETRACTED | Suspend.RESTORING | Suspend.RESTORED)
                if core.state is not State.SLEEP:
                    core.state = State.DOOR
            core.suspend |= Suspend.DOOR_AJAR
    if Request.SLEEP in asked:
        if core.state is State.ALARM:
            core.suspend |= Suspend.RETRACTED | Suspend.HOLD_COMPLETE
        core.state = State.SLEEP


def _cycle_start(core: Core) -> Task[None]:
    if core.state is State.DOOR and Suspend.DOOR_AJAR not in core.suspend:
        if Suspend.RESTORED in core.suspend:
            core.state = State.IDLE
        elif Suspend.RETRACTED in core.suspend:
            core.suspend |= Suspend.RESTORING
    held = core.state is State.HOLD and Suspend.HOLD_COMPLETE in core.suspend
    if core.state is not State.IDLE and not held:
        return
    if core.state is State.HOLD and core.spindle_stop is not SpindleStop.OFF:
        core.spindle_stop = SpindleStop.RESTORE_AND_RUN
        return
    core.stepper.holding = core.stepper.ended = False
    runs = bool(core.planner.blocks) and Suspend.MOTION_CANCEL not in core.suspend
    core.suspend = Suspend.NONE
    core.state = State.CYCLE if runs else State.IDLE
    if runs:
        core.stepper.prepare()
        core.wake_motors()
        yield PREPARE_S


def _cycle_stop(core: Core) -> Task[None]:
    cancelled = Suspend.JOG_CANCEL in core.suspend
    if core.state in (State.HOLD, State.DOOR, State.SLEEP) and not core.soft_limit and not cancelled:
        core.stepper.settle()
        core.planner.recalculate()
        if core.stepper.holding:
            core.suspend |= Suspend.HOLD_COMPLETE
        core.stepper.holding = False
        return
    if cancelled:
        yield core.go_idle()
        core.stepper.reset()
        core.planner.clear(core.counters())
        core.sync_parser()
    if Suspend.DOOR_AJAR in core.suspend:
        core.suspend &= ~Suspend.JOG_CANCEL
        core.suspend |= Suspend.HOLD_COMPLETE
        core.state = State.DOOR
    else:
        core.suspend = Suspend.NONE
        core.state = State.IDLE


def _stepped(value: int, bytes_in: list[int], first: int, most: int, *, least: int) -> int:
    """Apply reset, +10, -10, +1, -1 (bytes `first` to `first` + 4) to a percentage kept in one byte."""
    if first in bytes_in:
        value = 100
    for byte, change in zip(range(first + 1, first + 5), (10, -10, 1, -1), strict=True):
        if byte in bytes_in:
            value = (value + change) & 0xFF
    return max(min(value, most), least)


def _motion_overrides(core: Core) -> None:
    taken, core.override_bytes = core.override_bytes, []
    feed = _stepped(core.overrides.feed, taken, 0x90, 200, least=10)
    rapid = core.overrides.rapid
    for byte, percent in ((0x95, 100), (0x96, 50), (0x97, 25)):
        if byte in taken:
            rapid = percent
    if (feed, rapid) != (core.overrides.feed, core.overrides.rapid):
        core.overrides.feed, core.overrides.rapid = feed, rapid
        core.report_ov_in = 0
        core.stepper.replan()
        core.planner.apply_overrides()


def _accessory_overrides(core: Core) -> None:
    taken, core.accessory_bytes = core.accessory_bytes, []
    spindle = _stepped(core.overrides.spindle, taken, 0x99, 200, least=10)
    modal = core.parser.modal
    if spindle != core.overrides.spindle:
        core.overrides.spindle = spindle
        if core.state is State.IDLE or modal.spindle != 5:
            core.set_spindle(modal.spindle, core.parser.rpm)
        core.report_ov_in = 0
    if 0x9E in taken and core.state is State.HOLD:
        if core.spindle_stop is SpindleStop.OFF:
            core.spindle_stop = SpindleStop.STARTING
        elif core.spindle_stop is SpindleStop.STOPPED:
            core.spindle_stop = SpindleStop.RESTORE
    if 0xA0 in taken and core.state in (State.IDLE, State.CYCLE, State.HOLD, State.JOG):
        modal.flood = not modal.flood
        core.set_flood(on=modal.flood)


def _suspended(core: Core) -> Task[None]:
    """Stay until resumed, cancelled or reset."""
    first = core.planner.blocks[0].request.spindle_rpm if core.planner.blocks else core.parser.rpm
    restore = (core.parser.modal.spindle, first, core.parser.modal.flood)
    while core.suspend and not core.abort:
        before = (core.suspend, core.state, core.spindle_stop)
        if Suspend.HOLD_COMPLETE in core.suspend:
            if core.state in (State.DOOR, State.SLEEP):
                yield from _retracted(core, restore)
            elif core.spindle_stop is not SpindleStop.OFF:
                yield from _spindle_stop(core, restore)
        yield from execute_requests(core)
        if not core.abort and before == (core.suspend, core.state, core.spindle_stop) and not _pending(core):
            yield None


def _pending(core: Core) -> bool:
    return bool(core.requests or core.alarm or core.override_bytes or core.accessory_bytes)


def _retracted(core: Core, restore: tuple[int, float, bool]) -> Task[None]:
    """Safety door and sleep: outputs off; then wait for the resume, or sleep until a reset."""
    if Suspend.RETRACTED not in core.suspend:
        core.spindle_stop = SpindleStop.OFF
        core.set_spindle(5, 0.0)
        core.set_flood(on=False)
        core.suspend |= Suspend.RETRACTED
        return
    if core.state is State.SLEEP:
        yield from core.send(reports.MESSAGE_SLEEP)
        core.set_spindle(5, 0.0)
        core.set_flood(on=False)
        yield core.go_idle()
        while not core.abort:
            yield from execute_requests(core)
            if not core.abort and not _pending(core):
                yield None
        return
    core.suspend &= ~Suspend.DOOR_AJAR  # the build has no door switch: it counts as closed
    if Suspend.RESTORING in core.suspend:
        spindle, rpm, flood = restore
        if core.parser.modal.spindle != 5:
            core.set_spindle(spindle, rpm)
            yield from _delay(core, _DOOR_SPINDLE_S)
        if core.parser.modal.flood and not core.abort:
            core.set_flood(on=flood)
            yield from _delay(core, _DOOR_COOLANT_S)
        if Suspend.RESTORING in core.suspend:
            core.suspend |= Suspend.RESTORED
            core.requests |= Request.CYCLE_START


def _delay(core: Core, seconds: float) -> Task[None]:
    for _ in range(round(seconds / _DELAY_STEP_S)):
        if core.abort:
            return
        yield from execute_requests(core)
        if Suspend.RESTORING not in core.suspend:
            return
        yield _DELAY_STEP_S


def _spindle_stop(core: Core, restore: tuple[int, float, bool]) -> Task[None]:
    running = core.parser.modal.spindle != 5
    if core.spindle_stop is SpindleStop.STARTING:
        if running:
            core.set_spindle(5, 0.0)
        core.spindle_stop = SpindleStop.STOPPED if running else SpindleStop.OFF
    elif core.spindle_stop in (SpindleStop.RESTORE, SpindleStop.RESTORE_AND_RUN):
        if running:
            yield from core.send(reports.MESSAGE_SPINDLE)
            core.set_spindle(restore[0], restore[1])
        if core.spindle_stop is SpindleStop.RESTORE_AND_RUN:
            yield from _delay_held(core, _DOOR_SPINDLE_S)
            core.requests |= Request.CYCLE_START
        core.spindle_stop = SpindleStop.OFF


def _delay_held(core: Core, seconds: float) -> Task[None]:
    for _ in range(round(seconds / _DELAY_STEP_S)):
        if core.abort:
            return
        yield from execute_requests(core)
        yield _DELAY_STEP_S
