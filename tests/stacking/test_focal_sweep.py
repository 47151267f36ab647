"""The correction by the focal sweep: what it must mend, what it must leave, and that no cut or thread changes it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stacking.frames import Registration
from stacking.fuse.bands import Bands
from stacking.fuse.canvas import Canvas
from stacking.fuse.focal_sweep import FEWEST_FRAMES, FocalSweep
from stacking.fuse.fusion_task import FusionTask
from stacking.memory import MemoryPlan
from stacking.options import Method
from stacking.slabs import fuse_at_once

F32 = NDArray[np.float32]
ROWS, COLUMNS, FRAMES = 320, 416, 12


def scene() -> tuple[F32, list[F32], F32]:
    """Luma of a ground with a dark strand before it; as frames focused on the strand (the first) to the ground (the last); its mask."""
    rng = np.random.default_rng(5)
    ground = cv2.GaussianBlur(rng.random((ROWS, COLUMNS), np.float32), (0, 0), 1.5)
    ground = 0.3 + 0.8 * (ground - ground.mean())
    alpha = np.zeros((ROWS, COLUMNS), np.float32)
    cv2.line(alpha, (60, 0), (330, ROWS), 1.0, 9, cv2.LINE_AA)
    frames = []
    for k in range(FRAMES):
        near, far = 0.01 + 0.8 * k, 0.01 + 0.8 * (FRAMES - 1 - k)
        cover = cv2.GaussianBlur(alpha, (0, 0), near)
        frames.append(encoded(cv2.GaussianBlur(ground, (0, 0), far) * (1 - cover) + 0.02 * cover))
    return encoded(ground * (1 - alpha) + 0.02 * alpha), frames, alpha


def encoded(light: F32) -> F32:
    return np.asarray(255 * np.sqrt(np.clip(light, 0.0, 1.0)), np.float32)


def picture_of(luma: F32) -> NDArray[np.uint16]:
    return np.asarray(np.clip(luma * 257 + 0.5, 0, 65535).astype(np.uint16)[..., None].repeat(3, axis=2))


def whole_spans(canvas: Canvas) -> NDArray[np.int32]:
    rows, columns = canvas.level_shape(1)
    return np.tile(np.array([0, columns], np.int32), (rows, 1))


def filled(canvas: Canvas, frames: list[F32], alpha: F32, spans: NDArray[np.int32]) -> FocalSweep:
    """A sweep that has seen all frames; the strand was taken from the first, the ground from the last."""
    sweep = FocalSweep(canvas)
    cut = slice(canvas.y, canvas.y + canvas.height)
    is_near = cv2.pyrDown(cv2.pyrDown(alpha))
    quarter = slice(canvas.y // 4, canvas.y // 4 + canvas.level_shape(2)[0])
    total = np.zeros(canvas.level_shape(2), np.float32)
    for k, frame in enumerate(frames):
        weight = is_near if k == 0 else 1 - is_near if k == len(frames) - 1 else np.zeros_like(is_near)
        total += weight[quarter]
        sweep.add(cv2.pyrDown(frame)[canvas.y // 2 : canvas.y // 2 + spans.shape[0]], weight[quarter], spans)
    low, high = np.floor(np.min(frames, axis=0))[cut], np.ceil(np.max(frames, axis=0))[cut]
    sweep.close(total, low.astype(np.uint8), high.astype(np.uint8))
    return sweep


def corrected(
    frames: list[F32], luma: F32, alpha: F32, spans: NDArray[np.int32] | None = None, threads: int = 1
) -> NDArray[np.uint16]:
    canvas, picture = Canvas(0, 0, COLUMNS, ROWS), picture_of(luma)
    with Bands(threads) as bands:
        sweep = filled(canvas, frames, alpha, whole_spans(canvas) if spans is None else spans)
        sweep.correct(picture, bands)
    return picture


def error(picture: NDArray[np.uint16], truth: F32, where: NDArray[np.bool_] | None = None) -> float:
    difference = picture[..., 0] / 257 - truth
    return float(np.sqrt(np.mean((difference if where is None else difference[where]) ** 2)))


def beside(alpha: F32) -> NDArray[np.bool_]:
    """The ground three to twelve pixels from the strand."""
    reach = [cv2.dilate(alpha, np.ones((2 * r + 1, 2 * r + 1), np.uint8)) > 0 for r in (3, 12)]
    return np.asarray(reach[1] & ~reach[0])


class InStrips(FusionTask):
    """A task whose memory is short."""

    def memory_plan(self) -> MemoryPlan:
        return MemoryPlan(2, 0)


def task_of(frames: list[F32], method: Method, kind: type[FusionTask] = FusionTask) -> FusionTask:
    """The frames with noise, as they are fused; nothing but the sweep changes the picture."""
    rng = np.random.default_rng(1)
    noisy = [np.clip(f[..., None] + rng.normal(0.5, 1, (*f.shape, 3)), 0, 255).astype(np.uint8) for f in frames]
    return kind(
        decode=lambda k: noisy[k],
        registrations={k: Registration(np.eye(2, 3), np.ones(3), 0.0) for k in range(FRAMES)},
        positions=[float(k) for k in range(FRAMES)],
        frame_size=(COLUMNS, ROWS),
        sample_bytes=1,
        canvas=Canvas(0, 0, COLUMNS, ROWS),
        method=method,
        wants_depth=False,
        threads=1,
        is_fused=True,
    )


def fused(task: FusionTask) -> NDArray[np.uint16]:
    return fuse_at_once(task, lambda stage, done, total: None).image


@pytest.mark.parametrize("method", [Method.AUTO, Method.DEPTHMAP])
def test_strand_and_ground_beside_it_come_nearer_to_the_truth(method: Method) -> None:
    truth, frames, alpha = scene()
    swept = task_of(frames, method)
    with_it, without = fused(swept), fused(replace(swept, is_part=True))
    # a depth map has the strand whole, the pyramid has not
    for where in (beside(alpha), alpha > 0.5 if method is Method.AUTO else None):
        assert error(with_it, truth, where) < 0.92 * error(without, truth, where)


def test_a_right_picture_is_hardly_changed() -> None:
    truth, frames, alpha = scene()
    assert error(corrected(frames, truth, alpha), truth) < 0.8


@pytest.mark.parametrize("method", [Method.AUTO, Method.DEPTHMAP])
def test_memory_does_not_change_it(method: Method) -> None:
    _, frames, _ = scene()
    assert np.array_equal(*(fused(task_of(frames, method, kind)) for kind in (FusionTask, InStrips)))


@pytest.mark.parametrize("part", [slice(0, 6), slice(3, 9), slice(6, None)])
def test_frames_of_a_part_of_the_depth_do_no_harm(part: slice) -> None:
    truth, frames, alpha = scene()
    frames = frames[part]
    chosen = frames[0] * alpha + frames[-1] * (1 - alpha)
    assert error(corrected(frames, chosen, alpha), truth) < 1.01 * error(picture_of(chosen), truth)


def test_brightness_is_not_pumped() -> None:
    _, frames, alpha = scene()
    chosen = frames[0] * alpha + frames[-1] * (1 - alpha)
    change = corrected(frames, chosen, alpha)[..., 0].astype(np.float64) - picture_of(chosen)[..., 0]
    coarse = cv2.resize(change / 257, (COLUMNS // 64, ROWS // 64), interpolation=cv2.INTER_AREA)
    assert np.abs(coarse).max() < 1.0


def test_neither_threads_nor_strips_change_it() -> None:
    _, frames, alpha = scene()
    luma = frames[0] * alpha + frames[-1] * (1 - alpha)
    expected = corrected(frames, luma, alpha)
    assert np.array_equal(corrected(frames, luma, alpha, threads=3), expected)
    canvas, picture = Canvas(0, 0, COLUMNS, ROWS), picture_of(luma)
    with Bands(1) as bands:
        sweep = FocalSweep(canvas)
        for first, stop in ((0, 160), (160, ROWS)):
            top, bottom = max(first - 32, 0), min(stop + 32, ROWS)
            strip = Canvas(0, top, COLUMNS, bottom - top, canvas)
            sweep.take(filled(strip, frames, alpha, whole_spans(strip)), first, stop)
        sweep.correct(picture, bands)
    assert np.array_equal(picture, expected)


def test_nothing_is_changed_where_a_frame_does_not_reach() -> None:
    _, frames, alpha = scene()
    luma = frames[0] * alpha + frames[-1] * (1 - alpha)
    spans = whole_spans(Canvas(0, 0, COLUMNS, ROWS))
    spans[:, 1] = 150
    picture = corrected(frames, luma, alpha, spans)
    assert np.array_equal(picture[:, 304:], picture_of(luma)[:, 304:])
    assert not np.array_equal(picture[:, :296], picture_of(luma)[:, :296])


@pytest.mark.parametrize("count", [1, FEWEST_FRAMES - 1])
def test_few_frames_are_no_sweep(count: int) -> None:
    _, frames, alpha = scene()
    assert np.array_equal(corrected(frames[:count], frames[0], alpha), picture_of(frames[0]))


def test_a_broad_dark_bar_at_the_end_of_the_depth_stays_even() -> None:
    rng = np.random.default_rng(7)
    light = cv2.GaussianBlur(rng.random((ROWS, COLUMNS), np.float32), (0, 0), 1.5)
    light = 0.3 + 0.8 * (light - light.mean())
    at_end = np.zeros((ROWS, COLUMNS), np.float32)
    at_end[:, 220:] = 1.0
    bar = np.s_[:, 290:350]
    light[:, 220:], light[bar] = 0.55, 0.012
    frames = []
    for k in range(FRAMES):
        middle, end = (cv2.GaussianBlur(light, (0, 0), 0.01 + abs(k - at)) for at in (FRAMES / 2, FRAMES - 1))
        frames.append(encoded(middle * (1 - at_end) + end * at_end))
    # a little of the white beside it is in the bar, and where nothing is to be seen any frame is chosen
    luma, chosen = encoded(light), at_end.copy()
    luma[bar] += 4
    noise = cv2.GaussianBlur(rng.normal(0, 1, (ROWS, COLUMNS)).astype(np.float32), (0, 0), 2)
    chosen[bar] = np.clip(0.5 + 3 * noise, 0, 1)[bar]
    change = corrected(frames, luma, chosen)[..., 0] / 257 - luma
    assert np.abs(change[40:-40, 294:346]).max() < 3.0
