"""Journeys with a camera that hangs on the controller's shutter output: the output releases it, its card is collected afterwards."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capture.app.bench_launch import RunningBench
from tests.journeys.program import BENCH_OPTIONS, command, focusrail

SHOOT = ("--camera", "shutter", "--shutter", "1/100", "--origin", "here", "--near", "0", "--settle", "0")


@pytest.fixture
def rail() -> Iterator[RunningBench]:
    with RunningBench(*BENCH_OPTIONS) as bench:
        yield bench


def ask(bench: RunningBench, **request: object) -> dict[str, Any]:
    host, port = bench.control.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as wire:
        wire.sendall(json.dumps(request).encode() + b"\n")
        answer: dict[str, Any] = json.loads(wire.makefile().readline())
    return answer


def card(bench: RunningBench, folder: Path, count: int) -> list[str]:
    """The card's files, once the camera has stored so many."""
    end = time.monotonic() + 60
    while len(files := ask(bench, save="card", dir=str(folder))["files"]) < count:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert len(files) == count
    return sorted(files)


def digests(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_stack_by_the_shutter_is_collected_and_stacked(rail: RunningBench, tmp_path: Path) -> None:
    session, cards = tmp_path / "s", tmp_path / "card"
    shot = focusrail(
        "run", "--rail", rail.rail, *SHOOT, "--far", "600", "--step", "100", "--out", session, "--json"
    ).done()
    assert (shot["planned"], shot["frames"], shot["to_collect"]) == (7, 7, 7)
    assert shot["result"] is None
    assert not [path for path in (session / "frames").iterdir() if path.is_file()]
    names = card(rail, cards, 7)
    assert ask(rail, get="truth")["shots"] == 7
    before = digests(cards)

    done = focusrail("resume", session, "--collect", cards, "--json").done()
    assert (done["frames"], done["to_collect"], done["to_shoot"]) == (7, 0, 0)
    assert done["collected"]["missing"] == []
    assert done["collected"]["extra"] == []
    assert Path(done["result"]).is_file()
    assert digests(cards) == before, "the card is only read"
    manifest = json.loads((session / "manifest.json").read_text())
    assert [frame["position_um"] for frame in manifest["frames"]] == pytest.approx([100.0 * k for k in range(7)], abs=1)
    for frame, name in zip(manifest["frames"], names, strict=True):
        assert (session / frame["file"]).read_bytes() == before[name]
        assert len(frame["sha256"]) == 64
    again = focusrail("resume", session, "--collect", cards, "--json").done()
    assert (again["frames"], again["collected"]["copied"], again["result"]) == (7, 0, done["result"])


def test_what_is_missing_on_the_card_is_told_and_shot_again(rail: RunningBench, tmp_path: Path) -> None:
    session, cards = tmp_path / "s", tmp_path / "card"
    slow = [*SHOOT[:-1], "0.8"]  # the rhythm must be told apart from a busy machine's hiccups
    shoot = ("shoot", "--rail", rail.rail, *slow, "--far", "500", "--step", "100", "--out", session, "--json")
    assert focusrail(*shoot).done()["to_collect"] == 6
    names = card(rail, cards, 6)
    (cards / names[3]).unlink()
    (cards / "holiday.jpg").write_bytes(b"no picture of ours")
    done = focusrail("resume", session, "--collect", cards, "--json").done()
    assert done["collected"]["missing"] == [4]
    assert (done["frames"], done["to_shoot"]) == (5, 1)
    assert json.loads((session / "manifest.json").read_text())["state"] == "interrupted"
    again = focusrail("resume", session, "--json").done()
    assert (again["frames"], again["to_collect"]) == (6, 1)
    shutil.rmtree(cards)
    names = card(rail, cards, 7)
    for name in names[:-1]:
        (cards / name).unlink()  # the card was emptied after the first collection
    done = focusrail("resume", session, "--collect", cards, "--json").done()
    assert (done["frames"], done["to_collect"], done["to_shoot"]) == (6, 0, 0)
    assert json.loads((session / "manifest.json").read_text())["state"] == "finished"


def test_what_cannot_be_is_refused_and_changes_nothing(rail: RunningBench, tmp_path: Path) -> None:
    plan = ("--origin", "here", "--near", "0", "--far", "200", "--step", "100", "--out", str(tmp_path / "n"))
    for more, word in (
        (("--camera", "shutter", "--iso", "200"), "Set the iso on the camera"),
        (("--camera", "shutter", "--shutter", "fast"), "--shutter 1/60"),
    ):
        failed = focusrail("shoot", "--rail", rail.rail, *plan, *more, "--json")
        assert failed.code != 0
        assert word in failed.values["error"]["remedy"]
        assert not (tmp_path / "n").exists()
    blind = ("--camera", "shutter", "--origin", "here", "--out", str(tmp_path / "n"), "--json")
    failed = focusrail("shoot", "--rail", rail.rail, *blind)
    assert failed.code == 3
    assert "--near" in failed.values["error"]["remedy"]
    assert ask(rail, get="truth")["shots"] == 0
    session, cards = tmp_path / "s", tmp_path / "card"
    shoot = ("shoot", "--rail", rail.rail, *SHOOT, "--far", "200", "--step", "100", "--out", session, "--json")
    assert focusrail(*shoot).done()["to_collect"] == 3
    cards.mkdir()
    for folder, word in ((cards, "none of the 0 pictures"), (tmp_path / "nowhere", "no folder")):
        failed = focusrail("resume", session, "--collect", folder, "--json")
        assert failed.code == 1
        assert word in failed.values["error"]["message"]
        assert failed.values["error"]["remedy"]
    assert json.loads((session / "manifest.json").read_text())["frames"][0]["file"] is None


def test_an_interrupt_lets_go_of_the_shutter_and_the_session_goes_on(rail: RunningBench, tmp_path: Path) -> None:
    session = tmp_path / "s"
    bulb = [*SHOOT[:3], "20s", *SHOOT[4:]]
    shoot = ("shoot", "--rail", rail.rail, *bulb, "--far", "200", "--step", "100", "--out", str(session), "--json")
    running = subprocess.Popen(command(*shoot), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while ask(rail, get="truth")["shots"] == 0:
        assert time.monotonic() < deadline
        assert running.poll() is None
    running.terminate()
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "resume" in json.loads(out)["error"]["remedy"]
    found = focusrail("rail", "status", "--rail", rail.rail, "--json")
    assert found.done()["state"] == "idle"
    assert "was on when it was opened" not in found.stderr


def test_collect_is_for_the_shutter_alone(tmp_path: Path) -> None:
    failed = focusrail(
        *("shoot", "--rail", "socket://127.0.0.1:3", "--camera", "usb:1,1", "--near", "0", "--far", "1", "--step", "1"),
        *("--collect", str(tmp_path), "--out", str(tmp_path / "s"), "--json"),
    )
    assert failed.code == 2
    assert "--camera shutter" in failed.values["error"]["message"]
