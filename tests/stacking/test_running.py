"""Frames that come one after the other, in any order, and go again: the picture is that of the folder, byte for byte."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from multiprocessing import Pipe
from pathlib import Path

import cv2
import numpy as np
import pytest

from stacking.errors import OutputError
from stacking.options import Align, StackOptions
from stacking.prepared import PictureStore
from stacking.running import RunningStack
from stacking.running_orders import Add, Begin, Finish, Finished, Shown, Withdraw
from stacking.stack import stack_pictures
from tests.stacking.pictures import mosaic_of, scene, write_dng, write_jpeg

COUNT = 9
ROWS, COLUMNS = 240, 320
STEP_UM = 50.0


def frame(index: int) -> np.ndarray:
    """A strip of the scene is sharp, wandering down; the picture grows and shifts."""
    sharp = scene(ROWS, COLUMNS, 7).astype(np.float32)
    soft = cv2.GaussianBlur(sharp, (0, 0), 3)
    rows = np.arange(ROWS, dtype=np.float32)[:, None, None]
    share = np.exp(-(((rows - ROWS * (index + 0.5) / COUNT) / 40) ** 2))
    scale = 1 + 0.002 * (index - COUNT // 2)
    centre = np.array([COLUMNS, ROWS]) / 2
    shift = centre * (1 - scale) + [0.7 * index, -0.4 * index]
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    return cv2.warpAffine(sharp * share + soft * (1 - share), matrix, (COLUMNS, ROWS), borderMode=cv2.BORDER_REFLECT)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session folder as the stacker reads it: RAW frames with positions."""
    folder = tmp_path_factory.mktemp("session")
    (folder / "frames").mkdir()
    (folder / "result").mkdir()
    entries = []
    for k in range(COUNT):
        path = write_dng(folder / "frames" / f"{k + 1:04d}.dng", mosaic_of(frame(k).astype(np.float64)))
        entries.append(
            {"number": k + 1, "file": f"frames/{path.name}", "position_um": k * STEP_UM, "verdict": "accepted"}
        )
    (folder / "manifest.json").write_text(json.dumps({"frames": entries}))
    return folder


