"""What a fusion must do to pictures: choose what is sharp, average what is noise, leave out what is invalid."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stacking.errors import MemoryBudgetError, SourceError
from stacking.frames import Registration
from stacking.fuse.canvas import Canvas
from stacking.fuse.final_pass import FinalPass
from stacking.fuse.fusion_task import FusionTask
from stacking.fuse.noise import measure_noise
from stacking.memory import MemoryPlan, plan_memory
from stacking.options import Method

SIZE = (200, 140)


def scene(seed: int = 0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    gray, red, blue = (cv2.GaussianBlur(rng.random((SIZE[1], SIZE[0])), (0, 0), s) for s in (1.2, 3.0, 3.0))
    planes = [(p - p.mean()) / p.std() for p in (gray, red, blue)]
    luma = 128 + 26 * planes[0]
    return np.clip(np.stack([luma + 8 * planes[1], luma, luma + 8 * planes[2]], axis=2), 0, 255)


def focus_stack(count: int = 5, noise: float = 0.0) -> list[NDArray[np.uint8]]:
    """Frames sharp in one vertical part each, from left (first) to right."""
    sharp = scene()
    rng = np.random.default_rng(9)
    x = np.linspace(0, count - 1, SIZE[0])[None, :, None]
    banks = [sharp] + [cv2.GaussianBlur(sharp, (0, 0), s) for s in (0.8, 1.6, 2.4, 3.2, 4.0)]
    frames = []
    for k in range(count):
        distance = np.minimum(np.abs(x - k) * 1.5, len(banks) - 1.001)
        low = distance.astype(int)
        frame = np.zeros_like(sharp)
        for j in range(len(banks) - 1):
            part = distance - low
            frame += np.where(low == j, banks[j] * (1 - part) + banks[j + 1] * part, 0)
        frame += rng.normal(0, noise, frame.shape) if noise else 0
        frames.append(np.clip(np.rint(frame), 0, 255).astype(np.uint8))
    return frames


def fuse(
    frames: list[NDArray[np.uint8]],
    method: Method = Method.AUTO,
    *,
    matrices: list[NDArray[np.float64]] | None = None,
    canvas: Canvas | None = None,
    threads: int = 1,
    task_type: type[FusionTask] = FusionTask,
    depth: bool = False,
    positions: list[float] | None = None,
    gains: list[float] | None = None,
) -> tuple[NDArray[np.uint16], NDArray[np.float32] | None]:
    height, width = frames[0].shape[:2]
    task = task_type(
        decode=lambda k: frames[k],
        registrations={
            k: Registration(
                np.eye(2, 3) if matrices is None else matrices[k], np.full(3, 1.0 if gains is None else gains[k]), 0.0
            )
            for k in range(len(frames))
        },
        positions=positions or [float(k) for k in range(len(frames))],
        frame_size=(width, height),
        sample_bytes=frames[0].dtype.itemsize,
        canvas=canvas or Canvas(0, 0, width, height),
        method=method,
        wants_depth=depth,
        threads=threads,
    )
    return FinalPass(task, lambda stage, done, total: None).run()


def psnr(result: NDArray[np.uint16], truth: NDArray[np.float64]) -> float:
    inner = (slice(8, -8), slice(8, -8))
    return float(10 * np.log10(255**2 / np.mean((result[inner] / 257.0 - truth[inner]) ** 2)))


@pytest.mark.parametrize(("method", "at_least"), [(Method.AUTO, 33), (Method.PYRAMID, 33), (Method.DEPTHMAP, 31)])
def test_the_sharp_parts_are_found(method: Method, at_least: float) -> None:
    frames = focus_stack(noise=1.0)
    single = max(psnr(f.astype(np.uint16) * 257, scene()) for f in frames)
    result = psnr(fuse(frames, method)[0], scene())
    assert result > at_least
    assert result > single + 6


def test_a_depth_map_of_many_noisy_frames_is_not_drawn_to_the_middle_of_the_stack() -> None:
    rng = np.random.default_rng(3)
    frames = []
    for frame in focus_stack(60, noise=4.0):
        weak = 128 + (frame.astype(float) - 128) * 0.3 + rng.normal(0, 4, frame.shape)
        frames.append(np.clip(np.rint(weak), 0, 255).astype(np.uint8))
    truth = 128 + (scene() - 128) * 0.3
    # by the mean of the frame numbers alone it was 32, and the pyramid has 34.9
    assert psnr(fuse(frames, Method.DEPTHMAP)[0], truth) > 35.5


@pytest.mark.parametrize("method", list(Method))
def test_one_frame_comes_back(method: Method) -> None:
    frame = focus_stack(1)[0]
    image, _ = fuse([frame, frame], method)
    luma = frame @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose((image @ [0.299, 0.587, 0.114]) / 257, luma, atol=0.6)


def test_noise_of_many_frames_is_not_more_than_that_of_one() -> None:
    rng = np.random.default_rng(4)
    frames = [np.clip(np.rint(rng.normal(120, 3, (64, 64, 3))), 0, 255).astype(np.uint8) for _ in range(60)]
    luma = fuse(frames)[0] @ np.array([0.299, 0.587, 0.114]) / 257
    assert luma.std() < 0.5 * (frames[0] @ [0.299, 0.587, 0.114]).std()


def test_luma_stays_within_what_the_frames_have() -> None:
    frames = focus_stack(4)
    lumas = np.stack([f @ [0.299, 0.587, 0.114] for f in frames])
    luma = fuse(frames)[0] @ np.array([0.299, 0.587, 0.114]) / 257
    unclipped = ((luma > 2) & (luma < 250))[..., None].squeeze()
    # the range is kept in whole steps
    assert (luma <= np.ceil(lumas.max(0)) + 0.6)[unclipped].all()
    assert (luma >= np.floor(lumas.min(0)) - 0.6)[unclipped].all()


@pytest.mark.parametrize("method", list(Method))
def test_threads_do_not_change_a_byte(method: Method) -> None:
    frames = focus_stack(3, noise=2.0)
    matrices = [np.eye(2, 3), np.array([[1.01, 0.002, -1.3], [-0.002, 1.01, 0.7]]), np.eye(2, 3)]
    one = fuse(frames, method, matrices=matrices, threads=1)[0]
    three = fuse(frames, method, matrices=matrices, threads=3)[0]
    np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize("count", [3, 6])
def test_a_ground_that_a_brighter_frame_clipped_is_that_of_the_others(count: int) -> None:
    ground = np.full((120, 160, 3), 232, np.uint8)
    ground[40:80, 60:100] = scene()[:40, :40]
    frames = [np.clip(ground + np.random.default_rng(k).normal(0, 1, ground.shape), 0, 255) for k in range(count)]
    frames[1] = np.minimum(frames[1] * 1.15, 255)
    picture, _ = fuse(
        [np.rint(f).astype(np.uint8) for f in frames], gains=[1 / 1.15 if k == 1 else 1.0 for k in range(count)]
    )
    assert abs(picture[10:30].mean() / 257 - 232) < 0.3
    assert psnr(picture[44:76, 64:96], ground[44:76, 64:96].astype(np.float64)) > 38


def test_invalid_borders_are_never_candidates() -> None:
    frames = focus_stack(3)
    moved = np.eye(2, 3)
    moved[0, 2] = -60.0
    frames[1] = np.full_like(frames[1], 255)
    frames[1][:, ::2] = 0  # the strongest contrast there is: it must not spread beyond the frame
    image, _ = fuse([frames[0], frames[1]], matrices=[np.eye(2, 3), moved])
    without, _ = fuse([frames[0], frames[0]])
    np.testing.assert_allclose(image[:, :40] / 257.0, without[:, :40] / 257.0, atol=1.0)


def test_sixteen_bits_are_kept() -> None:
    ramp = np.linspace(20000, 20400, 128 * 96).reshape(96, 128).astype(np.uint16)
    frame = np.repeat(ramp[..., None], 3, axis=2)
    image, _ = fuse([frame, frame])  # type: ignore[list-item]
    assert len(np.unique(image[..., 1])) > 300
    assert np.abs(image.astype(int) - frame).max() < 24


@pytest.mark.parametrize("method", [Method.AUTO, Method.DEPTHMAP])
def test_depth_grows_with_position(method: Method) -> None:
    frames = focus_stack(9)
    _, depth = fuse(frames, method, depth=True, positions=[100.0 * k for k in range(9)])
    assert depth is not None
    assert depth.shape == (SIZE[1], SIZE[0])
    assert depth.dtype == np.float32
    truth = np.broadcast_to(np.linspace(0, 800, SIZE[0]), depth.shape)
    known = np.isfinite(depth)
    assert known.mean() > 0.5
    assert np.corrcoef(depth[known], truth[known])[0, 1] > 0.97
    assert np.median(np.abs(depth[known] - truth[known])) < 100


def test_depth_of_a_stack_shot_from_behind() -> None:
    frames = focus_stack(9)
    _, depth = fuse(frames, depth=True, positions=[-100.0 * k for k in range(9)])
    assert depth is not None
    known = np.isfinite(depth)
    truth = np.broadcast_to(np.linspace(0, -800, SIZE[0]), depth.shape)
    assert np.corrcoef(depth[known], truth[known])[0, 1] > 0.97


def test_nothing_to_focus_on_has_no_depth() -> None:
    flat = np.full((64, 64, 3), 90, np.uint8)
    _, depth = fuse([flat] * 12, depth=True)
    assert depth is not None
    assert np.isnan(depth).mean() > 0.9


def tall_stack() -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(2)
    sharp = rng.integers(0, 255, (600, 80, 3), dtype=np.uint8)
    soft = cv2.GaussianBlur(sharp, (0, 0), 2.0)
    first, second = sharp.copy(), soft.copy()
    first[300:], second[300:] = soft[300:], sharp[300:]
    return [first, second]


class InThreeStrips(FusionTask):
    """A task that believes its memory to be short."""

    def memory_plan(self) -> MemoryPlan:
        return MemoryPlan(3, 0)


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("shift", [0.0, 9.5], ids=["covering", "uncovered border"])
def test_strips_do_not_show(method: Method, shift: float) -> None:
    frames = tall_stack()
    moved = np.eye(2, 3)
    moved[1, 2] = shift
    found = [
        fuse(frames, method, matrices=[np.eye(2, 3), moved], depth=method is not Method.AVERAGE, task_type=kind)
        for kind in (FusionTask, InThreeStrips)
    ]
    np.testing.assert_array_equal(found[0][0], found[1][0])
    if method is Method.AVERAGE:
        return
    whole, strips = (depth for _, depth in found)
    assert whole is not None
    assert np.isfinite(whole).any()
    np.testing.assert_array_equal(whole, strips)


def test_the_remedy_for_too_little_memory_is_enough() -> None:
    def plan(allowed: int) -> MemoryPlan:
        return plan_memory(
            24_000_000,
            4000,
            held_bytes=250_000_001,
            strip_bytes_per_pixel=33.0,
            after_bytes=0,
            apron_rows=136,
            allowed_bytes=allowed,
        )

    with pytest.raises(MemoryBudgetError) as refused:
        plan(1 << 20)
    least = int(re.search(r"at least (\d+) MiB", refused.value.remedy)[1])  # type: ignore[index]
    assert plan(least << 20).strips > 2
    faster = int(re.search(r"with (\d+) MiB", refused.value.remedy)[1])  # type: ignore[index]
    assert plan(faster << 20).strips == 2
    with pytest.raises(MemoryBudgetError):
        plan((least - 1) << 20)


def test_memory_is_bought_with_strips() -> None:
    def plan(allowed: int | None) -> MemoryPlan:
        return plan_memory(
            12_000_000,
            2800,
            held_bytes=108_000_000,
            strip_bytes_per_pixel=34.0,
            after_bytes=200_000_000,
            apron_rows=32,
            allowed_bytes=allowed,
        )

    free = plan(None)
    assert free.strips == 1
    assert plan(free.bytes_needed) == free
    cut = [plan(free.bytes_needed - (k << 20)) for k in (20, 100, 150)]
    assert [p.strips for p in cut] == sorted(p.strips for p in cut)
    assert cut[0].strips > 1
    assert all(p.bytes_needed <= free.bytes_needed - (k << 20) for p, k in zip(cut, (20, 100, 150), strict=True))
    with pytest.raises(MemoryBudgetError, match="MiB"):
        plan(300 << 20)


def test_too_little_memory_is_refused_before_anything_is_decoded() -> None:
    def decode(index: int) -> NDArray[np.uint8]:
        raise AssertionError("decoded")

    task = FusionTask(
        decode=decode,
        registrations={0: Registration(np.eye(2, 3), np.ones(3), 0.0)},
        positions=[0.0],
        frame_size=(4000, 3000),
        sample_bytes=1,
        canvas=Canvas(0, 0, 4000, 3000),
        method=Method.AUTO,
        wants_depth=False,
        threads=1,
        memory_bytes=100 << 20,
    )
    with pytest.raises(MemoryBudgetError) as refused:
        FinalPass(task, lambda stage, done, total: None).run()
    assert "MiB" in refused.value.remedy


def test_frames_that_fail_are_left_out() -> None:
    frames = focus_stack(4)
    task = FusionTask(
        decode=lambda k: "torn" if k == 1 else frames[k],
        registrations={k: Registration(np.eye(2, 3), np.ones(3), 0.0) for k in range(4)},
        positions=[0.0, 1.0, 2.0, 3.0],
        frame_size=SIZE,
        sample_bytes=1,
        canvas=Canvas(0, 0, *SIZE),
        method=Method.DEPTHMAP,
        wants_depth=False,
        threads=2,
    )
    final = FinalPass(task, lambda stage, done, total: None)
    image, _ = final.run()
    assert final.missed == {1: "torn"}
    np.testing.assert_array_equal(image, fuse([frames[0], *frames[2:]], Method.DEPTHMAP)[0])


def test_no_frame_at_all_is_an_error() -> None:
    task = FusionTask(
        decode=lambda k: "torn",
        registrations={0: Registration(np.eye(2, 3), np.ones(3), 0.0)},
        positions=[0.0],
        frame_size=SIZE,
        sample_bytes=1,
        canvas=Canvas(0, 0, *SIZE),
        method=Method.AUTO,
        wants_depth=False,
        threads=1,
    )
    with pytest.raises(SourceError):
        FinalPass(task, lambda stage, done, total: None).run()


def test_noise_is_measured_where_the_picture_is_quiet() -> None:
    rng = np.random.default_rng(0)
    quiet, loud = (np.clip(np.rint(rng.normal(120, s, (256, 256, 3))), 0, 255).astype(np.uint8) for s in (1.0, 4.0))
    low, high = (measure_noise(f, np.ones(3), 3, 1.5) for f in (quiet, loud))
    ratio = high.at(0) / low.at(0)
    assert 10 < ratio < 22
    textured = loud.copy()
    textured[:, :180] = rng.integers(0, 255, (256, 180, 3))
    assert measure_noise(textured, np.ones(3), 3, 1.5).at(0) < 2 * high.at(0)
