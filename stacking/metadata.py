"""What a picture file says about itself: EXIF, XMP and colour profile, read through exiv2 and never loudly.

The result of a stack gets what its reference frame says about camera, lens, exposure, time, place and author. What described
the frame's file and not the picture is dropped or made right: orientation, sizes, thumbnail, raw tags, the settings of a RAW
converter, and maker notes, whose offsets no program but the maker's survives.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import exiv2

from stacking.colour import adobe_rgb_profile

UPRIGHT = 1

# TIFF 6.0 types as exiv2 numbers them, and how their numbers are packed.
_ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 2, 3, 4, 5, 7
_TYPES = {1: "B", _ASCII: "B", _SHORT: "H", _LONG: "I", _RATIONAL: "II", 6: "b", _UNDEFINED: "B", 8: "h", 9: "i", 10: "ii",
          11: "f", 12: "d", 13: "I"}  # fmt: skip
_IMAGE_DESCRIPTION, _ORIENTATION, _SOFTWARE = 0x010E, 0x0112, 0x0131
# Of the main directory: description, maker, model, resolution, time, artist, rating, copyright, and the XP texts.
_MAIN_KEPT = frozenset({_IMAGE_DESCRIPTION, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0132, 0x013B, 0x4746, 0x4749, 0x8298,
                        0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F})  # fmt: skip
_COLOUR_SPACE, _WIDTH, _HEIGHT, _EXIF_VERSION, _FLASHPIX_VERSION = 0xA001, 0xA002, 0xA003, 0x9000, 0xA000
# Of the EXIF directory: components, bits per pixel, maker note, mosaic, interoperability, padding, offset scheme.
_EXIF_DROPPED = frozenset({0x9101, 0x9102, 0x927C, 0xA302, 0xA005, 0xEA1C, 0xEA1D})
_ADOBE_RGB = "R03"
_SRGB, _UNCALIBRATED = 1, 0xFFFF
_LARGEST_VALUE_BYTES = 16384
_XMP_PADDING = 1  # 0 would mean two kilobytes
_XMP_KEPT = ("dc", "xmpRights", "photoshop", "iptc", "iptcExt", "aux", "exifEX", "lr")
_XMP_ALSO_KEPT = ("Xmp.xmp.Rating", "Xmp.xmp.Label", "Xmp.xmp.CreateDate")
_XMP_DROPPED = ("Xmp.dc.format", "Xmp.photoshop.ColorMode", "Xmp.photoshop.ICCProfile", "Xmp.photoshop.DocumentAncestors",
                "Xmp.photoshop.History", "Xmp.photoshop.TextLayers", "Xmp.photoshop.SidecarForExtension")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a TIFF directory.

    Attributes
    ----------
    tag, kind, count : int
        Tag, TIFF type, number of values.
    content : bytes
        The values, little-endian.
    """

    tag: int
    kind: int
    count: int
    content: bytes


