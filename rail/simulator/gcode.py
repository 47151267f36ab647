"""G-code: doing one checked line in the standard's order of execution.

The order follows GRBL 1.1 and NIST RS274/NGC v3, section 3.8. Lengths in mm, in single precision, in machine coordinates once
the offsets are applied.
"""

from __future__ import annotations

from rail.simulator import motion, realtime, reports
from rail.simulator.core import Core, Task
from rail.simulator.gcode_checks import PLANES, Block, Position, check
from rail.simulator.planner import MoveRequest
from rail.simulator.single import to_uint8
from rail.simulator.states import Modal, Request, State
from rail.simulator.words import AxisUse, RefusedError


def execute_line(core: Core, line: str) -> Task[int]:
    """Do one line (upper case, no spaces, no comments; ``$J=`` in front makes it a jog). The error code, or 0."""
    try:
        block = check(core, line)
    except RefusedError as refused:
        return refused.code
    if block.words.jog:
        return (yield from _jog(core, block))
    yield from _execute(core, block)
    return 0


def _jog(core: Core, block: Block) -> Task[int]:
    rpm = core.parser.rpm if core.parser.modal.spindle != 5 else 0.0
    request = MoveRequest(block.feed, fixed_feed=True, spindle_rpm=rpm)
    code = yield from motion.jog(core, block.target, request)
    if not code:
        core.parser.position = block.target  # without axis words, too: that target is machine zero
    return code


def _execute(core: Core, block: Block) -> Task[None]:
    words, parser = block.words, core.parser
    now, then = parser.modal, words.modal
    now.feed_mode = then.feed_mode
    parser.feed = block.feed
    if parser.rpm != block.rpm:
        if now.spindle != 5:
            yield from _spindle(core, now.spindle, block.rpm)
        parser.rpm = block.rpm
    parser.tool = to_uint8(words.values.get("T", 0.0))
    if now.spindle != then.spindle:
        yield from _spindle(core, then.spindle, parser.rpm)
        now.spindle = then.spindle
    if now.flood != then.flood:
        if core.state is not State.CHECK:
            yield from motion.synchronize(core)
            core.set_flood(on=then.flood)
        now.flood = then.flood
    if words.non_modal == 4:
        yield from motion.dwell(core, words.values["P"])
    now.plane, now.units = then.plane, then.units
    yield from _offsets(core, block)
    now.distance = then.distance
    request = MoveRequest(
        block.feed,
        inverse_time=now.feed_mode == 93,
        spindle_rpm=parser.rpm if now.spindle != 5 else 0.0,
    )
    yield from _non_modal(core, block, request)
    now.motion = then.motion
    if now.motion != 80 and block.axis_use is AxisUse.MOTION:
        yield from _move(core, block, request)
    now.flow = then.flow
    if now.flow:
        yield from _program_flow(core, now)
        now.flow = 0


def _spindle(core: Core, mode: int, rpm: float) -> Task[None]:
    if core.state is State.CHECK:
        return
    yield from motion.synchronize(core)
    core.set_spindle(mode, rpm)


def _offset_changed(core: Core) -> Task[None]:
    yield from motion.synchronize(core)
    core.report_wco_in = 0


def _offsets(core: Core, block: Block) -> Task[None]:
    parser, then = core.parser, block.words.modal
    if block.axis_use is AxisUse.TOOL_LENGTH:
        parser.modal.tool_length = then.tool_length
        offset = block.target[2] if then.tool_length else 0.0
        if parser.tool_offset != offset:
            parser.tool_offset = offset
            yield from _offset_changed(core)
    if parser.modal.coordinates != then.coordinates:
        parser.modal.coordinates = then.coordinates
        parser.system = block.system
        yield from _offset_changed(core)


def _store(core: Core, name: str, values: Position) -> Task[None]:
    yield from motion.synchronize(core)
    core.eeprom.write_coordinates(name, values)
    yield from core.burn()


def _non_modal(core: Core, block: Block, request: MoveRequest) -> Task[None]:
    parser, code = core.parser, block.words.non_modal
    if code == 10:
        yield from _store(core, block.store, block.second)
        if block.store == f"G{parser.modal.coordinates}":
            parser.system = block.second
            yield from _offset_changed(core)
    elif code in (28, 30):
        rapid = MoveRequest(request.feed_mm_min, rapid=True, spindle_rpm=request.spindle_rpm)
        if block.axis_use is not AxisUse.NONE:
            yield from motion.line(core, block.target, rapid)
        yield from motion.line(core, block.second, rapid)
        parser.position = block.second
    elif code in (281, 301):
        yield from _store(core, f"G{code // 10}", parser.position)
    elif code in (92, 921):
        parser.offset = block.target if code == 92 else (0.0, 0.0, 0.0)
        yield from _offset_changed(core)


def _move(core: Core, block: Block, request: MoveRequest) -> Task[None]:
    parser = core.parser
    kind = parser.modal.motion
    if kind == 0:
        request = MoveRequest(
            block.feed, rapid=True, inverse_time=request.inverse_time, spindle_rpm=request.spindle_rpm
        )
    if kind in (0, 1):
        yield from motion.line(core, block.target, request)
    elif kind in (2, 3):
        plane = PLANES[parser.modal.plane]
        yield from motion.arc(core, block.target, request, block.centre, plane, clockwise=kind == 2)
    else:
        request = MoveRequest(
            block.feed, inverse_time=request.inverse_time, fixed_feed=True, spindle_rpm=request.spindle_rpm
        )
        away, quiet = kind in (384, 385), kind in (383, 385)
        where = yield from motion.probe(core, block.target, request, away=away, quiet=quiet)
        if where == "system":
            core.sync_parser()
        if where != "target":
            return
    parser.position = block.target


def _program_flow(core: Core, modal: Modal) -> Task[None]:
    yield from motion.synchronize(core)
    if modal.flow == 3:
        if core.state is not State.CHECK:
            core.requests |= Request.FEED_HOLD
            yield from realtime.execute(core)
        return
    modal.motion, modal.plane, modal.distance, modal.feed_mode = 1, 17, 90, 94
    modal.coordinates, modal.spindle, modal.flood = 54, 5, False
    core.overrides.feed = core.overrides.rapid = core.overrides.spindle = 100
    if core.state is not State.CHECK:
        core.parser.system = core.eeprom.coordinates["G54"]
        yield from _offset_changed(core)
        core.set_spindle(5, 0.0)
        core.set_flood(on=False)
    yield from core.send(reports.MESSAGE_END)