@pytest.fixture(scope="module")
def plain(session: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What `stack` makes of it."""
    output = tmp_path_factory.mktemp("plain") / "r.tif"
    report = stack_pictures([session], output)
    assert report.frames_used == COUNT
    return pixels(output)


def pixels(path: Path) -> bytes:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image.tobytes()


def path_of(session: Path, number: int) -> Path:
    return session / "frames" / f"{number:04d}.dng"


def give(stack: RunningStack, session: Path, number: int) -> None:
    position = (number - 1) * STEP_UM
    stack.add(number, [path_of(session, number)], position, position)


@pytest.fixture
def running() -> Iterator[Callable[..., RunningStack]]:
    """Makes running stacks, and closes them."""
    with ExitStack() as opened:
        yield lambda *arguments: opened.enter_context(RunningStack(*arguments))


ORDERS = {
    "as planned": list(range(1, COUNT + 1)),
    "from the far end": list(range(COUNT, 0, -1)),
    "gaps filled at the end": [1, 2, 4, 5, 7, 8, 9, 3, 6],
    "shuffled": random.Random(3).sample(range(1, COUNT + 1), COUNT),
}


@pytest.mark.parametrize("name", ORDERS)
def test_the_order_of_arrival_does_not_change_a_byte(
    session: Path, plain: bytes, tmp_path: Path, running: Callable[..., RunningStack], name: str
) -> None:
    stack = running(StackOptions(), tmp_path / "preview.jpg")
    for number in ORDERS[name]:
        give(stack, session, number)
        stack.write_preview()
    report = stack.finish([session], tmp_path / "r.tif", StackOptions())
    assert report.frames_used == COUNT
    assert pixels(tmp_path / "r.tif") == plain
    assert not stack.notes
    assert cv2.imread(str(tmp_path / "preview.jpg")).shape[:2] == (ROWS, COLUMNS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["preview.jpg", "r.tif"]


def test_frames_taken_back_and_never_seen_do_not_change_a_byte(
    session: Path, plain: bytes, tmp_path: Path, running: Callable[..., RunningStack]
) -> None:
    foreign = write_dng(tmp_path / "foreign.dng", mosaic_of(scene(ROWS, COLUMNS, 99)))
    stack = running(StackOptions(), tmp_path / "preview.jpg")
    for number in (1, 2, 3, 4):
        give(stack, session, number)
    stack.add(5, [foreign], 4 * STEP_UM, 4 * STEP_UM)
    give(stack, session, 6)
    stack.withdraw(5)
    stack.withdraw(77)
    stack.write_preview()
    give(stack, session, 5)
    stack.withdraw(2)
    give(stack, session, 8)
    give(stack, session, 2)
    stack.finish([session], tmp_path / "r.tif", StackOptions())
    assert pixels(tmp_path / "r.tif") == plain


@pytest.mark.parametrize(
    "options",
    [StackOptions(threads=1), StackOptions(threads=3)],
    ids=["one thread", "three threads"],
)
def test_threads_do_not_change_a_byte(
    session: Path, plain: bytes, tmp_path: Path, running: Callable[..., RunningStack], options: StackOptions
) -> None:
    stack = running(options, None, tmp_path)
    for number in ORDERS["gaps filled at the end"]:
        give(stack, session, number)
    stack.finish([session], tmp_path / "r.tif", options)
    assert pixels(tmp_path / "r.tif") == plain


def test_a_file_that_changed_is_looked_at_anew(
    session: Path, tmp_path: Path, running: Callable[..., RunningStack]
) -> None:
    folder = tmp_path / "s"
    shutil.copytree(session, folder)
    stack = running(StackOptions(), None, tmp_path)
    for number in range(1, COUNT + 1):
        give(stack, folder, number)
    write_dng(path_of(folder, 4), mosaic_of(frame(3).astype(np.float64), exposure=0.7))
    stack.finish([folder], tmp_path / "a.tif", StackOptions())
    stack_pictures([folder], tmp_path / "b.tif")
    assert pixels(tmp_path / "a.tif") == pixels(tmp_path / "b.tif")


def test_jpeg_frames_without_alignment(tmp_path: Path, running: Callable[..., RunningStack]) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for k in range(4):
        image = np.clip(frame(COUNT // 2) * 255 + rng.normal(0, 2, (ROWS, COLUMNS, 3)), 0, 255).astype(np.uint8)
        write_jpeg(folder / f"{k}.jpg", image)
    options = StackOptions(align=Align.NONE)
    stack = running(options, tmp_path / "preview.jpg")
    for k in (0, 2, 1, 3):
        stack.add(k, [folder / f"{k}.jpg"], float(k))
        stack.write_preview()
    stack.finish([folder], tmp_path / "a.tif", options)
    stack_pictures([folder], tmp_path / "b.tif", options)
    assert pixels(tmp_path / "a.tif") == pixels(tmp_path / "b.tif")


def test_what_cannot_be_read_costs_its_own_place_in_the_preview_alone(
    session: Path, tmp_path: Path, running: Callable[..., RunningStack]
) -> None:
    broken = tmp_path / "broken.dng"
    broken.write_bytes(path_of(session, 1).read_bytes()[:20000])
    stack = running(StackOptions(), tmp_path / "preview.jpg")
    stack.add(1, [broken], 0.0, 0.0)
    stack.add(2, [tmp_path / "missing.dng"], 1.0, 1.0)
    for number in (3, 4, 5):
        give(stack, session, number)
    stack.write_preview()
    assert len(stack.notes) >= 2
    assert (tmp_path / "preview.jpg").is_file()


def test_the_preview_shows_what_each_frame_has_sharp(
    session: Path, tmp_path: Path, running: Callable[..., RunningStack]
) -> None:
    stack = running(StackOptions(), tmp_path / "preview.jpg")
    sharpness = []
    for number in range(1, COUNT + 1):
        give(stack, session, number)
        stack.write_preview()
        gray = cv2.imread(str(tmp_path / "preview.jpg"), cv2.IMREAD_GRAYSCALE)[20:-20, 20:-20]
        sharpness.append(float(cv2.Laplacian(gray, cv2.CV_32F).var()))
    assert all(later > 0.98 * earlier for earlier, later in pairwise(sharpness))
    assert sharpness[-1] > 2 * sharpness[0]


def test_kept_pictures_are_bounded_and_leave_nothing(tmp_path: Path) -> None:
    store = PictureStore(tmp_path, most_bytes=100_000)
    image = np.arange(60_000, dtype=np.uint16).reshape(100, 200, 3)
    assert not store.put("large", np.zeros(200_000, np.uint8))
    assert not store.put("whole", image)
    assert store.put("part", image[:50])
    kept = store.get("part")
    assert kept is not None
    np.testing.assert_array_equal(kept, image[:50])
    assert store.get("large") is None
    assert not list(tmp_path.iterdir())
    store.close()


def test_the_process_makes_the_same_and_leaves_nothing(session: Path, plain: bytes, tmp_path: Path) -> None:
    ours, theirs = Pipe()
    with theirs:
        child = subprocess.Popen(
            [sys.executable, "-m", "stacking.running_process", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            cwd=Path(__file__).parents[2],
        )
    options = replace(StackOptions(), threads=2)
    ours.send(Begin(options, tmp_path / "preview.jpg"))
    for number in (1, 2, 3, 9, 4):
        ours.send(Add(number, (path_of(session, number),), number * STEP_UM, number * STEP_UM))
    ours.send(Withdraw(9))
    for number in (5, 6, 7, 8, 9):
        ours.send(Add(number, (path_of(session, number),), (number - 1) * STEP_UM, (number - 1) * STEP_UM))
    answers = [ours.recv()]
    while not isinstance(answers[-1], Shown) or answers[-1].frames < COUNT:
        answers.append(ours.recv())
    ours.send(Finish((session,), tmp_path / "r.tif", options))
    ours.send(Finish((session,), tmp_path / "r.tif", options))
    while len([a for a in answers if isinstance(a, Finished)]) < 2:
        answers.append(ours.recv())
    finished = [a for a in answers if isinstance(a, Finished)]
    assert finished[0].report is not None
    assert isinstance(finished[1].error, OutputError)
    assert finished[1].error.remedy
    assert pixels(tmp_path / "r.tif") == plain
    assert [a.note for a in answers if isinstance(a, Shown) and a.note] == []
    ours.close()
    assert child.wait(60) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["preview.jpg", "r.tif"]
