from __future__ import annotations

from pathlib import Path

import cv2
import exiv2
import numpy as np
import pytest

from stacking.colour import adobe_rgb_profile, profile_name
from stacking.metadata import UPRIGHT, read_header, result_metadata, software
from stacking.writers import write_picture
from tests.stacking.pictures import add_exif, as_bits, mosaic_of, scene, write_dng, write_jpeg

EIGHT = as_bits(scene(48, 72), 8)
SUFFIXES = [".tif", ".png", ".jpg"]


def read(path: Path) -> dict[str, str]:
    image = exiv2.ImageFactory.open(str(path))
    image.readMetadata()
    found = {str(datum.key()): str(datum.toString()) for datum in image.exifData()}
    return found | {str(datum.key()): str(datum.toString()) for datum in image.xmpData()}


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    path = write_jpeg(tmp_path / "reference.jpg", EIGHT)
    add_exif(
        path,
        Image_Make="Maker",
        Image_Model="Body 7",
        Image_Software="Firmware 1.2",
        Image_Orientation="6",
        Image_Artist="Änne Photographer",
        Image_DateTime="2024:05:01 12:00:01",
        Photo_ExposureTime="1/60",
        Photo_FNumber="56/10",
        Photo_ISOSpeedRatings="100",
        Photo_DateTimeOriginal="2024:05:01 12:00:00",
        Photo_SubSecTimeOriginal="25",
        Photo_LensModel="Macro 60",
        Photo_PixelXDimension="9999",
        Photo_PixelYDimension="8888",
        Photo_MakerNote="1 2 3 4 5 6 7 8 9 10",
        Photo_CFAPattern="0 2 0 2 1 2 0 1",
        Photo_ColorSpace="65535",
        Photo_ExposureBiasValue="-1/3",
        Photo_LensSpecification="60/1 60/1 28/10 28/10",
        GPSInfo_GPSLatitudeRef="N",
        GPSInfo_GPSLatitude="52/1 31/1 1234/100",
        Image_ImageDescription="    ",
    )
    image = exiv2.ImageFactory.open(str(path))
    image.readMetadata()
    xmp = image.xmpData()
    for key, value in {
        "Xmp.dc.creator": "Änne",
        "Xmp.dc.format": "image/x-raw",
        "Xmp.xmp.Rating": "4",
        "Xmp.xmp.ModifyDate": "2024-05-01",
        "Xmp.crs.Exposure2012": "+1.0",
        "Xmp.tiff.Orientation": "6",
        "Xmp.photoshop.City": "Berlin",
    }.items():
        xmp[key] = value
    thumbnail = cv2.imencode(".jpg", EIGHT[:12, :16])[1].tobytes()
    exiv2.ExifThumb(image.exifData()).setJpegThumbnail(thumbnail)
    image.writeMetadata()
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_result_says_what_its_reference_says(tmp_path: Path, reference: Path, suffix: str) -> None:
    path = tmp_path / f"result{suffix}"
    write_picture(path, EIGHT[:40, :60], exif_from=reference)
    found = read(path)
    for key, value in {
        "Exif.Image.Make": "Maker",
        "Exif.Image.Model": "Body 7",
        "Exif.Image.Artist": "Änne Photographer",
        "Exif.Image.DateTime": "2024:05:01 12:00:01",
        "Exif.Photo.ExposureTime": "1/60",
        "Exif.Photo.FNumber": "56/10",
        "Exif.Photo.ISOSpeedRatings": "100",
        "Exif.Photo.DateTimeOriginal": "2024:05:01 12:00:00",
        "Exif.Photo.SubSecTimeOriginal": "25",
        "Exif.Photo.LensModel": "Macro 60",
        "Exif.Photo.ExposureBiasValue": "-1/3",
        "Exif.Photo.LensSpecification": "60/1 60/1 28/10 28/10",
        "Exif.GPSInfo.GPSLatitudeRef": "N",
        "Exif.GPSInfo.GPSLatitude": "52/1 31/1 1234/100",
        "Xmp.dc.creator": "Änne",
        "Xmp.xmp.Rating": "4",
        "Xmp.photoshop.City": "Berlin",
    }.items():
        assert found.get(key) == value, key


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_described_the_file_is_dropped_or_made_right(tmp_path: Path, reference: Path, suffix: str) -> None:
    path = tmp_path / f"result{suffix}"
    write_picture(path, EIGHT[:40, :60], exif_from=reference)
    found = read(path)
    assert found["Exif.Image.Orientation"] == str(UPRIGHT)
    assert found["Exif.Image.Software"] == software()
    assert software().startswith("focusrail ")
    assert found["Exif.Photo.ColorSpace"] == "1"
    if suffix != ".tif":
        assert (found["Exif.Photo.PixelXDimension"], found["Exif.Photo.PixelYDimension"]) == ("60", "40")
    for gone in ("Exif.Photo.MakerNote", "Exif.Photo.CFAPattern", "Exif.Image.ImageDescription", "Xmp.dc.format"):
        assert gone not in found
    assert not [key for key in found if key.startswith(("Exif.Thumbnail", "Xmp.crs", "Xmp.tiff", "Xmp.xmp.Modify"))]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_dngs_raw_tags_do_not_reach_the_result(tmp_path: Path, suffix: str) -> None:
    dng = add_exif(write_dng(tmp_path / "a.dng", mosaic_of(scene(48, 72)), orientation=8), Photo_FNumber="28/10")
    path = tmp_path / f"result{suffix}"
    write_picture(path, EIGHT, exif_from=dng)
    found = read(path)
    assert (found["Exif.Image.Model"], found["Exif.Photo.FNumber"]) == ("Body", "28/10")
    assert found["Exif.Image.Orientation"] == "1"
    assert not [key for key in found if "DNG" in key or "ColorMatrix" in key or "SubIFD" in key or "CFA" in key]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("what", ["none", "no metadata", "broken", "missing"])
