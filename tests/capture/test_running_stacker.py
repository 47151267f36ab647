"""The picture that is ordered as soon as the last frame is accepted, and given at the session's end."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from capture.app.progress import StackingProgress
from capture.app.session_stacking import RunningStacker
from stacking.errors import OutputError
from stacking.options import StackOptions

COUNT = 3


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """Frames and manifest, as the session writes them."""
    (tmp_path / "frames").mkdir()
    (tmp_path / "result").mkdir()
    picture = np.random.default_rng(1).integers(0, 255, (96, 128, 3), np.uint8)
    frames = []
    for number in range(COUNT):
        frames.append(
            {"number": number, "file": f"frames/{number:04}.png", "position_um": 10.0 * number, "verdict": "accepted"}
        )
        cv2.imwrite(str(tmp_path / f"frames/{number:04}.png"), cv2.GaussianBlur(picture, (0, 0), 1.0 + number))
    (tmp_path / "manifest.json").write_text(json.dumps({"plan": {"near_um": 0.0}, "frames": frames}))
    return tmp_path


def take_all(running: RunningStacker, session: Path) -> None:
    for number in range(COUNT):
        running.frame_stored(number, 10.0 * number, [session / "frames" / f"{number:04}.png"])
    running.all_stored()


@pytest.mark.parametrize("early", [True, False])
def test_the_picture_is_that_of_its_name_and_options_whenever_it_was_ordered(session: Path, early: bool) -> None:
    depth = session / "depth.tif"
    with RunningStacker(session, StackOptions(depth=depth), "fused.tif") as running, StackingProgress() as progress:
        if not early:
            (session / "result" / "fused.tif").write_text("of a run that was killed")
        take_all(running, session)
        report = running.finish(progress, force=not early)
    assert report is not None
    assert report.frames_used == COUNT
    assert cv2.imread(str(session / "result" / "fused.tif")) is not None
    assert sorted(path.name for path in (session / "result").glob("*.tif")) == ["fused.tif"]
    assert depth.is_file()


def test_a_picture_that_is_there_is_not_written_over(session: Path) -> None:
    kept = session / "result" / "stacked.tif"
    kept.write_text("kept")
    with RunningStacker(session, StackOptions()) as running, StackingProgress() as progress:
        take_all(running, session)
        with pytest.raises(OutputError, match="exists"):
            running.finish(progress)
    assert kept.read_text() == "kept"
