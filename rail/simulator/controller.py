"""A controller, GRBL 1.1h or of another kind, pure: bytes and time in, bytes out. No threads, no I/O, no clock of its own.

Interrupts (bytes, step timer, switches) are events in time; the main program is a generator that runs between them.
"""

from __future__ import annotations

import math

from rail.simulator.core import EEPROM_BYTE_S, Core, Firmware, Task
from rail.simulator.dialects import GRBL
from rail.simulator.eeprom import Eeprom
from rail.simulator.slide import Slide, SlideSpec
from rail.simulator.states import State

STOCK_HOMING = ((2,), (0, 1))
"""Stock GRBL homes Z first, then X and Y together."""

ONE_AXIS_HOMING = ((0,),)
"""A build for a rail: X alone."""

_SLACK_S = 1e-9


class GrblController:
    """The controller and what hangs on it.

    Parameters
    ----------
    eeprom : Eeprom, optional
        Stock settings where not given.
    slides : tuple of three Slide, optional
        The axes; by default three that move freely, without switches.
    homing_cycles : tuple of tuple of int
        Axes that ``$H`` homes together, cycle by cycle.
    eeprom_byte_s : float
        Time to write a byte of EEPROM, in which received bytes are lost; 0 for an emulator that has no such time.
    now_s : float
        Device time at power-up.
    firmware : Firmware
        Which kind of controller.
    running : bool
        Go on as a controller that was switched on long ago: no banner, `core`'s memory as the caller sets it up.
    """

    def __init__(
        self,
        eeprom: Eeprom | None = None,
        slides: tuple[Slide, Slide, Slide] | None = None,
        *,
        homing_cycles: tuple[tuple[int, ...], ...] = STOCK_HOMING,
        eeprom_byte_s: float = EEPROM_BYTE_S,
        now_s: float = 0.0,
        running: bool = False,
        firmware: Firmware = GRBL,
    ) -> None:
        if slides is None:
            slides = tuple(Slide(SlideSpec(um_per_step=4.0)) for _ in range(3))  # type: ignore[assignment]
            assert slides is not None
        self.core = Core(
            eeprom or Eeprom(), slides, homing_cycles=homing_cycles, firmware=firmware, eeprom_byte_s=eeprom_byte_s
        )
        self.core.now = now_s
        self._main: Task[None] = firmware.resume(self.core) if running else firmware.main(self.core)
        self._wake_s = now_s
        self._waits = False
        self._boot_s = now_s

    # The wire ---------------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """The host sends `data`, beginning now; a running boot loader swallows it."""
        if self.core.now >= self._boot_s:
            self.core.rx.put(data, self.core.now)

    def take_output(self) -> bytes:
        """What has reached the host since last asked."""
        return self.core.tx.take(self.core.now)

    # Time -------------------------------------------------------------------------------------------------------

    def next_event_s(self) -> float:
        """Device time of the next thing that will happen by itself; infinite where nothing will."""
        return min(self._next_s(), self.core.tx.line_done_s())

    def _next_s(self) -> float:
        core = self.core
        if core.now < self._boot_s:
            return self._boot_s
        program_s = math.inf if self._waits else max(self._wake_s, core.stall_until)
        return min(program_s, core.rx.next_event_s(), core.stepper.next_event_s(), core.motors_off_s)

    def advance(self, now_s: float) -> None:
        """Let time pass until `now_s` (never back)."""
        core = self.core
        while (due := self._next_s()) <= now_s:
            core.now = max(core.now, due)
            self._interrupts()
            self._run_program()
        core.now = max(core.now, now_s)
        core.stepper.sync(core.now)
        core.tx.drain(core.now)

    def _interrupts(self) -> None:
        core = self.core
        happened = False
        if core.motors_off_s <= core.now:
            core.motors_off()
            happened = True
        if core.stepper.next_event_s() <= core.now + _SLACK_S:
            core.timer()
            happened = True
        if core.rx.next_event_s() <= core.now:
            for byte in core.rx.arrived(core.now):
                core.byte_in(byte)
            happened = True
        core.check_pins()
        if happened:
            self._waits = False

    def _run_program(self) -> None:
        core = self.core
        if core.stalled_s:
            self._wake_s += core.stalled_s  # a delay loop that is interrupted lasts longer
            core.stalled_s = 0.0
        while not self._waits and max(self._wake_s, core.stall_until) <= core.now:
            pause = next(self._main)
            if pause is None:
                self._waits = True
                self._wake_s = core.now
            else:
                self._wake_s = max(core.now, core.stall_until) + pause
                core.stalled_s = 0.0

    def changed(self) -> None:
        """Something was done to a slide or a pin from outside: let the inputs be read."""
        self.core.stepper.sync(self.core.now)
        self.core.stepper.look_ahead()
        self.core.check_pins()
        self._waits = False

    # From outside -----------------------------------------------------------------------------------------------

    def hardware_reset(self, silence_s: float = 0.0) -> None:
        """Press the reset button: RAM is lost, motion stops dead, a boot loader may keep silent for `silence_s`."""
        core = self.core
        core.stepper.stop(core.now)
        core.firmware.power_off(core)
        fresh = Core(
            core.eeprom,
            core.slides,
            homing_cycles=core.homing_cycles,
            firmware=core.firmware,
            eeprom_byte_s=core.eeprom_byte_s,
        )
        fresh.now = core.now
        fresh.stepper.last_motion_s = core.stepper.last_motion_s
        fresh.probe.closed = core.probe.closed
        core.tx.power_off()
        fresh.tx = core.tx
        self.core = fresh
        self._main = fresh.firmware.main(fresh)
        self._waits = False
        self._wake_s = self._boot_s = core.now + silence_s
        fresh.stall_until = 0.0

    def set_probe(self, *, closed: bool) -> None:
        """Close or open the probe input."""
        self.core.probe.closed = closed
        self.changed()

    @property
    def state(self) -> State:
        """What the controller is doing."""
        return self.core.state

    @property
    def quiescent(self) -> bool:
        """Nothing will happen before the next byte."""
        return math.isinf(self.next_event_s())
