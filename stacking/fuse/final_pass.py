"""The final pass: every frame decoded ahead, resampled once and fused; in strips where memory is short."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from stacking.ahead import ahead
from stacking.errors import SourceError
from stacking.frames import Pixels, Registration
from stacking.fuse.average import AverageFusion
from stacking.fuse.bands import Bands
from stacking.fuse.canvas import Canvas
from stacking.fuse.depth import DepthEstimate
from stacking.fuse.depth_volume import DepthVolume, depth_work_bytes, volume_bytes
from stacking.fuse.depthmap import DepthMapFusion, FocusFusion
from stacking.fuse.focal_sweep import FEWEST_FRAMES, KEPT_BYTES_PER_PIXEL, SMALLEST_PX, WORK_BYTES_PER_PIXEL, FocalSweep
from stacking.fuse.focus_prior import REACH_COARSE_PX
from stacking.fuse.frame_planes import FramePlanes
from stacking.fuse.methods import BYTES_PER_PIXEL, Fusion, noise_for, running_fusion
from stacking.fuse.noise import NoiseEnergy
from stacking.fuse.pair import PairFusion, are_a_pair
from stacking.fuse.pyramid import PyramidFusion, levels_for
from stacking.memory import MemoryPlan, keep_freed, plan_memory, return_freed_memory
from stacking.options import Method

Progress = Callable[[str, int, int], None]
Running = TypeVar("Running", bound=Fusion)
# A strip's own rows do not feel the borders of its aprons. Pixels of the coarsest level (8 rows each) that a pixel of the result
# depends on: 2 through the reductions, 2 through expansion and energy, 2 through the collapse, 1 through the colour; and through the
# focus prior its window, halving and enlargement.
_APRON_COARSE_PX = 7 + REACH_COARSE_PX + 2
# And one more with the sweep's sums that are kept for it.
_PICTURE_BYTES_PER_PIXEL, _MERGED_BYTES_PER_PIXEL = 6, 8
# The frames in focus, at half size; depth, confidence and surface, and what is written of them.
_CHOSEN_BYTES_PER_PIXEL, _DEPTH_BYTES_PER_PIXEL = 2, 26
# What the allocator keeps of the planes that the depth was made with, measured.
_UNRETURNED_BYTES = 12 << 20
_PASSES = {Method.DEPTHMAP: 2}
# A picture too small for two levels of the pyramid has no depth.
_LEAST_DEPTH_LEVELS = 2


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
        return int(_APRON_COARSE_PX * 2 ** levels_for(self.canvas))

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
        self._done = self._total = 0
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
        self._total = len(task.registrations) * len(strips) * _PASSES.get(task.method, 1)
        with Bands(task.threads) as bands:
            image, estimate = self._made(strips, bands)
        if estimate is None:
            return image, None
        self.confidence, self.surface = estimate.confidence, estimate.surface
        return image, estimate.depth

    def _made(self, strips: Sequence[_Strip], bands: Bands) -> tuple[NDArray[np.uint16], DepthEstimate | None]:
        """The picture and its depth, which are those of the whole canvas, however it was cut."""
        task = self._task
        volume: DepthVolume | None = None
        if task.wants_depth and task.method is not Method.AVERAGE and levels_for(task.canvas) >= _LEAST_DEPTH_LEVELS:
            volume = DepthVolume(task.canvas, len(task.registrations), bands)
        sums = _Sums(volume, FocalSweep(task.canvas) if task.is_swept else None)
        whole = (self._by_depth_map if task.method is Method.DEPTHMAP else self._at_once)(strips, bands, sums)
        task.let_go()
        return_freed_memory()
        merged = None if task.merged is None else task.merged()
        if sums.sweep is not None:
            sums.sweep.correct(whole, bands, ends=merged is None)
            if merged is not None:
                sums.sweep.correct(merged, bands)
            sums.sweep = None
        keep_freed(planes=False)
        return_freed_memory()
        return whole if merged is None else merged, None if volume is None else volume.estimate(whole)

    def _at_once(self, strips: Sequence[_Strip], bands: Bands, sums: _Sums) -> NDArray[np.uint16]:
        """By a fusion that needs every frame once."""
        whole: NDArray[np.uint16] | None = None
        for strip in strips:
            whole = self._joined(whole, self._picture(strip, bands, sums), strip)
        assert whole is not None
        return whole

    def _picture(self, strip: _Strip, bands: Bands, sums: _Sums) -> NDArray[np.uint16]:
        task, canvas, part = self._task, strip.canvas, sums.part(strip.canvas)

        def begin(noise: NoiseEnergy) -> AverageFusion | PyramidFusion | PairFusion:
            levels = levels_for(task.canvas)
            fusion = running_fusion(
                task.method,
                canvas,
                bands,
                noise,
                levels=levels,
                sharpens=task.sharpens,
                volume=part.volume,
                sweep=part.sweep,
            )
            return PairFusion(canvas, bands, fusion) if task.is_pair and isinstance(fusion, PyramidFusion) else fusion

        picture = self._fused(canvas, bands, begin).result()
        sums.take(part, strip)
        return picture

    def _by_depth_map(self, strips: Sequence[_Strip], bands: Bands, sums: _Sums) -> NDArray[np.uint16]:
        """The frame in focus at every pixel of the whole picture first, then the picture."""
        task = self._task
        shape, levels = task.canvas.level_shape(1), max(levels_for(task.canvas), _LEAST_DEPTH_LEVELS)
        found = [np.empty(shape, np.float32) for _ in range(2)]
        for strip in strips:
            part = sums.part(strip.canvas)
            begin = partial(FocusFusion, strip.canvas, bands, levels=levels, volume=part.volume, sweep=part.sweep)
            into, inside = strip.of_level(1)
            for whole_plane, plane in zip(found, self._fused(strip.canvas, bands, begin).chosen(), strict=True):
                whole_plane[into] = plane[inside]
            sums.take(part, strip)
        whole: NDArray[np.uint16] | None = None
        for strip in strips:
            whole = self._joined(whole, self._taken(strip, bands, *found), strip)
        assert whole is not None
        return whole

    def _taken(
        self, strip: _Strip, bands: Bands, chosen: NDArray[np.float32], reach: NDArray[np.float32]
    ) -> NDArray[np.uint16]:
        canvas = strip.canvas
        top = (canvas.y - self._task.canvas.y) // 2
        rows = slice(top, top + canvas.level_shape(1)[0])

        def begin(_: NoiseEnergy) -> DepthMapFusion:
            return DepthMapFusion(canvas, bands, chosen[rows], reach[rows], sharpens=self._task.sharpens)

        return self._fused(canvas, bands, begin).result()

    def _joined(
        self, whole: NDArray[np.uint16] | None, picture: NDArray[np.uint16], strip: _Strip
    ) -> NDArray[np.uint16]:
        """The picture with a strip of it; the strip where it is all of it."""
        canvas = self._task.canvas
        if strip.canvas == canvas:
            return picture
        if whole is None:
            whole = np.empty((canvas.height, canvas.width, 3), np.uint16)
        into, inside = strip.of_level(0)
        whole[into] = picture[inside]
        return whole

    def _fused(self, canvas: Canvas, bands: Bands, begin: Callable[[NoiseEnergy], Running]) -> Running:
        """A fusion that has taken in all frames; `begin` makes it, once the noise of a frame is known."""
        task = self._task
        fusion: Running | None = None
        return_freed_memory()
        keep_freed(planes=True)
        planes = FramePlanes(canvas)
        indices = [k for k in sorted(task.registrations) if k not in self.missed]
        frames = ahead(task.decode, indices, threads=task.decode_threads, depth=task.decode_threads)
        with closing(frames):
            for index, image in frames:
                self._done += 1
                if isinstance(image, str):
                    self._miss(index, image)
                else:
                    fusion = fusion if fusion is not None else begin(self._noise_of(image, index))
                    self._fuse(fusion, planes, bands, index, image)
                self._progress("fusing", self._done, self._total)
                del image
        if fusion is None:
            raise SourceError("no picture can be read", remedy="Give whole JPEG, PNG, TIFF or RAW files.")
        return fusion

    def _noise_of(self, image: Pixels, index: int) -> NoiseEnergy:
        """Measured once, on the first frame there is."""
        task = self._task
        if self._noise is None:
            self._noise = noise_for(task.method, task.canvas, image, task.registrations[index].gain)
        return self._noise

    def _fuse(self, fusion: Fusion, planes: FramePlanes, bands: Bands, index: int, image: Pixels) -> None:
        task = self._task
        matrix = planes.canvas.to_frame(task.registrations[index].matrix)
        planes.load(image, matrix, task.registrations[index].gain, bands)
        if isinstance(fusion, PairFusion):
            fusion.take(image, task.registrations[index].gain)
        fusion.add(planes, matrix, task.frame_size, task.positions[index])

    def _miss(self, index: int, reason: str) -> None:
        if self._done > len(self._task.registrations):
            raise SourceError(f"a picture changed while it was stacked: {reason}", remedy="Start again.")
        self.missed[index] = reason


@dataclass(slots=True)
class _Sums:
    """What is summed over all frames beside the picture, of the whole canvas or a strip; each where it is wanted."""

    volume: DepthVolume | None
    sweep: FocalSweep | None

    def part(self, canvas: Canvas) -> _Sums:
        """Sums of a strip, to be taken back (`take`)."""
        volume, sweep = self.volume, self.sweep
        return _Sums(
            None if volume is None else volume.part(canvas),
            None if sweep is None else sweep.part(canvas),
        )

    def take(self, part: _Sums, strip: _Strip) -> None:
        """Take back a strip's own rows, once it has all frames."""
        if self.volume is not None and part.volume is not None:
            self.volume.take(part.volume, strip.first, strip.stop)
        if self.sweep is not None and part.sweep is not None:
            self.sweep.take(part.sweep, strip.first, strip.stop)


