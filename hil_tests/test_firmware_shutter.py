"""The shutter on the controller's pins: pressed in its time, after the motion, and let go of by every way out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from hil_tests.firmware_sim import OURS, FirmwareBench
from rail.errors import RailError, RailStoppedError
from rail.grbl.axis import GrblAxis
from rail.opening import open_axis
from rail.shutter import ShutterRelease, ShutterTimes
from tests.journeys.program import command, focusrail

pytestmark = pytest.mark.timeout(120)

LONG_S = 30.0


@pytest.fixture
def bench() -> Iterator[FirmwareBench]:
    with OURS.start(speed=4) as bench:
        yield bench


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def pressed(bench: FirmwareBench) -> bool:
    truth = bench.truth()
    return bool(truth["release"] or truth["half_press"])


def edges(bench: FirmwareBench) -> list[tuple[str, int]]:
    return [(e["pin"], e["level"]) for e in bench.command("events")["events"] if e["pin"] in {"release", "half_press"}]


def when_pressed(bench: FirmwareBench, call: Callable[[], object]) -> threading.Thread:
    def wait() -> None:
        wait_for(lambda: bool(bench.truth()["release"]))
        call()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_each_frame_is_pressed_where_the_carriage_stands(bench: FirmwareBench) -> None:
    with open_axis(bench.url) as axis:
        axis.zero()
        release = ShutterRelease(axis, ShutterTimes(half_press_s=0.05, press_s=0.1, lag_s=0.05))
        bench.command("events")
        for place in (0.0, 400.0, 800.0):
            axis.move_to(place)
            before = time.time()
            assert before <= release.release(0.02) <= time.time()
            assert not pressed(bench)
        assert release.has_half_press
    events = [e for e in bench.command("events")["events"] if e["pin"] != "enable"]
    assert [(e["pin"], e["level"]) for e in events] == 3 * [
        *[("half_press", 1), ("release", 1), ("release", 0), ("half_press", 0)]
    ]
    assert [e["carriage_um"] for e in events] == [0.0] * 4 + [400.0] * 4 + [800.0] * 4
    for first in range(0, 12, 4):
        half, full, off = (e["wall_s"] for e in events[first : first + 3])
        assert full - half >= 0.045
        assert off - full >= 0.095


def test_a_controller_without_half_press_is_pressed_all_the_same(bench: FirmwareBench) -> None:
    """Whether it says so by its options, or refuses the word after all."""

    class NoMist:
        def __init__(self, axis: GrblAxis, *, says_so: bool) -> None:
            self.axis = axis
            self.has_mist_output = not says_so

        def pulse(self, words: tuple[tuple[str, float], ...], rest_s: float = 0.0) -> tuple[float, ...]:
            return self.axis.pulse(tuple(("M77" if word == "M7" else word, s) for word, s in words), rest_s)

    with open_axis(bench.url) as axis:
        assert axis.has_mist_output
        for says_so in (True, False):
            release = ShutterRelease(NoMist(axis, says_so=says_so), ShutterTimes(press_s=0.05, lag_s=0.0))
            bench.command("events")
            for _ in range(2):
                release.release(0.0)
            assert not release.has_half_press
            assert edges(bench) == 2 * [("release", 1), ("release", 0)]


def test_a_stop_lets_go(bench: FirmwareBench) -> None:
    with open_axis(bench.url) as axis:
        axis.zero()
        thread = when_pressed(bench, axis.stop)
        with pytest.raises(RailStoppedError):
            ShutterRelease(axis).release(LONG_S)
        thread.join()
        assert not pressed(bench)
        assert axis.status().position == 0.0


def test_an_interrupt_lets_go(bench: FirmwareBench) -> None:
    with open_axis(bench.url) as axis:
        axis.zero()
        thread = when_pressed(bench, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            ShutterRelease(axis).release(LONG_S)
        thread.join()
        assert not pressed(bench)
        assert axis.status().position == 0.0


@pytest.mark.parametrize("fault", ["reset", "power", "soft_reset"])
def test_a_reset_lets_go_and_is_told(bench: FirmwareBench, fault: str) -> None:
    with open_axis(bench.url) as axis:
        axis.zero()
        acts = {
            "reset": lambda: bench.command("reset"),
            "power": lambda: bench.command("reset", power=True),
            "soft_reset": lambda: bench.command("send", hex="18"),
        }
        thread = when_pressed(bench, acts[fault])
        with pytest.raises(RailError) as caught:
            ShutterRelease(axis).release(LONG_S)
        thread.join()
        assert caught.value.remedy
        assert not pressed(bench)
        assert not axis.status().position_known


def test_a_lost_link_leaves_it_pressed_until_the_next_open(bench: FirmwareBench) -> None:
    axis = open_axis(bench.url)
    axis.zero()
    thread = when_pressed(bench, axis._controller.link._port.close)
    with pytest.raises(RailError):
        ShutterRelease(axis).release(LONG_S)
    thread.join()
    axis.close()
    assert pressed(bench), "nobody could tell it"
    with open_axis(bench.url) as again:
        assert not pressed(bench)
        assert any("shutter" in notice for notice in again.notices)
        assert again.status().position == 0.0, "and the position is kept"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_program_that_is_ended_lets_go(bench: FirmwareBench, tmp_path: Path, how: signal.Signals) -> None:
    focusrail("rail", "zero", "--rail", bench.url, "--json").done()
    plan = ("--near", "0", "--far", "300", "--step", "100", "--settle", "0", "--out", str(tmp_path / "s"), "--json")
    shoot = ("shoot", "--rail", bench.url, "--camera", "shutter", "--shutter", f"{LONG_S:.0f}s", *plan)
    with subprocess.Popen(command(*shoot), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        wait_for(lambda: bool(bench.truth()["release"]))
        running.send_signal(how)
        running.communicate(timeout=60)
    if how is signal.SIGKILL:
        assert pressed(bench), "nobody could tell it"
        found = focusrail("rail", "status", "--rail", bench.url, "--json")
        assert found.done()["position_known"]
    assert not pressed(bench)


def jpeg_taken(at: datetime) -> bytes:
    """The smallest JPEG with an Exif time, whole seconds."""
    text = at.strftime("%Y:%m:%d %H:%M:%S").encode() + b"\0"
    tiff = b"II*\0" + (8).to_bytes(4, "little")
    tiff += (1).to_bytes(2, "little") + b"\x69\x87\x04\0\1\0\0\0" + (26).to_bytes(4, "little") + bytes(4)
    tiff += (1).to_bytes(2, "little") + b"\x03\x90\x02\0" + len(text).to_bytes(4, "little")
    tiff += (44).to_bytes(4, "little") + bytes(4) + text
    body = b"Exif\0\0" + tiff
    return b"\xff\xd8\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + b"\xff\xda\0\2\xff\xd9"


def test_a_session_on_the_firmware_is_collected_by_what_its_pins_did(bench: FirmwareBench, tmp_path: Path) -> None:
    """The camera here is whoever watched the release pin, with a clock of its own that shows whole seconds."""
    session, card = tmp_path / "s", tmp_path / "card"
    plan = ("--origin", "here", "--near", "0", "--far", "1000", "--step", "200", "--settle", "0.9", "--out", session)
    shoot = ("shoot", "--rail", bench.url, "--camera", "shutter", "--shutter", "1/50", *plan, "--json")
    assert focusrail(*shoot).done()["to_collect"] == 6
    presses = [e for e in bench.command("events")["events"] if (e["pin"], e["level"]) == ("release", 1)]
    assert [e["carriage_um"] for e in presses] == [200.0 * k for k in range(6)]
    card.mkdir()
    to_clock = time.time() - time.monotonic() + 3 * 3600 + 17.3
    for number, event in enumerate(presses):
        taken = datetime.fromtimestamp(event["wall_s"] + to_clock)  # noqa: DTZ006 - a camera's clock knows no zone
        (card / f"IMG_{(9997 + number) % 9999 + 1:04d}.JPG").write_bytes(jpeg_taken(taken))
    done = focusrail("resume", session, "--collect", card, "--json").done()
    assert done["collected"]["missing"] == []
    assert (done["frames"], done["to_collect"]) == (6, 0)
    manifest = json.loads((session / "manifest.json").read_text())
    for number, frame in enumerate(manifest["frames"]):
        name = f"IMG_{(9997 + number) % 9999 + 1:04d}.JPG"
        assert (session / frame["file"]).read_bytes() == (card / name).read_bytes()
