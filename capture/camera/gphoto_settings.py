"""Writing a role: the entry and the choice that mean what was asked, and whether the camera kept it."""

from __future__ import annotations

import time
from dataclasses import replace

from capture.camera.gphoto_link import GphotoLink
from capture.camera.protocol import Role
from capture.camera.roles import Setting, candidates
from capture.camera.values import find_choice, is_exact, nearest_choice, same
from capture.errors import CameraSettingError

_SETTING_S = 2.0
_CONFIRMED_S = 1.0
_ZOOM = "eoszoom"  # free text, of which Canon EOS bodies take whole factors
_EOS_NAMES = {"eosremoterelease", "eventmode"}


def needed_entry(link: GphotoLink, role: Role) -> Setting:
    """The entry that serves `role`; `CameraSettingError` where there is none."""
    setting = link.entry(role)
    if setting is None:
        raise CameraSettingError(
            f"The camera {link.model} has no setting for {role.value}.",
            remedy="Set it on the camera itself; `focusrail camera info` lists what can be set from here.",
            state="connected",
        )
    return setting


def choose_entry(link: GphotoLink, role: Role, value: str) -> tuple[Setting, str]:
    """The entry and its choice that mean `value`; another entry of the role where that says it more exactly.

    An entry that cannot be changed does where it stands so already.
    """
    needed_entry(link, role)
    entries = [link.read(setting) for setting in candidates(role, link.tree)]
    writable = [setting for setting in entries if not setting.read_only]
    if not writable:
        for setting in entries:
            choice = _choice_of(role, value, setting)
            if choice is not None and same(role, choice, setting.value):
                return setting, choice  # it stands so already
        if role is Role.BATTERY:
            raise CameraSettingError(
                f"The battery's charge is told by the camera and cannot be set; it stands at {entries[0].value}.",
                remedy="Read it: focusrail camera get battery.",
                state="connected",
            )
        raise CameraSettingError(
            f"{entries[0].name} ({role.value}) cannot be changed now; it stands at {entries[0].value}.",
            remedy="Where it is busy, wait; else turn the camera's mode dial to M, or the ring on the lens to A.",
            state="connected",
        )
    found = [(setting, choice) for setting in writable if (choice := _choice_of(role, value, setting)) is not None]
    exact = [(setting, choice) for setting, choice in found if is_exact(role, value, choice)]
    if found:
        return (exact or found)[0]
    nearest = nearest_choice(role, value, writable[0].choices)
    bounds = writable[0].bounds
    offered = f"{bounds[0]:g} to {bounds[1]:g}" if bounds is not None else ", ".join(writable[0].choices[:12])
    if writable[0].name == _ZOOM:
        offered = "factors: 1, 5 and 10 on most bodies"
    raise CameraSettingError(
        f"The camera does not offer {value} for {role.value} ({writable[0].name}).",
        remedy=f"The nearest it offers is {nearest}."
        if nearest
        else f"It offers {offered or 'nothing that is known'}.",
        state="connected",
    )


def write_checked(link: GphotoLink, role: Role, setting: Setting, choice: str) -> Setting:
    """Write `choice` and wait until the camera shows it; `CameraSettingError` where it does not."""
    if setting.read_only:
        return setting
    read = link.as_it_is(link.write(setting, choice))
    if setting.section == "actions" and role is Role.MAGNIFY:
        return replace(read, value=choice)  # an order: what is read there says nothing
    end = time.monotonic() + _SETTING_S
    while not same(role, read.value, choice) and time.monotonic() < end:
        # Bodies answer before they have changed; what they tell meanwhile makes the next reading new.
        link.pause("waiting for a setting")
        read = link.as_it_is(link.read(setting))
    if role is not Role.TARGET and same(role, read.value, choice):  # the target is the library's own, for most
        read = _confirmed(link, read)
    if not same(role, read.value, choice):
        raise CameraSettingError(
            f"The camera kept {setting.name} at {read.value} instead of {choice}.",
            remedy="Where it is busy, wait; else turn its mode dial to M; a lens with its own ring must stand on A.",
            state="connected",
        )
    return read


def _confirmed(link: GphotoLink, setting: Setting) -> Setting:
    """The entry as the camera has it, where what was read after writing is only what the library sent itself.

    So it is with Canon EOS bodies: one that takes an order tells so; one that ignores it tells nothing, and shows what stands when it is
    opened anew.
    """
    if setting.section == "actions" or not any(entry.name in _EOS_NAMES for entry in link.tree):
        return setting
    told = link.ask(
        "confirmed",
        f"waiting for {setting.name}",
        deadline_s=link.deadlines.call_s,
        name=setting.name,
        value=setting.value,
        wait_s=_CONFIRMED_S,
    )
    if told:
        return setting
    link.connect()
    return link.read(setting)


def _choice_of(role: Role, value: str, setting: Setting) -> str | None:
    """The text to write for `value`: one of the choices, or the value itself where the entry is free."""
    if setting.choices:
        return find_choice(role, value, setting.choices, setting.value)
    if setting.kind == "toggle":
        return {"on": "1", "off": "0", "1": "1", "0": "0"}.get(value.casefold())
    if setting.kind == "range":
        number = value.casefold().removeprefix("f/").strip()
        try:
            inside = setting.bounds is None or setting.bounds[0] <= float(number) <= setting.bounds[1]
        except ValueError:
            return None
        return number if inside else None
    if setting.name == _ZOOM:
        factor = value.casefold().removesuffix("x").strip()
        return factor if factor.isdecimal() else None
    return value
