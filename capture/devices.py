"""What is connected: serial ports and cameras, who is in the way, and how to cure it."""

from __future__ import annotations

from typing import Any

from capture.camera.opening import CameraPort, list_cameras
from capture.errors import CameraError
from rail.ports import PortInfo, grabbers, list_serial_ports


def find_devices() -> tuple[dict[str, Any], list[str]]:
    """All that is found, as the contract's values and in words; opens nothing."""
    rails = [_rail_entry(port) for port in list_serial_ports()]
    notes = grabbers()
    try:
        cameras = [_camera_entry(camera) for camera in list_cameras()]
    except CameraError as error:
        cameras = []
        notes.append(f"cameras could not be listed: {error.message} {error.remedy}")
    lines = [_line(entry, "no serial port found; plug the controller in") for entry in rails or [{}]]
    lines += [_line(entry, "no USB camera found; switch it on and plug it in") for entry in cameras or [{}]]
    return {"rails": rails, "cameras": cameras, "notes": notes}, [*lines, *notes]


def _rail_entry(port: PortInfo) -> dict[str, Any]:
    return {
        "port": port.url,
        "description": port.description,
        "usb": port.usb,
        "accessible": port.accessible,
        "held_by": [{"pid": holder.pid, "name": holder.name} for holder in port.held_by],
        "remedy": port.remedy,
    }


def _camera_entry(camera: CameraPort) -> dict[str, Any]:
    return {
        "port": camera.port,
        "description": camera.model,
        "accessible": camera.permitted,
        "held_by": [{"pid": holder.pid, "name": holder.name, "certain": holder.certain} for holder in camera.holders],
        "remedy": camera.remedy,
    }


def _line(entry: dict[str, Any], nothing: str) -> str:
    if not entry:
        return nothing
    held = ", ".join(holder["name"] for holder in entry["held_by"])
    trouble = "" if entry["accessible"] else "  no permission"
    return f"{entry['port']}  {entry['description']}{trouble}{f'  held by {held}' if held else ''}  {entry['remedy']}".rstrip()
