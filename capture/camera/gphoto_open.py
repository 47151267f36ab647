"""libgphoto2 opened: one camera behind calls whose errors carry the library's reasons, and the events that it tells."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator

import gphoto2 as gp

from capture.camera.gphoto_library import PortLog, Widgets, event_text
from capture.camera.wire import DetectedCamera, OpenedCamera

_NETWORK_MODEL = "PTP/IP Camera"


class DriverError(Exception):
    """A failed call: libgphoto2's result code (negative), its words, and the reasons its callbacks gave."""

    def __init__(self, code: int, text: str, reasons: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.reasons = reasons


class OpenLibrary:
    """The library, and a camera that is open in it; see `capture.camera.gphoto.GphotoDriver`."""

    def __init__(self) -> None:
        self._reasons: list[str] = []
        self._context = gp.Context()
        # The binding drops a callback whose handle is not kept.
        self._callbacks = [
            self._context.set_error_func(self._on_reason, None),
            self._context.set_message_func(self._on_reason, None),
        ]
        self._widgets = Widgets()
        self._log = PortLog()
        self._camera: gp.Camera | None = None
        self._late: list[str] = []
        self._complete = False  # whether the camera has said so since the last release
        self._heard_s = 0.0
        self.heard: deque[str] = deque(maxlen=200)  # events since the child last passed them on

    def _on_reason(self, _context: object, text: bytes | str, *_data: object) -> None:
        words = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        self._reasons.append(words.strip())

    @contextlib.contextmanager
    def _calls(self) -> Iterator[gp.Camera]:
        """The open camera; errors of the library leave as `DriverError` with the reasons that came meanwhile."""
        if self._camera is None:
            raise DriverError(gp.GP_ERROR_BAD_PARAMETERS, "No camera is open.")
        with self._mapped():
            yield self._camera

    @contextlib.contextmanager
    def _mapped(self) -> Iterator[None]:
        self._reasons.clear()
        self._log.forget()
        try:
            yield
        except gp.GPhoto2Error as error:
            reasons = [reason for reason in (*self._reasons, self._log.reason()) if reason]
            raise DriverError(error.code, error.string, tuple(dict.fromkeys(reasons))) from None

    def detect(self) -> list[DetectedCamera]:
        """Cameras on the USB."""
        with self._mapped():
            ports, abilities = self._lists()
            found = abilities.detect(ports, self._context)
            return [DetectedCamera(found.get_name(i), found.get_value(i)) for i in range(found.count())]

    def _lists(self) -> tuple[gp.PortInfoList, gp.CameraAbilitiesList]:
        ports, abilities = gp.PortInfoList(), gp.CameraAbilitiesList()
        ports.load()
        abilities.load(self._context)
        return ports, abilities

    def open(self, port: str | None) -> OpenedCamera:
        """Claim the camera at `port` (``usb:001,004``, ``ptpip:HOST:PORT:PORT``), or the first on the USB where None."""
        camera = gp.Camera()
        with self._mapped():
            ports, abilities = self._lists()
            model, address = self._model_at(port, ports, abilities)
            camera.set_port_info(ports[ports.lookup_path(address)])
            camera.set_abilities(abilities[abilities.lookup_model(model)])
            with self._log.listening():
                camera.init(self._context)
        self._camera = camera
        self._log.watch()
        return OpenedCamera(model, address)

    def _model_at(self, port: str | None, ports: gp.PortInfoList, abilities: gp.CameraAbilitiesList) -> tuple[str, str]:
        if port is not None and port.startswith("ptpip:"):
            return _NETWORK_MODEL, port
        found = abilities.detect(ports, self._context)
        for i in range(found.count()):
            if port in {None, "usb:", found.get_value(i)}:
                return found.get_name(i), found.get_value(i)
        raise DriverError(gp.GP_ERROR_MODEL_NOT_FOUND, "No camera answers there.")

    def drain(self, limit_s: float) -> list[str]:
        """Let the camera tell what it has to tell, until it is quiet or `limit_s` is over (some bodies repeat their settings for ever).

        Returns the paths of files that nobody asked for.
        """
        strays: list[str] = []
        end = time.monotonic() + limit_s
        with self._calls() as camera:
            while time.monotonic() < end:
                kind, data = self._event(camera, 1)
                if kind == gp.GP_EVENT_FILE_ADDED:
                    strays.append(_path_of(data))
                elif kind == gp.GP_EVENT_TIMEOUT:
                    break
        return strays

    def refresh(self, limit_s: float) -> None:
        """As `drain`, so that what is read next is new: some bodies tell their settings in their events only."""
        self._late += self.drain(limit_s)

    def next_file(self, wait_s: float) -> str | None:
        """Path of the next file within `wait_s`; None where none came."""
        end = time.monotonic() + wait_s
        with self._calls() as camera:
            while True:
                left_ms = max(1, int((end - time.monotonic()) * 1000))
                kind, data = self._event(camera, left_ms)
                if kind == gp.GP_EVENT_FILE_ADDED:
                    return _path_of(data)
                if time.monotonic() >= end:
                    return None

    def wait_event(self, wait_ms: int) -> None:
        """Wait until the camera tells something, or `wait_ms` are over."""
        with self._calls() as camera:
            self._event(camera, wait_ms)

    def confirmed(self, name: str, value: str, wait_s: float) -> bool:
        """Whether the camera itself tells, within `wait_s`, that its entry `name` has become `value`."""
        end = time.monotonic() + wait_s
        with self._calls() as camera:
            while (left_s := end - time.monotonic()) > 0:
                kind, data = self._event(camera, max(1, int(left_s * 1000)))
                if kind == gp.GP_EVENT_FILE_ADDED:
                    self._late.append(_path_of(data))
                elif isinstance(data, str) and f'"{name}" to "{value}"' in data:
                    return True
        return False

    def _event(self, camera: gp.Camera, wait_ms: int) -> tuple[int, object]:
        """The camera's next event; it is remembered for the session's log."""
        kind, data = camera.wait_for_event(wait_ms, self._context)
        if kind != gp.GP_EVENT_TIMEOUT:
            self.heard.append(event_text(kind, data))
        if kind in {gp.GP_EVENT_FILE_ADDED, gp.GP_EVENT_CAPTURE_COMPLETE}:
            self._complete |= kind == gp.GP_EVENT_CAPTURE_COMPLETE
            self._heard_s = time.monotonic()
        return kind, data

    def _quiet_s(self) -> float:
        """How long the camera has told of no file, after it said that its shot was complete; 0 before."""
        return time.monotonic() - self._heard_s if self._complete else 0.0

    def close(self) -> None:
        """Release the camera; idempotent."""
        camera, self._camera = self._camera, None
        if camera is not None:
            with contextlib.suppress(gp.GPhoto2Error):
                camera.exit(self._context)


def _path_of(data: object) -> str:
    return f"{str(data.folder).rstrip('/')}/{data.name}"  # type: ignore[attr-defined]
