"""The simulated camera driven by the real libgphoto2: camera and client are processes of their own."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
FOLDER = "/store_00010001/DCIM/100FOCUS"
PATIENCE_S = 60.0
MEMORY, CARD = "Internal RAM", "Memory card"
JPEG_HEAD, TIFF_HEAD = "ffd8", "49492a00"
FILE_ADDED, CAPTURE_COMPLETE = 2, 4
IO, TIMEOUT, BUSY, BAD_PARAMETERS = -7, -10, -110, -2


class Peer:
    """A child process that takes JSON lines and answers with JSON lines."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=HERE.parents[1],
            env=os.environ | {"HOME": str(home), "XDG_CONFIG_HOME": os.devnull, "LC_ALL": "C"},
        )
        self.rest = b""

    def ask(self, **order: Any) -> dict[str, Any]:
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()
        return self.hear()

    def hear(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE_S
        stream = self.process.stdout.fileno()
        while b"\n" not in self.rest:
            ready, _, _ = select.select([stream], [], [], max(end - time.monotonic(), 0))
            assert ready, "no answer in time"
            part = os.read(stream, 1 << 16)
            assert part, f"it ended with {self.process.wait()}"
            self.rest += part
        line, _, self.rest = self.rest.partition(b"\n")
        return json.loads(line)

    def end(self) -> None:
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def kill(self) -> None:
        self.process.kill()
        self.end()


class Client(Peer):
    def __init__(self, home: Path, port: str) -> None:
        super().__init__(home, str(HERE / "ptpip_client.py"))
        self.port = port

    def open(self, *, target: str = MEMORY, quality: str = "NEF+Fine") -> dict[str, Any]:
        answer = self.ask(do="open", port=self.port)
        if "error" not in answer:
            assert self.set("capturetarget", target) == target
            assert self.set("imagequality", quality) == quality
        return answer

    def set(self, name: str, value: Any) -> Any:
        return self.ask(do="set", name=name, value=value)["value"]

    def get(self, name: str) -> Any:
        return self.ask(do="get", name=name)["value"]

    def shoot(self, expected: int = 2, **more: Any) -> dict[str, Any]:
        return self.ask(do="shoot", expected=expected, quiet_ms=2, **more)

    def reopen(self) -> None:
        self.ask(do="exit")
        assert "error" not in self.open()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def bench(home: Path) -> Iterator[Peer]:
    arguments = ("--format", "RAW+JPEG", "--scale", "20", "--size", "240x160")
    peer = Peer(home, "-m", "capture.bench.ptpip", *arguments)
    peer.port = peer.hear()["camera"]
    yield peer
    peer.end()


@pytest.fixture(scope="module")
def process(home: Path, bench: Peer) -> Iterator[Client]:
    peer = Client(home, bench.port)
    yield peer
    peer.end()


@pytest.fixture
def client(bench: Peer, process: Client) -> Iterator[Client]:
    """A client with an open session, and a camera without faults before and after."""
    assert "error" not in process.open()
    yield process
    for fault in bench.ask(list="faults")["faults"]:
        bench.ask(clear=fault)
    process.ask(do="exit")


def sizes_by_kind(answer: dict[str, Any]) -> list[str]:
    return [{JPEG_HEAD: "JPEG", TIFF_HEAD[:4]: "RAW"}[file["head"][:4]] for file in answer["files"]]


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


# -- faults -----------------------------------------------------------------------------------------------------------
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
