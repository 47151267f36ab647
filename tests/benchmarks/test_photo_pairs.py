"""Pairs made of photographs: each frame sharp where the other is not, and a score that orders what is known to be ordered."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.photo_pairs import main, make_pair


def write_photos(folder: Path, count: int) -> None:
    rng = np.random.default_rng(3)
    folder.mkdir()
    for number in range(count):
        picture = np.full((160, 200, 3), 120.0)
        for _ in range(80):
            centre = (int(rng.integers(200)), int(rng.integers(160)))
            cv2.circle(picture, centre, int(rng.integers(2, 20)), rng.uniform(30, 220, 3).tolist(), -1, cv2.LINE_AA)
        grain = cv2.GaussianBlur(rng.standard_normal((160, 200, 1)), (0, 0), 1.3)[..., None]
        picture += 12.0 * grain / grain.std()
        cv2.imwrite(str(folder / f"{number}.png"), np.clip(picture, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("seed", range(8))
def test_each_frame_is_sharp_where_the_other_is_not(tmp_path: Path, seed: int) -> None:
    write_photos(tmp_path / "photos", 1)
    photo = np.asarray(cv2.imread(str(tmp_path / "photos" / "0.png")), np.uint8)
    errors = [np.abs(frame.astype(int) - photo).max(axis=2) for frame in make_pair(photo, seed)]
    assert np.mean(np.minimum(*errors) <= 1) > 0.7
    assert all(np.mean(error > 3) > 0.05 for error in errors)


def test_the_figures_stand_in_their_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_photos(tmp_path / "photos", 2)
    main([str(tmp_path / "photos"), str(tmp_path / "work"), "--pairs", "3", "--seed", "5"])
    *pairs, mean = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert [pair["name"] for pair in pairs] == ["00-0", "01-1", "02-0"]
    assert mean["average"] < mean["textbook"] < mean["result"] <= mean["ceiling"] + 0.5
