"""Everything the controller prints, in GRBL 1.1's formats (``grbl/wiki``: Interface)."""

from __future__ import annotations

from collections.abc import Sequence

from rail.simulator.core import Core
from rail.simulator.eeprom import COORDINATES
from rail.simulator.planner import CAPACITY
from rail.simulator.single import print_number, single
from rail.simulator.states import MOVING, State, Suspend
from rail.simulator.uart import RX_SIZE

BANNER = "\r\nGrbl 1.1h ['$' for help]\r\n"
HELP = "[HLP:$$ $# $G $I $N $x=val $Nx=line $J=line $SLP $C $X $H ~ ! ? ctrl-x]\r\n"
VERSION = "1.1h.20190830"

MESSAGE_RESET = "[MSG:Reset to continue]\r\n"
MESSAGE_LOCK = "[MSG:'$H'|'$X' to unlock]\r\n"
MESSAGE_UNLOCKED = "[MSG:Caution: Unlocked]\r\n"
MESSAGE_ENABLED = "[MSG:Enabled]\r\n"
MESSAGE_DISABLED = "[MSG:Disabled]\r\n"
MESSAGE_DOOR = "[MSG:Check Door]\r\n"
MESSAGE_LIMITS = "[MSG:Check Limits]\r\n"
MESSAGE_END = "[MSG:Pgm End]\r\n"
MESSAGE_DEFAULTS = "[MSG:Restoring defaults]\r\n"
MESSAGE_SPINDLE = "[MSG:Restoring spindle]\r\n"
MESSAGE_SLEEP = "[MSG:Sleeping]\r\n"

_MM_PER_INCH = 25.4
_WCO_BUSY, _WCO_IDLE, _OV_BUSY, _OV_IDLE = 30, 10, 20, 10


def answer(code: int) -> str:
    """``ok`` or ``error:N``."""
    return f"error:{code}\r\n" if code else "ok\r\n"


def coordinate(core: Core, value: float) -> str:
    """A length in the unit of reports."""
    if core.eeprom.flag(13):
        return print_number(single(value * single(1 / _MM_PER_INCH)), 4)
    return print_number(value, 3)


def _rate(core: Core, value: float) -> str:
    if core.eeprom.flag(13):
        return print_number(single(value * single(1 / _MM_PER_INCH)), 1)
    return print_number(single(value), 0)


def _axes(core: Core, values: Sequence[float]) -> str:
    return ",".join(coordinate(core, value) for value in values)


def work_offset(core: Core) -> tuple[float, float, float]:
    """Machine position minus work position, mm."""
    parser = core.parser
    x, y, z = (single(a + b) for a, b in zip(parser.system, parser.offset, strict=True))
    return x, y, single(z + parser.tool_offset)


def status(core: Core) -> str:
    """A status report; advances the counters of the fields that come rarely."""
    core.stepper.sync(core.now)
    busy = core.state in MOVING
    fields = [core.firmware.state(core, _state(core))]
    position = core.machine_position()
    offset = work_offset(core)
    mask = int(core.eeprom.settings[10])
    if mask & 1:
        fields.append("MPos:" + _axes(core, position))
    else:
        fields.append("WPos:" + _axes(core, [single(p - o) for p, o in zip(position, offset, strict=True)]))
    if mask & 2:
        fields.append(f"Bf:{core.planner.free},{core.rx.free}")
    speed = core.stepper.speed * 60 if busy else 0.0
    fields.append(f"FS:{_rate(core, speed)},{print_number(core.spindle_rpm, 0)}")
    pins = "P" * core.probe_triggered() + "".join(name for axis, name in enumerate("XYZ") if core.limits() >> axis & 1)
    if pins:
        fields.append("Pn:" + pins)
    if core.report_wco_in:
        core.report_wco_in -= 1
    else:
        core.report_wco_in = (_WCO_BUSY if busy else _WCO_IDLE) - 1
        core.report_ov_in = core.report_ov_in or 1  # not both in one report
        fields.append("WCO:" + _axes(core, offset))
    if core.report_ov_in:
        core.report_ov_in -= 1
    else:
        core.report_ov_in = (_OV_BUSY if busy else _OV_IDLE) - 1
        fields.append(f"Ov:{core.overrides.feed},{core.overrides.rapid},{core.overrides.spindle}")
        accessories = {3: "S", 4: "C"}.get(core.spindle_pin, "") + "F" * core.flood_pin
        if accessories:
            fields.append("A:" + accessories)
    return "<" + "|".join(fields) + ">\r\n"


def _state(core: Core) -> str:
    if core.state is State.HOLD:
        if Suspend.JOG_CANCEL in core.suspend:
            return str(State.JOG.value)
        return "Hold:0" if Suspend.HOLD_COMPLETE in core.suspend else "Hold:1"
    if core.state is State.DOOR:
        if Suspend.RESTORING in core.suspend:
            return "Door:3"
        if Suspend.RETRACTED not in core.suspend:
            return "Door:2"
        return "Door:1" if Suspend.DOOR_AJAR in core.suspend else "Door:0"
    return str(core.state.value)


def parameters(core: Core) -> list[str]:
    """``$#``: work coordinates, offsets, last probe."""
    lines = [f"[{name}:{_axes(core, core.eeprom.coordinates[name])}]\r\n" for name in COORDINATES]
    lines.append(f"[G92:{_axes(core, core.parser.offset)}]\r\n")
    lines.append(f"[TLO:{core.firmware.tool_offset(core)}]\r\n")
    return [*lines, probe(core)]


def probe(core: Core) -> str:
    """Where the probe closed last, and whether it did."""
    return f"[PRB:{_axes(core, core.machine_position(core.probe.position))}:{int(core.probe.succeeded)}]\r\n"


def modes(core: Core) -> str:
    """``$G``: the parser's modes."""
    parser, modal = core.parser, core.parser.modal
    motion = f"38.{modal.motion - 380}" if modal.motion > 380 else str(modal.motion)
    words = [f"G{motion}", f"G{modal.coordinates}", f"G{modal.plane}", f"G{modal.units}", f"G{modal.distance}"]
    words.append(f"G{modal.feed_mode}")
    words += [f"M{modal.spindle}", "M8" if modal.flood else "M9", f"T{parser.tool}", f"F{_rate(core, parser.feed)}"]
    return f"[GC:{' '.join(words)} S{print_number(parser.rpm, 0)}]\r\n"


def build_info(text: str) -> str:
    """``$I``."""
    return f"[VER:{VERSION}:{text}]\r\n[OPT:V,{CAPACITY},{RX_SIZE}]\r\n"
