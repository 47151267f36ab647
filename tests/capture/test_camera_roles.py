"""Which configuration entry serves a role: on settings as the makers' bodies list them, and on what only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.camera.protocol import Role
from capture.camera.roles import CANDIDATES, Setting, candidates, find_roles, stands


def entry(
    path: str, value: str = "", *choices: str, kind: str = "", read_only: bool = False, label: str = ""
) -> Setting:
    return Setting(f"/main/{path}", label, kind or ("radio" if choices else "text"), value, choices, read_only)


POWERSHOT = [
    entry("settings/output", "Off", "LCD", "Video OUT", "Off"),
    entry("imgsettings/imageformat"),
    entry("imgsettings/imagequality", "superfine", "superfine", "fine", "normal"),
    entry("imgsettings/imagesize", "large", "large", "small"),
]
CANON = [
    entry("actions/autofocusdrive", "0", kind="toggle"),
    entry("actions/manualfocusdrive", "None", "Near 1", "Near 2", "None", "Far 1"),
    entry("actions/eosviewfinder", "2", kind="toggle"),
    entry("settings/output", "TFT", "Off", "TFT", "PC"),
    entry("settings/movierecordtarget", "Card", "Card", "None"),
    entry("settings/capturetarget", "Internal RAM", "Internal RAM", "Memory card"),
    entry("status/model", "2147484293"),
    entry("status/Battery Level", "67%", read_only=True, label="Battery Level"),
    entry("status/batterylevel", "50%", label="Battery Level"),
    entry("status/mirrorlockstatus", "0", read_only=True),
    entry("imgsettings/imageformatsd", "RAW", "Large Fine JPEG", "RAW"),
    entry("imgsettings/imageformat", "RAW", "Large Fine JPEG", "RAW"),
    entry("imgsettings/iso", "100", "Auto", "100", "200"),
    entry("imgsettings/whitebalance", "Auto", "Auto", "Daylight"),
    entry("imgsettings/whitebalanceadjusta", "0", "0", "1"),
    entry("capturesettings/focusmode", "One Shot", "One Shot", "AI Servo"),
    entry("capturesettings/continuousaf", "Off", "Off", "On"),
    entry("capturesettings/autoexposuremodedial", "Manual", "Manual"),
    entry("capturesettings/autoexposuremode", "Manual", "P", "Manual"),
    entry("capturesettings/drivemode", "Single", "Single", "Timer 2 sec"),
    entry("capturesettings/aperture", "8", "8", "11"),
    entry("capturesettings/shutterspeed", "1/30", "30", "1/30"),
]
NIKON = [
    entry("actions/autofocusdrive", "0", kind="toggle"),
    entry("actions/manualfocusdrive", "0", kind="range"),
    entry("actions/viewfinder", "0", kind="toggle"),
    entry("settings/recordingmedia", "Card", "Card", "SDRAM"),
    entry("settings/capturetarget", "Memory card", "Internal RAM", "Memory card"),
    entry("settings/autofocus", "On", "On", "Off"),
    entry("status/batterylevel", "80%", read_only=True),
    entry("imgsettings/imagesize", "6048x4024", "6048x4024", "4528x3016"),
    entry("imgsettings/iso", "100", "64", "100"),
    entry("imgsettings/movieiso", "100", "100", "200"),
    entry("imgsettings/isoauto", "Off", "On", "Off"),
    entry("imgsettings/whitebalance", "Automatic", "Automatic", "Daylight"),
    entry("capturesettings/minimumshutterspeed", "1/60", "1/60", "1/30"),
    entry("capturesettings/f-number", "f/4", "f/4", "f/4.5"),
    entry("capturesettings/movief-number", "f/0", "f/0"),
    entry("capturesettings/imagequality", "JPEG Fine", "JPEG Fine", "NEF (Raw)"),
    entry("capturesettings/focusmode", "AF-S", "Manual", "AF-S", read_only=True),
    entry("capturesettings/expprogram", "M", "M", "P"),
    entry("capturesettings/capturemode", "Single Shot", "Single Shot", "Burst"),
    entry("capturesettings/shutterspeed", "0.7692s", "0.0001s", "0.7692s"),
    entry("capturesettings/shutterspeed2", "10/13", "1/8000", "10/13"),
    entry("capturesettings/movieshutterspeed", "1/60", "1/60"),
    entry("capturesettings/exposuredelaymode", "Off", "On", "Off"),
    entry("capturesettings/liveviewaffocus", "Single-servo AF", "Single-servo AF"),
]
SONY = [
    entry("actions/autofocus", "2", kind="toggle"),
    entry("actions/manualfocus", "0", kind="range"),
    entry("settings/capturetarget", "sdram", "sdram", "card+sdram"),
    entry("imgsettings/iso", "Auto ISO", "Auto ISO", "100", "25600 Multi Frame Noise Reduction"),
    entry("capturesettings/f-number", "f/3,5", "f/3,5", "f/4"),
    entry("capturesettings/imagequality", "RAW", "RAW", "RAW+JPEG (Fine)", "Fine"),
    entry("capturesettings/focusmode", "AF-A", "Manual", "AF-A"),
    entry("capturesettings/capturemode", "Single Shot", "Single Shot"),
    entry("capturesettings/shutterspeed", "1/30", "300/10", "1/30", "Bulb"),
    entry("capturesettings/capturedelay", "0.000s", "10.000s", "0.000s"),
]


NO_MORE = dict.fromkeys(("magnify", "exposure_preview", "auto_power_off", "shutter_type"))
CANON_LIVE = [
    entry("actions/eoszoom", "0", kind="text"),
    entry("actions/eoszoomposition", "0,0", kind="text"),
    entry("settings/autopoweroff", "30", "15", "30", "0"),
    entry("settings/evfmode", "1", "1", "0"),
    entry("capturesettings/drivemode", "Single", "Single", "Single silent", "Timer 2 sec"),
]
NIKON_LIVE = [
    entry("settings/meterofftime", "6 seconds", "6 seconds", "30 minutes"),
    entry("capturesettings/capturemode", "Einzelbild", "Einzelbild", "Leises Auslösen"),
    entry("capturesettings/liveviewimagezoomratio", "Entire Display", "Entire Display", "50%", "100%"),
    entry("capturesettings/liveviewexposurepreview", "Off", "On", "Off"),
    entry("other/shuttertype", "1"),
]
SONY_LIVE = [
    entry("capturesettings/shuttertype", "Mechanical Shutter", "Auto", "Mechanical Shutter", "Electronic Shutter"),
    entry("capturesettings/capturemode", "Single Shot", "Single Shot"),
    entry("capturesettings/liveviewsettingeffect", "On", "On", "Off"),
    entry("actions/focusmagnifier", "", kind="text"),
]


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (CANON_LIVE, ("eoszoom", None, "autopoweroff", "drivemode")),
        (NIKON_LIVE, ("liveviewimagezoomratio", "liveviewexposurepreview", "meterofftime", "capturemode")),
        (SONY_LIVE, ("focusmagnifier", "liveviewsettingeffect", None, "shuttertype")),
        ([entry("capturesettings/liveviewzoomarea", "0", "0", "512", "1024")], ("liveviewzoomarea", None, None, None)),
        ([entry("capturesettings/drivemode", "Single", "Single", "Timer 2 sec")], (None, None, None, None)),
    ],
    ids=["canon", "nikon", "sony", "area", "no silent mode"],
)
def test_roles_of_live_view_power_and_shutter(body: list[Setting], names: tuple[str | None, ...]) -> None:
    found = find_roles(body)
    states = [found[role] for role in (Role.MAGNIFY, Role.EXPOSURE_PREVIEW, Role.AUTO_POWER_OFF, Role.SHUTTER_TYPE)]
    assert tuple(state.name if state else None for state in states) == names


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (
            CANON,
            {
                "iso": "iso", "shutter": "shutterspeed", "aperture": "aperture", "exposure_mode": "autoexposuremode",
                "white_balance": "whitebalance", "format": "imageformat", "target": "capturetarget",
                "live_view": "eosviewfinder", "focus_drive": "manualfocusdrive", "mirror": None, "drive_mode": "drivemode",
                "battery": "batterylevel", "autofocus": "focusmode", **NO_MORE,
            },
        ),
        (
            NIKON,
            {
                "iso": "iso", "shutter": "shutterspeed", "aperture": "f-number", "exposure_mode": "expprogram",
                "white_balance": "whitebalance", "format": "imagequality", "target": "capturetarget", "live_view": "viewfinder",
                "focus_drive": "manualfocusdrive", "mirror": "exposuredelaymode", "drive_mode": "capturemode",
                "battery": "batterylevel", "autofocus": "autofocus", **NO_MORE,
            },
        ),
        (
            SONY,
            {
                "iso": "iso", "shutter": "shutterspeed", "aperture": "f-number", "exposure_mode": None, "white_balance": None,
                "format": "imagequality", "target": "capturetarget", "live_view": None, "focus_drive": "manualfocus",
                "mirror": None, "drive_mode": "capturemode", "battery": None, "autofocus": "focusmode",
                **NO_MORE,
            },
        ),
        ([], {role.value: None for role in Role}),
    ],
    ids=["canon", "nikon", "sony", "nothing"],
)  # fmt: skip
def test_roles_of_a_body(body: list[Setting], names: dict[str, str | None]) -> None:
    found = find_roles(body)
    assert {role.value: state.name if state else None for role, state in found.items()} == names


@pytest.mark.parametrize(
    ("role", "impostor"),
    [
        (Role.ISO, entry("imgsettings/iso", "f/5.6", "f/5.6", "f/8")),
        (Role.ISO, entry("imgsettings/iso", "2.8", "2.8", "5.6", "8.0")),
        (Role.ISO, entry("imgsettings/iso", "8", "4", "8", "11", "16")),
        (Role.ISO, entry("other/iso", "100", "100", "200")),
        (Role.FORMAT, entry("imgsettings/imagequality", "6016x4016", "6016x4016", "3008x2008")),
        (Role.LIVE_VIEW, entry("settings/output", "LCD", "LCD", "Video OUT", "Off")),
        (Role.AUTOFOCUS, entry("actions/autofocus", "2", kind="toggle")),
        (Role.FOCUS_DRIVE, entry("actions/manualfocus", "0", kind="toggle")),
        (Role.MIRROR, entry("capturesettings/releasemode", "Single frame", "Single frame", "Self-timer")),
        (Role.MIRROR, entry("status/mirrorlockstatus", "0")),
    ],
)
def test_what_stands_under_a_name_must_look_like_the_role(role: Role, impostor: Setting) -> None:
    assert find_roles([impostor])[role] is None


def test_an_entry_that_tells_nothing_serves_only_where_no_other_does() -> None:
    found = find_roles(POWERSHOT)
    assert found[Role.FORMAT] is not None
    assert found[Role.FORMAT].name == "imagequality"
    assert found[Role.LIVE_VIEW] is None
    assert [one.name for one in candidates(Role.FORMAT, POWERSHOT[:2])] == ["imageformat"]


def test_an_entry_that_can_be_written_comes_before_one_that_cannot() -> None:
    fixed = entry("capturesettings/focusmode", "AF-S", "AF-S", read_only=True)
    free = entry("capturesettings/focusmode2", "AF-S", "AF-S", "MF (fixed)")
    assert [setting.name for setting in candidates(Role.AUTOFOCUS, [fixed, free])] == ["focusmode2", "focusmode"]
    assert [setting.name for setting in candidates(Role.AUTOFOCUS, [fixed])] == ["focusmode"]


def test_of_two_entries_with_one_name_the_one_with_choices_counts() -> None:
    bare, full = entry("imgsettings/iso", "Auto", kind="radio"), entry("imgsettings/iso", "Auto", "Auto", "100")
    state = find_roles([bare, full])[Role.ISO]
    assert state is not None
    assert state.choices == ("Auto", "100")


@pytest.mark.parametrize("words", ["Battery Level", "Batterie Ladezustand", "Niveau de la batterie"])
def test_the_battery_in_any_language(words: str) -> None:
    state = find_roles([entry(f"status/{words}", "3%", label=words, read_only=True)])[Role.BATTERY]
    assert state is not None
    assert state.value == "3%"


@given(st.permutations(CANON + NIKON))
def test_roles_do_not_depend_on_the_order_of_different_names(shuffled: list[Setting]) -> None:
    names = {role: state and state.name for role, state in find_roles(shuffled).items()}
    assert names == {role: state and state.name for role, state in find_roles(CANON + NIKON).items()}


def test_every_role_has_candidates() -> None:
    assert set(CANDIDATES) == set(Role)


@pytest.mark.parametrize(
    ("role", "choices", "asked", "stands_so"),
    [
        (Role.TARGET, ("Internal RAM", "Memory card"), "Internal RAM", False),
        (Role.TARGET, ("sdram", "card+sdram"), "sdram", True),
        (Role.TARGET, ("sdram", "card+sdram"), "card+sdram", False),
        (Role.ISO, ("100", "200"), "100", True),
    ],
)
def test_a_target_of_the_library_is_written_though_it_reads_as_asked(
    role: Role, choices: tuple[str, ...], asked: str, stands_so: bool
) -> None:
    setting = Setting("/main/entry", "entry", "radio", choices[0], choices)
    assert stands(role, setting, asked) is stands_so
