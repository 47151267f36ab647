"""What stands in the way of a long session, told before its first frame and not at its hundredth. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from capture.camera.protocol import CameraInfo, CaptureTarget, Role, RoleState
from capture.camera.values import BULB_S, files_expected, percent, shutter_seconds, target_of
from capture.errors import CameraBusyError, CameraError, CameraStateError

LOW_BATTERY_PERCENT = 20
EMPTY_BATTERY_PERCENT = 5
_BATTERY_MARKS = (EMPTY_BATTERY_PERCENT, 10, LOW_BATTERY_PERCENT)  # ascending: the lowest that is reached counts
_CHARGE_WORDS = {"empty": 0, "exhausted": 0, "low": 10}
_MANUAL_MODES = {"m", "manual", "manuell", "b", "bulb"}
_MANUAL_FOCUS = re.compile(r"manual|manuell|\bmf\b|^off$|^aus$", re.IGNORECASE)
_SINGLE = re.compile(r"single|einzelbild|quiet release|mirror|remote", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Store:
    """A card or a memory of the camera.

    Attributes
    ----------
    name : str
    free_bytes : int or None
        None where the camera does not say.
    free_images : int or None
    read_only : bool
    folder : str
        Where its files are listed.
    """

    name: str
    free_bytes: int | None
    free_images: int | None
    read_only: bool = False
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something to put right.

    Attributes
    ----------
    message, remedy : str
    fatal : bool
        Whether no frame can come; otherwise the session may go on, and may fail or differ from frame to frame.
    about : str
        What it concerns, in a word or two.
    """

    message: str
    remedy: str
    fatal: bool = False
    about: str = "camera"


def charge_of(value: str) -> int | None:
    """Charge 0 to 100 of a battery's value; the words of bodies that count in words are taken for the least they can mean."""
    word = value.strip().casefold()
    return percent(value) if word not in _CHARGE_WORDS else _CHARGE_WORDS[word]


def _battery_words(value: str) -> str:
    """A battery's charge as the camera tells it: in per cent, or in its own word."""
    charge = percent(value)
    return f"told as {value.casefold()}" if charge is None else f"at {charge} %"


class BatteryWatch:
    """Tells of a battery that empties: once for each of 20, 10 and 5 per cent that it falls to or below.

    Attributes
    ----------
    charge : int or None
        As last read; None where the camera does not say.
    """

    def __init__(self) -> None:
        self._told_at = 101
        self.charge: int | None = None
        self._words = ""

    def look(self, value: str) -> str:
        """What to say of the battery's present value; empty where there is nothing new."""
        self.charge, self._words = charge_of(value), _battery_words(value)
        if self.charge is None:
            return ""
        if self.charge > LOW_BATTERY_PERCENT + 10:
            self._told_at = 101  # changed, or on the mains
        mark = next((mark for mark in _BATTERY_MARKS if self.charge <= mark), 101)
        if mark >= self._told_at:
            return ""
        self._told_at = mark
        end = " It may end any moment." if mark == EMPTY_BATTERY_PERCENT else ""
        return (
            f"The camera's battery is {self._words}.{end} Pause the session and put in a full one, or a mains adapter."
        )

    @property
    def hint(self) -> str:
        """What a low battery may have to do with a failure; empty where it is not low."""
        low = self.charge is not None and self.charge <= LOW_BATTERY_PERCENT
        return f"Its battery was {self._words} when last read." if low else ""


def _battery(state: RoleState | None) -> Obstacle | None:
    charge = charge_of(state.value) if state is not None else None
    if state is None or charge is None or charge >= LOW_BATTERY_PERCENT:
        return None
    return Obstacle(
        f"The camera's battery is {_battery_words(state.value)}.",
        "Put in a full one, or a mains adapter.",
        charge <= EMPTY_BATTERY_PERCENT,
    )


def _focus(state: RoleState | None) -> Obstacle | None:
    if state is None or not state.value or state.value.startswith("Unknown value") or _MANUAL_FOCUS.search(state.value):
        return None
    return Obstacle(
        f"The camera focuses by itself ({state.name} is {state.value}): the frames would not keep the plan's focus.",
        "Switch the lens to manual focus, or `focusrail camera set autofocus off`.",
    )


def _mode(state: RoleState | None) -> Obstacle | None:
    if state is None or not state.value or state.value.startswith("Unknown value"):
        return None
    if state.value.casefold() in _MANUAL_MODES:
        return None
    return Obstacle(
        f"The exposure mode is {state.value}: the exposure may change from frame to frame.", "Turn the mode dial to M."
    )


