"""One development for a whole stack: every input to display-referred RGB of 8 or 16 bit, upright.

A stack is developed as its first frame demands: one white balance, one black and one white level, no brightness that follows
the single picture, one size, one depth. 8-bit pictures stay 8-bit; RAW gives 16 bit in sRGB.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from stacking.colour import srgb_profile, wide_profile
from stacking.develop_picture import FrameProbe, Gray, decode_gray, decode_gray_half, decode_picture, luma
from stacking.develop_raw import (
    RawRendering,
    Suspected,
    choose_rendering,
    develop_raw,
    raw_gray_half,
    suspected_defects,
    widened,
    with_defects,
)
from stacking.develop_spots import without_spots
from stacking.errors import FrameError
from stacking.frames import Developed, Pixels, Source
from stacking.reused import ReusedArrays
from stacking.selection import group_of, nothing_read, probe, shape_of, unlike

P = TypeVar("P", bound=NDArray[Any])


class Quality(StrEnum):
    """How RAW mosaics are developed."""

    FAST = "fast"  # our own one-pass demosaic: measured better than AHD on known scenes, at a tenth of the time
    FULL = "full"  # LibRaw's adaptive homogeneity-directed demosaic


class Development:
    """The one development of a stack, fixed by its first readable frame. Frames may be developed in several threads.

    Attributes
    ----------
    size : tuple of int
        (rows, columns) of every developed frame.
    dtype : numpy dtype
        uint8 or uint16.
    icc : bytes or None
        Colour profile of the developed values: the reference's own, sRGB for RAW unless a wider one was asked for; None where a
        picture carries none.
    reference : Source
        The frame that fixed it.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        quality: Quality | str = Quality.FAST,
        choose: Callable[[Path], RawRendering] = choose_rendering,
        wide_gamut: bool = False,
    ) -> None:
        """Fix the development.

        Parameters
        ----------
        sources : sequence of Source
            The stack, or its first frames; frames that come later are developed the same way.
        wide_gamut : bool
            Develop RAW to the primaries of ProPhoto RGB, so that colours outside of sRGB are kept.
        choose : callable
            Stands in for `choose_rendering`, perhaps from memory.

        Raises
        ------
        SourceError
            Where none can be read.
        """
        self._full = Quality(quality) is Quality.FULL
        self.reference, self._probe, self._rendering = _first_readable(sources, choose)
        self.size = (self._probe.height, self._probe.width)
        self.dtype: np.dtype[Any] = self._probe.dtype
        self._memory = ReusedArrays()
        self._spots: tuple[NDArray[np.int32], int] = (np.zeros((0, 2), np.int32), 1)
        self.icc = srgb_profile() if self.reference.raw else self._probe.icc
        if wide_gamut and self._rendering is not None:
            self._rendering = widened(self._rendering)
            self.icc = wide_profile()

    @property
    def defects(self) -> int:
        """How many defective pixels of the sensor are known and repaired."""
        return 0 if self._rendering is None else len(self._rendering.defects)

    def let_go(self) -> None:
        """Give back the memory that is kept for the next frame."""
        self._memory.let_go()

    def key(self) -> Hashable:
        """Equal where two developments make the same picture of any file."""
        rendering = None if self._rendering is None else self._rendering.key()
        return self.size, self.dtype.str, self._full, rendering, self._spots[0].tobytes()

    @property
    def spots(self) -> int:
        """How many defective pixels of developed pictures are known and filled."""
        return len(self._spots[0])

    def know_spots(self, places: NDArray[np.int32], factor: int) -> None:
        """Fill these defects, as `standing_spots` finds them, in pictures developed from now on."""
        self._spots = (places, factor)

    def look_for_defects(
        self, source: Source, look: Callable[[Path, float], Suspected | None] = suspected_defects
    ) -> None:
        """Let `look` see one frame as `learn_defects` would."""
        if self._rendering is not None and self._rendering.matrix is not None and source.raw:
            look(source.path, self._rendering.span)

    def learn_defects(
        self,
        sources: Sequence[Source],
        look: Callable[[Path, float], Suspected | None] = suspected_defects,
        *,
        threads: int = 1,
    ) -> int:
        """Find the sensor's hot and dead pixels over the RAW frames of a stack; frames developed from now on lack them.

        What is found depends on `sources` alone, not on what was developed before. At least three frames are needed; five,
        spread over the stack, are looked at, by `look` in so many threads. Returns how many were found.
        """
        if self._rendering is not None:
            paths = [source.path for source in sources if source.raw]
            self._rendering = with_defects(self._rendering, paths, look, threads=threads)
        return self.defects

    def frame(self, source: Source) -> Developed:
        """Develop a frame.

        Raises
        ------
        FrameError
            Where it cannot be read, is damaged, or differs from the stack in size.
        """
        if not source.raw:
            return Developed(self.filled(self.decoded(source)))
        found = self._checked(source)
        return Developed(
            develop_raw(source.path, self._raw_rendering(source), found, full=self._full, also=source.also)
        )

    def decoded(self, source: Source) -> Pixels:
        """A picture that is no RAW, its defects not yet `filled`: nothing need be known of other frames. FrameError as `frame`."""
        found = self._checked(source)
        return _in_depth(_mean(decode_picture(path, found, self._memory) for path in source.paths), self.dtype)

    def filled(self, image: Pixels) -> Pixels:
        """A decoded picture with its known defects filled, in place where it may be written to."""
        if self.spots:
            image = image if image.flags.writeable else image.copy()
            without_spots(image, *self._spots)
        return image

    def gray(self, source: Source) -> Gray:
        """The luma of a frame: (rows, columns), uint8, display-referred. FrameError as `frame`."""
        if source.raw:
            return luma(self.frame(source).image)
        found = self._checked(source)
        return _mean(decode_gray(path, found) for path in source.paths)

    def gray_half(self, source: Source) -> Gray:
        """The luma of a frame (a RAW's green) at half size: (rows // 2, columns // 2), uint8, display-referred.

        Raises
        ------
        FrameError
            As `frame`.
        """
        found = self._checked(source)
        if not source.raw:
            return _mean(decode_gray_half(path, found) for path in source.paths)
        return raw_gray_half(source.path, self._raw_rendering(source), found, source.also)

    def _checked(self, source: Source) -> FrameProbe:
        found = probe(source)
        for path in source.also:
            if shape_of(probe(Source(path, source.raw))) != shape_of(found):
                raise FrameError(f"{path.name} is not of the size of {source.path.name}", remedy="Leave it out.")
        shape, wanted = shape_of(found), shape_of(self._probe)
        if shape != wanted and group_of(source, found) != group_of(self.reference, self._probe):
            raise FrameError(
                f"{source.path.name}: {unlike(shape, wanted)}",
                remedy="Leave it out, or save all frames with one size and depth.",
            )
        return found

    def _raw_rendering(self, source: Source) -> RawRendering:
        if self._rendering is None:
            raise FrameError(f"{source.path.name} is a RAW in a stack of pictures", remedy="Leave it out.")
        return self._rendering


