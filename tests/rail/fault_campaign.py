"""Faults at random moments of whatever a rail is doing, on every simulated controller, in device time."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

from rail.axis import AxisState
from rail.errors import RailAlarmError, RailError, RailPortError, RailTimeoutError
from rail.marlin.protocol import HALTED
from tests.rail.faults import Befallen
from tests.rail.grbl_virtual import VirtualRail

FAULTS = (
    *("reset", "boot loader", "unplug", "soft reset", "hold", "switch"),
    *("drop_in", "drop_out", "flip_in", "flip_out", "mute", "cut"),
)
WIRE = frozenset({"drop_in", "drop_out", "flip_in", "flip_out"})  # these wait for a byte
NOT_MARLINS = frozenset({"soft reset", "hold"})  # it has no such bytes
SCATTER_STEPS = 3  # of a switch
REPORT_UM = 1.0
HOME_UM = 28_000.0  # the switch, less $27


class Campaign:
    """One rail, one fault after the other."""

    def __init__(self, dialect: str, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.dialect = dialect
        self.homing = chance.random() < 0.5
        switch = {21: float(dialect != "marlin" and chance.random() < 0.7), 130: 60, 25: 1500, 24: 100}
        self.rail = VirtualRail(
            dialect=dialect,
            homing=self.homing,
            steps_per_mm=chance.choice([400.0, 1600.0, 3200.0]),
            settings={110: 600, 120: chance.choice([50, 200]), **(switch if self.homing else {})},
            backlash_um=60.0,
            profile="backlash_um = 80",
        )
        self.axis = self.rail.open()
        self.origin: int | None = None
        self.maybe: int | None = None
        self.home_steps: int | None = None
        self.damaged = False
        self.struck: list[float] = []
        self.figures = Befallen()

    def settle(self) -> None:
        """A known position, whatever was before."""
        rail, axis = self.rail, self.axis
        rail.slide.stuck = None
        rail.controller.changed()
        if axis.status().state is not AxisState.IDLE:
            self.unlock()
        if axis.status().position_known:
            return
        if rail.slide.pressed() or (self.homing and self.chance.random() < 0.5):
            try:
                axis.home()
            except RailAlarmError as error:
                if error.code not in {8, HALTED}:  # farther onto the switch than it backs off
                    raise
                self.unlock()
                while rail.slide.pressed():
                    with suppress(RailAlarmError):  # a hard limit is either edge
                        axis.jog(-3000)
                    self.unlock()
                axis.home()
            if self.home_steps is None:
                self.home_steps = rail.steps()
        else:
            axis.zero()
        self.origin = rail.steps()

    def unlock(self) -> None:
        try:
            self.axis.unlock()
        except RailAlarmError:
            if self.dialect != "marlin":
                raise
            self.press_reset()
            self.axis.unlock()

    def press_reset(self) -> None:
        """A Marlin that has halted itself hears nothing else: homing failed, or M114 with bytes lost was M112 to its emergency parser."""
        self.rail.restart()
        self.rail.controller.advance(self.rail.controller.core.now + 1.0)

    def operate(self, what: str) -> None:
        axis, chance = self.axis, self.chance
        if what == "move":
            low, high = axis.limits
            here = (self.rail.steps() - (self.origin or 0)) * axis.capabilities.resolution
            target = min(max(here + chance.choice([-1, 1]) * chance.uniform(300, 6000), low), high)
            if (
                self.dialect == "marlin" and self.homing
            ):  # its own soft end stop, where it homed, would end the move before
                target = min(target, here + HOME_UM - self.rail.carriage_um())
            axis.move_to(target)
        elif what == "jog":
            axis.jog(-chance.uniform(300, 3000))
        elif what == "home":
            self.maybe = self.home_steps  # broken off at its end, it may have set its origin
            axis.home()
            self.origin = self.rail.steps()
        elif what == "press":
            axis.pulse((("M8", chance.uniform(0.2, 1.0)),), rest_s=0.2)
        else:
            self.maybe = self.rail.steps()
            axis.zero()
            self.origin = self.rail.steps()

    def strike(self, fault: str) -> None:
        if fault not in WIRE:
            self.struck.append(self.rail.port.now)
        rail, port, core = self.rail, self.rail.port, self.rail.controller.core
        if fault in {"reset", "boot loader"}:
            rail.controller.hardware_reset(1.6 if fault == "boot loader" else self.chance.choice([0.0, 0.3]))
        elif fault == "unplug":
            port.unplugged = True
        elif fault in {"soft reset", "hold"}:
            rail.controller.receive(b"\x18" if fault == "soft reset" else b"!")
        elif fault == "switch":
            if self.dialect == "marlin":
                core.raise_alarm(1)
            else:
                core.hard_limit()
            rail.controller.changed()
        elif fault in {"mute", "cut"}:
            port.mangle_in = lambda data: b""
            if fault == "cut":
                port.mangle_out = lambda data: b""
        if fault in WIRE:
            self.damaged = True
            kind, way = fault.split("_")
            setattr(port, f"mangle_{way}", self.damage(kind))

    def damage(self, kind: str) -> Callable[[bytes], bytes]:
        """One to three bytes lost or changed, some bytes from now."""
        chance, left, skip = self.chance, [self.chance.randrange(1, 4)], [self.chance.randrange(0, 60)]

        def mangle(data: bytes) -> bytes:
            out = bytearray()
            for byte in data:
                if skip[0] > 0 or left[0] == 0:
                    skip[0] -= 1
                    out.append(byte)
                    continue
                if not self.struck:
                    self.struck.append(self.rail.port.now)
                left[0] -= 1
                if kind == "flip":
                    out.append(byte ^ 1 << chance.randrange(8))
            return bytes(out)

        return mangle

    def round(self, fault: str) -> None:
        rail, chance = self.rail, self.chance
        self.settle()
        self.struck = struck = []
        self.maybe = None
        what = chance.choices(["move", "jog", "home", "press", "zero"], [6, 2, 2 * self.homing, 2, 1])[0]
        if fault == "switch" and what == "home":  # which is looking for it
            what = "move"
        rail.call_later(chance.uniform(0.0, chance.choice([0.1, 1.0, 3.0])), lambda: self.strike(fault))
        error: RailError | None = None
        try:
            self.operate(what)
        except RailError as caught:
            error = caught
            assert error.remedy, (what, error)
        took_s = rail.port.now - struck[0] if struck else 0.0
        rail.port.forget_calls()
        figures = self.figures
        figures.came[fault] += bool(struck)
        if struck and error is not None:
            figures.told[fault] += 1
            if what != "home" and not isinstance(error, RailPortError):
                figures.took(f"{fault} in {what}", took_s)
        self.after(fault, what)
        if not self.right(what, fault):
            figures.lost[fault] += 1

    def after(self, fault: str, what: str) -> None:
        """The fault ends, and what can be reached stands still."""
        rail = self.rail
        unreached = fault in {"unplug", "cut"}
        core = rail.controller.core
        if not unreached:
            rail.controller.advance(core.now + 0.5)  # to brake; a board that homes alone hears nothing but a reset
            assert what == "home" or not rail.moving(), (fault, what)
        rail.port.mangle_in = rail.port.mangle_out = lambda data: data
        rail.controller.advance(core.now + 2.0)
        if (fault == "unplug" and rail.port.unplugged) or self.chance.random() < 0.1:
            if self.axis._controller.link.alarm == HALTED:
                self.press_reset()
            self.axis.close()
            self.axis = rail.open()
        state = self.axis.status().state
        if state in {AxisState.HOLDING, AxisState.MOVING, AxisState.UNKNOWN, AxisState.HOMING}:
            try:
                self.axis.stop()
            except RailTimeoutError:
                if self.dialect != "marlin":
                    raise
                self.press_reset()  # it halted itself while nothing came through
                self.unlock()
        if fault == "switch" or what == "press":  # what may have stayed pressed goes with the next that is said to it
            self.unlock()
        assert not rail.moving(), (fault, what)

    def right(self, what: str, fault: str) -> bool:
        """True where a position is believed; then it is the counted one."""
        status = self.axis.status()
        if status.position is None:
            return False
        assert self.origin is not None
        if what == "home" and self.home_steps is None and abs(self.rail.carriage_um() - HOME_UM) < 100:
            self.maybe = self.home_steps = self.rail.steps()
        origin = self.rail.steps() - round(status.position / self.axis.capabilities.resolution)
        if self.maybe is not None and abs(origin - self.maybe) <= (SCATTER_STEPS if what == "home" else 1):
            self.origin = origin
        # Where a report does not tell steps apart, a damaged last digit shows to nobody.
        slack = int(REPORT_UM / 2 / self.axis.capabilities.resolution) if self.damaged else 0
        assert abs(origin - self.origin) <= slack, (what, fault)
        if status.homed and self.home_steps is not None:
            assert abs(self.origin - self.home_steps) <= SCATTER_STEPS, (what, fault)
        return True


def befall(dialect: str, count: int, seed: int) -> Befallen:
    """`count` operations with a fault in each, on a new rail every twelve."""
    faults = [fault for fault in FAULTS if dialect != "marlin" or fault not in NOT_MARLINS]
    figures = Befallen()
    campaign = Campaign(dialect, seed)
    for number in range(count):
        if number % 12 == 0:
            campaign = Campaign(dialect, seed * 1000 + number)
            campaign.figures = figures
        fault = faults[number % len(faults)]
        try:
            campaign.round(fault)
        except Exception as error:
            error.add_note(f"{dialect}, seed {seed}, round {number}: {fault}")
            raise
    return figures
