"""Gray frames among frames in colour: the picture keeps its colours, whatever frame is gray."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stacking.engine import Engine
from stacking.frames import Source
from stacking.gray_frames import coloured_like, is_colourless
from stacking.options import StackOptions

FRAMES = 5


def scene() -> NDArray[np.float64]:
    rng = np.random.default_rng(6)
    fine = cv2.GaussianBlur(rng.random((160, 220)), (0, 0), 1.2)
    tint = cv2.GaussianBlur(rng.random((160, 220, 3)), (0, 0), 14)
    fine = (fine - fine.mean()) / fine.std()
    tint = (tint - tint.mean()) / tint.std()
    return np.clip(120 + 22 * fine[..., None] + 30 * tint, 8, 245)


def write(folder: Path, gray: set[int], *, one_channel: bool) -> list[Source]:
    sharp = scene()
    x = np.linspace(0, FRAMES - 1, 220)[None, :, None]
    blurred = cv2.GaussianBlur(sharp, (0, 0), 2.5)
    sources = []
    for k in range(FRAMES):
        share = np.clip(1 - np.abs(x - k) / 1.5, 0, 1)
        frame = np.rint(sharp * share + blurred * (1 - share)).astype(np.uint8)
        if k in gray:
            plane = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            frame = plane if one_channel else np.repeat(plane[..., None], 3, axis=2)
        cv2.imwrite(str(folder / f"{k}.png"), frame[..., ::-1] if frame.ndim == 3 else frame)
        sources.append(Source(folder / f"{k}.png"))
    return sources


def stacked(
    folder: Path, gray: set[int], *, one_channel: bool = True
) -> tuple[NDArray[np.float64], int, tuple[str, ...]]:
    folder.mkdir()
    engine = Engine(StackOptions(threads=1))
    engine.extend(write(folder, gray, one_channel=one_channel))
    result = engine.finish()
    assert len(result.used) == FRAMES
    return result.image / 257.0, result.reference, result.notes


@pytest.mark.parametrize("one_channel", [True, False])
@pytest.mark.parametrize("gray", [{2}, {0}, {1, 2}, {0, 1, 2, 4}])
def test_the_picture_keeps_its_colours(tmp_path: Path, gray: set[int], one_channel: bool) -> None:
    expected, _, _ = stacked(tmp_path / "colour", set())
    found, reference, notes = stacked(tmp_path / "mixed", gray, one_channel=one_channel)
    assert reference not in gray
    assert sum("gray among pictures in colour" in note for note in notes) == (0 if one_channel else len(gray))
    rows, columns = (min(a, b) for a, b in zip(expected.shape[:2], found.shape[:2], strict=True))
    chroma = [p[:rows, :columns] - p[:rows, :columns].mean(axis=2, keepdims=True) for p in (expected, found)]
    assert np.sqrt(np.mean((chroma[0] - chroma[1])[8:-8, 8:-8] ** 2)) < 3.0
    assert chroma[1].std() > 0.93 * chroma[0].std()


@pytest.mark.parametrize("one_channel", [True, False])
def test_a_stack_that_is_gray_all_over_stays_gray(tmp_path: Path, one_channel: bool) -> None:
    found, _, notes = stacked(tmp_path / "gray", set(range(FRAMES)), one_channel=one_channel)
    assert (found == found[..., :1]).all()
    assert not any("gray" in note for note in notes)


def test_borrowed_colours_keep_the_detail_of_the_borrower() -> None:
    picture = scene().astype(np.uint8)
    plane = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    gray = np.repeat(plane[..., None], 3, axis=2)
    assert is_colourless(gray)
    assert not is_colourless(picture)
    found = coloured_like(gray, cv2.GaussianBlur(picture, (0, 0), 3), np.eye(2, 3))
    luma = cv2.cvtColor(found, cv2.COLOR_RGB2GRAY)
    assert np.abs(luma.astype(int) - plane).mean() < 1.0
    without, with_colours = (np.sqrt(np.mean((p.astype(float) - picture) ** 2)) for p in (gray, found))
    assert with_colours < 0.2 * without
