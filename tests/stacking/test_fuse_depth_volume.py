"""Depth from the volume of focus energies: surfaces of known depth, flat areas, thin near things, any batch of frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stacking.fuse.bands import Bands
from stacking.fuse.canvas import Canvas
from stacking.fuse.depth_kernels import OFFSET, STEPS_PER_OCTAVE, energy_table, focus_rows
from stacking.fuse.depth_means import TREE_CHANGE, TreeSum
from stacking.fuse.depth_volume import MOST_BINS, DepthVolume, MostVotes, enlarge

F32 = NDArray[np.float32]
STILL = np.eye(2, 3)


def texture(shape: tuple[int, int], contrast: float, seed: int) -> F32:
    random = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(random.standard_normal(shape), (0, 0), 1.5)
    return np.asarray(110.0 + contrast * grain / grain.std(), np.float32)


def defocused(picture: F32, distance: float) -> F32:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.2 + 1.2 * abs(distance)), np.float32)


def pyramid(frame: F32) -> list[F32]:
    half = np.asarray(cv2.pyrDown(frame), np.float32)
    return [frame, half, np.asarray(cv2.pyrDown(half), np.float32)]


def add_all(volume: DepthVolume, frames: list[F32], positions: list[float]) -> None:
    for number, (frame, position) in enumerate(zip(frames, positions, strict=True)):
        volume.add(pyramid(frame), STILL, (frame.shape[1], frame.shape[0]), number, position)


def picture_of(luma: F32) -> NDArray[np.uint16]:
    return np.repeat((np.clip(luma, 0, 255) * 257).astype(np.uint16)[..., None], 3, axis=2)


def two_halves(
    shape: tuple[int, int], near: float, far: float, frames: int, steps: float = 1.0
) -> tuple[list[F32], F32]:
    """Left half focused at frame ``near``, right half at ``far``; brightness differs too; ``steps`` frames lie where one did."""
    left, right = texture(shape, 25, 1) - 50, texture(shape, 25, 2) + 50
    split = shape[1] // 2
    stack = []
    for k in range(frames):
        frame = defocused(right, (k - far) / steps)
        frame[:, :split] = defocused(left, (k - near) / steps)[:, :split]
        stack.append(frame)
    sharp = right.copy()
    sharp[:, :split] = left[:, :split]
    return stack, sharp


@pytest.mark.parametrize(("near", "far", "level"), [(2.0, 8.0, 0), (3.5, 6.0, 1), (7.0, 1.0, 2)])
def test_two_surfaces_get_their_depths_in_the_unit_of_the_positions(near: float, far: float, level: int) -> None:
    shape = (192, 256)
    stack, sharp = two_halves(shape, near, far, 11)
    positions = [100.0 + 40.0 * k for k in range(11)]
    with Bands(1) as bands:
        volume = DepthVolume(Canvas(0, 0, 256, 192), 11, bands, level)
        add_all(volume, stack, positions)
        depth, confidence = volume.depth(picture_of(sharp))
    assert depth.shape == (192 >> level, 256 >> level)
    inner = 104 >> level
    assert np.abs(depth[:, :inner] - (100 + 40 * near)).mean() < 12
    assert np.abs(depth[:, -inner:] - (100 + 40 * far)).mean() < 12
    assert confidence.min() >= 0.0
    assert confidence.max() <= 1.0


@pytest.mark.parametrize("sharp_over", [0.6, 1.0, 2.5])
def test_most_votes_lie_where_the_curve_has_its_middle(sharp_over: float) -> None:
    """Where a surface is sharp in many frames, the strongest of them is noise's choice: it is off by more than a frame."""
    random = np.random.default_rng(15)
    shape, bins = (60, 80), 16
    truth = np.broadcast_to(np.linspace(3.0, 12.0, shape[1]), shape)
    curve = [np.exp(-0.5 * ((truth - k) / sharp_over) ** 2) + random.uniform(0, 0.3, shape) for k in range(bins)]
    winner = MostVotes(shape, bins)
    for votes in curve:
        winner.add(votes.astype(np.float32))
    place, best = winner.result()
    np.testing.assert_array_equal(best, np.max(curve, axis=0).astype(np.float32))
    error = np.sqrt(np.mean((place - truth) ** 2))
    strongest = np.sqrt(np.mean((np.argmax(curve, axis=0) - truth) ** 2))
    assert error < 0.35
    assert error < (0.4 * strongest if sharp_over > 2 else strongest)


