"""Which pictures a stack is made of: a folder, a session, or files, in the order they were shot."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stacking.develop_raw import libraw_knows
from stacking.develop_structure import opened_tiff
from stacking.errors import OutputError, SourceError
from stacking.frames import LeftOut, Source
from stacking.metadata import made_here
from stacking.order import Order, name_key, ordered


def _suffixes(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


JPEG_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe"})
TIFF_SUFFIXES = frozenset({".tif", ".tiff"})
PICTURE_SUFFIXES = JPEG_SUFFIXES | TIFF_SUFFIXES | {".png"}
RAW_SUFFIXES = _suffixes(
    ".3fr .arw .bay .cap .cr2 .cr3 .crw .cs1 .dc2 .dcr .dcs .dng .drf .dxo .erf .fff .gpr .iiq .k25 .kc2 "
    ".kdc .mdc .mef .mos .mrw .nef .nrw .orf .ori .pef .ptx .pxn .qtk .raf .raw .rw2 .rwl .rwz .sr2 .srf "
    ".srw .sti .x3f"
)
# Seen in folders of pictures, and never one: not worth a word.
SIDECAR_SUFFIXES = _suffixes(
    ".aae .bak .bin .cos .cop .csv .ctg .dat .db .dop .exif .html .ini .json .lnk .log .lrv .md .on1 "
    ".part .pdf .pp3 .psd .rmd .sfv .sha256 .thm .tmp .toml .txt .vrd .wav .xml .xmp .yaml .zip"
)
UNREAD_SUFFIXES = _suffixes(".avif .bmp .exr .gif .hdr .heic .heif .hif .jp2 .jxl .pbm .pgm .ppm .webp")
_DNG_VERSION, _PHOTOMETRIC, _COLOUR_FILTER_ARRAY, _LINEAR_RAW = 50706, 262, 32803, 34892
_NUMBERED_FOR_ONE = 4
_NOT_OF_THE_SERIES = "its name has no number as the others' have: a result of another program? Name it itself to use it"
_FORMATS = "Give JPEG, PNG, TIFF or RAW files."


@dataclass(frozen=True, slots=True)
class SourceList:
    """The pictures of a stack.

    Attributes
    ----------
    sources : tuple of Source
        In the order they are stacked.
    left_out : tuple of LeftOut
        Files that were meant but cannot be part of the stack, and why.
    order : Order
        What put them into their order.
    ignored : tuple of Path
        Files of a folder that are no pictures, or a RAW's JPEG twin.
    session : Path or None
        The session folder they came from.
    """

    sources: tuple[Source, ...]
    left_out: tuple[LeftOut, ...] = ()
    order: Order = Order.GIVEN
    ignored: tuple[Path, ...] = ()
    session: Path | None = None


def find_sources(paths: Iterable[Path | str], *, exclude: Iterable[Path] = ()) -> SourceList:
    """The pictures that `paths` name.

    One folder is read without its subfolders, hidden files and sidecars, by capture time where every picture has one of its
    own (to the sub-second), else in natural order of the names. A session folder gives its accepted frames with their
    positions, near end first. Files given one by one keep their order; among them a folder stands for its pictures. Of a RAW
    and a JPEG with one stem in one folder the RAW is taken.

    Parameters
    ----------
    paths : iterable of path
        Folders, files, or one session.
    exclude : iterable of path
        Files that are no sources though they lie there: the outputs of the run itself.

    Raises
    ------
    SourceError
        Where a path does not exist or cannot be read, or nothing is left.
    OutputError
        Where a file of `exclude` is itself one of the pictures, and no earlier result.
    """
    given = [Path(path) for path in paths]
    if not given:
        raise SourceError("no pictures were given", remedy="Name a folder, picture files, or a session.")
    for path in given:
        if not path.exists():
            raise SourceError(f"{path} does not exist", remedy="Check the spelling; give a folder or picture files.")
    unwanted = {_identity(path) for path in exclude if path.exists()}
    listings = [_folder(path) if path.is_dir() else _file(path) for path in given]
    merged = _merged(listings, unwanted)
    if not merged.sources:
        raise _nothing(given, merged.left_out)
    return merged


def is_session(folder: Path) -> bool:
    """Whether a folder is a session: it holds ``manifest.json`` and ``frames``."""
    return (folder / "manifest.json").is_file() and (folder / "frames").is_dir()


def is_raw(path: Path) -> bool:
    """Whether LibRaw has to develop a file: by its suffix, by the tags of a TIFF, else by LibRaw's own word."""
    suffix = path.suffix.lower()
    if suffix in RAW_SUFFIXES:
        return True
    if suffix in TIFF_SUFFIXES:
        return _is_raw_tiff(path)
    return suffix not in PICTURE_SUFFIXES and not _has_picture_magic(path) and libraw_knows(path)


