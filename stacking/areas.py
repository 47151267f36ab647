"""Areas of a fused picture made otherwise than the rest: of other frames, of a slab, by another method, or nearest first.

Each area is fused on the rectangle that holds it, matched to the picture in brightness and colour along its seam, and blended in.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from stacking.aligned import GRID, enlarged, reached
from stacking.areas_masks import area_mask, box_of
from stacking.areas_order import OrderedFrames, in_order, preferred_picture
from stacking.crop import Rectangle
from stacking.errors import StackingUsageError
from stacking.fuse.canvas import Canvas
from stacking.fuse.final_pass import Progress
from stacking.fuse.fusion_task import FusionTask
from stacking.fuse.range_ends import brightened
from stacking.options import Method, Prefer
from stacking.slab_options import SlabOptions
from stacking.slabs import Fused, Slab, fuse_at_once

if TYPE_CHECKING:
    from stacking.areas_options import Area

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]

_MARGIN_PX = 64
_CELL_PX = 8
_FEWEST_CELLS = 6
_CELLS_FOR_A_PLANE = 60
_MOST_LEVEL = 0.25
_ROUNDS = 8
_SUMS_BYTES_PER_PIXEL = 22


def with_areas(fused: Fused, areas: Sequence[Area], task: FusionTask, progress: Progress) -> Fused:
    """A fused picture with its areas, and a note on each; the picture itself is changed.

    Parameters
    ----------
    fused : Fused
        With its slabs still on disk, where areas are made of slabs.
    task : FusionTask
        Of all frames.

    Raises
    ------
    StackingUsageError
        Where an area's mask, frames or slab do not fit the stack.
    """
    notes = []
    for number, area in enumerate(areas, 1):
        mask = area_mask(area, task.canvas, task.frame_size, fused.depth, fused.confidence)
        box = box_of(mask, _MARGIN_PX)
        name = area.name or f"area {number}"
        share = 0.0 if box is None else _make(area, fused, mask, box, task, _named(progress, f"making {name}"))
        covered = float((mask > 127).mean())
        notes.append(f"{name}: {_percent(covered)} of the picture, {_percent(share)} made otherwise")
    return replace(fused, notes=(*fused.notes, *notes))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.0005 or share == 0 else "less than 0.1 %"


def _named(progress: Progress, stage: str) -> Progress:
    return lambda _, done, total: progress(stage, done, total)


def _make(area: Area, fused: Fused, mask: U8, box: Rectangle, task: FusionTask, progress: Progress) -> float:
    """One area into the picture; the share of it that was replaced."""
    here, weight = box.of(fused.image), box.of(mask)
    part = _part_task(area, task, fused.missed, box)
    base: U16 | None = None
    if area.slab is not None:
        base = np.ascontiguousarray(box.of(tifffile.imread(_slab_of(area, fused.slabs).path)), np.uint16)
    elif area.frames is not None or area.method is not None:
        base = fuse_at_once(part, progress).image
        weight = np.minimum(weight, _reach(part))
    if base is not None and area.level:
        levelled(base, here, weight)
    if area.prefer in (Prefer.NEAR, Prefer.FAR):
        own = here if base is None else base
        inside = weight if base is None else np.full_like(weight, 255)
        replaced = _preferred(area, own, inside, part, progress)
        weight = replaced if base is None else weight
    if base is not None:
        _blend(here, base, weight)
    return float((weight > 127).sum()) / mask.size


def _part_task(area: Area, task: FusionTask, missed: Container[int], box: Rectangle) -> FusionTask:
    usable = {k: r for k, r in task.registrations.items() if k not in missed}
    wanted = area.frame_indices()
    chosen = usable if wanted is None else {k: r for k, r in usable.items() if k in wanted}
    if not chosen:
        raise StackingUsageError(
            f"{area.label}: none of its frames {area.frames} is in the stack",
            remedy="Count frames from 1 in the order of the stack, as the report has it.",
        )
    canvas = Canvas(task.canvas.x + box.x, task.canvas.y + box.y, box.width, box.height)
    return replace(
        task,
        registrations=chosen,
        canvas=canvas,
        method=task.method if area.method is None else area.method,
        wants_depth=False,
        beside_bytes=held_beside_bytes(task),
    )


def held_beside_bytes(task: FusionTask) -> int:
    """What is held while an area is fused: the fused picture, its depth and an area's mask."""
    per_pixel = 6 + 1 + (12 if task.wants_depth else 0)
    return per_pixel * task.canvas.width * task.canvas.height


