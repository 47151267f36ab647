"""Which processes hold a USB camera, and how to make each let go: read from /proc, nothing is sent or ended."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from capture.errors import UsageError

_NETWORK_PORT = re.compile(r"ptpip:([^:\s]+)(?::(\d{1,5})(?::(\d{1,5}))?)?")
_USB_PORT = re.compile(r"usb:(\d{3}),(\d{3})")


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has the camera open, or that claims cameras as soon as they appear.

    Attributes
    ----------
    pid : int
    name : str
        Its program.
    remedy : str
        The command that makes it let go.
    certain : bool
        Whether it was seen to have the device open; else it is known for claiming cameras.
    """

    pid: int
    name: str
    remedy: str
    certain: bool


# Programs that claim cameras, and what makes them let go.
_CLAIMERS = {
    "gvfs-gphoto2-vo": "systemctl --user stop gvfs-gphoto2-volume-monitor.service",
    "gvfsd-gphoto2": "gio mount -s gphoto2",
    "gvfs-mtp-volume": "systemctl --user stop gvfs-mtp-volume-monitor.service",
    "gvfsd-mtp": "gio mount -s mtp",
    "kiod5": "Close the camera in Dolphin",
    "kiod6": "Close the camera in Dolphin",
    "kioworker": "Close the camera in Dolphin",
    "kioslave5": "Close the camera in Dolphin",
}
_PROGRAMS = {
    "darktable",
    "digikam",
    "entangle",
    "shotwell",
    "gphoto2",
    "gtkam",
    "rawtherapee",
    "rapid-photo-dow",
    "indi_gphoto_ccd",
}


def whole_port(port: str | None) -> str | None:
    """A camera's port as libgphoto2 takes it: of a host its address, and ``ptpip:HOST:PORT`` listens at one port for orders and events.

    Raises
    ------
    UsageError
        For ``ptpip:`` with anything but a host and one or two port numbers.
    """
    if port is None or not port.startswith("ptpip:"):
        return port
    found = _NETWORK_PORT.fullmatch(port)
    if found is None:
        raise UsageError(
            f"{port!r} names no network camera",
            remedy="Give ptpip:HOST or ptpip:HOST:PORT, for example ptpip:192.168.1.1.",
        )
    host, orders, events = found.groups()
    with suppress(OSError, UnicodeError):  # a host that nobody knows is told of where it is opened
        host = socket.gethostbyname(host)
    return ":".join(["ptpip", host, *([orders, events or orders] if orders else [])])


def device_path(port: str, devices: Path = Path("/dev/bus/usb")) -> Path | None:
    """The device file of a libgphoto2 USB port (``usb:001,004``); None for other ports."""
    found = _USB_PORT.fullmatch(port)
    return devices / found[1] / found[2] if found else None


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _has_open(process: Path, device: Path) -> bool:
    try:
        return any(link.readlink() == device for link in (process / "fd").iterdir())
    except OSError:
        return False  # another user's process, or one that has ended


def find_holders(port: str | None, processes: Path = Path("/proc"), own: Sequence[int] = ()) -> list[Holder]:
    """Processes that hold the camera at `port`, those that were seen to have it open first; none for network ports.

    `processes` is the /proc to read; processes in `own` (and this one) are left out.
    """
    if port is not None and not port.startswith("usb"):
        return []
    device = device_path(port) if port else None
    found = []
    for process in processes.iterdir():
        if not process.name.isdigit() or int(process.name) in {os.getpid(), *own}:
            continue
        name = _name(process)
        certain = device is not None and _has_open(process, device)
        if certain or name in _CLAIMERS or name in _PROGRAMS:
            found.append(Holder(int(process.name), name, _CLAIMERS.get(name, f"kill {process.name}"), certain))
    return sorted(found, key=lambda holder: (not holder.certain, holder.pid))


def describe_holders(holders: Sequence[Holder]) -> str:
    """One sentence per holder for an error's remedy; empty where there is none."""
    return " ".join(
        f"{holder.name} (process {holder.pid}) {'holds the camera' if holder.certain else 'claims cameras'}:"
        f" {holder.remedy if holder.remedy.startswith('Close') else f'release it with `{holder.remedy}`'}."
        for holder in holders
    )
