"""A session disturbed at any moment is gone on with, and ends as one that nobody disturbed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journeys.session_campaign import Campaign, Undisturbed, kinds_of
from tests.journeys.session_long import measure

Like = Callable[[tuple[str, ...]], Undisturbed]


@pytest.fixture(scope="module")
def like(tmp_path_factory: pytest.TempPathFactory) -> Like:
    """The same session undisturbed, by its flags."""
    known: dict[tuple[str, ...], Undisturbed] = {}

    def shot(more: tuple[str, ...]) -> Undisturbed:
        if more not in known:
            known[more] = Undisturbed.shot(tmp_path_factory.mktemp("undisturbed"), *more)
        return known[more]

    return shot


# Kills of all kinds, faults, a session that repairs; none that waits out the policy's longest deadlines, which the campaign does.
@pytest.mark.parametrize("seed", [0, 5, 11, 44])
def test_a_session_disturbed_at_random_moments_ends_as_an_undisturbed_one(
    seed: int, tmp_path: Path, like: Like
) -> None:
    kinds, more = kinds_of(seed)
    assert Campaign(tmp_path, seed, like(more), kinds, more).run()


@pytest.mark.soak
@pytest.mark.timeout(28800)
def test_two_hundred_sessions_disturbed_at_random_moments(tmp_path: Path, like: Like) -> None:
    for seed in range(100, 300):
        kinds, more = kinds_of(seed)
        (folder := tmp_path / str(seed)).mkdir()
        Campaign(folder, seed, like(more), kinds, more).run()


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_thousand_frames_take_no_more_memory_than_a_hundred(tmp_path: Path) -> None:
    figures = measure(tmp_path)
    first_mb, _, last_mb = figures.memory_mb
    assert last_mb < 1.1 * first_mb, figures
    assert figures.cpu_ms < 0.05 * 3000, figures
