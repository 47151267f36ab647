"""PTP's standard operations on a body; a maker's dialect extends them."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from capture.bench.ptpip.body import CameraBody
from capture.bench.ptpip.codes import Operation, Response
from capture.bench.ptpip.datasets import DatasetError, DeviceInfo, pack_array, pack_value, unpack_value
from capture.bench.ptpip.happenings import Happening, Refusal, RefusedError
from capture.bench.ptpip.packets import OperationRequest
from capture.bench.ptpip.properties import WireProperty

_log = logging.getLogger(__name__)

REFUSALS: Mapping[Refusal, int] = {
    Refusal.BUSY: Response.DEVICE_BUSY,
    Refusal.STORE_FULL: Response.STORE_FULL,
    Refusal.OUT_OF_FOCUS: Response.NIKON_OUT_OF_FOCUS,
    Refusal.ACCESS_DENIED: Response.ACCESS_DENIED,
    Refusal.NOT_LIVE: Response.NIKON_NOT_LIVE_VIEW,
    Refusal.NOT_EXPOSING: Response.CAPTURE_ALREADY_TERMINATED,
    Refusal.BATTERY: Response.GENERAL_ERROR,
    Refusal.MODE: Response.DEVICE_BUSY,
    Refusal.NO_CARD: Response.STORE_NOT_AVAILABLE,
    Refusal.END_OF_TRAVEL: Response.NIKON_MF_DRIVE_STEP_END,
}


@dataclass(frozen=True, slots=True)
class Reply:
    """How an operation ended, and the data it sends before saying so.

    `data` are sent whole; `handle` names an object whose bytes from `offset` (`count` of them) are sent at the link's
    speed instead, and which is told to the body as fetched where they reach its end.
    """

    code: int = Response.OK
    parameters: tuple[int, ...] = ()
    data: bytes | None = None
    handle: int = 0
    offset: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the camera says it is."""

    manufacturer: str
    model: str
    serial_number: str
    version: str = "1.0"


class Push(Protocol):
    """Sends one event on the event connection; from any thread, and without an error where there is no connection."""

    def __call__(self, code: int, parameter: int) -> None:
        """`parameter` is the event's first: an object's handle, a property's code."""


class Dialect(Protocol):
    """What the responder asks of a maker's way of speaking."""

    def operate(self, request: OperationRequest, data: bytes) -> Reply:
        """Do one operation; `data` are what the initiator sent with it. Never raises."""

    def end(self) -> None:
        """The link is gone: the session ends, whatever state it is in."""


