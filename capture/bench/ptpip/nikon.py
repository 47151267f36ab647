"""The dialect of vendor extension 0x0000000A: its properties, its events (polled), capture, live view, focus drive."""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import ClassVar

from capture.bench.ptpip.codes import (
    NIKON_EXTENSION,
    DataType,
    EventCode,
    NikonOperation,
    ObjectFormat,
    Property,
    Response,
)
from capture.bench.ptpip.datasets import DeviceInfo, Range, pack_array
from capture.bench.ptpip.happenings import Happening, Readiness, Refusal
from capture.bench.ptpip.operations import REFUSALS, Reply, StandardOperations
from capture.bench.ptpip.packets import OperationRequest
from capture.bench.ptpip.properties import CLOCK, Choice, Reading, Register, WireProperty
from capture.bench.ptpip.settings import BULB, F_NUMBERS, ISO_SPEEDS, SHUTTER_SPEEDS, BodySettings, Quality

_WITHOUT_AF = 0xFFFFFFFF
_PATIENCE_S = 1.0  # a poll for readiness is answered when it is ready, or after this
_LIVE_HEADER = 128
_BULB_NUMBER = 0xFFFFFFFF
_NEARER, _FARTHER = 1, 2
_BATTERY_EXHAUSTED = 1 << 8
_EVENTS = {
    Happening.FILE_IN_MEMORY: EventCode.NIKON_OBJECT_ADDED_IN_SDRAM,
    Happening.FILE_ON_CARD: EventCode.OBJECT_ADDED,
    Happening.DONE_IN_MEMORY: EventCode.NIKON_CAPTURE_COMPLETE_IN_SDRAM,
    Happening.DONE_ON_CARD: EventCode.CAPTURE_COMPLETE,
    Happening.CARD_FULL: EventCode.STORE_FULL,
    Happening.BATTERY_CHANGED: EventCode.DEVICE_PROP_CHANGED,
    Happening.MODE_CHANGED: EventCode.DEVICE_PROP_CHANGED,
}
_QUALITIES = {
    Quality(False, "basic"): 0,
    Quality(False, "normal"): 1,
    Quality(False, "fine"): 2,
    Quality(True): 4,
    Quality(True, "basic"): 5,
    Quality(True, "normal"): 6,
    Quality(True, "fine"): 7,
}
_ZOOM_SHARES = ((1, 0.25), (2, 1 / 3), (3, 0.5), (4, 2 / 3), (5, 1.0))


def _tenths_of_ms(seconds: Fraction) -> int:
    return _BULB_NUMBER if seconds == BULB else max(1, int(seconds * 10000))


def _ratio(seconds: Fraction) -> int:
    return _BULB_NUMBER if seconds == BULB else seconds.numerator << 16 | seconds.denominator


def zoom_numbers(live_scale: float) -> dict[int, int]:
    """Magnification -> number on the wire: the ratios (share of the still's own pixels) that come out whole.

    `live_scale`: how many times smaller a live frame is than the still.
    """
    numbers = {1: 0}
    for number, share in _ZOOM_SHARES:
        times = live_scale * share
        if round(times) > 1 and abs(times - round(times)) < 0.05 * times:
            numbers.setdefault(round(times), number)
    return numbers