@dataclass(frozen=True, slots=True)
class PictureMetadata:
    """What goes into a result beside its pixels and profile.

    Attributes
    ----------
    main, exif, place : tuple of Entry
        The main directory, the EXIF directory, and the GPS directory (may be empty), each sorted by tag.
    xmp : bytes
        XMP packet; empty for none.
    """

    main: tuple[Entry, ...]
    exif: tuple[Entry, ...]
    place: tuple[Entry, ...] = ()
    xmp: bytes = b""


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture's header says about how to show it.

    Attributes
    ----------
    orientation : int
        EXIF orientation, 1 to 8; 1 where none or a wrong one is recorded.
    icc : bytes or None
        The embedded colour profile, or Adobe RGB where EXIF says so in its own way.
    """

    orientation: int = UPRIGHT
    icc: bytes | None = None


def opened(path: Path) -> Any | None:
    """The metadata of a file as an exiv2 image; None where exiv2 cannot read it."""
    exiv2.LogMsg.setLevel(exiv2.LogMsg.Level.mute)
    try:
        image = exiv2.ImageFactory.open(str(path))
        image.readMetadata()
    except (exiv2.Exiv2Error, OSError, ValueError):
        return None
    return image


def text_of(exif: Any, key: str) -> str | None:
    """One EXIF value as text; None where it is not there."""
    found = exif.findKey(exiv2.ExifKey(key))
    return None if found == exif.end() else str(found.toString())


def read_header(path: Path) -> Header:
    """Orientation and colour profile of a picture; the plain ones where they cannot be read."""
    image = opened(path)
    if image is None:
        return Header()
    orientation = text_of(image.exifData(), "Exif.Image.Orientation") or ""
    profile = bytes(image.iccProfile().data()) if image.iccProfileDefined() else None
    if profile is None and text_of(image.exifData(), "Exif.Iop.InteroperabilityIndex") == _ADOBE_RGB:
        profile = adobe_rgb_profile()
    upright = int(orientation) if orientation.isdecimal() and 1 <= int(orientation) <= 8 else UPRIGHT
    return Header(upright, profile)


def capture_time_tags(path: Path) -> tuple[str, str] | None:
    """Date with time, and sub-seconds, as recorded; None where one is missing."""
    image = opened(path)
    if image is None:
        return None
    exif = image.exifData()
    stamp = text_of(exif, "Exif.Photo.DateTimeOriginal")
    fraction = text_of(exif, "Exif.Photo.SubSecTimeOriginal")
    return (stamp, fraction) if stamp and fraction else None


def made_here(path: Path) -> bool:
    """Whether a picture is a result of this program, by its Software tag. Never raises for a broken file."""
    image = opened(path)
    return image is not None and _OURS.match(text_of(image.exifData(), "Exif.Image.Software") or "") is not None


_OURS = re.compile(r"focusrail \d")


def software() -> str:
    """Name and version of this program, as results carry it."""
    try:
        return f"focusrail {version('focusrail')}"
    except PackageNotFoundError:
        return "focusrail"


def result_metadata(reference: Path | None, width: int, height: int, *, srgb: bool) -> PictureMetadata:
    """The metadata of a result of `width` x `height` pixels: what `reference` says, made right for the result.

    Parameters
    ----------
    reference : Path or None
        Source frame to take it from; what cannot be read is not there, and none is needed.
    srgb : bool
        Whether the result's values are sRGB.
    """
    image = None if reference is None else opened(reference)
    main: dict[int, Entry] = {}
    exif: dict[int, Entry] = {}
    place: dict[int, Entry] = {}
    for datum in image.exifData() if image is not None else ():
        group, tag = str(datum.groupName()), int(datum.tag())
        if group == "Image" and tag in _MAIN_KEPT:
            _keep(main, datum)
        elif group == "Photo" and tag not in _EXIF_DROPPED:
            _keep(exif, datum)
        elif group == "GPSInfo":
            _keep(place, datum)
    if not main.get(_IMAGE_DESCRIPTION, _ascii(0, "")).content.strip(b"\0 "):
        main.pop(_IMAGE_DESCRIPTION, None)
    for entry in (_short(_ORIENTATION, UPRIGHT), _ascii(_SOFTWARE, software())):
        main[entry.tag] = entry
    for tag, text in ((_EXIF_VERSION, b"0232"), (_FLASHPIX_VERSION, b"0100")):
        exif.setdefault(tag, Entry(tag, _UNDEFINED, 4, text))
    for entry in (
        _short(_COLOUR_SPACE, _SRGB if srgb else _UNCALIBRATED),
        _long(_WIDTH, width),
        _long(_HEIGHT, height),
    ):
        exif[entry.tag] = entry
    only_version = set(place) <= {0}
    return PictureMetadata(
        _sorted(main), _sorted(exif), () if only_version else _sorted(place), b"" if image is None else _xmp(image)
    )


def _sorted(entries: dict[int, Entry]) -> tuple[Entry, ...]:
    return tuple(entries[tag] for tag in sorted(entries))


def _keep(entries: dict[int, Entry], datum: Any) -> None:
    """Take one value over, unless it is of a strange type or size."""
    kind, value = int(datum.typeId()), datum.getValue()
    packing = _TYPES.get(kind)
    if packing is None or not 0 < datum.size() <= _LARGEST_VALUE_BYTES:
        return
    if hasattr(value, "data"):
        content = bytes(value.data())
        if kind == _ASCII:  # one text, ended once: readers stop at the first end
            content = b"; ".join(part.strip() for part in content.split(b"\0") if part.strip()) + b"\0"
    elif len(packing) == 2:
        content = b"".join(struct.pack("<" + packing, *pair) for pair in value)
    else:
        content = b"".join(struct.pack("<" + packing, number) for number in value)
    width = struct.calcsize("<" + packing)
    if content and len(content) % width == 0:
        entries[int(datum.tag())] = Entry(int(datum.tag()), kind, len(content) // width, content)


def _ascii(tag: int, text: str) -> Entry:
    content = text.encode("ascii", "replace") + b"\0"
    return Entry(tag, _ASCII, len(content), content)


def _short(tag: int, value: int) -> Entry:
    return Entry(tag, _SHORT, 1, struct.pack("<H", value))


def _long(tag: int, value: int) -> Entry:
    return Entry(tag, _LONG, 1, struct.pack("<I", value))


def _xmp(image: Any) -> bytes:
    """The XMP that describes the picture, not the file or how a RAW converter was set."""
    properties = image.xmpData()
    unwanted = [str(datum.key()) for datum in properties if not _describes_picture(str(datum.key()))]
    for key in unwanted:
        found = properties.findKey(exiv2.XmpKey(key))
        if found != properties.end():
            properties.erase(found)
    if properties.empty():
        return b""
    try:
        answer = exiv2.XmpParser.encode(properties, exiv2.XmpParser.XmpFormatFlags.useCompactFormat, _XMP_PADDING)
    except exiv2.Exiv2Error:
        return b""
    return str(answer if isinstance(answer, str) else answer[-1]).encode()


def _describes_picture(key: str) -> bool:
    if key.startswith(_XMP_DROPPED):
        return False
    return key.startswith(_XMP_ALSO_KEPT) or key.split(".")[1] in _XMP_KEPT
