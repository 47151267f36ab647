"""The pure layers: lines, reports, codes, encoders, marks and the step ledger."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rail.errors import RailError, RailUsageError
from rail.grbl import codes, encode
from rail.grbl.position import REPORT_INCH_MM, Ledger, StepGrid
from rail.grbl.protocol import (
    LINE_LIMIT,
    Alarm,
    Banner,
    Blank,
    ErrorReply,
    LineAssembler,
    Message,
    Ok,
    Setting,
    StartupEcho,
    StartupLine,
    Status,
    Unrecognised,
    classify,
)
from rail.mark import DIGITS, Mark, decode_mark, encode_mark

TRANSCRIPTS = [
    json.loads(line) for line in (Path(__file__).parent / "grbl_1_1h_transcripts.jsonl").read_text("utf-8").splitlines()
]


def test_every_recorded_line_is_understood() -> None:
    kinds: dict[type, int] = {}
    for entry in TRANSCRIPTS:
        for line in entry["recv"]:
            for reply in classify(line.encode("latin-1").rstrip(b"\r\n")):
                kinds[type(reply)] = kinds.get(type(reply), 0) + 1
                assert not isinstance(reply, Unrecognised), line
    assert set(kinds) == {Ok, ErrorReply, Alarm, Status, Message, Setting, Banner, Blank, StartupLine, StartupEcho}
    assert kinds[Ok] == sum(line == "ok\r\n" for entry in TRANSCRIPTS for line in entry["recv"])


def test_every_recorded_code_has_words() -> None:
    said = {code for entry in TRANSCRIPTS for line in entry["recv"] for code in re.findall(r"^error:(\d+)", line)}
    assert {int(code) for code in said} <= set(codes.ERRORS)
    for code in (*codes.ERRORS, 999):
        error = codes.GRBL_BOOK.refused(code, "G1")
        assert error.code == code
        assert error.remedy
        assert f"error:{code}" in error.message
    for code in (*codes.ALARMS, 99, None):
        alarm = codes.GRBL_BOOK.alarmed(code)
        assert alarm.code == code
        assert alarm.remedy
        assert alarm.state


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"<Idle|MPos:1.000,2.000,-3.500|FS:0,0>", ("Idle", None, (1.0, 2.0, -3.5), None, None)),
        (b"<Hold:1|WPos:5.000,0.000,0.000|Bf:15,128|Ov:100,100,100>", ("Hold", 1, None, (5.0, 0.0, 0.0), None)),
        (b"<Run|WCO:1.0,0.0,0.0|FS:2.0,0|MPos:0.5,0.0,0.0>", ("Run", None, (0.5, 0.0, 0.0), None, (1.0, 0.0, 0.0))),
        (b"<Door:3|MPos:0.000,0.000,0.000|Pn:XZ|A:FM>", ("Door", 3, (0.0, 0.0, 0.0), None, None)),
    ],
)
def test_reports_are_read_by_key(line: bytes, expected: tuple[object, ...]) -> None:
    (status,) = classify(line)
    assert isinstance(status, Status)
    assert (status.state, status.substate, status.mpos, status.wpos, status.wco) == expected


@pytest.mark.parametrize(
    "line",
    [
        b"<Idle|MPos:1.000,2.000,-3.500|FS:0,0",
        b"<Idle>",
        b"<Idle|FS:0,0>",
        b"<Idlf|MPos:1.000,2.000,-3.500>",
        b"<Idle|MPos:1.0x0,2.000,-3.500>",
        b"<Idle|MPos:nan,0,0>",
        b"<Idle|MPos:1_0,0,0>",
        b"<Idle|MPos:1e3,0,0>",
        b"<Idle|MPos:1.0,0,0|MPos:2.0,0,0>",
        b"<Idle|MPos:1.0,0,0<Idle|MPos:1.0,0,0>",
        b"<Hold:x|MPos:1.0,0,0>",
        b"oj",
        b"okok",
        b"error:",
        b"error:-1",
        b"ALARM:x",
        b"$100=abc",
        b"start",
        b"echo:Marlin 2.1.2",
        b"\xff\xfe\x00\x80",
        b"<Idle|MPos:0.000,0.000,0.000|FS:0,0|WCO:1.044,-496.050>",
    ],
)
def test_damaged_lines_are_not_believed(line: bytes) -> None:
    (reply,) = classify(line)
    assert isinstance(reply, Unrecognised)


def test_an_answer_glued_to_a_report_is_found() -> None:
    assert [type(r) for r in classify(b"<Idle|MPos:1.000,0.000,0.000|FS:0,0>ok")] == [Status, Ok]
    assert [type(r) for r in classify(b">G91:ok")] == [StartupEcho]


@given(st.binary(max_size=200))
def test_any_line_gives_replies_and_no_error(line: bytes) -> None:
    replies = classify(line)
    assert 1 <= len(replies) <= 2
    for reply in replies:
        if isinstance(reply, Status):
            place = reply.in_millimetres(inches=True).machine_position(None)
            assert place is None or all(math.isfinite(v) for v in place)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_lines_do_not_depend_on_how_the_bytes_arrive(pieces: list[bytes]) -> None:
    whole, parts = LineAssembler(), LineAssembler()
    data = b"".join(pieces)
    together = whole.feed(data)
    assert [line for piece in pieces for line in parts.feed(piece)] == together
    assert whole.pending == parts.pending


def test_a_line_without_end_does_not_grow_for_ever() -> None:
    assembler = LineAssembler()
    for _ in range(100):
        assembler.feed(b"x" * 1000)
    assert len(assembler.pending) <= LINE_LIMIT


def test_work_positions_need_the_offset() -> None:
    (status,) = classify(b"<Idle|WPos:5.000,0.000,0.000|FS:0,0>")
    assert isinstance(status, Status)
    assert status.machine_position(None) is None
    assert status.machine_position((-5.0, 0.0, 0.0)) == (0.0, 0.0, 0.0)


def test_inches_are_scaled() -> None:
    (status,) = classify(b"<Run|MPos:-0.0073,0.0000,0.0000|FS:2.0,0|WCO:-0.1969,0.0000,0.0000>")
    assert isinstance(status, Status)
    scaled = status.in_millimetres(inches=True)
    assert scaled.mpos is not None
    assert scaled.wco is not None
    assert scaled.mpos[0] == pytest.approx(-0.18542)
    assert scaled.wco[0] == pytest.approx(-5.00126)


@given(st.floats(-900, 900), st.floats(0.001, 50_000))
def test_lines_fit_and_numbers_survive(mm: float, feed: float) -> None:
    for line in (encode.move(mm, feed), encode.jog(mm, feed), encode.offset(mm, mm)):
        assert len(line) <= encode.LINE_MAX
        assert re.fullmatch(r"[$=A-Z0-9.\-]+", line)
        x = re.search(r"X(-?[0-9.]+)", line)
        assert x is not None
        assert float(x.group(1)) == pytest.approx(mm, abs=6e-6)
        assert len(x.group(1).strip("-").replace(".", "")) <= 8


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e9])
def test_impossible_lengths_are_refused(value: float) -> None:
    with pytest.raises(RailUsageError):
        encode.move(value, 100)
    with pytest.raises(RailError):
        encode.move(1.0, -value)


@given(
    st.booleans(),
    st.none() | st.integers(0, 10**6),
    st.floats(0.01, 100_000),
    st.integers(-(10**7), 10**7),
    st.sampled_from([1e-3, 1e-4 * 25.4]),
)
def test_a_mark_survives_the_report(
    homed: bool, step: int | None, steps_per_mm: float, origin: int, resolution: float
) -> None:
    value = encode_mark(Mark(homed, step), steps_per_mm, origin)
    reported = round(value / resolution) * resolution
    assert 100 <= value < 1000
    assert decode_mark(reported, steps_per_mm, origin) == Mark(homed, None if step is None else step % DIGITS)


@given(st.floats(-99, 99))
def test_ordinary_offsets_are_no_marks(z: float) -> None:
    assert decode_mark(z, 400.0, 0) is None


def test_a_mark_is_void_under_other_steps_per_mm() -> None:
    scales = [53.333, 106.667, 200.0, 250.0, 400.0, 800.0, 1600.0, 2015.748, 3200.0, 24000.0]
    for written in scales:
        value = encode_mark(Mark(homed=False), written, 0)
        assert [scale for scale in scales if decode_mark(value, scale, 0) is not None] == [written]


def test_a_mark_is_void_beside_another_origin() -> None:
    value = encode_mark(Mark(homed=True), 1600.0, -2850)
    believed = [origin for origin in range(-4000, 4000) if decode_mark(value, 1600.0, origin) is not None]
    assert -2850 in believed
    assert len(believed) < 8000 / 400 * 1.5
    assert not {-2849, -2851, 0, -2850 * 2}.intersection(believed)


def reported(steps: int, grid: StepGrid) -> float:
    return round(steps / grid.controller_steps_per_mm / grid.report_mm) * grid.report_mm


@given(st.integers(-400_000, 400_000), st.floats(10, 1000))
def test_a_coarse_grid_is_told_by_the_report(steps: int, steps_per_mm: float) -> None:
    grid = StepGrid(steps_per_mm, steps_per_mm, 1)
    assert grid.report_tells_steps
    place = reported(steps, grid)
    assert grid.steps_at(place) == steps
    assert grid.fits(steps, place)


@given(
    st.integers(-60_000, 60_000),
    st.sampled_from([1600.0, 2015.748, 3200.0, 24_000.0]),
    st.sampled_from([0.001, REPORT_INCH_MM]),
)
def test_on_a_fine_grid_the_digits_tell(steps: int, steps_per_mm: float, report_mm: float) -> None:
    grid = StepGrid(steps_per_mm, steps_per_mm, 1, report_mm)
    assert not grid.report_tells_steps
    place = reported(steps, grid)
    assert grid.steps_like(place, steps % DIGITS, DIGITS) == steps
    canonical = grid.steps_at(place)
    assert reported(canonical, grid) == place
    assert grid.steps_at(reported(canonical, grid)) == canonical


@given(
    st.lists(
        st.tuples(st.sampled_from(["read", "arrive", "origin", "lose", "blur"]), st.integers(-50_000, 50_000)),
        max_size=30,
    )
)
def test_the_ledger_knows_only_with_an_origin(moves: list[tuple[str, int]]) -> None:
    ledger = Ledger(StepGrid(400.0, 400.0, -1))
    origin: int | None = None
    for what, steps in moves:
        if what == "read":
            ledger.read(steps / 400.0)
        elif what == "arrive":
            ledger.arrive(steps)
        elif what == "origin":
            origin = steps
            ledger.set_origin(steps, homed=False)
        elif what == "lose":
            origin = None
            ledger.lose("test")
        else:
            ledger.blur()
        assert ledger.known == (origin is not None and ledger.machine is not None)
        assert (ledger.position_um is not None) == ledger.known
        if ledger.known and origin is not None and ledger.machine is not None:
            assert ledger.position_um == pytest.approx(-(ledger.machine - origin) * 2.5)
            assert ledger.target(ledger.position_um or 0.0) == ledger.machine
        if not ledger.known:
            assert not ledger.homed
