"""Faults on the firmware's rail at random moments: what the wire can show is noticed, and no wrong position is believed."""

from __future__ import annotations

import logging
import os
import random

import pytest

from hil_tests.firmware_sim import FirmwareBench, Terminal
from rail.axis import AxisState
from rail.errors import RailError
from rail.grbl.axis import GrblAxis
from rail.opening import open_axis

pytestmark = [pytest.mark.xdist_group("firmware"), pytest.mark.timeout(300)]

UM_PER_STEP = 4.0
FAULTS = ("reset", "power", "unplug", "drop_in", "drop_out", "flip_in", "flip_out", "soft_reset", "hold", "switch")


def inject(bench: FirmwareBench, fault: str, pulses: int, chance: random.Random) -> None:
    """Let `fault` happen that many pulses from now."""
    at = {"at_pulses": pulses}
    if fault in {"reset", "power"}:
        bench.command("reset", power=fault == "power", **at)
    elif fault == "unplug":
        bench.command("unplug", keep_power=chance.random() < 0.5, **at)
    elif fault == "soft_reset":
        bench.command("send", hex="18", **at)
    elif fault == "hold":
        bench.command("send", hex="21", **at)
    elif fault == "switch":
        bench.command("switch", **{"is": "pressed"}, **at)
    else:
        kind, way = fault.split("_")
        bench.command(kind, bytes=chance.randrange(1, 4), out=way == "out", **at)


def believed(axis: GrblAxis) -> float | None:
    status = axis.status()
    return status.position if status.position_known and status.state is AxisState.IDLE else None


def campaign(count: int, seed: int) -> dict[str, int]:
    """`count` moves with a fault in each; how often the position was lost, by fault."""
    chance = random.Random(seed)
    lost = dict.fromkeys(FAULTS, 0)
    with FirmwareBench("--um-per-step", str(UM_PER_STEP), speed=20) as bench:
        terminal = Terminal(bench)
        terminal.until("Grbl")
        terminal.do("$100=250", "$110=600", "$120=300", "$270=20000", "$21=1")
        terminal.close()
        axis = open_axis(bench.url)
        origin: int | None = None
        for number in range(count):
            fault = FAULTS[number % len(FAULTS)]
            if origin is None:
                axis.zero()
                origin = bench.steps
            inject(bench, fault, chance.randrange(0, 450), chance)
            error = None
            try:
                axis.move_to(chance.uniform(1000, 3000) * (-1 if (axis.status().position or 0) > 0 else 1))
            except RailError as caught:
                error = caught
            assert error is None or error.remedy, error
            # The fault may be still to come: away with it by moving on where that is possible.
            bench.command("forget")
            bench.command("switch", **{"is": "free"})
            bench.command("pass", s=0.1)
            here = believed(axis)
            if fault == "unplug":
                bench.command("plug")
                axis.close()
                axis = open_axis(bench.url)
                here = believed(axis)
            if here is None:
                lost[fault] += 1
                origin = None
                if axis.status().state is not AxisState.IDLE:
                    axis.unlock()
                continue
            assert here == pytest.approx((bench.steps - origin) * UM_PER_STEP, abs=1e-6), (number, fault, error)
        axis.close()
    return lost


def check(lost: dict[str, int], rounds: int) -> None:
    """What must lose the position did, and what need not did not always."""
    for fault in ("reset", "power", "soft_reset", "switch"):
        assert lost[fault] > 0.7 * rounds, lost
    assert lost["unplug"] > 0, lost
    assert lost["hold"] == 0, lost


def test_faults_at_random_moments() -> None:
    logging.getLogger("rail").setLevel(logging.ERROR)
    check(campaign(40, 1), 4)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_faults_at_random_moments_long() -> None:
    each = int(os.environ.get("FOCUSRAIL_FAULTS", "500"))
    check(campaign(each * len(FAULTS), 2), each)
