"""What Canon EOS bodies say on the wire (vendor extension 0x0000000B): property numbers, and the records of their event stream."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum
from fractions import Fraction

from capture.bench.ptpip.datasets import ObjectInfo
from capture.bench.ptpip.settings import BULB, F_NUMBERS, ISO_SPEEDS, BodySettings, Quality

CANON_EXTENSION = 0x0000000B


class CanonOperation(IntEnum):
    """Operations of the extension."""

    GET_STORAGE_IDS = 0x9101
    GET_STORAGE_INFO = 0x9102
    GET_OBJECT = 0x9104
    DELETE_OBJECT = 0x9105
    GET_PARTIAL_OBJECT = 0x9107
    REMOTE_RELEASE = 0x910F
    SET_PROPERTY = 0x9110
    SET_REMOTE_MODE = 0x9114
    SET_EVENT_MODE = 0x9115
    GET_EVENT = 0x9116
    TRANSFER_COMPLETE = 0x9117
    PC_HDD_CAPACITY = 0x911A
    SET_UI_LOCK = 0x911B
    RESET_UI_LOCK = 0x911C
    KEEP_DEVICE_ON = 0x911D
    REQUEST_PROPERTY = 0x9127
    REMOTE_RELEASE_ON = 0x9128
    REMOTE_RELEASE_OFF = 0x9129
    GET_VIEWFINDER_DATA = 0x9153
    DRIVE_LENS = 0x9155
    ZOOM = 0x9158
    ZOOM_POSITION = 0x9159
    AF_CANCEL = 0x9160


class CanonProperty(IntEnum):
    """Properties; all are told in the event stream only."""

    APERTURE = 0xD101
    SHUTTER_SPEED = 0xD102
    ISO_SPEED = 0xD103
    EXPOSURE_MODE = 0xD105
    DRIVE_MODE = 0xD106
    FOCUS_MODE = 0xD108
    WHITE_BALANCE = 0xD109
    BATTERY_POWER = 0xD111
    CAMERA_TIME = 0xD113
    AUTO_POWER_OFF = 0xD114
    AVAILABLE_SHOTS = 0xD11B
    CAPTURE_DESTINATION = 0xD11C
    IMAGE_FORMAT = 0xD120
    SERIAL_NUMBER = 0xD1AF
    EVF_OUTPUT = 0xD1B0


class CanonEvent(IntEnum):
    """Kinds of records in the event stream."""

    OBJECT_ADDED = 0xC181
    REQUEST_TRANSFER = 0xC186
    PROPERTY_VALUE = 0xC189
    PROPERTY_CHOICES = 0xC18A


CARD, COMPUTER = 2, 4
TO_COMPUTER = 2  # bit of the live view's output
RAW_FORMAT = 0xB103
_RAW_FILE, _JPEG_FILE = 6, 1
_SIZE_LARGE = 0
_RAW_QUALITY, _FINE, _NORMAL = 4, 3, 2
_PART = struct.Struct("<4I")
_QUALITIES = {"fine": _FINE, "normal": _NORMAL, "basic": _NORMAL}


_BULB_NUMBER = 0x0C


def _eighths(stops: float) -> int:
    """Stops in eighths, with thirds at 3, 5 and 8 as Canon counts them."""
    thirds = round(stops * 3)
    whole, third = divmod(thirds, 3)
    return 8 * whole + (0, 3, 5)[third]


def _aperture(f_number: float) -> int:
    return 0x08 + _eighths(2 * math.log2(f_number))


def _shutter(seconds: Fraction) -> int:
    if seconds == BULB:
        return _BULB_NUMBER
    return 0x38 + _eighths(-math.log2(seconds))


def _iso(speed: int) -> int:
    return 0x48 + _eighths(math.log2(speed / 100))


_SHUTTERS = [
    BULB,
    *(Fraction(1, n) for n in (4000, 2000, 1000, 500, 250, 125, 60, 30, 15, 8, 4)),
    *(Fraction(text) for text in ("1/2", "1", "2", "4", "8", "15", "30")),
]


def choices_of(start: BodySettings) -> dict[CanonProperty, tuple[str, Mapping[object, int]]]:
    """Property -> the body's setting that it is, and the number of each of its values; what it stands at at the `start` is offered too."""
    shutters = sorted({*_SHUTTERS, start.shutter_s}, key=lambda seconds: (seconds != BULB, -seconds))
    return {
        CanonProperty.APERTURE: ("f_number", {n: _aperture(n) for n in sorted({*F_NUMBERS, start.f_number})}),
        CanonProperty.SHUTTER_SPEED: ("shutter_s", {seconds: _shutter(seconds) for seconds in shutters}),
        CanonProperty.ISO_SPEED: ("iso", {speed: _iso(speed) for speed in sorted({*ISO_SPEEDS, start.iso})}),
        CanonProperty.EXPOSURE_MODE: ("program", {"P": 0, "S": 1, "A": 2, "M": 3}),
        CanonProperty.DRIVE_MODE: ("drive", {"single": 0, "quiet": 0x13}),
        CanonProperty.FOCUS_MODE: ("focus", {"single": 0, "continuous": 1, "manual": 3}),
        CanonProperty.WHITE_BALANCE: (
            "white_balance",
            {"auto": 0, "daylight": 1, "tungsten": 3, "fluorescent": 4, "flash": 5},
        ),
    }


def battery_number(percent: int) -> int:
    """The fifth of the battery's charge that `percent` lies in, as Canon numbers them."""
    numbers = ((88, 2), (63, 4), (38, 1), (13, 5))
    return next((number for least, number in numbers if percent >= least), 0)


QUALITIES = (
    Quality(raw=True),
    Quality(raw=True, jpeg="fine"),
    Quality(raw=False, jpeg="fine"),
    Quality(raw=False, jpeg="normal"),
)
"""The image formats that are offered."""


def pack_quality(quality: Quality) -> bytes:
    """An image format: the number of files, then length, kind, size and compression of each."""
    parts = [_PART.pack(_PART.size, _RAW_FILE, _SIZE_LARGE, _RAW_QUALITY)] if quality.raw else []
    if quality.jpeg:
        parts.append(_PART.pack(_PART.size, _JPEG_FILE, _SIZE_LARGE, _QUALITIES[quality.jpeg]))
    return struct.pack("<I", len(parts)) + b"".join(parts)


def _record(kind: CanonEvent, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack("<II", 8 + len(body), kind) + body


def value_record(code: int, value: bytes) -> bytes:
    """A property has this value."""
    return _record(CanonEvent.PROPERTY_VALUE, struct.pack("<I", code) + value)


def choices_record(code: int, values: Sequence[bytes]) -> bytes:
    """A property may have these values."""
    return _record(CanonEvent.PROPERTY_CHOICES, struct.pack("<III", code, 3, len(values)) + b"".join(values))


def added_record(handle: int, info: ObjectInfo, kind: int) -> bytes:
    """A file lies on the card."""
    head = struct.pack("<7I", handle, info.storage, kind, 0, 0, info.size_bytes, info.parent)
    return _record(CanonEvent.OBJECT_ADDED, head + struct.pack("<I", 0) + info.name.encode("ascii") + b"\0")


def transfer_record(handle: int, info: ObjectInfo, kind: int) -> bytes:
    """A file lies in memory and wants to be fetched."""
    head = struct.pack("<5I", handle, kind, 0, info.size_bytes, 0)
    return _record(CanonEvent.REQUEST_TRANSFER, head + info.name.encode("ascii") + b"\0")


END_OF_EVENTS = struct.pack("<II", 8, 0)