def nikon_properties(live_scale: float, start: BodySettings) -> dict[int, WireProperty]:
    """The dialect's device properties; what the body is set to at the `start` is offered beside the usual values."""
    speeds = sorted({*SHUTTER_SPEEDS[:-1], start.shutter_s} - {BULB}) + [BULB]
    u8, u16, u32 = DataType.UINT8, DataType.UINT16, DataType.UINT32
    listed: list[Choice | Reading | Register] = [
        CLOCK,
        Reading(Property.BATTERY_LEVEL, u8, lambda body: body.battery_percent, Range(0, 100)),
        Choice(Property.COMPRESSION_SETTING, u8, "quality", _QUALITIES),
        Choice(
            Property.WHITE_BALANCE,
            u16,
            "white_balance",
            {"auto": 2, "daylight": 4, "fluorescent": 5, "tungsten": 6, "flash": 7},
        ),
        Choice(Property.F_NUMBER, u16, "f_number", {n: round(n * 100) for n in sorted({*F_NUMBERS, start.f_number})}),
        Choice(Property.FOCUS_MODE, u16, "focus", {"manual": 1, "single": 0x8010, "continuous": 0x8011}),
        Choice(Property.EXPOSURE_TIME, u32, "shutter_s", {s: _tenths_of_ms(s) for s in speeds}),
        Choice(Property.EXPOSURE_PROGRAM, u16, "program", {"M": 1, "P": 2, "A": 3, "S": 4}),
        Choice(Property.EXPOSURE_INDEX, u16, "iso", {iso: iso for iso in sorted({*ISO_SPEEDS, start.iso})}),
        Choice(Property.STILL_CAPTURE_MODE, u16, "drive", {"single": 1, "quiet": 0x8016}),
        Choice(Property.NIKON_EXPOSURE_DELAY_MODE, u8, "delay_s", {0.0: 0, 1.0: 1}, as_range=True),
        Choice(Property.NIKON_EXPOSURE_TIME, u32, "shutter_s", {s: _ratio(s) for s in speeds}),
        Register(Property.NIKON_RECORDING_MEDIA, u8, 0, (0, 1)),
        Reading(Property.NIKON_LIVE_VIEW_STATUS, u8, lambda body: int(body.live)),
        Choice(Property.NIKON_LIVE_VIEW_EXPOSURE_PREVIEW, u8, "exposure_preview", {True: 0, False: 1}, as_range=True),
        Choice(Property.NIKON_LIVE_VIEW_ZOOM, u8, "magnify", zoom_numbers(live_scale)),
        Reading(
            Property.NIKON_LIVE_VIEW_PROHIBIT,
            u32,
            lambda body: _BATTERY_EXHAUSTED if body.battery_percent < 5 else 0,
        ),
    ]
    return {item.code: item for item in listed}


