"""The kinds of controllers that are simulated: what each does otherwise than GRBL 1.1h.

Formats and behaviour after grblHAL's ``report.c``, ``gcode.c``, ``settings.c`` and FluidNC's ``Report.cpp``, ``Settings*.cpp``,
``Homing.cpp`` (see docs/rail.md for what was checked and what was not). Both move as the simulated GRBL moves: their
planners are its descendants.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rail.simulator import commands, program, reports
from rail.simulator.core import Core, Task
from rail.simulator.eeprom import OK
from rail.simulator.single import print_number, single
from rail.simulator.states import ParserState, Request, State

ERROR_STATEMENT = 3
ERROR_VALUE = 2
_X = 0


class GrblFirmware:
    """GRBL 1.1h itself."""

    key = "grbl"
    alarm_keeps_outputs = False
    announces_alarms = True

    def main(self, core: Core) -> Task[None]:
        """As GRBL."""
        return program.main(core)

    def resume(self, core: Core) -> Task[None]:
        """As GRBL."""
        return program.resume(core)

    def byte_in(self, core: Core, byte: int) -> bool:  # noqa: ARG002
        """GRBL's own bytes."""
        return False

    def cleared(self, core: Core, before: ParserState) -> None:
        """Nothing outlives a reset."""

    def power_off(self, core: Core) -> None:
        """Nothing outlives it."""

    def command(self, core: Core, line: str) -> Task[int | None]:  # noqa: ARG002
        """No further ``$`` lines."""
        yield from ()
        return None

    def banner(self) -> str:
        """GRBL's."""
        return reports.BANNER

    def build_info(self, core: Core) -> str:
        """GRBL's."""
        return reports.build_info(core.eeprom.build or "")

    def tool_offset(self, core: Core) -> str:
        """Of Z alone."""
        return reports.coordinate(core, core.parser.tool_offset)

    def state(self, core: Core, name: str) -> str:  # noqa: ARG002
        """GRBL's."""
        return name

    def unwired(self, core: Core) -> int:  # noqa: ARG002
        """Pulled up, normally open: nothing."""
        return 0

    def travel(self, core: Core, axis: int) -> tuple[float, float]:
        """GRBL's space is negative."""
        return -core.eeprom.axis(130, axis), 0.0

    def homed(self, core: Core) -> None:
        """GRBL has set its count from $27 and $130."""


GRBL = GrblFirmware()


X_ALONE = {"44": "1", "45": "0", "46": "0"}
"""grblHAL's homing passes on a rail: X, and nothing else. (Stock: Z, then X and Y.)"""


