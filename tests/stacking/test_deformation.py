"""Frames that depart from similarity: how surely that is seen, and frames laid on each other by one resampling all the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stacking.aligned import aligned, aligned_luma, reached
from stacking.crop import chosen_rectangle
from stacking.frames import STRAIGHT, Deformation, Registration
from stacking.fuse import warp_kernels
from stacking.fuse.bands import Bands
from stacking.fuse.canvas import Canvas, valid_spans
from stacking.fuse.deformation import straight, surely_had, tiles_of
from stacking.fuse.frame_planes import EIGHT_BIT, LUMA, FramePlanes
from stacking.options import StackOptions
from stacking.register.deformation import departure, sure_deformation
from stacking.register.matching import Match
from stacking.register.similarity import Points, Similarity, refine
from tests.stacking.register_scenes import register, stack

WIDTH, HEIGHT = 210, 170
SIZE = (WIDTH, HEIGHT)
CORNER = abs(complex(WIDTH - 1, HEIGHT - 1)) / 2
CENTRE = complex(WIDTH - 1, HEIGHT - 1) / 2

similarities = st.builds(
    lambda scale, degrees, x, y: Similarity(scale * complex(np.exp(1j * np.radians(degrees))), complex(x, y)),
    st.floats(0.93, 1.07),
    st.floats(-3, 3),
    st.floats(-15, 15),
    st.floats(-15, 15),
)
deformations = st.builds(
    lambda radial, across, down: Deformation(radial, complex(across, down)),
    st.floats(-0.03, 0.03).filter(lambda k: abs(k) > 1e-4),
    st.floats(-0.005, 0.005),
    st.floats(-0.005, 0.005),
)


def in_frame(similarity: Similarity, deformation: Deformation) -> NDArray[np.complex128]:
    """Where each pixel of the reference frame is in a frame: freed of the distortion by bisection, moved, deformed."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    seen = x + 1j * y - CENTRE
    radius = np.abs(seen) / CORNER
    low, high = np.zeros_like(radius), 2 * radius
    for _ in range(60):
        middle = (low + high) / 2
        outward = middle * (1 + deformation.radial * middle**2) < radius
        low, high = np.where(outward, middle, low), np.where(outward, high, middle)
    free = np.where(radius > 0, seen * low / np.maximum(radius, 1e-12), 0)
    moved = similarity(free)
    moved = moved * (1 + (np.conj(deformation.keystone) * moved).real / CORNER)
    return moved * (1 + deformation.radial * np.abs(moved / CORNER) ** 2) + CENTRE


