"""Every result code and reason of the library becomes an error of ours, with what to do next."""

from __future__ import annotations

import gphoto2 as gp
import pytest

from capture.camera import faults
from capture.camera.faults import (
    camera_error,
    is_link_gone,
    is_refusal,
    opening_error,
    reading_error,
    setting_error,
    shot_error,
)
from capture.camera.wire import Failed
from capture.errors import (
    CameraBusyError,
    CameraError,
    CameraLostError,
    CameraNotFoundError,
    CameraSettingError,
    CameraTimeoutError,
    ShotIncompleteError,
    ShotRefusedError,
)

LIBRARY_CODES = sorted(
    {value for name, value in vars(gp).items() if name.startswith("GP_ERROR") and isinstance(value, int)}
)


@pytest.mark.parametrize("code", LIBRARY_CODES)
def test_no_code_of_the_library_leaves_without_words(code: int) -> None:
    failed = Failed(code, "text of the library", ("reason of the camera",))
    made = [camera_error(failed, "doing"), setting_error(failed, "doing")]
    made += [shot_error(failed, "doing", exposed=exposed) for exposed in (False, True)]
    for error in made:
        assert "text of the library: reason of the camera" in error.message
        assert error.remedy
        assert error.state


def test_our_numbers_are_the_library_s() -> None:
    ours = {
        "TIMEOUT": gp.GP_ERROR_TIMEOUT,
        "CAMERA_BUSY": gp.GP_ERROR_CAMERA_BUSY,
        "USB_CLAIM": gp.GP_ERROR_IO_USB_CLAIM,
        "MODEL_NOT_FOUND": gp.GP_ERROR_MODEL_NOT_FOUND,
        "IO_ERROR": gp.GP_ERROR_IO,
        "IO_READING": gp.GP_ERROR_IO_READ,
        "IO_WRITING": gp.GP_ERROR_IO_WRITE,
        "IO_LOCK": gp.GP_ERROR_IO_LOCK,
        "NOT_SUPPORTED": gp.GP_ERROR_NOT_SUPPORTED,
        "BAD_PARAMETERS": gp.GP_ERROR_BAD_PARAMETERS,
        "NO_SPACE": gp.GP_ERROR_NO_SPACE,
    }
    assert {name: getattr(faults, name) for name in ours} == ours


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (-110, CameraBusyError),
        (-53, CameraBusyError),
        (-60, CameraBusyError),
        (-7, CameraLostError),
        (-35, CameraLostError),
        (-52, CameraLostError),
        (-10, CameraTimeoutError),
        (-105, CameraNotFoundError),
        (-5, CameraNotFoundError),
        (-1, CameraError),
        (-6, CameraError),
    ],
)
def test_what_a_code_means(code: int, kind: type[CameraError]) -> None:
    assert type(camera_error(Failed(code, "text"), "opening")) is kind


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("PTP Out of Focus", "autofocus"),
        ("Out of Focus", "autofocus"),
        ("PTP Store Full", "full"),
        ("PTP Store Not Available", "no card"),
        ("PTP Access Denied", "refuses orders"),
        ("PTP Invalid Status", "state"),
        ("Battery exhausted", "battery"),
    ],
)
def test_what_the_camera_says_of_a_shot_it_does_not_take(reason: str, words: str) -> None:
    failed = Failed(-1, "Unspecified error", (reason,))
    error = shot_error(failed, "shooting 0001", exposed=False)
    assert type(error) is ShotRefusedError
    assert words in error.message
    assert error.state == "nothing was exposed"
    assert is_refusal(failed)
    assert type(shot_error(failed, "shooting 0001", exposed=True)) is ShotIncompleteError


@pytest.mark.parametrize("code", [-1, -2])
def test_a_failure_without_a_reason_spends_the_camera(code: int) -> None:
    assert not is_refusal(Failed(code, "Unspecified error"))
    assert not is_refusal(Failed(code, "Unspecified error", ("PTP General Error",)))


@pytest.mark.parametrize("code", [-7, -10, -35, -53])
def test_a_dead_link_is_never_a_refusal(code: int) -> None:
    failed = Failed(code, "I/O problem", ("PTP Store Full",))
    assert is_link_gone(failed)
    assert not is_refusal(failed)


def test_an_address_that_nobody_has_is_not_taken_for_a_camera_that_refuses() -> None:
    port = "ptpip:nowhere.invalid:15740:15740"
    error = opening_error(Failed(-2, "Bad parameters"), "opening the camera", port, "")
    assert type(error) is CameraNotFoundError
    assert f"no host to reach a camera at {port}" in error.message
    assert "ptpip:192.168" in error.remedy