def test_without_metadata_a_result_still_says_who_made_it(tmp_path: Path, suffix: str, what: str) -> None:
    source = tmp_path / "s.jpg"
    if what == "no metadata":
        write_jpeg(source, EIGHT)
    elif what == "broken":
        source.write_bytes(b"\xff\xd8\xff\xe1\x00\x20Exif\0\0II*\0 broken")
    write_picture(tmp_path / f"r{suffix}", EIGHT, exif_from=None if what == "none" else source)
    found = read(tmp_path / f"r{suffix}")
    assert (found["Exif.Image.Software"], found["Exif.Image.Orientation"]) == (software(), "1")


def test_a_profile_that_is_not_srgb_is_said_to_be_none_of_exifs(tmp_path: Path) -> None:
    metadata = result_metadata(None, 10, 10, srgb=False)
    colour_space = next(entry for entry in metadata.exif if entry.tag == 0xA001)
    assert colour_space.content == b"\xff\xff"


def test_text_that_never_ends_is_ended_once(tmp_path: Path) -> None:
    source = write_jpeg(tmp_path / "s.jpg", EIGHT)
    add_exif(source, Image_Copyright="A\0B\0\0\0\0")
    metadata = result_metadata(source, 10, 10, srgb=True)
    text = next(entry for entry in metadata.main if entry.tag == 0x8298)
    assert text.content.count(b"\0") == 1
    assert text.count == len(text.content)


@pytest.mark.parametrize(("written", "read_back"), [("6", 6), ("1", 1), ("0", 1), ("9", 1), ("77", 1)])
def test_an_orientation_that_is_none_counts_as_upright(tmp_path: Path, written: str, read_back: int) -> None:
    path = add_exif(write_jpeg(tmp_path / "a.jpg", EIGHT), Image_Orientation=written)
    assert read_header(path).orientation == read_back


def test_reading_headers_is_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(2)
    whole = bytearray(
        add_exif(write_jpeg(tmp_path / "a.jpg", EIGHT), Image_Make="Maker", Photo_FNumber="1/2").read_bytes()
    )
    for place in rng.integers(12, 200, 40):
        whole[place] = int(rng.integers(0, 256))
    (tmp_path / "a.jpg").write_bytes(bytes(whole))
    read_header(tmp_path / "a.jpg")
    result_metadata(tmp_path / "a.jpg", 10, 10, srgb=True)
    assert capfd.readouterr() == ("", "")


def test_a_cameras_adobe_rgb_is_understood_without_a_profile(tmp_path: Path) -> None:
    path = add_exif(write_jpeg(tmp_path / "a.jpg", EIGHT), Image_Make="Maker", Iop_InteroperabilityIndex="R03")
    assert "Adobe RGB" in profile_name(read_header(path).icc)
    assert read_header(write_jpeg(tmp_path / "b.jpg", EIGHT)).icc is None
    write_picture(tmp_path / "r.tif", EIGHT, icc=read_header(path).icc, exif_from=path)
    assert read(tmp_path / "r.tif")["Exif.Photo.ColorSpace"] == "65535"
    assert read_header(tmp_path / "r.tif").icc == adobe_rgb_profile()
