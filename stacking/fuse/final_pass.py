"""The final pass: every frame decoded ahead, resampled once and fused; in strips where memory is short."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stacking.ahead import ahead
from stacking.errors import SourceError
from stacking.frames import Pixels, Registration
from stacking.fuse.bands import Bands
from stacking.fuse.canvas import Canvas
from stacking.fuse.depth import DepthEstimate
from stacking.fuse.depth_volume import grid_level
from stacking.fuse.focus_prior import REACH_COARSE_PX
from stacking.fuse.frame_planes import FramePlanes
from stacking.fuse.methods import Fusion, bytes_per_pixel, fusion_for, noise_for
from stacking.fuse.noise import NoiseEnergy
from stacking.fuse.pair import PairFusion, are_a_pair
from stacking.fuse.pyramid import PyramidFusion, levels_for
from stacking.memory import MemoryPlan, plan_memory, return_freed_memory
from stacking.options import Method

Progress = Callable[[str, int, int], None]
# A strip's own rows do not feel the borders of its aprons. Pixels of the coarsest level (8 rows each) that a pixel of the result
# depends on: 2 through the reductions, 2 through expansion and energy, 2 through the collapse, 1 through the colour; and through the
# focus prior its window, halving and enlargement.
_APRON_COARSE_PX = 7 + REACH_COARSE_PX + 2
_RESULT_BYTES_PER_PIXEL = 6.0
_PASSES = {Method.DEPTHMAP: 2}


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

    @property
    def decode_threads(self) -> int:
        """Threads that decode beside those that fuse."""
        return max(1, self.threads // 2)

    @property
    def is_pair(self) -> bool:
        """Whether the pixels themselves may be chosen."""
        return self.method is Method.AUTO and are_a_pair(self.registrations, self.canvas, self.frame_size)

    @property
    def apron_rows(self) -> int:
        """Rows a strip needs beyond its own."""
        return int(_APRON_COARSE_PX * 2 ** levels_for(self.canvas))

    def memory_plan(self) -> MemoryPlan:
        """How the canvas is cut to fit the memory.

        Raises
        ------
        MemoryBudgetError
        """
        width, height = self.frame_size
        held = self.decode_threads + 2
        frame = 3.0 * self.sample_bytes * held * width * height / (self.canvas.width * self.canvas.height)
        return plan_memory(
            self.canvas.width * self.canvas.height,
            self.canvas.height,
            frame_bytes_per_pixel=frame,
            fusion_bytes_per_pixel=bytes_per_pixel(
                self.method,
                pixels=self.canvas.width * self.canvas.height,
                depth_frames=len(self.registrations) if self.wants_depth else 0,
            ),
            result_bytes_per_pixel=_RESULT_BYTES_PER_PIXEL + (12.0 if self.wants_depth else 0.0),
            apron_rows=self.apron_rows,
            allowed_bytes=self.memory_bytes,
        )


class FinalPass:
    """Runs a task.

    Parameters
    ----------
    task : FusionTask
    progress : callable
        Called with (stage, done, total).

    Attributes
    ----------
    missed : dict of int to str
        Frames that could not be decoded, and why.
    confidence : ndarray (rows, columns), float32, or None
        Of the depth, 0 to 1, where there is one.
    surface : ndarray (rows, columns), float32, or None
        The depth where it is known, and what its surface says of it where it is not; NaN where that says nothing either.
    """

    def __init__(self, task: FusionTask, progress: Progress) -> None:
        self._task = task
        self._progress = progress
        self._noise: NoiseEnergy | None = None
        self._done = 0
        self.missed: dict[int, str] = {}
        self.confidence: NDArray[np.float32] | None = None
        self.surface: NDArray[np.float32] | None = None

    def run(self) -> tuple[NDArray[np.uint16], NDArray[np.float32] | None]:
        """The picture (rows, columns, 3) and its depth (rows, columns) where it is wanted.

        Raises
        ------
        SourceError
            Where no frame can be decoded.
        MemoryBudgetError
            Where the memory allowed is too small; before anything is decoded.
        """
        task = self._task
        strips = _strips(task.canvas, task.memory_plan().strips, task.apron_rows)
        total = len(task.registrations) * len(strips) * _PASSES.get(task.method, 1)
        if len(strips) == 1:
            image, estimate = self._strip(task.canvas, total)
            self.confidence = None if estimate is None else estimate.confidence
            if estimate is not None and task.method is not Method.DEPTHMAP:
                self.surface = estimate.filled
            return image, None if estimate is None else estimate.depth
        canvas = task.canvas
        whole = np.empty((canvas.height, canvas.width, 3), np.uint16)
        depth = np.empty((canvas.height, canvas.width), np.float32) if task.wants_depth else None
        self.confidence = None if depth is None else np.zeros_like(depth)
        if depth is not None and task.method is not Method.DEPTHMAP:
            self.surface = np.full_like(depth, np.nan)
        for first, last, strip in strips:
            image, estimate = self._strip(strip, total)
            inside = slice(first - (strip.y - canvas.y), last - (strip.y - canvas.y))
            whole[first:last] = image[inside]
            if depth is not None:
                depth[first:last] = np.nan if estimate is None else estimate.depth[inside]
            if self.confidence is not None and estimate is not None:
                self.confidence[first:last] = estimate.confidence[inside]
            if self.surface is not None and estimate is not None:
                self.surface[first:last] = estimate.filled[inside]
        return whole, depth

    def _strip(self, strip: Canvas, total: int) -> tuple[NDArray[np.uint16], DepthEstimate | None]:
        task = self._task
        fusion: Fusion | None = None
        return_freed_memory()
        planes = FramePlanes(strip)
        with Bands(task.threads) as bands:
            for number in range(_PASSES.get(task.method, 1)):
                if number and fusion is not None:
                    fusion.next_pass()
                indices = [k for k in sorted(task.registrations) if k not in self.missed]
                frames = ahead(task.decode, indices, threads=task.decode_threads, depth=task.decode_threads)
                with closing(frames):
                    for index, image in frames:
                        self._done += 1
                        if isinstance(image, str):
                            self._miss(index, image, fusion)
                        else:
                            fusion = fusion or self._begin(strip, bands, image, index)
                            self._fuse(fusion, planes, bands, index, image)
                        self._progress("fusing", self._done, total)
                        del image
            if fusion is None:
                raise SourceError("no picture can be read", remedy="Give whole JPEG, PNG, TIFF or RAW files.")
            del planes  # the result is made in their room
            return fusion.result()

    def _begin(self, strip: Canvas, bands: Bands, image: Pixels, index: int) -> Fusion:
        task = self._task
        if self._noise is None:
            self._noise = noise_for(task.method, task.canvas, image, task.registrations[index].gain)
        levels = levels_for(task.canvas)
        frames = len(task.registrations) if task.wants_depth else 0
        fusion = fusion_for(
            task.method,
            strip,
            bands,
            self._noise,
            levels=levels,
            depth_frames=frames,
            depth_level=grid_level(task.canvas.width * task.canvas.height),
        )
        if task.is_pair and isinstance(fusion, PyramidFusion):
            return PairFusion(strip, bands, fusion)
        return fusion

    def _fuse(self, fusion: Fusion, planes: FramePlanes, bands: Bands, index: int, image: Pixels) -> None:
        task = self._task
        matrix = planes.canvas.to_frame(task.registrations[index].matrix)
        planes.load(image, matrix, task.registrations[index].gain, bands)
        if isinstance(fusion, PairFusion):
            fusion.take(image, task.registrations[index].gain)
        fusion.add(planes, matrix, task.frame_size, task.positions[index])

    def _miss(self, index: int, reason: str, fusion: Fusion | None) -> None:
        if self._done > len(self._task.registrations) and fusion is not None:
            raise SourceError(f"a picture changed while it was stacked: {reason}", remedy="Start again.")
        self.missed[index] = reason


def _strips(canvas: Canvas, count: int, apron: int) -> list[tuple[int, int, Canvas]]:
    """First row, the one after the last, and the canvas with its aprons, of each strip.

    Strips start at multiples of the coarsest level's pixels, so that a strip is fused as if it were part of the whole.
    """
    step = max(1, apron // _APRON_COARSE_PX)
    edges = sorted(
        {min(canvas.height, -(-(canvas.height * k // count) // step) * step) for k in range(count)} | {canvas.height}
    )
    strips = []
    for first, last in pairwise(edges):
        top, bottom = max(0, first - apron), min(canvas.height, last + apron)
        strips.append((first, last, Canvas(canvas.x, canvas.y + top, canvas.width, bottom - top)))
    return strips
