"""The plane geometry under registration: similarities, their robust fit, the global solution."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacking.register.chain import components, solve_banded, solve_chain
from stacking.register.matching import Match
from stacking.register.similarity import Similarity, consensus, least_squares, refine
from stacking.register.trajectory import bumped_frames, steady_matches

SIZE = (600, 400)

similarities = st.builds(
    lambda scale, angle, x, y: Similarity(scale * np.exp(1j * angle), complex(x, y)),
    st.floats(0.8, 1.25),
    st.floats(-0.2, 0.2),
    st.floats(-80, 80),
    st.floats(-80, 80),
)


def spread_points(n: int, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return draw.uniform(-300, 300, n) + 1j * draw.uniform(-200, 200, n)


@given(similarities, similarities)
def test_similarities_form_a_group(one: Similarity, two: Similarity) -> None:
    z = spread_points(5)
    np.testing.assert_allclose(one.then(two)(z), two(one(z)), atol=1e-9)
    np.testing.assert_allclose(one.inverse()(one(z)), z, atol=1e-9)


@given(similarities)
def test_the_matrix_moves_pixels_as_the_similarity_moves_centred_points(found: Similarity) -> None:
    matrix = found.matrix(SIZE)
    centre = np.array([(SIZE[0] - 1) / 2, (SIZE[1] - 1) / 2])
    z = spread_points(4)
    xy = np.stack([z.real, z.imag], 1) + centre
    moved = cv2.transform(xy[:, None], matrix)[:, 0] - centre
    np.testing.assert_allclose(moved[:, 0] + 1j * moved[:, 1], found(z), atol=1e-9)
    back = Similarity.from_matrix(matrix, SIZE)
    assert back.a == pytest.approx(found.a)
    assert back.b == pytest.approx(found.b)


@given(similarities, st.integers(0, 1000))
def test_least_squares_is_exact_on_exact_pairs(found: Similarity, seed: int) -> None:
    p = spread_points(12, seed)
    again = least_squares(p, found(p), np.ones(12))
    assert again.a == pytest.approx(found.a, abs=1e-9)
    assert again.b == pytest.approx(found.b, abs=1e-7)


@settings(max_examples=20)
@given(similarities, st.integers(0, 1000), st.floats(0.0, 0.55))
def test_consensus_finds_the_majority(found: Similarity, seed: int, wrong: float) -> None:
    draw = np.random.default_rng(seed)
    p = spread_points(200, seed)
    q = found(p) + 0.05 * (draw.standard_normal(200) + 1j * draw.standard_normal(200))
    lost = draw.random(200) < wrong
    q[lost] += draw.uniform(-90, 90, int(lost.sum())) + 1j * draw.uniform(-90, 90, int(lost.sum()))
    fit = consensus(p, q, reach_px=1.0)
    assert fit is not None
    assert np.abs(fit.similarity(p) - found(p)).max() < 0.1
    assert 0.03 < fit.sigma_px < 0.08


def test_consensus_needs_four_pairs() -> None:
    p = spread_points(3)
    assert consensus(p, p, reach_px=1.0) is None


def test_refine_does_not_follow_a_compact_foreground() -> None:
    """A third of the points, all in one corner, move otherwise: the rest decides."""
    p = spread_points(240)
    moved = (p.real > 120) & (p.imag > 0)
    q = np.where(moved, p + 4, p) + 0.02 * np.random.default_rng(1).standard_normal(240)
    fit = refine(p, q, Similarity())
    assert 0.1 < moved.mean() < 0.4
    assert np.abs(fit.similarity(p) - p).max() < 0.1


@given(st.integers(1, 12), st.integers(0, 5), st.integers(0, 10_000))
def test_the_banded_solver_equals_the_dense_one(n: int, width: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    full = np.zeros((2 * n, 2 * n), complex)
    for i in range(n):
        for j in range(max(0, i - width), i):
            rows = draw.standard_normal((2, 4)) + 1j * draw.standard_normal((2, 4))
            at = np.r_[2 * i, 2 * i + 1, 2 * j, 2 * j + 1]
            full[np.ix_(at, at)] += rows.conj().T @ rows
    full += 0.5 * np.eye(2 * n)
    right = draw.standard_normal((n, 2)) + 1j * draw.standard_normal((n, 2))
    band = np.zeros((n, 2, width + 1, 2), complex)
    for k in range(n):
        for d in range(min(width, n - 1 - k) + 1):
            band[k, :, d] = full[2 * k : 2 * k + 2, 2 * (k + d) : 2 * (k + d) + 2]
    expected = np.linalg.solve(full, right.reshape(-1)).reshape(n, 2)
    np.testing.assert_allclose(solve_banded(band, right.copy()), expected, atol=1e-8)


def pair(old: int, new: int, poses: list[Similarity], *, error: Similarity | None = None, sigma: float = 0.05) -> Match:
    between = poses[old].inverse().then(poses[new])
    information = np.array([[3e4, 0], [0, 1]], complex) / sigma**2
    return Match(old, new, between if error is None else between.then(error), sigma, information, 100, 0.9)


def poses_of(n: int, seed: int) -> list[Similarity]:
    draw = np.random.default_rng(seed)
    shifts = draw.normal(0, 3, (n, 2))
    return [Similarity(1.002**k * np.exp(1e-3j * draw.normal()), complex(*shifts[k])) for k in range(n)]


@given(st.integers(2, 9), st.integers(0, 1000), st.data())
def test_consistent_matches_are_solved_exactly(n: int, seed: int, data: st.DataObject) -> None:
    poses = poses_of(n, seed)
    matches = [pair(i, j, poses) for i in range(n) for j in range(i + 1, min(n, i + 3))]
    reference = data.draw(st.integers(0, n - 1))
    chain = solve_chain(range(n), matches, reference)
    for k in range(n):
        expected = poses[reference].inverse().then(poses[k])
        assert chain.poses[k].a == pytest.approx(expected.a, abs=1e-9)
        assert chain.poses[k].b == pytest.approx(expected.b, abs=1e-6)


def test_one_wrong_match_is_voted_down() -> None:
    poses = poses_of(8, 3)
    matches = [pair(i, j, poses) for i in range(8) for j in range(i + 1, min(8, i + 3))]
    matches[5] = pair(matches[5].old, matches[5].new, poses, error=Similarity(1.01, 30 + 5j))
    chain = solve_chain(range(8), matches, 4)
    corner = np.array([300 + 200j])
    for k in range(8):
        assert abs(chain.poses[k](corner) - poses[4].inverse().then(poses[k])(corner))[0] < 0.1


def test_groups_come_largest_first() -> None:
    poses = poses_of(6, 0)
    groups = components(range(6), [pair(0, 3, poses), pair(1, 4, poses), pair(4, 5, poses)])
    assert groups == [[1, 4, 5], [0, 3], [2]]


def test_scale_of_a_frame_that_hardly_shows_any_comes_from_its_neighbours_over_position() -> None:
    """The last frame has twice the step: over position it lies on the line, over index it would not."""
    positions = [0.0, 100.0, 200.0, 300.0, 500.0]
    poses = [Similarity(np.exp(2e-5 * p)) for p in positions]
    matches = [pair(i, j, poses) for i in range(4) for j in range(i + 1, min(4, i + 3))]
    vague = Match(3, 4, Similarity(1.0), 2.0, np.array([[1.0, 0], [0, 1]], complex), 0, 0.6)
    chain = solve_chain(range(5), [*matches, vague], 2)
    extra = steady_matches(range(5), chain, [*matches, vague], SIZE, positions)
    assert [m.new for m in extra] == [4]
    again = solve_chain(range(5), [*matches, vague, *extra], 2)
    expected = np.exp(2e-5 * 300)
    assert abs(chain.poses[4].a) - expected < -1e-3
    assert abs(again.poses[4].a) == pytest.approx(expected, abs=2e-5)
    for k in range(4):
        assert again.poses[k].a == pytest.approx(chain.poses[k].a, abs=1e-9)


def test_a_bumped_frame_is_named_and_its_neighbours_are_not() -> None:
    poses = {k: Similarity(1, complex(0.3 * k, 0)) for k in range(9)}
    poses[5] = Similarity(1, 40j)
    assert [k for k, _ in bumped_frames(range(9), poses, SIZE)] == [5]
    assert bumped_frames(range(5), poses, SIZE) == []
