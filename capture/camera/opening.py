"""Opening a camera, and listing what there is to open."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from capture.camera.deadlines import Deadlines
from capture.camera.faults import camera_error
from capture.camera.gphoto_camera import GphotoCamera
from capture.camera.holders import Holder, describe_holders, device_path, find_holders
from capture.camera.process import FailedCallError, LibraryProcess, ProcessDiedError, ProcessHungError
from capture.camera.wire import DetectedCamera
from capture.errors import CameraError, CameraLostError, CameraTimeoutError

UDEV_REMEDY = (
    "Allow cameras to this user: put a file into /etc/udev/rules.d that says "
    'SUBSYSTEM=="usb", ENV{ID_GPHOTO2}=="1", MODE="0660", TAG+="uaccess" '
    "(or install the package libgphoto2-6, which brings its rules), then unplug the camera and plug it in again."
)
"""What to do about a camera that this user may not open."""


@dataclass(frozen=True, slots=True)
class CameraPort:
    """A camera that could be opened.

    Attributes
    ----------
    model : str
        As libgphoto2 names it.
    port : str
        What `open_camera` takes.
    holders : tuple of Holder
        Processes in the way.
    permitted : bool
        Whether this user may open its device.
    remedy : str
        What to do first; empty where nothing is in the way.
    """

    model: str
    port: str
    holders: tuple[Holder, ...]
    permitted: bool
    remedy: str


def open_camera(port: str | None = None, *, deadlines: Deadlines | None = None, repeats: int = 2) -> GphotoCamera:
    """Open the camera at `port`.

    Parameters
    ----------
    port : str or None
        ``usb:001,004`` or ``ptpip:HOST:PORT:PORT``; the first camera on the USB where None.
    deadlines : Deadlines or None
        How long calls may take; the defaults are for real cameras.
    repeats : int
        How often a shot is repeated that a dead link or library took away.

    Raises
    ------
    CameraNotFoundError, CameraBusyError, CameraTimeoutError, CameraLostError, CameraError
    """
    return GphotoCamera(port, deadlines=deadlines, repeats=repeats)


def list_cameras(deadline_s: float = 15.0) -> list[CameraPort]:
    """Cameras on the USB, who holds them, and whether this user may open them.

    Network cameras announce themselves nowhere: they are opened by their port.

    Raises
    ------
    CameraError
        libgphoto2 could not look.
    """
    process = LibraryProcess()
    doing = "looking for cameras"
    try:
        found = process.ask("detect", deadline_s=deadline_s)
    except FailedCallError as error:
        raise camera_error(error.failed, doing) from None
    except ProcessHungError:
        raise CameraTimeoutError(
            f"libgphoto2 hung while {doing}.", remedy="Unplug and plug the camera.", state="unknown"
        ) from None
    except ProcessDiedError as error:
        raise CameraLostError(
            f"libgphoto2 crashed while {doing} ({error.cause}).", remedy="Unplug and plug the camera.", state="unknown"
        ) from None
    finally:
        process.close()
    if not isinstance(found, list):
        raise TypeError(type(found))
    return [_described(camera) for camera in found if isinstance(camera, DetectedCamera)]


def _described(camera: DetectedCamera, devices: Path = Path("/dev/bus/usb")) -> CameraPort:
    device = device_path(camera.port, devices)
    permitted = device is None or not device.exists() or os.access(device, os.R_OK | os.W_OK)
    holders = tuple(find_holders(camera.port))
    remedy = describe_holders(holders) if permitted else UDEV_REMEDY
    return CameraPort(camera.model, camera.port, holders, permitted, remedy)


__all__ = ["UDEV_REMEDY", "CameraError", "CameraPort", "Deadlines", "GphotoCamera", "list_cameras", "open_camera"]
