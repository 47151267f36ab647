"""G-code: checking one line as a whole, before anything of it is done.

Errors and their codes follow GRBL 1.1 (``error_codes``). Lengths in mm, in single precision, in machine coordinates once the
offsets are applied.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from rail.simulator.core import Core
from rail.simulator.single import single, to_uint8
from rail.simulator.words import UNSUPPORTED, AxisUse, RefusedError, Words, parse

Position = tuple[float, float, float]

INVALID_JOG = 16
NO_FEED = 22
NO_AXIS_WORDS = 26
LINE_NUMBER = 27
WORD_MISSING = 28
COORDINATE_SYSTEM = 29
G53_MOTION = 30
AXIS_WORDS = 31
NOT_IN_PLANE = 32
TARGET = 33
RADIUS = 34
NO_OFFSETS = 35
UNUSED = 36
TOOL_AXIS = 37

_INCH = single(25.4)
_MAX_LINE_NUMBER = 10_000_000
PLANES = {17: (0, 1, 2), 18: (2, 0, 1), 19: (1, 2, 0)}
_JOG_GROUPS = {"distance", "units", "non-modal"}


@dataclass(slots=True)
class Block:
    """A checked line: `target` and `second` (G10's values, G28's second target) in mm."""

    words: Words
    feed: float = 0.0
    rpm: float = 0.0
    target: Position = (0.0, 0.0, 0.0)
    second: Position = (0.0, 0.0, 0.0)
    store: str = ""
    system: Position = (0.0, 0.0, 0.0)
    centre: tuple[float, float] = (0.0, 0.0)
    axis_use: AxisUse = AxisUse.NONE
    unused: set[str] = field(default_factory=set)


def _position(x: float, y: float, z: float) -> Position:
    return (x, y, z)


def check(core: Core, line: str) -> Block:
    """Read one line (see `rail.simulator.gcode.execute_line`) and check it. Raises `RefusedError`."""
    parser = core.parser
    words = parse(line, parser.modal)
    block = Block(words, axis_use=words.axis_use, unused=set(words.values))
    if words.axes and block.axis_use is AxisUse.NONE:
        block.axis_use = AxisUse.MOTION
    if words.values.get("N", 0.0) > _MAX_LINE_NUMBER:
        raise RefusedError(LINE_NUMBER)
    block.feed = _feed(core, block)
    block.rpm = words.values.get("S", parser.rpm)
    if words.non_modal == 4:
        if "P" not in words.values:
            raise RefusedError(WORD_MISSING)
        block.unused.discard("P")
    if words.modal.units == 20:
        for letter in "XYZ":
            if letter in words.values:
                words.values[letter] = single(words.values[letter] * _INCH)
    if block.axis_use is AxisUse.TOOL_LENGTH and words.modal.tool_length and words.axes != [2]:
        raise RefusedError(TOOL_AXIS)
    changed = words.modal.coordinates != parser.modal.coordinates
    block.system = core.eeprom.coordinates[f"G{words.modal.coordinates}"] if changed else parser.system
    _check_non_modal(core, block)
    _check_motion(core, block)
    block.unused -= {"N", "F"} if words.jog else {"N", "F", "S", "T"}
    if block.axis_use is not AxisUse.NONE:
        block.unused -= set("XYZ")
    if block.unused:
        raise RefusedError(UNUSED)
    if words.jog and (words.groups - _JOG_GROUPS or words.non_modal not in (0, 53)):
        raise RefusedError(INVALID_JOG)
    return block


def _feed(core: Core, block: Block) -> float:
    words, parser = block.words, core.parser
    given = words.values.get("F")
    inches = words.modal.units == 20
    if words.jog:
        if given is None:
            raise RefusedError(NO_FEED)
        return single(given * _INCH) if inches else given
    if words.modal.feed_mode == 93:
        if block.axis_use is AxisUse.MOTION and words.modal.motion not in (80, 0) and given is None:
            raise RefusedError(NO_FEED)
        return given or 0.0
    if parser.modal.feed_mode == 94:
        if given is None:
            return parser.feed
        return single(given * _INCH) if inches else given
    return given or 0.0  # just left G93: no feed is remembered


def _check_non_modal(core: Core, block: Block) -> None:
    words, parser = block.words, core.parser
    if words.non_modal == 10:
        _check_g10(core, block)
        return
    if words.non_modal == 92:
        if not words.axes:
            raise RefusedError(NO_AXIS_WORDS)
        offset = list(parser.offset)
        for axis in words.axes:
            offset[axis] = single(single(parser.position[axis] - block.system[axis]) - words.values["XYZ"[axis]])
            if axis == 2:
                offset[axis] = single(offset[axis] - parser.tool_offset)
        block.target = _position(*offset)
        return
    if block.axis_use is not AxisUse.TOOL_LENGTH:
        if words.axes:
            block.target = _target(core, block)
    elif words.axes:
        block.target = _position(0.0, 0.0, words.values.get("Z", 0.0))
    if words.non_modal in (28, 30):
        stored = core.eeprom.coordinates[f"G{words.non_modal}"]
        if words.axes:
            second = [stored[axis] if axis in words.axes else parser.position[axis] for axis in range(3)]
            block.second = _position(*second)
        else:
            block.second = stored
            block.axis_use = AxisUse.NONE
    elif words.non_modal == 53 and words.modal.motion not in (0, 1):
        raise RefusedError(G53_MOTION)


def _check_g10(core: Core, block: Block) -> None:
    words, parser = block.words, core.parser
    if not words.axes:
        raise RefusedError(NO_AXIS_WORDS)
    if "P" not in words.values and "L" not in words.values:
        raise RefusedError(WORD_MISSING)
    number = to_uint8(words.values.get("P", 0.0))
    if number > 6:
        raise RefusedError(COORDINATE_SYSTEM)
    kind = to_uint8(words.values.get("L", 0.0))
    if kind not in (2, 20) or (kind == 2 and "R" in words.values):
        raise RefusedError(UNSUPPORTED)
    block.unused -= {"L", "P"}
    block.store = f"G{53 + number}" if number else f"G{words.modal.coordinates}"
    values = list(core.eeprom.coordinates[block.store])
    for axis in words.axes:
        given = words.values["XYZ"[axis]]
        if kind == 20:
            given = single(single(parser.position[axis] - parser.offset[axis]) - given)
            if axis == 2:
                given = single(given - parser.tool_offset)
        values[axis] = given
    block.second = _position(*values)


def _target(core: Core, block: Block) -> Position:
    """Machine position that the axis words name."""
    words, parser = block.words, core.parser
    target = list(parser.position)
    for axis in words.axes:
        given = words.values["XYZ"[axis]]
        if words.non_modal == 53:
            target[axis] = given
        elif words.modal.distance == 90:
            target[axis] = single(given + single(block.system[axis] + parser.offset[axis]))
            if axis == 2:
                target[axis] = single(target[axis] + parser.tool_offset)
        else:
            target[axis] = single(given + parser.position[axis])
    return _position(*target)


def _check_motion(core: Core, block: Block) -> None:
    words = block.words
    kind = words.modal.motion
    if kind == 80:
        if words.axes:
            raise RefusedError(AXIS_WORDS)
        return
    if block.axis_use is not AxisUse.MOTION:
        return
    if kind != 0 and block.feed == 0:
        raise RefusedError(NO_FEED)
    if kind in (0, 1):
        if not words.axes:
            block.axis_use = AxisUse.NONE
    elif not words.axes:
        raise RefusedError(NO_AXIS_WORDS)
    elif kind in (2, 3):
        _check_arc(core, block)
    elif block.target == core.parser.position:
        raise RefusedError(TARGET)


def _check_arc(core: Core, block: Block) -> None:
    words, parser = block.words, core.parser
    first, second, _ = PLANES[words.modal.plane]
    if first not in words.axes and second not in words.axes:
        raise RefusedError(NOT_IN_PLANE)
    scale = _INCH if words.modal.units == 20 else 1.0
    x = single(block.target[first] - parser.position[first])
    y = single(block.target[second] - parser.position[second])
    if "R" in words.values:
        block.unused.discard("R")
        if block.target == parser.position:
            raise RefusedError(TARGET)
        radius = words.values["R"] * scale
        square = single(4 * radius * radius - x * x - y * y)
        if square < 0:
            raise RefusedError(RADIUS)
        chord = math.hypot(x, y)
        ratio = -math.sqrt(square) / chord if chord else -math.inf
        if words.modal.motion == 3:
            ratio = -ratio
        if radius < 0:
            ratio = -ratio
        # A helix whose ends lie above each other has no chord, and no such circle.
        block.centre = (0.5 * (x - y * ratio), 0.5 * (y + x * ratio)) if chord else (0.0, 0.0)
        return
    if "IJK"[first] not in words.values and "IJK"[second] not in words.values:
        raise RefusedError(NO_OFFSETS)
    block.unused -= set("IJK")
    block.centre = (words.values.get("IJK"[first], 0.0) * scale, words.values.get("IJK"[second], 0.0) * scale)
    radius = math.hypot(*block.centre)
    error = abs(math.hypot(x - block.centre[0], y - block.centre[1]) - radius)
    if error > 0.5 or (error > 0.005 and error > 0.001 * radius):
        raise RefusedError(TARGET)
