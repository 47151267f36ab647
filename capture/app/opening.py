"""Opening the two devices from flags and settings; every command that needs one goes through here."""

from __future__ import annotations

from enum import StrEnum

from capture.app.output import say
from capture.camera.gphoto_camera import GphotoCamera
from capture.camera.protocol import Camera, Role
from capture.errors import UsageError
from capture.settings import Settings
from rail.axis import Axis
from rail.errors import RailLimitError
from rail.grbl.axis import GrblAxis


class Origin(StrEnum):
    """What a moving command does about the origin first."""

    KEEP = "keep"
    HERE = "here"
    HOME = "home"


EXPOSURE_ROLES = {"iso": Role.ISO, "shutter": Role.SHUTTER, "aperture": Role.APERTURE}


def open_rail(settings: Settings, url: str | None, profile: str | None) -> GrblAxis:
    """Open the rail named by flag or setting.

    Raises
    ------
    UsageError
        Where none is named.
    rail.errors.RailError
        What opening it failed with.
    """
    from rail.opening import open_axis

    port = settings.choose("rail", url)
    if port is None:
        raise UsageError(
            "no rail is named", remedy="Give --rail PORT (see `focusrail devices`), or set `rail` in focusrail.toml."
        )
    return open_axis(port, settings.choose("profile", profile))


def set_origin(axis: Axis, origin: Origin, *, ends: tuple[float, ...] = ()) -> None:
    """Zero or home first, where asked; refused before the origin changes where one of `ends` cannot be reached from here.

    Raises
    ------
    rail.errors.RailLimitError
    """
    if origin is Origin.HERE:
        status = axis.status()
        # homed limits are the travel's own, counted from the switch; those of a zeroed rail lie round the new origin
        offset = status.position if status.homed and status.position is not None else 0.0
        low, high = (limit - offset for limit in axis.limits)
        for end in ends:
            if not low <= end <= high:
                raise RailLimitError(
                    f"{end:g} from here lies outside the allowed range, {low:g} to {high:g}",
                    remedy="Give a position within the range, or widen the profile's limits.",
                    state="Nothing has moved; the origin is where it was.",
                )
        axis.zero()
    elif origin is Origin.HOME:
        say("homing the rail")
        axis.home()


def open_camera_port(settings: Settings, port: str | None) -> GphotoCamera:
    """Open the camera named by flag or setting, else the only one there is."""
    from capture.camera.opening import open_camera

    return open_camera(settings.choose("camera", port))


def apply_camera_settings(camera: Camera, settings: Settings, flags: dict[str, str | None]) -> dict[str, str]:
    """Write what flags or settings ask for (`iso`, `shutter`, `aperture`, `format`, `target`); the values read back.

    A role that the camera lacks is only an error where it was asked for.
    """
    roles = {**EXPOSURE_ROLES, "format": Role.FORMAT, "target": Role.TARGET}
    written: dict[str, str] = {}
    for name, role in roles.items():
        value = settings.choose(name, flags.get(name))
        if value is not None:
            written[name] = camera.set(role, str(value)).value
    return written
