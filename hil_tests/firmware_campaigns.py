"""Campaigns against firmware in the AVR simulator; they know nothing of one firmware, only of GRBL's protocol.

Each returns what it counted, for docs/campaigns-rail.md. The host's driver is the real one, on a real (pseudo-)terminal; host and
simulated MCU take turns (see `PacedPort`), so that the figures are those of an idle machine.
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from hil_tests.firmware_sim import ELF, LOCKSTEP, Build, FirmwareBench, open_paced
from rail.axis import AxisState
from rail.errors import RailError
from rail.grbl.axis import GrblAxis
from tests.rail.faults import Befallen

REACH_UM = 3000.0


@dataclass
class Wandered:
    """What `wander` did; every rest was compared, exactly, or an assertion would have ended it."""

    done: Counter[str] = field(default_factory=Counter)
    rests: int = 0
    pulses: int = 0


def wander(build: Build, count: int, seed: int) -> Wandered:
    """Random moves, jogs, holds and cancels: at every rest the host's position is what was counted outside."""
    chance = random.Random(seed)
    figures = Wandered()
    with build.start(speed=LOCKSTEP) as bench, open_paced(bench) as axis:
        axis.zero()
        start = bench.steps
        for _ in range(count):
            here = axis.status().position
            assert here is not None
            kind = chance.choice(("move", "move", "jog", "held", "cancelled"))
            target = chance.uniform(-REACH_UM, REACH_UM)
            if kind in {"held", "cancelled"}:
                # A hold or a jog cancel that nobody here asked for, at some step of this motion or a later one.
                byte = "21" if kind == "held" else "85"
                bench.command(
                    "send", hex=byte, at_pulses=chance.randrange(1, int(1500 * 0.625 / build.um_per_step) + 50)
                )
            try:
                if kind in {"move", "held"}:
                    axis.move_to(target)
                else:
                    axis.jog((target - here) / (4 if kind == "jog" else 1))
            except RailError as error:
                if "Hold" not in str(error) and "instead of" not in str(error):
                    raise
            status = axis.stop()
            truth = bench.truth()
            counted_um = (truth["steps"] - start) * build.um_per_step
            assert status.state is AxisState.IDLE, (kind, status)
            assert status.position == pytest.approx(counted_um, abs=1e-6), (kind, status, counted_um)
            figures.done[kind] += 1
            figures.rests += 1
            figures.pulses = truth["pulses"]
    return figures


VISIBLE = (
    *("reset", "power", "unplug", "soft_reset", "hold", "switch"),
    *("drop_in", "drop_out", "flip_in", "flip_out"),
)
"""Faults that show on the wire, if they do any harm."""

ALWAYS_LOSES = ("reset", "power", "soft_reset", "switch")


def inject(bench: FirmwareBench, fault: str, pulses: int, chance: random.Random) -> None:
    """Let `fault` happen that many pulses from now; faults of the wire at any byte of the lines and answers before that, or after."""
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
        if chance.random() < 0.8:
            at = {"after": chance.randrange(60 if way == "in" else 150)}
        bench.command(kind, bytes=chance.randrange(1, 4), out=way == "out", **at)


def believed(axis: GrblAxis) -> float | None:
    status = axis.status()
    return status.position if status.position_known and status.state is AxisState.IDLE else None


