"""The rail and the camera alone, from the command line."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from capture.app.bench_launch import RunningBench
from tests.journeys.program import BENCH_OPTIONS, command, focusrail
from tests.journeys.test_journey_session import wait_until


def rail(bench: RunningBench, *arguments: object) -> dict[str, Any]:
    return focusrail("rail", *arguments, "--rail", bench.rail, "--json").done()


def carriage_um(bench: RunningBench) -> float:
    position: float = bench.ask({"get": "truth"})["carriage_um"]
    return position


def test_separate_commands_keep_the_position(bench: RunningBench) -> None:
    zero_um = carriage_um(bench)
    assert rail(bench, "zero")["position_um"] == pytest.approx(0, abs=0.5)
    assert rail(bench, "move", "1200um")["position_um"] == pytest.approx(1200, abs=0.7)
    assert rail(bench, "move", "-700um")["position_um"] == pytest.approx(-700, abs=0.7)
    assert carriage_um(bench) - zero_um == pytest.approx(-700, abs=0.7)
    assert rail(bench, "jog", "0.1mm")["position_um"] == pytest.approx(-600, abs=1)
    status = rail(bench, "status")
    assert status["position_um"] == pytest.approx(-600, abs=1)
    assert (status["position_steps"], status["state"], status["position_known"], status["homed"]) == (
        None,
        "idle",
        True,
        False,
    )


def test_beyond_the_allowed_range_nothing_moves(bench: RunningBench) -> None:
    rail(bench, "zero")
    before_um = carriage_um(bench)
    finished = focusrail("rail", "move", "21mm", "--rail", bench.rail, "--json")
    assert finished.code == 1
    assert finished.values["error"]["kind"] == "rail-limit"
    assert carriage_um(bench) == before_um
    rail(bench, "move", "100um")
    refused = focusrail("rail", "move", "50mm", "--origin", "here", "--rail", bench.rail, "--json")
    assert refused.values["error"]["kind"] == "rail-limit"
    assert rail(bench, "status")["position_um"] == pytest.approx(100, abs=0.7)


def test_a_rail_without_a_switch_cannot_home_and_says_so(bench: RunningBench) -> None:
    finished = focusrail("rail", "home", "--rail", bench.rail, "--json")
    assert finished.code in (1, 3)
    assert finished.values["error"]["remedy"]


def test_a_reset_controller_knows_no_position() -> None:
    with RunningBench(*BENCH_OPTIONS) as bench:
        rail(bench, "zero")
        bench.ask({"fault": "reset"})
        status = rail(bench, "status")
        assert (status["position_known"], status["position_um"]) == (False, None)
        finished = focusrail("rail", "move", "10", "--rail", bench.rail, "--json")
        assert finished.code == 1
        assert finished.values["error"]["kind"] == "rail-position-unknown"
        rail(bench, "jog", "50um")
        assert rail(bench, "move", "10", "--origin", "here")["position_um"] == pytest.approx(10, abs=0.7)


def test_homing_against_a_switch() -> None:
    with RunningBench(*BENCH_OPTIONS, "--switches", "--travel", "6mm") as bench:
        homed = rail(bench, "home")
        assert (homed["homed"], homed["position_known"]) == (True, True)
        at_home_um = carriage_um(bench)
        moved = rail(bench, "move", homed["position_um"] + 1000)
        assert carriage_um(bench) - at_home_um == pytest.approx(1000, abs=1.5)
        assert moved["homed"]


def test_a_port_that_resets_its_controller_is_usable_in_one_command() -> None:
    with RunningBench(*BENCH_OPTIONS, "--reset-on-open") as bench:
        assert not rail(bench, "status")["position_known"]
        assert rail(bench, "move", "300", "--origin", "here")["position_um"] == pytest.approx(300, abs=0.7)
        assert not rail(bench, "status")["position_known"]


def test_ctrl_c_stops_a_move_and_keeps_the_position() -> None:
    with RunningBench("--seed", "5", "--sensor", "480x320") as bench:
        zero_um = carriage_um(bench)
        rail(bench, "zero")
        process = subprocess.Popen(
            command("rail", "move", "9mm", "--rail", bench.rail, "--json"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        wait_until(lambda: carriage_um(bench) > zero_um + 300)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
        assert process.returncode == 130
        assert '"kind": "interrupted"' in out
        stopped_um = carriage_um(bench)
        assert stopped_um < zero_um + 9000
        status = rail(bench, "status")
        assert status["position_known"]
        assert status["position_um"] == pytest.approx(stopped_um - zero_um, abs=1)
        assert carriage_um(bench) == stopped_um


def test_the_doctor_reads_the_settings(bench: RunningBench) -> None:
    assert focusrail("rail", "settings", "--rail", bench.rail, "--json").done()["settings"]["$1"]["value"] == 255
    assert focusrail("rail", "doctor", "--rail", bench.rail, "--json").done()["healthy"] is True


def test_camera_roles_are_read_and_written(bench: RunningBench) -> None:
    info = focusrail("camera", "info", "--camera", bench.camera, "--json").done()
    assert {"iso", "shutter", "aperture", "format", "target", "live_view", "battery"} <= {
        name for name, role in info["roles"].items() if role
    }
    assert focusrail("camera", "set", "iso", "400", "--camera", bench.camera, "--json").done()["value"] == "400"
    assert focusrail("camera", "get", "iso", "--camera", bench.camera, "--json").done()["value"] == "400"
    refused = focusrail("camera", "set", "iso", "123456", "--camera", bench.camera, "--json")
    assert refused.code == 1
    assert refused.values["error"]["remedy"]
    focusrail("camera", "set", "iso", "100", "--camera", bench.camera, "--json").done()


def test_a_shot_and_a_live_frame(bench: RunningBench, tmp_path: Path) -> None:
    live = focusrail("camera", "preview", "-o", tmp_path / "live.jpg", "--camera", bench.camera, "--json").done()
    assert cv2.imread(live["file"]).shape[1] < 480
    first = focusrail(
        "camera", "shot", "--out", tmp_path, "--format", "RAW+JPEG", "--camera", bench.camera, "--json"
    ).done()
    assert len(first["files"]) == 2
    second = focusrail(
        "camera", "shot", "--out", tmp_path, "--format", "JPEG", "--target", "card", "--camera", bench.camera, "--json"
    ).done()
    assert not set(first["files"]) & set(second["files"])
    assert np.asarray(cv2.imread(second["files"][0])).shape == (320, 480, 3)


def test_the_control_port_tells_and_refuses(bench: RunningBench, tmp_path: Path) -> None:
    truth = bench.ask({"get": "truth"})
    assert set(truth) >= {
        *("carriage_um", "magnification", "f_number_effective", "pixel_um", "wavelength_um", "near_um", "far_um"),
        *("backlash_um", "settle_s", "shots"),
    }
    assert truth["near_um"] < truth["far_um"]
    bench.ask({"save": "truth", "dir": str(tmp_path)})
    assert cv2.imread(str(tmp_path / "truth.tif"), cv2.IMREAD_UNCHANGED).dtype == np.uint16
    assert cv2.imread(str(tmp_path / "depth.tif"), cv2.IMREAD_UNCHANGED).dtype == np.float32
    faults = bench.ask({"list": "faults"})["faults"]
    assert {"reset", "unplug", "jam", "hang", "bump", "shake"} <= set(faults)
    with pytest.raises(Exception, match="no fault"):
        bench.ask({"fault": "meteorite"})
    with pytest.raises(Exception, match="not understood"):
        bench.ask({"hello": 1})


def test_a_bracket_with_several_shots_of_each(bench: RunningBench, tmp_path: Path) -> None:
    before = focusrail("camera", "get", "shutter", "--camera", bench.camera, "--json").done()["value"]
    options = ("--format", "JPEG", "--bracket", "1/60, 1/15", "--shots", "2", "--flash-wait", "0.5")
    done = focusrail("camera", "shot", "--camera", bench.camera, "--out", tmp_path, *options, "--json").done()
    assert [Path(file).name for file in done["files"]] == [f"shot-000{k}.jpg" for k in (1, 2, 3, 4)]
    assert all(Path(file).is_file() for file in done["files"])
    times = [shot["exposure"]["shutter_s"] for shot in done["shots"]]
    assert times == pytest.approx([1 / 60, 1 / 60, 1 / 15, 1 / 15], rel=0.05)
    assert focusrail("camera", "get", "shutter", "--camera", bench.camera, "--json").done()["value"] == before
    refused = focusrail("camera", "shot", "--camera", bench.camera, "--out", tmp_path, "--bracket", "1/60", "--json")
    assert refused.code == 2
    assert "two shutter times" in refused.values["error"]["message"]


def test_an_exposure_longer_than_the_camera_s_longest_and_its_picture_once_more(
    bench: RunningBench, tmp_path: Path
) -> None:
    options = ("--format", "JPEG", "--shutter", "bulb:1.5")
    done = focusrail("camera", "shot", "--camera", bench.camera, "--out", tmp_path, *options, "--json").done()
    assert len(done["files"]) == 1
    focusrail("camera", "set", "shutter", "1/60", "--camera", bench.camera, "--json").done()
    bench.ask({"fault": "stale_frame"})
    stale = focusrail("camera", "shot", "--camera", bench.camera, "--out", tmp_path, "--format", "JPEG", "--json")
    assert "the same as an earlier one" in stale.values["error"]["message"]
    [kept] = {str(path) for path in tmp_path.iterdir()} - set(done["files"])
    assert kept.endswith(".refused.jpg")
    assert Path(kept).name in stale.values["error"]["state"]
