"""What can be refused is refused before the first frame is decoded, with what to do instead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from stacking.areas_options import Area
from stacking.errors import MemoryBudgetError, OutputError, SourceError, StackingError, StackingUsageError
from stacking.finish.recipe import parse_recipe
from stacking.options import Align, Crop, Prefer, StackOptions
from stacking.relief.files import read_relief
from stacking.relief.options import ReliefOptions
from stacking.slab_options import SlabOptions
from stacking.stack import stack_pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(3)
    for k in range(3):
        cv2.imwrite(str(path / f"f{k}.png"), rng.integers(0, 255, (64, 96, 3), dtype=np.uint8))
    return path


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"memory_bytes": 0}, StackingUsageError, "no memory"),
        ({"memory_bytes": 10 << 20}, MemoryBudgetError, "10 MiB are allowed"),
        ({"layer_frames": 3}, StackingUsageError, "no layered file"),
        ({"layer_frames": (7,), "layers": Path("x.psd")}, StackingUsageError, "3 frames"),
        ({"slabs": SlabOptions((4,), 4)}, StackingUsageError, "cannot overlap by 4"),
        ({"crop_rectangle": (0, 0, 5000, 50)}, StackingUsageError, "does not lie inside the frames of 96x64"),
        ({"crop_rectangle": (0, 0, 2, 50)}, StackingUsageError, "the crop 0,0,2,50 is too small"),
        (
            {"areas": (Area(name="leg", frames="9-12"),)},
            StackingUsageError,
            "area 'leg': none of its frames 9-12 is in the stack, which has 3",
        ),
        ({"areas": (Area(slab=1),)}, StackingUsageError, "no slab 1, the stack has 0"),
        (
            {"areas": (Area(slab=3),), "slabs": SlabOptions((2,), 1)},
            StackingUsageError,
            "no slab 3, the stack has 2",
        ),
        ({"slabs": SlabOptions((2,), folder=Path("nowhere/slabs"))}, OutputError, "nowhere does not exist"),
        ({"slabs": SlabOptions((2,), folder=Path("/dev/null"))}, OutputError, "is a file"),
        ({"slabs": SlabOptions((2,), folder=Path("o.tif"))}, StackingUsageError, "o.tif was named for two outputs"),
        ({"recipe": Path("/wide.toml")}, StackingUsageError, "the recipe /wide.toml cannot be read"),
        ({"depth": Path("d.foo")}, StackingUsageError, "suffix"),
        ({"layers": Path("x.xyz")}, StackingUsageError, "suffix"),
        ({"relief": ReliefOptions(mesh=Path("a.obj"))}, StackingUsageError, "suffix"),
    ],
)
def test_it_is_refused_before_a_frame_is_decoded(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, object],
    kind: type[StackingError],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    seen: list[str] = []
    options = replace(StackOptions(), **changes)  # type: ignore[arg-type]
    with pytest.raises(kind, match=said) as refused:
        stack_pictures([folder], tmp_path / "o.tif", options, lambda stage, done, total: seen.append(stage))
    assert seen == []
    assert refused.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_result_of_no_format_is_wrong_usage(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StackingUsageError, match=r"'\.xyz'"):
        stack_pictures([folder], tmp_path / "o.xyz")


def test_a_depth_in_png_is_told_from_a_broken_file(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "d.png"), np.zeros((4, 4), np.uint16))
    with pytest.raises(SourceError, match="does not say what its values mean") as refused:
        read_relief(tmp_path / "d.png")
    assert "--depth-16bit" in refused.value.remedy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[levels]\nblack = 2", "levels.black: 2 is outside of what it may be: at most 1"),
        ("[levels]\nfoo = 2", "levels.foo: there is no such step or value"),
        ('[exposure]\nstops = "much"', "exposure.stops: 'much' is not a number"),
        ('[sharpen]\namount = 1\nmethod = "x"', "sharpen.method: 'x' is none of"),
        ("[output]", "output.profile: a value is missing"),
        ("version = 2", "version: 2 is none of 1"),
        ("exposure = 3", "exposure: 3 is not a table of values"),
        ('[levels]\nauto = "perhaps"', "levels.auto: 'perhaps' is not true or false"),
    ],
)
def test_a_recipe_is_refused_in_words_of_our_own(text: str, said: str) -> None:
    with pytest.raises(StackingUsageError) as refused:
        parse_recipe(text)
    assert said in refused.value.message
    assert "Input should" not in refused.value.message


def refused_before_fusing(folder: Path, output: Path, options: StackOptions) -> StackingError:
    seen: list[str] = []
    with pytest.raises(StackingError) as refused:
        stack_pictures([folder], output, options, lambda stage, done, total: seen.append(stage))
    assert set(seen) <= {"registering"}
    assert list(output.parent.glob("*.slabs")) == []
    assert not output.exists()
    return refused.value


def test_a_crop_of_the_recipe_beyond_the_frames_is_refused_before_they_are_decoded(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "r.toml").write_text("version = 1\n[crop]\nx = 0\ny = 0\nwidth = 97\nheight = 20\n")
    seen: list[str] = []
    options = StackOptions(recipe=tmp_path / "r.toml", align=Align.NONE)
    with pytest.raises(StackingUsageError, match="96x64"):
        stack_pictures([folder], tmp_path / "o.tif", options, lambda stage, done, total: seen.append(stage))
    assert seen == []


def test_what_does_not_fit_the_result_is_refused_before_it_is_fused(folder: Path, tmp_path: Path) -> None:
    """Once the size of the result is known: the crop of a recipe, a mask, and an area's memory."""
    (tmp_path / "r.toml").write_text("version = 1\n[crop]\nx = 40\ny = 0\nwidth = 50\nheight = 20\n")
    square = StackOptions(align=Align.NONE, crop_aspect=1.0, slabs=SlabOptions((2,), 1))
    error = refused_before_fusing(folder, tmp_path / "o.tif", replace(square, recipe=tmp_path / "r.toml"))
    assert "64x64" in error.message
    cv2.imwrite(str(tmp_path / "mask.png"), np.full((20, 20), 255, np.uint8))
    masked = Area(mask=str(tmp_path / "mask.png"), prefer=Prefer.NEAR)
    error = refused_before_fusing(folder, tmp_path / "o.tif", replace(square, areas=(masked,)))
    assert "20x20" in error.message


def test_layers_that_no_psd_holds_are_refused_before_a_frame_is_decoded(tmp_path: Path) -> None:
    for k in range(3):
        cv2.imwrite(str(tmp_path / f"f{k}.png"), np.full((40, 30_016, 3), 90 + k, np.uint8))
    seen: list[str] = []
    options = StackOptions(align=Align.NONE, crop=Crop.NONE, layers=tmp_path / "o.psd")
    with pytest.raises(OutputError, match="do not fit into a PSD"):
        stack_pictures([tmp_path], tmp_path / "o.tif", options, lambda stage, done, total: seen.append(stage))
    assert seen == []
