"""Numbers, profiles, serial line, memory and clocks of the simulated controller."""

from __future__ import annotations

import json
import math
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rail.simulator.clock import DeviceClock, ManualClock
from rail.simulator.eeprom import STOCK_SETTINGS, Eeprom
from rail.simulator.ramp import braking, trapezoid
from rail.simulator.single import print_number, read_number, single, to_steps, to_uint8, to_uint16
from rail.simulator.uart import BYTE_S, RX_SIZE, TX_SIZE, Receiver, Transmitter

SPEED = st.floats(0.0, 100.0)


@pytest.mark.parametrize(
    ("text", "value", "end"),
    [
        ("1", 1.0, 1),
        ("-0.5X", -0.5, 4),
        ("+.25", 0.25, 4),
        ("5.", 5.0, 2),
        ("123456789", 123456780.0, 9),  # the ninth digit does not count
        ("0.0123456789", single(0.0123456), 12),
        ("1.2.3", single(1.2), 3),
        ("1E3", 1.0, 1),
    ],
)
def test_numbers_are_read_as_the_firmware_does(text: str, value: float, end: int) -> None:
    read = read_number(text, 0)
    assert read is not None
    assert read[0] == pytest.approx(value, rel=2e-7)
    assert read[1] == end


@pytest.mark.parametrize("text", ["", "-", ".", "+.", "X", "--1"])
def test_what_has_no_digit_is_no_number(text: str) -> None:
    assert read_number(text, 0) is None


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (0.0, 3, "0.000"),
        (-0.0, 3, "0.000"),
        (-0.0001, 3, "-0.000"),
        (0.000625, 3, "0.001"),
        (12.3456, 3, "12.346"),
        (123.4567, 3, "123.457"),
        (-5.0, 4, "-5.0000"),
        (299.6, 0, "300"),
        (0.04, 1, "0.0"),
        (math.nan, 3, "2147483.648"),
        (math.inf, 3, "2147483.648"),
    ],
)
def test_numbers_are_printed_as_the_firmware_does(value: float, decimals: int, text: str) -> None:
    assert print_number(value, decimals) == text


@settings(derandomize=True, deadline=None)
@given(st.floats(-1e4, 1e4, width=32))
def test_printing_rounds_to_the_last_place(value: float) -> None:
    assert float(print_number(value, 3)) == pytest.approx(value, abs=5e-4 + abs(value) * 3e-7)


@settings(derandomize=True, deadline=None)
@given(st.floats())
def test_conversions_never_fail(value: float) -> None:
    assert 0 <= to_uint8(value) <= 255
    assert 0 <= to_uint16(value) <= 65535
    assert -(2**31) <= to_steps(value) < 2**31


def test_bytes_wrap() -> None:
    assert (to_uint8(300.0), to_uint8(255.9), to_steps(2.5), to_steps(-2.5)) == (44, 255, 3, -3)


@settings(derandomize=True, deadline=None)
@given(SPEED, st.floats(0.02, 100.0), SPEED, st.floats(0.001, 500.0), st.floats(0.5, 2000.0))
def test_a_profile_covers_its_length_without_jumps(
    entry: float, nominal: float, leave: float, length: float, acceleration: float
) -> None:
    ramp = trapezoid(entry, nominal, leave, length, acceleration)
    assert math.isfinite(ramp.duration_s)
    assert ramp.length_mm == length
    speed, distance = entry, 0.0
    for k in range(1, 41):
        covered, now = ramp.at(ramp.duration_s * k / 40)
        step_s = ramp.duration_s / 40
        assert covered >= distance - 1e-9
        assert abs(now - speed) <= acceleration * step_s * (1 + 1e-6) + 1e-4 * (entry + nominal + 1)
        assert now <= max(entry, nominal) + 1e-6
        assert (
            covered - distance <= max(now, speed, min(nominal, max(now, speed) + acceleration * step_s)) * step_s + 1e-6
        )
        speed, distance = now, covered
    assert distance == pytest.approx(length)
    assert ramp.time(length / 2) == pytest.approx(
        ramp.time(ramp.at(ramp.time(length / 2))[0]), abs=1e-6 + ramp.duration_s * 1e-3
    )


