"""What goes wrong in libgphoto2 and its process, as errors of this package: what happened, the state, and what to do. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from capture.camera.wire import Failed
from capture.errors import (
    CameraBusyError,
    CameraError,
    CameraLostError,
    CameraNotFoundError,
    CameraSettingError,
    CameraStateError,
    CameraTimeoutError,
    FocusEndError,
    NotStoredError,
    ShotBusyError,
    ShotIncompleteError,
    ShotRefusedError,
)

# Why a process of the library ended that an interrupt cut off.
INTERRUPTED = "the interrupt"
# libgphoto2's result codes (gphoto2-port-result.h, gphoto2-result.h).
OPERATING_SYSTEM = 0
ERROR = -1
BAD_PARAMETERS = -2
NO_MEMORY = -3
LIBRARY = -4
UNKNOWN_PORT = -5
NOT_SUPPORTED = -6
IO_ERROR = -7
LIMIT_EXCEEDED = -8
TIMEOUT = -10
SERIAL_CODES = (-20, -21, -22, -23, -24)
IO_INITIALIZING = -31
IO_READING = -34
IO_WRITING = -35
IO_UPDATING = -37
USB_CODES = (-50, -51, -52)
USB_CLAIM = -53
IO_LOCK = -60
HAL = -70
CORRUPTED_DATA = -102
FILE_EXISTS = -103
MODEL_NOT_FOUND = -105
DIRECTORY_NOT_FOUND = -107
FILE_NOT_FOUND = -108
CAMERA_BUSY = -110
CANCELLED = -112
CAMERA_ERROR = -113
OS_FAILURE = -114
NO_SPACE = -115

LOST_CODES = frozenset({IO_ERROR, IO_INITIALIZING, IO_READING, IO_WRITING, IO_UPDATING, HAL, *SERIAL_CODES, *USB_CODES})
"""The link is gone, or nothing can be said of it any more."""

_WAKE = (
    "wake it (half-press its shutter button) and switch off its automatic power-off (role auto_power_off, or its menu)"
)
_ON_THE_CAMERA = "Do it on the camera itself, or do without; `focusrail camera info` lists what it offers from here."
_DEAD_LINK_WORDS = re.compile(
    r"connection (?:refused|reset|closed|timed out)|no route|broken pipe|not open|PTP Timeout|PTP I/O Error",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Reason:
    """What the camera's own words mean."""

    words: re.Pattern[str]
    message: str
    remedy: str
    kind: type[CameraError] = CameraError


def _reason(words: str, message: str, remedy: str, kind: type[CameraError] = CameraError) -> _Reason:
    return _Reason(re.compile(words, re.IGNORECASE), message, remedy, kind)


OPENING = "opening"
"""How what is done begins, in words, where a camera that answers "busy" may be another program's."""

FOCUS_AT_LIMIT = re.compile(r"focus (?:drive )?at limit|mf ?drive ?step ?end", re.IGNORECASE)
"""The lens's focus motor stands at an end."""

FOCUS_STEP_TOO_SMALL = re.compile(r"focus (?:drive )?step(?:ping)? too small|step ?insufficien", re.IGNORECASE)
"""The lens's focus motor cannot move by so little."""

# PTP response texts of libgphoto2 (ptp.c, ptp_strerror) and the driver's own messages.
_REASONS = (
    _Reason(
        FOCUS_AT_LIMIT,
        "The lens's focus motor stands at its end.",
        "Turn round, or start from the other end; home the lens axis anew.",
        FocusEndError,
    ),
    _Reason(
        FOCUS_STEP_TOO_SMALL,
        "The lens's focus motor cannot move by so little.",
        "Take larger steps.",
    ),
    _reason(
        r"out of focus|focus(?:sing)? (?:fail|not)|AF (?:fail|drive)|not in focus",
        "The camera did not release because its autofocus found nothing.",
        "Switch the lens or the body to manual focus, or set the role autofocus to off.",
    ),
    _reason(
        r"store full|storage full|memory full|card full|no space",
        "The camera's card or memory is full.",
        "Empty the card, or use another; where its memory is full: store on a card (target card), or switch it off and on. Then go on.",
    ),
    _reason(
        r"store (?:not available|read.?only)|no (?:memory )?card|no_?cf|hardware error",
        "The camera has no card that it can write to.",
        "Put in a card that is not write-protected, or shoot to the camera's memory (target memory).",
    ),
    _reason(
        r"access denied|access is denied",
        "The camera refuses orders from the computer.",
        "Close its menus and playback, set it to PC remote or still photo mode, and allow the connection on its screen.",
    ),
    _reason(
        r"battery",
        "The camera's battery is too low.",
        "Put in a full battery or a mains adapter.",
    ),
    _reason(
        r"not (?:in )?live ?view|only in live ?view",
        "The camera does that only while live view is on.",
        "Move the lens by `focusrail rail jog 40st --rail lens:`, which switches live view on for it.",
    ),
    _reason(
        r"invalid status|mirror up|shutter speed is bulb|bulb release busy|nocanonremote|change camera mode",
        "The camera cannot do that in the state that it is in.",
        "Leave menus, playback and live view; turn the mode dial to M; switch the drive mode to single.",
        CameraStateError,
    ),
)