@dataclass
class StandardOperations(ABC):
    """The operations every camera has; a dialect is made of it. One object serves one connection."""

    body: CameraBody
    identity: Identity
    properties: Mapping[int, WireProperty]
    push: Push
    session: int = 0
    refusals: ClassVar[Mapping[Refusal, int]] = REFUSALS

    def operate(self, request: OperationRequest, data: bytes) -> Reply:
        """Do one operation. Never raises."""
        action = self.table().get(request.code)
        if action is None:
            return Reply(Response.OPERATION_NOT_SUPPORTED)
        if not self.session and request.code not in (Operation.GET_DEVICE_INFO, Operation.OPEN_SESSION):
            return Reply(Response.SESSION_NOT_OPEN)
        try:
            return action(request, data)
        except RefusedError as refused:
            return Reply(self.refusals[refused.why])
        except Exception:  # noqa: BLE001 - whatever the imager raises, the initiator gets an answer
            _log.exception("operation 0x%04x failed", request.code)
            return Reply(Response.GENERAL_ERROR)

    def table(self) -> dict[int, Callable[[OperationRequest, bytes], Reply]]:
        """Operation code -> what does it."""
        return {
            Operation.GET_DEVICE_INFO: self._get_device_info,
            Operation.OPEN_SESSION: self._open_session,
            Operation.CLOSE_SESSION: self._close_session,
            Operation.GET_STORAGE_IDS: self._get_storage_ids,
            Operation.GET_STORAGE_INFO: self._get_storage_info,
            Operation.GET_NUM_OBJECTS: self._get_num_objects,
            Operation.GET_OBJECT_HANDLES: self._get_object_handles,
            Operation.GET_OBJECT_INFO: self._get_object_info,
            Operation.GET_OBJECT: self._get_object,
            Operation.GET_THUMB: self._get_thumb,
            Operation.DELETE_OBJECT: self._delete_object,
            Operation.INITIATE_CAPTURE: self._initiate_capture,
            Operation.GET_DEVICE_PROP_DESC: self._get_property_description,
            Operation.GET_DEVICE_PROP_VALUE: self._get_property,
            Operation.SET_DEVICE_PROP_VALUE: self._set_property,
            Operation.GET_PARTIAL_OBJECT: self._get_partial_object,
        }

    def end(self) -> None:
        """The link is gone: the session ends."""
        if self.session:
            self.session = 0
            self.body.attach(None)

    @abstractmethod
    def device_info(self) -> DeviceInfo:
        """What the device says of itself."""

    @abstractmethod
    def heard(self, happening: Happening, handle: int = 0) -> None:
        """The body tells something: a dialect puts it in words of its own."""

    # -- session ----------------------------------------------------------------------------------------------------
    def _get_device_info(self, _request: OperationRequest, _data: bytes) -> Reply:
        return Reply(data=self.device_info().encode())

    def _open_session(self, request: OperationRequest, _data: bytes) -> Reply:
        wanted = request.parameter(0)
        if wanted == 0:
            return Reply(Response.INVALID_PARAMETER)
        if self.session:
            return Reply(Response.SESSION_ALREADY_OPEN, (self.session,))
        self.session = wanted
        self.body.attach(self.heard)
        return Reply()

    def _close_session(self, _request: OperationRequest, _data: bytes) -> Reply:
        self.end()
        return Reply()

    # -- storage ----------------------------------------------------------------------------------------------------
    def _get_storage_ids(self, _request: OperationRequest, _data: bytes) -> Reply:
        ids = self.body.storage.storage_ids() if self.body.faults.look("no_card") is None else []
        return Reply(data=pack_array(ids, "I"))

    def _get_storage_info(self, request: OperationRequest, _data: bytes) -> Reply:
        info = self.body.storage.storage_info(request.parameter(0))
        if info is None:
            return Reply(Response.INVALID_STORAGE_ID)
        full = self.body.faults.look("store_full")
        if full and full["target"] in ("card", "both"):
            info = type(info)(info.capacity_bytes, 0, 0, info.label)
        return Reply(data=info.encode())

    def _listed(self, request: OperationRequest) -> Sequence[int] | None:
        return self.body.storage.handles(request.parameter(0), request.parameter(1), request.parameter(2))

    def _get_num_objects(self, request: OperationRequest, _data: bytes) -> Reply:
        handles = self._listed(request)
        return Reply(Response.INVALID_STORAGE_ID) if handles is None else Reply(parameters=(len(handles),))

    def _get_object_handles(self, request: OperationRequest, _data: bytes) -> Reply:
        handles = self._listed(request)
        return Reply(Response.INVALID_STORAGE_ID) if handles is None else Reply(data=pack_array(handles, "I"))

    def _get_object_info(self, request: OperationRequest, _data: bytes) -> Reply:
        info = self.body.storage.info(request.parameter(0))
        return Reply(Response.INVALID_OBJECT_HANDLE) if info is None else Reply(data=info.encode())

    def _get_object(self, request: OperationRequest, _data: bytes) -> Reply:
        return self._transfer(request.parameter(0), 0, -1)

    def _get_partial_object(self, request: OperationRequest, _data: bytes) -> Reply:
        return self._transfer(request.parameter(0), request.parameter(1), request.parameter(2))

    def _transfer(self, handle: int, offset: int, wanted: int) -> Reply:
        info = self.body.storage.info(handle)
        if info is None:
            return Reply(Response.INVALID_OBJECT_HANDLE)
        if self.body.faults.strike("access_denied", on=("transfer",)):
            return Reply(Response.ACCESS_DENIED)
        rest = max(info.size_bytes - offset, 0)
        count = rest if wanted < 0 else min(rest, wanted)
        return Reply(parameters=() if wanted < 0 else (count,), handle=handle, offset=offset, count=count)

    def _get_thumb(self, request: OperationRequest, _data: bytes) -> Reply:
        if self.body.storage.info(request.parameter(0)) is None:
            return Reply(Response.INVALID_OBJECT_HANDLE)
        thumb = self.body.storage.thumb(request.parameter(0))
        return Reply(Response.NO_THUMBNAIL_PRESENT) if thumb is None else Reply(data=thumb)

    def _delete_object(self, request: OperationRequest, _data: bytes) -> Reply:
        done = self.body.storage.delete(request.parameter(0))
        return Reply(Response.OK if done else Response.INVALID_OBJECT_HANDLE)

    def _initiate_capture(self, _request: OperationRequest, _data: bytes) -> Reply:
        self.body.capture(in_memory=False, autofocus=True)
        return Reply()

    # -- properties -------------------------------------------------------------------------------------------------
    def _get_property_description(self, request: OperationRequest, _data: bytes) -> Reply:
        item = self.properties.get(request.parameter(0))
        if item is None:
            return Reply(Response.DEVICE_PROP_NOT_SUPPORTED)
        return Reply(data=item.describe(self.body).encode())

    def _get_property(self, request: OperationRequest, _data: bytes) -> Reply:
        item = self.properties.get(request.parameter(0))
        if item is None:
            return Reply(Response.DEVICE_PROP_NOT_SUPPORTED)
        return Reply(data=pack_value(item.read(self.body), item.kind))

    def _set_property(self, request: OperationRequest, data: bytes) -> Reply:
        item = self.properties.get(request.parameter(0))
        if item is None:
            return Reply(Response.DEVICE_PROP_NOT_SUPPORTED)
        if not item.writable or self.body.faults.strike("access_denied", on=("settings",)):
            return Reply(Response.ACCESS_DENIED)
        if self.body.faults.strike("access_denied", on=("settings_silently",)):
            return Reply()
        if self.body.faults.look("busy", on=("any",)):
            return Reply(Response.DEVICE_BUSY)
        try:
            value = unpack_value(data, item.kind)
        except DatasetError:
            return Reply(Response.INVALID_DEVICE_PROP_FORMAT)
        if not item.write(self.body, value):
            return Reply(Response.INVALID_DEVICE_PROP_VALUE)
        return Reply()
