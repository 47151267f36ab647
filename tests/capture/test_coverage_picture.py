"""The certificate's map: each block in the colour of its fate, on a picture in which everything is sharp."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from capture.focus.certificate import Certificate, Fate
from capture.focus.coverage_picture import draw_coverage, percent

ROWS, COLUMNS = 8, 12


def certificate(fates: np.ndarray, peaks: np.ndarray) -> Certificate:
    return Certificate(False, 1.0, (), 0.1, 0.1, 0.0, 1.0, int((fates > 0).sum()), peaks, fates, reach=(-3.0, 8.0))


def test_every_fate_has_its_colour_and_no_texture_none(tmp_path: Path) -> None:
    fates = np.repeat(np.arange(6, dtype=np.uint8), 2)[None, :].repeat(ROWS, axis=0)
    peaks = np.select([fates == Fate.BEYOND_NEAR, fates == Fate.BEYOND_FAR], [-2.0, 7.0], 2.0)
    thumbs = [np.full((80, 120), 128, np.uint8)] * 3
    draw_coverage(tmp_path / "c.png", certificate(fates, peaks), [0.0, 1.0, 5.0], thumbs)
    picture = cv2.imread(str(tmp_path / "c.png")).astype(int)
    step = picture.shape[1] // 6
    seen = {fate: picture[100, step * fate.value + step // 2] for fate in Fate}
    blue, green, red = seen[Fate.NO_TEXTURE]
    assert blue == green == red
    assert seen[Fate.COVERED].argmax() == 1
    assert seen[Fate.IN_GAP].argmax() == 2
    for one, other in ((a, b) for a in Fate for b in Fate if a < b):
        assert np.abs(seen[one] - seen[other]).max() > 25
    # the graph goes on beyond the frames, and shows what lies there
    graph = picture[-250:-70]
    for colour in ((20, 165, 255), (200, 60, 150)):
        assert (graph == colour).all(axis=2).sum() > 100


def test_the_map_shows_each_part_from_the_frame_where_it_is_sharp(tmp_path: Path) -> None:
    sharp = cv2.resize(
        np.random.default_rng(1).integers(0, 255, (40, 60), np.uint8), (240, 160), interpolation=cv2.INTER_NEAREST
    )
    soft = cv2.GaussianBlur(sharp, (0, 0), 5.0)
    near, far = sharp.copy(), sharp.copy()
    near[:, 120:], far[:, :120] = soft[:, 120:], soft[:, :120]
    nothing = np.zeros((ROWS, COLUMNS), np.uint8)
    draw_coverage(
        tmp_path / "c.png", certificate(nothing, np.full(nothing.shape, np.nan)), [0.0, 1.0, 2.0], [near, soft, far]
    )
    picture = cv2.cvtColor(cv2.imread(str(tmp_path / "c.png")), cv2.COLOR_BGR2GRAY)[:640]
    small = cv2.resize(picture, (240, 160), interpolation=cv2.INTER_AREA)
    for part in (slice(5, 110), slice(130, 235)):
        assert np.corrcoef(small[5:-5, part].ravel(), sharp[5:-5, part].ravel())[0, 1] > 0.97
        assert np.corrcoef(soft[5:-5, part].ravel(), sharp[5:-5, part].ravel())[0, 1] < 0.9


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (1.0, "100 %"),
        (0.996, "100 %"),
        (0.137, "14 %"),
        (0.0998, "10 %"),
        (0.0061, "0.61 %"),
        (0.076, "7.6 %"),
        (0.0, "0 %"),
    ],
)
def test_shares_are_told_as_people_write_them(share: float, words: str) -> None:
    assert percent(share) == words
