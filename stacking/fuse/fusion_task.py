"""What the final pass is given, and the memory that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stacking.frames import Pixels, Registration
from stacking.fuse.canvas import Canvas
from stacking.fuse.depth_volume import depth_work_bytes, volume_bytes
from stacking.fuse.focal_sweep import FEWEST_FRAMES, KEPT_BYTES_PER_PIXEL, SMALLEST_PX, WORK_BYTES_PER_PIXEL
from stacking.fuse.focus_prior import REACH_COARSE_PX
from stacking.fuse.methods import BYTES_PER_PIXEL
from stacking.fuse.pair import are_a_pair
from stacking.fuse.pyramid import levels_for
from stacking.memory import MemoryPlan, plan_memory
from stacking.options import Method

# A strip's own rows do not feel the borders of its aprons. Pixels of the coarsest level (8 rows each) that a pixel of the result
# depends on: 2 through the reductions, 2 through expansion and energy, 2 through the collapse, 1 through the colour; and through the
# focus prior its window, halving and enlargement.
APRON_COARSE_PX = 7 + REACH_COARSE_PX + 2
# And one more with the sweep's sums that are kept for it.
_PICTURE_BYTES_PER_PIXEL, _MERGED_BYTES_PER_PIXEL = 6, 8
# The frames in focus, at half size; depth, confidence and surface, and what is written of them.
_CHOSEN_BYTES_PER_PIXEL, _DEPTH_BYTES_PER_PIXEL = 2, 26
# What the allocator keeps of the planes that the depth was made with, measured.
_UNRETURNED_BYTES = 12 << 20


@dataclass(frozen=True, slots=True)
class FusionTask:
    """What the final pass is given.

    Attributes
    ----------
    decode : callable
        Index to image (rows, columns, 3), or the reason why there is none.
    registrations : mapping of int to Registration
    positions : sequence of float
        By index; larger is farther.
    frame_size : (width, height)
    sample_bytes : int
        1 or 2.
    canvas : Canvas
    method : Method
    wants_depth : bool
    threads : int
    memory_bytes : int or None
    beside_bytes : int
        Of them, held by something else.
    is_part : bool
        Whether the frames are those of a slab, or pictures of slabs: their mean is no sweep through the scene.
    is_fused : bool
        Whether the frames are pictures of slabs: their finest detail has been given back already.
    merged : callable, optional
        Gives the picture of the canvas, (rows, columns, 3) uint16, as it was made of these frames in another way: that is corrected,
        and is the result.
    let_go : callable
        Called when every frame is in: gives back what is kept for decoding the next.
    """

    decode: Callable[[int], Pixels | str]
    registrations: Mapping[int, Registration]
    positions: Sequence[float]
    frame_size: tuple[int, int]
    sample_bytes: int
    canvas: Canvas
    method: Method
    wants_depth: bool
    threads: int
    memory_bytes: int | None = None
    beside_bytes: int = 0
    is_part: bool = False
    is_fused: bool = False
    merged: Callable[[], NDArray[np.uint16]] | None = None
    let_go: Callable[[], None] = lambda: None

    @property
    def decode_threads(self) -> int:
        """Threads that decode beside those that fuse."""
        return max(1, self.threads // 2)

    @property
    def is_pair(self) -> bool:
        """Whether the pixels themselves may be chosen."""
        return self.method is Method.AUTO and are_a_pair(self.registrations, self.canvas, self.frame_size)

    @property
    def is_swept(self) -> bool:
        """Whether the mean of all frames corrects the picture."""
        return (
            self.method is not Method.AVERAGE
            and not self.is_part
            and len(self.registrations) >= FEWEST_FRAMES
            and min(self.canvas.width, self.canvas.height) >= SMALLEST_PX
        )

    @property
    def sharpens(self) -> bool:
        """Whether the finest detail has lost anything that is to be given back: two frames that lie on each other have not."""
        return not self.is_fused and not are_a_pair(self.registrations, self.canvas, self.frame_size)

    @property
    def apron_rows(self) -> int:
        """Rows a strip needs beyond its own."""
        return int(APRON_COARSE_PX * 2 ** levels_for(self.canvas))

    def memory_plan(self) -> MemoryPlan:
        """How the canvas is cut to fit the memory.

        Raises
        ------
        MemoryBudgetError
        """
        pixels = self.canvas.width * self.canvas.height
        frame_pixels = self.frame_size[0] * self.frame_size[1]
        # One of 16 bits is there twice while it is decoded, measured.
        frames = (self.decode_threads * self.sample_bytes + 2) * 3 * self.sample_bytes * frame_pixels
        # Sums of the whole picture, and those of them that a strip has of its own besides.
        kept = parts = after = 0
        if self.wants_depth:
            kept = parts = volume_bytes(pixels, len(self.registrations))
            after = max(kept + depth_work_bytes(pixels), _DEPTH_BYTES_PER_PIXEL * pixels) + _UNRETURNED_BYTES
        if self.is_swept:
            swept = int(KEPT_BYTES_PER_PIXEL * pixels)
            kept, parts = kept + swept, parts + swept
            after = max(after, kept + WORK_BYTES_PER_PIXEL * pixels)
        if self.method is Method.DEPTHMAP:
            kept += _CHOSEN_BYTES_PER_PIXEL * pixels
        if self.merged is not None:
            after += _MERGED_BYTES_PER_PIXEL * pixels
        after += _PICTURE_BYTES_PER_PIXEL * pixels
        return plan_memory(
            pixels,
            self.canvas.height,
            held_bytes=frames + kept + self.beside_bytes,
            strip_bytes_per_pixel=BYTES_PER_PIXEL[self.method] + parts / pixels,
            after_bytes=after + self.beside_bytes,
            apron_rows=self.apron_rows,
            allowed_bytes=self.memory_bytes,
        )
