"""The report opened by a browser: it needs nothing from outside, zooms, and prints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from stacking.options import StackOptions
from stacking.stack import stack_pictures
from tests.stacking.layer_stack import leaning, write_frames
from tests.stacking.outside import opened_in_browser

pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    recipe = folder / "warm.toml"
    recipe.write_text('version = 1\nname = "warm"\n\n[exposure]\nstops = 0.25\n')
    frames = write_frames(folder / "in", leaning())
    options = StackOptions(report=folder / "r.html", recipe=recipe, depth=folder / "d.tif")
    stack_pictures([frames], folder / "o.tif", options)
    return folder / "r.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened_in_browser() as started:
        yield started


def test_the_page_stands_alone_and_zooms(report: Path, browser: Any, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 900, "height": 1200})
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    page.goto(report.as_uri())
    assert not faults
    assert all(url == report.as_uri() or url.startswith("data:") for url in asked)
    picture = page.locator(".view img").first
    before = picture.bounding_box()
    page.mouse.move(450, 400)
    page.mouse.wheel(0, -600)
    page.wait_for_function(
        "b => document.querySelector('.view img').getBoundingClientRect().width > b * 1.2", arg=before["width"]
    )
    zoomed = picture.bounding_box()
    page.mouse.down()
    page.mouse.move(350, 380)
    page.mouse.up()
    moved = picture.bounding_box()
    assert moved["x"] == pytest.approx(zoomed["x"] - 100, abs=3)
    page.mouse.dblclick(450, 400)
    assert picture.bounding_box() == before
    text = page.text_content("body")
    for word in ("stops = 0.25", "f-0.png", "reference frame"):
        assert word in text
    page.screenshot(path=str(tmp_path / "s.png"), full_page=True)
    seen = cv2.imread(str(tmp_path / "s.png"))
    assert seen[200:600, 100:800].std() > 15  # the picture is there
    page.close()


def test_it_prints_on_a4(report: Path, browser: Any) -> None:
    page = browser.new_page()
    page.goto(report.as_uri())
    printed = page.pdf(format="A4", print_background=False)
    assert printed.startswith(b"%PDF")
    assert page.evaluate("[...document.querySelectorAll('details')].every(part => part.open)")  # paper does not unfold
    assert 1 <= printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") <= 12
    # as printed, nothing sticks out of the paper's width
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 720
    page.close()
