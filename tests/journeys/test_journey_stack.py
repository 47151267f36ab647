"""Folders of pictures that others took: what is in them, and what goes wrong with them."""

from __future__ import annotations

import resource
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.journeys.program import command, focusrail

ROWS, COLUMNS, FRAMES = 240, 320, 4


def scene(seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.random((15, 20, 3), np.float32), (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(rng.random((ROWS, COLUMNS), np.float32), (0, 0), 1.0)[..., None] - 0.5
    return np.clip(0.15 + 0.6 * coarse + 1.2 * fine, 0.02, 0.98).astype(np.float32)


def frame(sharp: NDArray[np.float32], index: int) -> NDArray[np.float32]:
    """Stairs from left to right: frame `index` is sharp on its own step."""
    depth = (np.arange(COLUMNS) * FRAMES // COLUMNS)[None, :, None]
    blurred = [cv2.GaussianBlur(sharp, (0, 0), 0.1 + 2.0 * distance) for distance in range(FRAMES)]
    out = np.zeros_like(sharp)
    for distance, image in enumerate(blurred):
        out += image * np.clip(1 - np.abs(np.abs(depth - index) - distance), 0, 1)
    return np.clip(out, 0, 1).astype(np.float32)


def write_stack(folder: Path, names: list[str], seed: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sharp = scene(seed)
    for index, name in enumerate(names):
        image = frame(sharp, index)
        sixteen = name.endswith((".tif", ".tiff"))
        scaled = image * (65535 if sixteen else 255) + 0.5
        assert cv2.imwrite(str(folder / name), scaled.astype(np.uint16 if sixteen else np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_stack(tmp_path / "frames", [f"FS-{index}.png" for index in (2, 9, 10, 11)])
    return tmp_path / "frames"


@pytest.mark.parametrize(
    ("suffix", "result"),
    [("jpg", "out.tif"), ("png", "out.png"), ("tif", "out.png"), ("tif", "out.jpg"), ("tif", "out.tif")],
)
def test_any_format_in_any_format_out(tmp_path: Path, suffix: str, result: str) -> None:
    write_stack(tmp_path / "in", [f"a{index}.{suffix}" for index in range(FRAMES)])
    values = focusrail("stack", tmp_path / "in", "-o", tmp_path / result, "--align", "none", "--json").done()
    picture = cv2.imread(values["result"], cv2.IMREAD_UNCHANGED)
    sixteen = result == "out.tif" or (result == "out.png" and suffix == "tif")
    assert picture.dtype == (np.uint16 if sixteen else np.uint8)
    assert picture.shape == (values["height"], values["width"], 3)
    assert values["frames_used"] == FRAMES
    unit = picture.astype(np.float32) / np.iinfo(picture.dtype).max
    error = np.sqrt(np.mean((unit - scene(1))[16:-16, 16:-16] ** 2))
    best = min(np.sqrt(np.mean((frame(scene(1), index) - scene(1))[16:-16, 16:-16] ** 2)) for index in range(FRAMES))
    assert error < 0.6 * best


def test_names_are_ordered_as_people_count(folder: Path, tmp_path: Path) -> None:
    values = focusrail("stack", folder, "-o", tmp_path / "o.tif", "--json").done()
    assert list(values["transforms"]) == values["order"]
    assert [Path(name).name for name in values["order"]] == ["FS-2.png", "FS-9.png", "FS-10.png", "FS-11.png"]


def test_what_does_not_belong_is_left_out_with_a_reason(folder: Path, tmp_path: Path) -> None:
    (folder / "notes.txt").write_text("shot at f/4")
    (folder / ".hidden.png").write_bytes(b"x")
    (folder / "FS-3.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    whole = (folder / "FS-9.png").read_bytes()
    (folder / "FS-12.png").write_bytes(whole[: len(whole) // 2])
    cv2.imwrite(str(folder / "FS-13.png"), np.full((100, 90, 3), 128, np.uint8))
    (folder / "sub").mkdir()
    shutil.copy(folder / "FS-2.png", folder / "sub" / "FS-1.png")
    values = focusrail("stack", folder, "-o", tmp_path / "o.tif", "--json").done()
    assert values["frames_used"] == FRAMES
    left_out = {Path(entry["file"]).name: entry["reason"] for entry in values["frames_left_out"]}
    assert (
        {"FS-3.png", "FS-12.png", "FS-13.png"} <= set(left_out) <= {"FS-3.png", "FS-12.png", "FS-13.png", "notes.txt"}
    )
    assert all(left_out.values())
    assert "90" in left_out["FS-13.png"]


def test_a_brighter_frame_is_used_and_said(folder: Path, tmp_path: Path) -> None:
    brighter = cv2.imread(str(folder / "FS-2.png")).astype(np.float32) * 1.3 ** (1 / 2.2)
    assert cv2.imwrite(str(folder / "FS-2.png"), np.clip(brighter, 0, 255).astype(np.uint8))
    done = focusrail("stack", folder, "-o", tmp_path / "out.png", "--align", "none")
    assert done.code == 0
    assert "from 4 frames" in done.stderr
    assert any(line.startswith("note: FS-2.png: ") and "brighter" in line for line in done.stderr.splitlines())


@pytest.mark.parametrize("what", ["empty", "missing", "only text", "only broken"])
def test_nothing_to_stack_is_a_clear_error(tmp_path: Path, what: str) -> None:
    source = tmp_path / "in"
    if what != "missing":
        source.mkdir()
    if what == "only text":
        (source / "a.txt").write_text("hello")
    if what == "only broken":
        (source / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 not really")
    finished = focusrail("stack", source, "-o", tmp_path / "o.tif", "--json")
    assert finished.code == 1
    assert finished.values["error"]["message"]
    assert finished.values["error"]["remedy"]
    assert not (tmp_path / "o.tif").exists()


def test_output_is_never_overwritten_without_force(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "o.tif"
    target.write_bytes(b"precious")
    finished = focusrail("stack", folder, "-o", target, "--json")
    assert finished.code == 1
    assert "--force" in finished.values["error"]["remedy"]
    assert target.read_bytes() == b"precious"
    focusrail("stack", folder, "-o", target, "--force", "--json").done()
    assert target.read_bytes() != b"precious"


def test_a_frame_is_never_overwritten_by_the_result(folder: Path, tmp_path: Path) -> None:
    before = (folder / "FS-9.png").read_bytes()
    finished = focusrail("stack", folder, "-o", folder / "FS-9.png", "--force", "--json")
    assert finished.code == 1
    assert finished.values["error"]["kind"] == "output"
    assert (folder / "FS-9.png").read_bytes() == before


def test_an_earlier_result_in_the_folder_is_no_frame(folder: Path) -> None:
    first = focusrail("stack", folder, "-o", folder / "out.png", "--crop", "none", "--json").done()
    second = focusrail("stack", folder, "-o", folder / "out2.png", "--crop", "none", "--json").done()
    assert second["frames_used"] == first["frames_used"] == FRAMES
    assert [Path(entry["file"]).name for entry in second["frames_left_out"]] == ["out.png"]
    again = focusrail("stack", folder, "-o", folder / "out.png", "--crop", "none", "--force", "--json").done()
    assert again["frames_used"] == FRAMES


@pytest.mark.parametrize("target", ["missing/o.tif", "o.gif", "a-folder", "file/o.tif"])
def test_a_target_that_cannot_be_written_is_refused_first(folder: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "a-folder").mkdir()
    (tmp_path / "file").write_text("")
    before = sorted(path.name for path in tmp_path.iterdir())
    finished = focusrail("stack", folder, "-o", tmp_path / target, "--json")
    assert finished.code in (1, 2)
    assert finished.values["error"]["remedy"]
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_full_disk_leaves_no_half_written_output(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    done = subprocess.run(
        command("stack", str(folder), "-o", str(out / "o.tif"), "--json"),
        capture_output=True,
        text=True,
        timeout=100,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert done.returncode == 1, done.stderr
    assert '"kind": "output"' in done.stdout
    assert list(out.iterdir()) == []


def test_finish_corrects_a_picture(folder: Path, tmp_path: Path) -> None:
    focusrail("stack", folder, "-o", tmp_path / "o.tif", "--json").done()
    values = focusrail(
        "finish", tmp_path / "o.tif", "-o", tmp_path / "f.jpg", "--levels", "auto", "--saturation", "1.2", "--json"
    ).done()
    assert cv2.imread(values["result"]).std() > cv2.imread(str(tmp_path / "o.tif")).std()
    again = focusrail("finish", tmp_path / "o.tif", "-o", tmp_path / "f.jpg", "--levels", "auto", "--json")
    assert again.code == 1


@pytest.mark.parametrize("arguments", [("--levels", "2,1"), ("--curves", "nonsense"), ("--crop", "0,0,9999,9999")])
def test_finish_refuses_what_makes_no_sense(folder: Path, tmp_path: Path, arguments: tuple[str, str]) -> None:
    finished = focusrail("finish", folder / "FS-2.png", "-o", tmp_path / "f.tif", *arguments, "--json")
    assert finished.code in (1, 2)
    assert finished.values["error"]["remedy"]
    assert not (tmp_path / "f.tif").exists()


def test_the_same_frames_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    for name in ("a.tif", "b.tif"):
        focusrail("stack", folder, "-o", tmp_path / name, "--json").done()
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
