"""Roles: what a configuration entry of libgphoto2 is for, whatever the maker calls it. Pure functions.

One role has a different name on each maker's bodies (`f-number` on Nikon, Sony, Fujifilm and Panasonic, `aperture` on Canon and Olympus),
one name has different meanings (`autofocus` is a mode on Nikon and a button on Sony), and most names look like a role without being it
(`mirrorlockstatus`, `movieshutterspeed`, `autofocusdrive`). So names are candidates, and what stands under a name must look like the role.
The names are those of libgphoto2's ptp2 driver (``camlibs/ptp2/config.c``), new and old.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from capture.camera.protocol import Role, RoleState
from capture.camera.values import format_of, iso_speed, percent, target_of


@dataclass(frozen=True, slots=True)
class Setting:
    """One entry of a camera's configuration tree.

    Attributes
    ----------
    path : str
        Full name, ``/main/imgsettings/iso``.
    label : str
        Its words for people, in the user's language.
    kind : str
        Widget type in lower case: ``radio``, ``menu``, ``text``, ``range``, ``toggle``, ``date``, ``button``; empty if not recorded.
    value : str
        As it stands; empty where the camera told none.
    choices : tuple of str
        What it could be; empty where free.
    read_only : bool
    bounds : tuple of float or None
        Bottom, top and step of a range.
    """

    path: str
    label: str = ""
    kind: str = ""
    value: str = ""
    choices: tuple[str, ...] = ()
    read_only: bool = False
    bounds: tuple[float, float, float] | None = None

    @property
    def name(self) -> str:
        """The last part of the path, by which libgphoto2 finds the entry."""
        return self.path.rpartition("/")[2]

    @property
    def section(self) -> str:
        """The part of the path before the name: ``actions``, ``settings``, ``status``, ``imgsettings``, ``capturesettings``, ``other``."""
        return self.path.rpartition("/")[0].rpartition("/")[2]


def _always(_setting: Setting) -> bool:
    return True


def _not_action(setting: Setting) -> bool:
    return setting.section != "actions" and setting.kind != "toggle"


def _sensitivity(setting: Setting) -> bool:
    """ISO speeds, not f-numbers or something else under a wrong name."""
    texts = (*setting.choices, setting.value)
    if any(text.casefold().lstrip().startswith("f/") for text in texts):
        return False
    speeds = [speed for text in texts if (speed := iso_speed(text)) is not None]
    if not speeds:
        return not any(re.fullmatch(r"\d+[.,]\d+", text.strip()) for text in texts)
    return statistics.median(speeds) >= 20


def _switch(setting: Setting) -> bool:
    return setting.section == "actions" or setting.kind == "toggle"


def _evf_output(setting: Setting) -> bool:
    """Canon EOS: the live picture goes to the computer; PowerShot bodies have `output` for their video socket."""
    return any("pc" in choice.casefold().split() for choice in setting.choices)


def _drive(setting: Setting) -> bool:
    return setting.kind in {"range", "radio", "menu"} or (setting.kind == "text" and bool(setting.value))


def _silent_release(setting: Setting) -> bool:
    """Drive modes among which are ones with less movement in them: for the others it is no choice of shutter."""
    return any(re.search(r"silent|quiet|leise|electronic", choice.casefold()) for choice in setting.choices)


def _mirror_release(setting: Setting) -> bool:
    return any("mirror" in choice.casefold() for choice in setting.choices)


def _file_format(setting: Setting) -> bool:
    """Files or qualities, not picture sizes."""
    texts = [text for text in (*setting.choices, setting.value) if text]
    return not texts or not all(re.fullmatch(r"\d+x\d+", text.strip()) for text in texts)


def _target(setting: Setting) -> bool:
    texts = (*setting.choices, setting.value)
    return not setting.choices or any(target_of(text) for text in texts) or len(setting.choices) == 2


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    fits: Callable[[Setting], bool] = _always


CANDIDATES: dict[Role, tuple[_Candidate, ...]] = {
    Role.ISO: (_Candidate("iso", _sensitivity),),
    Role.SHUTTER: (_Candidate("shutterspeed"), _Candidate("shutterspeed2"), _Candidate("exptime")),
    Role.APERTURE: (_Candidate("aperture"), _Candidate("f-number"), _Candidate("fnumber")),
    Role.EXPOSURE_MODE: (
        _Candidate("autoexposuremode"),
        _Candidate("expprogram"),
        _Candidate("expprogram2"),
        _Candidate("shootingmode"),
        _Candidate("autoexposuremodedial"),
    ),
    Role.WHITE_BALANCE: (_Candidate("whitebalance"),),
    Role.FORMAT: (
        _Candidate("imageformat", _file_format),
        _Candidate("imagequality", _file_format),
        _Candidate("imgquality", _file_format),
        _Candidate("imageformatsd", _file_format),
        _Candidate("imageformatcf", _file_format),
        _Candidate("imageformatexthd", _file_format),
    ),
    Role.TARGET: (_Candidate("capturetarget", _target),),
    Role.LIVE_VIEW: (
        _Candidate("viewfinder", _switch),
        _Candidate("eosviewfinder", _switch),
        _Candidate("output", _evf_output),
    ),
    Role.FOCUS_DRIVE: (_Candidate("manualfocusdrive", _drive), _Candidate("manualfocus", _drive)),
    Role.MIRROR: (
        _Candidate("mirrorlock"),
        _Candidate("exposuredelaymode"),
        _Candidate("releasemode", _mirror_release),
    ),
    Role.DRIVE_MODE: (_Candidate("drivemode"), _Candidate("capturemode"), _Candidate("releasemode")),
    Role.BATTERY: (_Candidate("batterylevel"), _Candidate("battery"), _Candidate("Battery Level")),
    Role.AUTOFOCUS: (
        _Candidate("autofocus", _not_action),
        _Candidate("focusmode", _not_action),
        _Candidate("focusmode2", _not_action),
    ),
    Role.MAGNIFY: (
        _Candidate("liveviewimagezoomratio"),
        _Candidate("eoszoom"),
        _Candidate("focusmagnifier"),
        _Candidate("liveviewzoomarea"),
    ),
    Role.EXPOSURE_PREVIEW: (_Candidate("liveviewexposurepreview"), _Candidate("liveviewsettingeffect")),
    Role.AUTO_POWER_OFF: (_Candidate("autopoweroff"), _Candidate("meterofftime")),
    Role.SHUTTER_TYPE: (
        _Candidate("shuttertype"),
        _Candidate("silentmode"),
        _Candidate("drivemode", _silent_release),
        _Candidate("capturemode", _silent_release),
    ),
}
"""Candidate names by role, in the order in which they are tried."""


def _battery_in_any_language(settings: Iterable[Setting]) -> list[Setting]:
    """libgphoto2 names one battery entry by its translated label; it is told by its place and its value."""
    return [
        setting
        for setting in settings
        if setting.section == "status" and setting.name == setting.label and percent(setting.value) is not None
    ]


def candidates(role: Role, settings: Sequence[Setting]) -> list[Setting]:
    """Every entry that could serve `role`, the best first: in the order of the names, those that can be written before the others, and
    those that tell neither value nor choice last.

    Of entries with one name, the one that tells its choices stands for all (libgphoto2 lists some twice).
    """
    found: list[Setting] = []
    for candidate in CANDIDATES[role]:
        named = [setting for setting in settings if setting.name == candidate.name and setting.section != "other"]
        fitting = [setting for setting in named if candidate.fits(setting)]
        if fitting:
            found.append(next((setting for setting in fitting if setting.choices), fitting[0]))
    if role is Role.BATTERY:
        found.extend(setting for setting in _battery_in_any_language(settings) if setting not in found)
        return found
    return sorted(found, key=lambda setting: (not setting.value and not setting.choices, setting.read_only))


def state_of(setting: Setting) -> RoleState:
    """The entry as the role's state."""
    return RoleState(setting.name, setting.value, setting.choices, setting.read_only)


def find_roles(settings: Sequence[Setting]) -> dict[Role, RoleState | None]:
    """Every role with the entry that serves it; None where the camera has none."""
    found = {role: candidates(role, settings) for role in Role}
    return {role: state_of(entries[0]) if entries else None for role, entries in found.items()}


def understood_format(state: RoleState | None) -> bool:
    """Whether the format's value says which files a shot makes."""
    return state is not None and format_of(state.value) is not None


def stands(role: Role, setting: Setting, value: str) -> bool:
    """Whether an entry as read needs no writing to be `value`.

    The target is the library's own with most makers, and gone with every opening, whatever it reads; Sony's is the body's.
    """
    of_the_body = role is not Role.TARGET or any("sdram" in choice for choice in setting.choices)
    return of_the_body and setting.value == value
