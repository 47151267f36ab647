"""What can be refused before any frame is decoded: options that no frame fits, and too little memory."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from stacking.crop import by_hand_within
from stacking.develop import probe
from stacking.errors import FrameError, StackingUsageError
from stacking.frames import Pixels, Registration, Source
from stacking.fuse.canvas import Canvas
from stacking.fuse.final_pass import FusionTask
from stacking.options import StackOptions
from stacking.slab_options import SlabOptions


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


def check_sources(options: StackOptions, sources: Sequence[Source], *, threads: int) -> None:
    """`check_frames` for frames of one stack, by the header of the first that can be read.

    Raises
    ------
    StackingUsageError, MemoryBudgetError
    """
    for source in sources:
        with suppress(FrameError):
            first = probe(source)
            size, sample_bytes = (first.width, first.height), np.dtype(first.dtype).itemsize
            check_frames(options, frames=len(sources), size=size, sample_bytes=sample_bytes, threads=threads)
            return


def check_frames(options: StackOptions, *, frames: int, size: tuple[int, int], sample_bytes: int, threads: int) -> None:
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

    Raises
    ------
    StackingUsageError
        Where a crop by hand lies outside of the frames, or an area or the layers name frames that there are not.
    MemoryBudgetError
        Where not even the thinnest strips of whole frames fit into the memory allowed.
    """
    if options.crop_rectangle is not None:
        by_hand_within(options.crop_rectangle, size)
    for area in options.areas:
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
    FusionTask(
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
    ).memory_plan()


def _undecoded(index: int) -> Pixels | str:
    return f"frame {index} was not asked for"
