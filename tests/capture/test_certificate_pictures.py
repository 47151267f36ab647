"""The certificate of pictures in a folder: steps in depths of field, gaps in frames, spoilt frames, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from capture.app.main import run
from capture.errors import FocusError
from capture.focus.pictures import PicturesJudged, judge_pictures
from tests.capture.test_certificate import DOF_UM, FAR_UM, NEAR_UM, Stack


def silent(stage: str, done: int, total: int) -> None:
    """Nobody watches."""


def write(folder: Path, step: float) -> list[Path]:
    """Frames of the tilted plane, `step` depths of field apart, twice the size that is looked at."""
    stack = Stack(noise=0.003)
    folder.mkdir(exist_ok=True)
    files = []
    positions = np.arange(NEAR_UM - DOF_UM / 2, FAR_UM + DOF_UM, step * DOF_UM)
    for number, position in enumerate(positions, 1):
        files.append(folder / f"f-{number}.png")
        cv2.imwrite(str(files[-1]), frame(stack, float(position)))
    return files


def frame(stack: Stack, position: float, *, shake_px: float = 0.0) -> NDArray[np.uint8]:
    half = stack.gray(position, shake_px=shake_px)
    return np.asarray(cv2.resize(half, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST), np.uint8)


def judged(folder: Path, *, dof: float | None = None) -> PicturesJudged:
    return judge_pictures([folder], silent, dof=dof)


@pytest.mark.parametrize("step", [0.6, 1.5])
def test_the_step_is_told_in_depths_of_field(tmp_path: Path, step: float) -> None:
    write(tmp_path / "s", step)
    found = judged(tmp_path / "s")
    assert found.unit == "frame"
    assert found.step_share == pytest.approx(step, rel=0.15)
    assert found.certificate.passed is (step < 1)
    assert bool(found.certificate.gaps) is (step > 1)
    assert found.doubtful == {}


def spoil(path: Path, how: str) -> None:
    """Make another picture of a frame."""
    picture = cv2.imread(str(path))
    if how == "foreign":
        rng = np.random.default_rng(11)
        coarse = rng.integers(40, 200, (picture.shape[0] // 8, picture.shape[1] // 8), np.uint8)
        picture = cv2.resize(coarse, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_CUBIC)
    elif how == "darker":
        picture = picture // 2
    elif how == "black":
        picture[:] = 0
    elif how == "broken off":
        picture[picture.shape[0] // 3 :] = 128
    cv2.imwrite(str(path), picture)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write(tmp_path_factory.mktemp("whole"), 0.7)


@pytest.mark.parametrize(
    ("spoilt", "reason", "covered"),
    [
        ("shaken", "shaken", False),
        ("foreign", "matches no other", False),
        ("black", "blank", False),
        ("broken off", "truncated", False),
        ("again", "once more", False),
        ("darker", "darker", True),  # brightness can be matched
    ],
)
def test_a_spoilt_frame_is_named_and_covers_nothing(
    whole: list[Path], tmp_path: Path, spoilt: str, reason: str, covered: bool
) -> None:
    files = [tmp_path / path.name for path in whole[3:14]]
    for source, path in zip(whole[3:14], files, strict=True):
        path.write_bytes(source.read_bytes())
    if spoilt == "shaken":
        cv2.imwrite(str(files[5]), frame(Stack(noise=0.003), NEAR_UM + (8 * 0.7 - 0.5) * DOF_UM, shake_px=8.0))
    elif spoilt == "again":
        files[5].write_bytes(files[4].read_bytes())
    else:
        spoil(files[5], spoilt)
    found = judged(tmp_path, dof=1 / 0.7)
    assert list(found.doubtful) == [files[5]]
    assert reason in found.doubtful[files[5]]
    gaps = [(gap.near, gap.far) for gap in found.certificate.gaps]
    assert gaps == ([] if covered else [(5.0, 7.0)])


@pytest.mark.parametrize("window", [(9, 9), (15, 1), (1, 15)], ids=["all ways", "along the rows", "along the columns"])
def test_a_blurred_frame_of_a_coarse_stack_is_named_and_covers_nothing(tmp_path: Path, window: tuple[int, int]) -> None:
    files = write(tmp_path, 2.3)
    cv2.imwrite(str(files[2]), cv2.blur(cv2.imread(str(files[2])), window))
    found = judged(tmp_path, dof=1 / 2.3)
    assert list(found.doubtful) == [files[2]]
    assert "blurred" in found.doubtful[files[2]]
    assert (2.0, 4.0) in [(gap.near, gap.far) for gap in found.certificate.gaps]


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_a_file_that_cannot_be_read_leaves_its_place_empty(whole: list[Path], tmp_path: Path, share: float) -> None:
    files = [tmp_path / path.name for path in whole[3:14]]
    for source, path in zip(whole[3:14], files, strict=True):
        path.write_bytes(source.read_bytes())
    files[5].write_bytes(files[5].read_bytes()[: int(share * files[5].stat().st_size)])
    found = judged(tmp_path, dof=1 / 0.7)
    assert [path for path, _ in found.left_out] == [files[5]]
    assert [(gap.near, gap.far) for gap in found.certificate.gaps] == [(5.0, 7.0)]


@pytest.mark.parametrize("without", [slice(5, 5), slice(5, 8)])
def test_numbers_that_are_missing_in_the_names_are_told(whole: list[Path], tmp_path: Path, without: slice) -> None:
    chosen = whole[:14]
    del chosen[without]
    for path in chosen:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    told = [note for note in judged(tmp_path, dof=1 / 0.7).notes if "jump" in note]
    assert [note.partition(":")[0] for note in told] == (
        [] if without.start == without.stop else ["the numbers of the files jump from 5 to 9"]
    )


def test_times_of_day_in_the_names_are_no_numbers_of_frames(whole: list[Path], tmp_path: Path) -> None:
    second = 120_000
    for number, path in enumerate(whole[:14]):
        second += 2 + number % 3
        (tmp_path / f"IMG_20261127_{second}.png").write_bytes(path.read_bytes())
    assert not [note for note in judged(tmp_path, dof=1 / 0.7).notes if "jump" in note]


def test_pictures_of_different_things_are_refused(tmp_path: Path) -> None:
    files = write(tmp_path / "s", 4.0)[:3]
    for seed, path in enumerate(files):
        coarse = np.random.default_rng(seed).integers(0, 255, (30, 45), np.uint8)
        cv2.imwrite(str(path), cv2.resize(coarse, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC))
    with pytest.raises(FocusError, match="cannot be judged together") as refused:
        judge_pictures(files, silent)
    assert "one stack" in refused.value.remedy


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
