"""What the firmware does with its switch, its shutter outputs, its motor and its watchdog."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hil_tests.firmware_sim import LOCKSTEP, FirmwareBench, Terminal

pytestmark = pytest.mark.timeout(120)

SETUP = (
    "$100=250",
    "$110=600",
    "$120=200",
    "$270=10000",
    "$130=10",
    "$23=1",
    "$27=0.5",
    "$25=300",
    "$24=60",
    "$22=1",
    "$X",
)


@pytest.fixture
def bench() -> Iterator[FirmwareBench]:
    with FirmwareBench("--um-per-step", "4", "--switch-um", "-3000", "--low-stop-um", "-3700", speed=LOCKSTEP) as bench:
        yield bench


@pytest.fixture
def terminal(bench: FirmwareBench) -> Iterator[Terminal]:
    terminal = Terminal(bench)
    terminal.until("[MSG:Position unknown")
    terminal.do(*SETUP)
    yield terminal
    terminal.close()


def place(terminal: Terminal) -> float:
    return float(terminal.report().split("MPos:")[1].split(",")[0])


def settings(terminal: Terminal) -> dict[str, str]:
    return dict(line.split("=") for line in terminal.ask("$$") if line.startswith("$"))


# Homing and limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("direction", "switch", "ends", "carriage"), [(1, -3000, -9.5, -2500), (0, 3000, -0.5, 2500)])
def test_homing_finds_its_switch(direction: int, switch: int, ends: float, carriage: float) -> None:
    options = ("--switch-um", str(switch), *(("--switch-high",) if switch > 0 else ()))
    with FirmwareBench("--um-per-step", "4", *options, speed=LOCKSTEP) as bench:
        terminal = Terminal(bench)
        terminal.until("Grbl")
        terminal.do(*SETUP, f"$23={direction}")
        for start in ("", "$J=G91X-1.3F600", "$J=G91X1.7F600"):
            if start:
                terminal.do(start)
                terminal.lines(1)
            assert terminal.ask("$H") == ["ok"]
            assert place(terminal) == ends
            assert bench.truth()["carriage_um"] == pytest.approx(carriage, abs=4)
        # Beginning on the switch, too.
        terminal.do("$20=0", f"$J=G91X{-0.6 if direction else 0.6}F600")
        terminal.lines(0.5)
        assert bench.truth()["switch"]
        assert terminal.ask("$H")[-1] == "ok"
        assert bench.truth()["carriage_um"] == pytest.approx(carriage, abs=4)
        assert bench.truth()["lost"] == 0
        terminal.close()


@pytest.mark.parametrize("off_um", [20, 60, 120, 250, 400, 1500])
def test_homing_stops_within_the_pull_off(off_um: int) -> None:
    """However near to the switch it begins; here the carriage would meet its end at 0.5 mm behind the switch."""
    options = ("--start-um", str(off_um), "--switch-um", "0", "--low-stop-um", "-500")
    with FirmwareBench("--um-per-step", "4", *options, speed=LOCKSTEP) as bench:
        terminal = Terminal(bench)
        terminal.until("Grbl")
        terminal.do(*SETUP, "$25=600")
        assert terminal.ask("$H") == ["ok"]
        assert bench.truth()["lost"] == 0
        terminal.close()


def test_lost_steps_are_told_at_the_switch(bench: FirmwareBench, terminal: Terminal) -> None:
    assert terminal.ask("$H") == ["ok"]
    terminal.do("G53G0X-3")
    terminal.rest()
    bench.command("lose", steps=40)
    terminal.do("G53G0X-5")
    terminal.rest()
    told, answer = terminal.ask("$H")
    assert answer == "ok"
    assert told == "[MSG:Switch met -40 steps from its place: steps were lost]"
    assert bench.truth()["carriage_um"] == pytest.approx(-2500, abs=4)
    terminal.do("G53G0X-4")
    terminal.rest()
    assert terminal.ask("$H") == ["ok"]


@pytest.mark.parametrize(("fault", "alarm"), [("open", 9), ("pressed", 8)])
def test_homing_without_a_working_switch_fails(
    bench: FirmwareBench, terminal: Terminal, fault: str, alarm: int
) -> None:
    bench.command("switch", **{"is": fault})
    terminal.lines(0.05)
    assert terminal.ask("$H") == [f"ALARM:{alarm}", "error:9"]
    assert "[MSG:'$H'|'$X' to unlock]" in terminal.until("[MSG:Position")
    assert terminal.state() == "Alarm"
    assert terminal.ask("G0X1")[-1] == "error:9"
    bench.command("switch", **{"is": "free"})
    terminal.lines(0.05)
    assert terminal.ask("$H") == ["ok"]


def test_homing_reports_meanwhile_and_can_be_broken_off(bench: FirmwareBench, terminal: Terminal) -> None:
    terminal.write("$H\n")
    terminal.lines(0.2)
    assert terminal.state() == "Home"
    terminal.write("\x18")
    assert terminal.until("[MSG:Position")[0] == "ALARM:6"
    steps = bench.steps
    terminal.lines(0.3)
    assert bench.steps == steps
    assert terminal.ask("$X")[-1] == "ok"


def test_soft_limits_refuse_before_moving(bench: FirmwareBench, terminal: Terminal) -> None:
    terminal.do("$H", "$20=1")
    before = bench.steps
    assert terminal.ask("$J=G53X0.1F100") == ["error:15"]
    assert terminal.ask("$J=G91X-0.6F100") == ["error:15"]
    assert terminal.state() == "Idle"
    assert terminal.ask("G53G0X-10.1") == ["ALARM:2", "error:15"]
    assert terminal.state() == "Alarm"
    assert bench.steps == before
    assert terminal.ask("$X")[-1] == "ok"
    terminal.do("G53G0X0", "G53G0X-9.5")
    terminal.rest()
    assert bench.steps == before


def test_hard_limit_stops_at_once(bench: FirmwareBench, terminal: Terminal) -> None:
    terminal.do("$H", "$21=1", "G53G1X0F300")
    terminal.lines(0.4)
    bench.command("switch", **{"is": "pressed"})
    pressed = bench.steps
    assert terminal.until("ALARM:")[-1] == "ALARM:1"
    terminal.lines(0.3)
    # 3 ms of filter at 5 mm/s: 4 steps.
    assert 0 <= bench.steps - pressed <= 6
    assert terminal.state() == "Alarm"
    assert "Pn:X" in terminal.report()
    assert terminal.ask("$PARK")[-1] == "error:8"
    terminal.do("$X", "$J=G91X1F300")  # away, while it is still pressed
    terminal.lines(0.6)
    assert terminal.state() == "Idle"
    assert bench.steps == pytest.approx(pressed + 250, abs=6)


def test_a_bounce_shorter_than_the_filter_is_no_limit(bench: FirmwareBench, terminal: Terminal) -> None:
    terminal.do("$H", "$21=1", "$276=20", "G53G1X-5F300")
    terminal.lines(0.3)
    for _ in range(10):
        bench.command("switch", **{"is": "pressed"})
        bench.command("pass", s=0.008)
        bench.command("switch", **{"is": "free"})
        bench.command("pass", s=0.002)
    terminal.rest()
    assert place(terminal) == -5.0


# Shutter ------------------------------------------------------------------------------------------------------------


def test_shutter_waits_for_rest_and_keeps_its_times(bench: FirmwareBench, terminal: Terminal) -> None:
    terminal.do("$272=30", "$273=100", "$274=60")
    bench.command("events")
    start = bench.steps
    for _ in range(2):
        terminal.do("G91G1X0.5F300", "M8", "M9")
    terminal.rest()
    events = bench.command("events")["events"]
    assert [(e["pin"], e["level"]) for e in events] == 2 * [
        ("half_press", 1), ("release", 1), ("release", 0), ("half_press", 0),
    ]  # fmt: skip
    assert [e["steps"] - start for e in events] == 4 * [125] + 4 * [250]
    for first in (0, 4):
        half, press, release, _ = (e["t_us"] for e in events[first : first + 4])
        assert 100_000 <= press - half <= 102_000
        assert 60_000 <= release - press <= 62_000


def test_bulb_and_half_press(bench: FirmwareBench, terminal: Terminal) -> None:
    terminal.do("M7")
    truth = bench.truth()
    assert (truth["half_press"], truth["release"]) == (True, False)
    terminal.do("M8", "G4P0.5")
    assert bench.truth()["release"]
    assert "A:FM" in "".join(terminal.report() for _ in range(12))
    terminal.do("M9")
    truth = bench.truth()
    assert not truth["release"]
    assert not truth["half_press"]


@pytest.mark.parametrize("how", ["soft", "reset", "power", "alarm", "end", "sleep"])
def test_shutter_is_let_go_on_every_way_out(bench: FirmwareBench, terminal: Terminal, how: str) -> None:
    terminal.do("M8")
    assert bench.truth()["release"]
    if how == "soft":
        terminal.write("\x18")
    elif how == "alarm":
        terminal.do("$20=1")
        terminal.ask("G53G0X500")
    elif how == "end":
        terminal.do("M2")
    elif how == "sleep":
        terminal.do("$SLP")
    else:
        bench.command("reset", power=how == "power")
    terminal.lines(0.1)
    assert not bench.truth()["release"]


def test_outputs_at_a_reset_are_safe(bench: FirmwareBench, terminal: Terminal) -> None:
    for power in (False, True):
        terminal.do("G91G1X3F300", "M8") if power else terminal.do("G91G1X3F300")
        terminal.lines(0.1)
        bench.command("events")
        bench.command("reset", power=power)
        pulses = bench.truth()["pulses"]
        terminal.until("[MSG:Position unknown")
        assert terminal.ask("$X")[-1] == "ok"
        truth = bench.truth()
        assert truth["pulses"] == pulses
        assert truth["enabled"]
        assert all(e["level"] == 0 for e in bench.command("events")["events"] if e["pin"] != "enable")


@pytest.mark.parametrize("moving", [False, True])
def test_the_watchdog_resets_a_program_that_hangs(bench: FirmwareBench, terminal: Terminal, moving: bool) -> None:
    terminal.do("M8", "$J=G91X8F300") if moving else terminal.do("M8")
    terminal.lines(0.1)
    bench.command("hang")
    before = bench.truth()
    assert before["bites"] == 0
    heard = terminal.until("[MSG:Position unknown", within_s=3)
    after = bench.truth()
    assert after["bites"] == 1
    assert 0.5 < after["mcu_s"] - before["mcu_s"] < 1.5
    assert "[MSG:The watchdog reset the controller]" in heard
    assert not after["release"]
    terminal.lines(0.2)
    assert bench.steps == after["steps"], "and stands"
    if terminal.state() == "Alarm":
        terminal.do("$X")
    terminal.do("G91G1X0.1F300")
    terminal.rest()
    assert bench.steps == after["steps"] + 25


def test_the_main_loop_sleeps(bench: FirmwareBench, terminal: Terminal) -> None:
    for line, least in (("", 0.9), ("$J=G91X2F300", 0.6)):
        if line:
            terminal.do(line)
        before = bench.truth()
        terminal.lines(0.3)
        after = bench.truth()
        assert (after["slept_s"] - before["slept_s"]) / (after["mcu_s"] - before["mcu_s"]) > least


# Motor --------------------------------------------------------------------------------------------------------------


def test_the_motor_is_held_at_rest_unless_told_otherwise(bench: FirmwareBench, terminal: Terminal) -> None:
    assert settings(terminal)["$1"] == "255", "as it comes"
    terminal.do("G91G1X0.5F300")
    terminal.rest()
    bench.command("events")
    terminal.lines(5.0)
    assert bench.command("events")["events"] == []
    assert bench.truth()["enabled"]
    terminal.do("$1=25", "G91G1X0.5F300")
    terminal.rest()
    terminal.lines(0.2)
    assert not bench.truth()["enabled"]
    terminal.do("G91G1X0.5F300")
    terminal.rest()
    truth = bench.truth()
    assert truth["disabled_steps"] == 0, "on again before the first step"
