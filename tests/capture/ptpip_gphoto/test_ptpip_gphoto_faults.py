"""The simulated camera's faults, seen through the real libgphoto2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.capture.ptpip_gphoto.peers import (
    BUSY,
    CAPTURE_COMPLETE,
    CARD,
    FOLDER,
    IO,
    MEMORY,
    TIFF_HEAD,
    TIMEOUT,
    Client,
    Peer,
    sizes_by_kind,
)


@pytest.mark.parametrize(
    ("fault", "parameters", "capture_says"),
    [
        ("out_of_focus", {}, "Out of Focus"),
        ("store_full", {}, "PTP Store Full"),
        ("store_full", {"target": "memory"}, "PTP Store Full"),
        ("access_denied", {}, "PTP Access Denied"),
    ],
)
def test_a_refused_shot(client: Client, bench: Peer, fault: str, parameters: dict[str, Any], capture_says: str) -> None:
    before = bench.ask(get="truth")["shots"]
    assert bench.ask(fault=fault, **parameters) == {"ok": True}
    assert client.shoot()["error"] == -1
    assert client.ask(do="capture")["reason"] == capture_says
    assert bench.ask(get="truth")["shots"] == before
    bench.ask(clear=fault)
    assert sizes_by_kind(client.shoot()) == ["RAW", "JPEG"]


def test_a_fault_for_a_number_of_shots_is_over_after_them(client: Client, bench: Peer) -> None:
    bench.ask(fault="store_full", shots=1)
    assert "error" in client.shoot()
    assert sizes_by_kind(client.shoot()) == ["RAW", "JPEG"]


def test_a_full_card_shows_no_free_room_and_memory_still_works(client: Client, bench: Peer) -> None:
    bench.ask(fault="store_full", target="card")
    assert client.ask(do="storage")["stores"][0]["free_kb"] == 0
    assert sizes_by_kind(client.shoot()) == ["RAW", "JPEG"]
    client.set("capturetarget", CARD)
    assert "error" in client.shoot()


def test_focus_that_fails_only_where_it_is_asked_for(client: Client, bench: Peer) -> None:
    bench.ask(fault="out_of_focus", when="autofocus")
    client.set("focusmode", "AF-S")
    client.set("autofocus", "On")
    assert client.shoot()["reason"] == "Out of Focus"
    client.set("autofocus", "Off")
    assert sizes_by_kind(client.shoot()) == ["RAW", "JPEG"]
    client.set("focusmode", "Manual")


def test_a_busy_camera_refuses_shots_and_settings(client: Client, bench: Peer) -> None:
    bench.ask(fault="busy")
    assert client.ask(do="capture")["error"] == BUSY
    assert "0x2019" in client.ask(do="set", name="iso", value="200")["reason"]
    bench.ask(clear="busy")
    assert client.get("iso") == "100"
    assert sizes_by_kind(client.shoot()) == ["RAW", "JPEG"]


def test_settings_and_connections_can_be_denied(client: Client, bench: Peer) -> None:
    bench.ask(fault="access_denied", on="settings", shots=1)
    assert "error" in client.ask(do="set", name="iso", value="200")
    assert client.set("iso", "100") == "100"
    client.ask(do="exit")
    bench.ask(fault="access_denied", on="connect", shots=1)
    assert "error" in client.open()
    assert "error" not in client.open()


def test_a_stale_frame_is_the_frame_before(client: Client, bench: Peer) -> None:
    before = client.shoot()
    bench.ask(fault="stale_frame")
    stale, fresh = client.shoot(), client.shoot()
    digests = [[file["sha256"] for file in answer["files"]] for answer in (before, stale, fresh)]
    assert digests[0] == digests[1]
    assert not set(digests[1]) & set(digests[2])


@pytest.mark.parametrize("target", [MEMORY, CARD])
def test_the_second_file_is_missing(client: Client, bench: Peer, target: str) -> None:
    client.set("capturetarget", target)
    bench.ask(fault="missing_second_file")
    assert sizes_by_kind(client.shoot(patience_s=0.3)) == ["RAW"]
    assert sizes_by_kind(client.shoot()) == ["RAW", "JPEG"]


def test_a_low_battery_shows_and_forbids_live_view(client: Client, bench: Peer) -> None:
    assert client.get("batterylevel") == "88%"
    bench.ask(fault="low_battery", percent=2)
    client.ask(do="collect", expected=0, quiet_ms=2)  # it hears of the change; until then it answers from its cache
    assert client.get("batterylevel") == "2%"
    assert "Battery exhausted" in client.ask(do="preview")["reason"]
    bench.ask(fault="low_battery", percent=0)
    assert "error" in client.shoot()


def test_a_slow_link_still_brings_everything(client: Client, bench: Peer) -> None:
    fast = client.shoot()
    bench.ask(fault="slow", bytes_per_s=20_000)
    slow = client.shoot()
    assert [file["size"] for file in slow["files"]] == [file["size"] for file in fast["files"]]


@pytest.mark.parametrize("target", [MEMORY, CARD])
def test_a_cable_cut_in_the_middle_of_a_transfer(client: Client, bench: Peer, target: str) -> None:
    client.set("capturetarget", target)
    bench.ask(fault="cut_transfer")
    assert "error" in client.shoot()
    assert "error" in client.ask(do="get", name="iso")
    client.reopen()
    client.set("capturetarget", target)
    listed = client.ask(do="list", folder=FOLDER)["files"]
    if target == CARD:
        assert client.ask(do="fetch", folder=FOLDER, name=sorted(listed)[-2])["head"] == TIFF_HEAD
    assert sizes_by_kind(client.shoot()) == ["RAW", "JPEG"]


def test_a_camera_that_hangs_and_recovers(client: Client, bench: Peer) -> None:
    bench.ask(fault="hang")
    assert client.ask(do="capture")["error"] == TIMEOUT
    bench.ask(clear="hang")
    client.reopen()
    assert sizes_by_kind(client.shoot()) == ["RAW", "JPEG"]


def test_a_camera_unplugged_and_plugged_in(client: Client, bench: Peer) -> None:
    bench.ask(fault="unplug")
    assert "error" in client.shoot()
    client.ask(do="exit")
    assert client.open()["error"] == IO
    bench.ask(fault="plug")
    assert "error" not in client.open()
    assert sizes_by_kind(client.shoot()) == ["RAW", "JPEG"]


@pytest.mark.parametrize("when", ["stored", "exposing"])
def test_a_camera_that_dies_after_some_shots(client: Client, bench: Peer, when: str) -> None:
    client.set("capturetarget", CARD)
    bench.ask(fault="die_after", shots=2, when=when)
    assert sizes_by_kind(client.shoot()) == ["RAW", "JPEG"]
    before = client.ask(do="list", folder=FOLDER)["files"]
    assert "error" in client.shoot()
    client.ask(do="exit")
    assert client.open()["error"] == IO
    bench.ask(clear="die_after")
    assert "error" not in client.open()
    kept = set(client.ask(do="list", folder=FOLDER)["files"]) - set(before)
    assert len(kept) == (2 if when == "stored" else 0)
    assert sizes_by_kind(client.shoot()) == ["RAW", "JPEG"]


def test_a_camera_of_plain_ptp_without_a_vendor(home: Path) -> None:
    bench = Peer(home, "-m", "capture.bench.ptpip", "--maker", "generic", "--format", "RAW+JPEG", "--size", "240x160")
    client = Client(home, bench.hear()["camera"])
    try:
        assert "error" not in client.ask(do="open", port=client.port)
        assert client.set("iso", "400") == "400"
        assert client.set("shutterspeed", "0.0200s") == "0.0200s"
        for _ in range(3):
            answer = client.shoot()
            assert sizes_by_kind(answer) == ["RAW", "JPEG"]
            assert answer["events"] == [CAPTURE_COMPLETE]
        assert "capturetarget" not in client.ask(do="names")["names"]
        assert "error" in client.ask(do="preview")
        bench.ask(fault="store_full")
        assert "error" in client.ask(do="capture")
        client.ask(do="exit")
    finally:
        client.end()
        bench.end()


def test_orders_to_the_bench_that_make_no_sense(bench: Peer) -> None:
    assert "earthquake" in bench.ask(fault="earthquake")["error"]
    assert "sundays" in bench.ask(fault="hang", on="sundays")["error"]
    assert bench.ask(get="weather") == {"error": "not understood"}
