"""The certificate of pictures in a folder: steps in depths of field, gaps in frames, spoilt frames, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from capture.app.main import run
from capture.focus.pictures import PicturesJudged, judge_pictures
from tests.capture.test_certificate import DOF_UM, FAR_UM, NEAR_UM, Stack


def silent(stage: str, done: int, total: int) -> None:
    """Nobody watches."""


def write(folder: Path, step: float, *, shaken: int | None = None, without: tuple[int, ...] = ()) -> list[Path]:
    """Frames of the tilted plane, `step` depths of field apart, twice the size that is looked at."""
    stack = Stack(noise=0.003)
    folder.mkdir(exist_ok=True)
    files = []
    positions = np.arange(NEAR_UM - DOF_UM / 2, FAR_UM + DOF_UM, step * DOF_UM)
    for number, position in enumerate(positions, 1):
        if number in without:
            continue
        half = stack.gray(float(position), shake_px=5.0 if number == shaken else 0.0)
        whole = cv2.resize(half, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
        files.append(folder / f"f-{number}.png")
        cv2.imwrite(str(files[-1]), whole)
    return files


def judged(folder: Path) -> PicturesJudged:
    return judge_pictures([folder], silent)


@pytest.mark.parametrize("step", [0.6, 1.5])
def test_the_step_is_told_in_depths_of_field(tmp_path: Path, step: float) -> None:
    write(tmp_path / "s", step)
    found = judged(tmp_path / "s")
    assert found.unit == "frame"
    assert found.step_share == pytest.approx(step, rel=0.15)
    assert found.certificate.passed is (step < 1)
    assert bool(found.certificate.gaps) is (step > 1)
    assert found.doubtful == {}


def test_a_shaken_frame_is_named(tmp_path: Path) -> None:
    files = write(tmp_path / "s", 0.7, shaken=9)
    assert list(judged(tmp_path / "s").doubtful) == [files[8]]


def test_the_command_draws_and_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "s", 1.4)
    arguments = ["certify", str(tmp_path / "s"), "-o", str(tmp_path / "c.png"), "--json"]
    assert run(arguments) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["coverage"]["passed"] is False
    assert values["coverage"]["gaps_frames"]
    assert values["step_of_dof"] > 1
    assert cv2.imread(values["map"]).shape[1] > 500
    assert run(arguments) == 1
    assert "exists" in json.loads(capsys.readouterr().out)["error"]["message"]
    assert run(["certify", str(tmp_path / "s"), "-o", str(tmp_path / "none" / "c.png"), "--json"]) == 1
    assert "does not exist" in json.loads(capsys.readouterr().out)["error"]["message"]
    assert not (tmp_path / "none").exists()


def test_two_pictures_are_too_few(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = write(tmp_path / "s", 4.0)[:2]
    assert run(["certify", *map(str, files), "--json"]) == 1
    assert "too few" in json.loads(capsys.readouterr().out)["error"]["message"]
