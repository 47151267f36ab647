"""The final pass: every frame decoded ahead, resampled once and fused; in strips where memory is short."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from stacking.ahead import ahead
from stacking.errors import SourceError
from stacking.frames import Pixels
from stacking.fuse.average import AverageFusion
from stacking.fuse.bands import Bands
from stacking.fuse.canvas import Canvas
from stacking.fuse.deformation import surely_had
from stacking.fuse.depth import DepthEstimate
from stacking.fuse.depth_volume import DepthVolume
from stacking.fuse.depthmap import DepthMapFusion, FocusFusion
from stacking.fuse.focal_sweep import FocalSweep
from stacking.fuse.frame_planes import FramePlanes
from stacking.fuse.fusion_task import APRON_COARSE_PX, FusionTask
from stacking.fuse.methods import Fusion, noise_for, running_fusion
from stacking.fuse.noise import NoiseEnergy
from stacking.fuse.pair import PairFusion
from stacking.fuse.pyramid import PyramidFusion, levels_for
from stacking.memory import keep_freed, return_freed_memory
from stacking.options import Method

Progress = Callable[[str, int, int], None]
Running = TypeVar("Running", bound=Fusion)
_PASSES = {Method.DEPTHMAP: 2}
# A picture too small for two levels of the pyramid has no depth.
_LEAST_DEPTH_LEVELS = 2


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
        registration = task.registrations[index]
        matrix = planes.canvas.to_frame(registration.matrix)
        planes.load(image, matrix, registration.gain, bands, registration.deformation)
        if isinstance(fusion, PairFusion):
            fusion.take(image, registration.gain)
        matrix, size = surely_had(registration, task.frame_size)
        fusion.add(planes, planes.canvas.to_frame(matrix), size, task.positions[index])

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
    step = max(1, apron // APRON_COARSE_PX)
    edges = sorted(
        {min(canvas.height, -(-(canvas.height * k // count) // step) * step) for k in range(count)} | {canvas.height}
    )
    strips = []
    for first, stop in pairwise(edges):
        top, bottom = max(0, first - apron), min(canvas.height, stop + apron)
        strips.append(_Strip(first, stop, Canvas(canvas.x, canvas.y + top, canvas.width, bottom - top, canvas)))
    return strips
