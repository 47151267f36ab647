"""Random sequences of moves, jogs, holds, kills and reopenings: at every rest the position equals the steps counted outside."""

from __future__ import annotations

import random

import pytest

from rail.axis import AxisState
from rail.errors import RailLimitError, RailPortError, RailStoppedError
from tests.rail.grbl_virtual import VirtualRail

RAILS = {
    "T8 lead 8": {"steps_per_mm": 400.0},
    "T8 lead 2": {"steps_per_mm": 1600.0},
    "T8 lead 1": {"steps_per_mm": 3200.0, "profile": "approach = 'negative'"},
    "DVD sled": {"steps_per_mm": 106.667, "profile": "invert = true"},
    "16 tpi in inches": {"steps_per_mm": 2015.748, "settings": {13: 1}},
    "fine focus": {"steps_per_mm": 24_000.0, "settings": {10: 2}},
    "grblHAL": {"dialect": "grblhal", "steps_per_mm": 3200.0},
    "FluidNC": {"dialect": "fluidnc", "steps_per_mm": 1600.0},
    "Marlin": {"dialect": "marlin", "steps_per_mm": 1600.0},
}
REACH = 3000.0


class Campaign:
    def __init__(self, name: str, seed: int) -> None:
        self.rng = random.Random(seed)
        self.rail = VirtualRail(**RAILS[name])  # type: ignore[arg-type]
        self.axis = self.rail.open()
        self.axis.zero()
        self.origin = self.rail.steps()

    def place(self) -> float:
        return self.rng.uniform(-REACH, REACH)

    def act(self, what: str) -> None:
        rng, rail, axis = self.rng, self.rail, self.axis
        if what == "move":
            axis.move_to(self.place())
        elif what == "near":
            axis.move_to((axis.status().position or 0.0) + rng.uniform(-5, 5))
        elif what == "jog":
            axis.jog(rng.uniform(-800, 800))
        elif what == "zero":
            axis.zero()
            self.origin = rail.steps()
        elif what == "hold a move":
            rail.call_later(rng.uniform(0, 1.0), axis.stop)
            axis.move_to(self.place())
        elif what == "hold a jog":
            rail.call_later(rng.uniform(0, 0.5), axis.stop)
            axis.jog(rng.uniform(-800, 800))
        elif what == "interrupt":
            rail.call_later(rng.uniform(0, 1.0), rail.interrupt)
            axis.move_to(self.place())
        elif what == "reopen":
            axis.close()
            self.axis = rail.open()
        else:
            rail.call_later(rng.uniform(0, 1.0), lambda: rail.kill(axis))
            axis.move_to(self.place())

    def run(self, count: int) -> None:
        kinds = ["move", "near", "jog", "zero", "hold a move", "hold a jog", "interrupt", "reopen", "kill"]
        for number in range(count):
            what = self.rng.choices(kinds, weights=[4, 3, 3, 1, 3, 3, 2, 2, 2])[0]
            try:
                self.act(what)
            except RailPortError:
                self.axis = self.rail.open()
            except (RailStoppedError, RailLimitError, KeyboardInterrupt):
                pass
            self.rail.port.forget_calls()
            self.check(f"{number}: {what}")

    def check(self, what: str) -> None:
        status = self.axis.status()
        assert status.state is AxisState.IDLE, what
        assert status.position_known, what
        assert status.position is not None
        sign = -1 if self.axis.profile.invert else 1
        steps = sign * status.position / self.axis.capabilities.resolution
        assert steps == pytest.approx(self.rail.steps() - self.origin, abs=1e-4), what


@pytest.mark.parametrize("name", RAILS)
def test_position_equals_counted_steps(name: str) -> None:
    Campaign(name, seed=7).run(120)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", RAILS)
def test_position_equals_counted_steps_in_a_long_campaign(name: str) -> None:
    Campaign(name, seed=8).run(10_000)
