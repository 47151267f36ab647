"""The simulated rail as a host finds it: pyserial on its TCP port."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import serial

from rail.mark import decode_mark
from rail.simulator import CarriageSample, DeviceClock, ManualClock, RailOptions, SimulatedRail
from rail.simulator.faults import FAULTS
from rail.simulator.states import State

SCALE = 25.0
DEADLINE_S = 20.0


@contextmanager
def running(options: RailOptions, **more: object) -> Iterator[SimulatedRail]:
    rail = SimulatedRail(options, DeviceClock(SCALE), **more)  # type: ignore[arg-type]
    rail.start()
    try:
        yield rail
    finally:
        rail.stop()


def hang_up(port: serial.SerialBase) -> None:
    """Close; pyserial leaves the socket of a connection that was reset open."""
    socket = port._socket
    port.close()
    socket.close()


class Port:
    """A line-wise host on a real port."""

    def __init__(self, rail: SimulatedRail) -> None:
        self.serial = serial.serial_for_url(rail.url, timeout=DEADLINE_S)

    def line(self) -> str:
        line = self.serial.readline()
        assert line.endswith(b"\r\n"), f"only {line!r} within {DEADLINE_S} s"
        return str(line.decode("latin-1")).rstrip("\r\n")

    def ask(self, text: str) -> list[str]:
        """Send a line; everything up to its answer."""
        self.serial.write(text.encode() + b"\n")
        lines = [self.line()]
        while not re.fullmatch(r"ok|error:\d+", lines[-1]):
            lines.append(self.line())
        return lines

    def report(self) -> str:
        self.serial.write(b"?")
        line = self.line()
        while not line.startswith("<"):
            line = self.line()
        return line

    def __enter__(self) -> Port:
        return self

    def __exit__(self, *exc: object) -> None:
        hang_up(self.serial)


@pytest.fixture
def rail() -> Iterator[SimulatedRail]:
    with running(RailOptions(backlash_um=80.0, homed=True)) as rail:
        yield rail


def test_a_move_over_the_wire_moves_the_carriage(rail: SimulatedRail) -> None:
    with Port(rail) as port:
        assert rail.sample() == CarriageSample(0.0, math.inf, False)
        assert port.ask("G91 G1 X2 F600") == ["ok"]
        assert port.ask("G4 P0.01") == ["ok"]
        after = rail.sample()
        assert after.position_um == pytest.approx(2000.0)
        assert not after.moving
        assert 0 <= after.rest_s < math.inf
        port.ask("G1 X-2")
        port.ask("G4 P0.01")
        assert rail.sample().position_um == pytest.approx(80.0)  # the play
        assert "MPos:-19.420" in port.report()


def test_a_homed_rail_knows_where_it_is(rail: SimulatedRail) -> None:
    with Port(rail) as port:
        report = port.report()
        assert report.startswith("<Idle|MPos:-19.420,0.000,0.000")
        *_, offset = re.findall(r"WCO:([-\d.]+),[-\d.]+,([-\d.]+)", report)
        mark = decode_mark(-float(offset[1]), 1600.0, -38 * 1600)
        assert mark is not None
        assert mark.homed
        assert float(offset[0]) == -38.0
        # Machine -38 is where homing ends: beyond the switch by the pull-off less the play.
        assert port.ask("G53G0X-38") == ["ok"]
        port.ask("G4P0.01")
        assert rail.sample().position_um == pytest.approx(-19_500 + 1000)
        assert port.ask("$H") == ["ok"]
        assert rail.sample().position_um == pytest.approx(-19_500 + 1000 - 80)
        assert "MPos:-38.000" in port.report()


def test_closing_and_opening_keeps_the_controller(rail: SimulatedRail) -> None:
    with Port(rail) as port:
        port.ask("G91G1X1F600")
    with Port(rail) as port:
        assert port.ask("G4P0.01") == ["ok"]
        assert "MPos:-18.420" in port.report()
        assert "G91" in port.ask("$G")[0]


def test_opening_an_uno_resets_it() -> None:
    with running(RailOptions(reset_on_open=True)) as rail:
        with Port(rail) as port:
            assert [port.line(), port.line()] == ["", "Grbl 1.1h ['$' for help]"]
            port.ask("G1X3F600")
            port.ask("G92X0Z500")
        with Port(rail) as port:
            assert [port.line(), port.line()] == ["", "Grbl 1.1h ['$' for help]"]
            assert "MPos:0.000,0.000,0.000|FS:0,0|WCO:0.000,0.000,0.000" in port.report()
        assert rail.sample().position_um == pytest.approx(3000.0)


def test_the_port_is_exclusive(rail: SimulatedRail) -> None:
    with Port(rail) as port:
        port.report()
        second = serial.serial_for_url(rail.url, timeout=DEADLINE_S)
        with pytest.raises(serial.SerialException):
            second.read(1)
        hang_up(second)
        assert port.report().startswith("<Idle")


def test_a_given_port_can_be_taken_again() -> None:
    with running(RailOptions()) as rail:
        number = int(rail.url.rsplit(":", 1)[1])
    with running(RailOptions(port=number)) as rail:
        assert rail.url == f"socket://127.0.0.1:{number}"
        with Port(rail) as port:
            assert port.report().startswith("<Idle")
        taken = SimulatedRail(RailOptions(port=number), DeviceClock())
        with pytest.raises(OSError, match=r".*"):
            taken.start()
        taken.stop()


def test_pulling_the_lead_lets_the_motion_go_on(rail: SimulatedRail) -> None:
    with Port(rail) as port:
        port.ask("G91G1X3F600")
        rail.inject("unplug", {})
        with pytest.raises(serial.SerialException):
            port.report()
        with pytest.raises(serial.SerialException):
            Port(rail)
    rail.inject("plug", {})
    with Port(rail) as port:
        port.ask("G4P0.01")
        assert rail.sample().position_um == pytest.approx(3000.0)
        assert "MPos:-16.420" in port.report()


def test_pulled_with_its_power_it_forgets(rail: SimulatedRail) -> None:
    rail.inject("unplug", {"power": True})
    rail.clear("unplug")
    with Port(rail) as port:
        assert port.report().startswith("<Alarm|MPos:0.000,0.000,0.000")


def test_faults_of_the_controller(rail: SimulatedRail) -> None:
    with Port(rail) as port:
        port.report()  # the port is really open
        rail.inject("reset", {})
        assert [port.line() for _ in range(3)] == ["", "Grbl 1.1h ['$' for help]", "[MSG:'$H'|'$X' to unlock]"]
        port.ask("$X")
        rail.inject("alarm", {"code": 3})
        assert port.line() == "ALARM:3"
        assert [port.line() for _ in range(3)][-1] == "[MSG:'$H'|'$X' to unlock]"
        port.ask("$X")
        rail.inject("hard_limit", {})
        assert [port.line(), port.line()] == ["ALARM:1", "[MSG:Reset to continue]"]


def test_faults_of_the_mechanics(rail: SimulatedRail) -> None:
    with Port(rail) as port:
        rail.inject("jam", {})
        port.ask("G91G1X1F600")
        port.ask("G4P0.01")
        assert rail.sample().position_um == 0.0
        assert "MPos:-18.420" in port.report()
        rail.clear("jam")
        rail.inject("lose_steps", {"steps": 16})
        port.ask("G1X1")
        port.ask("G4P0.01")
        assert rail.sample().position_um == pytest.approx(990.0)
        rail.inject("stuck_switch", {"pressed": False})
        assert port.ask("$H")[0] == "ALARM:9"


def test_faults_of_the_wire(rail: SimulatedRail) -> None:
    with Port(rail) as port:
        rail.inject("drop_byte", {"direction": "to_controller", "count": 1})
        assert port.ask("\nX")[0] == "error:2"  # the empty line is gone, its answer too
        rail.inject("flip_byte", {"direction": "to_host", "bit": 0})
        port.serial.write(b"\n")
        assert port.line() == "nk"
        rail.inject("silent", {})
        port.serial.write(b"G91G1X1F600\n")
        port.serial.timeout = 0.1
        assert port.serial.read(1) == b""
        rail.clear("silent")
        port.serial.timeout = DEADLINE_S
        port.ask("G4P0.01")
        assert rail.sample().position_um == pytest.approx(1000.0)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("nonsense", {}),
        ("jam", {"steps": 1}),
        ("alarm", {"code": 10}),
        ("alarm", {"code": "3"}),
        ("alarm", {"code": 1.5}),
        ("drop_byte", {"direction": "sideways"}),
        ("stuck_switch", {"pressed": 1}),
        ("lose_steps", {"steps": True}),
        ("reset", {"silence_s": -1}),
    ],
)
def test_unknown_faults_and_parameters_are_refused(name: str, parameters: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=name):
        SimulatedRail(RailOptions(), ManualClock()).inject(name, parameters)


def test_every_fault_is_described_and_can_be_cleared() -> None:
    rail = SimulatedRail(RailOptions(homed=True), ManualClock())
    listed = rail.faults()
    assert set(listed) == set(FAULTS) >= {"reset", "unplug", "plug", "alarm", "hard_limit", "drop_byte", "flip_byte"}
    assert set(FAULTS) >= {"jam", "lose_steps", "stuck_switch", "silent"}
    for name, parameters in listed.items():
        assert all("default" in text for text in parameters.values())
        rail.clear(name)
        rail.inject(name, {})
        rail.clear(name)
    with pytest.raises(ValueError, match="nonsense"):
        rail.clear("nonsense")


def test_a_limit_pulse_ends_by_itself() -> None:
    clock = ManualClock()
    rail = SimulatedRail(RailOptions(), clock)
    clock.advance(1.0)
    rail.inject("hard_limit", {"hold_s": 0.5, "force": False})
    assert rail.controller.core.limits() == 1
    clock.advance(0.6)
    rail.sample()
    assert rail.controller.core.limits() == 0
    assert rail.controller.state is State.IDLE


def test_rest_is_counted_from_the_last_step() -> None:
    clock = ManualClock()
    rail = SimulatedRail(RailOptions(), clock)
    clock.advance(1.0)
    rail.sample()
    rail.controller.receive(b"G1X1F600\n")
    seen = []
    for _ in range(40):
        clock.advance(0.02)
        seen.append(rail.sample())
    moving = [sample for sample in seen if sample.moving]
    assert moving
    assert all(sample.rest_s == 0.0 for sample in moving)
    assert seen[-1].position_um == pytest.approx(1000.0)
    rests = [sample.rest_s for sample in seen if not sample.moving and sample.position_um > 0]
    assert rests == sorted(rests)
    assert rests[-1] == pytest.approx(0.8 - 0.2 - 0.01, abs=0.03)


def test_a_killed_bench_comes_back_where_it_was() -> None:
    clock = ManualClock()
    first = SimulatedRail(RailOptions(backlash_um=80.0, homed=True), clock)
    for line in (b"$110=500\n", b"G91G1X5F600\n", b"G1X-1\n"):
        first.controller.receive(line)
        clock.advance(2.0)
        first.sample()
    state = json.loads(json.dumps(first.state()))
    assert first.state() == state
    assert state["carriage_um"] == pytest.approx(4080.0)

    cold = SimulatedRail(RailOptions(backlash_um=80.0, homed=True), clock, state=state)
    clock.advance(1.0)
    assert cold.sample().position_um == pytest.approx(4080.0)
    assert cold.controller.core.eeprom.settings[110] == 500
    assert cold.controller.state is State.ALARM
    assert cold.controller.core.counters() == (0, 0, 0)

    warm = SimulatedRail(RailOptions(backlash_um=80.0, homed=True), clock, state=state, powered=True)
    clock.advance(1.0)
    assert warm.sample().position_um == pytest.approx(4080.0)
    assert warm.controller.core.counters() == first.controller.core.counters()
    assert warm.controller.core.parser.offset == first.controller.core.parser.offset
    warm.controller.receive(b"G91G1X-1F600\n")
    clock.advance(2.0)
    assert warm.sample().position_um == pytest.approx(3080.0)


@pytest.mark.parametrize("state", [{}, {"carriage_um": 0.0}, {"carriage_um": "far", "slack": 0, "eeprom": {}}])
def test_a_foreign_state_is_refused(state: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="saved state"):
        SimulatedRail(RailOptions(), ManualClock(), state=state)


@pytest.mark.parametrize(
    "bad",
    [
        {"travel_um": 100.0},
        {"start_um": 30_000.0},
        {"backlash_um": -1.0},
        {"steps_per_mm": 0.0},
        {"settings": {7: 1.0}},
    ],
)
def test_impossible_rails_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        RailOptions(**bad)  # type: ignore[arg-type]


def test_settings_of_a_rail_and_of_stock_grbl() -> None:
    plain, switched = RailOptions().defaults(), RailOptions(switches=True).defaults()
    assert (plain[1], plain[22], plain[100], plain[110], plain[120], plain[101]) == (255, 0, 1600, 600, 100, 250)
    assert (switched[21], switched[22], switched[23]) == (1, 1, 1)
    stock = RailOptions(stock=True, settings={22: 1.0}).defaults()
    assert (stock[1], stock[22], stock[100]) == (25, 1, 250)


def test_homing_leaves_the_whole_reported_travel_free() -> None:
    options = RailOptions(switches=True, start_um=15_000.0)
    clock = ManualClock()
    rail = SimulatedRail(options, clock)
    rail.controller.receive(b"$H\n")
    clock.advance(60.0)
    rail.sample()
    assert rail.controller.state is State.IDLE
    rail.controller.receive(b"G53G0X0\n")
    clock.advance(10.0)
    end = rail.sample().position_um
    assert end == pytest.approx(-18_500 + 38_000)
    assert rail.controller.core.slides[0].rest.lost == 0