def _is_raw_tiff(path: Path) -> bool:
    try:
        with opened_tiff(path) as file:
            tags = file.pages.first.tags
            photometric = tags.valueof(_PHOTOMETRIC)
            return _DNG_VERSION in tags or photometric in (_COLOUR_FILTER_ARRAY, _LINEAR_RAW)
    except Exception:  # noqa: BLE001  (tifffile raises whatever a broken file leads it to; developing says what is wrong)
        return False


def _has_picture_magic(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError:
        return False
    return start.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _file(path: Path) -> SourceList:
    suffix = path.suffix.lower()
    if suffix in UNREAD_SUFFIXES:
        reason = f"{suffix[1:].upper()} pictures are not read; save it as TIFF, PNG or JPEG"
        return SourceList((), (LeftOut(path, reason),))
    if is_raw(path):
        return SourceList((Source(path, raw=True),))
    if suffix in PICTURE_SUFFIXES or _has_picture_magic(path):
        return SourceList((Source(path),))
    return SourceList((), (LeftOut(path, "not a picture"),))


def _folder(folder: Path) -> SourceList:
    if is_session(folder):
        return _session(folder)
    try:
        entries = sorted(
            (path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file()),
            key=name_key,
        )
    except OSError as error:
        raise SourceError(
            f"{folder} cannot be read: {error.strerror or error}", remedy="Check the folder's permissions."
        ) from error
    sources: list[Source] = []
    left_out: list[LeftOut] = []
    ignored: list[Path] = []
    for path in entries:
        if path.suffix.lower() in SIDECAR_SUFFIXES:
            ignored.append(path)
            continue
        one = _file(path)
        sources += one.sources
        if path.suffix.lower() in UNREAD_SUFFIXES:
            left_out += one.left_out
        else:
            ignored += [entry.path for entry in one.left_out]
    sources, twins = _without_twins(sources)
    results = [source for source in sources if not source.raw and made_here(source.path)]
    if 0 < len(results) < len(sources):  # a folder of nothing but results is a stack of slabs
        left_out += [LeftOut(source.path, "a result of focusrail, not a frame") for source in results]
        sources = [source for source in sources if source not in results]
    strange = _unnumbered(sources)
    left_out += [LeftOut(source.path, _NOT_OF_THE_SERIES) for source in strange]
    sources = [source for source in sources if source not in strange]
    in_order, order = ordered(sources, lambda source: source.path)
    return SourceList(tuple(in_order), tuple(left_out), order, tuple(ignored + twins))


def _unnumbered(sources: Sequence[Source]) -> list[Source]:
    """Pictures without a number in their name where nearly all have one: what somebody made of the series, and no part of it."""
    named = [source for source in sources if not any(letter.isdigit() for letter in source.path.stem)]
    stems = [source.path.stem.casefold() for source in sources if source not in named]
    # `beetle`, `beetle-2`, `beetle-3`: the first of a series goes without
    named = [source for source in named if not any(stem.startswith(source.path.stem.casefold()) for stem in stems)]
    return named if len(named) * _NUMBERED_FOR_ONE <= len(sources) - len(named) else []


def _without_twins(sources: Sequence[Source]) -> tuple[list[Source], list[Path]]:
    """Sources without the JPEGs that lie beside a RAW of the same stem, and those JPEGs."""
    raws = {(source.path.parent, source.path.stem.casefold()) for source in sources if source.raw}
    twins = [
        source.path
        for source in sources
        if source.path.suffix.lower() in JPEG_SUFFIXES
        and (source.path.parent, source.path.stem.casefold()) in raws
        and not source.raw
    ]
    return [source for source in sources if source.path not in set(twins)], twins


def _session(folder: Path) -> SourceList:
    frames = _manifest_frames(folder / "manifest.json")
    sources: list[Source] = []
    places: list[float | None] = []
    left_out: list[LeftOut] = []
    for frame in frames:
        if frame.get("verdict") != "accepted":
            continue
        averaged = (frame.get("averaged") or []) if frame.get("exposures") else []
        listed = averaged or [frame.get("file"), *(frame.get("files") or [])]
        names = [name for name in listed if isinstance(name, str)]
        paths = [folder / name for name in dict.fromkeys(names)]
        present = [path for path in paths if path.is_file()]
        if not present:
            left_out.append(LeftOut(paths[0] if paths else folder, "recorded in the session, but the file is missing"))
            continue
        raw = next((path for path in present if is_raw(path)), None)
        position_um = _number(frame.get("position_um"))
        first, *also = present if averaged else [raw or present[0]]
        sources.append(Source(first, raw is not None, position_um, tuple(also)))
        # a lens drive counts in steps of its own: they tell the order, and no depth
        places.append(_number(frame.get("position_steps")) if position_um is None else position_um)
    if not sources:
        raise SourceError(
            f"the session {folder} has no accepted frame on disk",
            remedy=f"Shoot it again, or stack what is there as a folder: focusrail stack {folder / 'frames'}",
        )
    if all(place is not None for place in places):
        placed = [(place or 0.0, source) for place, source in zip(places, sources, strict=True)]
        placed.sort(key=lambda pair: (pair[0], name_key(pair[1].path)))
        return SourceList(tuple(source for _, source in placed), tuple(left_out), Order.POSITION, session=folder)
    by_name = sorted(sources, key=lambda source: name_key(source.path))
    return SourceList(tuple(by_name), tuple(left_out), Order.NAME, session=folder)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _manifest_frames(manifest: Path) -> list[dict[str, Any]]:
    try:
        frames = json.loads(manifest.read_text(encoding="utf-8"))["frames"]
        if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
            raise TypeError("'frames' is no list of tables")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"the session's {manifest} cannot be read: {error}",
            remedy=f"Stack the frames as a plain folder: focusrail stack {manifest.parent / 'frames'}",
        ) from error
    return frames


