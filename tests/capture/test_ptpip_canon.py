"""The second maker's dialect: its numbers by table, its records by their lengths, and the real libgphoto2 on it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.bench.ptpip.canon_wire import (
    QUALITIES,
    CanonProperty,
    added_record,
    battery_number,
    choices_of,
    choices_record,
    pack_quality,
    transfer_record,
    value_record,
)
from capture.bench.ptpip.datasets import ObjectInfo
from capture.bench.ptpip.settings import BULB, BodySettings, Quality
from capture.camera.gphoto_camera import GphotoCamera
from capture.camera.lens_axis import LensAxis
from capture.camera.lens_ledger import LensLedger
from capture.camera.opening import open_camera
from capture.camera.protocol import Role
from capture.errors import CameraSettingError
from rail.errors import RailRefusedError
from tests.capture.camera_bench import NetworkCamera


@pytest.mark.parametrize(
    ("code", "value", "number"),
    [
        (CanonProperty.ISO_SPEED, 100, 0x48),
        (CanonProperty.ISO_SPEED, 125, 0x4B),
        (CanonProperty.ISO_SPEED, 320, 0x55),
        (CanonProperty.ISO_SPEED, 6400, 0x78),
        (CanonProperty.APERTURE, 2.8, 0x20),
        (CanonProperty.APERTURE, 4.0, 0x28),
        (CanonProperty.APERTURE, 6.3, 0x33),
        (CanonProperty.APERTURE, 11.0, 0x40),
        (CanonProperty.APERTURE, 32.0, 0x58),
        (CanonProperty.SHUTTER_SPEED, BULB, 0x0C),
        (CanonProperty.SHUTTER_SPEED, Fraction(30), 0x10),
        (CanonProperty.SHUTTER_SPEED, Fraction(1), 0x38),
        (CanonProperty.SHUTTER_SPEED, Fraction(1, 60), 0x68),
        (CanonProperty.SHUTTER_SPEED, Fraction(1, 125), 0x70),
        (CanonProperty.SHUTTER_SPEED, Fraction(1, 4000), 0x98),
    ],
)
def test_numbers_of_values(code: CanonProperty, value: object, number: int) -> None:
    assert choices_of(BodySettings())[code][1][value] == number


def test_every_value_has_a_number_of_its_own() -> None:
    for _, numbers in choices_of(BodySettings()).values():
        assert len(set(numbers.values())) == len(numbers)


def test_formats_are_told_apart() -> None:
    packed = {pack_quality(quality) for quality in QUALITIES}
    assert len(packed) == len(QUALITIES)
    assert pack_quality(Quality(raw=True)) == struct.pack("<5I", 1, 16, 6, 0, 4)
    assert pack_quality(Quality(raw=True, jpeg="fine")) == struct.pack("<9I", 2, 16, 6, 0, 4, 16, 1, 0, 3)


@pytest.mark.parametrize(("percent", "number"), [(100, 2), (75, 4), (50, 1), (20, 5), (5, 0)])
def test_the_battery_in_fifths(percent: int, number: int) -> None:
    assert battery_number(percent) == number


@given(st.text("ABC_0123456789.", min_size=1, max_size=20), st.integers(0, 0xFFFFFFFF), st.binary(max_size=40))
def test_a_record_says_how_long_it_is(name: str, number: int, value: bytes) -> None:
    info = ObjectInfo(0x10001, 0x3801, number, 0x10000001, name)
    records = [
        added_record(number, info, 0xB103),
        transfer_record(number, info, 0xB103),
        value_record(0xD101, value),
        choices_record(0xD101, [b"1234"] * len(value)),
    ]
    for record in records:
        assert struct.unpack_from("<I", record)[0] == len(record)
        assert len(record) % 4 == 0
    for record, offset in zip(records, (0x28, 0x1C), strict=False):
        assert record[offset:].startswith(name.encode())


@pytest.fixture(scope="module")
def bench() -> Iterator[NetworkCamera]:
    with NetworkCamera("--maker", "canon", "--scale", "10", "--size", "300x200") as camera:
        yield camera


@pytest.fixture
def camera(bench: NetworkCamera) -> Iterator[GphotoCamera]:
    with open_camera(bench.port) as camera:
        yield camera


def test_roles_of_this_maker(camera: GphotoCamera) -> None:
    found = {role.value: state.name if state else None for role, state in camera.info().roles.items()}
    assert found == {
        "iso": "iso", "shutter": "shutterspeed", "aperture": "aperture", "exposure_mode": "autoexposuremode",
        "white_balance": "whitebalance", "format": "imageformat", "target": "capturetarget", "live_view": "viewfinder",
        "focus_drive": "manualfocusdrive", "mirror": None, "drive_mode": "drivemode", "battery": "batterylevel",
        "autofocus": "focusmode", "magnify": "eoszoom", "exposure_preview": None, "auto_power_off": "autopoweroff",
        "shutter_type": "drivemode",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("role", "wish", "value"),
    [
        (Role.SHUTTER, "0.008", "1/125"),
        (Role.APERTURE, "f/5.6", "5.6"),
        (Role.FORMAT, "RAW+JPEG", "RAW + L"),
        (Role.ISO, "400", "400"),
    ],
)
def test_settings_are_written_and_read_back(camera: GphotoCamera, role: Role, wish: str, value: str) -> None:
    assert camera.set(role, wish).value == value
    assert camera.get(role).value == value


def test_what_a_hand_changes_is_read(bench: NetworkCamera, camera: GphotoCamera) -> None:
    assert camera.get(Role.EXPOSURE_MODE).value == "Manual"
    bench.order(fault="wrong_mode", mode="auto")
    assert camera.get(Role.EXPOSURE_MODE).value == "P"
    bench.order(clear="wrong_mode")
    assert camera.get(Role.EXPOSURE_MODE).value == "Manual"


@pytest.mark.parametrize("wish", ["100%", "Entire Display", "-5"])
def test_a_magnification_that_is_no_factor_is_refused_before_it_is_sent(camera: GphotoCamera, wish: str) -> None:
    before = camera.driver_pid
    with pytest.raises(CameraSettingError, match="does not offer") as refusal:
        camera.set(Role.MAGNIFY, wish)
    assert "factors" in refusal.value.remedy
    assert camera.driver_pid == before


def test_live_view_and_its_magnification(bench: NetworkCamera, camera: GphotoCamera) -> None:
    with camera.live() as frames:
        plain = next(frames).jpeg
        with camera.magnified("5") as state:
            assert (state.name, state.value) == ("eoszoom", "5")
            assert next(frames).jpeg != plain
        assert bench.truth()["live"]
    assert not bench.truth()["live"]
    assert camera.get(Role.LIVE_VIEW).value == "0"


def test_its_shutter_is_held_by_the_release_button(bench: NetworkCamera, camera: GphotoCamera, tmp_path: Path) -> None:
    before = bench.truth()["shots"]
    camera.set(Role.SHUTTER, "bulb:0.3")
    assert camera.shoot(tmp_path, "0001").files
    assert bench.truth()["shots"] == before + 1
    camera.set(Role.SHUTTER, "1/60")


@pytest.mark.parametrize(
    ("role", "wish", "value"),
    [(Role.EXPOSURE_MODE, "S", "TV"), (Role.EXPOSURE_MODE, "M", "Manual"), (Role.AUTOFOCUS, "off", "Manual")],
)
def test_words_of_other_makers_are_understood(camera: GphotoCamera, role: Role, wish: str, value: str) -> None:
    before = camera.get(role)
    if before.read_only:
        pytest.skip("it stands on the lens")
    assert camera.set(role, wish).value == value


def test_the_lens_moves_by_its_smallest_word(bench: NetworkCamera, camera: GphotoCamera) -> None:
    camera.drive_focus(4)
    start = bench.truth()["lens_offset_um"]
    camera.drive_focus(3)
    assert bench.truth()["lens_offset_um"] - start == pytest.approx(3 * 8 * 0.25)
    assert not bench.truth()["live"]


def test_its_lens_is_an_axis_without_a_home(bench: NetworkCamera, tmp_path: Path) -> None:
    camera = open_camera(bench.port)
    with LensAxis(camera, ledger=LensLedger(camera.identity, tmp_path)) as axis:
        with pytest.raises(RailRefusedError, match="does not tell"):
            axis.home()
        axis.zero()
        axis.move_to(0)
        start = bench.truth()["lens_offset_um"]
        assert axis.move_to(6).position == 6
        assert bench.truth()["lens_offset_um"] - start == pytest.approx(6 * 8 * 0.25)
        axis.move_to(0)
        assert bench.truth()["lens_offset_um"] == pytest.approx(start)


def test_the_ring_of_the_lens_is_not_ours(camera: GphotoCamera) -> None:
    with pytest.raises(CameraSettingError):
        camera.set(Role.AUTOFOCUS, "AI Servo")