def colours_at(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the picture shows at a place, 8-bit units."""
    return np.stack([128 + 90 * np.sin(x / 9 + k) * np.cos(y / (11 + k)) for k in range(3)], axis=2)


def picture() -> NDArray[np.uint16]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    return np.rint(257 * colours_at(x, y)).astype(np.uint16)


def placed(similarity: Similarity, deformation: Deformation) -> Registration:
    return Registration(similarity.matrix(SIZE), np.ones(3), 0.0, deformation)


def planes_of(image: NDArray[np.uint16], one: Registration, canvas: Canvas) -> FramePlanes:
    planes = FramePlanes(canvas)
    with Bands(1) as bands:
        planes.load(image, canvas.to_frame(one.matrix), one.gain, bands, one.deformation)
    return planes


@settings(max_examples=15, deadline=None, derandomize=True)
@given(similarities, deformations)
def test_one_resampling_follows_move_and_lens(similarity: Similarity, deformation: Deformation) -> None:
    image, one = picture(), placed(similarity, deformation)
    there = in_frame(similarity, deformation)
    x, y = there.real, there.imag
    inside = (x > 6) & (y > 6) & (x < WIDTH - 7) & (y < HEIGHT - 7)
    canvas = Canvas(0, 0, WIDTH, HEIGHT)
    expected = colours_at(x, y)
    planes = planes_of(image, one, canvas)
    assert np.abs(planes.luma - expected @ LUMA)[inside].max() < 0.9
    red = expected[..., 0] - expected @ LUMA
    assert np.abs(planes.red - red[::2, ::2])[inside[::2, ::2]].max() < 1.5
    laid = aligned(image, one, canvas)
    assert np.abs(laid / 257.0 - expected)[inside].max() < 1.2
    assert np.abs(aligned_luma(image, one, canvas) / 257.0 - expected @ LUMA)[inside].max() < 0.9


@settings(max_examples=15, deadline=None, derandomize=True)
@given(similarities, deformations, st.integers(1, 20).map(lambda n: 8 * n))
def test_strips_and_bands_do_not_show(similarity: Similarity, deformation: Deformation, top: int) -> None:
    image, one = picture(), placed(similarity, deformation)
    whole = Canvas(3, 5, WIDTH - 8, HEIGHT - 6)
    at_once = planes_of(image, one, whole)
    strip = planes_of(image, one, Canvas(whole.x, whole.y + top, whole.width, whole.height - top, whole))
    np.testing.assert_array_equal(strip.luma, at_once.luma[top:])
    np.testing.assert_array_equal(strip.red, at_once.red[top // 2 :])
    np.testing.assert_array_equal(strip.blue, at_once.blue[top // 2 :])
    tiles = tiles_of(whole, whole.to_frame(one.matrix), deformation, SIZE)
    where = tiles.matrices, tiles.side_px, tiles.above_px
    luma = np.empty_like(at_once.luma)
    for first, stop in ((0, top), (top, whole.height)):
        values = (
            image.reshape(HEIGHT, -1),
            (LUMA * EIGHT_BIT[image.dtype]).astype(np.float32),
            *where,
            warp_kernels.lanczos3_table(),
        )
        warp_kernels.warp_luma(*values, at_once.white, luma, first, stop)
    np.testing.assert_array_equal(luma, at_once.luma)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(similarities, deformations)
def test_what_a_frame_surely_has_it_has(similarity: Similarity, deformation: Deformation) -> None:
    one, there = placed(similarity, deformation), in_frame(similarity, deformation)
    had = (there.real >= 0) & (there.imag >= 0) & (there.real <= WIDTH - 1) & (there.imag <= HEIGHT - 1)
    matrix, size = surely_had(one, SIZE)
    spans = valid_spans(matrix, size, (HEIGHT, WIDTH))
    across = np.arange(WIDTH)
    found = (across >= spans[:, :1]) & (across < spans[:, 1:])
    assert not (found & ~had).any()
    assert found.sum() > 0.9 * had.sum()
    crop = chosen_rectangle(
        StackOptions(), SIZE, {0: placed(Similarity(), Deformation(deformation.radial)), 1: one}, None
    )
    assert crop.of(had).all()
    assert reached(SIZE, one, Canvas(*crop)).any()


def test_the_reference_and_straight_frames_are_as_they_were() -> None:
    assert straight(placed(Similarity(), Deformation(0.02)), SIZE)[1] == 0
    still = Similarity(1.01, 3 + 2j)
    matrix, beside = straight(placed(still, STRAIGHT), SIZE)
    assert beside == 0
    np.testing.assert_array_equal(matrix, still.matrix(SIZE))
    canvas = Canvas(0, 0, WIDTH, HEIGHT)
    own = planes_of(picture(), placed(Similarity(), Deformation(0.02)), canvas)
    np.testing.assert_array_equal(own.luma, planes_of(picture(), placed(Similarity(), STRAIGHT), canvas).luma)


def test_a_lens_that_distorts_is_found_by_what_moves() -> None:
    solution = register(stack(6, 3, shift=25.0, turn=0.5, distortion=-0.015))
    (found,) = {r.deformation for r in solution.registrations.values()}
    assert found.radial == pytest.approx(-0.015, rel=0.1)
    assert found.keystone == 0
    assert "distorts by -1.5%" in " ".join(solution.deformed)


def pairs(frames: int, per_frame: Callable[[int, Points], Points], noise_px: float) -> list[Match]:
    """Matches of each frame with the two before it, of points that lie in frame k at `per_frame`(k, points)."""
    draw = np.random.default_rng(4)
    size = (1200, 800)
    z = draw.uniform(-600, 600, 300) + 1j * draw.uniform(-400, 400, 300)
    out = []
    for new in range(frames):
        for old in range(max(0, new - 2), new):
            p, q = (per_frame(k, z) + draw.normal(0, noise_px, (300, 2)) @ (1, 1j) for k in (old, new))
            fit = refine(p, q, Similarity())
            told = departure(p, q, fit, size)
            out.append(Match(old, new, fit.similarity, fit.sigma_px, np.eye(2, dtype=complex), 300, 1.0, told))
    return out


def test_what_grows_along_the_stack_is_found() -> None:
    affine, keystone, corner = 0.002 - 0.001j, 0.002 + 0.003j, abs(complex(1199, 799)) / 2

    def frame(k: int, z: Points) -> Points:
        z = (1 + 0.002 * k) * z + 3 * k
        at = k / 9
        return z * (1 + at * (np.conj(keystone) * z).real / corner) + at * affine * z.conj()

    matches = pairs(10, frame, 0.03)
    found = sure_deformation(matches, {k: 50.0 * k for k in range(10)}, (1200, 800))
    np.testing.assert_allclose(found.values, [0, affine.real, affine.imag, keystone.real, keystone.imag], atol=2e-4)
    assert found.values[0] == 0
    # what it explains is no more in the similarity
    for m in matches:
        a = (1 + 0.002 * m.new) / (1 + 0.002 * m.old)
        assert abs(found.freed(m).similarity.a - a) * corner < 0.15
    matrix, deformation = found.placed(Similarity(), 9, 4, (1200, 800))
    share = (9 - 4) / 9
    assert deformation.keystone == pytest.approx(keystone * share, abs=2e-4)
    linear = np.array([[affine.real, affine.imag], [affine.imag, -affine.real]])
    np.testing.assert_allclose(matrix[:, :2], np.eye(2) + share * linear, atol=2e-4)


def test_noise_alone_is_no_deformation() -> None:
    for noise_px in (0.02, 0.5):
        matches = pairs(10, lambda k, z: (1 + 0.002 * k) * z + 3 * k, noise_px)
        found = sure_deformation(matches, {k: float(k) for k in range(10)}, (1200, 800))
        assert not found.values.any()
        assert all(found.freed(m) is m for m in matches)
        assert found.notes() == ()
