"""Slabs: groups of neighbouring frames fused by themselves, and their pictures fused again.

All frames are registered together, so slabs lie on each other and on the unslabbed result. Each slab is written out as it is
made and read again for the next stage: memory does not grow with their number. Every stage of selection that is made of pictures
costs a little; a fusion is running sums, and those of the slabs add up to those of the frames. So unless another method than
theirs is wanted for merging them, the picture is made of the frames themselves, and is the unslabbed one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from stacking.errors import SourceError, StackingUsageError
from stacking.frames import Pixels, Registration
from stacking.fuse.canvas import Canvas, spans_by_level
from stacking.fuse.deformation import surely_had
from stacking.fuse.final_pass import FinalPass, Progress
from stacking.fuse.fusion_task import FusionTask
from stacking.options import Method
from stacking.slab_options import SlabOptions

F32 = NDArray[np.float32]
Picture = NDArray[np.uint16]

# Frames of a slab in depths of field, and what neighbours share: whatever is sharp has its best frames in one slab.
_FIELDS, _FIELDS_SHARED = 2.0, 0.5
_FEWEST, _UNTOLD = 4, 5
_FEATHER_PX = 24


@dataclass(frozen=True, slots=True)
class Slab:
    """One slab.

    Attributes
    ----------
    path : Path
        Its picture: 16-bit TIFF on the canvas of the result, before colour correction.
    frames : tuple of int
        Indices of the frames in it.
    stage : int
        1 for slabs of frames, 2 for slabs of slabs, and so on.
    """

    path: Path
    frames: tuple[int, ...]
    stage: int


@dataclass(frozen=True, slots=True)
class Fused:
    """What fusion gives; `slabs` in the order they were made, `notes` for people; `surface` is the depth with
    what its holes' surfaces say of them.
    """

    image: Picture
    depth: F32 | None
    confidence: F32 | None
    missed: dict[int, str]
    slabs: tuple[Slab, ...] = ()
    notes: tuple[str, ...] = ()
    surface: F32 | None = None


def fuse_at_once(task: FusionTask, progress: Progress) -> Fused:
    """All frames in one fusion; a single frame that lies on itself is the picture, as it was decoded."""
    if (alone := _alone(task)) is not None:
        progress("fusing", 1, 1)
        return alone
    final = FinalPass(task, progress)
    image, depth = final.run()
    return Fused(image, depth, final.confidence, final.missed, surface=final.surface)


def _alone(task: FusionTask) -> Fused | None:
    if len(task.registrations) != 1:
        return None
    ((index, registration),) = task.registrations.items()
    canvas, (width, height) = task.canvas, task.frame_size
    still = np.array_equal(registration.matrix, np.eye(2, 3)) and bool((registration.gain == 1.0).all())
    inside = canvas.x >= 0 and canvas.y >= 0 and canvas.x + canvas.width <= width and canvas.y + canvas.height <= height
    if not (still and inside):
        return None
    image = task.decode(index)
    if isinstance(image, str):
        raise SourceError(f"no picture can be read: {image}", remedy="Give whole JPEG, PNG, TIFF or RAW files.")
    cut = image[canvas.y : canvas.y + canvas.height, canvas.x : canvas.x + canvas.width]
    deep = cut.astype(np.uint16) * np.uint16(257) if cut.dtype == np.uint8 else cut.astype(np.uint16)
    if not task.wants_depth:
        return Fused(deep, None, None, {})
    unknown = np.full(cut.shape[:2], np.nan, np.float32)
    return Fused(deep, unknown, np.zeros_like(unknown), {})


def fuse_in_slabs(
    task: FusionTask,
    options: SlabOptions,
    *,
    frames_in_focus: float | None,
    reference: int,
    folder: Path,
    write: Callable[[Path, Picture], None],
    progress: Progress,
) -> Fused:
    """Fuse frames to slabs, slabs to slabs where several sizes are given, and all to one picture.

    That picture is made of the first slabs' pictures where `options.method` is another way than that of the slabs, else of all frames:
    it is the same however many stages there are.

    Parameters
    ----------
    task : FusionTask
        Of all frames.
    options : SlabOptions
    frames_in_focus : float or None
        Depth of field in frames, for an automatic size; None where it is not known.
    reference : int
        The frame that covers the whole canvas.
    folder : Path
        Where slabs are written.
    write : callable
        Writes a picture to a path, as 16-bit TIFF.

    Raises
    ------
    StackingUsageError
        Where slabs overlap by their whole size.
    """
    stages = stages_for(options, len(task.registrations), frames_in_focus)
    notes = _too_few(options, stages, len(task.registrations))
    if not stages:
        return replace(fuse_at_once(task, progress), notes=notes)
    missed: dict[int, str] = {}
    slabs: list[Slab] = []
    current: list[tuple[int, ...]] = [(k,) for k in sorted(task.registrations)]
    stage_task = merging = task
    for stage, (size, overlap) in enumerate(stages, 1):
        groups = slab_ranges(len(current), size, overlap)
        keys = sorted(stage_task.registrations)
        made: list[Slab] = []
        whole = next(n for n, group in enumerate(groups) if any(reference in current[k] for k in group))
        for number in sorted(range(len(groups)), key=lambda n: (n != whole, n)):
            members = [keys[k] for k in groups[number]]
            completes = number != whole and stage == 1
            # else coarse levels, and with them brightness and colour, would be missing beside a border within the canvas
            canvas = replace(task.canvas, repeats_edges=True) if completes else stage_task.canvas
            part = replace(
                stage_task,
                canvas=canvas,
                registrations={k: stage_task.registrations[k] for k in members},
                wants_depth=False,
                is_part=True,
            )
            fused = fuse_at_once(part, _named(progress, f"fusing slab {number + 1} of {len(groups)}"))
            missed |= fused.missed
            frames = tuple(sorted({f for k in groups[number] for f in current[k]} - missed.keys()))
            image = fused.image
            if completes:
                around = next(slab.path for slab in made)
                image = _completed(image, around, task, frames)
            path = folder / _name(stage, number, len(groups))
            write(path, image)
            del fused, image  # not held while the next one is fused
            made.append(Slab(path, frames, stage))
        made.sort(key=lambda slab: slab.path.name)
        slabs += made
        current = [slab.frames for slab in made]
        stage_task = _task_of(made, task, options.method)
        # chosen among once: further stages are pictures to retouch with
        merging = stage_task if stage == 1 else merging
    if options.method is None or _alike(options.method, task.method):
        of_frames = replace(task, registrations=_without(task, missed))
        fused = fuse_at_once(of_frames, _named(progress, "fusing what the slabs are made of"))
        return replace(fused, missed=missed | fused.missed, slabs=tuple(slabs), notes=notes)
    image = fuse_at_once(replace(merging, wants_depth=False), _named(progress, "fusing slabs")).image
    of_frames = _correcting(replace(task, registrations=_without(task, missed)), options.method)
    if not (of_frames.is_swept or of_frames.wants_depth):
        return Fused(image, None, None, missed, tuple(slabs), notes)
    with TemporaryFile(dir=folder) as kept:  # not held while the frames are fused
        shape = image.shape
        image.tofile(kept)
        del image

        def merged() -> Picture:
            kept.seek(0)
            return np.fromfile(kept, np.uint16).reshape(shape)

        fused = fuse_at_once(replace(of_frames, merged=merged), _named(progress, "correcting by the frames"))
    return replace(fused, missed=missed | fused.missed, slabs=tuple(slabs), notes=notes)


def _correcting(task: FusionTask, method: Method) -> FusionTask:
    """What the slabs' pictures do not hold is asked of the frames: their mean, which corrects what was merged, and the depth."""
    return replace(task, method=Method.AUTO, is_part=Method.AVERAGE in (task.method, method))