class GrblHalFirmware(GrblFirmware):
    """grblHAL: inputs normally closed, a G92 offset that outlives restarts, further settings and bytes."""

    key = "grblhal"

    DEFAULTS: ClassVar[Mapping[str, str]] = {
        "14": "73", "37": "0", "39": "1", "40": "0", "43": "1", "44": "4", "45": "3", "46": "0",
        "70": "0", "71": "0", "300": "grblHAL", "341": "0", "376": "0", "384": "0", "481": "0",
    }  # fmt: skip
    _BYTES: ClassVar[Mapping[int, Request]] = {
        0x80: Request.STATUS,
        0x87: Request.STATUS,
        0x81: Request.CYCLE_START,
        0x82: Request.FEED_HOLD,
    }

    def byte_in(self, core: Core, byte: int) -> bool:
        """Its own codes for ``?``, ``~`` and ``!``, and the full report."""
        if byte == 0x87:
            core.report_wco_in = core.report_ov_in = 0
        if byte in self._BYTES:
            core.requests |= self._BYTES[byte]
            return True
        return False

    def cleared(self, core: Core, before: ParserState) -> None:
        """A soft reset spares the G92 offset; a start takes it from memory unless $384 says otherwise."""
        if any(before.offset):
            core.parser.offset = before.offset
        elif "g92" in core.eeprom.extra:
            x, y, z = (float(value) for value in core.eeprom.extra.pop("g92").split(","))
            core.parser.offset = (x, y, z)

    def power_off(self, core: Core) -> None:
        """The G92 offset is stored as soon as it is set, unless $384 says otherwise."""
        core.eeprom.extra.pop("g92", None)
        if self._extra(core)["384"] == "0":
            core.eeprom.extra["g92"] = ",".join(repr(value) for value in core.parser.offset)

    def command(self, core: Core, line: str) -> Task[int | None]:
        """Further settings; ``$HX`` where $22 allows it; ``$I+``."""
        extra = self._extra(core)
        name, equals, value = line[1:].partition("=")
        if equals and name in extra:
            core.eeprom.extra[name] = value
            return OK
        if line == "$$" and core.state not in (State.CYCLE, State.HOLD):
            own = [f"${number}={text}" for number, text in extra.items()]
            for text in sorted([*core.eeprom.listing(), *own], key=lambda row: int(row[1:].partition("=")[0])):
                yield from core.send(text + "\r\n")
            return OK
        if line == "$HX" and core.state in (State.IDLE, State.ALARM):
            if not int(core.eeprom.settings[22]) & 2:
                return ERROR_STATEMENT
            return (yield from _home_alone(core))
        if line == "$H" and core.state in (State.IDLE, State.ALARM) and core.eeprom.flag(22):
            masks = [int(extra[number]) for number in ("44", "45", "46")]
            core.homing_cycles = tuple(tuple(axis for axis in range(3) if mask >> axis & 1) for mask in masks if mask)
            return (yield from commands.home(core, ""))
        if line == "$I+":
            yield from core.send(self.build_info(core))
            return OK
        return None

    def banner(self) -> str:
        """Its own."""
        return "\r\nGrblHAL 1.1f ['$' or '$HELP' for help]\r\n"

    def build_info(self, core: Core) -> str:
        """The extended one."""
        lines = [
            f"[VER:1.1f.20240812:{core.eeprom.build or ''}]", "[OPT:VNMSL,35,1024,3,0]", "[AXS:3:XYZ]",
            "[NEWOPT:ENUMS,RT+,HOME,SED]", "[FIRMWARE:grblHAL]", "[SIGNALS:HSEP]", "[NVS STORAGE:*FLASH 2K]",
            "[FREE MEMORY:102K]", "[DRIVER:STM32F401CC]", "[DRIVER VERSION:240809]", "[BOARD:Simulated]", "[AUX IO:0,0,0,0]",
        ]  # fmt: skip
        return "".join(line + "\r\n" for line in lines)

    def tool_offset(self, core: Core) -> str:
        """Of every axis."""
        return ",".join(reports.coordinate(core, mm) for mm in (0.0, 0.0, core.parser.tool_offset))

    def unwired(self, core: Core) -> int:
        """Normally closed: an input with nothing on it is active. (Where X has a switch, the others are bridged.)"""
        wired = core.slides[_X].spec.switch_um is not None or core.slides[_X].stuck is not None
        return 0 if wired else 7

    @classmethod
    def _extra(cls, core: Core) -> dict[str, str]:
        return {name: core.eeprom.extra.get(name, value) for name, value in cls.DEFAULTS.items()}