@pytest.mark.parametrize("at", [0, 1, 4])
def test_a_single_bin_at_an_end_is_found(at: int) -> None:
    winner = MostVotes((2, 2), 5)
    for k in range(5):
        winner.add(np.full((2, 2), float(k == at), np.float32))
    place, _ = winner.result()
    np.testing.assert_allclose(place, at, atol=1e-6)


def test_a_flat_patch_takes_the_depth_of_its_surface() -> None:
    shape = (192, 192)
    surface = texture(shape, 25, 5)
    surface[70:120, 60:130] = 110.0
    random = np.random.default_rng(6)
    stack = [(defocused(surface, k - 4) + random.normal(0, 1.0, shape)).astype(np.float32) for k in range(9)]
    with Bands(1) as bands:
        volume = DepthVolume(Canvas(0, 0, 192, 192), 9, bands)
        add_all(volume, stack, [float(k) for k in range(9)])
        depth, _ = volume.depth(picture_of(surface))
    assert np.abs(depth - 4.0).max() < 0.6


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_thin_near_strand_stays_thin(level: int) -> None:
    shape = (256, 256)
    back = texture(shape, 15, 7)
    strand = np.zeros(shape, np.float32)
    strand[:, 122:134] = 1.0
    stack = []
    for k in range(10):
        cover = defocused(strand, k - 1)
        stack.append((defocused(back, k - 7) * (1 - cover) + 15.0 * cover).astype(np.float32))
    sharp = np.where(strand > 0, np.float32(15.0), back)
    with Bands(1) as bands:
        volume = DepthVolume(Canvas(0, 0, 256, 256), 10, bands, level)
        add_all(volume, stack, [float(k) for k in range(10)])
        depth, _ = volume.depth(picture_of(sharp))
    near_px = (np.median(depth, axis=0) < 4).sum() << level
    assert 8 <= near_px <= 20


def behind_a_hair(shape: tuple[int, int], line: F32, near: float, far: float) -> tuple[list[F32], F32]:
    """A dark line (1 where it is) at frame ``near`` before a ground at frame ``far``, 12 frames."""
    ground = texture(shape, 12, 21)
    random = np.random.default_rng(22)
    stack = []
    for k in range(12):
        cover = defocused(line, k - near)
        frame = defocused(ground, k - far) * (1 - cover) + 20.0 * cover
        stack.append((frame + random.normal(0, 1.0, shape)).astype(np.float32))
    return stack, np.asarray(ground * (1 - line) + 20.0 * line, np.float32)


@pytest.mark.parametrize("turned", [False, True])
def test_a_hair_has_its_own_depth(turned: bool) -> None:
    """Not that of the ground behind it; from behind (far frames first) as well, and no wider than it is."""
    shape = (160, 200)
    line = np.zeros(shape, np.float32)
    cv2.line(line, (20, 15), (180, 140), 1.0, 1)
    stack, sharp = behind_a_hair(shape, line, 2.0, 8.0)
    positions = [100.0 + 10.0 * k for k in range(12)]
    if turned:
        stack, positions = stack[::-1], positions[::-1]
    with Bands(1) as bands:
        volume = DepthVolume(Canvas(0, 0, 200, 160), 12, bands)
        add_all(volume, stack, positions)
        depth, confidence = volume.depth(picture_of(sharp))
    near = depth < 140
    assert near[line > 0].mean() > 0.7
    assert near[line == 0].mean() < 0.01
    assert (confidence[near] > 0).all()


def test_a_line_on_the_ground_is_no_hair() -> None:
    shape = (160, 200)
    line = np.zeros(shape, np.float32)
    cv2.line(line, (20, 15), (180, 140), 1.0, 1)
    stack, sharp = behind_a_hair(shape, line, 8.0, 8.0)
    with Bands(1) as bands:
        volume = DepthVolume(Canvas(0, 0, 200, 160), 12, bands)
        add_all(volume, stack, [float(k) for k in range(12)])
        depth, _ = volume.depth(picture_of(sharp))
    assert np.abs(depth - 8).max() < 1.5


