"""The camera's files, read back by independent programs: LibRaw, tifffile, OpenCV, exiv2."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import exiv2
import numpy as np
import pytest
import rawpy
import tifffile
from numpy.typing import NDArray

from capture.bench.exif import Directory, ShotTags, TagType, jpeg_with_exif, tiff
from capture.bench.imager import Exposure
from capture.bench.interfaces import ExposureSettings
from capture.bench.sensor import BLACK_LEVEL, WHITE_LEVEL, Sensor, as_shot_neutral, develop, develop_half
from capture.camera.picture_file import inspect_picture

SETTINGS = ExposureSettings(iso=400, shutter_s=1 / 125, f_number=5.6)
TAKEN = "2026:03:04 05:06:07.089"
TAGS = ShotTags(SETTINGS, TAKEN, 100.0, 4.3)
# linear sRGB: greys, primaries mixed, dark and light
PATCHES = np.array(
    [
        (1.0, 1.0, 1.0),
        (0.5, 0.5, 0.5),
        (0.05, 0.05, 0.05),
        (0.6, 0.1, 0.1),
        (0.1, 0.5, 0.12),
        (0.08, 0.1, 0.6),
        (0.7, 0.6, 0.1),
        (0.9, 0.3, 0.02),
    ],
    dtype=np.float32,
)


def patches() -> NDArray[np.float32]:
    return np.repeat(np.repeat(PATCHES[:, None, :], 32, axis=0), 64, axis=1)


def exposure(taken: str = TAKEN) -> Exposure:
    sensor = Sensor(pixel_um=4.0, base_f_number=2.8, noise=0.0)
    base = ExposureSettings(iso=100, shutter_s=1 / 60, f_number=2.8)
    mosaic = sensor.mosaic(patches(), base, np.random.default_rng(0))
    return Exposure(lambda: mosaic, ShotTags(SETTINGS, taken, 100.0, 4.3))


def noisy() -> Exposure:
    values = np.random.default_rng(5).integers(BLACK_LEVEL, WHITE_LEVEL, (96, 130)).astype(np.uint16)
    return Exposure(lambda: values, TAGS)


def test_libraw_decodes_the_mosaic_bit_for_bit() -> None:
    shot = noisy()
    with rawpy.imread(io.BytesIO(shot.dng())) as raw:
        assert np.array_equal(raw.raw_image, shot.mosaic())
        assert raw.color_desc == b"RGBG"
        assert raw.raw_pattern.tolist() == [[0, 1], [3, 2]]
        assert raw.black_level_per_channel == [BLACK_LEVEL] * 4
        assert raw.white_level == WHITE_LEVEL


def test_libraw_brings_back_the_colours_of_the_scene() -> None:
    with rawpy.imread(io.BytesIO(exposure().dng())) as raw:
        multipliers = np.array(raw.camera_whitebalance[:3])
        rgb = raw.postprocess(
            output_bps=16,
            gamma=(1, 1),
            no_auto_bright=True,
            use_camera_wb=True,
            user_flip=0,
            adjust_maximum_thr=0.0,
        )
    assert multipliers == pytest.approx(1.0 / as_shot_neutral(), rel=1e-5)
    assert multipliers[0] > 1.5, "white balance with nothing to do tests nothing"
    for index, patch in enumerate(PATCHES):
        seen = rgb[index * 32 + 10 : index * 32 + 22, 16:48].mean(axis=(0, 1)) / 65535
        assert seen == pytest.approx(patch, rel=0.01, abs=0.0005)


@pytest.mark.parametrize("suffix", [".dng", ".jpg"])
def test_the_pixel_pitch_is_read_back_from_the_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"shot{suffix}"
    path.write_bytes(noisy().dng() if suffix == ".dng" else noisy().jpeg())
    assert inspect_picture(path).exposure["pixel_um"] == pytest.approx(4.3, rel=1e-4)


def test_tags_are_where_the_specification_puts_them() -> None:
    with tifffile.TiffFile(io.BytesIO(exposure().dng())) as file:
        first = file.pages[0]
        assert first.tags["NewSubfileType"].value == 1
        assert first.tags["Make"].value == "Focusrail"
        assert bytes(first.tags["DNGVersion"].value) == bytes((1, 4, 0, 0))
        exif = first.tags["ExifTag"].value
        assert exif["ExposureTime"] == (1, 125)
        assert exif["FNumber"] == (28, 5)
        assert exif["ISOSpeedRatings"] == 400
        assert exif["DateTimeOriginal"] == "2026:03:04 05:06:07"
        assert exif["SubsecTimeOriginal"] == "089"
        (mosaic,) = first.pages
        assert mosaic.tags["PhotometricInterpretation"].value == 32803
        assert mosaic.shape == (len(PATCHES) * 32, 64)


def test_the_preview_is_the_picture_made_smaller() -> None:
    with rawpy.imread(io.BytesIO(exposure().dng())) as raw:
        thumb = raw.extract_thumb()
    assert thumb.format == rawpy.ThumbFormat.JPEG
    preview = cv2.imdecode(np.frombuffer(thumb.data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert preview.shape == (len(PATCHES) * 16, 32, 3)
    assert np.abs(preview[8, 8].astype(int) - 255).max() <= 2
    assert preview[3 * 16 + 8, 8, 0] > 1.5 * preview[3 * 16 + 8, 8, 1]


def test_the_same_shot_is_the_same_file_but_for_its_time() -> None:
    one, again = exposure().dng(), exposure().dng()
    later = exposure("2026:03:04 05:06:09.500").dng()
    assert one == again
    assert len(one) == len(later)
    restored = later.replace(b"05:06:09", b"05:06:07").replace(b"500\0", b"089\0")
    assert one == restored


def test_the_camera_s_jpeg_carries_exposure_and_colours() -> None:
    data = exposure().jpeg()
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture.shape == (len(PATCHES) * 32, 64, 3)
    expected = 255 * np.where(PATCHES <= 0.0031308, 12.92 * PATCHES, 1.055 * PATCHES ** (1 / 2.4) - 0.055)
    for index, colour in enumerate(expected):
        seen = picture[index * 32 + 12 : index * 32 + 20, 24:40].mean(axis=(0, 1))
        assert seen == pytest.approx(colour, abs=3.0)
    image = exiv2.ImageFactory.open(data)
    image.readMetadata()
    tags = {datum.key(): datum.toString() for datum in image.exifData()}
    assert tags["Exif.Photo.ExposureTime"] == "1/125"
    assert tags["Exif.Photo.ISOSpeedRatings"] == "400"
    assert tags["Exif.Photo.DateTimeOriginal"] == "2026:03:04 05:06:07"
    assert tags["Exif.Photo.SubSecTimeOriginal"] == "089"
    assert tags["Exif.Image.Model"] == "Bench"


def test_developing_whole_and_half_agree() -> None:
    mosaic = exposure().mosaic()
    whole, half = develop(mosaic), develop_half(mosaic)
    assert np.abs(whole[16::32, 32].astype(int) - half[8::16, 16].astype(int)).max() <= 1


def test_only_a_jpeg_takes_a_segment() -> None:
    with pytest.raises(ValueError, match="JPEG"):
        jpeg_with_exif(b"II*\0", TAGS, (1, 1))


def test_a_tree_of_directories_keeps_every_value() -> None:
    root = Directory(strip=b"abc")
    root.put(256, TagType.LONG, 70_000)
    root.put_text(305, "odd")
    child = Directory(strip=b"defgh")
    child.put(258, TagType.SHORT, 8, 8, 8)
    child.put_fraction(282, 1 / 3)
    root.children[330] = child
    data = tiff(root)
    assert data[:4] == b"II*\0"
    assert re.search(b"abc\0defgh\0$", data), "strips lie at the end, each on an even offset"
    assert data.count(b"odd\0") == 1


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_finds_nothing_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.dng").write_bytes(exposure().dng())
    (tmp_path / "a.jpg").write_bytes(exposure().jpeg())
    run = subprocess.run(
        ["exiftool", "-validate", "-warning", "-error", "-a", str(tmp_path / "a.dng"), str(tmp_path / "a.jpg")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stdout.count(": OK") == 2
    assert "Warning" not in run.stdout