def merging_tasks(task: FusionTask, options: SlabOptions) -> list[FusionTask]:
    """What merging the slabs' pictures takes beside the frames' own fusion, for its memory to be reckoned before anything is fused."""
    method = options.method
    if not options.sizes or method is None or _alike(method, task.method):
        return []
    slabs = replace(task, method=method, wants_depth=False, sample_bytes=2, is_part=True)

    def unmade() -> Picture:
        raise AssertionError("for reckoning only")

    return [slabs, replace(_correcting(task, method), merged=unmade)]


def _alike(one: Method, other: Method) -> bool:
    """Whether both ways sum alike over frames: then what the sums of slabs' pictures differ by is loss."""
    pyramids = {Method.AUTO, Method.PYRAMID}
    return one is other or {one, other} <= pyramids


def stages_for(options: SlabOptions, frames: int, frames_in_focus: float | None) -> list[tuple[int, int]]:
    """Size and overlap of each stage; none where so few frames need no slabs.

    Raises
    ------
    StackingUsageError
    """
    stages: list[tuple[int, int]] = []
    count = frames
    for wanted in options.sizes:
        size, overlap = wanted, options.overlap
        if wanted == 0:
            known = frames_in_focus if frames_in_focus is not None else _UNTOLD / _FIELDS
            size = max(_FEWEST, round(_FIELDS * known))
            if overlap is None:
                overlap = max(1, min(round(_FIELDS_SHARED * known), size // 2))
        if overlap is None:
            overlap = max(1, size // 4) if size > 1 else 0
        if stages:
            overlap = min(overlap, size - 1)
        if overlap >= size:
            raise StackingUsageError(
                f"slabs of {size} frames cannot overlap by {overlap}",
                remedy="Give --slab-overlap fewer frames than --slab.",
            )
        if size >= count or size < 2:
            break
        stages.append((size, overlap))
        count = len(slab_ranges(count, size, overlap))
    return stages


def _too_few(options: SlabOptions, stages: Sequence[tuple[int, int]], frames: int) -> tuple[str, ...]:
    """What is said of stages that are not made."""
    if len(stages) == len(options.sizes):
        return ()
    count, what = frames, "frames"
    for size, overlap in stages:
        count, what = len(slab_ranges(count, size, overlap)), "slabs"
    size = options.sizes[len(stages)]
    wanted = f"a slab of {size}" if size else "slabs of two depths of field"
    return (f"no slabs were made of {what}: there are {count}, too few for {wanted}",)


def slab_ranges(count: int, size: int, overlap: int) -> list[range]:
    """Groups of `size` neighbours that share `overlap`; the last one is as long, and so may share more."""
    if size >= count:
        return [range(count)]
    starts = list(range(0, count - size, size - overlap))
    return [range(start, start + size) for start in [*starts, count - size]]


def _task_of(slabs: Sequence[Slab], task: FusionTask, method: Method | None) -> FusionTask:
    """The next stage: slabs lie on the canvas already."""
    size = (task.canvas.width, task.canvas.height)
    plain = Registration(np.eye(2, 3), np.ones(3), 0.0)

    def decode(index: int) -> Pixels | str:
        return np.asarray(tifffile.imread(slabs[index].path))

    return replace(
        task,
        decode=decode,
        registrations=dict.fromkeys(range(len(slabs)), plain),
        positions=[float(np.mean([task.positions[f] for f in slab.frames])) if slab.frames else 0.0 for slab in slabs],
        frame_size=size,
        sample_bytes=2,
        canvas=Canvas(0, 0, *size),
        method=task.method if method is None else method,
        is_part=True,
        is_fused=True,
    )


def _completed(image: Picture, around: Path, task: FusionTask, frames: Sequence[int]) -> Picture:
    """Where the slab's frames do not reach, the slab of the reference frame stands in, its edge blended."""
    canvas = task.canvas
    if not frames:
        return image
    had = [surely_had(task.registrations[k], task.frame_size) for k in frames]
    spans = [spans_by_level(canvas, canvas.to_frame(matrix), size, 1)[0] for matrix, size in had]
    left, right = np.max([s[:, 0] for s in spans], axis=0), np.min([s[:, 1] for s in spans], axis=0)
    if not left.any() and (right == canvas.width).all():
        return image
    columns = np.arange(canvas.width)
    weight = np.zeros((canvas.height + 2, canvas.width + 2), np.uint8)
    weight[1:-1, 1:-1] = (columns >= left[:, None]) & (columns < right[:, None])
    # the border of the picture itself is no edge
    weight[0], weight[-1], weight[:, 0], weight[:, -1] = weight[1], weight[-2], weight[:, 1], weight[:, -2]
    padded = np.pad(weight, 64, mode="edge")
    far = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[65:-65, 65:-65]
    share = np.clip(far / _FEATHER_PX, 0, 1)[..., None]
    whole = np.asarray(tifffile.imread(around), np.uint16)
    return np.rint(image * share + whole * (1 - share)).astype(np.uint16)


def _without(task: FusionTask, missed: dict[int, str]) -> dict[int, Registration]:
    return {k: r for k, r in task.registrations.items() if k not in missed}


def _name(stage: int, number: int, count: int) -> str:
    digits = len(str(count))
    middle = "" if stage == 1 else f"{stage}-"
    return f"slab{'' if stage == 1 else 's'}-{middle}{number + 1:0{max(2, digits)}d}.tif"


def _named(progress: Progress, stage: str) -> Progress:
    return lambda _, done, total: progress(stage, done, total)