def _drive(state: RoleState | None) -> Obstacle | None:
    if state is None or not state.value or state.value.startswith("Unknown value") or _SINGLE.search(state.value):
        return None
    return Obstacle(
        f"The drive mode is {state.value}: a shot may be late, or more than one.", "Set the drive mode to single."
    )


def _shutter(state: RoleState | None) -> Obstacle | None:
    if state is None or shutter_seconds(state.value) != BULB_S:
        return None
    return Obstacle("The camera is set to bulb.", "Set a shutter time.", fatal=True)


def _power_off(state: RoleState | None) -> Obstacle | None:
    if state is None or state.name != "autopoweroff" or not state.value.isdigit() or not 0 < int(state.value) <= 60:
        return None
    return Obstacle(
        f"The camera switches itself off after {state.value} s without an order: a paused session may lose it.",
        "Switch its automatic power-off off in its menu, or `focusrail camera set auto_power_off 0`.",
    )


def _format(state: RoleState | None) -> Obstacle | None:
    if state is None or files_expected(state.value) is not None:
        return None
    return Obstacle(
        f"Nobody knows which files the format {state.value} makes: each shot is waited for until it is quiet.",
        "Set the format to RAW, JPEG or RAW+JPEG.",
    )


def _stores(
    stores: Sequence[Store], target: RoleState | None, frames: int, bytes_a_frame: int | None
) -> Obstacle | None:
    if target is not None and target_of(target.value) is CaptureTarget.MEMORY:
        return None
    if not stores:
        return Obstacle("The camera has no card.", "Put one in, or shoot to its memory (target memory).", fatal=True)
    writable = [store for store in stores if not store.read_only]
    if not writable:
        return Obstacle(
            "The camera's card is write-protected.", "Slide its lock, or shoot to memory (target memory).", fatal=True
        )
    if any(store.free_images is None and store.free_bytes is None for store in writable):
        return None
    images = max(store.free_images if store.free_images is not None else 1 << 30 for store in writable)
    free = max(store.free_bytes if store.free_bytes is not None else 1 << 60 for store in writable)
    room = images if bytes_a_frame is None else min(images, free // bytes_a_frame)
    if free == 0 or room <= 0:
        return Obstacle("The camera's card is full.", "Empty it, or shoot to memory (target memory).", fatal=True)
    if room < frames:
        return Obstacle(
            f"The camera's card has room for about {room} of {frames} frames.",
            "Empty it, or shoot to memory (target memory).",
        )
    return None


def unready(error: CameraError) -> Obstacle | None:
    """What it means that the camera refused a live frame, which costs nothing and moves nothing; None where stills may come all the same.

    No setting tells that a camera shows its pictures or a menu: what it takes there, and what it refuses, does. Bodies that name a reason
    of their own for having no live view (a mode dial on a scene, say) may well release.
    """
    if not isinstance(error, CameraStateError | CameraBusyError):
        return None
    return Obstacle(
        f"The camera takes no orders just now: it shows its pictures (playback) or a menu, or is at work. {error.message}",
        "Half-press its shutter button to leave playback and menus; turn the mode dial to M; wait until its card and flash are ready. "
        "A camera that takes stills all the same: set live_check = false in focusrail.toml (or FOCUSRAIL_LIVE_CHECK=false).",
        fatal=True,
        about="state",
    )


def obstacles(
    info: CameraInfo, stores: Sequence[Store] | None = None, *, frames: int = 1, bytes_a_frame: int | None = None
) -> tuple[Obstacle, ...]:
    """What stands in the way of `frames` frames, the fatal first.

    Parameters
    ----------
    info : CameraInfo
    stores : sequence of Store or None
        The camera's cards; None where it does not tell.
    frames : int
    bytes_a_frame : int or None
        Size of one frame's files, where known.
    """
    roles = info.roles
    found = {
        "battery": _battery(roles.get(Role.BATTERY)),
        "shutter": _shutter(roles.get(Role.SHUTTER)),
        "card": None if stores is None else _stores(stores, roles.get(Role.TARGET), frames, bytes_a_frame),
        "focus": _focus(roles.get(Role.AUTOFOCUS)),
        "exposure mode": _mode(roles.get(Role.EXPOSURE_MODE)),
        "drive mode": _drive(roles.get(Role.DRIVE_MODE)),
        "format": _format(roles.get(Role.FORMAT)),
        "power-off": _power_off(roles.get(Role.AUTO_POWER_OFF)),
    }
    named = [replace(one, about=about) for about, one in found.items() if one is not None]
    return tuple(sorted(named, key=lambda one: not one.fatal))