def befall(build: Build, count: int, seed: int) -> Befallen:
    """`count` moves with a fault in each: then nothing moves, and a position is right or not believed."""
    chance = random.Random(seed)
    figures = Befallen()
    with build.start("--switch-um", "-1e8", speed=LOCKSTEP, setup=("$21=1",)) as bench:
        axis = open_paced(bench)
        sums = axis._controller.link.sums
        assert sums is (build.elf == ELF)
        origin: int | None = None
        for number in range(count):
            fault = VISIBLE[number % len(VISIBLE)]
            if origin is None:
                axis.zero()
                origin = bench.steps
            bench.command("events")
            bench.command("record", on=True)
            here_um = axis.status().position or 0.0
            inject(bench, fault, chance.randrange(0, int(1800 / build.um_per_step)), chance)
            error = None
            target_um = chance.uniform(1000, 3000) * (-1 if here_um > 0 else 1)
            try:
                axis.move_to(target_um)
            except RailError as caught:
                error = caught
            noticed_s = bench.truth()["mcu_s"]
            way_um = [(steps - origin) * build.um_per_step for _, steps in bench.command("recorded")["pulses"]]
            if sums and way_um:  # where lines have sums no damage sends the carriage elsewhere
                slack_um = 2 * build.um_per_step
                low_um, high_um = sorted((here_um, target_um))
                assert low_um - axis.profile.take_up_um - slack_um <= min(way_um), (number, fault)
                assert max(way_um) <= high_um + slack_um, (number, fault)
            events = [e["t_us"] * 1e-6 for e in bench.command("events")["events"] if e["pin"] == "fault"]
            figures.came[fault] += bool(events)
            if error is not None:
                assert error.remedy, error
                figures.told[fault] += 1
                if events:
                    figures.took(fault, noticed_s - events[0])
            # The fault may be still to come: away with it by moving on where that is possible.
            bench.command("forget")
            bench.command("switch", **{"is": "free"})
            bench.command("pass", s=0.1)
            if axis.status().state is AxisState.HOLDING:  # it came with the last step: still there, and harmless
                axis.stop()
            here = believed(axis)
            if fault == "unplug":
                bench.command("plug")
                axis.close()
                axis = open_paced(bench)
                here = believed(axis)
            rest = bench.truth()["pulses"]
            bench.command("pass", s=0.05)
            assert bench.truth()["pulses"] == rest, (number, fault, "still moving")
            if here is None:
                figures.lost[fault] += 1
                origin = None
                if axis.status().state is not AxisState.IDLE:
                    axis.unlock()
                continue
            assert here == pytest.approx((bench.steps - origin) * build.um_per_step, abs=1e-6), (number, fault, error)
        axis.close()
    return figures


@dataclass
class Slipped:
    """What `slip` did: rounds by fault, how many of the harmful were told at the switch, and false alarms."""

    harmful: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    harmless: int = 0
    false_alarms: int = 0


NOTABLE_STEPS = 3
"""A switch repeats to so many steps: what is less need not be told."""

HOMING = ("$130=12", "$23=1", "$27=0.5", "$25=600", "$24=60", "$22=1", "$20=1", "$X")
"""For our firmware, which compares by itself."""

COMPARED_HOMING = ("$130=12", "$23=1", "$27=0.5", "$25=300", "$24=60", "$26=25", "$22=1", "$20=0", "$X")
"""For one that does not, so that the driver compares: without soft limits."""


def slip(build: Build, count: int, seed: int, homing: tuple[str, ...] = HOMING) -> Slipped:
    """What the wire cannot show: the motor jams, loses steps, is turned by hand. Homing tells, and mends it."""
    chance = random.Random(seed)
    figures = Slipped()
    options = ("--switch-um", "-3000", "--low-stop-um", "-4500", "--high-stop-um", "12000")
    with build.start(*options, speed=LOCKSTEP, setup=homing) as bench, open_paced(bench) as axis:
        axis.home()
        home_um = bench.truth()["carriage_um"]
        for _ in range(count):
            fault = chance.choice(("jam", "lose", "push", "none"))
            axis.move_to(chance.uniform(1000, 3000))
            before = bench.truth()
            if fault == "jam":
                bench.command("jam", on=True, at_pulses=chance.randrange(10, 300))
            elif fault == "lose":
                bench.command("lose", steps=chance.randrange(2, 200), at_pulses=chance.randrange(10, 300))
            elif fault == "push":
                bench.command("push", um=chance.choice((-1, 1)) * chance.uniform(3, 300) * build.um_per_step)
            with contextlib.suppress(RailError):
                axis.move_to(chance.uniform(4000, 7000))
            bench.command("jam", on=False)
            bench.command("forget")
            bench.command("lose", steps=0)
            after = bench.truth()
            off = (after["rotor"] - after["steps"]) - (before["rotor"] - before["steps"])
            told = len(axis.notices)
            status = axis.home()
            said = len(axis.notices) > told
            if abs(off) > NOTABLE_STEPS:
                figures.harmful[fault] += 1
                figures.told[fault] += said
            elif off == 0:
                figures.harmless += 1
                figures.false_alarms += said
            assert status.position == 0.0
            assert bench.truth()["carriage_um"] == pytest.approx(home_um, abs=build.um_per_step)
    return figures
