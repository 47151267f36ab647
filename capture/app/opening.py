"""Opening the two devices from flags and settings; every command that needs one goes through here, and holds it meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum

import typer

from capture.app.output import InterruptedRunError, say
from capture.camera.gphoto_camera import GphotoCamera
from capture.camera.lens_axis import LensAxis
from capture.camera.protocol import Camera, Role
from capture.camera.shutter_camera import PORT as SHUTTER
from capture.camera.shutter_camera import ShutterCamera
from capture.camera.values import find_choice, same
from capture.errors import CameraError, CaptureError, UsageError
from capture.session.claims import claimed_camera, claimed_rail
from capture.session.exposures import require_time
from capture.session.from_here import limits_from_here
from capture.settings import Settings
from rail.axis import Axis, AxisUnit
from rail.errors import RailError, RailLimitError, RailPositionUnknownError
from rail.grbl.axis import GrblAxis

LENS = "lens:"
PROGRAMS = ("focusrail", "capture.app")
"""How this program is run, so that another one of it is known where it holds a port: the command, and ``python -m``."""


class Origin(StrEnum):
    """What a moving command does about the origin first."""

    KEEP = "keep"
    HERE = "here"
    HOME = "home"


@dataclass(frozen=True, slots=True)
class DeviceNames:
    """The ports as they were named; None: as the settings say."""

    rail: str | None
    profile: str | None
    camera: str | None

    @classmethod
    def chosen(cls, settings: Settings, rail: str | None, profile: str | None, camera: str | None) -> DeviceNames:
        """Flags over settings."""
        return cls(
            settings.choose("rail", rail), settings.choose("profile", profile), settings.choose("camera", camera)
        )


EXPOSURE_ROLES = {"iso": Role.ISO, "shutter": Role.SHUTTER, "aperture": Role.APERTURE}


def open_rail(settings: Settings, url: str | None, profile: str | None, camera: str | None = None) -> Axis:
    """Open the rail named by flag or setting; for ``lens:`` or ``lens:PORT`` the focus motor of the camera's lens.

    Parameters
    ----------
    settings : Settings
    url, profile, camera : str or None
        As the flags say; the camera is only opened for its lens.

    Raises
    ------
    UsageError
        Where none is named.
    rail.errors.RailError, capture.errors.CameraError
        What opening it failed with.
    """
    port = rail_port(settings, url)
    if not port.startswith(LENS):
        return open_controller(settings, url, profile)
    device = open_camera_port(settings, port.removeprefix(LENS) or camera)
    try:
        return LensAxis(device)
    except BaseException:
        device.close()
        raise


def open_controller(settings: Settings, url: str | None, profile: str | None) -> GrblAxis:
    """Open the rail named by flag or setting, which must have a controller of its own.

    Raises
    ------
    UsageError
        Where none is named, or the lens is.
    rail.errors.RailError
        What opening it failed with.
    """
    from rail.opening import open_axis

    port = rail_port(settings, url)
    if port.startswith(LENS):
        raise UsageError("a lens has no controller to look into", remedy="`focusrail camera info` tells of the camera.")
    return open_axis(port, settings.choose("profile", profile), programs=PROGRAMS)


def rail_port(settings: Settings, url: str | None) -> str:
    """The rail's port as flag or setting name it.

    Raises
    ------
    UsageError
        Where none is named.
    """
    port: str | None = settings.choose("rail", url)
    if not port:
        raise UsageError(
            "no rail is named", remedy="Give --rail PORT (see `focusrail devices`), or set `rail` in focusrail.toml."
        )
    return port


@contextmanager
def held_rail(settings: Settings, url: str | None, profile: str | None, camera: str | None = None) -> Iterator[Axis]:
    """As `open_rail`, held for this process and closed afterwards; an error that names no state says where the carriage stands.

    Raises
    ------
    HeldError
        Another process of this program works with it: it is not even opened, since that would stop its motion.
    UsageError, rail.errors.RailError, capture.errors.CameraError
    """
    port = rail_port(settings, url)
    lens = port.startswith(LENS)
    of_lens = settings.choose("camera", port.removeprefix(LENS) or camera) if lens else None
    claim = claimed_camera(of_lens) if lens else claimed_rail(port)
    with claim, open_rail(settings, url, profile, camera) as axis, telling_where(axis):
        yield axis


@contextmanager
def held_controller(settings: Settings, url: str | None, profile: str | None) -> Iterator[GrblAxis]:
    """As `open_controller`, held and closed as `held_rail` does.

    Raises
    ------
    HeldError, UsageError, rail.errors.RailError
    """
    port = rail_port(settings, url)
    claim = claimed_rail(None if port.startswith(LENS) else port)
    with claim, open_controller(settings, url, profile) as axis, telling_where(axis):
        yield axis


@contextmanager
def held_camera(settings: Settings, port: str | None) -> Iterator[GphotoCamera]:
    """As `open_camera_port`, held for this process and closed afterwards.

    Raises
    ------
    HeldError, UsageError, CameraError
    """
    with claimed_camera(settings.choose("camera", port)), open_camera_port(settings, port) as camera:
        yield camera


@contextmanager
def telling_where(axis: Axis) -> Iterator[None]:
    """An error that does not say where the carriage stands is made to, on its way out; so is Ctrl-C, and motion is stopped.

    Raises
    ------
    InterruptedRunError
        For Ctrl-C that nobody answered who knows more.
    """
    try:
        yield
    except (KeyboardInterrupt, typer.Abort):
        with suppress(CaptureError, RailError):  # what it says to that must not hide why we leave
            axis.stop()
        raise InterruptedRunError(
            "interrupted", state=f"Motion is stopped. {where_it_stands(axis)}", remedy="Give the command again."
        ) from None
    except (CaptureError, RailError) as error:
        told = error.state[:1].upper() + error.state[1:].rstrip(".")  # of a camera, which knows nothing of the rail
        if not told or (isinstance(error, CameraError) and "stands" not in told):
            error.state = f"{told}. {where_it_stands(axis)}" if told else where_it_stands(axis)
        raise


def where_it_stands(axis: Axis) -> str:
    """State and place of the carriage in one sentence."""
    try:
        status = axis.status()
    except (CaptureError, RailError) as error:
        return f"Where the carriage stands is not known: {error.message}"
    if status.position is None or not status.position_known:
        return f"The {moved_part(axis)} is {status.state.value}, its position unknown."
    what = "the carriage" if moved_part(axis) == "rail" else "it"
    return f"The {moved_part(axis)} is {status.state.value}, {what} stands at {status.position:g} {axis.capabilities.unit.value}."


def moved_part(axis: Axis) -> str:
    """What the axis is, in a word."""
    return "lens" if axis.capabilities.unit is AxisUnit.STEP else "rail"


def standing_part(axis: Axis) -> str:
    """What of the axis stands somewhere, in a word."""
    return "lens" if axis.capabilities.unit is AxisUnit.STEP else "carriage"


@contextmanager
def camera_beside(axis: Axis, settings: Settings, port: str | None) -> Iterator[Camera]:
    """The camera to shoot with, held, beside an open axis: the one whose lens the axis moves, ``shutter`` for the release on the axis's
    controller, else as named by flag or setting.
    """
    if settings.choose("camera", port) == SHUTTER:
        if not isinstance(axis, GrblAxis):
            raise UsageError(
                "only a rail's controller has a shutter release", remedy="Name the rail's port with --rail."
            )
        yield ShutterCamera(axis)
        return
    if isinstance(axis, LensAxis) and isinstance(axis.camera, GphotoCamera):
        yield axis.camera  # which is closed with its axis
        return
    with held_camera(settings, port) as camera:
        yield camera


@contextmanager
def held_devices(settings: Settings, names: DeviceNames) -> Iterator[tuple[Axis, Camera]]:
    """The rail, and the camera beside it, held and open; closed when the context ends, motion stopped.

    Raises
    ------
    HeldError, UsageError, CameraError, rail.errors.RailError
    """
    with (
        held_rail(settings, names.rail, names.profile, names.camera) as axis,
        camera_beside(axis, settings, names.camera) as camera,
    ):
        yield axis, camera


@contextmanager
def looking_devices(
    settings: Settings,
    names: DeviceNames,
    origin: Origin,
    exposure: dict[str, str | None],
    *,
    positioned: bool = True,
) -> Iterator[tuple[Axis, Camera]]:
    """As `held_devices`, ready to be looked through: the camera set as asked, its autofocus off, the origin set.

    Parameters
    ----------
    exposure : dict
        What the flags ask of the camera, by the settings' names.
    positioned : bool
        Whether a rail must know its position; it is refused before the camera is opened.
    """
    with held_rail(settings, names.rail, names.profile, names.camera) as axis:
        if positioned and origin is Origin.KEEP:
            require_position(axis)
        with camera_beside(axis, settings, names.camera) as camera:
            apply_camera_settings(camera, settings, exposure)
            release_autofocus(camera)
            set_origin(axis, origin)
            yield axis, camera


def require_position(axis: Axis) -> None:
    """Refuse a rail that does not know where it stands.

    Raises
    ------
    rail.errors.RailPositionUnknownError
    """
    if not axis.status().position_known:
        raise RailPositionUnknownError(
            f"the position of the {moved_part(axis)} is unknown",
            remedy="Give --origin here to zero it where it stands, or --origin home to home it.",
            state="Nothing has moved, nothing was shot.",
        )


def release_autofocus(camera: Camera) -> None:
    """Take the focus away from the camera where it can be asked: on a rail it must stay where it is."""
    state = camera.info().roles.get(Role.AUTOFOCUS)
    if state is None or state.read_only or same(Role.AUTOFOCUS, state.value, "off"):
        return
    if find_choice(Role.AUTOFOCUS, "off", state.choices) is not None:
        camera.set(Role.AUTOFOCUS, "off")
        say(f"autofocus was switched off ({state.name} was {state.value})")


def set_origin(axis: Axis, origin: Origin, *, ends: tuple[float, ...] = ()) -> None:
    """Zero or home first, where asked; refused before the origin changes where one of `ends` cannot be reached from here.

    Raises
    ------
    rail.errors.RailLimitError
    """
    if origin is Origin.HERE:
        refuse_ends_from_here(axis, ends)
        axis.zero()
    elif origin is Origin.HOME:
        say("homing the rail")
        axis.home()


def refuse_ends_from_here(axis: Axis, ends: tuple[float, ...]) -> None:
    """Refuse `ends`, counted from where the axis stands, that it cannot reach.

    Raises
    ------
    rail.errors.RailLimitError
    """
    low, high = limits_from_here(axis)
    for end in ends:
        if not low <= end <= high:
            raise RailLimitError(
                f"{end:g} from here lies outside the allowed range, {low:g} to {high:g}",
                remedy="Give a position within the range, or widen the profile's limits.",
                state="Nothing has moved; the origin is where it was.",
            )


def open_camera_port(settings: Settings, port: str | None) -> GphotoCamera:
    """Open the camera named by flag or setting, else the only one there is."""
    from capture.camera.opening import open_camera

    if settings.choose("camera", port) == SHUTTER:
        raise UsageError(
            "a shutter release has no camera that could be asked anything", remedy="It serves `shoot` and `run` alone."
        )
    device = open_camera(settings.choose("camera", port))
    device.tell(say)
    device.flash_wait_s = float(settings.choose("flash_wait_s", None, 0.0))
    device.live_check = settings.choose("live_check", None, True)
    return device


def apply_camera_settings(camera: Camera, settings: Settings, flags: dict[str, str | None]) -> dict[str, str]:
    """Write what flags or settings ask for (`iso`, `shutter`, `aperture`, `format`, `target`); the values read back.

    A role that the camera lacks is only an error where it was asked for. Bulb without a time is refused before anything is written.
    """
    require_time(settings.choose("shutter", flags.get("shutter")))
    roles = {**EXPOSURE_ROLES, "format": Role.FORMAT, "target": Role.TARGET}
    written: dict[str, str] = {}
    for name, role in roles.items():
        value = settings.choose(name, flags.get(name))
        if value is not None:
            written[name] = camera.set(role, str(value)).value
    return written
