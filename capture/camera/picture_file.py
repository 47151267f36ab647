"""What a downloaded picture file says of itself, without decoding it: whether it is whole, and how it was exposed.

Read are JPEG (ITU T.81; Exif 2.32), the TIFF family (TIFF 6.0, DNG, NEF, CR2, ARW, PEF, and the variants ORF and RW2), RAF and CR3
(ISO base media). A file cut short shows in its own structure: a JPEG without its end, a TIFF whose strips reach past the end of the file,
a box longer than what is left. Only headers are read, so that a 50 MB RAW costs a few milliseconds.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

RAW_SUFFIXES = frozenset(
    {
        ".3fr",
        ".arw",
        ".cr2",
        ".cr3",
        ".crw",
        ".dcr",
        ".dng",
        ".erf",
        ".fff",
        ".gpr",
        ".iiq",
        ".kdc",
        ".mef",
        ".mos",
        ".mrw",
        ".nef",
        ".nrw",
        ".orf",
        ".pef",
        ".raf",
        ".raw",
        ".rw2",
        ".rwl",
        ".sr2",
        ".srf",
        ".srw",
        ".x3f",
    }
)

_TIFF_MAGICS = {b"II*\0": "<", b"MM\0*": ">", b"IIRO": "<", b"IIRS": "<", b"MMOR": ">", b"IIU\0": "<"}
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_FORMATS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I"}
_MAX_ENTRIES = 4096
_MAX_DIRECTORIES = 64

_STRIP_OFFSETS, _STRIP_COUNTS, _TILE_OFFSETS, _TILE_COUNTS = 273, 279, 324, 325
_SUB_DIRECTORIES, _EXIF_DIRECTORY = 330, 34665
_DNG_VERSION = 50706
_MODIFIED, _EXPOSURE_TIME, _F_NUMBER, _ISO, _TAKEN, _TAKEN_SUBSEC = 306, 33434, 33437, 34855, 36867, 37521
_EXPOSURE_INDEX, _ISO_OVERFLOW = 34866, 65535
_PLANE_RESOLUTION, _PLANE_UNIT = 41486, 41488
_UM_PER_UNIT = {2: 25400.0, 3: 10000.0, 4: 1000.0, 5: 1.0}
_BELIEVED_UM = (0.5, 25.0)


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """One picture file.

    Attributes
    ----------
    raw : bool
        Whether it is a camera RAW (by its name).
    problem : str
        Why it cannot be whole; empty where nothing speaks against it.
    exposure : dict
        ``iso`` (float), ``shutter_s`` (float), ``f_number`` (float), ``pixel_um`` (float; pitch of the sensor),
        ``time`` (text, ``YYYY:MM:DD HH:MM:SS`` with ``.fff`` where told);
        a key is absent where the file does not say.
    sha256 : str
        Digest of the whole file, hex.
    suffix : str
        The suffix that its contents ask for, where the camera's own name cannot be trusted (a DNG out of a camera's memory is called
        ``.nef``); empty otherwise.
    """

    raw: bool
    problem: str
    exposure: dict[str, str | float] = field(default_factory=dict)
    sha256: str = ""
    suffix: str = ""


class _BrokenFileError(Exception):
    """The structure contradicts itself; the text says how."""


class _Reader:
    """Bounds-checked reads of a byte order."""

    def __init__(self, data: mmap.mmap | bytes, order: str, start: int = 0, size: int | None = None) -> None:
        self.data, self.order, self.start = data, order, start
        self.size = len(data) - start if size is None else size

    def bytes(self, offset: int, count: int) -> bytes:
        if offset < 0 or count < 0 or offset + count > self.size:
            raise _BrokenFileError("it ends inside its own tables")
        return self.data[self.start + offset : self.start + offset + count]

    def number(self, offset: int, form: str) -> int:
        size = struct.calcsize(form)
        return int(struct.unpack(self.order + form, self.bytes(offset, size))[0])


@dataclass(frozen=True, slots=True)
class _Tag:
    kind: int
    count: int
    offset: int  # of the values


def _directory(reader: _Reader, offset: int) -> tuple[dict[int, _Tag], int]:
    """Tags of the directory at `offset` and the offset of the next one."""
    entries = reader.number(offset, "H")
    if entries > _MAX_ENTRIES:
        raise _BrokenFileError("its tables are nonsense")
    tags = {}
    for i in range(entries):
        at = offset + 2 + 12 * i
        tag, kind, count = reader.number(at, "H"), reader.number(at + 2, "H"), reader.number(at + 4, "I")
        inline = _TYPE_SIZES.get(kind, 1) * count <= 4
        tags[tag] = _Tag(kind, count, at + 8 if inline else reader.number(at + 8, "I"))
    end = offset + 2 + 12 * entries
    return tags, reader.number(end, "I") if end + 4 <= reader.size else 0


def _integers(reader: _Reader, tag: _Tag) -> list[int]:
    form = _FORMATS.get(tag.kind)
    if form is None:
        return []
    width = _TYPE_SIZES[tag.kind]
    raw = reader.bytes(tag.offset, width * tag.count)
    return list(struct.unpack(f"{reader.order}{tag.count}{form}", raw))


def _numbers_of(reader: _Reader, tags: dict[int, _Tag], number: int) -> list[int]:
    return _integers(reader, tags[number]) if number in tags else []


def _ratio(reader: _Reader, tag: _Tag) -> float | None:
    if tag.kind not in {5, 10} or tag.count < 1:
        return None
    form = "I" if tag.kind == 5 else "i"
    above, below = reader.number(tag.offset, form), reader.number(tag.offset + 4, form)
    return above / below if below else None


def _text(reader: _Reader, tag: _Tag) -> str:
    return (
        reader.bytes(tag.offset, tag.count).split(b"\0")[0].decode("ascii", "replace").strip() if tag.kind == 2 else ""
    )


def _directories(reader: _Reader) -> Iterator[dict[int, _Tag]]:
    """Every directory: the chain from the header, and those under it."""
    waiting = [reader.number(4, "I")]
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_DIRECTORIES:
        offset = waiting.pop(0)
        if offset in seen or offset == 0:
            continue
        seen.add(offset)
        tags, following = _directory(reader, offset)
        yield tags
        waiting.append(following)
        for below in (_SUB_DIRECTORIES, _EXIF_DIRECTORY):
            if below in tags:
                waiting.extend(_integers(reader, tags[below]))


def _read_exposure(reader: _Reader, tags: dict[int, _Tag], exposure: dict[str, str | float]) -> None:
    """Add what one directory says to `exposure`; what was said before stands."""
    numbers = {"shutter_s": _EXPOSURE_TIME, "f_number": _F_NUMBER}
    for key, number in numbers.items():
        if key not in exposure and number in tags and (value := _ratio(reader, tags[number])):
            exposure[key] = value
    speeds = [*_numbers_of(reader, tags, _ISO), *_numbers_of(reader, tags, _EXPOSURE_INDEX)]
    if "iso" not in exposure and (speed := next((speed for speed in speeds if 0 < speed != _ISO_OVERFLOW), None)):
        exposure["iso"] = float(speed)
    if "pixel_um" not in exposure and _PLANE_RESOLUTION in tags:
        unit = _UM_PER_UNIT.get(next(iter(_numbers_of(reader, tags, _PLANE_UNIT)), 2))
        resolution = _ratio(reader, tags[_PLANE_RESOLUTION])
        if unit and resolution and _BELIEVED_UM[0] < unit / resolution < _BELIEVED_UM[1]:
            exposure["pixel_um"] = unit / resolution
    if _TAKEN in tags and (taken := _text(reader, tags[_TAKEN])):
        subsec = _text(reader, tags[_TAKEN_SUBSEC]) if _TAKEN_SUBSEC in tags else ""
        exposure["time"] = f"{taken}.{subsec}" if subsec.isdigit() else taken
    elif "time" not in exposure and _MODIFIED in tags and (changed := _text(reader, tags[_MODIFIED])):
        exposure["time"] = changed


def _read_tiff(reader: _Reader, exposure: dict[str, str | float], *, whole: bool) -> bool:
    """Read the exposure, check the extents where the file is the `whole` picture; whether it is a DNG."""
    pictures, dng = 0, False
    for tags in _directories(reader):
        dng = dng or _DNG_VERSION in tags
        _read_exposure(reader, tags, exposure)
        for offsets, counts in ((_STRIP_OFFSETS, _STRIP_COUNTS), (_TILE_OFFSETS, _TILE_COUNTS)):
            if not whole or offsets not in tags or counts not in tags:
                continue
            pictures += 1
            for offset, count in zip(_integers(reader, tags[offsets]), _integers(reader, tags[counts]), strict=False):
                if offset + count > reader.size:
                    raise _BrokenFileError("its picture reaches past its end: the transfer was cut short")
    if whole and not pictures:
        raise _BrokenFileError("it holds no picture")
    return dng


def _tiff_reader(data: mmap.mmap | bytes, start: int, size: int | None = None) -> _Reader:
    order = _TIFF_MAGICS.get(bytes(data[start : start + 4]))
    if order is None:
        raise _BrokenFileError("its header is damaged")
    return _Reader(data, order, start, size)


def _read_jpeg(data: mmap.mmap | bytes, start: int, size: int, exposure: dict[str, str | float]) -> None:
    """Segments up to the first scan, then the end mark (cameras may pad behind it)."""
    reader = _Reader(data, ">", start, size)
    at = 2
    while True:
        marker = reader.number(at, "H")
        if marker == 0xFFFF:
            at += 1
            continue
        if marker < 0xFF00:
            raise _BrokenFileError("its header is damaged")
        if marker == 0xFFDA:
            break
        length = reader.number(at + 2, "H")
        if marker == 0xFFE1 and reader.bytes(at + 4, 6) == b"Exif\0\0":
            exif = _tiff_reader(data, start + at + 10, length - 8)
            _read_tiff(exif, exposure, whole=False)
        at += 2 + length
    tail = reader.bytes(max(at, size - 65536), size - max(at, size - 65536))
    if b"\xff\xd9" not in tail:
        raise _BrokenFileError("it has no end: the transfer was cut short")


def _read_raf(data: mmap.mmap | bytes, exposure: dict[str, str | float]) -> None:
    reader = _Reader(data, ">")
    extents = [(reader.number(at, "I"), reader.number(at + 4, "I")) for at in (84, 92, 100)]
    if any(offset + length > reader.size for offset, length in extents):
        raise _BrokenFileError("its picture reaches past its end: the transfer was cut short")
    offset, length = extents[0]
    if length:
        _read_jpeg(data, offset, length, exposure)


def _read_boxes(data: mmap.mmap | bytes, exposure: dict[str, str | float]) -> None:
    """CR3: boxes up to the end of the file; the Exif directories are TIFF structures in CMT1 and CMT2."""
    reader, at = _Reader(data, ">"), 0
    while at < reader.size:
        length = reader.number(at, "I")
        if length == 1:
            length = reader.number(at + 8, "Q")
        if length == 0:
            break
        if length < 8 or at + length > reader.size:
            raise _BrokenFileError("its picture reaches past its end: the transfer was cut short")
        if reader.bytes(at + 4, 4) == b"moov":
            movie = reader.bytes(at, min(length, 1 << 20))
            for name in (b"CMT1", b"CMT2"):
                if (found := movie.find(name)) >= 4:
                    inner = int.from_bytes(movie[found - 4 : found], "big") - 8
                    _read_tiff(_tiff_reader(movie, found + 4, max(0, inner)), exposure, whole=False)
        at += length


def _read(data: mmap.mmap | bytes, exposure: dict[str, str | float]) -> bool:
    """Read what is known of the format; whether it is a DNG."""
    head = bytes(data[:16])
    if head[:3] == b"\xff\xd8\xff":
        _read_jpeg(data, 0, len(data), exposure)
    elif head[:4] in _TIFF_MAGICS:
        return _read_tiff(_tiff_reader(data, 0), exposure, whole=True)
    elif head == b"FUJIFILMCCD-RAW ":
        _read_raf(data, exposure)
    elif head[4:8] == b"ftyp":
        _read_boxes(data, exposure)
    elif not any(head):
        raise _BrokenFileError("it begins with nothing but zeros")
    return False


def inspect_picture(path: Path, *, suffix: str | None = None) -> PictureFacts:
    """Read the facts of one file; `suffix` is that of its later name where it has a temporary one.

    A format that is not known (X3F, CRW) has no problem and no exposure; only its digest is certain. `OSError` passes.
    """
    raw = (path.suffix if suffix is None else suffix).casefold() in RAW_SUFFIXES
    exposure: dict[str, str | float] = {}
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            return PictureFacts(raw, "it is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            digest = hashlib.sha256(data).hexdigest()
            try:
                dng = _read(data, exposure)
            except (_BrokenFileError, struct.error) as error:
                return PictureFacts(raw, str(error) or "its tables are nonsense", exposure, digest)
    return PictureFacts(raw, "", exposure, digest, ".dng" if dng else "")


def read_exposure(path: Path) -> dict[str, str | float]:
    """How the picture was exposed, as `PictureFacts.exposure`, from the headers alone: a card of thousands is gone through quickly.

    What a damaged file or an unknown format does not say is absent. `OSError` passes.
    """
    exposure: dict[str, str | float] = {}
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            return exposure
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data, suppress(_BrokenFileError, struct.error):
            _read(data, exposure)
    return exposure
