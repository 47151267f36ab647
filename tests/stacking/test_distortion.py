"""A lens that distorts: how surely it is seen, and frames of it laid on each other by one resampling."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stacking.aligned import aligned, aligned_luma, reached
from stacking.crop import chosen_rectangle
from stacking.frames import Registration
from stacking.fuse import warp_kernels
from stacking.fuse.bands import Bands
from stacking.fuse.canvas import Canvas, valid_spans
from stacking.fuse.distortion import straight, surely_had, tiles_of
from stacking.fuse.frame_planes import LUMA, FramePlanes
from stacking.options import StackOptions
from stacking.register.similarity import Similarity
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
distortions = st.floats(-0.03, 0.03).filter(lambda k: abs(k) > 1e-4)


def in_frame(similarity: Similarity, distortion: float) -> NDArray[np.complex128]:
    """Where each pixel of the reference frame is in a frame: freed of the distortion by bisection, moved, distorted."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    seen = x + 1j * y - CENTRE
    radius = np.abs(seen) / CORNER
    low, high = np.zeros_like(radius), 2 * radius
    for _ in range(60):
        middle = (low + high) / 2
        outward = middle * (1 + distortion * middle**2) < radius
        low, high = np.where(outward, middle, low), np.where(outward, high, middle)
    free = np.where(radius > 0, seen * low / np.maximum(radius, 1e-12), 0)
    moved = similarity(free)
    return moved * (1 + distortion * np.abs(moved / CORNER) ** 2) + CENTRE


def picture() -> NDArray[np.uint8]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    return np.stack([128 + 90 * np.sin(x / 9 + k) * np.cos(y / (11 + k)) for k in range(3)], axis=2).astype(np.uint8)


def placed(similarity: Similarity, distortion: float) -> Registration:
    return Registration(similarity.matrix(SIZE), np.ones(3), 0.0, distortion)


def planes_of(image: NDArray[np.uint8], one: Registration, canvas: Canvas) -> FramePlanes:
    planes = FramePlanes(canvas)
    with Bands(1) as bands:
        planes.load(image, canvas.to_frame(one.matrix), one.gain, bands, one.distortion)
    return planes


@settings(max_examples=15, deadline=None, derandomize=True)
@given(similarities, distortions)
def test_one_resampling_follows_move_and_lens(similarity: Similarity, distortion: float) -> None:
    image, one = picture(), placed(similarity, distortion)
    there = in_frame(similarity, distortion)
    x, y = there.real.astype(np.float32), there.imag.astype(np.float32)
    inside = (x > 6) & (y > 6) & (x < WIDTH - 7) & (y < HEIGHT - 7)
    canvas = Canvas(0, 0, WIDTH, HEIGHT)
    expected = cv2.remap((image @ LUMA).astype(np.float32), x, y, cv2.INTER_LANCZOS4)
    planes = planes_of(image, one, canvas)
    assert np.abs(planes.luma - expected)[inside].max() < 0.9
    red = cv2.remap((image[..., 0] - image @ LUMA).astype(np.float32), x, y, cv2.INTER_LANCZOS4)
    assert np.abs(planes.red - red[::2, ::2])[inside[::2, ::2]].max() < 3.0
    laid = aligned(image, one, canvas)
    expected = cv2.remap(image.astype(np.uint16) * 257, x, y, cv2.INTER_LANCZOS4)
    assert np.abs(laid / 257.0 - expected / 257.0)[inside].max() < 2.0
    assert np.abs(aligned_luma(image, one, canvas) / 257.0 - laid @ LUMA / 257.0)[inside].max() < 1.0


@settings(max_examples=15, deadline=None, derandomize=True)
@given(similarities, distortions, st.integers(1, 20).map(lambda n: 8 * n))
def test_strips_and_bands_do_not_show(similarity: Similarity, distortion: float, top: int) -> None:
    image, one = picture(), placed(similarity, distortion)
    whole = Canvas(3, 5, WIDTH - 8, HEIGHT - 6)
    at_once = planes_of(image, one, whole)
    strip = planes_of(image, one, Canvas(whole.x, whole.y + top, whole.width, whole.height - top, whole))
    np.testing.assert_array_equal(strip.luma, at_once.luma[top:])
    np.testing.assert_array_equal(strip.red, at_once.red[top // 2 :])
    np.testing.assert_array_equal(strip.blue, at_once.blue[top // 2 :])
    tiles = tiles_of(whole, whole.to_frame(one.matrix), distortion, SIZE)
    where = tiles.matrices, tiles.side_px, tiles.above_px
    luma = np.empty_like(at_once.luma)
    for first, stop in ((0, top), (top, whole.height)):
        values = (image.reshape(HEIGHT, -1), LUMA.astype(np.float32), *where, warp_kernels.lanczos3_table(), luma)
        warp_kernels.warp_luma(*values, first, stop)
    np.testing.assert_array_equal(luma, at_once.luma)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(similarities, distortions)
def test_what_a_frame_surely_has_it_has(similarity: Similarity, distortion: float) -> None:
    one, there = placed(similarity, distortion), in_frame(similarity, distortion)
    had = (there.real >= 0) & (there.imag >= 0) & (there.real <= WIDTH - 1) & (there.imag <= HEIGHT - 1)
    matrix, size = surely_had(one, SIZE)
    spans = valid_spans(matrix, size, (HEIGHT, WIDTH))
    across = np.arange(WIDTH)
    found = (across >= spans[:, :1]) & (across < spans[:, 1:])
    assert not (found & ~had).any()
    assert found.sum() > 0.9 * had.sum()
    crop = chosen_rectangle(StackOptions(), SIZE, {0: placed(Similarity(), distortion), 1: one}, None)
    assert crop.of(had).all()
    assert reached(SIZE, one, Canvas(*crop)).any()


def test_the_reference_and_frames_without_distortion_are_as_they_were() -> None:
    assert straight(placed(Similarity(), 0.02), SIZE)[1] == 0
    still = Similarity(1.01, 3 + 2j)
    matrix, beside = straight(placed(still, 0.0), SIZE)
    assert beside == 0
    np.testing.assert_array_equal(matrix, still.matrix(SIZE))
    canvas = Canvas(0, 0, WIDTH, HEIGHT)
    own = planes_of(picture(), placed(Similarity(), 0.02), canvas)
    np.testing.assert_array_equal(own.luma, planes_of(picture(), placed(Similarity(), 0.0), canvas).luma)


def test_a_lens_that_distorts_is_found_by_what_moves() -> None:
    solution = register(stack(6, 3, shift=25.0, turn=0.5, distortion=-0.015))
    (found,) = {r.distortion for r in solution.registrations.values()}
    assert found == pytest.approx(-0.015, rel=0.1)
