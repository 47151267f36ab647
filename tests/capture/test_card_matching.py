"""Pictures of a card and exposures of a session: right, or told to be unknown; over rhythms, clocks, gaps and strangers at random."""

from __future__ import annotations

import math
import random

import pytest

from capture.session.card_matching import Exposure, match, match_by_order


def session(
    chance: random.Random, count: int, *, period_s: float = 3.0, jitter_s: float = 0.4
) -> tuple[list[Exposure], list[float]]:
    """Exposures, and when the camera took each (on the computer's clock)."""
    at, exposures, taken = 1.7e9 + chance.uniform(0, 1e6), [], []
    for number in range(1, count + 1):
        exposures.append(Exposure(number, at))
        taken.append(at + chance.uniform(0.05, 0.3))
        at += period_s + chance.uniform(0, jitter_s)
    return exposures, taken


def on_card(times: list[float], offset_s: float, resolution_s: float) -> list[float]:
    return [math.floor((at + offset_s) / resolution_s) * resolution_s for at in sorted(times)]


OFFSETS = (0.0, 7200.0, -5.4, 3723.9, -400 * 86400.0)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("resolution_s", [0.01, 1.0])
def test_all_there_and_strangers_around(seed: int, resolution_s: float) -> None:
    chance = random.Random(seed)
    exposures, taken = session(chance, chance.choice((1, 2, 7, 40)), period_s=chance.choice((1.5, 3.0, 20.0)))
    strangers = [taken[0] - chance.uniform(500, 5000) for _ in range(chance.randrange(4))] if len(taken) > 2 else []
    offset_s = chance.choice(OFFSETS)
    card = on_card(taken + strangers, offset_s, resolution_s)
    found = match(exposures, card, resolution_s)
    assert found.rivals == ()
    assert found.doubtful == ()
    assert found.pairs == {number: number + len(strangers) for number in range(len(taken))}
    assert found.offset_s == pytest.approx(offset_s, abs=resolution_s + 0.4)


@pytest.mark.parametrize("seed", range(20))
def test_a_picture_missing_in_the_middle_is_found(seed: int) -> None:
    chance = random.Random(seed)
    exposures, taken = session(chance, 30)
    gone = chance.randrange(1, 29)
    del taken[gone]
    found = match(exposures, on_card(taken, chance.choice(OFFSETS), 1.0), 1.0)
    assert gone not in found.pairs
    assert found.rivals == ()
    assert found.doubtful == ()
    assert found.pairs == {number: number - (number > gone) for number in range(30) if number != gone}


@pytest.mark.parametrize("gone", [0, 29])
def test_a_picture_missing_at_an_end_of_an_even_row_is_not_guessed(gone: int) -> None:
    exposures = [Exposure(number + 1, 1.7e9 + 3.0 * number) for number in range(30)]
    taken = [exposure.at_s + 0.1 for exposure in exposures]
    del taken[gone]
    found = match(exposures, on_card(taken, 3600.0, 0.01), 0.01)
    assert found.rivals, "two answers are as good"
    assert {len(found.pairs), *(len(rival.pairs) for rival in found.rivals)} == {29}


def test_an_older_stack_of_the_same_rhythm_is_told_by_the_clock() -> None:
    exposures, taken = session(random.Random(4), 20, jitter_s=0.1)
    older = [at - 3 * 86400.0 for at in taken]
    found = match(exposures, on_card(taken + older, 7200.0, 1.0), 1.0)
    assert found.rivals == ()
    assert found.pairs == {number: number + 20 for number in range(20)}
    morning = [at - 2000.0 for at in taken]
    found = match(exposures, on_card(taken + morning, 7200.0, 1.0), 1.0, right_offset_s=7200.0)
    assert found.rivals == ()
    assert found.pairs == {number: number + 20 for number in range(20)}
    assert match(exposures, on_card(taken + morning, 7900.0, 1.0), 1.0, right_offset_s=7200.0).rivals
    found = match(exposures, on_card(taken + older, -90 * 86400.0, 1.0), 1.0)
    assert len(found.rivals) == 1


