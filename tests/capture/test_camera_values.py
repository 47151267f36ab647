"""Spellings of settings: what is the same, what is nearest, which choice a wish means."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.camera.protocol import CaptureTarget, FileFormat, Role
from capture.camera.values import (
    bulb_time,
    choose_format,
    choose_target,
    f_number,
    files_expected,
    find_choice,
    format_of,
    is_exact,
    iso_speed,
    nearest_choice,
    percent,
    same,
    shutter_seconds,
    target_of,
)

THIRDS_S = [30 / 2 ** (i / 3) for i in range(56)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1/125", 0.008),
        ("0.0080s", 0.008),
        ("0,0080s", 0.008),
        ("0.008", 0.008),
        ("10/13", 10 / 13),
        ("300/10", 30.0),
        ("1/1.3", 1 / 1.3),
        ("30", 30.0),
        ('2"', 2.0),
        ("0.3s", 0.3),
        ("60m", 3600.0),
        ("5 ms", 0.005),
        ("Bulb", math.inf),
        ("bulb", math.inf),
        ("65535/65535", math.inf),
        ("429496.7295s", math.inf),
        ("Time", None),
        ("65535/65533", None),
        ("x 200", None),
        ("auto", None),
        ("Unknown value 1500", None),
        ("1/0", None),
        ("", None),
    ],
)
def test_exposure_times(text: str, seconds: float | None) -> None:
    assert shutter_seconds(text) == pytest.approx(seconds) if seconds is not None else shutter_seconds(text) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("f/4", 4.0), ("4", 4.0), ("F4.0", 4.0), ("f/3,5", 3.5), ("f 8", 8.0), ("f/0", None), ("implicit auto", None)],
)
def test_f_numbers(text: str, number: float | None) -> None:
    assert f_number(text) == number


@pytest.mark.parametrize(
    ("text", "speed"),
    [
        ("100", 100),
        ("ISO 100", 100),
        ("iso100", 100),
        ("100.0", 100),
        ("Auto", None),
        ("-3", None),
        ("25600 Multi Frame Noise Reduction", None),
        ("Hi 1", None),
    ],
)
def test_speeds(text: str, speed: int | None) -> None:
    assert iso_speed(text) == speed


@pytest.mark.parametrize(("text", "charge"), [("75%", 75), ("100 %", 100), ("Low", None), ("101%", None), ("3", None)])
def test_battery_charge(text: str, charge: int | None) -> None:
    assert percent(text) == charge


@pytest.mark.parametrize(
    ("role", "first", "second", "equal"),
    [
        (Role.SHUTTER, "1/125", "0.0080s", True),
        (Role.SHUTTER, "1/125", "0,0080s", True),
        (Role.SHUTTER, "1/15", "0.0666s", True),
        (Role.SHUTTER, "0.8", "10/13", True),
        (Role.SHUTTER, "1/125", "1/160", False),
        (Role.SHUTTER, "1/6400", "0.0001s", True),
        (Role.SHUTTER, "bulb", "429496.7295s", True),
        (Role.SHUTTER, "bulb", "Time", False),
        (Role.SHUTTER, "30", "Bulb", False),
        (Role.APERTURE, "f/4", "4.0", True),
        (Role.APERTURE, "f/4", "4.5", False),
        (Role.APERTURE, "f/3,5", "f/3.5", True),
        (Role.ISO, "ISO 100", "100", True),
        (Role.ISO, "Auto", "Auto ISO", True),
        (Role.ISO, "25600", "25600 Multi Frame Noise Reduction", False),
        (Role.ISO, "100", "Auto", False),
        (Role.WHITE_BALANCE, "daylight", "Daylight ", True),
        (Role.WHITE_BALANCE, "Daylight", "Shade", False),
    ],
)
def test_equal_spellings(role: Role, first: str, second: str, equal: bool) -> None:
    assert same(role, first, second) is equal
    assert same(role, second, first) is equal


@given(st.sampled_from(THIRDS_S), st.sampled_from(THIRDS_S), st.sampled_from(["{:.4f}s", "{:g}", "1/{inverse:.4g}"]))
def test_neighbouring_third_stops_are_never_one_setting(first: float, second: float, spelling: str) -> None:
    texts = [spelling.format(value, inverse=1 / value) for value in (first, second)]
    if first != second and min(first, second) > 0.0005:
        assert not is_exact(Role.SHUTTER, *texts)
    assert same(Role.SHUTTER, texts[0], texts[0])


@given(st.floats(1e-4, 3600.0), st.lists(st.floats(1e-4, 3600.0), min_size=1, max_size=30))
def test_the_nearest_time_is_the_nearest_by_stops(wish: float, offered: list[float]) -> None:
    choices = [f"{value:.12g}" for value in offered]
    nearest = nearest_choice(Role.SHUTTER, f"{wish:.12g}", choices)
    assert nearest is not None
    stops = [abs(math.log2(float(choice) / wish)) for choice in choices]
    assert abs(math.log2(float(nearest) / wish)) == pytest.approx(min(stops), abs=1e-9)


@given(st.sampled_from(THIRDS_S))
def test_a_choice_that_is_offered_is_found_in_any_spelling(seconds: float) -> None:
    choices = [f"{value:.9f}" for value in THIRDS_S]
    for spelling in (f"{seconds:.9f}s", f"1/{1 / seconds:.9f}", f"{seconds:.9f}".replace(".", ",")):
        assert find_choice(Role.SHUTTER, spelling, choices) == f"{seconds:.9f}"


def test_what_is_near_in_words() -> None:
    assert nearest_choice(Role.WHITE_BALANCE, "daylihgt", ["Automatic", "Daylight", "Shade"]) == "Daylight"
    assert nearest_choice(Role.ISO, "110", ["Auto", "100", "200"]) == "100"
    assert nearest_choice(Role.WHITE_BALANCE, "zzz", ["Automatic"]) is None
    nikon = ["JPEG Basic", "JPEG Fine", "NEF (Raw)", "NEF+Basic", "NEF+Fine"]
    assert nearest_choice(Role.FORMAT, "NEF", nikon) == "NEF (Raw)"
    assert nearest_choice(Role.FORMAT, "NEF+Fin", nikon) == "NEF+Fine"


@pytest.mark.parametrize(
    ("choice", "files"),
    [
        ("RAW", FileFormat.RAW),
        ("cRAW", FileFormat.RAW),
        ("sRAW1", FileFormat.RAW),
        ("NEF (Raw)", FileFormat.RAW),
        ("NEF+Fine", FileFormat.RAW_JPEG),
        ("NEF+Fein", FileFormat.RAW_JPEG),
        ("RAW + Large Fine JPEG", FileFormat.RAW_JPEG),
        ("cRAW + Smaller JPEG", FileFormat.RAW_JPEG),
        ("Large Normal JPEG+RAW", FileFormat.RAW_JPEG),
        ("RAW+JPEG (X.Fine)", FileFormat.RAW_JPEG),
        ("RAW + JPEG Normal", FileFormat.RAW_JPEG),
        ("Large Fine JPEG", FileFormat.JPEG),
        ("Extra Fine", FileFormat.JPEG),
        ("Standard", FileFormat.JPEG),
        ("JPEG Basic", FileFormat.JPEG),
        ("L", FileFormat.JPEG),
        ("cM1", FileFormat.JPEG),
        ("RAW + L", FileFormat.RAW_JPEG),
        ("cRAW + cS2", FileFormat.RAW_JPEG),
        ("TIFF (RGB)", None),
        ("RAW + Large Fine HEIF", None),
        ("Unknown value 000d", None),
    ],
)
def test_what_a_format_string_makes(choice: str, files: FileFormat | None) -> None:
    assert format_of(choice) is files
    expected = {None: None, FileFormat.RAW_JPEG: 2, FileFormat.RAW: 1, FileFormat.JPEG: 1}
    assert files_expected(choice) == expected[files]


CANON = (
    "Large Fine JPEG",
    "Small Normal JPEG",
    "cRAW + Large Fine JPEG",
    "RAW + Smaller JPEG",
    "RAW + Large Fine JPEG",
    "mRAW",
    "RAW",
)


@pytest.mark.parametrize(
    ("wish", "choices", "current", "chosen"),
    [
        ("raw", CANON, None, "RAW"),
        ("RAW+JPEG", CANON, None, "RAW + Large Fine JPEG"),
        ("JPEG", CANON, None, "Large Fine JPEG"),
        ("JPEG", CANON, "Small Normal JPEG", "Small Normal JPEG"),
        ("raw", CANON, "mRAW", "RAW"),
        ("RAW", ("NEF (Raw)", "NEF (Raw) small"), "NEF (Raw) small", "NEF (Raw) small"),
        ("mRAW", CANON, "RAW", "mRAW"),
        ("jpg", ("JPEG Basic", "JPEG Normal", "JPEG Fine", "NEF (Raw)"), None, "JPEG Fine"),
        ("RAW+JPEG", ("Standard", "Fine", "RAW", "RAW+JPEG"), None, "RAW+JPEG"),
        ("RAW+JPEG", ("RAW+JPEG (Std)", "RAW+JPEG (X.Fine)", "RAW+JPEG (Fine)"), None, "RAW+JPEG (X.Fine)"),
        ("RAW+JPEG", ("JPEG Fine", "NEF (Raw)"), None, None),
        ("JPEG", ("RAW", "cL", "S1", "M", "L", "cS3"), None, "L"),
        ("RAW+JPEG", ("mRAW + L", "cRAW + L", "RAW + cL", "RAW + M", "RAW + L"), None, "RAW + L"),
    ],
)
def test_which_choice_makes_the_wished_files(
    wish: str, choices: tuple[str, ...], current: str | None, chosen: str | None
) -> None:
    assert find_choice(Role.FORMAT, wish, choices, current) == chosen


@given(st.sampled_from(FileFormat), st.lists(st.sampled_from(CANON)))
def test_a_chosen_format_makes_what_was_wished(wish: FileFormat, choices: list[str]) -> None:
    chosen = choose_format(wish, choices)
    assert format_of(chosen) is wish if chosen is not None else all(format_of(choice) is not wish for choice in choices)


@pytest.mark.parametrize(
    ("wish", "choices", "chosen"),
    [
        (CaptureTarget.CARD, ("Internal RAM", "Memory card"), "Memory card"),
        (CaptureTarget.MEMORY, ("Internal RAM", "Memory card"), "Internal RAM"),
        (CaptureTarget.CARD, ("interner Speicher", "Speicherkarte"), "Speicherkarte"),
        (CaptureTarget.MEMORY, ("interner Speicher", "Speicherkarte"), "interner Speicher"),
        (CaptureTarget.CARD, ("sdram", "card", "card+sdram"), "card+sdram"),
        (CaptureTarget.MEMORY, ("sdram", "card+sdram"), "sdram"),
        (CaptureTarget.MEMORY, ("card",), None),
    ],
)
def test_which_choice_is_the_wished_target(wish: CaptureTarget, choices: tuple[str, ...], chosen: str | None) -> None:
    assert choose_target(wish, choices) == chosen
    assert chosen is None or target_of(chosen) is wish
    assert find_choice(Role.TARGET, wish.value, choices) in {chosen, wish.value}


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [
        ("90", 90.0),
        ("90s", 90.0),
        ("31", None),  # the longest, spelt loosely
        ("30", None),
        ("1/60", None),
        ("bulb", None),
        ("bulb:2", 2.0),
        ("Bulb 1/4", 0.25),
        ("bulb:0", None),
        ("bulb:soon", None),
        ("auto", None),
    ],
)
def test_times_that_bulb_is_needed_for(wish: str, seconds: float | None) -> None:
    assert bulb_time(wish, ("1/60", "1", "30", "Bulb")) == seconds
    assert bulb_time(wish, ("1/60", "1", "30")) is None


def test_where_only_bulb_is_offered_every_time_is_held() -> None:
    assert bulb_time("2", ("bulb",)) == 2.0
