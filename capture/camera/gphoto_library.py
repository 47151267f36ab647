"""Two ways into libgphoto2 beside its Python binding: widget values without a crash, and the reasons in its log."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import gphoto2 as gp

from capture.camera.roles import Setting

_TEXT_KINDS = {gp.GP_WIDGET_TEXT, gp.GP_WIDGET_RADIO, gp.GP_WIDGET_MENU}
_EVENTS = ("UNKNOWN", "FILE_ADDED", "FOLDER_ADDED", "CAPTURE_COMPLETE", "FILE_CHANGED")
_KIND_NAMES = {
    gp.GP_WIDGET_TEXT: "text",
    gp.GP_WIDGET_RANGE: "range",
    gp.GP_WIDGET_TOGGLE: "toggle",
    gp.GP_WIDGET_RADIO: "radio",
    gp.GP_WIDGET_MENU: "menu",
    gp.GP_WIDGET_BUTTON: "button",
    gp.GP_WIDGET_DATE: "date",
}
# Response codes of PTP (ISO 15740) and of its vendors for which libgphoto2 has no result code of its own.
_PTP_REASONS = {
    0x200C: "PTP Store Full",
    0x200D: "PTP Object Write Protected",
    0x200E: "PTP Store Read Only",
    0x200F: "PTP Access Denied",
    0x2013: "PTP Store Not Available",
    0x2019: "PTP Device Busy",
    0x201D: "PTP Invalid Parameter",
    0xA002: "PTP Out of Focus",
    0xA004: "PTP Invalid Status",
    0xA006: "PTP WB Reset Error",
    0xA008: "PTP Shutter Speed Bulb",
    0xA00A: "PTP Mirror Up Sequence",
    0xA00C: "PTP Focus Drive At Limit",
    0xA00E: "PTP Focus Drive Step Too Small",
    0xA00B: "PTP Not Live View",
}
BUSY_REASON = _PTP_REASONS[0x2019]
# Operations of PTP, Nikon and Canon that open the shutter.
_RELEASES = {0x100E, 0x101C, 0x901A, 0x90C0, 0x90CB, 0x9207, 0x910F, 0x9128}
_SENT = re.compile(rb"Sending PTP_OC 0x([0-9a-f]{4})\b")
_RESPONSE = re.compile(rb"(?:result=|response |\()0x([0-9a-f]{4})\b")
_CLOSED = re.compile(rb"End of stream|[Cc]onnection reset|[Bb]roken pipe")
_LOG_ERROR, _LOG_DEBUG = 0, 2


class PortLog:
    """Listens to the library's log for the camera's last response code: many refusals leave the library without their reason.

    The wheel brings the library twice (one for the binding, one for the camera drivers): both are listened to.
    """

    def __init__(self) -> None:
        self.last_code = 0
        self._closed = False
        self._operation = 0
        self._release_code = 0
        prototype = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
        self._callback = prototype(self._on_line)
        self._libraries: dict[str, ctypes.CDLL] = {}

    def _on_line(self, _level: int, _domain: bytes, text: bytes, _data: object) -> None:
        self._closed |= _CLOSED.search(text) is not None
        if found := _SENT.match(text):
            self._operation = int(found[1], 16)
            if self._operation in _RELEASES:
                self._release_code = 0
        elif found := _RESPONSE.search(text):
            self.last_code = int(found[1], 16)
            if self._operation in _RELEASES:
                self._release_code = self.last_code

    def _loaded(self) -> list[ctypes.CDLL]:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
        for path in set(re.findall(r"\S*libgphoto2_port\S*", maps)) - set(self._libraries):
            self._libraries[path] = ctypes.CDLL(path)
        return list(self._libraries.values())

    def watch(self) -> None:
        """Note from now on when the library says that the connection was closed, which it reports as any failure."""
        for library in self._loaded():
            library.gp_log_add_func(_LOG_ERROR, self._callback, None)

    def forget(self) -> None:
        """A new call begins."""
        self.last_code = 0
        self._closed = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Note response codes meanwhile."""
        self.last_code = self._operation = self._release_code = 0
        handles = [(library, library.gp_log_add_func(_LOG_DEBUG, self._callback, None)) for library in self._loaded()]
        try:
            yield
        finally:
            for library, handle in handles:
                library.gp_log_remove_func(handle)

    def reason(self) -> str:
        """The last response in words; empty where it was none of the refusals."""
        if self._closed:
            return "connection closed"
        return _PTP_REASONS.get(self.last_code, "")

    def unreleased(self) -> str:
        """Why the camera did not take the last order to release since it listens, in words; empty where it took it.

        libgphoto2 repeats an order that was refused, and gives up without an error.
        """
        return _PTP_REASONS.get(self._release_code, "")


class Widgets:
    """Reads widget values through the C library; a widget without a value is empty text instead of a crash."""

    def __init__(self) -> None:
        library = ctypes.CDLL(importlib.import_module("gphoto2._widget").__file__ or "")
        self._get_value = library.gp_widget_get_value
        self._get_value.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self._get_value.restype = ctypes.c_int

    def value(self, widget: gp.CameraWidget) -> str:
        """The widget's value as text; empty where it has none."""
        kind = widget.get_type()
        cell: ctypes.c_char_p | ctypes.c_float | ctypes.c_int
        if kind in _TEXT_KINDS:
            cell = ctypes.c_char_p()
        elif kind == gp.GP_WIDGET_RANGE:
            cell = ctypes.c_float()
        elif kind in {gp.GP_WIDGET_TOGGLE, gp.GP_WIDGET_DATE}:
            cell = ctypes.c_int()
        else:
            return ""
        if self._get_value(int(widget.this), ctypes.byref(cell)) < 0 or cell.value is None:
            return ""
        if isinstance(cell.value, bytes):
            return cell.value.decode("utf-8", "replace")
        return f"{cell.value:g}" if isinstance(cell.value, float) else str(cell.value)

    def setting(self, widget: gp.CameraWidget, path: str) -> Setting:
        """The widget as an entry of the configuration."""
        kind = widget.get_type()
        listed = kind in {gp.GP_WIDGET_RADIO, gp.GP_WIDGET_MENU}
        return Setting(
            path=path,
            label=widget.get_label() or "",
            kind=_KIND_NAMES.get(kind, ""),
            value=self.value(widget),
            choices=tuple(widget.get_choice(i) for i in range(widget.count_choices())) if listed else (),
            read_only=bool(widget.get_readonly()),
            bounds=tuple(widget.get_range()) if kind == gp.GP_WIDGET_RANGE else None,
        )


def event_text(kind: int, data: object) -> str:
    """An event of the camera in words: its kind, and the file or the property that it tells of."""
    name = next((name for name in _EVENTS if getattr(gp, f"GP_EVENT_{name}", None) == kind), str(kind))
    path = f"{data.folder.rstrip('/')}/{data.name}" if hasattr(data, "folder") and hasattr(data, "name") else data
    return f"{name.lower()} {'' if path is None else path}".strip()
