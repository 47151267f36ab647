"""The picture that a session orders early, and the one that is asked for in the end."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from capture.app.progress import StackingProgress
from capture.app.session_stacking import RunningStacker
from stacking.options import StackOptions


def test_the_picture_asked_for_is_there_though_another_was_ordered_early(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    (tmp_path / "result").mkdir()
    frames = [
        {"number": number, "file": f"frames/{number:04}.png", "position_um": 10.0 * number, "verdict": "accepted"}
        for number in range(3)
    ]
    (tmp_path / "manifest.json").write_text(json.dumps({"plan": {"near_um": 0.0}, "frames": frames}))
    picture = np.random.default_rng(1).integers(0, 255, (96, 128, 3), np.uint8)
    with RunningStacker(tmp_path, StackOptions()) as running, StackingProgress() as progress:
        for number in range(3):
            path = tmp_path / "frames" / f"{number:04}.png"
            cv2.imwrite(str(path), cv2.GaussianBlur(picture, (0, 0), 1.0 + number))
            running.frame_stored(number, 10.0 * number, path)
        running.all_stored()
        report = running.finish(tmp_path / "other.tif", StackOptions(), progress)
        assert report is not None
        assert (tmp_path / "other.tif").is_file()
        assert running.finish(tmp_path / "third.tif", StackOptions(), progress) is not None
        assert (tmp_path / "third.tif").is_file()
