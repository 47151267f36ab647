"""Outside programs for the interop tests. One that is missing is a failure where ``FOCUSRAIL_INTEROP`` is "all" (as in
continuous integration, after ``.ci/setup interop``), else the test is skipped and says how to install it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_INSTALL = "install it with: .ci/setup interop"
_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]


def program(*names: str) -> str:
    """The first of these programs that is installed."""
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    return missing(f"{names[0]} is not installed; {_INSTALL}")


def missing(why: str) -> str:
    if os.environ.get("FOCUSRAIL_INTEROP") == "all":
        pytest.fail(why)
    pytest.skip(why)


@contextmanager
def opened_in_browser() -> Iterator[Any]:
    """A browser without a screen."""
    path = program("chromium", "chromium-browser", "google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing(f"playwright is not installed; {_INSTALL}")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=_QUIET, headless=True)
        yield started
        started.close()


def gimp(script: str, profile: Path, *, timeout_s: float = 110) -> None:
    """Run Scheme in GIMP, without a screen."""
    program_path = program("gimp-console", "gimp")
    profile.mkdir(exist_ok=True)
    environment = {**os.environ, "HOME": str(profile), "GIMP2_DIRECTORY": str(profile), "GIMP3_DIRECTORY": str(profile)}
    command = [program_path, "-i", "-d", "-f", "-s", "-n", "--batch-interpreter", "plug-in-script-fu-eval"]
    told = subprocess.run(
        [*command, "-b", script, "-b", "(gimp-quit 0)"],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=environment,
    )
    said = told.stdout + told.stderr
    assert "execution error" not in said, said
    assert told.returncode == 0, said


def gimp_major() -> int:
    told = subprocess.run([program("gimp-console", "gimp"), "--version"], capture_output=True, text=True, timeout=60)
    return int(told.stdout.split()[-1].split(".")[0])


# Names, visibility and masks of an image's layers to a file, one a line; then the visible picture as a PNG.
_LAYERS = """
(let* ((image (car ({load})))
       (out (open-output-file "{facts}"))
       (got (gimp-image-get-layers image))
       (layers (if (vector? (car got)) (car got) (cadr got)))
       (n 0))
  (write (car (gimp-image-get-precision image)) out) (newline out)
  (while (< n (vector-length layers))
    (let ((layer (vector-ref layers n)))
      (write (list (car (gimp-item-get-name layer)) (car (gimp-item-get-visible layer))
                   (> (car (gimp-layer-get-mask layer)) 0)) out)
      (newline out))
    (set! n (+ n 1)))
  (close-output-port out)
  {show}
  ({save}))
"""


def opened_in_gimp(path: Path, folder: Path, *, shown: str = "") -> tuple[int, list[str], Path]:
    """What GIMP finds in a layered file: its precision, a line for each layer from the uppermost, and what it shows.

    `shown` names a layer that is made visible before the picture is exported.
    """
    facts, picture = folder / "facts.txt", folder / "shown.png"
    old = gimp_major() < 3
    load = f'gimp-file-load RUN-NONINTERACTIVE "{path}"' + (f' "{path}"' if old else "")
    flat = "(car (gimp-image-flatten image))" if old else "(gimp-image-flatten image)"
    if old:
        save = f'gimp-file-save RUN-NONINTERACTIVE image {flat} "{picture}" "{picture}"'
    else:
        save = f'begin {flat} (gimp-file-save RUN-NONINTERACTIVE image "{picture}")'
    show = f'(gimp-item-set-visible (car (gimp-image-get-layer-by-name image "{shown}")) TRUE)' if shown else ""
    gimp(_LAYERS.format(load=load, facts=facts, show=show, save=save), folder / "gimp")
    first, *layers = facts.read_text().splitlines()
    return int(first), layers, picture
