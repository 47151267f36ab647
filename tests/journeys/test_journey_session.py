"""bench-sim in one process, shoot and run in another: the path a user with hardware takes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import cv2
import pytest

from capture.app.bench_launch import RunningBench
from capture.session.folder import SessionFolder
from capture.session.records import SessionState, Verdict
from tests.journeys.program import BENCH_OPTIONS, command, focusrail

PLAN = ("--near", "100", "--far", "700um", "--step", "0.2mm", "--settle", "0.02")
# Without them a session measures its depth of field on live frames at the end.
OPTICS = ("-m", "2", "-f", "2.8")


def wait_until(condition: object, deadline_s: float = 60.0) -> None:
    end_s = time.monotonic() + deadline_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end_s, "the awaited event did not come"
        time.sleep(0.02)


def accepted_files(session: Path) -> list[Path]:
    manifest = json.loads((session / "manifest.json").read_text())
    return [session / frame["file"] for frame in manifest["frames"] if frame["verdict"] == "accepted"]


def test_run_shoots_and_stacks(bench: RunningBench, devices: tuple[str, ...], tmp_path: Path) -> None:
    session = tmp_path / "a session with spaces"
    shots_before = bench.ask({"get": "truth"})["shots"]
    values = focusrail("run", *devices, *PLAN, "--origin", "here", "--out", session, "--json").done()
    assert values["session"] == str(session)
    assert (values["planned"], values["frames"], values["added"], values["reshot"], values["left_out"]) == (
        4,
        4,
        0,
        0,
        [],
    )
    # four frames 200 um apart, with a depth of field of some 50 um: the frames are as planned, and said to have gaps
    assert values["coverage"].keys() >= {"passed", "weakest", "gaps_um"}
    assert values["coverage"]["passed"] is False
    assert all(near < far for near, far in values["coverage"]["gaps_um"])
    assert values["seconds_after_last_frame"] > 0
    assert bench.ask({"get": "truth"})["shots"] - shots_before == 4

    picture = cv2.imread(values["result"], cv2.IMREAD_UNCHANGED)
    assert picture.dtype == "uint16"
    assert picture.shape[0] > 250

    manifest = json.loads((session / "manifest.json").read_text())
    assert manifest["state"] == "finished"
    assert [frame["number"] for frame in manifest["frames"]] == [1, 2, 3, 4]
    assert [frame["position_um"] for frame in manifest["frames"]] == pytest.approx([100, 300, 500, 700], abs=1)
    for frame in manifest["frames"]:
        path = session / frame["file"]
        assert path.name.startswith(f"{frame['number']:04d}.")
        assert hashlib.sha256(path.read_bytes()).hexdigest() == frame["sha256"]
    assert {entry.name for entry in session.iterdir()} >= {"journal.db", "manifest.json", "frames", "result", "log.txt"}


def test_after_the_last_frame_the_carriage_is_where_it_was_told_to_go(
    bench: RunningBench, devices: tuple[str, ...], tmp_path: Path
) -> None:
    zero_um = bench.ask({"get": "truth"})["carriage_um"]
    focusrail("shoot", *devices, *PLAN, *OPTICS, "--origin", "here", "--out", tmp_path / "a", "--json").done()
    assert bench.ask({"get": "truth"})["carriage_um"] - zero_um == pytest.approx(100, abs=1)
    # measured live afterwards: the carriage comes back from that
    focusrail("shoot", *devices, *PLAN, "--after", "stay", "--out", tmp_path / "b", "--json").done()
    assert bench.ask({"get": "truth"})["carriage_um"] - zero_um == pytest.approx(700, abs=1)
    focusrail("shoot", *devices, *PLAN, *OPTICS, "--after", "origin", "--out", tmp_path / "c", "--json").done()
    assert bench.ask({"get": "truth"})["carriage_um"] == pytest.approx(zero_um, abs=1)


def test_a_dry_run_moves_and_shoots_nothing(bench: RunningBench, devices: tuple[str, ...], tmp_path: Path) -> None:
    before = bench.ask({"get": "truth"})
    arguments = ("shoot", *devices, *PLAN, "--origin", "here", "--out", tmp_path / "s", "--dry-run", "--json")
    values = focusrail(*arguments).done()
    assert values["planned"] == 4
    checks = {check["name"]: check for check in values["preflight"]}
    assert {"disk", "clock", "travel"} <= set(checks)
    assert set(checks) & {"camera", "focus"}  # the camera was looked at, too
    assert all(check["passed"] or check["remedy"] for check in checks.values())
    assert "result" not in values
    merged = focusrail("run", *arguments[1:]).done()
    assert merged["result"] is merged["seconds_after_last_frame"] is None
    assert merged["positions"] == values["positions"]
    assert not (tmp_path / "s").exists()
    assert bench.ask({"get": "truth"}) == before


@pytest.mark.parametrize("plan", [PLAN, ()], ids=["given", "auto"])
def test_a_camera_that_shows_its_pictures_is_told_before_there_is_a_folder(
    bench: RunningBench, devices: tuple[str, ...], tmp_path: Path, plan: tuple[str, ...]
) -> None:
    before = bench.ask({"get": "truth"})
    bench.ask({"fault": "wrong_mode"})
    refused = focusrail("run", *devices, *plan, "--origin", "here", "--out", tmp_path / "s", "--json")
    bench.ask({"clear": "wrong_mode"})
    assert refused.code == 3
    assert "playback" in refused.values["error"]["message"]
    assert "Half-press" in refused.values["error"]["remedy"]
    assert "No frame was shot" in refused.values["error"]["state"]
    assert not (tmp_path / "s").exists()
    assert bench.ask({"get": "truth"}) == before


def test_raw_and_jpeg_arrive_together(devices: tuple[str, ...], tmp_path: Path) -> None:
    focusrail(
        "shoot", *devices, *PLAN, *OPTICS, "--origin", "here", "--format", "RAW+JPEG", "--out", tmp_path / "s", "--json"
    ).done()
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    assert all(len(frame["files"]) == 2 for frame in manifest["frames"])
    assert not any(frame["file"].lower().endswith((".jpg", ".jpeg")) for frame in manifest["frames"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["ctrl-c", "sigterm", "sighup"])
def test_interrupted_motion_stops_and_the_session_says_how_far_it_came(
    bench: RunningBench, devices: tuple[str, ...], tmp_path: Path, number: signal.Signals
) -> None:
    session = tmp_path / "s"
    arguments = (
        "shoot",
        *devices,
        "--near",
        "0",
        "--far",
        "4mm",
        "--step",
        "50",
        "--settle",
        "0.02",
        "--origin",
        "here",
    )
    process = subprocess.Popen(
        command(*arguments, "--out", str(session), "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: (session / "frames").is_dir() and len(list((session / "frames").glob("000[1-9].*"))) >= 2)
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    error = json.loads(out)["error"]
    assert error["kind"] == "interrupted"
    assert "of 81 frames" in error["message"]
    assert "stopped" in error["state"]
    here_um = bench.ask({"get": "truth"})["carriage_um"]
    done = len(accepted_files(session))
    assert 1 <= done < 81
    assert f"after {done} of" in error["message"]
    assert json.loads((session / "manifest.json").read_text())["state"] == "interrupted"
    assert bench.ask({"get": "truth"})["carriage_um"] == here_um


def test_nothing_is_lost_when_the_app_is_killed(devices: tuple[str, ...], tmp_path: Path) -> None:
    for round_number, wanted in enumerate((1, 3)):
        session = tmp_path / f"s{round_number}"
        arguments = (
            "shoot",
            *devices,
            "--near",
            "0",
            "--far",
            "4mm",
            "--step",
            "100",
            "--settle",
            "0.02",
            "--origin",
            "here",
        )
        process = subprocess.Popen(
            command(*arguments, "--out", str(session)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(lambda session=session, wanted=wanted: len(list(session.glob("frames/000*.*"))) >= wanted)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        with SessionFolder.open(session) as folder:
            frames = folder.frames()
            assert folder.manifest()["state"] == SessionState.OPEN.value
        kept = [frame for frame in frames.values() if frame.verdict is Verdict.ACCEPTED]
        assert len(kept) >= wanted - 1
        for frame in kept:
            for entry in frame.files:
                assert hashlib.sha256((session / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]


def test_a_plan_beyond_the_limits_is_refused_before_anything_moves(
    bench: RunningBench, devices: tuple[str, ...], tmp_path: Path
) -> None:
    before = bench.ask({"get": "truth"})
    finished = focusrail(
        "shoot",
        *devices,
        "--near",
        "0",
        "--far",
        "500mm",
        "--step",
        "1mm",
        "--origin",
        "here",
        "--out",
        tmp_path / "s",
        "--json",
    )
    assert finished.code == 1
    assert finished.values["error"]["kind"] == "rail-limit"
    assert not (tmp_path / "s").exists()
    assert bench.ask({"get": "truth"})["carriage_um"] == before["carriage_um"]


def test_a_rail_that_knows_no_position_makes_no_session(tmp_path: Path) -> None:
    with RunningBench(*BENCH_OPTIONS) as bench:
        arguments = ("shoot", "--rail", bench.rail, "--camera", bench.camera, *PLAN, "--out", tmp_path / "s", "--json")
        finished = focusrail(*arguments)
        assert finished.code == 1
        assert finished.values["error"]["kind"] == "rail-position-unknown"
        assert not (tmp_path / "s").exists()
        assert bench.ask({"get": "truth"})["shots"] == 0


def test_a_controller_that_restarts_in_mid_session_is_a_device_that_failed(tmp_path: Path) -> None:
    with RunningBench(*BENCH_OPTIONS) as bench:
        process = subprocess.Popen(
            command(
                "shoot", "--rail", bench.rail, "--camera", bench.camera, "--near", "0", "--far", "4mm", "--step", "50"
            )
            + ["--settle", "0.02", "--origin", "here", "--out", str(tmp_path / "s"), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        wait_until(lambda: len(list(tmp_path.glob("s/frames/000*.*"))) >= 2)
        bench.ask({"fault": "reset"})
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 3, out
        error = json.loads(out)["error"]
        done = len(accepted_files(tmp_path / "s"))
        assert f"{done} of 81 frames are safe" in error["state"]
        assert error["remedy"]
        assert json.loads((tmp_path / "s" / "manifest.json").read_text())["state"] == "failed"


def test_a_used_folder_is_refused_before_anything_moves(
    devices: tuple[str, ...], bench: RunningBench, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    before = bench.ask({"get": "truth"})
    finished = focusrail("shoot", *devices, *PLAN, "--origin", "here", "--out", tmp_path, "--json")
    assert finished.code == 1
    assert "not empty" in finished.values["error"]["message"]
    assert bench.ask({"get": "truth"}) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]
