"""Recorded listings in the dialects that gphoto2 and its users have."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.camera.listing import parse_listing, read_listing
from capture.camera.protocol import Role
from capture.errors import UsageError

NEW = """\
/main/imgsettings/iso
Label: ISO Speed
Readonly: 0
Type: RADIO
Current: 200
Choice: 0 100
Choice: 1 200
END
/main/capturesettings/f-number
Label: F-Number
Readonly: 1
Type: RANGE
Current: 3,5
Bottom: 0
Top: 655,35
Step: 0,01
END
/main/status/cameramodel
Label: Camera Model
Readonly: 1
Type: TEXT
Current: D1000
END
"""
OLD = """\
Camera summary:
Manufacturer: Maker Inc.
Model: Body 40
  Version: 1
Capture Formats: JPEG

me@host ~ $ gphoto2 --list-all-config
/main/settings/battery               \n\
Label: Battery Level
Type: TEXT
Current: 100%
/main/status/model
Label: Camera Model
Type: TEXT
Current: 2147484240
/main/imgsettings/iso
Label: ISO Speed
Type: RADIO
Current: (null)
Choice: 0 100
Choice: 1
*** Error ***
An error occurred in the io-library ('Unspecified error'): No error description available
/main/capturesettings/aperture
/main/capturesettings/shutterspeed
"""
GERMAN = """\
Kamerazusammenfassung:
Hersteller: Maker Inc.
Modell: Körper 50
\t/main/status/Batterie Ladezustand
\t\tLabel: Batterie Ladezustand
\t\tReadonly: 1
\t\tType: TEXT
\t\tCurrent: 3%
\tEND
\t/main/capturesettings/shutterspeed
\t\tLabel: Belichtungszeit
\t\tType: RADIO
\t\tCurrent: 0,0400s
\t\tChoice: 0 0,0400s
\t\tChoice: 1 0,0333s
"""


def test_the_present_dialect() -> None:
    listing = parse_listing(NEW)
    iso, aperture, model = listing.settings
    assert listing.model == "D1000"
    assert (iso.path, iso.name, iso.section, iso.kind) == ("/main/imgsettings/iso", "iso", "imgsettings", "radio")
    assert (iso.value, iso.choices, iso.read_only) == ("200", ("100", "200"), False)
    assert (aperture.bounds, aperture.read_only) == ((0.0, 655.35, 0.01), True)
    assert model.value == "D1000"


def test_an_old_dialect_with_a_session_around_it() -> None:
    listing = parse_listing(OLD)
    assert listing.model == "Body 40"
    assert [setting.name for setting in listing.settings] == ["battery", "model", "iso"]
    assert listing.settings[2].value == ""
    assert listing.settings[2].choices == ("100", "")
    roles = listing.info().roles
    assert roles[Role.APERTURE] is None
    assert roles[Role.SHUTTER] is None
    battery = roles[Role.BATTERY]
    assert battery is not None
    assert (battery.name, battery.value) == ("battery", "100%")


def test_another_language_indented() -> None:
    listing = parse_listing(GERMAN)
    assert listing.model == "Körper 50"
    roles = listing.info().roles
    battery, shutter = roles[Role.BATTERY], roles[Role.SHUTTER]
    assert battery is not None
    assert shutter is not None
    assert (battery.name, battery.value) == ("Batterie Ladezustand", "3%")
    assert shutter.choices == ("0,0400s", "0,0333s")


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("Model: Body 1\n/main/status/cameramodel\nLabel: x\nType: TEXT\nCurrent: Body 2\n", "Body 2"),
        ("  model: Body 3\n", "Body 3"),
        ("/main/other/d402\nLabel: PTP Property 0xd402\nType: TEXT\nCurrent: Maker Body 7\n", "Maker Body 7"),
        ("/main/status/model\nLabel: Camera Model\nType: TEXT\nCurrent: 1042\n", ""),
        ("Maker Body 8                   usb:001,011    \n", "Maker Body 8"),
        ("USB PTP Class Camera           usb:001,011    \n", ""),
    ],
)
def test_where_the_model_is_told(text: str, model: str) -> None:
    assert parse_listing(text).model == model


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=400))
def test_talk_never_trips_it(talk: str) -> None:
    parse_listing(talk)
    around = parse_listing(f"{talk}\nEND\n{NEW}")
    assert [setting.name for setting in around.settings[-3:]] == ["iso", "f-number", "cameramodel"]


@given(st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", " ", "\t", "> "]), st.sampled_from(["", "   "]))
def test_line_ends_and_indents_do_not_matter(end: str, before: str, after: str) -> None:
    changed = "".join(f"{before}{line}{after}{end}" for line in NEW.splitlines())
    assert parse_listing(changed) == parse_listing(NEW)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_a_file_in_any_of_its_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "listing.txt"
    path.write_bytes(GERMAN.encode(encoding))
    assert read_listing(path).model == "Körper 50"


def test_files_that_are_no_listing(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("nothing of the kind")
    for path, words in (
        (empty, "no camera configuration"),
        (tmp_path / "none.txt", "cannot be read"),
        (tmp_path, "cannot be read"),
    ):
        with pytest.raises(UsageError, match=words) as refusal:
            read_listing(path)
        assert refusal.value.remedy


def test_what_is_damaged_is_named_and_never_guessed() -> None:
    assert parse_listing(NEW).damage == ()
    (said,) = parse_listing(OLD).damage
    assert said.endswith(": aperture, shutterspeed")
    # a list of names, and one description that may be any of theirs; and two descriptions under one path
    names = "".join(f"/main/capturesettings/{name}\n" for name in ("aperture", "shutterspeed", "focuslock"))
    block = "Label: ISO Speed\nType: RADIO\nCurrent: 100\nChoice: 0 100\n"
    for text, lost in ((names + block, "focuslock"), (f"/main/actions/bulb\n{block}{block}", "bulb")):
        listing = parse_listing(NEW + text)
        assert [setting.name for setting in listing.settings] == ["iso", "f-number", "cameramodel"]
        assert listing.damage[-1].endswith(f"may be another's: {lost}")


@pytest.mark.parametrize("characters", [-20, -15, 1, 4, 30])
def test_a_record_that_breaks_off_in_an_entry_is_called_so(characters: int) -> None:
    assert not parse_listing(NEW).damage
    start = NEW.index("Label", NEW.rindex("/main/"))
    cut = parse_listing(NEW[: start + characters])
    assert any("breaks off" in words for words in cut.damage)