def test_where_frames_lie_dense_neighbours_are_told_apart_no_more() -> None:
    """A surface is sharp in a dozen of them: the single frame with most votes is noise's choice."""
    shape, frames = (96, 128), 40
    stack, sharp = two_halves(shape, 10.0, 27.0, frames, steps=25.0)
    random = np.random.default_rng(19)
    noisy = [(frame + random.normal(0, 3.0, shape)).astype(np.float32) for frame in stack]
    with Bands(1) as bands:
        volume = DepthVolume(Canvas(0, 0, 128, 96), frames, bands)
        add_all(volume, noisy, [float(k) for k in range(frames)])
        depth, _ = volume.depth(picture_of(sharp))
    truth = np.where(np.arange(128) < 64, 10.0, 27.0)
    assert np.median(np.abs(depth - truth)) < 0.4


def test_many_frames_share_bins_and_the_memory_stays() -> None:
    shape = (64, 64)
    frames = 3 * MOST_BINS
    surface = texture(shape, 25, 8)
    stack = [defocused(surface, (k - 100) / 8) for k in range(frames)]
    with Bands(1) as bands:
        volume = DepthVolume(Canvas(0, 0, 64, 64), frames, bands)
        add_all(volume, stack, [float(k) for k in range(frames)])
        depth, _ = volume.depth(picture_of(surface))
    assert np.abs(depth - 100).max() < 6


def test_a_frame_counts_only_where_it_covers_the_canvas() -> None:
    stack, sharp = two_halves((128, 128), 2.0, 2.0, 5)
    wild = texture((128, 128), 80, 9)
    with Bands(1) as bands:
        volume = DepthVolume(Canvas(0, 0, 128, 128), 6, bands)
        add_all(volume, stack, [float(k) for k in range(5)])
        beyond = np.array([[1.0, 0.0, 500.0], [0.0, 1.0, 0.0]])
        volume.add(pyramid(wild), beyond, (128, 128), 5, 5.0)
        depth, _ = volume.depth(picture_of(sharp))
    assert np.abs(depth - 2.0).max() < 0.6


def test_the_same_bytes_whatever_the_threads() -> None:
    stack, sharp = two_halves((160, 144), 1.0, 5.0, 7)
    found = []
    for threads in (1, 3):
        with Bands(threads) as bands:
            volume = DepthVolume(Canvas(0, 0, 144, 160), 7, bands)
            add_all(volume, stack, [float(k) for k in range(7)])
            depth, confidence = volume.depth(picture_of(sharp))
        found.append(depth.tobytes() + confidence.tobytes())
    assert found[0] == found[1]


def test_energy_survives_the_byte() -> None:
    random = np.random.default_rng(10)
    plane = (random.standard_normal((40, 50)) * np.geomspace(0.3, 40, 50)).astype(np.float32)
    codes = np.zeros((40, 50), np.uint8)
    spans = np.tile(np.array([[0, 50]], np.int32), (40, 1))
    focus_rows(plane, 1, spans, codes, 0, 40)
    kernel = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    edge = cv2.BORDER_REPLICATE
    square = (plane - cv2.sepFilter2D(plane.astype(np.float64), -1, kernel, kernel, borderType=edge)) ** 2
    small = np.array([0.25, 0.5, 0.25])
    expected = cv2.sepFilter2D(square, -1, small, small, borderType=edge)
    inner = slice(3, -3)
    ratio = energy_table()[codes][inner, inner] / expected[inner, inner]
    assert np.abs(np.log2(ratio)).max() <= 0.51 / STEPS_PER_OCTAVE
    assert energy_table()[int(OFFSET)] == 1.0


def test_no_frame_is_an_error() -> None:
    with Bands(1) as bands, pytest.raises(ValueError, match="no frame"):
        DepthVolume(Canvas(0, 0, 32, 32), 3, bands).depth(np.zeros((32, 32, 3), np.uint16))


