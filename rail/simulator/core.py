"""State of the simulated GRBL 1.1h, and what its interrupts do to it.

The firmware's main program is written as Python generators in the modules beside this one: where the real program
waits, they yield. ``yield seconds`` keeps the processor busy for that long (interrupts go on), ``yield None`` waits
for the next interrupt. States, flags and their meaning follow GRBL 1.1's documentation (``grbl/wiki``: Interface,
Jogging, Alarm and error codes) and the recorded transcripts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Protocol, TypeVar

from rail.simulator.eeprom import Eeprom
from rail.simulator.planner import Overrides, Planner
from rail.simulator.single import divide
from rail.simulator.slide import Slide
from rail.simulator.states import (
    ALARM_ABORT,
    ALARM_HARD_LIMIT,
    ALARM_HOMING_RESET,
    ParserState,
    Probe,
    Request,
    SpindleStop,
    State,
    Suspend,
)
from rail.simulator.stepper import Stepper
from rail.simulator.uart import BYTE_S, Receiver, Transmitter

T = TypeVar("T")
Task = Generator[float | None, None, T]


EEPROM_BYTE_S = 0.0034

_REALTIME = {
    0x3F: Request.STATUS,  # ?
    0x7E: Request.CYCLE_START,  # ~
    0x21: Request.FEED_HOLD,  # !
    0x84: Request.DOOR,
}
_MOTION_OVERRIDES = range(0x90, 0x98)
_ACCESSORY_OVERRIDES = (*range(0x99, 0x9F), 0xA0)


class Firmware(Protocol):
    """What one kind of controller does otherwise than GRBL 1.1 (see `rail.simulator.dialects`)."""

    key: str
    alarm_keeps_outputs: bool
    announces_alarms: bool
    """A hard limit switches no output off."""

    def main(self, core: Core) -> Task[None]:
        """The main program, from power-up for ever."""

    def resume(self, core: Core) -> Task[None]:
        """The main program of a controller that has been running before this simulation started."""

    def byte_in(self, core: Core, byte: int) -> bool:
        """A byte arrives; True where it needs no further treatment."""

    def cleared(self, core: Core, before: ParserState) -> None:
        """A soft reset has cleared the memory; `before` is what the parser knew."""

    def power_off(self, core: Core) -> None:
        """The memory is about to be lost."""

    def command(self, core: Core, line: str) -> Task[int | None]:
        """Do a ``$`` line that GRBL does not have; None where it is GRBL's business."""

    def banner(self) -> str:
        """What is printed after each reset."""

    def build_info(self, core: Core) -> str:
        """The answer to ``$I``."""

    def tool_offset(self, core: Core) -> str:
        """The value of ``[TLO:...]``."""

    def state(self, core: Core, name: str) -> str:
        """The state in a report, GRBL's being `name`."""

    def unwired(self, core: Core) -> int:
        """Limit inputs without a switch that read as active, one bit an axis."""

    def travel(self, core: Core, axis: int) -> tuple[float, float]:
        """Lowest and highest machine position under soft limits, mm."""

    def homed(self, core: Core) -> None:
        """Homing has ended well."""