def _merged(listings: Sequence[SourceList], unwanted: set[tuple[int, int]]) -> SourceList:
    """The listings one after another, each file once, without JPEG twins of RAWs."""
    seen: set[tuple[int, int]] = set()
    sources: list[Source] = []
    left_out = [entry for listing in listings for entry in listing.left_out]
    for source in (source for listing in listings for source in listing.sources):
        try:
            identity = _identity(source.path)
        except OSError as error:
            left_out.append(LeftOut(source.path, f"cannot be read: {error.strerror or error}"))
            continue
        if identity in unwanted:
            if made_here(source.path):
                continue
            raise OutputError(
                f"{source.path} is one of the pictures to stack, and would be overwritten",
                remedy="Give the result another name, or another folder.",
            )
        if identity in seen:
            left_out.append(LeftOut(source.path, "the same file was given before"))
            continue
        seen.add(identity)
        sources.append(source)
    kept, twins = _without_twins(sources)
    single = listings[0] if len(listings) == 1 else None
    return SourceList(
        tuple(kept),
        tuple(left_out),
        single.order if single else Order.GIVEN,
        tuple(path for listing in listings for path in listing.ignored) + tuple(twins),
        single.session if single else None,
    )


def _nothing(given: Sequence[Path], left_out: Sequence[LeftOut]) -> SourceError:
    where = ", ".join(str(path) for path in given[:3]) + (" ..." if len(given) > 3 else "")
    why = f": {left_out[0].path.name}: {left_out[0].reason}" if left_out else ""
    return SourceError(f"no pictures in {where}{why}", remedy=_FORMATS + _deeper(given))


def _deeper(given: Sequence[Path]) -> str:
    """A hint at a subfolder that holds pictures, since folders are read without theirs."""
    for folder in (path for path in given if path.is_dir()):
        for below in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
            suffixes = {path.suffix.lower() for path in below.iterdir()}
            if suffixes & (PICTURE_SUFFIXES | RAW_SUFFIXES):
                return f" Subfolders are not read; {below} holds some."
    return ""