@dataclass
class NikonOperations(StandardOperations):
    """The standard operations and the dialect's own. Events wait until they are polled."""

    refusals: ClassVar[Mapping[Refusal, int]] = {**REFUSALS, Refusal.MODE: Response.NIKON_INVALID_STATUS}
    events: deque[tuple[int, int]] = field(default_factory=deque)
    events_lock: threading.Lock = field(default_factory=threading.Lock)

    def table(self) -> dict[int, Callable[[OperationRequest, bytes], Reply]]:
        """Operation code -> what does it."""
        return super().table() | {
            NikonOperation.CAPTURE_IN_SDRAM: self._capture_in_memory,
            NikonOperation.AF_CAPTURE_IN_SDRAM: self._capture_in_memory_with_af,
            NikonOperation.CAPTURE_IN_MEDIA: self._capture,
            NikonOperation.TERMINATE_CAPTURE: self._terminate,
            NikonOperation.AF_DRIVE: self._af_drive,
            NikonOperation.AF_DRIVE_CANCEL: self._accept,
            NikonOperation.CHANGE_AF_AREA: self._accept,
            NikonOperation.CHANGE_CAMERA_MODE: self._accept,
            NikonOperation.DELETE_IMAGE_SDRAM: self._delete_object,
            NikonOperation.GET_EVENT: self._get_event,
            NikonOperation.DEVICE_READY: self._device_ready,
            NikonOperation.GET_VENDOR_PROP_CODES: self._get_vendor_codes,
            NikonOperation.START_LIVE_VIEW: self._start_live_view,
            NikonOperation.END_LIVE_VIEW: self._end_live_view,
            NikonOperation.GET_LIVE_VIEW_IMAGE: self._get_live_view_image,
            NikonOperation.MF_DRIVE: self._mf_drive,
        }

    def device_info(self) -> DeviceInfo:
        """What the device says of itself: vendor properties are asked for apart."""
        return DeviceInfo(
            vendor_extension=NIKON_EXTENSION,
            vendor_description="",
            operations=sorted(self.table()),
            events=sorted(set(_EVENTS.values())),
            properties=sorted(code for code in self.properties if code < 0xD000),
            capture_formats=(ObjectFormat.EXIF_JPEG, ObjectFormat.DNG),
            image_formats=(ObjectFormat.EXIF_JPEG, ObjectFormat.DNG, ObjectFormat.ASSOCIATION),
            manufacturer=self.identity.manufacturer,
            model=self.identity.model,
            version=self.identity.version,
            serial_number=self.identity.serial_number,
        )

    def heard(self, happening: Happening, handle: int = 0) -> None:
        """Keep it until it is polled."""
        about = [handle]
        if happening is Happening.BATTERY_CHANGED:
            about = [Property.BATTERY_LEVEL, Property.NIKON_LIVE_VIEW_PROHIBIT]
        elif happening is Happening.MODE_CHANGED:
            about = [Property.EXPOSURE_PROGRAM]
        with self.events_lock:
            self.events.extend((_EVENTS[happening], number) for number in about)

    def _accept(self, _request: OperationRequest, _data: bytes) -> Reply:
        return Reply()

    def _get_vendor_codes(self, _request: OperationRequest, _data: bytes) -> Reply:
        return Reply(data=pack_array(sorted(code for code in self.properties if code >= 0xD000), "H"))

    def _get_event(self, _request: OperationRequest, _data: bytes) -> Reply:
        with self.events_lock:
            events = list(self.events)
            self.events.clear()
        listed = b"".join(struct.pack("<HI", code, handle) for code, handle in events)
        return Reply(data=struct.pack("<H", len(events)) + listed)

    def _device_ready(self, _request: OperationRequest, _data: bytes) -> Reply:
        readiness = self.body.readiness(_PATIENCE_S)
        codes: Mapping[Readiness, int] = {
            Readiness.READY: Response.OK,
            Readiness.BUSY: Response.DEVICE_BUSY,
            Readiness.BULB: Response.NIKON_BULB_RELEASE_BUSY,
        }
        return Reply(codes[readiness])

    def _capture(self, request: OperationRequest, _data: bytes) -> Reply:
        self.body.capture(in_memory=request.parameter(1) == 1, autofocus=request.parameter(0) != _WITHOUT_AF)
        return Reply()

    def _capture_in_memory(self, _request: OperationRequest, _data: bytes) -> Reply:
        self.body.capture(in_memory=True, autofocus=False)
        return Reply()

    def _capture_in_memory_with_af(self, _request: OperationRequest, _data: bytes) -> Reply:
        self.body.capture(in_memory=True, autofocus=True)
        return Reply()

    def _terminate(self, _request: OperationRequest, _data: bytes) -> Reply:
        self.body.terminate()
        return Reply()

    def _af_drive(self, _request: OperationRequest, _data: bytes) -> Reply:
        if self.body.faults.strike("out_of_focus"):
            return Reply(Response.NIKON_OUT_OF_FOCUS)
        return Reply()

    def _start_live_view(self, _request: OperationRequest, _data: bytes) -> Reply:
        self.body.start_live()
        return Reply()

    def _end_live_view(self, _request: OperationRequest, _data: bytes) -> Reply:
        self.body.end_live()
        return Reply()

    def _get_live_view_image(self, _request: OperationRequest, _data: bytes) -> Reply:
        return Reply(data=bytes(_LIVE_HEADER) + self.body.live_image())

    def _mf_drive(self, request: OperationRequest, _data: bytes) -> Reply:
        direction, steps = request.parameter(0), request.parameter(1)
        if direction not in (_NEARER, _FARTHER) or not 0 < steps <= 0x7FFF:
            return Reply(Response.INVALID_PARAMETER)
        self.body.drive_focus(steps if direction == _FARTHER else -steps)
        return Reply()
