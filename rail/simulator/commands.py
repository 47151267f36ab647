"""``$`` lines: settings, queries, homing, unlocking, sleep."""

from __future__ import annotations

from rail.simulator import gcode, homing, motion, reports
from rail.simulator.core import Core, Task
from rail.simulator.eeprom import OK, STARTUP_LINES
from rail.simulator.single import read_number, to_uint8
from rail.simulator.states import Request, State

NUMBER = 2
STATEMENT = 3
HOMING_OFF = 5
READ_FAILED = 7
NOT_IDLE = 8

_LAST_SETTING = 255


def execute(core: Core, line: str) -> Task[int]:
    """Do one line that starts with ``$``; the error code, or 0."""
    own = yield from core.firmware.command(core, line)
    if own is not None:
        return own
    letter = line[1:2]
    if letter == "":
        yield from core.send(reports.HELP)
        return OK
    if letter == "J":
        if core.state not in (State.IDLE, State.JOG):
            return NOT_IDLE
        if line[2:3] != "=":
            return STATEMENT
        return (yield from gcode.execute_line(core, line))
    if letter in "$GCX":
        if line[2:]:
            return STATEMENT
        return (yield from _at_any_time(core, letter))
    if core.state not in (State.IDLE, State.ALARM):
        return NOT_IDLE
    return (yield from _at_rest(core, line))


def run_startup(core: Core) -> Task[None]:
    """Execute the startup lines and print what came of each."""
    for index in range(STARTUP_LINES):
        stored = core.eeprom.read_startup(index)
        if stored is None:
            yield from core.burn()
            yield from core.send(f">:{reports.answer(READ_FAILED)}")
        elif stored:
            code = yield from gcode.execute_line(core, stored)
            yield from core.send(f">{stored}:{reports.answer(code)}")


def _at_any_time(core: Core, letter: str) -> Task[int]:
    if letter == "$":
        if core.state in (State.CYCLE, State.HOLD):
            return NOT_IDLE
        for text in core.eeprom.listing():
            yield from core.send(text + "\r\n")
    elif letter == "G":
        yield from core.send(reports.modes(core))
    elif letter == "C":
        if core.state is State.CHECK:
            core.reset_request()
            yield from core.send(reports.MESSAGE_DISABLED)
        elif core.state is not State.IDLE:
            return NOT_IDLE
        else:
            core.state = State.CHECK
            yield from core.send(reports.MESSAGE_ENABLED)
    elif core.state is State.ALARM:
        yield from core.send(reports.MESSAGE_UNLOCKED)
        core.state = State.IDLE
    return OK


def _at_rest(core: Core, line: str) -> Task[int]:
    letter, rest = line[1], line[2:]
    if letter == "#":
        if rest:
            return STATEMENT
        for text in reports.parameters(core):
            yield from core.send(text)
        return OK
    if letter == "H":
        return (yield from home(core, rest))
    if letter == "S":
        if rest != "LP":
            return STATEMENT
        core.requests |= Request.SLEEP
        return OK
    if letter == "I":
        return (yield from _build_info(core, rest))
    if letter == "R":
        return (yield from _restore(core, rest))
    if letter == "N":
        return (yield from _startup(core, rest))
    return (yield from _setting(core, line))


def home(core: Core, rest: str) -> Task[int]:
    """``$H``."""
    if not core.eeprom.flag(22):
        return HOMING_OFF
    core.state = State.HOMING
    if rest:
        return STATEMENT  # and the state stays: the firmware has set it too early
    yield from homing.cycle(core)
    if not core.abort:
        core.firmware.homed(core)
        core.state = State.IDLE
        yield core.go_idle()
        yield from run_startup(core)
    return OK


def _build_info(core: Core, rest: str) -> Task[int]:
    if not rest:
        if core.eeprom.build is None:
            core.eeprom.write_build("")
            yield from core.burn()
        yield from core.send(core.firmware.build_info(core))
        return OK
    if rest[0] != "=":
        return STATEMENT
    core.eeprom.write_build(rest[1:])
    yield from core.burn()
    return OK


def _restore(core: Core, rest: str) -> Task[int]:
    if len(rest) != 4 or not rest.startswith("ST=") or rest[3] not in "$#*":
        return STATEMENT
    core.eeprom.restore(rest[3])
    yield from core.burn()
    yield from core.send(reports.MESSAGE_DEFAULTS)
    core.reset_request()
    return OK


def _startup(core: Core, rest: str) -> Task[int]:
    if not rest:
        for index in range(STARTUP_LINES):
            stored = core.eeprom.read_startup(index)
            if stored is None:
                yield from core.burn()
                yield from core.send(reports.answer(READ_FAILED))
            else:
                yield from core.send(f"$N{index}={stored}\r\n")
        return OK
    if core.state is not State.IDLE:
        return NOT_IDLE
    read = read_number(rest, 0)
    if read is None:
        return NUMBER
    number, at = read
    if rest[at : at + 1] != "=":
        return STATEMENT
    stored = rest[at + 1 :]
    code = yield from gcode.execute_line(core, stored)
    if code:
        return code
    yield from motion.synchronize(core)
    core.eeprom.write_startup(to_uint8(number), stored)
    yield from core.burn()
    return OK


def _setting(core: Core, line: str) -> Task[int]:
    read = read_number(line, 1)
    if read is None:
        return NUMBER
    number, at = read
    if line[at : at + 1] != "=":
        return STATEMENT
    read = read_number(line, at + 1)
    if read is None:
        return NUMBER
    value, at = read
    if at < len(line) or number > _LAST_SETTING or number < 0:
        return STATEMENT
    code = core.eeprom.store(to_uint8(number), value)
    if not code:
        yield from core.burn()
        if to_uint8(number) == 13:
            core.report_wco_in = 0
        if to_uint8(number) in (5, 21):
            core.pins = core.limits()
    return code