@settings(derandomize=True, deadline=None)
@given(SPEED, st.floats(0.001, 500.0), st.floats(0.5, 2000.0))
def test_braking_ends_at_rest_or_at_the_end(entry: float, length: float, acceleration: float) -> None:
    ramp = braking(entry, length, acceleration)
    assert ramp.length_mm <= length
    assert ramp.exit_speed == 0.0 or ramp.length_mm == length
    assert ramp.exit_speed**2 == pytest.approx(max(entry**2 - 2 * acceleration * length, 0.0), abs=1e-6)


def test_the_receive_ring_overflows_silently() -> None:
    line = Receiver()
    line.put(bytes(200), 0.0)
    for k in range(1, 201):
        for byte in line.arrived(k * BYTE_S):
            line.store(byte)
    assert (len(line.ring), line.free) == (RX_SIZE, 0)


def test_while_interrupts_are_off_two_bytes_survive() -> None:
    line = Receiver()
    line.mask(20.5 * BYTE_S)
    line.put(bytes(range(25)), 0.0)
    seen: list[int] = []
    while not math.isinf(due := line.next_event_s()):
        seen += line.arrived(due)
    assert seen == [0, 1, 20, 21, 22, 23, 24]


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=60), st.floats(0.0, 0.01)), max_size=20))
def test_the_transmitter_keeps_order_and_pace(pieces: list[tuple[bytes, float]]) -> None:
    line = Transmitter()
    now, sent, got = 0.0, b"", b""
    for data, pause in pieces:
        fits = line.push(data, now)
        assert fits <= TX_SIZE + 1
        sent += data[:fits]
        now += pause
        got += line.take(now)
        assert sent.startswith(got)
        assert len(got) <= now / BYTE_S + 1
    assert got + line.take(now + 1.0) == sent
    assert math.isinf(line.line_done_s())


def test_settings_survive_as_json() -> None:
    memory = Eeprom()
    assert memory.store(100, 1600.5) == 0
    memory.write_coordinates("G54", (1.0, 2.0, 3.0))
    memory.write_startup(0, "G91")
    memory.write_build("RAIL")
    other = Eeprom()
    other.load_json(json.loads(json.dumps(memory.to_json())))
    assert other.to_json() == memory.to_json()
    assert other.settings[100] == 1600.5


@pytest.mark.parametrize(
    "stored",
    [{}, {"settings": {"1": "x"}}, {**Eeprom().to_json(), "startup": []}, {**Eeprom().to_json(), "settings": {"1": 1}}],
)
def test_foreign_json_is_refused(stored: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="EEPROM"):
        Eeprom().load_json(stored)


def test_writing_the_same_again_wears_nothing() -> None:
    memory = Eeprom()
    memory.store(110, 321.0)
    assert memory.changed > 0
    memory.changed = 0
    memory.store(110, 321.0)
    memory.write_startup(0, "")
    assert memory.changed == 0


@pytest.mark.parametrize(
    ("number", "value", "code"),
    [
        (0, 2, 6),
        (0, 3, 0),
        (3, 300, 0),
        (20, 1, 10),
        (110, -1, 4),
        (103, 1, 3),
        (7, 1, 3),
        (140, 1, 3),
        (33, 1, 3),
        (31, 5, 0),
    ],
)
def test_settings_are_checked(number: int, value: float, code: int) -> None:
    assert Eeprom().store(number, value) == code


def test_homing_off_takes_soft_limits_with_it() -> None:
    memory = Eeprom()
    assert [memory.store(22, 1), memory.store(20, 1), memory.store(22, 0)] == [0, 0, 0]
    assert memory.settings[20] == 0
    assert set(memory.settings) == set(STOCK_SETTINGS)


def test_device_time_runs_at_its_scale() -> None:
    clock = DeviceClock(1000.0, start_s=5.0)
    assert clock.real_s(2.0) == 0.002
    start = clock.now()
    assert start >= 5.0
    assert clock.wait_until(start + 1.0)
    assert clock.now() >= start + 1.0
    woken = threading.Event()
    woken.set()
    assert not clock.wait_until(start + 1e9, woken)
    with pytest.raises(ValueError, match="scale"):
        DeviceClock(0.0)


def test_a_manual_clock_stands_until_moved() -> None:
    clock = ManualClock()
    reached = threading.Event()
    waiter = threading.Thread(target=lambda: clock.wait_until(2.0) and reached.set())
    waiter.start()
    clock.advance(1.0)
    assert clock.now() == 1.0
    assert not reached.is_set()
    clock.advance(1.0)
    waiter.join(10.0)
    assert reached.is_set()
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1.0)
    ended = threading.Event()
    ended.set()
    assert not clock.wait_until(100.0, ended)
