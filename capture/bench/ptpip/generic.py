"""Plain PTP (ISO 15740) without a vendor's extension: capture to the card, events on the event connection.

No live view, no capture to memory, no focus drive: the standard has none.
"""

from __future__ import annotations

from dataclasses import dataclass

from capture.bench.ptpip.codes import DataType, EventCode, ObjectFormat, Property
from capture.bench.ptpip.datasets import DeviceInfo, Range
from capture.bench.ptpip.happenings import Happening
from capture.bench.ptpip.operations import StandardOperations
from capture.bench.ptpip.properties import CLOCK, Choice, Reading, WireProperty
from capture.bench.ptpip.settings import BULB, F_NUMBERS, ISO_SPEEDS, SHUTTER_SPEEDS, BodySettings, Quality

_EVENTS = {
    Happening.FILE_ON_CARD: EventCode.OBJECT_ADDED,
    Happening.DONE_ON_CARD: EventCode.CAPTURE_COMPLETE,
    Happening.CARD_FULL: EventCode.STORE_FULL,
    Happening.BATTERY_CHANGED: EventCode.DEVICE_PROP_CHANGED,
    Happening.MODE_CHANGED: EventCode.DEVICE_PROP_CHANGED,
}
_CHANGED = {
    Happening.BATTERY_CHANGED: Property.BATTERY_LEVEL,
    Happening.MODE_CHANGED: Property.EXPOSURE_PROGRAM,
}
_QUALITIES = {Quality(False, "normal"): 1, Quality(False, "fine"): 2, Quality(True): 4, Quality(True, "fine"): 7}


def generic_properties(start: BodySettings) -> dict[int, WireProperty]:
    """The standard's device properties; what the body is set to at the `start` is offered beside the usual values."""
    u8, u16, u32 = DataType.UINT8, DataType.UINT16, DataType.UINT32
    speeds = sorted({*SHUTTER_SPEEDS, start.shutter_s} - {BULB})
    listed: list[Choice | Reading] = [
        CLOCK,
        Reading(Property.BATTERY_LEVEL, u8, lambda body: body.battery_percent, Range(0, 100)),
        Choice(Property.COMPRESSION_SETTING, u8, "quality", _QUALITIES),
        Choice(Property.WHITE_BALANCE, u16, "white_balance", {"auto": 2, "daylight": 4, "tungsten": 6}),
        Choice(Property.F_NUMBER, u16, "f_number", {n: round(n * 100) for n in sorted({*F_NUMBERS, start.f_number})}),
        Choice(Property.FOCUS_MODE, u16, "focus", {"manual": 1, "single": 2}),
        Choice(Property.EXPOSURE_TIME, u32, "shutter_s", {s: max(1, int(s * 10000)) for s in speeds}),
        Choice(Property.EXPOSURE_PROGRAM, u16, "program", {"M": 1, "P": 2, "A": 3, "S": 4}),
        Choice(Property.EXPOSURE_INDEX, u16, "iso", {iso: iso for iso in sorted({*ISO_SPEEDS, start.iso})}),
    ]
    return {item.code: item for item in listed}


@dataclass
class GenericOperations(StandardOperations):
    """The standard operations and nothing else."""

    def device_info(self) -> DeviceInfo:
        """What the device says of itself."""
        return DeviceInfo(
            vendor_extension=0,
            vendor_description="",
            operations=sorted(self.table()),
            events=sorted(set(_EVENTS.values())),
            properties=sorted(self.properties),
            capture_formats=(ObjectFormat.EXIF_JPEG, ObjectFormat.DNG),
            image_formats=(ObjectFormat.EXIF_JPEG, ObjectFormat.DNG, ObjectFormat.ASSOCIATION),
            manufacturer=self.identity.manufacturer,
            model=self.identity.model,
            version=self.identity.version,
            serial_number=self.identity.serial_number,
        )

    def heard(self, happening: Happening, handle: int = 0) -> None:
        """Send it at once."""
        if happening in _EVENTS:
            self.push(_EVENTS[happening], _CHANGED.get(happening, handle))
