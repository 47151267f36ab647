"""What goes wrong on the other controllers, and what each says of itself."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rail.axis import AxisState
from rail.errors import (
    RailError,
    RailPortError,
    RailPositionUnknownError,
    RailResetError,
    RailTimeoutError,
    RailUnknownControllerError,
)
from rail.grbl import dialects
from rail.grbl.axis import GrblAxis
from rail.grbl.link import Link
from rail.grbl.protocol import Setting, TextSetting, Unrecognised
from rail.grbl.protocol import classify as classify_grbl
from rail.profiles import load_profile
from tests.rail.faults import Talker, believed_right, damaged_run, zeroed
from tests.rail.grbl_virtual import VirtualRail

DIALECTS = ("grblhal", "fluidnc", "marlin")


# Who is who -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ({"VER": "1.1h.20190830:", "OPT": "V,15,128"}, "grbl"),
        ({"VER": "1.1h.20260101:focusrail", "OPT": "M,15,128"}, "grbl"),
        ({"VER": "1.1f.20240812:", "OPT": "VNMSL,35,1024,3,0", "FIRMWARE": "grblHAL"}, "grblhal"),
        ({"VER": "1.1f.20200603:", "OPT": "VN", "NEWOPT": "ENUMS,RT+"}, "grblhal"),
        ({"VER": "3.7 FluidNC v3.7.8:", "OPT": "PHS"}, "fluidnc"),
        ({"VER": "4.1 FluidNC v4.1.1 (esp32-wifi) :", "OPT": "PHSEW"}, "fluidnc"),
        ({"VER": "0.9j.20150811:"}, None),
        ({"VER": "1.1h.20190830:", "FIRMWARE": "somebody"}, None),
        ({}, None),
    ],
)
def test_controllers_are_told_apart_by_what_they_say(lines: dict[str, str], key: str | None) -> None:
    found = dialects.recognise(lines, "")
    assert (found and found.key) == key


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_is_recognised_on_its_wire(dialect: str) -> None:
    rail = VirtualRail(dialect=dialect)
    axis = rail.open()
    assert axis.identity.dialect == dialect
    axis.close()
    again = VirtualRail(dialect=dialect, reset_on_open=True).open()
    assert again.identity.dialect == dialect
    assert again.reset_on_open
    again.close()


@pytest.mark.parametrize(
    ("greeting", "answer", "said"),
    [
        (b"", b"FIRMWARE_NAME:Klipper FIRMWARE_VERSION:v0.12\nok\n", "Klipper"),
        (b"start\n", b"FIRMWARE_NAME:Repetier_1.0.4 FIRMWARE_URL:x\nok\n", "Repetier"),
        (b"Smoothie\r\nok\r\n", b"FIRMWARE_NAME:Smoothieware, FIRMWARE_URL:x\r\nok\r\n", "Smoothie"),
        (b"\r\nGrbl 0.9j ['$' for help]\r\n", b"[0.9j.20150811:]\r\n[GC:G0]\r\nok\r\n", "0.9j"),
    ],
)
def test_a_stranger_is_refused_with_what_it_said(greeting: bytes, answer: bytes, said: str) -> None:
    port = Talker(greeting, answer)
    with pytest.raises(RailError) as caught:
        GrblAxis.connect(Link(port, clock=lambda: port.now), load_profile())
    assert said in caught.value.message or not isinstance(caught.value, RailUnknownControllerError)
    assert caught.value.remedy


# grblHAL --------------------------------------------------------------------------------------------------------


def test_grblhals_g92_outlives_its_power_and_is_not_believed() -> None:
    rail = VirtualRail(dialect="grblhal")
    axis, _ = zeroed(rail)
    axis.jog(1000)
    axis.zero()
    axis.close()
    rail.restart()
    assert any(rail.controller.core.parser.offset)  # it is still there
    again = rail.open()
    assert not again.status().position_known
    with pytest.raises(RailPositionUnknownError):
        again.move_to(0)
    again.close()


def test_grblhals_settings_with_words_are_no_damage() -> None:
    assert classify_grbl(b"$300=grblHAL") == [TextSetting("300", "grblHAL")]
    assert classify_grbl(b"$100=80.000") == [Setting(100, 80.0)]
    assert isinstance(classify_grbl(b"$100=8x.000")[0], Unrecognised)


@pytest.mark.parametrize(
    ("dialect", "code", "word"), [("grblhal", 11, "homing"), ("grblhal", 12, "limit"), ("fluidnc", 14, "homed")]
)
def test_alarms_that_grbl_does_not_have_are_said_in_words(dialect: str, code: int, word: str) -> None:
    book = {"grblhal": dialects.GRBLHAL, "fluidnc": dialects.FLUIDNC}[dialect].book
    error = book.alarmed(code)
    assert word in error.message
    assert error.remedy


@pytest.mark.parametrize("dialect", DIALECTS)
def test_one_damaged_byte_leads_to_no_wrong_position(dialect: str) -> None:
    for seed in range(3):
        damaged_run(seed, dialect)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_many_damaged_bytes_lead_to_no_wrong_position(dialect: str) -> None:
    for seed in range(500):
        damaged_run(1000 + seed, dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("homing", [False, True])
def test_a_restart_between_two_moves_is_called_one(dialect: str, homing: bool) -> None:
    rail = VirtualRail(dialect=dialect, homing=homing)
    axis = rail.open()
    if homing:
        axis.unlock()
    axis.zero()
    rail.restart()
    with pytest.raises(RailResetError):
        axis.move_to(100)
    assert not axis.status().position_known
    axis.close()


@pytest.mark.parametrize("said", [b"error:100", b"error:199"])
def test_an_error_that_nobody_knows_is_answered_by_sending_the_line_again(said: bytes) -> None:
    """focusrail's firmware says error:100 for a line whose bytes were damaged."""
    rail = VirtualRail()
    axis, origin = zeroed(rail)
    left = [1]

    def refuse(data: bytes) -> bytes:
        if left and b"ok" in data and b"G1X" in rail.port.sent[-40:]:
            left.pop()
            return data.replace(b"ok", said, 1)
        return data

    rail.port.mangle_in = refuse
    assert axis.move_to(1000).position == 1000
    assert not left
    assert (rail.steps() - origin) * rail.step_um == 1000
    axis.close()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("when", ["at rest", "at rest on machine zero"])