def read_picture(path: Path) -> Pixels:
    """Decode or develop one picture by itself: (rows, columns, 3), uint8 or uint16, encoded RGB, upright.

    Raises
    ------
    FrameError
        Where it cannot be read.
    """
    return Development([as_source(path)]).frame(as_source(path)).image


def as_source(path: Path) -> Source:
    """One file as a source, RAW where no other reader knows it."""
    from stacking.sources import is_raw

    return Source(path, raw=is_raw(path))


def _first_readable(
    sources: Sequence[Source], choose: Callable[[Path], RawRendering]
) -> tuple[Source, FrameProbe, RawRendering | None]:
    error: FrameError | None = None
    for source in sources:
        try:
            return source, probe(source), choose(source.path) if source.raw else None
        except FrameError as unreadable:
            error = error or unreadable
    if error is not None and len(sources) == 1:
        raise error
    raise nothing_read(error)


def _mean(pictures: Iterable[P]) -> P:
    """The average of some pictures of one size and depth, as they are encoded."""
    several = iter(pictures)
    first = next(several)
    total: NDArray[np.uint32] | None = None
    count = 1
    for picture in several:
        total = first.astype(np.uint32) if total is None else total
        total += picture
        count += 1
    return first if total is None else cast("P", ((total + count // 2) // count).astype(first.dtype))


def _in_depth(image: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """A picture in 8 or 16 bit; white stays white."""
    if image.dtype == dtype:
        return image
    if dtype == np.uint16:
        return image.astype(np.uint16) * np.uint16(257)
    return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
