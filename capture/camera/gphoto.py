"""libgphoto2 itself: the one module that calls it, run by one thread of a child process.

What this module keeps from its callers: values of configuration widgets are read through the C library, because the binding takes down
the process where a camera reports no value; a downloaded file goes straight to a file descriptor, because the binding's buffers own
nothing; the reasons of an error come only through callbacks of the context, as bytes.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gphoto2 as gp

from capture.camera.gphoto_library import PortLog, Widgets, event_text
from capture.camera.readiness import Store
from capture.camera.roles import Setting
from capture.camera.wire import (
    SHOT_ADDED,
    SHOT_STORED,
    SHOT_TRIGGERED,
    SHOT_TRIGGERING,
    Collected,
    DetectedCamera,
    FetchedFile,
    OpenedCamera,
    Progress,
    Report,
    ShotOrder,
)

_BUSY_PAUSE_MS = 50
_DRAIN_S = 0.15
_ABANDON_S = 1.0
_UNKNOWN_QUIET_S = 2.0
_REFUSED_S = 5.0
# What a disk that took a file in part must still take to be believed that it is not full.
_MORE_BYTES = 1 << 16
_NETWORK_MODEL = "PTP/IP Camera"


class DriverError(Exception):
    """A failed call: libgphoto2's result code (negative), its words, and the reasons its callbacks gave."""

    def __init__(self, code: int, text: str, reasons: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.reasons = reasons


class GphotoDriver:
    """One camera through libgphoto2. Not for several threads. Every method raises `DriverError` or `OSError`.

    After a `DriverError` that the link caused (lost, timeout) the instance is spent: a `gp.Camera` is never used again after that.
    """

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
        self._log.last_code = 0
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
        return OpenedCamera(model, address)

    def _model_at(self, port: str | None, ports: gp.PortInfoList, abilities: gp.CameraAbilitiesList) -> tuple[str, str]:
        if port is not None and port.startswith("ptpip:"):
            return _NETWORK_MODEL, port
        found = abilities.detect(ports, self._context)
        for i in range(found.count()):
            if port in {None, "usb:", found.get_value(i)}:
                return found.get_name(i), found.get_value(i)
        raise DriverError(gp.GP_ERROR_MODEL_NOT_FOUND, "No camera answers there.")

    def tree(self) -> list[Setting]:
        """The whole configuration."""
        with self._calls() as camera:
            return list(self._leaves(camera.get_config(self._context), ""))

    def _leaves(self, widget: gp.CameraWidget, above: str) -> Iterator[Setting]:
        path = f"{above}/{widget.get_name()}"
        if widget.get_type() not in {gp.GP_WIDGET_WINDOW, gp.GP_WIDGET_SECTION}:
            yield self._widgets.setting(widget, path)
            return
        for i in range(widget.count_children()):
            yield from self._leaves(widget.get_child(i), path)

    def read(self, path: str) -> Setting:
        """One entry as it stands now."""
        with self._calls() as camera:
            return self._widgets.setting(camera.get_single_config(path.rpartition("/")[2], self._context), path)

    def write(self, path: str, value: str) -> Setting:
        """Write one entry and read it back."""
        name = path.rpartition("/")[2]
        with self._calls() as camera:
            widget = camera.get_single_config(name, self._context)
            kind = widget.get_type()
            if kind == gp.GP_WIDGET_RANGE:
                widget.set_value(float(value))
            elif kind in {gp.GP_WIDGET_TOGGLE, gp.GP_WIDGET_DATE}:
                widget.set_value(int(value))
            else:
                widget.set_value(value)
            with self._log.listening():
                camera.set_single_config(name, widget, self._context)
            return self._widgets.setting(camera.get_single_config(name, self._context), path)

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

    def shoot(self, order: ShotOrder, report: Report) -> Collected:
        """Release, and download each file as it comes, until all are here or the deadlines say that no more will come.

        Fewer files than expected are not an error here: the caller judges.
        """
        strays = self._clear(_DRAIN_S, erase=order.erase)
        report(Progress(SHOT_TRIGGERING))
        self._release(order)
        refusal = self._log.refusal()
        report(Progress(SHOT_TRIGGERED))
        try:
            files = self._collect(
                replace(order, first_file_s=min(_REFUSED_S, order.first_file_s)) if refusal else order, report
            )
        except DriverError:
            # What else belongs to this shot must not be taken for a part of the next one.
            with contextlib.suppress(DriverError):
                self._abandon(order)
            raise
        return Collected(tuple(files), tuple(strays), refusal)

    def _clear(self, limit_s: float, *, erase: bool) -> list[str]:
        strays = [*self._late, *self.drain(limit_s)]
        self._late.clear()
        for stray in strays if erase else []:
            self._erase(stray)
        return strays

    def _abandon(self, order: ShotOrder) -> None:
        """Wait a moment for the files of a shot that failed, and drop them."""
        end = time.monotonic() + _ABANDON_S
        while (added := self._next_file(end - time.monotonic())) is not None:
            if order.erase:
                self._erase(added)

    def _collect(self, order: ShotOrder, report: Report) -> list[FetchedFile]:
        files: list[FetchedFile] = []
        names: set[str] = set()
        end = time.monotonic() + order.exposure_s + order.first_file_s
        while time.monotonic() < end:
            done = order.expected is not None and len(files) >= order.expected
            wait_s = order.quiet_s if done else min(0.5, max(0.001, end - time.monotonic()))
            added = self._next_file(wait_s)
            if added is None:
                if done:
                    break
                continue
            # A body with two cards in backup mode announces every picture twice.
            if (name := added.rpartition("/")[2]) in names:
                continue
            names.add(name)
            report(Progress(SHOT_ADDED, added))
            fetched = self._download(added, order.folder, f".{order.stem}.{len(files)}.part")
            report(Progress(SHOT_STORED, fetched.temporary))  # who looks at it does so while the disk works
            _sync(Path(fetched.temporary))
            files.append(fetched)
            if order.erase:
                self._erase(added)
            end = time.monotonic() + (order.next_file_s if order.expected is not None else _UNKNOWN_QUIET_S)
        return files

    def _next_file(self, wait_s: float) -> str | None:
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

    def _release(self, order: ShotOrder) -> None:
        end = time.monotonic() + order.first_file_s
        while True:
            try:
                if order.bulb_s is None:
                    with self._calls() as camera, self._log.listening():
                        camera.trigger_capture(self._context)
                else:
                    self._expose_bulb(order.bulb_s)
            except DriverError as error:
                if error.code != gp.GP_ERROR_CAMERA_BUSY or time.monotonic() >= end:
                    raise
                self.wait_event(_BUSY_PAUSE_MS)
            else:
                return

    def wait_event(self, wait_ms: int) -> None:
        """Wait until the camera tells something, or `wait_ms` are over."""
        with self._calls() as camera:
            self._event(camera, wait_ms)

    def _event(self, camera: gp.Camera, wait_ms: int) -> tuple[int, object]:
        """The camera's next event; it is remembered for the session's log."""
        kind, data = camera.wait_for_event(wait_ms, self._context)
        if kind != gp.GP_EVENT_TIMEOUT:
            self.heard.append(event_text(kind, data))
        return kind, data

    def _expose_bulb(self, bulb_s: float) -> None:
        """Hold the shutter with the entry that this maker has for it; it is let go on every way out."""
        held = [("/main/actions/bulb", "1", "0"), ("/main/actions/eosremoterelease", "Press Full", "Release Full")]
        for path, press, release in held:
            try:
                self.write(path, press)
            except DriverError:
                continue
            try:
                time.sleep(bulb_s)  # the exposure itself
            finally:
                self.write(path, release)
            return
        raise DriverError(gp.GP_ERROR_NOT_SUPPORTED, "This camera takes no order to hold its shutter open.")

    def fetch(self, camera_path: str, folder: str, name: str) -> FetchedFile:
        """Download one file to ``folder/name``, complete and fsynced; nothing is left there where it fails."""
        fetched = self._download(camera_path, folder, name)
        _sync(Path(fetched.temporary))
        return fetched

    def _download(self, camera_path: str, folder: str, name: str) -> FetchedFile:
        where, what = _split(camera_path)
        target = Path(folder) / name
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            try:
                told = self._told_size(where, what)
                try:
                    with self._calls() as camera:
                        # libgphoto2 closes the descriptor that it is given.
                        file = gp.CameraFile(os.dup(descriptor))
                        camera.file_get(where, what, gp.GP_FILE_TYPE_NORMAL, file, self._context)
                        del file
                except DriverError:
                    _require_disk(descriptor)
                    raise
                size = os.fstat(descriptor).st_size
                if told not in {None, 0, 0xFFFFFFFF, size}:
                    raise DriverError(gp.GP_ERROR_CORRUPTED_DATA, f"{what} is {size} bytes here, {told} on the camera.")
            finally:
                os.close(descriptor)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return FetchedFile(str(target), camera_path, size)

    def _told_size(self, where: str, what: str) -> int | None:
        """Bytes that the camera says; None for files in its memory, of which it keeps no record."""
        if where == "/":
            return None
        with self._calls() as camera:
            told = camera.file_get_info(where, what, self._context).file
        return int(told.size) if told.fields & gp.GP_FILE_INFO_SIZE else None

    def files_after(self, camera_path: str) -> list[str]:
        """Paths of the files in the same camera folder that come after `camera_path` by name."""
        where, what = _split(camera_path)
        with self._calls() as camera:
            listed = camera.folder_list_files(where, self._context)
            names = sorted(listed.get_name(i) for i in range(listed.count()))
        return [f"{where.rstrip('/')}/{name}" for name in names if name > what]

    def _erase(self, camera_path: str) -> None:
        where, what = _split(camera_path)
        # A file that the camera dropped itself is as good as erased.
        with contextlib.suppress(DriverError), self._calls() as camera:
            camera.file_delete(where, what, self._context)

    def erase(self, camera_path: str) -> None:
        """Remove one file from the camera; no error where it is not there."""
        self._erase(camera_path)

    def stores(self) -> list[Store]:
        """The camera's cards; empty where it has none, `DriverError` where it does not tell."""
        with self._calls() as camera:
            told = camera.get_storageinfo(self._context)
        return [
            Store(
                name=str(store.label or store.description or store.basedir),
                free_bytes=int(store.freekbytes) << 10 if store.fields & gp.GP_STORAGEINFO_FREESPACEKBYTES else None,
                free_images=int(store.freeimages) if store.fields & gp.GP_STORAGEINFO_FREESPACEIMAGES else None,
                read_only=bool(store.fields & gp.GP_STORAGEINFO_ACCESS)
                and store.access != gp.GP_STORAGEINFO_AC_READWRITE
                and store.access != gp.GP_STORAGEINFO_AC_READONLY_WITH_DELETE,
            )
            for store in told
        ]

    def preview(self) -> bytes:
        """One live frame, JPEG."""
        with self._calls() as camera:
            file = gp.CameraFile()
            camera.capture_preview(file, self._context)
            # The view owns nothing: copied while `file` is alive.
            return bytes(memoryview(file.get_data_and_size()))

    def close(self) -> None:
        """Release the camera; idempotent."""
        camera, self._camera = self._camera, None
        if camera is not None:
            with contextlib.suppress(gp.GPhoto2Error):
                camera.exit(self._context)


def _require_disk(descriptor: int) -> None:
    """`OSError` where the disk takes nothing more: libgphoto2 has no word for that, and blames the camera."""
    os.pwrite(descriptor, bytes(_MORE_BYTES), os.fstat(descriptor).st_size)
    os.fsync(descriptor)


def _sync(path: Path) -> None:
    """Make a file durable; it is removed where that fails."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _path_of(data: object) -> str:
    return f"{str(data.folder).rstrip('/')}/{data.name}"  # type: ignore[attr-defined]


def _split(camera_path: str) -> tuple[str, str]:
    """Folder and name; files in the camera's memory lie in the root."""
    where, _, what = camera_path.rpartition("/")
    return where or "/", what
