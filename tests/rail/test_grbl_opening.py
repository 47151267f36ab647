"""How a controller is found when its port is opened: held, asleep, busy for a program that is gone, restarting, a stranger."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rail.axis import AxisState
from rail.errors import (
    RailDeviceError,
    RailProtocolError,
    RailTimeoutError,
    RailUnknownControllerError,
)
from rail.grbl.axis import GrblAxis
from rail.grbl.link import Link
from rail.profiles import load_profile
from tests.rail.faults import Talker, believed_right, changed_once, zeroed
from tests.rail.grbl_virtual import VirtualPort, VirtualRail


def test_a_foreign_hold_and_a_door_are_cleared_at_opening() -> None:
    for byte in (b"!", b"\x84"):
        rail = VirtualRail()
        axis, origin = zeroed(rail)
        axis.move_to(500)
        rail.kill(axis)
        rail.controller.receive(byte)
        with rail.open() as again:
            assert again.status().state is AxisState.IDLE
            assert believed_right(rail, again, origin)


@pytest.mark.parametrize(("line", "word", "kept"), [("$C", "check mode", True), ("$SLP", "asleep", False)])
def test_modes_that_hear_no_line_are_left_when_it_is_opened(line: str, word: str, kept: bool) -> None:
    rail = VirtualRail()
    axis, origin = zeroed(rail)
    axis.move_to(500)
    axis.close()
    rail.controller.receive(line.encode() + b"\n")
    rail.controller.advance(rail.port.now + 0.1)
    with rail.open() as again:
        assert any(word in notice for notice in again.notices)
        assert believed_right(rail, again, origin) is kept
        if not kept:
            with pytest.raises(RailDeviceError):
                again.move_to(300)
            again.unlock()
            again.zero()
        again.move_to(300)


@pytest.mark.parametrize(
    ("dwell_s", "word"), [(0.5, "moving"), (1.5, "moving"), (1.9, "moving"), (3.0, "dwell"), (30.0, "dwell")]
)
def test_one_that_dwells_for_another_program_is_opened_all_the_same(dwell_s: float, word: str) -> None:
    """What stands behind the dwell is stopped, or thrown away with it, and the position kept."""
    rail = VirtualRail()
    axis, origin = zeroed(rail)
    axis.move_to(500)
    rail.kill(axis)
    rail.controller.receive(f"G4P{dwell_s}\nG90G1X9F600\n".encode())
    rail.controller.advance(rail.controller.core.now + 0.1)
    with rail.open() as again:
        assert again.identity.dialect == "grbl"
        assert len(again.notices) == 1
        assert word in again.notices[0]
        assert believed_right(rail, again, origin)
        assert again.move_to(300).position == 300


@pytest.mark.parametrize("dialect", ["grbl", "grblhal", "fluidnc"])
@pytest.mark.parametrize("arrives", [b"\n", b"$\n"])
def test_a_damaged_question_for_the_name_makes_no_stranger(dialect: str, arrives: bytes) -> None:
    rail = VirtualRail(dialect=dialect)
    axis, origin = zeroed(rail)
    axis.move_to(300)
    axis.close()
    rail.port = port = VirtualPort(rail.controller)
    struck = changed_once(port, b"$I\n", arrives)
    with GrblAxis.connect(Link(port, clock=lambda: port.now), rail.profile) as again:
        assert struck
        assert again.identity.dialect == dialect
        assert believed_right(rail, again, origin)


def test_a_board_that_restarts_when_opened_says_so() -> None:
    rail = VirtualRail(reset_on_open=True)
    axis, _ = zeroed(rail)
    axis.move_to(300)
    assert axis.reset_on_open
    assert "reset-on-open" in {finding.key for finding in axis.diagnose()}
    axis.close()
    with rail.open() as again:
        assert not again.status().position_known


@pytest.fixture
def talk() -> Callable[..., GrblAxis]:
    def connect(greeting: bytes, answer: bytes = b"") -> GrblAxis:
        port = Talker(greeting, answer)
        return GrblAxis.connect(Link(port, clock=lambda: port.now), load_profile())

    return connect


@pytest.mark.parametrize(
    ("greeting", "answer", "said"),
    [
        (b"start\necho:Marlin 2.1.2.4\necho: Last Updated: 2024\n", b"ok\n", "Marlin"),
        (b"$GPGGA,123519,4807.038,N,01131.000,E*47\r\n" * 5, b"", "GPGGA"),
        (b"\r\nGrbl 0.9j ['$' for help]\r\n<Idle|MPos:0.000,0.000,0.000>\r\n" * 3, b"[0.9j.20150811:]\r\nok\r\n", ""),
        (b"\xff\x00\xfe\x80\n" * 9, b"", "�"),
    ],
)
def test_a_stranger_is_refused_with_what_it_said(
    talk: Callable[..., GrblAxis], greeting: bytes, answer: bytes, said: str
) -> None:
    with pytest.raises((RailUnknownControllerError, RailProtocolError, RailTimeoutError)) as caught:
        talk(greeting, answer)
    assert said in caught.value.message
    assert caught.value.remedy


def test_nobody_there(talk: Callable[..., GrblAxis]) -> None:
    with pytest.raises(RailTimeoutError, match="Nothing answers"):
        talk(b"")
