"""What is told before the first frame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.camera.protocol import CameraInfo, Role, RoleState
from capture.camera.readiness import BatteryWatch, Store, charge_of, obstacles

READY = {
    Role.BATTERY: "80%",
    Role.SHUTTER: "1/60",
    Role.TARGET: "Memory card",
    Role.AUTOFOCUS: "Off",
    Role.EXPOSURE_MODE: "M",
    Role.DRIVE_MODE: "Single Shot",
    Role.FORMAT: "NEF+Fine",
}
CARD = Store("card", 8 << 30, 300)


def info(**changed: str) -> CameraInfo:
    values = {role.value: value for role, value in READY.items()} | changed
    return CameraInfo("Body", {Role(name): RoleState(name, value, ()) for name, value in values.items()})


def test_nothing_stands_in_the_way_of_a_ready_camera() -> None:
    assert obstacles(info(), [CARD], frames=300, bytes_a_frame=25 << 20) == ()


@pytest.mark.parametrize(
    ("role", "value", "words", "fatal"),
    [
        ("battery", "19%", "19 %", False),
        ("battery", "5%", "5 %", True),
        ("battery", "Low", "told as low.", False),
        ("battery", "Exhausted", "told as exhausted.", True),
        ("shutter", "Bulb", "bulb", True),
        ("autofocus", "On", "focuses by itself", False),
        ("autofocus", "AF-S", "focuses by itself", False),
        ("exposure_mode", "AV", "may change", False),
        ("drive_mode", "Continuous high speed", "drive mode", False),
        ("drive_mode", "Timer 10 sec", "drive mode", False),
        ("format", "Unknown value 000d", "Nobody knows", False),
    ],
)
def test_each_obstacle_has_its_words(role: str, value: str, words: str, fatal: bool) -> None:
    (found,) = obstacles(info(**{role: value}), [CARD])
    assert words in found.message
    assert found.remedy
    assert found.fatal is fatal


@pytest.mark.parametrize(
    ("role", "value"),
    [
        ("battery", "High"),
        ("autofocus", "Manual"),
        ("autofocus", "MF (fixed)"),
        ("autofocus", "Unknown value 8005"),
        ("exposure_mode", "Manual"),
        ("drive_mode", "Single silent"),
        ("shutter", "auto"),
    ],
)
def test_what_is_fine_or_unknown_is_not_complained_of(role: str, value: str) -> None:
    assert obstacles(info(**{role: value}), [CARD]) == ()


@pytest.mark.parametrize(
    ("stores", "words", "fatal"),
    [
        ([], "no card", True),
        ([Store("card", 0, 0)], "full", True),
        ([Store("card", None, 0)], "full", True),
        ([Store("card", 1 << 30, 200, read_only=True)], "write-protected", True),
        ([Store("card", 1 << 30, 200)], "about 100 of 150", False),
    ],
)
def test_cards(stores: list[Store], words: str, fatal: bool) -> None:
    (found,) = obstacles(info(), stores, frames=150, bytes_a_frame=(1 << 30) // 100)
    assert words in found.message
    assert found.fatal is fatal
    assert obstacles(info(target="Internal RAM"), stores, frames=150) == ()


def test_a_camera_that_tells_nothing_is_not_in_the_way() -> None:
    assert obstacles(CameraInfo("Body", dict.fromkeys(Role))) == ()
    assert obstacles(info(), [Store("card", None, None)], frames=10_000) == ()


@given(
    st.dictionaries(
        st.sampled_from([role.value for role in READY]), st.sampled_from(["5%", "Bulb", "On", "AV", "Burst", "x"])
    )
)
def test_the_fatal_come_first(changed: dict[str, str]) -> None:
    fatal = [one.fatal for one in obstacles(info(**changed), [])]
    assert fatal == sorted(fatal, reverse=True)


@pytest.mark.parametrize(
    ("value", "charge"), [("75%", 75), ("Low", 10), ("Exhausted", 0), ("Half", None), ("", None), ("0", None)]
)
def test_charges_in_numbers_and_words(value: str, charge: int | None) -> None:
    assert charge_of(value) == charge


@given(st.lists(st.integers(0, 100), min_size=1, max_size=60))
def test_an_emptying_battery_is_told_of_once_for_each_mark(charges: list[int]) -> None:
    watch = BatteryWatch()
    told = [watch.look(f"{charge}%") for charge in sorted(charges, reverse=True)]
    passed = {next(mark for mark in (5, 10, 20) if charge <= mark) for charge in charges if charge <= 20}
    assert len([words for words in told if words]) == len(passed)
    assert bool(watch.hint) == (min(charges) <= 20)


def test_a_battery_that_counts_in_words_is_given_no_figure() -> None:
    watch = BatteryWatch()
    assert "battery is told as low." in watch.look("Low")
    assert watch.hint == "Its battery was told as low when last read."


def test_a_changed_battery_starts_anew_and_one_that_wavers_does_not() -> None:
    watch = BatteryWatch()
    assert [bool(watch.look(value)) for value in ("20%", "21%", "20%", "?", "95%", "18%")] == [
        True,
        False,
        False,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("autopoweroff", "30", True),
        ("autopoweroff", "0", False),
        ("autopoweroff", "600", False),
        ("autopoweroff", "4294967295", False),
        ("meterofftime", "6 seconds", False),
    ],
)
def test_a_camera_that_will_soon_switch_itself_off(name: str, value: str, told: bool) -> None:
    ready = info()
    ready.roles[Role.AUTO_POWER_OFF] = RoleState(name, value, ())
    assert [f"after {value} s" in one.message for one in obstacles(ready, [CARD])] == [True] * told
