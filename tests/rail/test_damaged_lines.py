"""Damaged and late lines: a byte lost or changed, a line cut in two, a mark written after a restart, an origin between two reports."""

from __future__ import annotations

import pytest

from rail.errors import RailAlarmError, RailError, RailResetError
from tests.rail.faults import believed_right, changed_once, damaged_run, zeroed
from tests.rail.grbl_virtual import VirtualRail


def test_one_damaged_byte_leads_to_no_wrong_position() -> None:
    noticed = [damaged_run(seed) for seed in range(60)]
    assert any(noticed)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_many_damaged_bytes_lead_to_no_wrong_position() -> None:
    assert sum(damaged_run(seed) for seed in range(1000, 6000)) > 100


def test_a_line_that_a_damaged_byte_cut_in_two_is_sent_again_after_both_answers() -> None:
    """Else the second answer is taken for that of the line sent again, and a move goes on that nobody watches."""
    rail = VirtualRail(settings={110: 600, 120: 200})
    axis, origin = zeroed(rail)
    cut = changed_once(rail.port, b"G1X", b"G1X\r/")
    assert axis.move_to(3000).position == 3000
    assert cut
    assert believed_right(rail, axis, origin)
    axis.close()


def test_half_a_line_that_moves_is_stopped() -> None:
    """The half before the damaged byte is a whole line to the controller, and names another target."""
    rail = VirtualRail(settings={110: 600, 120: 200})
    axis, origin = zeroed(rail)
    axis.move_to(2000)
    cut = changed_once(rail.port, b"G1X1", b"G1X-1\r")
    with pytest.raises(RailError):
        axis.move_to(15_000)
    assert rail.port.now - cut[0] < 1.5
    assert not rail.moving()
    assert believed_right(rail, axis, origin)
    axis.close()


@pytest.mark.parametrize("dialect", ["grbl", "grblhal", "fluidnc"])
@pytest.mark.parametrize("letter", [b"Y", b"Z"])  # one bit away from X
def test_a_line_that_moves_another_axis_is_stopped(dialect: str, letter: bytes) -> None:
    rail = VirtualRail(dialect=dialect, settings={110: 600, 111: 600, 112: 600, 120: 200, 121: 200, 122: 200})
    axis, origin = zeroed(rail)
    axis.move_to(2000)
    damaged = changed_once(rail.port, b"G1X1", b"G1" + letter + b"1")
    with pytest.raises(RailError, match="another axis"):
        axis.move_to(15_000)
    assert rail.port.now - damaged[0] < 0.7
    assert not rail.moving()
    believed_right(rail, axis, origin)
    axis.close()


@pytest.mark.parametrize("dialect", ["grbl", "grblhal", "fluidnc"])
def test_a_mark_that_was_on_its_way_when_the_controller_restarted_is_not_believed(dialect: str) -> None:
    rail = VirtualRail(dialect=dialect, steps_per_mm=1600.0, settings={110: 600, 120: 200})
    axis, _ = zeroed(rail)
    axis.move_to(1000)
    marks: list[bytes] = []

    def restart_before_the_mark(data: bytes) -> bytes:
        if b"G92Z" in data or b"G43.1Z" in data:
            marks.append(data)
            if len(marks) == 2:  # the first says that the carriage leaves its step, the second on which it stands
                return b"\x18" + data
        return data

    rail.port.mangle_out = restart_before_the_mark
    with pytest.raises(RailResetError):
        axis.move_to(-1000)
    assert not axis.status().position_known
    axis.close()
    with rail.open() as again:
        assert not again.status().position_known


@pytest.mark.parametrize("dialect", ["grbl", "grblhal", "fluidnc", "marlin"])
def test_an_origin_set_anywhere_on_a_fine_grid_is_the_same_after_reopening(dialect: str) -> None:
    """A report tells no step of 0.3 um: such an origin must be one that it can tell."""
    rail = VirtualRail(dialect=dialect, steps_per_mm=3200.0)
    axis, _ = zeroed(rail)
    for number in range(12):
        told = axis.set_position(100.3 * number + 0.3125 * number).position
        assert told == pytest.approx(100.6125 * number, abs=1.0)
        axis.close()
        axis = rail.open()
        assert axis.status().position == told
    axis.close()


@pytest.mark.parametrize("dialect", ["grbl", "fluidnc"])
def test_a_mark_line_that_moved_the_origin_is_found(dialect: str) -> None:
    """One bit makes an X of its Z: then the origin lies elsewhere, and the old mark stands beside it."""
    rail = VirtualRail(dialect=dialect, steps_per_mm=1600.0, settings={110: 600, 120: 200})
    axis, _ = zeroed(rail)
    axis.move_to(1000)
    rail.port.mangle_out = lambda data: data.replace(b"G92Z", b"G92X")
    axis.move_to(2000)
    rail.port.mangle_out = lambda data: data
    with rail.open() as again:
        assert not again.status().position_known


@pytest.mark.parametrize("operation", ["move", "press"])
def test_a_question_that_became_marlins_emergency_stop_is_told_at_once(operation: str) -> None:
    """Its emergency parser checks no sum: M114 with two bits changed is M112."""
    rail = VirtualRail(dialect="marlin", settings={110: 600, 120: 200})
    axis, _ = zeroed(rail)
    axis.move_to(500)
    damaged = changed_once(rail.port, b"M114", b"M112")
    with pytest.raises(RailAlarmError, match="halted itself") as caught:
        axis.move_to(3000) if operation == "move" else axis.pulse((("M8", 1.0),))
    assert rail.port.now - damaged[0] < 0.1
    assert "reset" in caught.value.remedy
    assert not rail.moving()
    assert not axis.status().position_known
    axis.close()


def test_another_programs_origin_beside_our_mark_is_not_believed() -> None:
    rail = VirtualRail()
    axis, _ = zeroed(rail)
    axis.move_to(1000)
    axis.close()
    rail.controller.receive(b"G92X5\n")
    with rail.open() as again:
        assert not again.status().position_known


def test_an_origin_in_a_workspace_of_another_program_is_kept() -> None:
    """G54 and G92, each rounded in ``$#``, add up to another last digit than the whole."""
    rail = VirtualRail(steps_per_mm=3200.0)
    rail.controller.receive(b"G10L2P1X1.23437\n")
    rail.controller.advance(rail.controller.core.now + 0.1)
    axis, _ = zeroed(rail)
    for number in range(20):
        axis.jog(333.3)
        told = axis.zero().position
        assert told == 0
        axis.close()
        axis = rail.open()
        assert axis.status().position == told, number
