"""Exposure tags and the TIFF structure that carries them, in a DNG as in a JPEG (TIFF 6.0, Exif 2.32)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction

from capture.bench.interfaces import ExposureSettings

MAKER = "Focusrail"
MODEL = "Bench"
SOFTWARE = "focusrail bench-sim"


class TagType(IntEnum):
    """Field types of TIFF."""

    BYTE = 1
    ASCII = 2
    SHORT = 3
    LONG = 4
    RATIONAL = 5
    UNDEFINED = 7
    SRATIONAL = 10


_FORMATS = {TagType.BYTE: "B", TagType.SHORT: "H", TagType.LONG: "I", TagType.RATIONAL: "I", TagType.SRATIONAL: "i"}


@dataclass(slots=True)
class Directory:
    """One TIFF image file directory: tags, directories below it, and the one strip of picture data it may have."""

    tags: dict[int, tuple[TagType, int, bytes]] = field(default_factory=dict)
    children: dict[int, Directory] = field(default_factory=dict)
    strip: bytes | None = None

    def put(self, tag: int, kind: TagType, *values: int) -> None:
        """Set a numeric tag; rationals take numerator and denominator in turn."""
        per_value = 2 if kind in (TagType.RATIONAL, TagType.SRATIONAL) else 1
        self.tags[tag] = (kind, len(values) // per_value, struct.pack(f"<{len(values)}{_FORMATS[kind]}", *values))

    def put_text(self, tag: int, text: str) -> None:
        """Set a text tag."""
        value = text.encode("ascii") + b"\0"
        self.tags[tag] = (TagType.ASCII, len(value), value)

    def put_raw(self, tag: int, value: bytes) -> None:
        """Set a tag of undefined type."""
        self.tags[tag] = (TagType.UNDEFINED, len(value), value)

    def put_fraction(self, tag: int, value: float, limit: int = 100_000) -> None:
        """Set one unsigned rational to the nearest fraction with a denominator up to `limit`."""
        fraction = Fraction(value).limit_denominator(limit)
        self.put(tag, TagType.RATIONAL, fraction.numerator, fraction.denominator)


_STRIP_OFFSETS, _STRIP_BYTE_COUNTS = 273, 279
_EXIF_IFD = 34665


def tiff(root: Directory) -> bytes:
    """Lay out a little-endian TIFF file; strips follow all directories, in the order of the tree."""
    ordered: list[Directory] = []

    def collect(directory: Directory) -> None:
        ordered.append(directory)
        for child in directory.children.values():
            collect(child)

    collect(root)
    for directory in ordered:  # placeholders first, so that every size is known
        for tag in directory.children:
            directory.put(tag, TagType.LONG, 0)
        if directory.strip is not None:
            directory.put(_STRIP_OFFSETS, TagType.LONG, 0)
            directory.put(_STRIP_BYTE_COUNTS, TagType.LONG, len(directory.strip))
    starts: dict[int, int] = {}
    at = 8
    for directory in ordered:
        starts[id(directory)] = at
        at += 2 + 12 * len(directory.tags) + 4
        at += sum(len(value) + len(value) % 2 for _, _, value in directory.tags.values() if len(value) > 4)
    strips = at
    for directory in ordered:
        for tag, child in directory.children.items():
            directory.put(tag, TagType.LONG, starts[id(child)])
        if directory.strip is not None:
            directory.put(_STRIP_OFFSETS, TagType.LONG, strips)
            strips += len(directory.strip) + len(directory.strip) % 2
    parts = [struct.pack("<2sHI", b"II", 42, 8)]
    parts += [_serialised(directory, starts[id(directory)]) for directory in ordered]
    parts += [d.strip + b"\0" * (len(d.strip) % 2) for d in ordered if d.strip is not None]
    return b"".join(parts)


def _serialised(directory: Directory, start: int) -> bytes:
    entries, values = [], []
    at = start + 2 + 12 * len(directory.tags) + 4
    for tag in sorted(directory.tags):
        kind, count, value = directory.tags[tag]
        if len(value) <= 4:
            entries.append(struct.pack("<HHI4s", tag, kind, count, value))
        else:
            entries.append(struct.pack("<HHII", tag, kind, count, at))
            values.append(value + b"\0" * (len(value) % 2))
            at += len(values[-1])
    return struct.pack("<H", len(entries)) + b"".join(entries) + b"\0\0\0\0" + b"".join(values)


@dataclass(frozen=True, slots=True)
class ShotTags:
    """What a file says about its exposure.

    Attributes
    ----------
    settings : ExposureSettings
    taken : str
        ``YYYY:MM:DD HH:MM:SS.mmm``.
    focal_length_mm, pixel_um : float
    """

    settings: ExposureSettings
    taken: str
    focal_length_mm: float
    pixel_um: float

    def into(self, root: Directory) -> Directory:
        """Put maker, model and time into `root` and hang the Exif directory below it; returns that directory."""
        moment, _, fraction = self.taken.partition(".")
        root.put_text(271, MAKER)
        root.put_text(272, MODEL)
        root.put(274, TagType.SHORT, 1)
        root.put_text(305, SOFTWARE)
        root.put_text(306, moment)
        exif = Directory()
        exif.put_fraction(33434, self.settings.shutter_s)
        exif.put_fraction(33437, self.settings.f_number, 100)
        exif.put(34850, TagType.SHORT, 1)  # ExposureProgram: manual
        exif.put(34855, TagType.SHORT, min(self.settings.iso, 65535))
        exif.put_raw(36864, b"0232")
        exif.put_text(36867, moment)
        exif.put_text(36868, moment)
        exif.put(37385, TagType.SHORT, 0)  # Flash: did not fire
        exif.put_fraction(37386, self.focal_length_mm, 100)
        for tag in (37520, 37521, 37522):
            exif.put_text(tag, fraction or "000")
        per_cm = round(1e4 / self.pixel_um * 1000)
        exif.put(41486, TagType.RATIONAL, per_cm, 1000)  # FocalPlaneXResolution
        exif.put(41487, TagType.RATIONAL, per_cm, 1000)
        exif.put(41488, TagType.SHORT, 3)  # FocalPlaneResolutionUnit: cm
        exif.put(41987, TagType.SHORT, 1)  # WhiteBalance: manual
        exif.put_text(42036, f"Bench Macro {self.focal_length_mm:g} mm")
        root.children[_EXIF_IFD] = exif
        return exif


def jpeg_with_exif(jpeg: bytes, tags: ShotTags, size_px: tuple[int, int]) -> bytes:
    """Put an Exif segment into a JPEG, in place of its JFIF header.

    Parameters
    ----------
    size_px : (int, int)
        Width and height of the picture.

    Raises
    ------
    ValueError
        Not a JPEG.
    """
    if jpeg[:2] != b"\xff\xd8":
        raise ValueError("not a JPEG")
    root = Directory()
    root.put(282, TagType.RATIONAL, 72, 1)
    root.put(283, TagType.RATIONAL, 72, 1)
    root.put(296, TagType.SHORT, 2)
    root.put(531, TagType.SHORT, 1)
    exif = tags.into(root)
    exif.put_raw(37121, b"\1\2\3\0")
    exif.put_raw(40960, b"0100")
    exif.put(40961, TagType.SHORT, 1)  # ColorSpace: sRGB
    exif.put(40962, TagType.LONG, size_px[0])
    exif.put(40963, TagType.LONG, size_px[1])
    body = b"Exif\0\0" + tiff(root)
    rest = jpeg[2:]
    if rest[:2] == b"\xff\xe0":
        rest = rest[2 + int.from_bytes(rest[2:4], "big") :]
    return b"\xff\xd8\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + rest
