"""The report opened by a browser."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from stacking.engine import stack_pictures
from stacking.options import StackOptions

pytestmark = pytest.mark.interop


def test_a_browser_shows_the_page_and_its_script_runs(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no browser is installed (apt-get install chromium)")
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(1)
    sharp = cv2.GaussianBlur(rng.random((120, 160, 3)), (0, 0), 1.0)
    for k in range(3):
        image = np.clip((sharp - 0.5) * 700 / (1 + 0.2 * k) + 128, 0, 255).astype(np.uint8)
        cv2.imwrite(str(tmp_path / "in" / f"{k}.png"), image)
    stack_pictures([tmp_path / "in"], tmp_path / "o.tif", StackOptions(report=tmp_path / "r.html"))
    page = (tmp_path / "r.html").read_text()
    # a double click resets the zoom, which the page's script writes into the picture's style
    click = "<script>document.querySelector('.view').dispatchEvent(new Event('dblclick'))</script></body>"
    (tmp_path / "clicked.html").write_text(page.replace("</body>", click))
    plain = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    shown = subprocess.run(
        [*plain, "--dump-dom", (tmp_path / "clicked.html").as_uri()], capture_output=True, text=True, timeout=90
    )
    assert "translate(0px" in shown.stdout
    subprocess.run(
        [*plain, "--window-size=900,1200", f"--screenshot={tmp_path / 's.png'}", (tmp_path / "r.html").as_uri()],
        capture_output=True,
        timeout=90,
        check=True,
    )
    seen = cv2.imread(str(tmp_path / "s.png"))
    assert seen.shape[0] >= 1000
    assert seen[200:600, 100:800].std() > 15  # the picture is there