def test_a_restart_whose_banner_was_lost_is_found_all_the_same(dialect: str, when: str) -> None:
    rail = VirtualRail(dialect=dialect)
    axis, _ = zeroed(rail)
    if when == "at rest":
        axis.move_to(1000)
    rail.restart()
    rail.controller.advance(rail.controller.core.now + 1.0)
    rail.controller.take_output()
    assert not axis.status().position_known
    with pytest.raises(RailError):
        axis.move_to(0)
    axis.close()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_unplugging_in_motion_and_plugging_in_again(dialect: str) -> None:
    rail = VirtualRail(dialect=dialect)
    axis, origin = zeroed(rail)

    def unplug() -> None:
        rail.port.unplugged = True

    rail.call_later(0.9, unplug)
    with pytest.raises(RailPortError):
        axis.move_to(5000)
    assert axis.status().state is AxisState.DISCONNECTED
    assert axis.status().position is None
    axis.close()
    with rail.open() as again:
        assert not rail.moving()
        assert believed_right(rail, again, origin)


@pytest.mark.parametrize("dialect", ["grbl", *DIALECTS])
@pytest.mark.parametrize("written", [True, False])
def test_a_zero_that_was_broken_off_is_what_the_controller_has_of_it(dialect: str, written: bool) -> None:
    rail = VirtualRail(dialect=dialect)
    axis, _ = zeroed(rail)
    axis.move_to(1000)

    def mute(data: bytes) -> bytes:
        if b"G92 X" in data or b"G92X" in data:
            rail.port.mangle_in = lambda data: b""
            return data if written else b""
        return data

    rail.port.mangle_out = mute
    with pytest.raises(RailTimeoutError):
        axis.zero()
    rail.port.mangle_in = rail.port.mangle_out = lambda data: data
    first = axis.status()
    assert first.position in ({0.0, None} if written else {1000.0, None})
    axis.close()
    with rail.open() as again:
        assert again.status().position == first.position
    axis.close()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("moving", [True, False])