def test_enlarged_samples_lie_at_every_fourth_pixel() -> None:
    plane = np.arange(12, dtype=np.float32).reshape(3, 4)
    full = enlarge(plane, (12, 16), 2)
    np.testing.assert_allclose(full[::4, ::4], plane)
    np.testing.assert_allclose(full[0, :5], [0, 0.25, 0.5, 0.75, 1.0])


@pytest.mark.parametrize("frames", [5, 40])
def test_noise_alone_has_no_depth(frames: int) -> None:
    random = np.random.default_rng(11)
    shape = (128, 160)
    stack = [np.asarray(100 + random.normal(0, 2, shape), np.float32) for _ in range(frames)]
    with Bands(1) as bands:
        volume = DepthVolume(Canvas(0, 0, 160, 128), frames, bands)
        add_all(volume, stack, [float(k) for k in range(frames)])
        _, confidence = volume.depth(picture_of(np.mean(stack, axis=0)))
    assert (confidence > 0).mean() < 0.05


def test_a_textured_surface_is_sure_of_its_depth() -> None:
    surface = texture((128, 128), 25, 12)
    stack = [defocused(surface, k - 4) for k in range(9)]
    with Bands(1) as bands:
        volume = DepthVolume(Canvas(0, 0, 128, 128), 9, bands)
        add_all(volume, stack, [float(k) for k in range(9)])
        _, confidence = volume.depth(picture_of(surface))
    assert np.median(confidence) > 0.3


def test_what_frames_do_not_cover_is_no_quiet_noise() -> None:
    random = np.random.default_rng(13)
    shape = (96, 128)
    stack = [np.asarray(100 + random.normal(0, 2, shape), np.float32) for _ in range(6)]
    with Bands(1) as bands:
        volume = DepthVolume(Canvas(0, 0, 128, 96), 6, bands)
        for number, frame in enumerate(stack):
            matrix = np.array([[1.0, 0.0, 40.0 if number != 3 else 0.0], [0.0, 1.0, 0.0]])
            volume.add(pyramid(frame), matrix, (128, 96), number, float(number))
        _, confidence = volume.depth(picture_of(np.mean(stack, axis=0)))
    assert (confidence[:, 60:84] > 0).mean() < 0.1


def test_the_tree_has_the_least_differences_and_sums_over_all_cells() -> None:
    random = np.random.default_rng(14)
    guide = random.random((7, 9, 3)).astype(np.float32)
    values = random.random((7, 9)).astype(np.float32)
    found = TreeSum(guide)(values)
    colour = guide.reshape(-1, 3) * np.float32(255)
    edges = [(k, k + 1) for k in range(63) if k % 9 < 8] + [(k, k + 9) for k in range(54)]
    steps = {(a, b): int(np.abs(colour[a] - colour[b]).max()) for a, b in edges}
    # Prim's way to the same tree where no two differences are equal along a ring; sums by brute force over its paths
    ways: dict[int, dict[int, int]] = {k: {} for k in range(63)}
    inside = {0}
    while len(inside) < 63:
        step, a, b = min((s, a, b) for (a, b), s in steps.items() if (a in inside) != (b in inside))
        ways[a][b] = ways[b][a] = step
        inside |= {a, b}
    expected = np.zeros(63)
    for start in range(63):
        todo, seen = [(start, 0)], {start}
        while todo:
            cell, far = todo.pop()
            expected[start] += values.flat[cell] * np.exp(-far / (255 * TREE_CHANGE))
            todo += [(n, far + s) for n, s in ways[cell].items() if n not in seen]
            seen |= set(ways[cell])
    np.testing.assert_allclose(found.ravel(), expected, rtol=0.02)


def test_the_mean_along_the_tree_does_not_cross_an_edge() -> None:
    guide = np.zeros((20, 30), np.float32)
    guide[:, 15:] = 1.0
    values = np.zeros((20, 30), np.float32)
    values[:, 15:] = 1.0
    tree = TreeSum(guide)
    mean = tree(values) / tree(np.ones_like(values))
    assert mean[:, :15].max() < 0.02
    assert mean[:, 15:].min() > 0.98