def check_areas_fit(areas: Sequence[Area], task: FusionTask) -> None:
    """Refuse areas that do not fit the result, before it is fused.

    Raises
    ------
    StackingUsageError
        Where a painted mask cannot be read, or fits neither the result nor a frame.
    MemoryBudgetError
        Where an area does not fit beside the picture into the memory allowed.
    """
    for area in areas:
        box: Rectangle | None = Rectangle(0, 0, task.canvas.width, task.canvas.height)
        if not area.wants_depth and not area.everywhere:
            box = box_of(area_mask(area, task.canvas, task.frame_size, None, None), _MARGIN_PX)
        if box is not None and area.slab is None:
            _part_task(area, task, {}, box).memory_plan()


def _slab_of(area: Area, slabs: Sequence[Slab]) -> Slab:
    first = [slab for slab in slabs if slab.stage == 1]
    if area.slab is None or area.slab > len(first):
        raise no_such_slab(area, len(first))
    return first[area.slab - 1]


def no_such_slab(area: Area, slabs: int) -> StackingUsageError:
    """What is said of an area whose slab is not among so many."""
    return StackingUsageError(
        f"{area.label}: there is no slab {area.slab}, the stack has {slabs}",
        remedy="Give --slab, and count slabs from 1 as their files are numbered.",
    )