def test_silence_is_noticed_and_forgiven_once_it_ends(dialect: str, moving: bool) -> None:
    rail = VirtualRail(dialect=dialect)
    axis, origin = zeroed(rail)
    axis.move_to(200)

    def silence() -> None:
        rail.port.mangle_in = lambda data: b""

    if moving:
        rail.call_later(0.5, silence)
    else:
        silence()
    begin = rail.port.now
    with pytest.raises(RailTimeoutError):
        axis.move_to(9000)
    assert rail.port.now - begin < 20.0
    assert not axis.status().position_known
    rail.port.mangle_in = lambda data: data
    assert not axis.status().position_known or believed_right(rail, axis, origin)
    axis.zero()
    assert axis.move_to(100).position == 100
    axis.close()


@given(st.lists(st.sampled_from([b"ok", b"Resend: 3", b"start", b"X:1.00 Y:0.00 Z:0.00 E:0.00 Count X:5 Y:0 Z:0", b"FIRMWARE_NAME:Marlin 2",
       b"Error:Printer halted. kill() called!", b"<Idle|MPos:0,0,0>", b"Grbl 1.1h ['$' for help]", b"[VER:1.1h.2:]", b"error:20",
       b"ALARM:1", b"echo:busy: processing", b"\xff\x00", b""]) | st.binary(max_size=20), max_size=25), st.binary(max_size=60))  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_whatever_answers_nothing_but_rail_errors_come_out(lines: list[bytes], answer: bytes) -> None:
    port = Talker(b"\n".join(lines) + b"\n", answer + b"\n")
    with pytest.raises(RailError):
        GrblAxis.connect(Link(port, clock=lambda: port.now), load_profile()).move_to(1e9)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_killed_programs_homing_is_stopped_first(dialect: str) -> None:
    switch = {21: 0 if dialect == "marlin" else 1, 130: 60, 25: 60, 24: 30}
    rail = VirtualRail(dialect=dialect, homing=True, settings=switch)
    axis = rail.open()
    rail.call_later(4.0, lambda: rail.kill(axis))
    with pytest.raises(RailError):
        axis.home()
    assert rail.moving()
    again = rail.open()
    assert not rail.moving()
    assert not again.status().position_known
    again.unlock()
    again.zero()
    assert again.move_to(-500).position == -500
    again.close()


def moved_until_told(seed: int, dialect: str, *, homing: bool) -> RailError | None:
    """Move about while the controller restarts at a random moment; the first error."""
    rng = random.Random(seed)
    switch = {21: 0 if dialect == "marlin" else 1, 130: 60, 25: 1500, 24: 100}
    rail = VirtualRail(dialect=dialect, homing=homing, settings=switch if homing else None)
    axis = rail.open()
    if homing:
        axis.home()
    else:
        axis.zero()
    silence_s = rng.choice([0.0, 0.3, 1.6])
    rail.call_later(rng.uniform(0, 3.0), lambda: rail.controller.hardware_reset(silence_s))
    low, high = axis.limits
    silent = False
    for _ in range(12):
        try:
            if rng.random() < 0.3:
                axis.status()
            axis.move_to(rng.uniform(max(low, -3000), min(high, 3000)))
        except RailTimeoutError as error:
            # A boot loader that is silent for longer than a second: said to be silent in time, and to have restarted afterwards.
            if silent or silence_s < 1:
                return error
            silent = True
            rail.controller.advance(rail.port.now + silence_s)
        except RailError as error:
            return error
        finally:
            assert not silent or not axis.status().position_known
    axis.close()
    return None


@pytest.mark.parametrize("dialect", ["grbl", *DIALECTS])
@pytest.mark.parametrize("homing", [False, True])
def test_a_restart_at_any_moment_is_said_to_be_one(dialect: str, homing: bool) -> None:
    for seed in range(4):
        assert isinstance(moved_until_told(seed, dialect, homing=homing), RailResetError), seed


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("dialect", ["grbl", *DIALECTS])
@pytest.mark.parametrize("homing", [False, True])
def test_a_restart_at_any_of_many_moments_is_said_to_be_one(dialect: str, homing: bool) -> None:
    for seed in range(100, 600):
        assert isinstance(moved_until_told(seed, dialect, homing=homing), RailResetError), seed