def _recognised(failed: Failed) -> _Reason | None:
    words = said(failed)
    return next((reason for reason in _REASONS if reason.words.search(words)), None)


def is_refusal(failed: Failed) -> bool:
    """Whether the camera said why it does not do as asked: it is well, and need not be opened anew."""
    return not is_link_gone(failed) and (
        is_busy(failed)
        or failed.code in {OPERATING_SYSTEM, NO_SPACE, OS_FAILURE, NOT_SUPPORTED}
        or _recognised(failed) is not None
        or _READ_ONLY.search(said(failed)) is not None
    )


def is_busy(failed: Failed) -> bool:
    """Whether the camera is at something else just now; where the library reports that as any failure, its words tell."""
    return failed.code == CAMERA_BUSY or _BUSY.search(said(failed)) is not None


_BUSY = re.compile(r"device busy|0x2019", re.IGNORECASE)
_UNANSWERED = re.compile(r"not set \(0x02fa", re.IGNORECASE)
"""Of one setting: libgphoto2 sends some without their value (Sony's target over a network), for which the camera then waits."""
_READ_ONLY = re.compile(r"read-only|not set|no such|not found|parsing the value", re.IGNORECASE)


def is_link_gone(failed: Failed) -> bool:
    """Whether the camera object is spent: it must be opened anew."""
    words = " ".join((failed.text, *failed.reasons))
    return failed.code in LOST_CODES | {TIMEOUT, USB_CLAIM, IO_LOCK} or (
        failed.code in {ERROR, BAD_PARAMETERS} and _DEAD_LINK_WORDS.search(words) is not None
    )


def said(failed: Failed) -> str:
    """The library's words with the reasons behind them."""
    reasons = "; ".join(reason.rstrip(".") for reason in failed.reasons if reason)
    return f"{failed.text}: {reasons}" if reasons else failed.text


def camera_error(failed: Failed, doing: str, *, holders: str = "") -> CameraError:
    """The error for a call that failed while `doing` something (`opening the camera at usb:001,004`).

    `holders` names the processes that hold the camera and how to end them, where known.
    """
    words = said(failed)
    if is_busy(failed) and not doing.startswith(OPENING):
        return CameraBusyError(
            f"The camera is busy while {doing} ({words}).",
            remedy="Wait for its flash, its card or a long exposure, leave its menus, and try again.",
            state="connected",
        )
    if failed.code in {CAMERA_BUSY, USB_CLAIM, IO_LOCK}:
        return CameraBusyError(
            f"The camera is busy or held by another program while {doing} ({words}).",
            remedy=holders
            or "Close other programs that use the camera; unmount it in the file manager; then try again.",
            state="not claimed",
        )
    if failed.code in {MODEL_NOT_FOUND, UNKNOWN_PORT}:
        return CameraNotFoundError(
            f"No camera was found while {doing} ({words}).",
            remedy="Connect the camera, switch it on, set its USB mode to PTP or PC remote; `focusrail devices` lists what is seen.",
            state="no camera",
        )
    if failed.code == TIMEOUT:
        return CameraTimeoutError(
            f"The camera did not answer while {doing} ({words}).",
            remedy="Wake the camera, check its battery and cable, and switch off its automatic power-off.",
            state="unknown",
        )
    if is_link_gone(failed):
        return CameraLostError(
            f"The link to the camera broke while {doing} ({words}).",
            remedy="Check the cable and that the camera is on; then try again.",
            state="link gone",
        )
    if failed.code == NOT_SUPPORTED and not doing.startswith(OPENING):
        return CameraError(
            f"Over its connection this camera cannot be asked for that ({words}, while {doing}).",
            remedy=_ON_THE_CAMERA,
            state="connected",
        )
    if reason := _recognised(failed):
        return reason.kind(f"{reason.message} ({words}, while {doing})", remedy=reason.remedy, state="connected")
    return CameraError(
        f"The camera refused while {doing} ({words}).",
        remedy="Allow the connection on the camera's screen, set it to PTP or PC remote, and close other programs that use it.",
        state="not known; see the camera's screen",
    )


