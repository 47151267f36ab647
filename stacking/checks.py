"""What can be refused early: before any frame is decoded, or once the size of the result is known and before anything is fused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from stacking.areas import check_areas, check_areas_fit, held_beside_bytes, no_such_slab
from stacking.crop import by_hand_within
from stacking.errors import FrameError, MemoryBudgetError, StackingUsageError
from stacking.frames import Pixels, Registration, Source
from stacking.fuse.canvas import Canvas
from stacking.fuse.depth_volume import finest_pixels
from stacking.fuse.fusion_task import FusionTask
from stacking.layers import check_layers_fit
from stacking.options import Crop, StackOptions
from stacking.selection import probe
from stacking.slab_options import SlabOptions
from stacking.slabs import merging_tasks, slab_ranges, stages_for

if TYPE_CHECKING:
    from stacking.finish import Recipe

# What a crop leaves of a frame as a rule.
_LEAST_CROPPED = 0.9


def check_options(options: StackOptions) -> None:
    """Refuse options that make no sense together, whatever the frames.

    Raises
    ------
    StackingUsageError
    """
    if options.memory_bytes is not None and options.memory_bytes <= 0:
        raise StackingUsageError("no memory at all is allowed", remedy="Give --memory a size, for example 4G.")
    if options.layer_frames is not None and options.layers is None:
        raise StackingUsageError(
            "frames for the layers were given, but no layered file",
            remedy="Name one with --layers FILE.psd, or leave --layer-frames.",
        )
    check_overlap(options.slabs)


def check_overlap(slabs: SlabOptions) -> None:
    """Refuse slabs of a given size that overlap by all of it.

    Raises
    ------
    StackingUsageError
    """
    size = slabs.sizes[0] if slabs.sizes else 0
    if size and slabs.overlap is not None and slabs.overlap >= size:
        raise StackingUsageError(
            f"slabs of {size} frames cannot overlap by {slabs.overlap}",
            remedy="Give --slab-overlap fewer frames than --slab.",
        )


def with_recipe(options: StackOptions) -> tuple[Recipe | None, StackOptions]:
    """The recipe that is asked for, and the options with what it says of areas and colours.

    Raises
    ------
    StackingUsageError
        Where there is no such recipe, it cannot be read, or its areas or those of the options cannot be made.
    """
    recipe: Recipe | None = None
    if options.recipe is not None:
        from stacking.finish import read_recipe

        recipe = read_recipe(options.recipe)
        options = replace(options, areas=(*recipe.areas, *options.areas), wide_gamut=recipe.wants_wide_gamut)
    check_areas(options.areas, options.method, options.slabs)
    return recipe, options


def check_sources(
    options: StackOptions, sources: Sequence[Source], *, threads: int, recipe: Recipe | None = None
) -> None:
    """`check_frames` for frames of one stack, by the header of the first that can be read.

    Raises
    ------
    StackingUsageError, MemoryBudgetError
    """
    for source in sources:
        with suppress(FrameError):
            first = probe(source)
            size, sample_bytes = (first.width, first.height), np.dtype(first.dtype).itemsize
            check_frames(
                options, frames=len(sources), size=size, sample_bytes=sample_bytes, threads=threads, recipe=recipe
            )
            return


def check_frames(
    options: StackOptions,
    *,
    frames: int,
    size: tuple[int, int],
    sample_bytes: int,
    threads: int,
    recipe: Recipe | None = None,
) -> None:
    """Refuse what does not fit these frames, before the first of them is decoded.

    Parameters
    ----------
    options : StackOptions
    frames : int
        How many there are.
    size : (width, height)
        Of every frame, pixels.
    sample_bytes : int
        1 or 2.
    threads : int
    recipe : Recipe, optional

    Raises
    ------
    StackingUsageError
        Where a crop by hand or that of the recipe lies outside of the frames, or an area or the layers name frames or slabs that
        there are not.
    MemoryBudgetError
        Where not even the thinnest strips of whole frames, or the registration in one thread, fit into the memory allowed.
    """
    from stacking.register.memory import check_registration_memory

    if options.crop_rectangle is not None:
        by_hand_within(options.crop_rectangle, size)
    elif recipe is not None:
        _check_crop(recipe, size)
    slabs = _slabs_of(options, frames)
    for area in options.areas:
        if area.slab is not None and slabs is not None and area.slab > slabs:
            raise no_such_slab(area, slabs)
        wanted = area.frame_indices()
        if wanted is not None and not any(k < frames for k in wanted):
            raise StackingUsageError(
                f"{area.label}: none of its frames {area.frames} is in the stack, which has {frames}",
                remedy="Count frames from 1 in the order of the stack, as the report has it.",
            )
    if isinstance(options.layer_frames, tuple) and not any(k < frames for k in options.layer_frames):
        raise StackingUsageError(
            f"--layer-frames: there are {frames} frames, and those named are none of them",
            remedy="Count frames from 1 in the order of the stack, as the report has it.",
        )
    rectangle = options.crop_rectangle or (0, 0, *size)
    task = FusionTask(
        decode=_undecoded,
        registrations=dict.fromkeys(range(frames), Registration(np.eye(2, 3), np.ones(3), 0.0)),
        positions=range(frames),
        frame_size=size,
        sample_bytes=sample_bytes,
        canvas=Canvas(*rectangle),
        method=options.method,
        wants_depth=options.wants_depth,
        threads=threads,
        memory_bytes=options.memory_bytes,
    )
    tasks = [task, *merging_tasks(task, options.slabs)]
    if options.wants_depth and options.crop_rectangle is None and options.crop is not Crop.NONE:
        # cropped, a picture may be so small that its depth has more cells
        rows = finest_pixels(size[0] * size[1], _LEAST_CROPPED) // size[0]
        tasks.append(replace(task, canvas=Canvas(0, 0, size[0], rows)))
    if any(area.everywhere and area.slab is None for area in options.areas):  # such an area is as large as the picture
        tasks.append(replace(task, wants_depth=False, beside_bytes=held_beside_bytes(task)))
    _check_memory(
        [partial(check_registration_memory, size, sample_bytes, options.memory_bytes), *(t.memory_plan for t in tasks)]
    )
    if options.crop_rectangle is not None or (options.crop is Crop.NONE and options.crop_aspect is None):
        check_result(options, recipe, task)


def _check_memory(checks: Sequence[Callable[[], object]]) -> None:
    """Refuse what does not pass all of `checks`, by the one that needs most."""
    refused: list[MemoryBudgetError] = []
    for check in checks:
        try:
            check()
        except MemoryBudgetError as error:
            refused.append(error)
    if refused:
        raise max(refused, key=lambda error: error.least_bytes)


def _check_crop(recipe: Recipe, size: tuple[int, int]) -> None:
    from stacking.finish.apply import crop_rectangle

    crop_rectangle(recipe.crop, *size)


def check_result(options: StackOptions, recipe: Recipe | None, task: FusionTask) -> None:
    """Refuse what does not fit the result, whose size is known, before anything of it is fused.

    Parameters
    ----------
    options : StackOptions
        With the recipe's areas.
    recipe : Recipe or None
    task : FusionTask
        Of all frames.

    Raises
    ------
    StackingUsageError
        Where the recipe's crop lies outside of the result, or an area's mask fits neither it nor a frame.
    OutputError
        Where the layers are too large for their file.
    MemoryBudgetError
        Where an area does not fit beside the picture into the memory allowed.
    """
    size = (task.canvas.width, task.canvas.height)
    if recipe is not None:
        _check_crop(recipe, size)
    frames = len(task.registrations)
    if options.layers is not None:
        wanted = options.layer_frames
        if isinstance(wanted, tuple):
            wanted = sum(k in task.registrations for k in wanted)
        elif wanted is not None:
            wanted = min(wanted, frames)
        check_layers_fit(options.layers, size, frames=wanted, slabs=_slabs_of(options, frames) or 0)
    check_areas_fit(options.areas, task)


def _slabs_of(options: StackOptions, frames: int) -> int | None:
    """Slabs of so many frames; None where the depth of field will say how many."""
    if options.slabs.sizes[:1] == (0,):
        return None
    stages = stages_for(options.slabs, frames, None)
    return len(slab_ranges(frames, *stages[0])) if stages else 0


def _undecoded(index: int) -> Pixels | str:
    return f"frame {index} was not asked for"
