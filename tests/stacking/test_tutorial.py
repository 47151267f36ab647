"""The tutorial's command lines, run as they stand, and its options held to what the commands have."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import tifffile
import typer

from capture.app.main import build_app, run
from tests.stacking.layer_stack import leaning, write_frames

PAGES = Path(__file__).resolve().parents[2] / "docs"
BLOCKS = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def commands(page: str) -> list[list[str]]:
    text = "".join(BLOCKS.findall((PAGES / page).read_text(encoding="utf-8")))
    lines = [shlex.split(line, comments=True) for line in text.splitlines()]
    return [words[1:] for words in lines if words and words[0] == "focusrail"]


@pytest.mark.filterwarnings("default")
def test_every_command_of_the_tutorial_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_frames(tmp_path / "beetle", leaning())
    write_frames(tmp_path / "wasp", leaning(6))
    for words in commands("tutorial.md"):
        assert run(words) == 0, words
    for name in ("beetle.tif", "beetle.html", "beetle.jpg", "mine.toml", "wasp.jpg", "beetle.psd", "opaque.tif"):
        assert (tmp_path / name).stat().st_size > 0
    assert tifffile.imread(tmp_path / "beetle.tif").dtype == "uint16"
    assert sorted(p.name for p in (tmp_path / "slabbed.slabs").iterdir()) == ["slab-01.tif", "slab-02.tif"]


@pytest.mark.parametrize("page", ["tutorial.md", "finish.md", "areas.md", "depth.md", "report.md"])
def test_the_pages_name_options_that_exist(page: str) -> None:
    group = typer.main.get_command(build_app())
    options = (group.commands[name].params for name in ("stack", "finish", "depth", "recipes"))
    known = {text for parameters in options for parameter in parameters for text in parameter.opts}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", (PAGES / page).read_text(encoding="utf-8")))
    assert named <= known | {"--json", "--force"}
    assert named