class Core:
    """All of the controller's memory, and its interrupt routines.

    Parameters
    ----------
    eeprom : Eeprom
    slides : three of Slide
        The axes X, Y, Z.
    homing_cycles : tuple of tuple of int
        Axes that `$H` homes together, one cycle after the other.
    firmware : Firmware
    eeprom_byte_s : float
        Time to write one byte of EEPROM.
    """

    def __init__(
        self,
        eeprom: Eeprom,
        slides: tuple[Slide, Slide, Slide],
        *,
        homing_cycles: tuple[tuple[int, ...], ...],
        firmware: Firmware,
        eeprom_byte_s: float = EEPROM_BYTE_S,
    ) -> None:
        self.firmware = firmware
        self.eeprom = eeprom
        self.slides = slides
        self.homing_cycles = homing_cycles
        self.eeprom_byte_s = eeprom_byte_s
        self.now = 0.0
        self.rx = Receiver()
        self.tx = Transmitter()
        self.overrides = Overrides()
        self.planner = Planner(eeprom, self.overrides)
        self.stepper = Stepper(self.planner, self.overrides, slides)
        self.state = State.IDLE
        self.stall_until = 0.0
        self.stalled_s = 0.0
        self.motors_off_s = math.inf
        self.pins = self.limits()
        self.probe = Probe()
        self.parser = ParserState()
        self.flood_pin = False
        self.flood_came_on: Callable[[], None] = lambda: None
        self.spindle_pin = 5
        self.clear()

    def clear(self) -> None:
        """What a soft reset clears: everything but state, position and EEPROM."""
        self.requests = Request.NONE
        self.alarm = 0
        self.override_bytes: list[int] = []
        self.accessory_bytes: list[int] = []
        self.suspend = Suspend.NONE
        self.abort = False
        self.soft_limit = False
        self.spindle_stop = SpindleStop.OFF
        self.spindle_rpm = 0.0
        self.report_wco_in = 0
        self.report_ov_in = 0
        self.overrides.feed = self.overrides.rapid = self.overrides.spindle = 100
        before, self.parser = self.parser, ParserState()
        self.firmware.cleared(self, before)
        self.probe = Probe(closed=self.probe.closed)

    # Inputs -----------------------------------------------------------------------------------------------------

    def limits(self) -> int:
        """Limit inputs that read as triggered, one bit an axis."""
        inverted = 7 if self.eeprom.flag(5) else 0
        pressed = sum(slide.pressed() << axis for axis, slide in enumerate(self.slides))
        return inverted ^ (pressed | self.firmware.unwired(self))

    def probe_triggered(self) -> bool:
        """The probe input, seen through ``$6`` and the direction of the probing cycle."""
        return self.probe.closed ^ self.eeprom.flag(6) ^ self.probe.away

    def check_pins(self) -> None:
        """Pin-change interrupts: limit switches, probe."""
        pins = self.limits()
        changed, self.pins = pins != self.pins, pins
        if changed and self.eeprom.flag(21) and self.state not in (State.ALARM, State.HOMING) and not self.alarm:
            self.hard_limit()
        if self.probe.active and self.probe_triggered():
            self.probe.active = False
            self.probe.found = True
            self.stepper.sync(self.now)
            self.probe.position = self.counters()
            self.requests |= Request.CANCEL

    def hard_limit(self) -> None:
        """A limit switch closed in motion: the steppers stop dead."""
        flood = self.flood_pin and self.firmware.alarm_keeps_outputs
        self.reset_request()
        self.flood_pin = flood
        self.alarm = ALARM_HARD_LIMIT

    def byte_in(self, byte: int) -> None:
        """The receive interrupt: real-time bytes act at once, others go to the line buffer."""
        if self.firmware.byte_in(self, byte):
            return
        if byte in _REALTIME:
            self.requests |= _REALTIME[byte]
        elif byte == 0x18:
            self.reset_request()
        elif byte < 0x80:
            self.rx.store(byte)
        elif byte == 0x85:
            if self.state is State.JOG:
                self.requests |= Request.CANCEL
        elif byte in _MOTION_OVERRIDES:
            if byte not in self.override_bytes:
                self.override_bytes.append(byte)
        elif byte in _ACCESSORY_OVERRIDES and byte not in self.accessory_bytes:
            self.accessory_bytes.append(byte)

    def reset_request(self) -> None:
        """Reset: outputs off at once; in motion the steppers stop dead and the position is not to be trusted."""
        if self.requests & Request.RESET:
            return
        self.requests |= Request.RESET
        self.spindle_pin = 5
        self.flood_pin = False
        moving = self.state in (State.CYCLE, State.HOMING, State.JOG)
        if moving or self.stepper.holding or self.stepper.own is not None:
            if self.state is not State.HOMING:
                self.alarm = ALARM_ABORT
            elif not self.alarm:
                self.alarm = ALARM_HOMING_RESET
            pause = self.go_idle()
            self.stall(pause)
            self.rx.mask(self.now + pause)  # this interrupt routine lets no other in

    def timer(self) -> None:
        """The step timer's interrupt."""
        if self.stepper.handle(self.now):
            self.stall(self.go_idle())
            self.requests |= Request.CYCLE_STOP

    # Outputs and time -------------------------------------------------------------------------------------------

    def go_idle(self) -> float:
        """Stop the timer; the motors go off after the idle delay unless that is 255: then they go on. How long the processor waits."""
        self.stepper.stop(self.now)
        hold = int(self.eeprom.settings[1])
        if (hold == 255 and not self.alarm and self.state is not State.SLEEP) or self.state is State.HOMING:
            self.motors_on()
            return 0.0
        self.motors_off_s = self.now + hold / 1000
        return hold / 1000

    def wake_motors(self) -> None:
        """Start the timer."""
        self.motors_on()
        self.stepper.wake(self.now)

    def motors_on(self) -> None:
        """The drivers are enabled."""
        self.motors_off_s = math.inf
        for slide in self.slides:
            slide.energise()

    def motors_off(self) -> None:
        """The idle delay is over."""
        self.motors_off_s = math.inf
        for slide in self.slides:
            slide.release()

    def stall(self, seconds: float) -> None:
        """An interrupt routine keeps the processor from the main program."""
        self.stalled_s += seconds
        self.stall_until = max(self.stall_until, self.now) + seconds

    def counters(self) -> tuple[int, int, int]:
        """Position counters, steps."""
        x, y, z = self.stepper.counters
        return x, y, z

    def machine_position(self, steps: tuple[int, int, int] | None = None) -> tuple[float, float, float]:
        """Machine position in mm, of `steps` or of now."""
        x, y, z = (divide(s, self.eeprom.axis(100, a)) for a, s in enumerate(steps or self.counters()))
        return x, y, z

    def send(self, text: str) -> Task[None]:
        """Print. A full transmit ring holds the program up; a reset then drops the rest."""
        data = text.encode("latin-1")
        while True:
            data = data[self.tx.push(data, self.now) :]
            if not data or self.requests & Request.RESET:
                return
            yield min(len(data), 16) * BYTE_S

    def burn(self) -> Task[None]:
        """Let the EEPROM take what was written: bytes received meanwhile are lost but for two in each gap."""
        changed, self.eeprom.changed = self.eeprom.changed, 0
        for _ in range(changed):
            if self.eeprom_byte_s:
                self.rx.mask(self.now + self.eeprom_byte_s)
                yield self.eeprom_byte_s

    def set_spindle(self, mode: int, rpm: float) -> None:
        """Switch the spindle output: `mode` 3, 4 or 5."""
        if self.abort:
            return
        if mode == 4 and self.eeprom.flag(32):
            rpm = 0.0  # a laser under dynamic power is dark at rest
        self.spindle_pin = mode
        self.spindle_rpm = 0.0 if mode == 5 else self.spindle_speed(rpm)
        if mode != 5 and not self.spindle_rpm:
            self.spindle_pin = 5
        self.report_ov_in = 0

    def spindle_speed(self, rpm: float) -> float:
        """Speed that the output can give for a programmed one, under the override."""
        rpm *= self.overrides.spindle / 100
        most, least = self.eeprom.settings[30], self.eeprom.settings[31]
        if least >= most or rpm >= most:
            return most
        if rpm <= least:
            return least if rpm else 0.0
        return rpm

    def set_flood(self, *, on: bool) -> None:
        """Switch the coolant output."""
        if self.abort:
            return
        if on and not self.flood_pin:
            self.flood_came_on()
        self.flood_pin = on
        self.report_ov_in = 0

    def sync_parser(self) -> None:
        """The parser takes the counters' position for its own."""
        self.parser.position = self.machine_position()

    def is_in(self, *states: State) -> bool:
        """Is the controller in one of `states` now? (It may have changed while the program waited.)"""
        return self.state in states

    def aborted(self) -> bool:
        """Has a reset ended what was going on?"""
        return self.abort

    def quiet(self) -> bool:
        """Nothing is left for the main program to do before the next interrupt."""
        if self.alarm or self.override_bytes or self.accessory_bytes or self.requests & ~Request.CYCLE_START:
            return False
        return not (self.requests and self.state is State.IDLE)

    def raise_alarm(self, code: int) -> None:
        """Ask for an alarm; the main program announces it."""
        self.alarm = code
