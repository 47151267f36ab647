"""The axis suite over a real wire (pyserial): always on the simulated rails, and on a real one where the user asks for it.

A real rail moves! With ``FOCUSRAIL_RAIL_PORT=/dev/ttyUSB0 FOCUSRAIL_RAIL_MOVE=yes`` the suite runs on it: the carriage
moves up to 1.5 mm to either side of where it stands (profile: ``FOCUSRAIL_RAIL_PROFILE``), stops and starts many times,
the controller is soft-reset now and then, and it is homed where its homing is switched on. Clear the way first.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from rail.grbl.axis import GrblAxis
from rail.opening import open_axis
from rail.simulator import DeviceClock, RailOptions, SimulatedRail
from tests.rail.axis_suite import AxisSuite

PORT = os.environ.get("FOCUSRAIL_RAIL_PORT", "")
MAY_MOVE = os.environ.get("FOCUSRAIL_RAIL_MOVE", "") == "yes"
PROFILE = os.environ.get("FOCUSRAIL_RAIL_PROFILE") or None
SCALE = 8.0
"""Of device time; `SLOW` from the moment at which a thread has met a motion half way until it has done what it came for."""
SLOW = 0.25
_LEAD_S = 0.02
_REACTS_S = 30.0


class RaceClock(DeviceClock):
    """Device time that does not run away from the thread that looks for a place on the way, however busy the machine is."""

    def __init__(self) -> None:
        super().__init__(SCALE)
        self._lock = threading.Lock()
        self._looked_s = time.monotonic()
        self._now = 0.0
        self._until = math.inf

    def now(self) -> float:
        with self._lock:
            real = time.monotonic()
            self._now = max(self._now, min(self._now + (real - self._looked_s) * self.scale, self._until))
            self._looked_s = real
            return self._now

    def run(self, scale: float, *, lead_s: float = math.inf) -> None:
        """From now on so fast, and `lead_s` of device time at most until this is called again."""
        now = self.now()
        self.scale, self._until = scale, now + lead_s


class WiredRig:
    """A rail behind a URL, timed by the wall clock."""

    can_home = False

    def __init__(self, url: str, profile: str | None = None) -> None:
        self.url = url
        self._profile = profile
        self._threads: list[threading.Thread] = []
        self._over = threading.Event()

    def open(self) -> GrblAxis:
        return open_axis(self.url, self._profile)

    def steps(self) -> int | None:
        return None

    def call_when(self, condition: Callable[[], bool], call: Callable[[], object]) -> None:
        def wait() -> None:
            while not self._over.wait(0.005):
                if condition():
                    call()
                    return

        thread = threading.Thread(target=wait)
        self._threads.append(thread)
        thread.start()

    def interrupt(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def kill(self, axis: GrblAxis) -> None:
        axis._controller.link._port.close()

    def restart(self) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)


class SimulatedRig(WiredRig):
    """The simulated rail on TCP, at a multiple of real time."""

    def __init__(self, options: RailOptions) -> None:
        self.can_home = options.switches
        self._clock = RaceClock()
        self.rail = SimulatedRail(options, self._clock)
        self.rail.start()
        super().__init__(self.rail.url)

    def steps(self) -> int | None:
        return self.rail.controller.core.slides[0].rest.rotor

    def call_when(self, condition: Callable[[], bool], call: Callable[[], object]) -> None:
        def look() -> bool:
            met = condition()
            self._clock.run(SLOW if met else SCALE, lead_s=math.inf if met else _LEAD_S)
            return met

        def act() -> None:
            call()
            self._clock.run(SCALE)

        self._clock.run(SCALE, lead_s=_LEAD_S)
        super().call_when(look, act)

    def interrupt(self) -> None:
        super().interrupt()
        end = time.monotonic() + _REACTS_S
        while self.rail._client is not None and time.monotonic() < end:
            self._over.wait(0.002)

    def restart(self) -> None:
        self.rail.inject("reset", {})

    def finish(self) -> None:
        super().finish()
        self.rail.stop()


class TestSimulatedRail(AxisSuite):
    @pytest.fixture
    def rig(self) -> Iterator[SimulatedRig]:
        rig = SimulatedRig(RailOptions(max_rate_mm_min=200, acceleration_mm_s2=50))
        yield rig
        rig.finish()


class TestGrblHal(AxisSuite):
    @pytest.fixture
    def rig(self) -> Iterator[SimulatedRig]:
        rig = SimulatedRig(RailOptions(dialect="grblhal", max_rate_mm_min=200, acceleration_mm_s2=50))
        yield rig
        rig.finish()


class TestFluidNc(AxisSuite):
    @pytest.fixture
    def rig(self) -> Iterator[SimulatedRig]:
        rig = SimulatedRig(RailOptions(dialect="fluidnc", max_rate_mm_min=200, acceleration_mm_s2=50))
        yield rig
        rig.finish()


class TestMarlin(AxisSuite):
    @pytest.fixture
    def rig(self) -> Iterator[SimulatedRig]:
        rig = SimulatedRig(RailOptions(dialect="marlin", max_rate_mm_min=200, acceleration_mm_s2=50))
        yield rig
        rig.finish()


class TestSimulatedRailWithSwitch(AxisSuite):
    """One that homes: what has to do with homing, over the wire."""

    @pytest.fixture
    def rig(self) -> Iterator[SimulatedRig]:
        rig = SimulatedRig(RailOptions(switches=True, max_rate_mm_min=300, acceleration_mm_s2=100, travel_um=8000))
        with rig.open() as axis:
            axis.unlock()
        yield rig
        rig.finish()


if PORT and MAY_MOVE:  # not collected at all otherwise: moving somebody's hardware is nothing to do unasked

    @pytest.mark.hardware
    @pytest.mark.timeout(600)
    class TestRealRail(AxisSuite):
        reach_um = 1500.0
        can_restart = False

        @pytest.fixture
        def rig(self) -> Iterator[WiredRig]:
            rig = WiredRig(PORT, PROFILE)
            with rig.open() as axis:
                rig.can_home = axis.capabilities.can_home
                axis._controller.forget_origin()
            yield rig
            rig.finish()
