"""The firmware's motion, counted step by step outside of it: exact places, holds, cancels, and how smooth it is."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import numpy as np
import pytest

from hil_tests.firmware_sim import LOCKSTEP, FirmwareBench, Terminal

pytestmark = pytest.mark.timeout(120)

STEPS_PER_MM = 250.0
FINE_UM = 0.625


@pytest.fixture(scope="module")
def bench() -> Iterator[FirmwareBench]:
    with FirmwareBench("--um-per-step", "4", speed=LOCKSTEP) as bench:
        yield bench


@pytest.fixture
def terminal(bench: FirmwareBench) -> Iterator[Terminal]:
    bench.command("reset", power=True)
    terminal = Terminal(bench)
    terminal.lines(0.2)
    terminal.do("$100=250", "$110=600", "$120=200", "$270=10000")
    yield terminal
    terminal.close()


def mpos(report: str) -> float:
    return float(report.split("MPos:")[1].split(",")[0])


def test_every_way_is_exact(bench: FirmwareBench, terminal: Terminal) -> None:
    """From one step up, over every shape of ramp, with and without jerk limit."""
    chance = random.Random(3)
    place, start = 0, bench.steps
    for jerk in (0, 100, 10_000, 500_000):
        terminal.do(f"$270={jerk}")
        for size in (1, 2, 3, 7, 20, 100, 900):
            place += chance.choice((-1, 1)) * size
            feed = chance.choice((60, 150, 600))
            terminal.do(f"G53G1X{place / STEPS_PER_MM:.5f}F{feed}")
            terminal.rest()
            assert bench.steps - start == place
            assert mpos(terminal.report()) == pytest.approx(place / STEPS_PER_MM, abs=0.0005)


def test_pulses_are_long_enough_and_not_too_fast(bench: FirmwareBench, terminal: Terminal) -> None:
    terminal.do("$110=6000", "$120=5000", "$270=1000000")  # 25000 steps/s
    bench.command("clear_times")
    terminal.do("G53G0X30", "G53G0X0")
    terminal.rest()
    truth = bench.truth()
    assert truth["steps"] == truth["rotor"]
    assert truth["min_high_us"] >= 9.5
    assert truth["min_setup_us"] >= 500
    assert 1e6 / 25_000 * 0.6 < truth["min_interval_us"] < 1e6 / 25_000 * 1.05


def test_hold_and_resume_lose_no_step(bench: FirmwareBench, terminal: Terminal) -> None:
    start = bench.steps
    terminal.do("$110=300")
    for wait in (0.01, 0.05, 0.1, 0.2, 0.7):
        terminal.do("G53G1X4F300", "G53G1X0F300")
        terminal.lines(wait)
        terminal.write("!")
        terminal.lines(0.4)
        assert terminal.state() == "Hold:0"
        held = bench.steps
        assert mpos(terminal.report()) == pytest.approx((held - start) / STEPS_PER_MM, abs=0.0005)
        terminal.lines(0.3)
        assert bench.steps == held
        terminal.write("~")
        terminal.rest()
        assert bench.steps == start


def test_a_jog_is_cancelled_within_100_ms(bench: FirmwareBench, terminal: Terminal) -> None:
    start = bench.steps
    for wait in (0.02, 0.1, 0.4):
        terminal.do("$J=G91X20F600", "$J=G91X5F600")
        terminal.lines(wait)
        before = bench.truth()
        terminal.write("\x85")
        while terminal.state() != "Idle":
            assert bench.truth()["mcu_s"] < before["mcu_s"] + 2
        after = bench.truth()
        last_step_s = after["mcu_s"] - after["still_s"]
        assert last_step_s - before["mcu_s"] < 0.1
        assert mpos(terminal.report()) == pytest.approx((after["steps"] - start) / STEPS_PER_MM, abs=0.0005)
    terminal.do("$J=G53X0F600")
    while terminal.state() != "Idle":
        pass
    assert bench.steps == start


def test_reset_in_motion_stops_and_says_so(bench: FirmwareBench, terminal: Terminal) -> None:
    terminal.do("G92X0", "G53G1X5F300")
    terminal.lines(0.3)
    terminal.write("\x18")
    heard = terminal.until("[MSG:Position unknown")
    assert "ALARM:3" in heard
    stopped = bench.steps
    assert terminal.ask("G0X1")[-1] == "error:9"
    assert terminal.state() == "Alarm"
    terminal.lines(0.5)
    assert bench.steps == stopped


def ride(bench: FirmwareBench, terminal: Terminal, line: str) -> np.ndarray:
    """Place (um) against time, every 0.25 ms, from begin to 0.4 s after the end of a move."""
    bench.command("record", on=True)
    terminal.do(line)
    terminal.rest()
    bench.command("record", on=False)
    pulses = np.array(bench.command("recorded")["pulses"])
    times = (pulses[:, 0] - pulses[0, 0]) * 1e-6
    places = (pulses[:, 1] - pulses[0, 1]) * FINE_UM
    grid = np.arange(0.0, times[-1] + 0.4, 0.00025)
    return np.interp(grid, times, places)


def acceleration_step(place: np.ndarray) -> float:
    """Largest change of the acceleration within 4 ms, mm/s2: the blow that a structure feels."""
    dt, window = 0.00025, 32
    kernel = np.hanning(window) / np.hanning(window).sum()
    smooth = np.convolve(place, kernel, mode="valid")
    acceleration = np.convolve(np.gradient(np.gradient(smooth, dt), dt) * 1e-3, kernel, mode="valid")
    return float(np.abs(acceleration[16:] - acceleration[:-16]).max())


def residual(place: np.ndarray, hertz: float, damping: float = 0.03) -> float:
    """Largest swing after the end of the move of a mass on a spring that is moved so, um."""
    dt, omega = 0.00025, 2 * math.pi * hertz
    x, v, worst = 0.0, 0.0, 0.0
    end = int(np.argmax(place == place[-1])) if place[-1] > 0 else 0
    for number, base in enumerate(place):
        v += dt * (-(omega**2) * (x - base) - 2 * damping * omega * v)
        x += dt * v
        if number > end:
            worst = max(worst, abs(x - place[-1]))
    return worst


def smoothness(bench: FirmwareBench, terminal: Terminal) -> dict[str, tuple[float, float, float]]:
    """Travel time, acceleration step, and mean residual swing at 15 to 45 Hz, with and without jerk limit, for equal times."""
    figures = {}
    terminal.do("$110=300", f"$100={1000 / FINE_UM}")
    # A ramp to 5 mm/s takes 0.1875 s either way: 5 / 26.667, and 5 / 40 + 40 / 640.
    for name, acceleration, jerk in (("trapezoid", 26.667, 0), ("jerk-limited", 40, 640)):
        terminal.do(f"$120={acceleration}", f"$270={jerk}", "G53G0X0")
        terminal.rest()
        bench.command("clear_times")
        place = ride(bench, terminal, "G53G1X2F300")
        moving_s = float(np.argmax(place == place[-1])) * 0.00025
        swings = [residual(place, hertz) for hertz in (15, 20, 25, 30, 35, 40, 45)]
        figures[name] = (moving_s, acceleration_step(place), float(np.mean(swings)))
    return figures


def test_jerk_limit_shakes_less_in_the_same_time(bench: FirmwareBench, terminal: Terminal) -> None:
    figures = smoothness(bench, terminal)
    plain, smooth = figures["trapezoid"], figures["jerk-limited"]
    assert smooth[0] == pytest.approx(plain[0], rel=0.07)  # seen from the first pulse to the last
    assert smooth[1] < 0.6 * plain[1]
    assert smooth[2] < 0.5 * plain[2]
