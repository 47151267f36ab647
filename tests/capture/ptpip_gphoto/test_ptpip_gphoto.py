"""The simulated camera driven by the real libgphoto2."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.capture.ptpip_gphoto.peers import (
    BAD_PARAMETERS,
    CAPTURE_COMPLETE,
    CARD,
    FOLDER,
    JPEG_HEAD,
    MEMORY,
    TIFF_HEAD,
    Client,
    Peer,
    sizes_by_kind,
)


# -- sessions, settings -----------------------------------------------------------------------------------------------
def test_it_opens_again_and_again(client: Client) -> None:
    for _ in range(10):
        client.ask(do="exit")
        assert "error" not in client.open()
    assert "Bench Camera" in client.ask(do="summary")["text"]


def test_all_that_a_driver_needs_is_in_the_tree(client: Client) -> None:
    wanted = {
        *("iso", "shutterspeed", "shutterspeed2", "f-number", "imagequality", "capturetarget", "expprogram"),
        *("whitebalance", "batterylevel", "focusmode", "autofocus", "viewfinder", "manualfocusdrive"),
        *("exposuredelaymode", "capturemode", "liveviewimagezoomratio", "bulb", "recordingmedia"),
    }
    assert wanted <= set(client.ask(do="names")["names"])


@pytest.mark.parametrize(
    ("name", "value", "back"),
    [
        ("iso", "800", "100"),
        ("shutterspeed2", "1/125", "1/60"),
        ("f-number", "f/8", "f/4"),
        ("imagequality", "JPEG Fine", "NEF+Fine"),
        ("imagequality", "NEF (Raw)", "NEF+Fine"),
        ("expprogram", "A", "M"),
        ("whitebalance", "Automatic", "Daylight"),
        ("focusmode", "AF-S", "Manual"),
        ("exposuredelaymode", "On", "Off"),
        ("capturemode", "Quiet Release", "Single Shot"),
        ("liveviewimagezoomratio", "100%", "Entire Display"),
    ],
)
def test_a_setting_is_written_and_read_back_and_outlives_the_session(
    client: Client, name: str, value: str, back: str
) -> None:
    before = client.ask(do="get", name=name)
    assert value in before["choices"]
    assert before["value"] in before["choices"]
    assert client.set(name, value) == value
    client.ask(do="exit")
    client.ask(do="open", port=client.port)
    assert client.get(name) == value
    assert client.set(name, back) == back


@pytest.mark.parametrize(("name", "value"), [("capturetarget", CARD), ("autofocus", "Off")])
def test_what_is_a_setting_of_libgphoto2_is_forgotten_with_the_session(client: Client, name: str, value: str) -> None:
    before = client.get(name)
    assert client.set(name, value) == value
    client.ask(do="exit")
    client.ask(do="open", port=client.port)
    assert client.get(name) == before != value


def test_both_names_of_the_shutter_are_one_setting(client: Client) -> None:
    client.set("shutterspeed2", "1/50")
    assert client.get("shutterspeed") == "0.0200s"
    client.set("shutterspeed", "0.0100s")
    assert client.get("shutterspeed2") == "1/100"
    client.set("shutterspeed2", "1/60")


def test_what_is_not_offered_is_refused_with_the_reason(client: Client) -> None:
    answer = client.ask(do="set", name="iso", value="123")
    assert answer["error"] == BAD_PARAMETERS
    assert "0x201c" in answer["reason"]
    assert client.ask(do="get", name="batterylevel")["read_only"]


# -- stills -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("target", [MEMORY, CARD])
@pytest.mark.parametrize(
    ("quality", "kinds"), [("NEF (Raw)", ["RAW"]), ("JPEG Fine", ["JPEG"]), ("NEF+Fine", ["RAW", "JPEG"])]
)
def test_a_shot_arrives_with_all_its_files(client: Client, target: str, quality: str, kinds: list[str]) -> None:
    client.set("capturetarget", target)
    client.set("imagequality", quality)
    answer = client.shoot(len(kinds))
    assert sizes_by_kind(answer) == kinds
    assert answer["events"] == [CAPTURE_COMPLETE]
    for file in answer["files"]:
        assert file["folder"] == ("/" if target == MEMORY else FOLDER)
        assert file["name"].startswith("capt" if target == MEMORY else "DSC_")
        if target == CARD:
            assert file["name"].endswith(".DNG" if file["head"] == TIFF_HEAD else ".JPG")


@pytest.mark.parametrize("target", [MEMORY, CARD])
def test_capture_gives_the_first_of_a_pair_and_keeps_the_second(client: Client, target: str) -> None:
    client.set("capturetarget", target)
    first = client.ask(do="capture")
    assert first["head"] == TIFF_HEAD
    second = client.ask(do="collect", expected=1, quiet_ms=2)
    assert sizes_by_kind(second) == ["JPEG"]


def test_twenty_shots_in_one_session(client: Client, bench: Peer) -> None:
    before = bench.ask(get="truth")["shots"]
    digests: set[str] = set()
    for number in range(20):
        client.set("capturetarget", CARD if number % 2 else MEMORY)
        answer = client.shoot()
        assert sizes_by_kind(answer) == ["RAW", "JPEG"]
        digests |= {file["sha256"] for file in answer["files"]}
    assert len(digests) == 40
    assert bench.ask(get="truth")["shots"] == before + 20


def test_the_card_is_listed_read_in_parts_shown_and_emptied(client: Client) -> None:
    client.set("capturetarget", CARD)
    jpeg = client.shoot()["files"][1]
    assert jpeg["name"] in client.ask(do="list", folder=FOLDER)["files"]
    info = client.ask(do="info", folder=FOLDER, name=jpeg["name"])
    assert (info["size"], info["width"], info["height"], info["type"]) == (jpeg["size"], 240, 160, "image/jpeg")
    assert client.ask(do="thumb", folder=FOLDER, name=jpeg["name"])["head"].startswith(JPEG_HEAD)
    part = client.ask(do="read", folder=FOLDER, name=jpeg["name"], offset=0, count=jpeg["size"])
    assert (part["count"], part["sha256"]) == (jpeg["size"], jpeg["sha256"])
    assert "error" not in client.ask(do="delete", folder=FOLDER, name=jpeg["name"])
    assert jpeg["name"] not in client.ask(do="list", folder=FOLDER)["files"]
    (store,) = client.ask(do="storage")["stores"]
    assert 0 < store["free_kb"] <= store["capacity_kb"]


def test_a_card_survives_its_sessions(client: Client) -> None:
    client.set("capturetarget", CARD)
    name = client.shoot()["files"][0]["name"]
    client.reopen()
    assert name in client.ask(do="list", folder=FOLDER)["files"]
    assert client.ask(do="fetch", folder=FOLDER, name=name)["head"] == TIFF_HEAD


def test_a_long_exposure_takes_its_time_and_arrives(client: Client) -> None:
    client.set("shutterspeed2", "30")  # 1.5 s at the bench's scale: longer than one answer of the camera is held back
    assert sizes_by_kind(client.shoot()) == ["RAW", "JPEG"]
    client.set("shutterspeed2", "1/60")


def test_a_bulb_exposure_is_opened_and_closed(client: Client) -> None:
    client.set("shutterspeed2", "Bulb")
    assert "error" not in client.ask(do="set", name="bulb", value=1)
    assert "error" not in client.ask(do="set", name="bulb", value=0)
    assert sizes_by_kind(client.ask(do="collect", expected=2, quiet_ms=2)) == ["RAW", "JPEG"]
    client.set("shutterspeed2", "1/60")


# -- live view --------------------------------------------------------------------------------------------------------
def test_live_view_goes_on_and_off(client: Client, bench: Peer) -> None:
    frames = [client.ask(do="preview") for _ in range(3)]
    assert all(frame["head"].startswith(JPEG_HEAD) and frame["tail"] == "ffd9" for frame in frames)
    assert bench.ask(get="truth")["live"], "a preview leaves it on"
    assert client.set("viewfinder", 0) == 0
    assert not bench.ask(get="truth")["live"]
    assert client.set("viewfinder", 1) == 1
    assert bench.ask(get="truth")["live"]
    client.ask(do="exit")
    client.open()
    assert not bench.ask(get="truth")["live"]


def test_a_still_out_of_live_view(client: Client, bench: Peer) -> None:
    client.ask(do="preview")
    assert sizes_by_kind(client.shoot()) == ["RAW", "JPEG"]
    assert client.ask(do="preview")["head"].startswith(JPEG_HEAD)
    client.set("viewfinder", 0)


def test_the_focus_drive_works_in_live_view_only(client: Client, bench: Peer) -> None:
    refused = client.ask(do="set", name="manualfocusdrive", value=100.0)
    assert "LiveView" in refused["reason"]
    client.set("viewfinder", 1)
    before = bench.ask(get="truth")["lens_offset_um"]
    client.ask(do="set", name="manualfocusdrive", value=100.0)
    client.ask(do="set", name="manualfocusdrive", value=200.0)
    assert bench.ask(get="truth")["lens_offset_um"] > before
    client.set("viewfinder", 0)


# -- clients that come and go -----------------------------------------------------------------------------------------
def test_a_second_client_is_turned_away_until_the_first_is_gone_even_by_force(home: Path, bench: Peer) -> None:
    first, second = Client(home, bench.port), Client(home, bench.port)
    try:
        assert "error" not in first.open()
        assert "error" in second.open()
        assert first.get("iso") == "100"
        first.kill()
        assert "error" not in second.open()
        assert sizes_by_kind(second.shoot()) == ["RAW", "JPEG"]
        second.ask(do="exit")
        third = Client(home, bench.port)
        assert "error" not in third.open()
        third.ask(do="exit")
        third.end()
    finally:
        second.end()
