"""A simulated GRBL controller on a port without wall-clock time: waiting costs nothing, and every run is the same."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from rail.grbl.axis import GrblAxis
from rail.grbl.link import Link
from rail.profiles import RailProfile, parse_profile
from rail.simulator.controller import ONE_AXIS_HOMING, STOCK_HOMING, GrblController
from rail.simulator.dialects import X_ALONE
from rail.simulator.eeprom import Eeprom
from rail.simulator.options import FIRMWARES
from rail.simulator.slide import Slide, SlideSpec

READ_S = 0.02


class VirtualPort:
    """Bytes to and from a `GrblController`; reading lets its time pass. `at` runs a callback once that time has come."""

    def __init__(self, controller: GrblController) -> None:
        self.controller = controller
        self.sent = bytearray()
        self.closed = False
        self.unplugged = False
        self.mangle_out: Callable[[bytes], bytes] = lambda data: data
        self.mangle_in: Callable[[bytes], bytes] = lambda data: data
        self._buffer = bytearray()
        self._calls: list[tuple[float, Callable[[], object]]] = []
        self.when: tuple[Callable[[], bool], Callable[[], object]] | None = None

    @property
    def now(self) -> float:
        return self.controller.core.now

    def at(self, delay_s: float, call: Callable[[], object]) -> None:
        self._calls.append((self.now + delay_s, call))

    def forget_calls(self) -> None:
        self._calls.clear()

    @property
    def in_waiting(self) -> int:
        self._plugged()
        self._buffer += self.mangle_in(self.controller.take_output())
        return len(self._buffer)

    def read(self, size: int = 1, /) -> bytes:
        self._plugged()
        end = self.now + READ_S
        while not self.in_waiting and self.now < end:
            due = min([end, self.controller.next_event_s(), *(when for when, _ in self._calls)])
            self.controller.advance(max(due, self.now))
            ready = [entry for entry in self._calls if entry[0] <= self.now]
            self._calls = [entry for entry in self._calls if entry not in ready]
            for _, call in ready:
                call()
            self._plugged()
        if self.when is not None and self.when[0]():
            call, self.when = self.when[1], None
            call()
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def write(self, data: bytes, /) -> int:
        self._plugged()
        self.sent += data
        self.controller.receive(self.mangle_out(bytes(data)))
        return len(data)

    def close(self) -> None:
        self.closed = True

    def _plugged(self) -> None:
        if self.closed or self.unplugged:
            raise OSError(5, "Input/output error")


class VirtualRail:
    """A rail that outlives the programs that open it.

    Attributes
    ----------
    reset_on_open : bool
        Opening presses the reset button, as an Uno does.
    """

    def __init__(
        self,
        *,
        steps_per_mm: float = 400.0,
        settings: dict[int, float] | None = None,
        backlash_um: float = 0.0,
        homing: bool = False,
        stock_homing: bool = False,
        profile: str = "",
        reset_on_open: bool = False,
        dialect: str = "grbl",
    ) -> None:
        eeprom = Eeprom()
        if dialect == "grblhal" and not stock_homing:
            eeprom.extra.update(X_ALONE)
        if dialect == "grblhal" and not homing:
            eeprom.settings[5] = 1  # nothing is wired to its normally closed inputs
        eeprom.settings.update({1: 255, 100: steps_per_mm, 110: 120, 120: 50, 22: int(homing), **(settings or {})})
        spec = SlideSpec(
            1000.0 / eeprom.settings[100], backlash_um, switch_um=29_000.0 if homing else None, switch_at_high=True
        )
        free = SlideSpec(1000.0 / 250.0)
        self.slide = Slide(spec)
        self.homing = homing
        self.reset_on_open = reset_on_open
        self.profile: RailProfile = parse_profile(f"name = 'test'\n{profile}", source="test")
        self.controller = GrblController(
            eeprom,
            (self.slide, Slide(free), Slide(free)),
            homing_cycles=STOCK_HOMING if stock_homing else ONE_AXIS_HOMING,
            firmware=FIRMWARES[dialect],
        )
        self.controller.advance(1.0)
        self.controller.take_output()
        self.port = VirtualPort(self.controller)

    @property
    def can_home(self) -> bool:
        return self.homing

    @property
    def step_um(self) -> float:
        return self.slide.spec.um_per_step

    def open(self) -> GrblAxis:
        self.controller.advance(self.controller.core.now + 0.5)
        self.port = VirtualPort(self.controller)
        if self.reset_on_open:
            self.controller.hardware_reset(1.5)
        self.controller.take_output()
        port = self.port
        return GrblAxis.connect(Link(port, clock=lambda: port.now), self.profile)

    def steps(self) -> int:
        """Pulses that the motor has followed, signed: counted outside the controller."""
        return self.slide.rest.rotor

    def carriage_um(self) -> float:
        return self.slide.carriage_um

    def moving(self) -> bool:
        before = self.slide.pulses
        self.controller.advance(self.controller.core.now + 0.2)
        return self.slide.pulses != before

    def call_later(self, delay_s: float, call: Callable[[], object]) -> None:
        self.port.at(delay_s, call)

    def call_when(self, condition: Callable[[], bool], call: Callable[[], object]) -> None:
        self.port.when = (condition, call)

    def interrupt(self) -> None:
        raise KeyboardInterrupt

    def kill(self, axis: GrblAxis) -> None:
        """The program is gone without a goodbye."""
        with suppress(OSError):
            axis._controller.link._port.close()

    def restart(self) -> None:
        """Power off and on."""
        self.controller.hardware_reset()

    def finish(self) -> None:
        """Nothing to clear away."""
