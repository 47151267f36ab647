"""Slabs: how frames are grouped, and that a picture made of slabs is the picture made at once."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stacking.engine import Engine
from stacking.errors import OutputError, StackingUsageError
from stacking.frames import Registration, Source
from stacking.fuse.canvas import Canvas
from stacking.fuse.fusion_task import FusionTask
from stacking.memory import MemoryPlan
from stacking.options import Align, Crop, Method, StackOptions
from stacking.sharpness import block_sharpness, stack_sharpness
from stacking.slab_folder import slab_target
from stacking.slab_options import SlabOptions, parse_slab, slab_options_of
from stacking.slabs import Fused, fuse_at_once, fuse_in_slabs, merging_tasks, slab_ranges, stages_for
from stacking.stack import stack_pictures

WIDTH, HEIGHT, FRAMES = 240, 160, 12


def truth() -> NDArray[np.float64]:
    rng = np.random.default_rng(4)
    fine = cv2.GaussianBlur(rng.random((HEIGHT, WIDTH)), (0, 0), 1.1)
    coarse = cv2.GaussianBlur(rng.random((HEIGHT, WIDTH, 3)), (0, 0), 9)
    fine = (fine - fine.mean()) / fine.std()
    coarse = (coarse - coarse.mean()) / coarse.std()
    return np.clip(128 + 26 * fine[..., None] + 18 * coarse, 4, 250)


def frames() -> list[NDArray[np.uint8]]:
    """A plane that leans back, sharp in one part of each frame, with some noise."""
    sharp = truth()
    rng = np.random.default_rng(8)
    x = np.linspace(0, FRAMES - 1, WIDTH)[None, :, None]
    banks = [sharp, *(cv2.GaussianBlur(sharp, (0, 0), s) for s in (0.9, 1.7, 2.5, 3.3, 4.1))]
    out = []
    for k in range(FRAMES):
        away = np.minimum(np.abs(x - k) * 0.9, len(banks) - 1.001)
        image = sum(bank * np.clip(1 - np.abs(away - j), 0, 1) for j, bank in enumerate(banks))
        out.append(np.clip(np.rint(np.asarray(image) + rng.normal(0, 1.0, sharp.shape)), 0, 255).astype(np.uint8))
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slabs")
    for k, frame in enumerate(frames()):
        cv2.imwrite(str(path / f"f-{k}.png"), frame[..., ::-1])
    return path


def task(kind: type[FusionTask] = FusionTask, method: Method = Method.AUTO) -> FusionTask:
    pictures = frames()
    return kind(
        decode=lambda k: pictures[k],
        registrations={k: Registration(np.eye(2, 3), np.ones(3), 0.0) for k in range(FRAMES)},
        positions=[10.0 * k for k in range(FRAMES)],
        frame_size=(WIDTH, HEIGHT),
        sample_bytes=1,
        canvas=Canvas(0, 0, WIDTH, HEIGHT),
        method=method,
        wants_depth=False,
        threads=1,
    )


def slabbed(
    wanted: FusionTask, sizes: tuple[int, ...], overlap: int | None = None, method: Method | None = None
) -> Fused:
    with slab_target(None) as (place, write):
        return fuse_in_slabs(
            wanted,
            SlabOptions(sizes, overlap, method),
            frames_in_focus=None,
            reference=FRAMES // 2,
            folder=place,
            write=write,
            progress=lambda stage, done, total: None,
        )


def psnr(image: NDArray[np.uint16]) -> float:
    inner = (slice(8, -8), slice(8, -8))
    return float(10 * np.log10(255**2 / np.mean((image[inner] / 257.0 - truth()[inner]) ** 2)))


@given(st.integers(1, 400), st.integers(2, 60), st.integers(0, 59))
def test_slabs_hold_every_frame_and_overlap_as_wanted(count: int, size: int, overlap: int) -> None:
    if overlap >= size:
        return
    groups = slab_ranges(count, size, overlap)
    assert sorted({k for group in groups for k in group}) == list(range(count))
    assert all(len(group) == min(size, count) for group in groups)
    for before, after in pairwise(groups):
        assert before.stop - after.start >= overlap
        assert after.stop > before.stop
    assert all(a.stop - b.start == overlap for a, b in pairwise(groups[:-1]))


@pytest.mark.parametrize(
    ("options", "count", "in_focus", "stages"),
    [
        (SlabOptions((5,)), 20, None, [(5, 1)]),
        (SlabOptions((8,), 3), 20, None, [(8, 3)]),
        (SlabOptions((5,), 0), 5, None, []),
        (SlabOptions((5,)), 4, None, []),
        (SlabOptions((5, 3), 2), 30, None, [(5, 2), (3, 2)]),
        (SlabOptions((5, 9), 1), 20, None, [(5, 1)]),
        (SlabOptions((0,)), 40, 6.0, [(12, 3)]),
        (SlabOptions((0,), 5), 40, 6.0, [(12, 5)]),
        (SlabOptions((0,)), 40, 1.0, [(4, 1)]),
        (SlabOptions((0,)), 10, 9.0, []),
    ],
)
def test_stages_follow_what_is_wanted_and_seen(
    options: SlabOptions, count: int, in_focus: float | None, stages: list[tuple[int, int]]
) -> None:
    assert stages_for(options, count, in_focus) == stages


def test_an_overlap_of_the_whole_slab_is_refused() -> None:
    with pytest.raises(StackingUsageError):
        stages_for(SlabOptions((4,), 4), 20, None)


@pytest.mark.parametrize("sizes", [(4,), (3, 3), (2, 2, 2)])
@pytest.mark.parametrize("method", [None, Method.AUTO, Method.PYRAMID])
def test_slabs_merged_as_they_were_made_do_not_change_the_picture(
    sizes: tuple[int, ...], method: Method | None
) -> None:
    found = slabbed(task(), sizes, 1, method)
    assert len({slab.stage for slab in found.slabs}) == len(sizes)
    np.testing.assert_array_equal(found.image, fuse_at_once(task(), lambda stage, done, total: None).image)


def test_pyramid_slabs_are_merged_by_depth_map() -> None:
    found = slabbed(task(), (4,), 1, Method.DEPTHMAP)
    assert psnr(found.image) > 31
    assert abs(psnr(found.image) - psnr(fuse_at_once(task(), lambda stage, done, total: None).image)) < 0.3


class InStrips(FusionTask):
    """A task whose memory is short: the canvas is fused in three strips."""

    def memory_plan(self) -> MemoryPlan:
        return MemoryPlan(3, 0)


def test_slabs_do_not_depend_on_memory() -> None:
    whole, strips = (slabbed(task(kind), (4,), 1, Method.DEPTHMAP).image.astype(int) for kind in (FusionTask, InStrips))
    assert np.abs(whole - strips).max() <= 1  # of 65535: the last rounding


@pytest.mark.parametrize("depth", [False, True])
def test_no_step_of_merging_needs_more_memory_than_was_reckoned_before(depth: bool) -> None:
    needed: list[int] = []

    class Reckoned(FusionTask):
        def memory_plan(self) -> MemoryPlan:
            plan = FusionTask.memory_plan(self)
            needed.append(plan.bytes_needed)
            return plan

    wanted = replace(task(Reckoned), wants_depth=depth)
    slabbed(wanted, (4,), 1, Method.DEPTHMAP)
    run = max(needed)
    needed.clear()
    for one in (wanted, *merging_tasks(wanted, SlabOptions((4,), 1, Method.DEPTHMAP))):
        one.memory_plan()
    assert run <= max(needed)


@pytest.mark.parametrize("method", [None, Method.DEPTHMAP])
def test_depth_is_that_of_the_frames(method: Method | None) -> None:
    wanted = replace(task(), wants_depth=True)
    at_once = fuse_at_once(wanted, lambda stage, done, total: None)
    found = slabbed(wanted, (4,), 1, method)
    np.testing.assert_array_equal(found.depth, at_once.depth)


@pytest.mark.parametrize("method", [None, Method.DEPTHMAP])
def test_a_frame_that_cannot_be_read_is_missed_once(method: Method | None) -> None:
    whole = task()
    broken = replace(whole, decode=lambda k: "torn" if k == 3 else whole.decode(k))
    found = slabbed(broken, (4,), 2, method)
    assert found.missed == {3: "torn"}
    assert [3 in slab.frames for slab in found.slabs] == [False] * len(found.slabs)


def test_slabs_are_written_beside_the_result_and_told(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "o.tif"
    options = StackOptions(slabs=SlabOptions((5,), 2, Method.AUTO), align=Align.NONE)
    values = stack_pictures([folder], output, options).values()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o.slabs", "o.tif"]
    assert [len(slab["frames"]) for slab in values["slabs"]] == [5, 5, 5, 5]
    for slab in values["slabs"]:
        picture = tifffile.imread(slab["file"])
        assert picture.dtype == np.uint16
        assert picture.shape == (values["height"], values["width"], 3)
    again = stack_pictures([tmp_path / "o.slabs"], tmp_path / "again.tif", StackOptions(align=Align.NONE))
    assert again.frames_used == 4
    # brightness is matched once more, and noise is another's: the rest is the same
    once, twice = (cv2.blur(tifffile.imread(tmp_path / n).astype(float), (9, 9)) for n in ("o.tif", "again.tif"))
    ratio = once / twice
    assert 0.98 < ratio.min() <= ratio.max() < 1.02
    with pytest.raises(OutputError):
        stack_pictures(
            [folder], tmp_path / "o2.tif", replace(options, slabs=SlabOptions((5,), 2, None, tmp_path / "o.slabs"))
        )
    (tmp_path / "o.slabs" / "mine.txt").write_text("kept")
    stack_pictures([folder], output, replace(options, slabs=SlabOptions((8,), 2), force=True))
    assert sorted(p.name for p in (tmp_path / "o.slabs").iterdir()) == ["mine.txt", "slab-01.tif", "slab-02.tif"]


@pytest.mark.parametrize(
    ("sizes", "made", "said"),
    [
        ((100,), 0, "no slabs were made of frames: there are 12, too few for a slab of 100"),
        ((5, 100), 4, "no slabs were made of slabs: there are 4, too few for a slab of 100"),
    ],
)
def test_slabs_that_are_not_made_are_told_and_leave_no_empty_folder(
    folder: Path, tmp_path: Path, sizes: tuple[int, ...], made: int, said: str
) -> None:
    options = StackOptions(slabs=SlabOptions(sizes, 2), align=Align.NONE)
    report = stack_pictures([folder], tmp_path / "o.tif", options)
    assert said in report.notes
    assert len(report.slabs) == made
    assert sorted(p.name for p in tmp_path.iterdir()) == (["o.slabs", "o.tif"] if made else ["o.tif"])


def test_a_run_that_fails_while_its_results_are_written_leaves_no_slab(folder: Path, tmp_path: Path) -> None:
    """The name of the depth file is taken while the frames are fused."""
    (tmp_path / "out").mkdir()
    output, depth = tmp_path / "out" / "o.tif", tmp_path / "d.tif"

    def take_the_name(stage: str, done: int, total: int) -> None:
        if stage.startswith("fusing"):
            depth.write_text("somebody else's")

    options = StackOptions(slabs=SlabOptions((5,), 2), align=Align.NONE, depth=depth)
    with pytest.raises(OutputError, match=r"d\.tif exists"):
        stack_pictures([folder], output, options, take_the_name)
    assert list((tmp_path / "out").iterdir()) == []
    assert depth.read_text() == "somebody else's"


def test_an_interruption_leaves_no_slab(folder: Path, tmp_path: Path) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        if stage.startswith("fusing slab 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stack_pictures([folder], tmp_path / "o.tif", StackOptions(slabs=SlabOptions((5,))), interrupt)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", [None, Method.DEPTHMAP])
def test_without_crop_slabs_that_do_not_reach_the_border_leave_no_seam(tmp_path: Path, method: Method | None) -> None:
    """Frames that drift sideways: the border is covered by some slabs only."""
    rng = np.random.default_rng(2)
    big = cv2.GaussianBlur(rng.random((HEIGHT, WIDTH + 80)), (0, 0), 1.2)
    gray = np.clip(128 + 30 * (big - big.mean()) / big.std(), 0, 255)
    engine = Engine(StackOptions(slabs=SlabOptions((3,), 1, method), crop=Crop.NONE, threads=1))
    for k in range(7):
        cut = np.rint(gray[:, 8 * k : 8 * k + WIDTH]).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{k}.png"), cut)
        engine.add(Source(tmp_path / f"{k}.png"))
    result = engine.finish()
    reference = np.rint(gray[:, 8 * result.reference :][:, :WIDTH])
    error = result.image[..., 1] / 257.0 - reference
    assert len(result.slabs) == 3
    assert np.abs(error[4:-4, 4:-4]).max() < 12
    assert np.sqrt(np.mean(error[4:-4, 4:-4] ** 2)) < 1.5


@pytest.mark.parametrize("turn", [0.0, 0.02])
def test_a_slab_that_does_not_reach_the_border_keeps_brightness_and_colour_beside_it(turn: float) -> None:
    """Later frames see less and less of a canvas of one colour; the last also have less of the coarse levels."""
    colour = np.array([200, 120, 60], np.uint8)
    flat = np.broadcast_to(colour, (HEIGHT, WIDTH, 3)).copy()
    middle = np.array([WIDTH / 2, HEIGHT / 2])

    def seen(k: int) -> Registration:
        scale = 1.0 + 0.01 * max(k - FRAMES // 2, 0)
        turned = scale * np.array([[1.0, -turn * (scale > 1)], [turn * (scale > 1), 1.0]])
        return Registration(np.column_stack([turned, middle - turned @ middle]), np.ones(3), 0.0)

    wanted = replace(task(), decode=lambda k: flat, registrations={k: seen(k) for k in range(FRAMES)})
    with slab_target(None) as (place, write):
        found = fuse_in_slabs(
            wanted,
            SlabOptions((4,), 1, Method.DEPTHMAP),
            frames_in_focus=None,
            reference=0,
            folder=place,
            write=write,
            progress=lambda stage, done, total: None,
        )
        for image in (found.image, *(tifffile.imread(slab.path) for slab in found.slabs)):
            assert np.abs(image / 257.0 - colour).max() < 0.5


def test_the_depth_of_field_is_counted_in_frames() -> None:
    maps = {k: block_sharpness(frame[..., 1]) for k, frame in enumerate(frames())}
    found = stack_sharpness(maps)
    assert found is not None
    assert found.whole.shape == (FRAMES,)
    assert 1 <= (found.frames_in_focus() or 0) <= 4
    flat = stack_sharpness({k: np.ones((4, 5), np.float32) for k in range(5)})
    assert flat is not None
    assert flat.frames_in_focus() is None
    assert stack_sharpness({}) is None


@pytest.mark.parametrize(("text", "sizes"), [("5", (5,)), ("auto", (0,)), ("5,4", (5, 4)), ("auto,3", (0, 3))])
def test_slab_sizes_are_read(text: str, sizes: tuple[int, ...]) -> None:
    assert parse_slab(text) == sizes


@pytest.mark.parametrize("text", ["", "1", "x", "5,auto", "-3", "5,,4"])
def test_what_is_no_slab_is_refused(text: str) -> None:
    with pytest.raises(StackingUsageError):
        parse_slab(text)


def test_options_come_back_from_their_record() -> None:
    options = SlabOptions((5, 3), 2, Method.DEPTHMAP, Path("x"))
    record = {"sizes": [5, 3], "overlap": 2, "method": "depthmap", "folder": "x"}
    assert slab_options_of(record) == options
    assert slab_options_of({}) == SlabOptions()
