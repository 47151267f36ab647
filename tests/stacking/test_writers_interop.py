"""Results judged by exiftool, which knows the standards better than any reader."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from stacking.finish import Recipe, finish_picture
from stacking.writers import write_picture
from tests.stacking.outside import program
from tests.stacking.pictures import add_exif, as_bits, mosaic_of, scene, write_dng, write_jpeg

pytestmark = pytest.mark.interop


def exiftool(path: Path) -> dict[str, object]:
    told = subprocess.run(
        [program("exiftool"), "-json", "-a", "-validate", "-warning", "-error", "-all", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    values: dict[str, object] = json.loads(told.stdout)[0]
    return values


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
@pytest.mark.parametrize("reference", ["jpeg", "dng", "none"])
def test_exiftool_finds_nothing_wrong(tmp_path: Path, suffix: str, reference: str) -> None:
    source: Path | None = None
    if reference == "jpeg":
        source = write_jpeg(tmp_path / "s.jpg", as_bits(scene(48, 72), 8))
    elif reference == "dng":
        source = write_dng(tmp_path / "s.dng", mosaic_of(scene(48, 72)))
    if source is not None:
        add_exif(
            source,
            Image_Make="Maker",
            Photo_FNumber="28/10",
            Photo_DateTimeOriginal="2024:05:01 12:00:00",
            Photo_MakerNote="1 2 3 4 5 6 7 8",
            GPSInfo_GPSLatitudeRef="N",
            GPSInfo_GPSLatitude="52/1 31/1 0/1",
            GPSInfo_GPSVersionID="2 3 0 0",
            GPSInfo_GPSProcessingMethod="charset=Ascii GPS",
        )
    path = tmp_path / f"r{suffix}"
    write_picture(path, as_bits(scene(40, 60), 16), exif_from=source)
    told = exiftool(path)
    assert told["Validate"] == "OK", (told.get("Warning"), told.get("Error"))
    assert (told["ImageWidth"], told["ImageHeight"]) == (60, 40)
    assert told["ProfileDescription"] == "sRGB IEC61966-2.1"
    assert str(told["Software"]).startswith("focusrail")
    if source is not None:
        assert told["FNumber"] == 2.8


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        ("srgb", "sRGB IEC61966-2.1"),
        ("display-p3", "Display P3"),
        ("adobe-rgb", "Compatible with Adobe RGB (1998)"),
        ("prophoto", "ProPhoto RGB"),
    ],
)
@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
def test_exiftool_reads_the_profile_asked_for(tmp_path: Path, profile: str, name: str, suffix: str) -> None:
    write_picture(tmp_path / "a.tif", as_bits(scene(40, 60), 16))
    path = tmp_path / f"b{suffix}"
    finish_picture(tmp_path / "a.tif", path, Recipe.model_validate({"output": {"profile": profile}}))
    told = exiftool(path)
    assert told["Validate"] == "OK", (told.get("Warning"), told.get("Error"))
    assert told["ProfileDescription"] == name
    assert str(told["ProfileConnectionSpace"]).strip() == "XYZ"
    assert told.get("ColorSpace", "sRGB") == ("sRGB" if profile == "srgb" else "Uncalibrated")
