"""Which frames of a list can be one stack: told by their headers, before anything is decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stacking.develop_picture import FrameProbe, probe_picture
from stacking.develop_raw import probe_raw
from stacking.errors import FrameError, SourceError
from stacking.frames import LeftOut, Source
from stacking.gray_frames import BORROWED

_BITS = {"uint8": 8, "uint16": 16}


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth a word about a picture that is in the result all the same."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class Selection:
    """The frames of a list that can be one stack.

    Attributes
    ----------
    sources : tuple of Source
        Readable, and alike in size, and in depth unless both were wanted.
    left_out : tuple of LeftOut
        The others, with reasons.
    notes : tuple of Note
        What developing drops, and colour profiles that differ.
    like : Source or None
        The frame that all are to be developed as: of the usual depth, and in colour where any is.
    unreadable : tuple of Source
        Of those left out: frames, but torn or empty.
    """

    sources: tuple[Source, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[Note, ...]
    like: Source | None = None
    unreadable: tuple[Source, ...] = ()


def probe(source: Source) -> FrameProbe:
    """Size and depth of a frame, and whether its file is whole, without decoding it.

    Raises
    ------
    FrameError
        For what cannot be read or developed.
    """
    return probe_raw(source.path) if source.raw else probe_picture(source.path)


def gray_by_header(sources: Sequence[Source]) -> frozenset[int]:
    """Frames whose files hold one channel."""
    found = set()
    for index, source in enumerate(sources):
        with suppress(FrameError):
            if probe(source).gray:
                found.add(index)
    return frozenset(found)


# Pictures of the rarer depth in a folder that are frames and not results: so many, and that share of those of the other depth.
_FEWEST_OF_A_DEPTH, _LEAST_OF_A_DEPTH = 2, 0.25


def alike(sources: Iterable[Source], *, mixed_depths: bool = False) -> Selection:
    """The largest group of frames of one size and kind; the earlier one where two are as large.

    Parameters
    ----------
    mixed_depths : bool
        Take frames of 8 and of 16 bit of one size together however few have the other depth, as people want who name each file; in
        a folder a few such are rather results, and are left out. All are developed in the depth of most.

    Raises
    ------
    SourceError
        Where no frame can be read.
    """
    kept: list[tuple[Source, FrameProbe]] = []
    left_out: list[LeftOut] = []
    unreadable: list[Source] = []
    first: FrameError | None = None
    for source in sources:
        try:
            kept.append((source, probe(source)))
        except FrameError as error:
            first = first or error
            unreadable.append(source)
            left_out.append(LeftOut(source.path, error.message))
    if not kept:
        raise nothing_read(first)
    largest = Counter(group_of(source, found) for source, found in kept).most_common(1)[0][0]
    counts = Counter(shape_of(found) for source, found in kept if group_of(source, found) == largest)
    wanted, most = counts.most_common(1)[0]
    fewest = 1 if mixed_depths else max(_FEWEST_OF_A_DEPTH, _LEAST_OF_A_DEPTH * most)
    chosen = []
    for source, found in kept:
        if group_of(source, found) == largest and (shape_of(found) == wanted or counts[shape_of(found)] >= fewest):
            chosen.append((source, found))
        else:
            left_out.append(LeftOut(source.path, unlike(shape_of(found), wanted)))
    usual = [(source, found) for source, found in chosen if shape_of(found) == wanted]
    like, pattern = next(((source, found) for source, found in usual if not found.gray), usual[0])
    notes = [Note(source.path, found.note) for source, found in chosen if found.note]
    notes += [
        Note(source.path, "its colour profile is not that of the first frame; its values are taken as they are")
        for source, found in chosen
        if found.icc != pattern.icc and not (found.gray and not pattern.gray)
    ]
    if not all(found.gray for _, found in chosen):
        notes += [Note(source.path, BORROWED) for source, found in chosen if found.gray]
    notes += [
        Note(source.path, f"it has {_bits(found)} bits per channel, and is taken in {_BITS[wanted[2]]} as most frames")
        for source, found in chosen
        if shape_of(found) != wanted
    ]
    return Selection(tuple(source for source, _ in chosen), tuple(left_out), tuple(notes), like, tuple(unreadable))


def nothing_read(first: FrameError | None) -> SourceError:
    """The error where no frame can be read, with what is to be done about the first."""
    why, remedy = (f": {first.message}", first.remedy) if first else ("", None)
    return SourceError(f"no picture can be read{why}", remedy=remedy or "Give whole JPEG, PNG, TIFF or RAW files.")


def shape_of(found: FrameProbe) -> tuple[int, int, str]:
    """Width, height and type of the samples."""
    return found.width, found.height, str(found.dtype)


def unlike(shape: tuple[int, int, str], wanted: tuple[int, int, str]) -> str:
    """Why a frame of one shape is none of a stack of another."""
    (width, height, dtype), (wanted_width, wanted_height, wanted_dtype) = shape, wanted
    if (width, height) != (wanted_width, wanted_height):
        return f"it is {width}x{height} pixels, the stack {wanted_width}x{wanted_height}"
    if dtype == wanted_dtype:
        return "it is a picture among RAW files, or the other way round"
    return f"it has {_BITS[dtype]} bits per channel, the stack {_BITS[wanted_dtype]}"


def group_of(source: Source, found: FrameProbe) -> tuple[int, int, str]:
    """Pictures of all depths are one group; what is developed from RAW has no like among them."""
    return found.width, found.height, "raw" if source.raw else "picture"


def _bits(found: FrameProbe) -> int:
    return _BITS[str(found.dtype)]
