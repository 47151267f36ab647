"""What a picture file says about itself: EXIF, XMP and colour profile, read through exiv2 and never loudly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import exiv2

UPRIGHT = 1


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture's header says about how to show it.

    Attributes
    ----------
    orientation : int
        EXIF orientation, 1 to 8; 1 where none or a wrong one is recorded.
    icc : bytes or None
        The embedded colour profile.
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
