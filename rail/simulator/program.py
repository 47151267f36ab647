"""The firmware's main program: initialisation after each reset, and the loop that reads lines."""

from __future__ import annotations

from rail.simulator import commands, gcode, motion, realtime, reports
from rail.simulator.core import Core, Task
from rail.simulator.states import State

LINE_SIZE = 80
OVERFLOW = 11
LOCKED = 9

_PARSE_S = 5e-5
_PARSE_LETTER_S = 2.5e-5


def main(core: Core) -> Task[None]:
    """Run from power-up (or a hardware reset) for ever."""
    if not core.eeprom.valid:
        yield from core.send(reports.answer(commands.READ_FAILED))
        core.eeprom.restore("*")
        core.eeprom.startup = [None] * len(core.eeprom.startup)
        yield from core.burn()
        for line in core.eeprom.listing():
            yield from core.send(line + "\r\n")
    core.state = State.ALARM if core.eeprom.flag(22) else State.IDLE
    while True:
        yield from _initialise(core)
        yield from core.send(core.firmware.banner())
        yield from _until_abort(core)


def resume(core: Core) -> Task[None]:
    """Go on as a controller that has been running before this simulation started."""
    core.planner.clear(core.counters())
    core.sync_parser()
    yield from _read_lines(core)
    while True:
        yield from _initialise(core)
        yield from core.send(core.firmware.banner())
        yield from _until_abort(core)


def _initialise(core: Core) -> Task[None]:
    core.clear()
    core.rx.ring.clear()
    core.parser.system = core.eeprom.coordinates["G54"]
    core.set_spindle(5, 0.0)
    core.flood_pin = False
    core.pins = core.limits()
    yield core.go_idle()
    core.stepper.reset()
    core.planner.clear(core.counters())
    core.sync_parser()


def _until_abort(core: Core) -> Task[None]:
    if core.eeprom.flag(21) and core.limits():
        core.state = State.ALARM
        yield from core.send(reports.MESSAGE_LIMITS)
    if core.state in (State.ALARM, State.SLEEP):
        yield from core.send(reports.MESSAGE_LOCK)
        core.state = State.ALARM
    else:
        core.state = State.IDLE
        yield from commands.run_startup(core)
    yield from _read_lines(core)


class _Line:
    """The line buffer: spaces, comments and case are dealt with byte by byte."""

    def __init__(self, *, named_settings: bool = False) -> None:
        self._named_settings = named_settings
        self.clear()

    def clear(self) -> None:
        self.text = ""
        self.overflow = False
        self._comment = ""

    def add(self, byte: int) -> None:
        letter = chr(byte)
        if self.overflow or self._comment:
            if letter == ")" and self._comment == "(":
                self._comment = ""
        elif letter in "(;":
            self._comment = letter
        elif letter <= " " or (letter == "/" and not (self._named_settings and self.text.startswith("$"))):
            return
        elif len(self.text) >= LINE_SIZE - 1:
            self.overflow = True
        else:
            self.text += letter.upper() if "a" <= letter <= "z" else letter


def _read_lines(core: Core) -> Task[None]:
    line = _Line(named_settings=core.firmware.key == "fluidnc")
    while True:
        while core.rx.ring:
            byte = core.rx.ring.popleft()
            if byte not in (0x0A, 0x0D):
                line.add(byte)
                continue
            yield from realtime.execute(core)
            if core.abort:
                return
            code = yield from _execute(core, line)
            yield from core.send(reports.answer(code))
            line.clear()
        motion.auto_start(core)
        yield from realtime.execute(core)
        if core.abort:
            return
        if not core.rx.ring and core.quiet() and not (core.state is State.IDLE and core.planner.blocks):
            yield None


def _execute(core: Core, line: _Line) -> Task[int]:
    if line.overflow:
        return OVERFLOW
    if not line.text:
        return 0
    yield _PARSE_S + _PARSE_LETTER_S * len(line.text)
    if line.text.startswith("$"):
        return (yield from commands.execute(core, line.text))
    if core.state in (State.ALARM, State.JOG):
        return LOCKED
    return (yield from gcode.execute_line(core, line.text))
