"""The report page, and what it judges: coverage, outliers, plots."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stacking.areas_options import preferring
from stacking.coverage import COVERED, END, FLAT, GAP, coverage_classes
from stacking.options import Prefer, StackOptions
from stacking.plots import Plot, Series
from stacking.sharpness import StackSharpness
from stacking.slab_options import SlabOptions
from stacking.stack import stack_pictures
from stacking.trajectory_outliers import outliers, pose_of

VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Checks that elements are closed, and collects what the page leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.count: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def stack(folder: Path) -> Path:
    rng = np.random.default_rng(6)
    sharp = cv2.GaussianBlur(rng.random((160, 220)), (0, 0), 1.0)
    sharp = np.clip(128 + 28 * (sharp - sharp.mean()) / sharp.std(), 0, 255)
    soft = [sharp, *(cv2.GaussianBlur(sharp, (0, 0), s) for s in (1.0, 2.0, 3.0, 4.0, 5.0))]
    folder.mkdir()
    for k in range(6):
        away = np.abs(np.linspace(0, 5, 220)[None] - k)
        image = sum(s * np.clip(1 - np.abs(away - j), 0, 1) for j, s in enumerate(soft))
        cv2.imwrite(str(folder / f"a<{k}>.png"), np.rint(np.asarray(image)).astype(np.uint8))
    (folder / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0nothing")
    return folder


def test_the_page_stands_for_itself_and_names_everything(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text('version = 1\nname = "<warm>"\n[exposure]\nstops = 0.25\n')
    options = StackOptions(
        report=tmp_path / "r.html",
        depth=tmp_path / "d.tif",
        recipe=recipe,
        slabs=SlabOptions((3, 2), 1),
        areas=preferring(Prefer.NEAR, None),
        force=True,
    )
    report = stack_pictures([stack(tmp_path / "in")], tmp_path / "o.tif", options)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.links
    assert all(link.startswith("data:image/") for link in page.links)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    for word in ("Coverage", "Sharpness", "Shift", "Residual", "Brightness", "Depth", "Recipe", "Times", "Slabs"):
        assert word in text
    assert "stops = 0.25" in text
    assert "torn.jpg" in text
    assert "a<0>" not in text  # names are escaped
    assert "a&lt;0&gt;.png" in text
    assert page.count["svg"] == 6
    settings = dict(re.findall("<tr><td>([^<]*)</td><td>([^<]*)</td></tr>", text))
    assert (settings["slab sizes"], settings["areas"], settings["force"]) == ("3, 2", "prefer near", "yes")
    assert settings["x, y, width, height of the crop"] == ", ".join(map(str, report.crop))
    assert {stage for stage, _ in report.times} == {"registering", "fusing", "writing"}
    assert report.values()["seconds"] == pytest.approx(sum(report.values()["times"].values()), abs=0.01)


def test_any_other_suffix_is_json(tmp_path: Path) -> None:
    stack_pictures([stack(tmp_path / "in")], tmp_path / "o.tif", StackOptions(report=tmp_path / "r.txt"))
    assert (tmp_path / "r.txt").read_text().startswith("{")


def blocks_of(*curves: list[float]) -> StackSharpness:
    values = np.array(curves, np.float32).T[:, None, :]
    return StackSharpness(tuple(range(values.shape[0])), values)


def test_each_block_is_judged_by_its_curve() -> None:
    found = coverage_classes(
        blocks_of(
            [0, 3, 9, 4, 0], [9, 5, 1, 0, 0], [0, 0, 1, 5, 9], [0, 1, 9, 2, 0], [0, 0, 0.01, 0, 0], [8, 8, 9, 8, 8]
        ),
        np.arange(5.0),
    )
    assert found.tolist() == [[COVERED, END, END, GAP, FLAT, FLAT]]


def test_the_order_of_positions_decides_who_is_a_neighbour() -> None:
    curve = [9.0, 0.0, 4.0, 0.0, 5.0]
    assert coverage_classes(blocks_of(curve), np.array([2.0, 0.0, 1.0, 4.0, 3.0])).tolist() == [[COVERED]]


def wander(count: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    k = np.arange(count)
    return np.stack(
        [0.8 * k + rng.normal(0, 0.1, count), -0.3 * k, 0.05 * k + rng.normal(0, 1e-3, count), 0 * k], axis=1
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 60), st.integers(0, 99), st.floats(5, 40))
def test_a_bump_of_one_frame_is_found_and_nothing_else(count: int, seed: int, bump_px: float) -> None:
    poses = wander(count, seed)
    assert not outliers(np.arange(count, dtype=float), poses, 2000)[:, 1:].any()
    where = seed % (count - 4) + 2
    poses[where, 1] += bump_px
    found = outliers(np.arange(count, dtype=float), poses, 2000)
    assert found[where, 1]
    assert found[:, 1].sum() == 1


def test_few_frames_tell_no_outlier() -> None:
    assert not outliers(np.arange(4.0), np.random.default_rng(0).normal(size=(4, 4)) * 100, 2000).any()


@given(st.floats(-3, 3), st.floats(0.9, 1.1), st.floats(-40, 40), st.floats(-40, 40))
def test_a_pose_is_read_from_its_matrix(degrees: float, scale: float, dx: float, dy: float) -> None:
    turn = np.deg2rad(degrees)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = np.array([99.5, 59.5])
    matrix = np.column_stack([linear, centre - linear @ centre + [dx, dy]])
    np.testing.assert_allclose(pose_of(matrix, (200, 120)), (dx, dy, 100 * (scale - 1), degrees), atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6) | st.just(float("nan"))), max_size=12), st.booleans()
)
def test_any_series_gives_a_plot_inside_its_frame(points: list[tuple[float, float]], down: bool) -> None:
    x, y = (np.array([p[k] for p in points], float) for k in (0, 1))
    svg = Plot("t & <t>", "x", "y", (Series("a", x, y), Series("b", x, y, points=True)), y_down=down).svg()
    root = ET.fromstring(svg)
    for circle in root.iter("{http://www.w3.org/2000/svg}circle"):
        assert -1 <= float(circle.attrib["cx"]) <= 721
        assert -1 <= float(circle.attrib["cy"]) <= 301