class FluidNcFirmware(GrblFirmware):
    """FluidNC: settings with names, log lines, reports that come by themselves, its own machine space."""

    key = "fluidnc"
    alarm_keeps_outputs = True  # protocol_do_alarm stops the spindle, not the coolant

    _NUMBERS: ClassVar[Mapping[str, int]] = {
        "stepping/idle_ms": 1, "axes/x/soft_limits": 20, "axes/x/motor0/hard_limits": 21, "axes/x/homing/cycle": 22,
        "axes/x/homing/positive_direction": 23, "axes/x/homing/feed_mm_per_min": 24, "axes/x/homing/seek_mm_per_min": 25,
        "axes/x/motor0/pulloff_mm": 27, "axes/x/steps_per_mm": 100, "axes/x/max_rate_mm_per_min": 110,
        "axes/x/acceleration_mm_per_sec2": 120, "axes/x/max_travel_mm": 130,
    }  # fmt: skip
    _FLAGS: ClassVar[frozenset[int]] = frozenset({20, 21, 23})
    _HOME = "axes/x/homing/mpos_mm"
    _SHOWN = (10, 20, 21, 22, 23, 30, 32)

    def main(self, core: Core) -> Task[None]:
        """The boot log comes first; what was not saved is gone."""
        eeprom = core.eeprom
        if eeprom.saved is None:
            eeprom.saved = dict(eeprom.settings)
        eeprom.settings.update(eeprom.saved)
        for text in (
            "FluidNC v3.7.8 https://github.com/bdring/FluidNC",
            "Compiled with ESP32 SDK:v4.4.1-1",
            "Machine Simulated",
        ):
            yield from core.send(f"[MSG:INFO: {text}]\r\n")
        yield from program.main(core)

    def command(self, core: Core, line: str) -> Task[int | None]:
        """Named settings, ``$HX``, ``$CD``, report interval."""
        eeprom = core.eeprom
        name, equals, value = line[1:].partition("=")
        name = name.lower().lstrip("/")
        if name in ("report/interval", "ri"):
            return OK  # reports by themselves: none here at first, none after
        if name == self._HOME:
            return (yield from self._mpos(core, value if equals else None))
        if name in self._NUMBERS:
            if name.startswith("axes/x/homing/") and not eeprom.flag(22) and name != "axes/x/homing/cycle":
                return ERROR_STATEMENT  # no homing section
            number = self._NUMBERS[name]
            if equals:
                return self._set(core, number, value)
            yield from core.send(f"$/{name}={self._text(core, number)}\r\n")
            return OK
        if line == "$$" and core.state not in (State.CYCLE, State.HOLD):
            shown = [f"${n}={print_number(eeprom.settings[n], 0)}" for n in self._SHOWN]
            for group in (100, 110, 120, 130):
                shown += [f"${group + axis}={print_number(eeprom.axis(group, axis), 3)}" for axis in range(3)]
            for text in shown:
                yield from core.send(text + "\r\n")
            return OK
        if name == "cd" and equals:
            eeprom.saved = dict(eeprom.settings)
            return OK
        if line[1:2].isdecimal() and equals and int(line[1:4] if line[1:4].isdecimal() else line[1:3]) != 10:
            return ERROR_STATEMENT  # what has a number is a copy, to be read only
        if line == "$HX" and core.state in (State.IDLE, State.ALARM):
            return (yield from _home_alone(core))
        return None

    def banner(self) -> str:
        """Its own."""
        return "\r\nGrbl 3.7 [FluidNC v3.7.8 (wifi) '$' for help]\r\n"

    def build_info(self, core: Core) -> str:
        """Its own."""
        return f"[VER:3.7 FluidNC v3.7.8:{core.eeprom.build or ''}]\r\n[OPT:PHS]\r\n[MSG: Machine: Simulated]\r\n"

    def travel(self, core: Core, axis: int) -> tuple[float, float]:
        """From where homing ends, away from the switch."""
        home, length = self._home_mm(core) if axis == _X else 0.0, core.eeprom.axis(130, axis)
        return (home, home + length) if core.eeprom.mask(23, axis) else (home - length, home)

    def homed(self, core: Core) -> None:
        """The place where homing ends is ``mpos_mm``."""
        core.stepper.counters[_X] = round(single(self._home_mm(core)) * core.eeprom.axis(100, _X))
        core.planner.clear(core.counters())
        core.sync_parser()

    def _home_mm(self, core: Core) -> float:
        return float(core.eeprom.extra.get(self._HOME, "0"))

    def _mpos(self, core: Core, value: str | None) -> Task[int]:
        if not core.eeprom.flag(22):
            return ERROR_STATEMENT
        if value is not None:
            core.eeprom.extra[self._HOME] = str(float(value))
            return OK
        yield from core.send(f"$/{self._HOME}={self._home_mm(core):.3f}\r\n")
        return OK

    def _text(self, core: Core, number: int) -> str:
        value = core.eeprom.settings[number]
        if number in self._FLAGS:
            return str(bool(value) if number != 23 else not int(value) & 1).lower()
        return f"{value:.0f}" if number in (1, 22) else f"{value:.3f}"

    def _set(self, core: Core, number: int, text: str) -> int:
        lowered = text.lower()
        if lowered in ("true", "false"):
            on = lowered == "true"
            value = float(on if number != 23 else not on)
        else:
            try:
                value = float(text)
            except ValueError:
                return ERROR_VALUE
        core.eeprom.settings[number] = single(value)
        return OK


GRBLHAL = GrblHalFirmware()
FLUIDNC = FluidNcFirmware()


def _home_alone(core: Core) -> Task[int]:
    every, core.homing_cycles = core.homing_cycles, ((_X,),)
    try:
        return (yield from commands.home(core, ""))
    finally:
        core.homing_cycles = every
