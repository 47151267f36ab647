"""PTP's datasets (ISO 15740): integers little endian, counted arrays, counted UTF-16 strings."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from capture.bench.ptpip.codes import DataType

Value = int | str

_FORMATS = {
    DataType.INT8: "<b",
    DataType.UINT8: "<B",
    DataType.INT16: "<h",
    DataType.UINT16: "<H",
    DataType.INT32: "<i",
    DataType.UINT32: "<I",
}


class DatasetError(ValueError):
    """Bytes that do not hold the value they should."""


def pack_string(text: str) -> bytes:
    """A count of characters with the end's zero (one byte; 0 for the empty string), then UTF-16."""
    if not text:
        return b"\0"
    units = text.encode("utf-16-le")[: 2 * 254]
    return bytes([len(units) // 2 + 1]) + units + b"\0\0"


def unpack_string(data: bytes) -> str:
    """The string that `pack_string` wrote; `DatasetError` where the count and the bytes disagree."""
    if not data or len(data) != 1 + 2 * data[0]:
        raise DatasetError(f"string of {len(data)} bytes")
    return data[1:].decode("utf-16-le", errors="replace").rstrip("\0")


def pack_array(values: Iterable[int], code: str) -> bytes:
    """A 32-bit count, then the values; `code` is the struct letter of one."""
    listed = list(values)
    return struct.pack(f"<I{len(listed)}{code}", len(listed), *listed)


def pack_value(value: Value, kind: DataType) -> bytes:
    """One property value."""
    if kind is DataType.STRING:
        return pack_string(str(value))
    return struct.pack(_FORMATS[kind], value)


def unpack_value(data: bytes, kind: DataType) -> Value:
    """One property value; `DatasetError` where the bytes are too few or too many."""
    if kind is DataType.STRING:
        return unpack_string(data)
    try:
        return int(struct.unpack(_FORMATS[kind], data)[0])
    except struct.error as error:
        raise DatasetError(str(error)) from error


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What the device says of itself."""

    vendor_extension: int
    vendor_description: str
    operations: Sequence[int]
    events: Sequence[int]
    properties: Sequence[int]
    capture_formats: Sequence[int]
    image_formats: Sequence[int]
    manufacturer: str
    model: str
    version: str
    serial_number: str

    def encode(self) -> bytes:
        """The dataset's bytes."""
        return b"".join(
            (
                struct.pack("<HIH", 100, self.vendor_extension, 100),
                pack_string(self.vendor_description),
                struct.pack("<H", 0),
                pack_array(self.operations, "H"),
                pack_array(self.events, "H"),
                pack_array(self.properties, "H"),
                pack_array(self.capture_formats, "H"),
                pack_array(self.image_formats, "H"),
                pack_string(self.manufacturer),
                pack_string(self.model),
                pack_string(self.version),
                pack_string(self.serial_number),
            )
        )


@dataclass(frozen=True, slots=True)
class StorageInfo:
    """One store: its size in bytes, what is free, and its label."""

    capacity_bytes: int
    free_bytes: int
    free_images: int
    label: str
    storage_type: int = 4  # removable RAM
    file_system: int = 3  # DCF
    access: int = 2  # read only, objects may be deleted

    def encode(self) -> bytes:
        """The dataset's bytes."""
        numbers = (self.storage_type, self.file_system, self.access)
        sizes = (self.capacity_bytes, self.free_bytes, self.free_images)
        return struct.pack("<HHHQQI", *numbers, *sizes) + pack_string("") + pack_string(self.label)


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What is said of one object; times as ``YYYYMMDDThhmmss``."""

    storage: int
    format: int
    size_bytes: int
    parent: int
    name: str
    taken: str = ""
    thumb_format: int = 0
    thumb_bytes: int = 0
    thumb_size: tuple[int, int] = (0, 0)
    image_size: tuple[int, int] = (0, 0)
    bit_depth: int = 0
    association_type: int = 0

    def encode(self) -> bytes:
        """The dataset's bytes."""
        return b"".join(
            (
                struct.pack("<IHHI", self.storage, self.format, 0, min(self.size_bytes, 0xFFFFFFFF)),
                struct.pack("<HI2I", self.thumb_format, self.thumb_bytes, *self.thumb_size),
                struct.pack("<2III", *self.image_size, self.bit_depth, self.parent),
                struct.pack("<HII", self.association_type, 0, 0),
                pack_string(self.name),
                pack_string(self.taken),
                pack_string(self.taken),
                pack_string(""),
            )
        )


@dataclass(frozen=True, slots=True)
class Range:
    """Allowed values from `low` to `high` in steps."""

    low: int
    high: int
    step: int = 1

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int) and self.low <= value <= self.high and (value - self.low) % self.step == 0


@dataclass(frozen=True, slots=True)
class PropertyDescription:
    """A property: its type, its value now and at the factory, and what it may be (None where free)."""

    code: int
    kind: DataType
    writable: bool
    factory: Value
    current: Value
    form: Range | Sequence[int] | None = field(default=None)

    def encode(self) -> bytes:
        """The dataset's bytes."""
        head = struct.pack("<HHB", self.code, self.kind, int(self.writable))
        values = pack_value(self.factory, self.kind) + pack_value(self.current, self.kind)
        if self.form is None:
            form = b"\0"
        elif isinstance(self.form, Range):
            form = b"\1" + b"".join(pack_value(v, self.kind) for v in (self.form.low, self.form.high, self.form.step))
        else:
            form = b"\2" + struct.pack("<H", len(self.form)) + b"".join(pack_value(v, self.kind) for v in self.form)
        return head + values + form
