"""What is made of the depth, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from tests.journeys.program import focusrail

ROWS, COLUMNS, FRAMES, STEP_UM = 160, 240, 5, 40.0


def session(folder: Path) -> Path:
    """A session of a tilted plane, 160 um deep, with positions."""
    rng = np.random.default_rng(5)
    sharp = cv2.GaussianBlur(rng.random((ROWS, COLUMNS, 3), np.float32), (0, 0), 0.8)
    sharp = 0.5 + 1.2 * (sharp - sharp.mean())
    (folder / "frames").mkdir(parents=True)
    soft = [cv2.GaussianBlur(sharp, (0, 0), 0.05 + 0.9 * k) for k in range(FRAMES)]
    frames = []
    for index in range(FRAMES):
        away = np.abs(np.linspace(0, FRAMES - 1, COLUMNS)[None, :, None] - index)
        image = sum(s * np.clip(1 - np.abs(away - k), 0, 1) for k, s in enumerate(soft))
        name = f"frames/{index:04d}.png"
        assert cv2.imwrite(str(folder / name), np.clip(np.asarray(image) * 255, 0, 255).astype(np.uint8))
        frames.append({"file": name, "position_um": 100 + STEP_UM * index, "verdict": "accepted"})
    (folder / "manifest.json").write_text(json.dumps({"version": 1, "frames": frames}))
    return folder


def test_a_session_gives_depth_in_micrometres_and_all_that_is_made_of_it(tmp_path: Path) -> None:
    names = {
        "depth": "d.tif",
        "depth_16bit": "d16.tif",
        "depth_confidence": "c.tif",
        "depth_filled": "f.tif",
        "depth_picture": "d.png",
        "mesh": "m.glb",
        "stereo": "s.jpg",
        "anaglyph": "a.jpg",
        "rocking": "r.avi",
        "depth_profile": "p.csv",
    }
    options = [word for name, file in names.items() for word in (f"--{name.replace('_', '-')}", tmp_path / file)]
    folder = session(tmp_path / "session")
    asked = [folder, "-o", tmp_path / "o.tif", "--align", "none", *options, "-m", "2", "--pixel", "4um", "--json"]
    values = focusrail("stack", *asked).done()
    assert {Path(p).name for p in values["outputs"].values()} == {*names.values(), "p.svg"} - {"d.tif"}
    assert all(Path(p).stat().st_size for p in values["outputs"].values())
    depth = tifffile.imread(tmp_path / "d.tif")
    true = np.tile(100 + STEP_UM * np.linspace(0, FRAMES - 1, COLUMNS), (ROWS, 1))
    known = np.isfinite(depth)
    assert known.mean() > 0.9
    assert np.sqrt(np.mean((depth - true)[known] ** 2)) < 0.5 * STEP_UM
    confidence = tifffile.imread(tmp_path / "c.tif")
    assert ((confidence > 0) >= known).all()

    again = focusrail(
        "depth", tmp_path / "o.tif", tmp_path / "d16.tif", "--mesh", tmp_path / "again.ply", "--json"
    ).done()
    assert again["to_scale"]
    assert again["pixel_um"] == 2.0
    assert b"mm, to scale" in (tmp_path / "again.ply").read_bytes()[:200]


@pytest.mark.parametrize(
    "words",
    [
        ["--mesh", "m.obj"],
        ["--depth-line", "0,0,5,5"],
        ["--mesh", "m.glb", "--method", "average"],
        ["--stereo", "o.tif"],
        ["--depth-profile", "p.csv", "--depth-line", "0,0,9"],
    ],
)
def test_what_cannot_be_is_refused_before_the_work(tmp_path: Path, words: list[str]) -> None:
    folder = session(tmp_path / "s")
    ended = focusrail("stack", folder, "-o", tmp_path / "o.tif", *words, "--json", cwd=tmp_path)
    assert ended.code in (1, 2)
    assert [p.name for p in tmp_path.iterdir()] == ["s"]