@pytest.mark.parametrize(
    ("code", "port", "kind", "why"),
    [
        (-105, "usb:001,004", CameraNotFoundError, "it is off, asleep, or not plugged in"),
        (-7, "usb:001,004", CameraNotFoundError, "it is plugged in, and asleep or hangs"),
        (-10, "usb:001,004", CameraTimeoutError, "it is plugged in, and asleep or hangs"),
        (-7, "ptpip:192.168.1.1", CameraNotFoundError, "it is off, asleep, or out of the network"),
        (-10, "ptpip:192.168.1.1", CameraTimeoutError, "it is asleep or hangs"),
    ],
)
def test_a_camera_that_does_not_answer_is_called_what_can_be_known_of_it(
    code: int, port: str, kind: type[CameraError], why: str
) -> None:
    error = opening_error(Failed(code, "words"), "opening the camera", port, "")
    assert (type(error), f"{why}." in error.message) == (kind, True)
    assert "half-press its shutter button" in error.remedy
    assert "auto_power_off" in error.remedy


def test_what_a_connection_does_not_offer_is_said_so() -> None:
    failed = Failed(faults.NOT_SUPPORTED, "Unsupported operation")
    for error in (camera_error(failed, "taking a live frame"), shot_error(failed, "shooting 0001", exposed=False)):
        assert "Over its connection" in error.message
        assert "on the camera itself" in error.remedy


def test_a_setting_that_the_camera_does_not_take() -> None:
    failed = Failed(-1, "Unspecified error", ("Sorry, the property 'ISO Speed' / 0x500f is currently read-only.",))
    assert type(setting_error(failed, "setting iso to 100")) is CameraSettingError
    assert is_refusal(failed)


def test_a_setting_without_an_answer_is_not_called_a_cable() -> None:
    """The camera waits for a value that libgphoto2 does not send: it must be opened anew, and is well."""
    reason = "The property 'Capture Target' / 0xd222 was not set (0x02fa: PTP Timeout)"
    failed = Failed(-2, "Bad parameters", (reason, "Property 'capturetarget' not found"))
    error = setting_error(failed, "setting capturetarget to sdram")
    assert type(error) is CameraSettingError
    assert "own menu" in error.remedy
    assert not is_refusal(failed)
    assert type(setting_error(Failed(-7, "I/O problem", (reason,)), "setting iso to 100")) is CameraLostError


@pytest.mark.parametrize(
    ("code", "reason"),
    [(-110, ""), (-1, "The property 'ISO Speed' / 0x500f was not set (0x2019: PTP Device Busy)")],
)
def test_a_busy_camera_is_waited_for_and_its_mode_dial_left_alone(code: int, reason: str) -> None:
    failed = Failed(code, "I/O in progress" if code == -110 else "Unspecified error", (reason,) if reason else ())
    assert is_refusal(failed)
    for error in (setting_error(failed, "setting iso to 100"), camera_error(failed, "taking a live frame")):
        assert type(error) is CameraBusyError
        assert "Wait" in error.remedy
        assert "dial" not in error.remedy
        assert error.state == "connected"
    assert "Close other programs" in camera_error(failed, "opening the camera").remedy or code == -1


def test_a_full_disk_is_no_fault_of_the_camera() -> None:
    failed = Failed(faults.OPERATING_SYSTEM, "No space left on device")
    assert "could not be stored" in shot_error(failed, "shooting", exposed=True).message
    assert is_refusal(failed)


def test_who_holds_the_camera_is_the_remedy() -> None:
    assert (
        camera_error(Failed(-53, "busy"), "opening", holders="gvfsd-gphoto2 holds it").remedy
        == "gvfsd-gphoto2 holds it"
    )


def test_a_camera_that_hangs_is_not_said_to_refuse() -> None:
    """libgphoto2 calls an entry that it cannot read any more a bad parameter."""
    error = reading_error(Failed(faults.BAD_PARAMETERS, "Bad parameters"), "reading iso")
    assert type(error) is CameraTimeoutError
    assert "did not answer while reading iso" in error.message
    assert not is_refusal(Failed(faults.BAD_PARAMETERS, "Bad parameters"))
    assert type(reading_error(Failed(-7, "I/O problem"), "reading iso")) is CameraLostError
    gone = Failed(faults.BAD_PARAMETERS, "Bad parameters", ("connection closed",))
    assert type(reading_error(gone, "reading iso")) is CameraLostError
