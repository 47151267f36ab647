"""The stacker from files to files, and frame by frame."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from stacking.engine import Engine
from stacking.errors import MemoryBudgetError, OutputError, SourceError, StackingError, StackingUsageError
from stacking.frames import Source
from stacking.options import Align, Crop, Method, StackOptions
from stacking.stack import stack_pictures

WIDTH, HEIGHT, FRAMES = 300, 220, 5


def picture(index: int) -> NDArray[np.uint8]:
    """A textured plane that leans back: sharp in one part a frame, moved by a known shift."""
    rng = np.random.default_rng(11)
    big = cv2.GaussianBlur(rng.random((HEIGHT + 40, WIDTH + 40)), (0, 0), 1.3)
    gray = 128 + 28 * (big - big.mean()) / big.std()
    x = np.linspace(0, FRAMES - 1, WIDTH + 40)[None]
    soft = [gray, *(cv2.GaussianBlur(gray, (0, 0), s) for s in (1.0, 2.0, 3.0))]
    distance = np.minimum(np.abs(x - index), 2.999)
    low = distance.astype(int)
    frame = sum(np.where(low == j, soft[j] * (1 - distance + j) + soft[j + 1] * (distance - j), 0) for j in range(3))
    dx, dy = shift(index)
    moved = np.asarray(frame)[20 + dy : 20 + dy + HEIGHT, 20 + dx : 20 + dx + WIDTH]
    noisy = moved + np.random.default_rng(index).normal(0, 1, moved.shape)
    rgb = np.stack([noisy * 1.1, noisy, noisy * 0.85], axis=2)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def shift(index: int) -> tuple[int, int]:
    return (3 * (index - FRAMES // 2), -2 * (index - FRAMES // 2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stack")
    for k in range(FRAMES):
        cv2.imwrite(str(path / f"shot-{k + 1}.jpg"), picture(k)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 97])
    return path


def stacked(folder: Path, output: Path, **options: object) -> NDArray[np.uint16]:
    stack_pictures([folder], output, StackOptions(**options))  # type: ignore[arg-type]
    return np.asarray(tifffile.imread(output))


def test_a_folder_becomes_a_picture(folder: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    output, depth, told = tmp_path / "out.tif", tmp_path / "depth.tif", tmp_path / "report.json"
    options = StackOptions(depth=depth, report=told)
    values = stack_pictures([folder], output, options, lambda *step: seen.append(step)).values()
    assert values["frames_used"] == FRAMES
    assert values["frames_left_out"] == []
    assert values["order"] == [f"shot-{k + 1}.jpg" for k in range(FRAMES)]
    assert values["reference"] == "shot-3.jpg"
    image = tifffile.imread(output)
    assert image.dtype == np.uint16
    assert image.shape == (values["height"], values["width"], 3)
    x, y, width, height = values["crop"]
    assert (width, height) == (values["width"], values["height"])
    assert x >= 5
    assert y >= 3
    for k in range(FRAMES):
        matrix = np.array(values["transforms"][f"shot-{k + 1}.jpg"])
        np.testing.assert_allclose(matrix[:, 2], -np.array(shift(k)), atol=0.35)
    reference = picture(FRAMES // 2)[y : y + height, x : x + width]
    gain = np.linalg.norm(cv2.Laplacian(image[..., 1] / 257.0, cv2.CV_64F)) / np.linalg.norm(
        cv2.Laplacian(reference[..., 1].astype(float), cv2.CV_64F)
    )
    assert gain > 1.15
    assert tifffile.imread(depth).shape == (height, width)
    assert json.loads(told.read_text())["crop"] == values["crop"]
    assert values["seconds"] > 0
    assert values["peak_rss_mb"] > 10
    assert {stage for stage, _, _ in seen} == {"registering", "fusing"}
    assert all(0 < done <= total for _, done, total in seen)


def test_threads_and_the_way_of_coming_do_not_change_a_byte(folder: Path, tmp_path: Path) -> None:
    one = stacked(folder, tmp_path / "one.tif", threads=1)
    three = stacked(folder, tmp_path / "three.tif", threads=3)
    engine = Engine(StackOptions(threads=2))
    for k in range(FRAMES):
        engine.add(Source(folder / f"shot-{k + 1}.jpg"))
    np.testing.assert_array_equal(one, three)
    np.testing.assert_array_equal(one, engine.finish().image)


@pytest.mark.parametrize("method", list(Method))
def test_every_method_gives_a_picture(folder: Path, tmp_path: Path, method: Method) -> None:
    image = stacked(folder, tmp_path / "out.tif", method=method)
    assert image.shape[2] == 3
    assert 20 * 257 < image.mean() < 235 * 257


def test_without_crop_the_size_stays(folder: Path, tmp_path: Path) -> None:
    assert stacked(folder, tmp_path / "out.tif", crop=Crop.NONE).shape == (HEIGHT, WIDTH, 3)


def test_without_alignment_nothing_moves(folder: Path, tmp_path: Path) -> None:
    report = stack_pictures([folder], tmp_path / "out.tif", StackOptions(align=Align.NONE))
    assert report.crop == (0, 0, WIDTH, HEIGHT)
    assert all(np.array_equal(m, np.eye(2, 3)) for m in report.transforms.values())


def test_broken_and_foreign_files_are_left_out_with_a_reason(folder: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for file in folder.iterdir():
        os.link(file, mixed / file.name)
    whole = (folder / "shot-2.jpg").read_bytes()
    (mixed / "shot-2a.jpg").write_bytes(whole[: len(whole) // 2])
    cv2.imwrite(str(mixed / "shot-9.jpg"), np.zeros((40, 60, 3), np.uint8))
    report = stack_pictures([mixed], tmp_path / "out.tif")
    assert report.frames_used == FRAMES
    reasons = {out.path.name: out.reason for out in report.frames_left_out}
    assert set(reasons) == {"shot-2a.jpg", "shot-9.jpg"}
    assert all(reasons.values())
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), stacked(folder, tmp_path / "clean.tif"))


def test_a_frame_that_repeats_another_is_left_out_under_the_name_of_that(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "twice").mkdir()
    for file in folder.iterdir():
        os.link(file, tmp_path / "twice" / file.name)
    (tmp_path / "twice/shot-2a.jpg").write_bytes((folder / "shot-2.jpg").read_bytes())
    (out,) = stack_pictures([tmp_path / "twice"], tmp_path / "out.tif").frames_left_out
    assert (out.path.name, out.reason) == ("shot-2a.jpg", "the picture of shot-2.jpg once more")


def test_one_picture_is_its_own_result(folder: Path, tmp_path: Path) -> None:
    report = stack_pictures([folder / "shot-1.jpg"], tmp_path / "out.tif")
    assert report.frames_used == 1
    assert any("only one" in note for note in report.notes)
    result = tifffile.imread(tmp_path / "out.tif") / 257.0
    assert np.abs(result - cv2.imread(str(folder / "shot-1.jpg"))[..., ::-1]).mean() < 1.5


def test_eight_bit_png_stays_eight_bit(folder: Path, tmp_path: Path) -> None:
    stack_pictures([folder], tmp_path / "out.png")
    assert cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED).dtype == np.uint8


@pytest.mark.parametrize(
    ("output", "options", "error"),
    [
        ("taken.tif", {}, OutputError),
        ("out.xyz", {}, StackingUsageError),
        ("nowhere/out.tif", {}, OutputError),
        ("out.tif", {"depth": Path("depth.jpg")}, StackingUsageError),
        ("out.tif", {"method": Method.AVERAGE, "depth": Path("depth.tif")}, StackingUsageError),
        ("out.tif", {"memory_bytes": 1 << 20}, StackingError),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    folder: Path, tmp_path: Path, output: str, options: dict[str, object], error: type[StackingError]
) -> None:
    (tmp_path / "taken.tif").write_bytes(b"mine")
    if "depth" in options:
        options = {**options, "depth": tmp_path / str(options["depth"])}
    with pytest.raises(error) as refused:
        stack_pictures([folder], tmp_path / output, StackOptions(**options))  # type: ignore[arg-type]
    assert refused.value.remedy
    assert [p.name for p in tmp_path.iterdir()] == ["taken.tif"]
    assert (tmp_path / "taken.tif").read_bytes() == b"mine"


def test_force_writes_over(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out.tif").write_bytes(b"old")
    assert stacked(folder, tmp_path / "out.tif", force=True).dtype == np.uint16


def test_an_interruption_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "fusing" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stack_pictures([folder], tmp_path / "out.tif", progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_stack() -> None:
    with pytest.raises(SourceError):
        Engine().finish()


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("depth", [False, True])
def test_the_picture_of_a_single_frame_is_that_frame(tmp_path: Path, deep: bool, depth: bool) -> None:
    rng = np.random.default_rng(21)
    frame = rng.integers(0, 65536, (50, 70, 3), dtype=np.uint16)
    frame = frame if deep else (frame >> 8).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "only.png"), frame)
    options = StackOptions(depth=tmp_path / "d.tif") if depth else StackOptions()
    report = stack_pictures([tmp_path / "only.png"], tmp_path / "o.tif", options)
    found = cv2.imread(str(tmp_path / "o.tif"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found, frame if deep else frame.astype(np.uint16) * 257)
    assert any("only one picture" in note for note in report.notes)
    if depth:
        assert np.isnan(cv2.imread(str(tmp_path / "d.tif"), cv2.IMREAD_UNCHANGED)).all()


def test_the_least_memory_that_a_refusal_names_is_enough_and_changes_no_byte(tmp_path: Path) -> None:
    """Tall frames, so that strips help."""
    (tmp_path / "frames").mkdir()
    rng = np.random.default_rng(12)
    sharp = cv2.GaussianBlur(rng.random((900, 96, 3)), (0, 0), 1.0)
    sharp = np.clip(128 + 40 * (sharp - sharp.mean()) / sharp.std(), 0, 255)
    rows = np.linspace(0, 2, 900)[:, None, None]
    for k in range(3):
        share = np.clip(1 - np.abs(rows - k), 0, 1)
        frame = np.rint(sharp * share + cv2.GaussianBlur(sharp, (0, 0), 2.5) * (1 - share))
        cv2.imwrite(str(tmp_path / f"frames/{k}.png"), frame.astype(np.uint8))
    fused: list[int] = []

    def stacked(name: str, memory_bytes: int | None) -> bytes:
        output = tmp_path / f"{name}.tif"
        options = StackOptions(memory_bytes=memory_bytes, align=Align.NONE)
        stack_pictures(
            [tmp_path / "frames"],
            output,
            options,
            lambda stage, done, total: fused.append(total) if stage == "fusing" else None,
        )
        return tifffile.imread(output).tobytes()

    with pytest.raises(MemoryBudgetError) as refused:
        stacked("none", 1 << 20)
    least = int(refused.value.remedy.split()[3])
    at_once = stacked("at-once", None)
    assert set(fused) == {3}
    assert stacked("strips", least << 20) == at_once
    assert max(fused) > 3


def test_what_is_the_same_of_all_frames_is_said_once(tmp_path: Path) -> None:
    for k in range(3):
        rgba = np.dstack([picture(k)[..., ::-1], np.full((HEIGHT, WIDTH), 255, np.uint8)])
        cv2.imwrite(str(tmp_path / f"shot-{k}.png"), rgba)
    notes = stack_pictures([tmp_path], tmp_path / "out.tif").values()["notes"]
    told = [note for note in notes if "transparency" in note]
    assert len(told) == 1
    assert told[0].startswith("shot-0.png and 2 more: ")
