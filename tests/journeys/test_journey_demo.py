"""The first command of the README: range and step found, a stack shot, merged, finished, and compared with the truth."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from tests.journeys.program import focusrail


@pytest.mark.timeout(300)
def test_the_demo_makes_a_picture_nearer_to_the_truth_than_any_frame(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    done = focusrail("demo", "--out", out, "--json", longest_s=280).done()
    assert done["psnr_db"] > done["best_frame_psnr_db"] + 6
    assert done["psnr_db"] > done["average_psnr_db"] + 6
    assert done["coverage"]["passed"]
    picture = cv2.imread(done["picture"])
    assert picture is not None
    assert picture.shape[:2] == cv2.imread(done["result"]).shape[:2]
    assert {path.name for path in (out / "result").iterdir()} == {
        *("average.tif", "coverage.png", "fused.tif", "picture.jpg", "picture.tif", "preview.jpg")
    }  # and no picture that nobody asked for
    assert len(list((out / "frames").glob("*.dng"))) == done["frames"] == done["planned"]
