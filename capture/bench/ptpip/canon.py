"""The dialect of Canon EOS bodies: everything they tell comes in one stream of events that is polled, properties too."""

from __future__ import annotations

import contextlib
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from capture.bench.ptpip.canon_wire import (
    CANON_EXTENSION,
    CARD,
    COMPUTER,
    END_OF_EVENTS,
    QUALITIES,
    RAW_FORMAT,
    TO_COMPUTER,
    CanonOperation,
    CanonProperty,
    added_record,
    battery_number,
    choices_of,
    choices_record,
    pack_quality,
    transfer_record,
    value_record,
)
from capture.bench.ptpip.codes import ObjectFormat, Response
from capture.bench.ptpip.datasets import DeviceInfo
from capture.bench.ptpip.happenings import Happening, Refusal, RefusedError
from capture.bench.ptpip.operations import Reply, StandardOperations
from capture.bench.ptpip.packets import OperationRequest

_FULL_PRESS = 2  # bit of the stages of the release button
_FAR = 0x8000
_MOTOR_STEPS = {1: 8, 2: 40, 3: 200}
_ZOOMS = (1, 5, 10)
_SHOTS_ON_COMPUTER = 9999


def _u32(value: int) -> bytes:
    return struct.pack("<I", value)


@dataclass
class CanonOperations(StandardOperations):
    """The standard operations and the dialect's own."""

    stream: bytearray = field(default_factory=bytearray)
    stream_lock: threading.Lock = field(default_factory=threading.Lock)
    choices: Mapping[CanonProperty, tuple[str, Mapping[object, int]]] = field(default_factory=dict)
    destination: int = CARD
    evf_output: int = 0

    def __post_init__(self) -> None:
        self.choices = choices_of(self.body.settings)

    def table(self) -> dict[int, Callable[[OperationRequest, bytes], Reply]]:
        """Operation code -> what does it."""
        return super().table() | {
            CanonOperation.GET_STORAGE_IDS: self._get_storage_ids,
            CanonOperation.GET_STORAGE_INFO: self._get_storage_info,
            CanonOperation.GET_OBJECT: self._get_object,
            CanonOperation.DELETE_OBJECT: self._delete_object,
            CanonOperation.GET_PARTIAL_OBJECT: self._get_partial_object,
            CanonOperation.SET_PROPERTY: self._set_canon_property,
            CanonOperation.SET_REMOTE_MODE: self._accept,
            CanonOperation.SET_EVENT_MODE: self._set_event_mode,
            CanonOperation.GET_EVENT: self._get_event,
            CanonOperation.TRANSFER_COMPLETE: self._transfer_complete,
            CanonOperation.PC_HDD_CAPACITY: self._pc_hdd_capacity,
            CanonOperation.SET_UI_LOCK: self._accept,
            CanonOperation.RESET_UI_LOCK: self._accept,
            CanonOperation.KEEP_DEVICE_ON: self._accept,
            CanonOperation.REQUEST_PROPERTY: self._accept,
            CanonOperation.REMOTE_RELEASE_ON: self._release_on,
            CanonOperation.REMOTE_RELEASE_OFF: self._release_off,
            CanonOperation.GET_VIEWFINDER_DATA: self._get_viewfinder_data,
            CanonOperation.DRIVE_LENS: self._drive_lens,
            CanonOperation.ZOOM: self._zoom,
            CanonOperation.ZOOM_POSITION: self._accept,
            CanonOperation.AF_CANCEL: self._accept,
        }

    def device_info(self) -> DeviceInfo:
        """What the device says of itself."""
        return DeviceInfo(
            vendor_extension=CANON_EXTENSION,
            vendor_description="",
            operations=sorted(self.table()),
            events=(),
            properties=sorted(self.properties),
            capture_formats=(ObjectFormat.EXIF_JPEG, RAW_FORMAT),
            image_formats=(ObjectFormat.EXIF_JPEG, RAW_FORMAT, ObjectFormat.ASSOCIATION),
            manufacturer=self.identity.manufacturer,
            model=self.identity.model,
            version=self.identity.version,
            serial_number=self.identity.serial_number,
        )

    # -- what it tells ------------------------------------------------------------------------------------------------
    def _tell(self, *records: bytes) -> None:
        with self.stream_lock:
            for record in records:
                self.stream += record

    def heard(self, happening: Happening, handle: int = 0) -> None:
        """Put it into the stream."""
        if happening is Happening.BATTERY_CHANGED:
            self._tell(self._value(CanonProperty.BATTERY_POWER))
        elif happening is Happening.MODE_CHANGED:
            self._tell(self._value(CanonProperty.EXPOSURE_MODE))
        elif happening in (Happening.FILE_ON_CARD, Happening.FILE_IN_MEMORY):
            info = self.body.storage.info(handle)
            if info is None:
                return
            kind = RAW_FORMAT if info.format == ObjectFormat.DNG else info.format
            record = added_record if happening is Happening.FILE_ON_CARD else transfer_record
            self._tell(record(handle, info, kind))

    def _value(self, code: CanonProperty) -> bytes:
        settings = self.body.settings
        if code in self.choices:
            key, numbers = self.choices[code]
            return value_record(code, _u32(numbers[getattr(settings, key)]))
        values: Mapping[CanonProperty, Callable[[], bytes]] = {
            CanonProperty.BATTERY_POWER: lambda: _u32(battery_number(self.body.battery_percent)),
            CanonProperty.CAMERA_TIME: lambda: _u32(int(time.time())),
            CanonProperty.AUTO_POWER_OFF: lambda: _u32(0),
            CanonProperty.AVAILABLE_SHOTS: lambda: _u32(_SHOTS_ON_COMPUTER),
            CanonProperty.CAPTURE_DESTINATION: lambda: _u32(self.destination),
            CanonProperty.IMAGE_FORMAT: lambda: pack_quality(settings.quality),
            CanonProperty.SERIAL_NUMBER: lambda: self.identity.serial_number.encode("ascii") + b"\0",
            CanonProperty.EVF_OUTPUT: lambda: _u32(self.evf_output),
        }
        return value_record(code, values[code]())

    def _all(self) -> list[bytes]:
        """Every property, and what it may be."""
        records = [self._value(code) for code in CanonProperty]
        for code, (_, numbers) in self.choices.items():
            # A body does not list its modes: they are on its dial.
            if code not in (CanonProperty.EXPOSURE_MODE, CanonProperty.FOCUS_MODE):
                records.append(choices_record(code, [_u32(number) for number in dict.fromkeys(numbers.values())]))
        records.append(choices_record(CanonProperty.IMAGE_FORMAT, [pack_quality(quality) for quality in QUALITIES]))
        records.append(choices_record(CanonProperty.CAPTURE_DESTINATION, [_u32(CARD), _u32(COMPUTER)]))
        records.append(choices_record(CanonProperty.EVF_OUTPUT, [_u32(value) for value in range(4)]))
        return records

    def _set_event_mode(self, request: OperationRequest, _data: bytes) -> Reply:
        if request.parameter(0):
            self._tell(*self._all())
        return Reply()

    def _get_event(self, _request: OperationRequest, _data: bytes) -> Reply:
        with self.stream_lock:
            told = bytes(self.stream)
            self.stream.clear()
        return Reply(data=told + END_OF_EVENTS)

    # -- what it is told ----------------------------------------------------------------------------------------------
    def _accept(self, _request: OperationRequest, _data: bytes) -> Reply:
        return Reply()

    def _set_canon_property(self, _request: OperationRequest, data: bytes) -> Reply:
        if self.body.faults.strike("access_denied", on=("settings",)):
            return Reply(Response.ACCESS_DENIED)
        if self.body.faults.strike("access_denied", on=("settings_silently",)):
            return Reply()
        if self.body.faults.look("busy", on=("any",)):
            return Reply(Response.DEVICE_BUSY)
        if len(data) < 12:
            return Reply(Response.INVALID_DEVICE_PROP_FORMAT)
        _, number, value = struct.unpack_from("<III", data)
        if number not in set(CanonProperty):
            return Reply(Response.DEVICE_PROP_NOT_SUPPORTED)
        code = CanonProperty(number)
        if not self._change(code, value, data[8:]):
            return Reply(Response.INVALID_DEVICE_PROP_VALUE)
        self._tell(self._value(code))
        return Reply()

    def _change(self, code: CanonProperty, value: int, data: bytes) -> bool:
        if code is CanonProperty.IMAGE_FORMAT:
            quality = next((known for known in QUALITIES if data.startswith(pack_quality(known))), None)
            if quality is not None:
                self.body.change("quality", quality)
            return quality is not None
        if code is CanonProperty.CAPTURE_DESTINATION:
            self.destination = value
            return value in (CARD, COMPUTER)
        if code is CanonProperty.EVF_OUTPUT:
            self._switch_live_view(value)
            return True
        if code not in self.choices or code is CanonProperty.FOCUS_MODE:
            return False
        key, numbers = self.choices[code]
        meaning = next((meaning for meaning, number in numbers.items() if number == value), None)
        if meaning is not None:
            self.body.change(key, meaning)
        return meaning is not None

    def _switch_live_view(self, output: int) -> None:
        if output & TO_COMPUTER:
            self.body.start_live()
        else:
            self.body.end_live()
        self.evf_output = output

    def _pc_hdd_capacity(self, _request: OperationRequest, _data: bytes) -> Reply:
        self._tell(self._value(CanonProperty.AVAILABLE_SHOTS))
        return Reply()

    # -- pictures -----------------------------------------------------------------------------------------------------
    def _release_on(self, request: OperationRequest, _data: bytes) -> Reply:
        if request.parameter(0) & _FULL_PRESS:
            self.body.capture(in_memory=self.destination == COMPUTER, autofocus=request.parameter(1) == 0)
        return Reply()

    def _release_off(self, request: OperationRequest, _data: bytes) -> Reply:
        if request.parameter(0) & _FULL_PRESS:
            with contextlib.suppress(RefusedError):  # a button may be let go at any time
                self.body.terminate()
        return Reply()

    def _transfer_complete(self, request: OperationRequest, _data: bytes) -> Reply:
        self.body.fetched(request.parameter(0))
        return Reply()

    def _get_viewfinder_data(self, _request: OperationRequest, _data: bytes) -> Reply:
        try:
            jpeg = self.body.live_image()
        except RefusedError as refused:
            return Reply(Response.CANON_NOT_READY if refused.why is Refusal.NOT_LIVE else Response.DEVICE_BUSY)
        return Reply(data=struct.pack("<II", 8 + len(jpeg), 1) + jpeg)

    def _drive_lens(self, request: OperationRequest, _data: bytes) -> Reply:
        order = request.parameter(0)
        steps = _MOTOR_STEPS.get(order & ~_FAR)
        if steps is None:
            return Reply(Response.INVALID_PARAMETER)
        try:
            self.body.drive_focus(steps if order & _FAR else -steps)
        except RefusedError as refused:
            if refused.why is not Refusal.END_OF_TRAVEL:  # of which these bodies say nothing
                raise
        return Reply()

    def _zoom(self, request: OperationRequest, _data: bytes) -> Reply:
        if request.parameter(0) not in _ZOOMS:
            return Reply(Response.INVALID_PARAMETER)
        self.body.change("magnify", request.parameter(0))
        return Reply()
