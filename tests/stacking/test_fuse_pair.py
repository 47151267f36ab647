"""Two clean frames that lie on each other: their own pixels, whatever the threads, bands and strips; noise and motion as ever."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.photo_pairs import average, ceiling, make_pair, psnr, textbook
from stacking.frames import Registration
from stacking.fuse.canvas import Canvas
from stacking.fuse.final_pass import FinalPass
from stacking.fuse.fusion_task import FusionTask
from stacking.memory import MemoryPlan
from stacking.options import Method

U8 = NDArray[np.uint8]
ROWS, COLUMNS = 300, 380


def photo(seed: int) -> U8:
    """Colours with hard edges and texture that differ from channel to channel: half-size colour would show."""
    rng = np.random.default_rng(seed)
    picture = np.full((ROWS, COLUMNS, 3), 110.0, np.float32)
    for _ in range(60):
        centre = (int(rng.integers(COLUMNS)), int(rng.integers(ROWS)))
        cv2.circle(picture, centre, int(rng.integers(3, 40)), rng.uniform(20, 230, 3).tolist(), -1, cv2.LINE_AA)
    for size, strength in ((1.0, 10.0), (4.0, 25.0)):
        grain = cv2.GaussianBlur(rng.standard_normal(picture.shape).astype(np.float32), (0, 0), size)
        picture += grain * np.float32(strength / grain.std())
    return np.clip(picture, 0, 255).astype(np.uint8)


class InStrips(FusionTask):
    def memory_plan(self) -> MemoryPlan:
        return MemoryPlan(3, 0)


def fused(
    frames: list[U8] | list[NDArray[np.uint16]],
    *,
    threads: int = 1,
    task_type: type[FusionTask] = FusionTask,
    method: Method = Method.AUTO,
    moved_px: float = 0.0,
    depth: bool = False,
    broken: int | None = None,
    canvas: Canvas | None = None,
) -> tuple[NDArray[np.uint16], NDArray[np.float32] | None]:
    rows, columns = frames[0].shape[:2]
    shifts = (0.0, moved_px)
    task = task_type(
        decode=lambda k: "no picture" if k == broken else frames[k],
        registrations={
            k: Registration(np.array([[1.0, 0.0, shifts[k]], [0.0, 1.0, 0.0]]), np.ones(3), 0.0) for k in range(2)
        },
        positions=[0.0, 1.0],
        frame_size=(columns, rows),
        sample_bytes=frames[0].dtype.itemsize,
        canvas=canvas or Canvas(0, 0, columns, rows),
        method=method,
        wants_depth=depth,
        threads=threads,
    )
    return FinalPass(task, lambda stage, done, total: None).run()


@pytest.mark.parametrize("seed", range(5))
def test_clean_pairs_come_nearer_to_the_truth_than_any_pyramid(seed: int) -> None:
    truth = photo(seed)
    near, far = make_pair(truth, seed)
    result = psnr(fused([near, far])[0] / 257.0, truth)
    assert result > psnr(textbook(near, far), truth) + 1.0
    assert result > psnr(average(near, far), truth) + 6.0
    assert result > min(psnr(ceiling(near, far, truth), truth), 60.0) - 4.0


def test_where_the_choice_is_clear_the_pixels_are_the_frames_own() -> None:
    truth = photo(7)
    blurred = cv2.GaussianBlur(truth, (0, 0), 3.0)
    near, far = truth.copy(), truth.copy()
    near[:, COLUMNS // 2 :], far[:, : COLUMNS // 2] = blurred[:, COLUMNS // 2 :], blurred[:, : COLUMNS // 2]
    result = np.rint(fused([near, far])[0] / 257.0)
    assert np.mean(np.abs(result - truth) <= 1) > 0.97


def test_sixteen_bits_stay_sixteen_bits() -> None:
    near, far = make_pair(photo(3), 3)
    eight = fused([near, far])[0]
    sixteen = fused([near.astype(np.uint16) * 257, far.astype(np.uint16) * 257])[0]
    assert np.abs(eight.astype(int) - sixteen).max() <= 1


@pytest.mark.parametrize("noise", [0.0, 6.0])
def test_threads_and_strips_do_not_show(noise: float) -> None:
    rng = np.random.default_rng(1)
    frames = [
        np.clip(frame + rng.normal(0.0, noise, frame.shape), 0, 255).astype(np.uint8)
        for frame in make_pair(photo(4), 4)
    ]
    whole = fused(frames)[0]
    assert np.array_equal(whole, fused(frames, threads=3)[0])
    assert np.array_equal(whole, fused(frames, task_type=InStrips)[0])


def test_noise_and_motion_are_left_to_the_pyramid() -> None:
    rng = np.random.default_rng(2)
    clean = list(make_pair(photo(5), 5))
    noisy = [np.clip(f + rng.normal(0.0, 5.0, f.shape), 0, 255).astype(np.uint8) for f in clean]
    assert np.array_equal(fused(noisy)[0], fused(noisy, method=Method.PYRAMID)[0])
    part = Canvas(2, 2, COLUMNS - 8, ROWS - 8)
    moved = fused(clean, moved_px=0.5, canvas=part)[0]
    assert np.array_equal(moved, fused(clean, moved_px=0.5, canvas=part, method=Method.PYRAMID)[0])
    assert not np.array_equal(fused(clean)[0], fused(clean, method=Method.PYRAMID)[0])


def test_a_part_of_the_pair_is_that_part_of_the_whole() -> None:
    frames = list(make_pair(photo(6), 6))
    part = fused(frames, canvas=Canvas(64, 32, 200, 160))[0]
    assert np.array_equal(part, fused(frames)[0][32:192, 64:264])


def test_a_pair_has_its_depth_and_one_frame_of_a_pair_is_that_frame() -> None:
    frames = list(make_pair(photo(8), 8))
    picture, depth = fused(frames, depth=True)
    assert depth is not None
    assert depth.shape == picture.shape[:2]
    assert np.array_equal(picture, fused(frames)[0])
    alone = fused(frames, broken=1)[0]
    assert psnr(alone / 257.0, frames[0]) > 30.0