@dataclass(frozen=True, slots=True)
class _Strip:
    """Rows `first` to `stop` of a canvas, and the strip with its aprons that they are fused in."""

    first: int
    stop: int
    canvas: Canvas

    def of_level(self, level: int) -> tuple[slice, slice]:
        """Its own rows of a pyramid level, in the whole canvas and in the strip."""
        top = 0 if self.canvas.whole is None else (self.canvas.y - self.canvas.whole.y) >> level
        first, stop = self.first >> level, -(-self.stop >> level)
        return slice(first, stop), slice(first - top, stop - top)


def _strips(canvas: Canvas, count: int, apron: int) -> list[_Strip]:
    """The strips of a canvas.

    Strips start at multiples of the coarsest level's pixels, so that a strip is fused as if it were part of the whole.
    """
    if count == 1:
        return [_Strip(0, canvas.height, canvas)]
    step = max(1, apron // _APRON_COARSE_PX)
    edges = sorted(
        {min(canvas.height, -(-(canvas.height * k // count) // step) * step) for k in range(count)} | {canvas.height}
    )
    strips = []
    for first, stop in pairwise(edges):
        top, bottom = max(0, first - apron), min(canvas.height, stop + apron)
        strips.append(_Strip(first, stop, Canvas(canvas.x, canvas.y + top, canvas.width, bottom - top, canvas)))
    return strips