def _reach(part: FusionTask) -> U8:
    """Where some frame of the area has pixels."""
    cells = np.zeros((-(-part.canvas.height // GRID), -(-part.canvas.width // GRID)), np.bool_)
    for registration in part.registrations.values():
        cells |= reached(part.frame_size, registration, part.canvas)
    if cells.all():
        return np.full((part.canvas.height, part.canvas.width), 255, np.uint8)
    soft = cv2.GaussianBlur(cv2.erode(cells.astype(np.uint8) * np.uint8(255), np.ones((3, 3), np.uint8)), (0, 0), 1.0)
    return np.asarray(
        enlarged(np.minimum(soft, cells * np.uint8(255)), (part.canvas.width, part.canvas.height)), np.uint8
    )


def _preferred(area: Area, picture: U16, within: U8, part: FusionTask, progress: Progress) -> U8:
    """The nearest or farthest first, in as many bands of rows as the memory asks for."""
    replaced = np.zeros(within.shape, np.uint8)
    assert area.prefer is not None
    indices = in_order(list(part.registrations), part.positions, area.prefer)
    rows = _band_rows(part)
    for top in range(0, part.canvas.height, rows):
        band = np.s_[top : top + rows]
        canvas = Canvas(part.canvas.x, part.canvas.y + top, part.canvas.width, picture[band].shape[0])
        frames = OrderedFrames(indices, part.decode, part.registrations, canvas, part.decode_threads)
        done = preferred_picture(frames, picture[band], within[band], lambda d, n: progress("", d, n))
        if done is not None:
            replaced[band] = done
    return replaced


def _band_rows(part: FusionTask) -> int:
    """Rows whose sums fit into the memory that is left; all where it is not limited."""
    if part.memory_bytes is None:
        return part.canvas.height
    width, height = part.frame_size
    frames = 3 * part.sample_bytes * (part.decode_threads + 2) * width * height
    free = part.memory_bytes - frames - (300 << 20)
    rows = free // ((_SUMS_BYTES_PER_PIXEL + 6) * part.canvas.width)
    return int(np.clip(rows // GRID * GRID, 64 * GRID, max(part.canvas.height, 64 * GRID)))


def levelled(part: U16, around: U16, weight: U8) -> None:
    """Match a picture to another one along the seam between them, in place: a factor per channel, a plane where the seam is long.

    Means of blocks are compared, so that what is sharp in one and blurred in the other does not count; what differs because one
    shows something else there is outvoted (iterated weights).
    """
    seam = _blocks((((weight > 12) & (weight < 243)) * np.uint8(255)).astype(np.uint8)) > 30
    if seam.sum() < _FEWEST_CELLS:
        return
    y, x = np.nonzero(seam)
    shape = seam.shape
    terms = np.stack([np.ones(len(x)), x / max(shape[1] - 1, 1) - 0.5, y / max(shape[0] - 1, 1) - 0.5], axis=1)
    terms = terms if len(x) >= _CELLS_FOR_A_PLANE else terms[:, :1]
    columns = np.linspace(-0.5, 0.5, part.shape[1], dtype=np.float32)
    for channel in range(3):
        ours, theirs = _blocks(part[..., channel])[seam], _blocks(around[..., channel])[seam]
        ratio = np.log((theirs.astype(np.float64) + 200) / (ours.astype(np.float64) + 200))
        found = _fitted(terms, ratio)
        found = np.clip(np.concatenate([found, np.zeros(3 - len(found))]), -_MOST_LEVEL, _MOST_LEVEL)
        if np.abs(found).max() < 1e-4:
            continue
        for row in range(0, part.shape[0], 256):
            rows = part[row : row + 256, :, channel]
            down = np.linspace(-0.5, 0.5, part.shape[0], dtype=np.float32)[row : row + 256, None]
            factor = np.exp(np.float32(found[0]) + np.float32(found[1]) * columns + np.float32(found[2]) * down)
            matched = brightened(rows.astype(np.float32), factor, 65535)
            part[row : row + 256, :, channel] = np.rint(np.clip(matched, 0, 65535)).astype(np.uint16)


def _fitted(terms: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least squares with weights that fall with the distance (Cauchy's), from the median on."""
    solution: NDArray[np.float64] = np.zeros(terms.shape[1])
    solution[0] = float(np.median(values))
    for _ in range(_ROUNDS):
        away = values - terms @ solution
        scale = max(1.4826 * float(np.median(np.abs(away))), 1e-4)
        share = np.sqrt(1 / (1 + (away / (2 * scale)) ** 2))
        solution = np.asarray(np.linalg.lstsq(terms * share[:, None], values * share, rcond=None)[0], np.float64)
    return np.asarray(solution)


def _blocks(plane: NDArray[np.uint8] | NDArray[np.uint16]) -> F32:
    size = (max(1, plane.shape[1] // _CELL_PX), max(1, plane.shape[0] // _CELL_PX))
    return np.asarray(cv2.resize(np.ascontiguousarray(plane), size, interpolation=cv2.INTER_AREA), np.float32)


def _blend(base: U16, part: U16, weight: U8) -> None:
    for row in range(0, base.shape[0], 256):
        rows = np.s_[row : row + 256]
        share = weight[rows].astype(np.float32)[..., None] * np.float32(1 / 255)
        old = base[rows].astype(np.float32)
        base[rows] = np.rint(old + share * (part[rows] - old)).astype(np.uint16)


def check_areas(areas: Sequence[Area], method: Method, slabs: SlabOptions) -> None:
    """Refuse, before any work, what cannot be done.

    Raises
    ------
    StackingUsageError
    """
    for area in areas:
        if area.mask is not None and not Path(area.mask).is_file():
            raise StackingUsageError(f"{area.label}: the mask {area.mask} does not exist", remedy="Name a PNG or TIFF.")
        if area.slab is not None and not slabs.sizes:
            raise no_such_slab(area, 0)
        if area.wants_depth and method is Method.AVERAGE:
            raise StackingUsageError(
                f"{area.label} goes by depth, and a plain average has none", remedy="Choose another --method."
            )
