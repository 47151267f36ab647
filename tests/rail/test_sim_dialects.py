"""The simulated grblHAL, FluidNC and Marlin say and do what the real ones are known to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rail.axis import AxisState
from rail.errors import RailAlarmError
from rail.opening import open_axis
from rail.simulator import DeviceClock, RailOptions, SimulatedRail
from rail.simulator.options import FIRMWARES, build, snapshot
from tests.rail.grbl_virtual import VirtualRail

DIALECTS = tuple(FIRMWARES)


class Wire:
    """Lines to a simulated controller and what comes back, in device time."""

    def __init__(self, options: RailOptions) -> None:
        self.controller = build(options, 0.0)
        self.heard: list[str] = []
        self.run(1.0)

    def run(self, seconds: float) -> list[str]:
        self.controller.advance(self.controller.core.now + seconds)
        lines = self.controller.take_output().decode("latin-1").replace("\r", "").split("\n")
        self.heard += [line for line in lines if line]
        return [line for line in lines if line]

    def ask(self, line: str, seconds: float = 0.6) -> list[str]:
        self.controller.receive(line.encode() + b"\n")
        return self.run(seconds)


@pytest.fixture
def wire(request: pytest.FixtureRequest) -> Wire:
    return Wire(RailOptions(dialect=request.param))


@pytest.mark.parametrize("wire", ["grblhal"], indirect=True)
def test_grblhal(wire: Wire) -> None:
    assert "GrblHAL 1.1f ['$' or '$HELP' for help]" in wire.heard
    assert "[FIRMWARE:grblHAL]" in wire.ask("$I")
    settings = wire.ask("$$")
    assert "$384=0" in settings
    assert "$300=grblHAL" in settings
    assert [int(row[1:].partition("=")[0]) for row in settings[:-1]] == sorted(
        int(r[1:].partition("=")[0]) for r in settings[:-1]
    )
    assert wire.ask("$384=1") == ["ok"]
    wire.ask("G43.1Z-123.45")
    assert "[TLO:0.000,0.000,-123.450]" in wire.ask("$#")
    wire.controller.receive(b"\x87")
    (report,) = wire.run(0.1)
    assert "WCO:" in report
    assert wire.ask("$HX") == ["error:3"]  # single axes are not allowed


def test_grblhal_that_nothing_is_wired_to_starts_in_alarm() -> None:
    wire = Wire(RailOptions(dialect="grblhal", settings={5: 0, 21: 1}))
    assert wire.ask("?")[0].startswith("<Alarm")


@pytest.mark.parametrize("wire", ["fluidnc"], indirect=True)
def test_fluidnc(wire: Wire) -> None:
    assert wire.heard[0].startswith("[MSG:INFO: FluidNC")
    assert "Grbl 3.7 [FluidNC v3.7.8 (wifi) '$' for help]" in wire.heard
    assert wire.ask("$I")[0].startswith("[VER:3.7 FluidNC")
    assert wire.ask("$/axes/x/steps_per_mm") == ["$/axes/x/steps_per_mm=1600.000", "ok"]
    assert wire.ask("$/axes/x/homing/cycle")[-1] == "ok"
    assert wire.ask("$/axes/x/homing/mpos_mm") == ["error:3"]  # no homing section
    assert wire.ask("$100=400") == ["error:3"]  # a copy, to be read only
    assert wire.ask("$/axes/x/steps_per_mm=400") == ["ok"]
    wire.controller.hardware_reset()
    wire.run(1.0)
    assert "$100=1600.000" in wire.ask("$$")  # not kept
    wire.ask("$/axes/x/steps_per_mm=400")
    wire.ask("$CD=config.yaml")
    wire.controller.hardware_reset()
    wire.run(1.0)
    assert "$100=400.000" in wire.ask("$$")


@pytest.mark.parametrize("wire", ["marlin"], indirect=True)
def test_marlin(wire: Wire) -> None:
    assert wire.heard[0] == "start"
    assert wire.ask("M115")[0].startswith("FIRMWARE_NAME:Marlin")
    assert wire.ask("?") == ['echo:Unknown command: "?"', "ok"]
    assert wire.ask("N1 M114*1") == ["Error:checksum mismatch, Last Line: 0", "Resend: 1", "ok"]
    assert wire.ask("N0 M110 N0*125") == ["ok"]
    assert wire.ask("G1 X1 F600", 0.05) == ["ok"]  # planned, not arrived
    plan, now = wire.ask("M114", 0.02)[0], wire.ask("G92", 0.02)[0]
    assert "Count X:1600" in plan
    assert "Count X:1600" not in now
    assert wire.ask("M400", 1.0) == ["ok"]
    assert "Count X:1600" in wire.ask("G92")[0]
    wire.ask("G1 X1.002")  # three steps: dropped
    assert "Count X:1600" in wire.ask("G92")[0]
    assert wire.ask("G4 P4500", 6.0) == ["ok"] or wire.heard[-2] == "echo:busy: processing"
    assert wire.ask("M112") == ["Error:Printer halted. kill() called!"]
    assert wire.ask("M114") == []


def test_marlin_is_busy_every_two_seconds_while_it_drains() -> None:
    wire = Wire(RailOptions(dialect="marlin", max_rate_mm_min=60))
    wire.ask("G1 X5 F60", 0.1)
    assert wire.ask("M400", 6.0) == ["echo:busy: processing", "echo:busy: processing", "ok"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stock", [False, True])
def test_homing_z_first_is_told_where_it_happens(dialect: str, stock: bool) -> None:
    switch = {21: 0, 130: 60, 25: 1500, 24: 100}
    rail = VirtualRail(dialect=dialect, homing=True, stock_homing=stock, settings=switch)
    axis = rail.open()
    if stock and dialect in {"grbl", "grblhal"}:
        with pytest.raises(RailAlarmError, match="ALARM:9") as caught:
            axis.home()
        assert "Z first" in caught.value.remedy
    else:
        assert axis.home().homed
    axis.close()


@pytest.fixture
def simulated(request: pytest.FixtureRequest) -> Iterator[SimulatedRail]:
    rail = SimulatedRail(
        RailOptions(dialect=request.param, homed=True, start_um=3000, travel_um=12_000), DeviceClock(20.0)
    )
    rail.start()
    yield rail
    rail.stop()


@pytest.mark.parametrize("simulated", DIALECTS, indirect=True)
def test_a_rail_that_has_been_homed_is_found_so(simulated: SimulatedRail) -> None:
    with open_axis(simulated.url) as axis:
        status = axis.status()
        assert status.state is AxisState.IDLE
        assert status.homed
        assert status.position == 7500.0  # 3 mm right of the middle; home is 4.5 mm left of it
        low, high = axis.limits
        assert low == 0.0
        assert high <= 10_000.0
        axis.move_to(7000)
        assert simulated.sample().position_um == pytest.approx(2500, abs=0.7)
    memory = snapshot(simulated.controller)
    again = build(simulated.options, 0.0, memory, powered=True)
    assert again.core.counters() == simulated.controller.core.counters()


@pytest.mark.parametrize(
    ("wire", "line", "answer"),
    [("marlin", "N\u00b219 M115*5", "Line Number is not"), ("fluidnc", "$\u00b2=1", "error:")],
    indirect=["wire"],
)
def test_a_digit_that_is_none_is_no_number(wire: Wire, line: str, answer: str) -> None:
    """A flipped bit makes a superscript two of a two."""
    wire.controller.receive(line.encode("latin-1") + b"\n")
    assert any(answer in said for said in wire.run(0.6))