def test_pictures_closer_than_their_times_can_tell_are_doubtful() -> None:
    exposures = [Exposure(number + 1, 1.7e9 + 0.4 * number) for number in range(10)]
    taken = [exposure.at_s + 0.1 for exposure in exposures]
    whole = match(exposures, on_card(taken, 0.0, 1.0), 1.0)
    assert (len(whole.pairs), whole.doubtful) == (10, ())
    del taken[4]
    found = match(exposures, on_card(taken, 0.0, 1.0), 1.0)
    assert found.rivals or found.doubtful


def test_a_burst_is_told_apart() -> None:
    exposures, taken = session(random.Random(5), 12)
    card = on_card([*taken, taken[6] + 0.35], 0.0, 0.01)
    found = match(exposures, card, 0.01)
    assert found.rivals == ()
    assert found.pairs == {number: number + (number > 6) for number in range(12)}


def test_bursts_all_along_are_no_riddle() -> None:
    """A camera left at continuous drive takes two at each press: one of them is taken, the others are told."""
    exposures, taken = session(random.Random(9), 12)
    found = match(exposures, on_card(sorted([*taken, *(at + 0.2 for at in taken)]), 0.0, 0.01), 0.01)
    assert found.rivals == ()
    assert sorted(found.pairs) == list(range(12))
    assert all(picture // 2 == number for number, picture in found.pairs.items())


def test_an_attempt_that_does_not_count_takes_no_picture_from_one_that_does() -> None:
    exposures, taken = session(random.Random(6), 12)
    failed = Exposure(5, exposures[4].at_s - 1.4, counts=False)
    both = sorted([*exposures, failed], key=lambda exposure: exposure.at_s)
    without = match(both, on_card(taken, 50.0, 0.01), 0.01)
    assert {both[number].frame: picture for number, picture in without.pairs.items() if both[number].counts} == {
        number + 1: number for number in range(12)
    }
    with_it = match(both, on_card([*taken, failed.at_s + 0.1], 50.0, 0.01), 0.01)
    assert len(with_it.pairs) == 13


def test_nothing_in_common() -> None:
    exposures, _ = session(random.Random(7), 5)
    assert match(exposures, [], 1.0).pairs == {}
    assert match([], [1.0], 1.0).pairs == {}


def test_by_order_only_where_the_count_is_full() -> None:
    exposures, _ = session(random.Random(8), 5)
    assert match_by_order(exposures, 5).pairs == {number: number for number in range(5)}
    assert match_by_order(exposures, 6).pairs == {}
    assert match_by_order([*exposures, Exposure(5, 0.0, counts=False)], 6).pairs == {}


@pytest.mark.parametrize("seed", range(120))
def test_never_wrong_without_saying_so(seed: int) -> None:
    """Any pictures gone, strangers anywhere, any clock: what is said to be certain is right."""
    chance = random.Random(seed)
    count = chance.choice((3, 8, 25))
    period_s, jitter_s = chance.choice((0.5, 1.2, 3.0, 8.0)), chance.choice((0.0, 0.2, 1.0, 4.0))
    resolution_s = chance.choice((0.01, 0.1, 1.0))
    exposures, taken = session(chance, count, period_s=period_s, jitter_s=jitter_s)
    there = [number for number in range(count) if chance.random() > chance.choice((0.0, 0.1, 0.4))]
    strangers = [chance.uniform(taken[0] - 50, taken[-1] + 50) for _ in range(chance.choice((0, 0, 1, 3)))]
    named = sorted([(taken[number], number) for number in there] + [(at, -1) for at in strangers])
    card = on_card([at for at, _ in named], chance.choice(OFFSETS), resolution_s)
    found = match(exposures, card, resolution_s)
    if found.rivals or found.doubtful or strangers:
        return  # told; and a stranger in the row's rhythm looks like one of its pictures
    assert all(named[picture][1] == number for number, picture in found.pairs.items())
