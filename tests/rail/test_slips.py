"""Lost steps on controllers that do not tell of them: `home` looks whether the switch closes where it should."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from rail.errors import RailAlarmError
from rail.grbl.axis import GrblAxis
from rail.profiles import parse_profile
from tests.rail.grbl_virtual import VirtualRail

KINDS = [(dialect, hard) for dialect in ("grbl", "grblhal", "fluidnc") for hard in (0, 1)] + [("marlin", 0)]
OUT, BACK = -9000.0, -2000.0


def homed(
    dialect: str = "grbl", hard: int = 0, backlash_um: float = 120.0, **more: float
) -> tuple[VirtualRail, GrblAxis]:
    settings = {21: hard, 130: 60, 25: 300, 24: 60, **{int(name[1:]): value for name, value in more.items()}}
    rail = VirtualRail(dialect=dialect, homing=True, steps_per_mm=1600.0, backlash_um=backlash_um, settings=settings)
    axis = rail.open()
    axis.unlock()
    axis.home()
    assert axis.switch_shift_um is None  # nothing was known to compare with
    return rail, axis


def slip(rail: VirtualRail, axis: GrblAxis, target: float, steps: int) -> float:
    """Lose steps on the way to `target`; what the switch will be off by, um of position."""
    start = axis.status().position
    assert start is not None
    rail.slide.lose = steps
    axis.move_to(target)
    return rail.step_um * steps * (-1 if target < start else 1)


@pytest.mark.parametrize(("dialect", "hard"), KINDS)
def test_homing_tells_how_far_off_the_switch_is(dialect: str, hard: int) -> None:
    rail, axis = homed(dialect, hard)
    axis.move_to(-5000)
    place = rail.carriage_um()
    for target, steps in ((OUT, 64), (BACK, 640), (BACK, 0))[: 1 if dialect == "marlin" else None]:
        off = slip(rail, axis, target, steps)
        told = len(axis.notices)
        assert axis.home().homed
        assert axis.switch_shift_um == pytest.approx(off, abs=2 * rail.step_um)
        assert len(axis.notices) - told == bool(steps)
        axis.move_to(-5000)
        assert rail.carriage_um() == pytest.approx(place, abs=rail.step_um)
    axis.close()


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("dialect", "hard"), KINDS)
def test_homing_tells_of_many_slips(dialect: str, hard: int) -> None:
    """A jam, lost steps, a carriage moved by hand, or nothing: at random, 100 times."""
    chance = random.Random(9)
    rail, axis = homed(dialect, hard)
    for _ in range(100):
        steps = chance.choice((0, chance.randrange(20, 1600)))
        off = slip(rail, axis, chance.uniform(-9000, -1000), steps)
        told = len(axis.notices)
        axis.home()
        assert axis.switch_shift_um == pytest.approx(off, abs=5 * rail.step_um)
        assert len(axis.notices) - told == bool(steps)
    axis.close()


@pytest.mark.parametrize("hard", [0, 1])
def test_a_slip_that_is_longer_than_the_search_is_told_as_its_least(hard: int) -> None:
    rail, axis = homed(hard=hard)
    axis.move_to(-20_000)
    rail.slide.jammed = True
    axis.move_to(-12_000)
    rail.slide.jammed = False  # 8 mm farther from the switch than it says
    assert axis.home().position == 0.0
    assert axis.switch_shift_um == pytest.approx(5000 if hard else 1000, abs=200)
    assert "at least" in axis.notices[-1]
    axis.close()


@pytest.mark.parametrize("hard", [0, 1])
def test_a_new_program_compares_as_well(hard: int) -> None:
    rail, axis = homed(hard=hard)
    off = slip(rail, axis, OUT, 200)
    axis.close()
    again = rail.open()
    again.home()
    assert again.switch_shift_um == pytest.approx(off, abs=2 * rail.step_um)
    again.close()


def test_a_switch_met_in_a_move_tells_how_far_off_it_was() -> None:
    rail, axis = homed(hard=1)
    slip(rail, axis, OUT, 3200)  # 2 mm of the way out were lost, so the switch comes too early on the way home
    with pytest.raises(RailAlarmError, match=r"met 2\d\d\d um from its place") as caught:
        axis.move_to(0)
    assert caught.value.code == 1
    assert not axis.status().position_known
    assert axis.home().position == 0.0
    assert axis.switch_shift_um is None
    axis.close()


def test_with_soft_limits_only_an_early_switch_can_be_told() -> None:
    rail, axis = homed(s20=1)
    slip(rail, axis, OUT, 2400)
    axis.home()
    assert axis.switch_shift_um == pytest.approx(-1500, abs=2)
    slip(rail, axis, OUT, 64)
    axis.home()
    assert axis.switch_shift_um is None  # less than the pull-off: not looked for
    axis.close()


def test_a_zeroed_rail_and_a_changed_profile_have_nothing_to_compare() -> None:
    rail, axis = homed()
    axis.zero()
    axis.home()
    assert axis.switch_shift_um is None
    axis.close()
    rail.profile = parse_profile("name = 'test'\nhome_position_um = 500", source="test")
    with rail.open() as again:
        again.home()
        assert again.switch_shift_um is None
        assert not again.notices


def test_a_build_that_reports_no_inputs_raises_no_false_alarm() -> None:
    rail, axis = homed()
    clean = lambda data: b"".join(data.partition(b"|Pn:X")[::2])  # noqa: E731
    rail.port.mangle_in = clean
    axis.move_to(-3000)
    axis.home()
    assert axis.switch_shift_um is None
    assert not axis.notices
    axis.close()


def test_an_interrupt_while_it_looks_stops_it() -> None:
    rail, axis = homed()
    axis.move_to(-9000)
    rail.call_later(2.0, rail.interrupt)
    with pytest.raises(KeyboardInterrupt):
        axis.home()
    assert not rail.moving()
    axis.close()


def shove(rail: VirtualRail, past_um: float) -> list[float]:
    """By hand, so far past the switch; how far past it the carriage then goes at most, um."""
    slide, farthest = rail.slide, [past_um]
    assert slide.spec.switch_um is not None
    by = slide.spec.switch_um + past_um - slide.carriage_um
    slide._zero_um += by
    slide.rest = replace(slide.rest, carriage_um=slide.carriage_um + by)
    turn = slide.move

    def move(steps: int) -> None:
        turn(steps)
        assert slide.spec.switch_um is not None
        farthest[0] = max(farthest[0], slide.carriage_um - slide.spec.switch_um)

    slide.move = move  # type: ignore[method-assign]
    rail.controller.core.pins = rail.controller.core.limits()  # with nobody to hear the edge
    rail.controller.changed()
    return farthest


@pytest.mark.parametrize(("dialect", "hard"), [("grbl", 0), ("grbl", 1), ("marlin", 0)])
def test_a_carriage_that_stands_on_its_switch_goes_no_farther_onto_it(dialect: str, hard: int) -> None:
    rail, axis = homed(dialect, hard)
    axis.move_to(-3000)
    farthest = shove(rail, 300.0)
    assert axis.home().position == 0.0
    assert farthest[0] < 320  # what homing itself goes
    assert axis.switch_shift_um == pytest.approx(-4000 if hard else -4300, abs=5)  # where it stands, or where it closed
    assert ("at least" in axis.notices[-1]) == bool(hard)
    axis.close()


@pytest.mark.parametrize("dialect", ["grbl", "marlin"])
def test_a_switch_far_before_its_place_is_seen_on_the_way(dialect: str) -> None:
    rail, axis = homed(dialect, s110=600)
    axis.move_to(-6000)
    farthest = shove(rail, -50.0)
    assert axis.home().position == 0.0
    assert farthest[0] < 1600  # 5 mm/s ($25) for a fifth of a second, and the brake
    assert axis.switch_shift_um == pytest.approx(-6950, abs=5)
    axis.close()


@pytest.mark.parametrize(("travel_mm", "away_um"), [(60, 5000), (20, 1700)])
def test_a_switch_that_never_opens_is_left_no_farther_than_the_rail_is_long(travel_mm: int, away_um: float) -> None:
    rail, axis = homed(s130=travel_mm, s110=600)
    axis.move_to(-16_500)
    start = rail.carriage_um()
    lowest = [start]
    rail.port.mangle_out = lambda data: (lowest.append(rail.carriage_um()), data)[1]
    rail.slide.stuck = True
    with pytest.raises(RailAlarmError, match="did not open"):
        axis.home()
    assert 0.5 * away_um < start - min(lowest) - 1000 <= away_um  # 1 mm is homing's own pull-off
    assert not axis.status().position_known
    axis.close()


def test_an_interrupt_while_it_looks_whether_reports_show_the_switch_stops_it() -> None:
    rail, axis = homed()
    axis.move_to(-9000)
    rail.slide.jammed = True
    axis.move_to(-4000)
    rail.slide.jammed = False  # the switch is farther away than it is looked for
    place = rail.slide.spec.switch_um
    assert place is not None
    rail.call_when(lambda: axis.status().position_known and rail.carriage_um() > place - 500, rail.interrupt)
    with pytest.raises(KeyboardInterrupt):
        axis.home()
    assert not rail.moving()
    axis.close()
