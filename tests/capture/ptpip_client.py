"""A client of the real libgphoto2, in a process of its own: JSON orders on stdin, JSON answers on stdout.

Each answer holds ``seconds`` (the call's duration), and ``error`` (libgphoto2's number) with ``reason`` (its texts) when it failed.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import warnings
from typing import Any

import gphoto2 as gp


class Client:
    def __init__(self) -> None:
        self.camera: Any = None
        self.reasons: list[str] = []
        self.context = gp.Context()
        self.callback = self.context.set_error_func(self._note, None)

    def _note(self, _context: object, text: object, _data: object = None) -> None:
        self.reasons.append(text.decode(errors="replace") if isinstance(text, bytes) else str(text))

    def open(self, port: str, model: str = "PTP/IP Camera") -> dict[str, Any]:
        abilities, ports = gp.CameraAbilitiesList(), gp.PortInfoList()
        abilities.load(self.context)
        ports.load()
        self.camera = gp.Camera()
        self.camera.set_abilities(abilities[abilities.lookup_model(model)])
        self.camera.set_port_info(ports[ports.lookup_path(port)])
        self.camera.init(self.context)
        return {}

    def exit(self) -> dict[str, Any]:
        try:
            self.camera.exit(self.context)
        finally:
            self.camera = None
            guard = os.open(os.devnull, os.O_RDONLY)
            if guard != 0:
                os.close(guard)
        return {"descriptor_0_was_closed": guard == 0}

    def names(self) -> dict[str, Any]:
        found: list[str] = []

        def walk(widget: Any) -> None:
            for child in (widget.get_child(index) for index in range(widget.count_children())):
                if child.count_children():
                    walk(child)
                else:
                    found.append(child.get_name())

        walk(self.camera.get_config(self.context))
        return {"names": found}

    def get(self, name: str) -> dict[str, Any]:
        widget = self.camera.get_single_config(name, self.context)
        listed = widget.get_type() in (gp.GP_WIDGET_RADIO, gp.GP_WIDGET_MENU)
        return {
            "value": widget.get_value(),
            "choices": list(widget.get_choices()) if listed else [],
            "read_only": bool(widget.get_readonly()),
        }

    def set(self, name: str, value: Any) -> dict[str, Any]:
        widget = self.camera.get_single_config(name, self.context)
        widget.set_value(value)
        self.camera.set_single_config(name, widget, self.context)
        return self.get(name)

    def trigger(self) -> dict[str, Any]:
        self.camera.trigger_capture(self.context)
        return {}

    def shoot(self, expected: int = 1, quiet_ms: int = 30, patience_s: float = 10.0) -> dict[str, Any]:
        self.camera.trigger_capture(self.context)
        return self.collect(expected, quiet_ms, patience_s)

    def collect(self, expected: int = 1, quiet_ms: int = 30, patience_s: float = 10.0) -> dict[str, Any]:
        """Files until there are as many as expected and a quiet time."""
        files: list[dict[str, Any]] = []
        others: list[int] = []
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            kind, data = self.camera.wait_for_event(quiet_ms, self.context)
            if kind == gp.GP_EVENT_FILE_ADDED:
                files.append({"folder": data.folder, "name": data.name} | self.fetch(data.folder, data.name))
            elif kind == gp.GP_EVENT_TIMEOUT:
                if len(files) >= expected:
                    break
            else:
                others.append(int(kind))
        return {"files": files, "events": others}

    def capture(self) -> dict[str, Any]:
        path = self.camera.capture(gp.GP_CAPTURE_IMAGE, self.context)
        return {"folder": path.folder, "name": path.name} | self.fetch(path.folder, path.name)

    def fetch(self, folder: str, name: str, kind: int = gp.GP_FILE_TYPE_NORMAL) -> dict[str, Any]:
        file = gp.CameraFile()
        self.camera.file_get(folder, name, kind, file, self.context)
        data = bytes(memoryview(file.get_data_and_size()))
        digest = hashlib.sha256(data).hexdigest()
        return {"size": len(data), "head": data[:4].hex(), "tail": data[-2:].hex(), "sha256": digest}

    def thumb(self, folder: str, name: str) -> dict[str, Any]:
        return self.fetch(folder, name, gp.GP_FILE_TYPE_PREVIEW)

    def read(self, folder: str, name: str, offset: int, count: int) -> dict[str, Any]:
        buffer = bytearray(count)
        got = self.camera.file_read(folder, name, gp.GP_FILE_TYPE_NORMAL, offset, buffer, self.context)
        return {"count": int(got), "sha256": hashlib.sha256(buffer[: int(got)]).hexdigest()}

    def info(self, folder: str, name: str) -> dict[str, Any]:
        info = self.camera.file_get_info(folder, name, self.context).file
        return {"size": info.size, "width": info.width, "height": info.height, "type": info.type}

    def list(self, folder: str) -> dict[str, Any]:
        files = self.camera.folder_list_files(folder, self.context)
        folders = self.camera.folder_list_folders(folder, self.context)
        return {
            "files": [files.get_name(index) for index in range(files.count())],
            "folders": [folders.get_name(index) for index in range(folders.count())],
        }

    def delete(self, folder: str, name: str) -> dict[str, Any]:
        self.camera.file_delete(folder, name, self.context)
        return {}

    def preview(self) -> dict[str, Any]:
        file = gp.CameraFile()
        self.camera.capture_preview(file, self.context)
        data = bytes(memoryview(file.get_data_and_size()))
        return {"size": len(data), "head": data[:4].hex(), "tail": data[-2:].hex()}

    def storage(self) -> dict[str, Any]:
        stores = self.camera.get_storageinfo(self.context)
        return {"stores": [{"capacity_kb": item.capacitykbytes, "free_kb": item.freekbytes} for item in stores]}

    def summary(self) -> dict[str, Any]:
        text = self.camera.get_summary(self.context)
        return {"text": str(text)}


def main() -> None:
    # libgphoto2 2.5.34 closes descriptor 0 when it leaves a PTP/IP camera: that must not be our orders' pipe.
    orders = os.fdopen(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # A file handed in is deprecated, but only so can a context be, and with it the texts of errors.
    warnings.simplefilter("ignore", DeprecationWarning)
    client = Client()
    for line in orders:
        order = json.loads(line)
        client.reasons.clear()
        began = time.monotonic()
        try:
            answer = getattr(client, order.pop("do"))(**order)
        except gp.GPhoto2Error as error:
            answer = {"error": error.code, "text": error.string}
        answer |= {"seconds": time.monotonic() - began, "reason": " ".join(client.reasons)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
