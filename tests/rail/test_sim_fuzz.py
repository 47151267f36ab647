"""Random lines, real-time bytes, noise and pauses: the simulated controller stays a controller."""

from __future__ import annotations

import math
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from rail.simulator.controller import ONE_AXIS_HOMING, STOCK_HOMING, GrblController
from rail.simulator.eeprom import Eeprom
from rail.simulator.slide import Slide, SlideSpec
from rail.simulator.states import State

WORD_LIST = """
G0 G1 G2 G3 G4 G10 G17 G18 G20 G21 G28 G28.1 G30 G38.2 G38.5 G43.1 G49 G53 G54 G55 G61 G80 G90 G91 G92 G92.1 G93 G94
M0 M1 M2 M3 M4 M5 M8 M9 M30 X1 X-2 X0.01 X1e3 X9999999 Y2 Z-1 F0 F100 F1000 F2 I1 J0.5 R3 R-1 P0 P0.05 L2 L20 S500 T3 N7
"""
COMMAND_LIST = """
$ $$ $# $G $I $N $C $X $H $HX $SLP $RST=$ $RST=# $RST=* $N0= $N0=G91 $N1=G1X0.1F100 $I=HI $1=255 $1=25 $3=1 $5=1 $5=0
$10=0 $10=3 $13=1 $13=0 $20=1 $21=1 $21=0 $22=1 $22=0 $23=1 $24=100 $25=900 $26=5 $27=0.2 $100=0 $100=250 $100=1600
$110=0 $110=900 $120=0 $120=100 $130=5 $130=200 $11=0 $12=0 $30=0 $32=1 $6=1
"""
BLOCK = st.lists(st.sampled_from(WORD_LIST.split()), max_size=6).map("".join)
COMMAND = st.sampled_from(COMMAND_LIST.split())
LINE = st.one_of(BLOCK, COMMAND, BLOCK.map(lambda words: "$J=" + words), st.text(max_size=100))
TYPED = LINE.map(lambda line: line.encode("latin-1", "replace"))
REALTIME = st.sampled_from(
    [b"?", b"?", b"!", b"~", b"\x18", b"\x84", b"\x85", *(bytes([b]) for b in range(0x90, 0xA2))]
)
PIECE = st.one_of(TYPED.map(lambda line: line + b"\n"), REALTIME, TYPED, st.binary(max_size=20))
PAUSE = st.sampled_from([0.0, 0.0002, 0.003, 0.03, 0.4, 5.0])
PRESS = st.sampled_from([None, None, None, None, True, False])
SCRIPT = st.lists(st.tuples(PIECE, PAUSE, PRESS), max_size=25)

ANSWER = re.compile(rb"(?m)^(?:ok|error:\d+)\r$")
REPORT = re.compile(rb"<[A-Z][a-z]+(?::\d)?(?:\|[A-Za-z]+:[^|<>]*)+>")


def controller(*, stock: bool) -> GrblController:
    rail = Slide(SlideSpec(4.0, 60.0, -20_000.0, 20_000.0, switch_um=-19_000.0), slack=0.0)
    free = SlideSpec(4.0)
    return GrblController(
        Eeprom(), (rail, Slide(free), Slide(free)), homing_cycles=STOCK_HOMING if stock else ONE_AXIS_HOMING
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(SCRIPT, st.booleans())
def test_whatever_is_sent(script: list[tuple[bytes, float, bool | None]], stock: bool) -> None:
    grbl = controller(stock=stock)
    rail = grbl.core.slides[0]
    sent, heard, ends = b"", b"", 0
    for data, pause, press in script:
        grbl.receive(data)
        sent += data
        if press is not None:
            rail.stuck = press
            grbl.changed()
        before = grbl.core.now
        grbl.advance(before + pause)
        assert grbl.core.now == before + pause
        heard += grbl.take_output()
        ends = sent.count(b"\n") + sent.count(b"\r")
        assert len(ANSWER.findall(heard)) <= ends + 2 * sent.count(b"$")  # $N may list unreadable lines as errors
        assert -20_000.0 <= rail.carriage_um <= 20_000.0
        assert grbl.core.planner.free >= 0
        assert grbl.core.rx.free >= 0
    for line in heard.split(b"\r\n")[:-1]:
        if line.startswith(b"<"):
            assert REPORT.fullmatch(line), line


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(BLOCK, PAUSE), max_size=15))
def test_counted_steps_are_the_pulses_given(script: list[tuple[str, float]]) -> None:
    """Without homing and resets the controller's count is the sum of the pulses that the motor got."""
    grbl = controller(stock=False)
    grbl.core.eeprom.settings[1] = 255.0  # else the motors fall to a full step at rest
    rail = grbl.core.slides[0]
    for line, pause in script:
        grbl.receive(line.encode() + b"\n")
        grbl.advance(grbl.core.now + pause)
        assert abs(grbl.core.counters()[0] - rail.rest.rotor) <= rail.rest.lost


@settings(max_examples=40, deadline=None, derandomize=True)
@given(SCRIPT)
def test_a_reset_and_an_unlock_bring_it_back(script: list[tuple[bytes, float, bool | None]]) -> None:
    grbl = controller(stock=False)
    for data, pause, _ in script:
        grbl.receive(data)
        grbl.advance(grbl.core.now + pause)
    grbl.advance(grbl.core.now + 2.0)
    grbl.receive(b"\x18")
    grbl.advance(grbl.core.now + 2.0)
    grbl.receive(b"\x18")  # the first may have ended in an alarm's half second
    grbl.advance(grbl.core.now + 2.0)
    grbl.take_output()
    grbl.receive(b"\n$21=0\n")
    grbl.advance(grbl.core.now + 1.0)
    grbl.receive(b"$X\n")
    grbl.advance(grbl.core.now + 1.0)
    assert b"ok\r\n" in grbl.take_output()
    grbl.receive(b"$10=1\n")
    grbl.advance(grbl.core.now + 1.0)
    assert grbl.state in (State.IDLE, State.CYCLE, State.HOLD)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(PIECE, PAUSE), max_size=12), st.integers(1, 40))
def test_how_often_time_is_asked_for_changes_nothing(script: list[tuple[bytes, float]], parts: int) -> None:
    once, often = controller(stock=False), controller(stock=False)
    for data, pause in script:
        once.receive(data)
        often.receive(data)
        end = once.core.now + pause
        once.advance(end)
        start = often.core.now
        for k in range(1, parts):
            often.advance(start + (end - start) * k / parts)
        often.advance(end)
        assert often.take_output() == once.take_output()
    assert once.core.counters() == often.core.counters()
    assert math.isclose(once.core.slides[0].carriage_um, often.core.slides[0].carriage_um)
