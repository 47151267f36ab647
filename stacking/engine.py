"""The stacker: frames in, one at a time or a folder at once; one picture and its depth out.

Two passes. As frames arrive they are decoded small, measured and registered to their neighbours (:meth:`Engine.add`). When
all are there, one solution is found for all of them, and each is decoded once more, resampled once and fused
(:meth:`Engine.finish`). What is kept between the passes is some ten kilobytes a frame.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.ahead import Begun, ahead
from stacking.develop_spots import spots_of, standing_spots
from stacking.engine_answers import Answers, PositionsSoFar
from stacking.errors import FrameError, SourceError
from stacking.frames import Pixels, Registration, Source
from stacking.fuse.canvas import Canvas
from stacking.fuse.fusion_task import FusionTask
from stacking.fuse.preload import preload
from stacking.memory import bound_allocator, keep_freed
from stacking.options import Align, Prefer, StackOptions
from stacking.prepared import Measured, Prepared, file_key
from stacking.sharpness import block_sharpness, stack_sharpness
from stacking.slab_folder import SlabTarget, slab_target
from stacking.slabs import Fused, fuse_at_once, fuse_in_slabs
from stacking.stack_result import StackResult

if TYPE_CHECKING:
    from stacking.develop import Development
    from stacking.finish import Recipe
    from stacking.gray_frames import BorrowedColours
    from stacking.register.features import Features
    from stacking.register.matching import Match, MatchQuery
    from stacking.register.white_balance import WhiteBalance

Progress = Callable[[str, int, int], None]
# Frames of the final pass that are decoded before it: with the reference as many as it holds at one time.
_BEGUN = 2


class Engine:
    """Stacks frames as they come.

    The result depends on the frames and their order alone: not on threads, nor on when they came.

    Parameters
    ----------
    options : StackOptions
    progress : callable, optional
        Called with (stage, done, total).
    prepared : Prepared, optional
        What is known of the frames already; the result is the same without it.
    """

    def __init__(
        self,
        options: StackOptions | None = None,
        progress: Progress | None = None,
        prepared: Prepared | None = None,
    ) -> None:
        self.options = StackOptions() if options is None else options
        self._progress = progress if progress is not None else _silent
        self._sources: list[Source] = []
        self._broken: dict[int, str] = {}
        self._sharpness: dict[int, NDArray[np.float32]] = {}
        self._spots: dict[int, NDArray[np.int32]] = {}
        self._development: Development | None = None
        self._prepared = prepared
        self._answers = Answers(prepared)
        self._white_balance: WhiteBalance | None = None
        self._colours: BorrowedColours | None = None
        self._begun: Begun[Pixels] | None = None
        self._threads = self.options.threads or len(os.sched_getaffinity(0))

    @property
    def sources(self) -> tuple[Source, ...]:
        """The frames added so far, in order."""
        return tuple(self._sources)

    @property
    def positions_known(self) -> bool:
        """Whether every frame has its position, so that depth is in um."""
        return all(s.position_um is not None for s in self._sources)

    @property
    def development(self) -> Development:
        """How the frames are developed; fixed by the first."""
        if self._development is None:
            raise SourceError("no picture was added", remedy="Add frames first.")
        return self._development

    def check(self, sources: Sequence[Source], recipe: Recipe | None = None) -> None:
        """Refuse what does not fit a stack of these frames, before the first of them is decoded.

        Raises
        ------
        StackingUsageError, MemoryBudgetError, SourceError
        """
        from stacking.checks import check_sources

        check_sources(self.options, sources, threads=self._threads, recipe=recipe)

    def add(self, source: Source) -> None:
        """Develop small, measure and register one frame; one that cannot be read is left out with its reason."""
        self.extend([source])

    def extend(self, sources: Sequence[Source], *, like: Source | None = None) -> None:
        """Add several frames, measured ahead on all cores; the first ones are developed as `like`, else as the first of them."""
        from stacking.develop import Development
        from stacking.register.memory import registration_threads
        from stacking.register.neighbours import NeighboursAhead
        from stacking.register.registrar import Registrar

        cv2.setNumThreads(1)
        bound_allocator()
        keep_freed(planes=True)
        preload()
        first = len(self._sources)
        self._sources += sources
        if self._development is None:
            shown = self._sources if like is None else [like]
            self._development = Development(shown, choose=self._answers.rendering, wide_gamut=self.options.wide_gamut)
            size = self._development.size[::-1]
            still = self.options.align is not Align.AUTO
            self._neighbours = NeighboursAhead(size, self._match, still=still)
            self._registrar = Registrar(
                size,
                positions_um=None if any(s.position_um is None for s in sources) else PositionsSoFar(self._sources),
                motion="none" if still else "similarity",
                matcher=self._neighbours.match,
                name_of=lambda k: self._sources[k].path.name,
            )
        allowed = self.options.memory_bytes
        sample_bytes = self._development.dtype.itemsize
        threads = registration_threads(self._development.size[::-1], sample_bytes, self._threads, allowed)
        indices = range(first, len(self._sources))
        with (
            closing(ahead(self._measure, indices, threads=threads, depth=threads)) as measured,
            closing(self._neighbours.passing(measured)) as passed,
        ):
            for done, (index, found) in enumerate(passed, 1):
                if isinstance(found, str):
                    self._broken[index] = found
                else:
                    self._registrar.add(index, found)
                self._progress("registering", done, len(sources))

    def provisional(self, index: int) -> NDArray[np.float64] | None:
        """The 2x3 matrix from the first frame that belongs to frame `index`, as far as it is known yet; None where it is not."""
        rows, columns = self.development.size
        pose = self._registrar.provisional(index)
        return None if pose is None else pose.matrix((columns, rows))

    def _measure(self, index: int) -> Features | str:
        try:
            if self._prepared is None:
                measured = self._measured_now(index)
            else:
                measured = self._prepared.measured(self._frame_key(index), index, lambda: self._measured_now(index))
        except FrameError as error:
            return error.message
        if measured.sharpness is not None:
            self._sharpness[index] = measured.sharpness
        self._spots[index] = measured.spots
        return measured.features

    def _measured_now(self, index: int) -> Measured:
        source, development = self._sources[index], self.development
        rows, columns = development.size
        full = self._registrar.wants_full((columns, rows))
        seen = development.gray(source) if full else development.gray_half(source)
        sharpness = block_sharpness(seen) if self.options.wants_sharpness else None
        spots = spots_of(seen) if not source.raw else np.zeros((0, 2), np.int32)
        return Measured(self._registrar.measure(index, seen), sharpness, spots)

    def _frame_key(self, index: int) -> Hashable:
        """What a frame was developed and measured as."""
        source = self._sources[index]
        try:
            return (
                tuple(file_key(path) for path in source.paths),
                source.raw,
                self.development.key(),
                self.options.wants_sharpness,
            )
        except OSError as error:
            raise FrameError(f"{source.path.name} cannot be read: {error.strerror or error}") from error

    def _match(self, query: MatchQuery) -> Match | None:
        from stacking.register.matching import match

        if self._prepared is None:
            return match(query)
        return self._prepared.match(query, self._frame_key, lambda index: self._measured_now(index).features, match)

    def _frame(self, index: int) -> Pixels:
        """A developed frame, perhaps from where it was kept."""
        pictures = None if self._prepared is None else self._prepared.pictures
        if pictures is not None and (kept := pictures.get(self._frame_key(index))) is not None:
            return kept
        if self._begun is not None and (decoded := self._begun.take(index)) is not None:
            return self.development.filled(decoded)
        return self.development.frame(self._sources[index]).image

    def _begin(self, usable: Sequence[int]) -> None:
        """Decode what is wanted first of the final pass beside the solution: the reference, as a rule the one in the middle, and so many
        frames as are held at one time. Not where memory is allotted: it is by what the final pass holds.
        """
        sources = [k for k in (usable[len(usable) // 2], *usable[:_BEGUN]) if not self._sources[k].raw]
        if self._threads > 1 and self._prepared is None and self.options.memory_bytes is None:
            self._begun = Begun(lambda k: self.development.decoded(self._sources[k]), dict.fromkeys(sources))

    def keep(self, index: int) -> Pixels:
        """Develop a frame and look for defects in it, and keep what was found for the final run.

        Raises
        ------
        FrameError
        """
        image = self._frame(index)
        if self._prepared is not None:
            if self._prepared.pictures is not None:
                self._prepared.pictures.put(self._frame_key(index), image)
            self.development.look_for_defects(self._sources[index], self._answers.suspected)
        return image

    def finish(self, slabs: SlabTarget | None = None, check: Callable[[FusionTask], None] | None = None) -> StackResult:
        """Fuse all frames with all that was learnt.

        Parameters
        ----------
        slabs : (folder, callable), optional
            Where slabs are kept and what writes their pictures; None: they are not kept.
        check : callable, optional
            Given what is about to be fused; raises what it refuses.

        Raises
        ------
        SourceError
            Where no frame can be used.
        RegistrationError
            Where no two frames belong together.
        MemoryBudgetError
            Where the memory allowed is too small, before anything is fused.
        """
        from stacking.gray_frames import BORROWED, BorrowedColours, is_colourless, solve_in_colour
        from stacking.register.white_balance import WhiteBalance
        from stacking.selection import gray_by_header

        development = self.development
        rows, columns = development.size
        usable = [k for k in range(len(self._sources)) if k not in self._broken]
        if not usable:
            raise SourceError("no picture can be read", remedy="Give whole JPEG, PNG, TIFF or RAW files.")
        notes: list[str] = []
        left_out = dict(self._broken)
        gray: frozenset[int] = frozenset()
        if len(usable) == 1:
            registrations = {usable[0]: Registration(np.eye(2, 3), np.ones(3), 0.0)}
            reference, image = usable[0], None
            depth = ", and its depth is not known" if self.options.wants_depth else ""
            notes.append(f"only one picture could be used: the result is that picture{depth}")
        else:
            self._begin(usable)
            gray = gray_by_header(self._sources)
            solution, image = solve_in_colour(self._registrar, self._frame, gray)
            self._registrar.end()
            registrations, reference = solution.registrations, solution.reference
            left_out |= solution.left_out
            if self._begun is not None:
                self._begun.keep(sorted(registrations)[:_BEGUN])
            notes += [f"{self._sources[k].path.name}: {text}" for k, text in solution.notes]
            notes += solution.deformed
        frames = [self._sources[k] for k in sorted(registrations)]
        development.learn_defects(frames, self._answers.suspected, threads=self._threads)
        notes += self._learn_spots(registrations)
        if not self.positions_known and len(registrations) > 1 and self._tells_near_from_far():
            notes.append("no positions are known: the first frame is taken for the nearest")
        canvas = self._canvas((columns, rows), registrations)
        if image is not None and len(registrations) > 1:
            self._white_balance = WhiteBalance(image, registrations)
            if not is_colourless(image):
                self._colours = BorrowedColours(self._frame, registrations, reference)
        colourless = image is not None and is_colourless(image)
        del image
        task = FusionTask(
            decode=self.decode,
            registrations=registrations,
            positions=self._depths(),
            frame_size=(columns, rows),
            sample_bytes=development.dtype.itemsize,
            canvas=canvas,
            method=self.options.method,
            wants_depth=self.options.wants_depth,
            threads=self._threads,
            memory_bytes=self.options.memory_bytes,
            let_go=development.let_go,
        )
        if check is not None:
            check(task)
        fused = self._fuse(task, reference, slabs)
        if colourless:  # to the last bit, which the way by luma and chroma rounds
            fused.image[:] = fused.image[..., 1:2]
        left_out |= fused.missed
        notes += fused.notes
        if self._colours is not None:
            borrowed = [k for k in self._colours.borrowers if k not in gray]
            notes += [f"{self._sources[k].path.name}: {BORROWED}" for k in borrowed]
        if self._white_balance is not None:
            notes += [f"{self._sources[k].path.name}: {text}" for k, text in self._white_balance.notes().items()]
        used = tuple(k for k in sorted(registrations) if k not in fused.missed)
        kept = {k: registrations[k] for k in used}
        return StackResult(
            fused.image,
            fused.depth,
            canvas,
            used,
            dict(sorted(left_out.items())),
            kept,
            reference,
            tuple(notes),
            fused.confidence,
            fused.slabs,
            stack_sharpness(self._sharpness),
            fused.surface,
        )

    def _learn_spots(self, registrations: dict[int, Registration]) -> list[str]:
        rows, columns = self.development.size
        factor = 1 if self._registrar.wants_full((columns, rows)) else 2
        matrices = {k: r.matrix for k, r in registrations.items()}
        places = standing_spots(self._spots, matrices, factor=factor, pixels=rows * columns // factor**2)
        self.development.know_spots(places, factor)
        return [f"{len(places)} hot or dead pixels that stand still in the frames were filled"] if len(places) else []

    def _fuse(self, task: FusionTask, reference: int, slabs: SlabTarget | None) -> Fused:
        from stacking.areas import with_areas

        if not self.options.slabs.sizes:
            return with_areas(fuse_at_once(task, self._progress), self.options.areas, task, self._progress)
        sharpness = stack_sharpness(self._sharpness)
        with slab_target(slabs) as (folder, write):
            fused = fuse_in_slabs(
                task,
                self.options.slabs,
                frames_in_focus=None if sharpness is None else sharpness.frames_in_focus(),
                reference=reference,
                folder=folder,
                write=write,
                progress=self._progress,
            )
            return with_areas(fused, self.options.areas, task, self._progress)

    def _canvas(self, size: tuple[int, int], registrations: dict[int, Registration]) -> Canvas:
        from stacking.crop import chosen_rectangle

        return Canvas(*chosen_rectangle(self.options, size, registrations, stack_sharpness(self._sharpness)))

    def _tells_near_from_far(self) -> bool:
        return self.options.wants_depth or any(area.prefer in (Prefer.NEAR, Prefer.FAR) for area in self.options.areas)

    def _depths(self) -> list[float]:
        """Position of every frame where all are known, else its number."""
        if not self.positions_known:
            return [float(k) for k in range(len(self._sources))]
        return [s.position_um for s in self._sources if s.position_um is not None]

    def decode(self, index: int) -> Pixels | str:
        """A frame as it is fused, or the reason why there is none."""
        try:
            image = self._frame(index)
        except FrameError as error:
            return error.message
        if self._colours is not None:
            image = self._colours.coloured(index, image)
        if self._white_balance is not None:
            self._white_balance.match(index, image)
        return image


def _silent(stage: str, done: int, total: int) -> None:
    """Progress nobody watches."""