def opening_error(failed: Failed, doing: str, port: str, holders: str) -> CameraError:
    """As `camera_error`, for opening the camera at `port`."""
    words, network = said(failed), port.startswith("ptpip:")
    if failed.code == MODEL_NOT_FOUND:  # many bodies leave the USB when they fall asleep
        return CameraNotFoundError(
            f"No camera is on the USB while {doing} ({words}): it is off, asleep, or not plugged in.",
            remedy=f"Switch it on, or {_WAKE}; check the cable, and that its USB mode is PTP or PC remote. `focusrail devices` "
            "lists what is seen.",
            state="no camera",
        )
    if failed.code in LOST_CODES | {TIMEOUT}:
        kind = CameraTimeoutError if failed.code == TIMEOUT else CameraNotFoundError
        where = "it is" if network else "it is plugged in, and"
        why = "off, asleep, or out of the network" if network and kind is CameraNotFoundError else "asleep or hangs"
        return kind(
            f"No camera answers at {port} ({words}): {where} {why}.",
            remedy=f"Switch it on, or {_WAKE}; check its battery and its {'network' if network else 'cable'}.",
            state="no camera",
        )
    if failed.code == BAD_PARAMETERS and port.startswith("ptpip:"):
        return CameraNotFoundError(
            f"There is no host to reach a camera at {port} ({said(failed)}).",
            remedy="Give the camera's address, for example ptpip:192.168.1.1; its name only where the network knows it.",
            state="no camera",
        )
    return camera_error(failed, doing, holders=holders)


def reading_error(failed: Failed, doing: str) -> CameraError:
    """As `camera_error`, for reading an entry that the camera has: one that hangs is said by the library to have it no more."""
    if failed.code == BAD_PARAMETERS and not is_refusal(failed) and not is_link_gone(failed):
        return camera_error(Failed(TIMEOUT, failed.text, failed.reasons), doing)
    return camera_error(failed, doing)


def setting_error(failed: Failed, doing: str) -> CameraError:
    """As `camera_error`, for writing a setting."""
    words = said(failed)
    if is_busy(failed):
        return camera_error(failed, doing)
    if failed.code in {ERROR, BAD_PARAMETERS, NOT_SUPPORTED} and not is_link_gone(failed) and _READ_ONLY.search(words):
        return CameraSettingError(
            f"The camera does not take the setting while {doing} ({words}).",
            remedy="Turn its mode dial to M, and its lens to manual or automatic aperture as the setting needs.",
            state="connected",
        )
    if failed.code in {ERROR, BAD_PARAMETERS} and _UNANSWERED.search(words):
        return CameraSettingError(
            f"The camera gave no answer while {doing} ({words}): it does not take the setting, or hangs.",
            remedy="Set it in the camera's own menu, or leave it as it stands; where other orders fail, too, check battery and cable.",
            state="the camera is opened again with the next order",
        )
    return camera_error(failed, doing)


def shot_error(failed: Failed, doing: str, *, exposed: bool) -> CameraError:
    """As `camera_error`, for a shot: what the camera's words mean, and whether the shutter had opened."""
    words = said(failed)
    if failed.code in {OPERATING_SYSTEM, NO_SPACE, OS_FAILURE}:
        return NotStoredError(
            f"The picture could not be stored while {doing}: {words}.",
            remedy="Make room on the disk, or choose a folder that can be written.",
            state="exposed; not stored" if exposed else "nothing was exposed",
        )
    if exposed:
        if is_link_gone(failed):
            return camera_error(failed, doing)
        return ShotIncompleteError(
            f"The shot was exposed, but its file did not arrive while {doing} ({words}).",
            remedy="Shoot again; where it repeats, store on the card (target card) and check the cable.",
            state="exposed; file missing",
        )
    if reason := _recognised(failed):
        return ShotRefusedError(f"{reason.message} ({words})", remedy=reason.remedy, state="nothing was exposed")
    if is_busy(failed):
        return ShotBusyError(
            f"The camera stayed busy ({words}).",
            remedy="Wait for its flash or card, leave its menus, and try again.",
            state="nothing was exposed",
        )
    if is_link_gone(failed):
        return camera_error(failed, doing)
    if failed.code == NOT_SUPPORTED:
        return ShotRefusedError(
            f"Over its connection this camera takes no order to release in this way ({words}, while {doing}).",
            remedy=_ON_THE_CAMERA,
            state="nothing was exposed",
        )
    return ShotRefusedError(
        f"The camera did not release while {doing} ({words}).",
        remedy="See the camera's screen; switch to manual focus and mode M.",
        state="nothing was exposed",
    )


def hung(doing: str, waited_s: float) -> CameraError:
    """The error for a call that was not answered in `waited_s`."""
    return CameraTimeoutError(
        f"The camera {'is asleep or hangs' if doing.startswith(OPENING) else 'hung'} while {doing}: no answer for {waited_s:.0f} s.",
        remedy=f"Check its battery and cable, or {_WAKE}; then try again.",
        state="unknown",
    )


def died(doing: str, cause: str) -> CameraError:
    """The error for a process of the library that ended; `cause` as `ProcessDiedError` tells it."""
    return CameraLostError(
        "The interrupt ended the camera's process."
        if cause == INTERRUPTED
        else f"The camera library crashed while {doing} ({cause}).",
        remedy="Try again; where it repeats at the same step, report it with `focusrail camera info`.",
        state="link gone",
    )
