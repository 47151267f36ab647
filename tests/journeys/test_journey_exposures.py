"""Sessions with several exposures at each position: averaged, or a bracket of which one is stacked."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capture.app.bench_launch import RunningBench
from stacking.develop import Development, as_source
from stacking.sources import find_sources
from tests.journeys.program import command, focusrail

PLAN = ("--origin", "here", "--near", "0", "--far", "300um", "--step", "100um", "--settle", "0", "-m", "2", "-f", "2.8")


def frames_of(session: Path) -> list[dict[str, Any]]:
    manifest = json.loads((session / "manifest.json").read_text())
    return [frame for frame in manifest["frames"] if frame["verdict"] == "accepted"]


def check_sets(session: Path, each: int) -> None:
    """One whole set for every position, and nothing else in frames/."""
    frames = frames_of(session)
    assert [frame["number"] for frame in frames] == [1, 2, 3, 4]
    assert all(len(frame["files"]) == len(frame["exposures"]) == each for frame in frames)
    on_disk = {f"frames/{path.name}" for path in (session / "frames").iterdir() if path.is_file()}
    assert on_disk == {file for frame in frames for file in frame["files"]}
    assert len({digest for frame in frames for digest in frame["digests"].values()}) == 4 * each


def test_several_shots_of_each_position_are_averaged(devices: tuple[str, ...], tmp_path: Path) -> None:
    out = tmp_path / "s"
    done = focusrail("run", *devices, *PLAN, "--shots", "2", "--out", out, "--json").done()
    assert (done["planned"], done["frames"]) == (4, 4)
    assert done["stack"]["frames_used"] == 4
    check_sets(out, 2)
    assert frames_of(out)[0]["averaged"] == ["frames/0001-1.dng", "frames/0001-2.dng"]
    listed = find_sources([out])
    assert [len(source.paths) for source in listed.sources] == [2, 2, 2, 2]
    # what is stacked while shooting is what is stacked from the folder
    again = tmp_path / "again.tif"
    focusrail("stack", out, "-o", again, "--json").done()
    assert again.read_bytes() == Path(done["result"]).read_bytes()
    development = Development(listed.sources)
    one = development.frame(as_source(out / "frames" / "0001-1.dng")).image.astype(np.int32)
    average = development.frame(listed.sources[0]).image.astype(np.int32)
    assert np.abs(average - one).max() < 2000, "the same picture"


def test_a_bracket_killed_in_the_middle_of_a_set_ends_with_whole_sets(
    bench: RunningBench, devices: tuple[str, ...], tmp_path: Path
) -> None:
    before = focusrail("camera", "get", "shutter", *devices[2:], "--json").done()["value"]
    out = tmp_path / "s"
    process = subprocess.Popen(
        command("run", *devices, *PLAN, "--bracket", "1/250,1/30,1/60", "--out", str(out), "--json"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    end_s = time.monotonic() + 60
    while not (out / "frames" / "0002-1.dng").exists():
        assert time.monotonic() < end_s
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    process.wait()
    done = focusrail("resume", out, "--json").done()
    check_sets(out, 3)
    aside = {entry["file"] for entry in done["left_out"]}
    assert {f"frames/rejected/{path.name}" for path in (out / "frames" / "rejected").iterdir()} == aside
    assert "frames/rejected/0002-1-1.dng" in aside
    for frame in frames_of(out):
        by_shutter = {entry["shutter"]: entry for entry in frame["exposures"]}
        assert frame["file"] == by_shutter["1/60"]["file"] == frame["averaged"][0]
        assert [entry["metered"] for entry in frame["exposures"]] == [True, False, False]
        assert frame["exposure"]["shutter_s"] == pytest.approx(1 / 60, rel=0.1)
    assert [source.path.name for source in find_sources([out]).sources] == [f"000{n}-3.dng" for n in (1, 2, 3, 4)]
    # the camera stands at the exposure that the picture is made of
    assert focusrail("camera", "get", "shutter", *devices[2:], "--json").done()["value"] in ("1/60", "0.0166s")
    focusrail("camera", "set", "shutter", before, *devices[2:], "--json").done()


def test_what_cannot_be_is_refused_before_anything_moves(devices: tuple[str, ...], tmp_path: Path) -> None:
    def refused(*more: str) -> tuple[int, str]:
        ended = focusrail("shoot", *devices, *PLAN, *more, "--out", tmp_path / "s", "--json")
        return ended.code, ended.values["error"]["message"] + ended.values["error"]["remedy"]

    assert refused("--bracket", "1/60")[0] == 2
    assert refused("--bracket", "1/60,1/4", "--shutter", "1/60")[0] == 2
    assert refused("--shots", "2", "--camera", "shutter")[0] == 2
    code, said = refused("--bracket", "1/60,1/9999999")
    assert code == 1 or code == 3
    assert "nearest" in said
    assert not (tmp_path / "s").exists()
