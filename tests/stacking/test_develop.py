from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stacking.colour import srgb_profile
from stacking.develop import Development, as_source, read_picture
from stacking.errors import FrameError, SourceError
from stacking.frames import Source
from stacking.selection import alike, probe
from tests.stacking.pictures import add_exif, as_bits, mosaic_of, scene, write_dng, write_jpeg

ROWS, COLUMNS = 60, 84
SCENE = scene(ROWS, COLUMNS)
EIGHT, SIXTEEN = as_bits(SCENE, 8), as_bits(SCENE, 16)


def write(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16]) -> Path:
    if path.suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(image))
    else:
        tifffile.imwrite(path, image)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("image", [EIGHT, SIXTEEN], ids=["8 bit", "16 bit"])
@pytest.mark.parametrize("kind", ["rgb", "gray", "rgba", "gray with alpha"])
def test_png_and_tiff_are_read_to_the_bit(
    tmp_path: Path, suffix: str, image: NDArray[np.uint8] | NDArray[np.uint16], kind: str
) -> None:
    opaque = np.full((ROWS, COLUMNS, 1), 77, image.dtype)
    stored, expected = {
        "rgb": (image, image),
        "gray": (image[..., 1], np.repeat(image[..., 1:2], 3, 2)),
        "rgba": (np.concatenate([image, opaque], 2), image),
        "gray with alpha": (np.concatenate([image[..., :1], opaque], 2), np.repeat(image[..., :1], 3, 2)),
    }[kind]
    path = tmp_path / f"a{suffix}"
    if suffix == ".tif":
        extra = {"rgba": ("unassalpha",), "gray with alpha": ("unassalpha",)}.get(kind)
        photometric = "rgb" if kind.startswith("rgb") else "minisblack"
        tifffile.imwrite(path, stored, photometric=photometric, extrasamples=extra, planarconfig="contig")
    else:
        write(path, np.ascontiguousarray(stored))
    found = read_picture(path)
    assert found.flags.c_contiguous
    assert found.dtype == image.dtype
    np.testing.assert_array_equal(found, expected)
    note = probe(Source(path)).note
    assert ("transparency" in note) == ("a" in kind.split()[-1] and kind != "gray")


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zlib", "predictor": True},
        {"compression": "lzw", "tile": (32, 32)},
        {"planarconfig": "separate"},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"rowsperstrip": 7},
    ],
    ids=str,
)
def test_tiffs_of_every_build_are_read(tmp_path: Path, options: dict[str, object]) -> None:
    image = np.moveaxis(SIXTEEN, -1, 0) if options.get("planarconfig") == "separate" else SIXTEEN
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", **options)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif"), SIXTEEN)


def test_palettes_and_inverted_gray_are_unfolded(tmp_path: Path) -> None:
    index = (EIGHT[..., 0] // 32).astype(np.uint8)
    table = (np.arange(3 * 256, dtype=np.uint16) * 85).reshape(3, 256)
    tifffile.imwrite(tmp_path / "p.tif", index, photometric="palette", colormap=table)
    np.testing.assert_array_equal(read_picture(tmp_path / "p.tif"), np.moveaxis(table, 0, -1)[index])
    tifffile.imwrite(tmp_path / "w.tif", index, photometric="miniswhite")
    np.testing.assert_array_equal(read_picture(tmp_path / "w.tif")[..., 0], 255 - index)


@pytest.mark.parametrize(
    "options", [[], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 3]], ids=str
)
def test_jpeg_is_read_as_another_decoder_reads_it(tmp_path: Path, options: list[int]) -> None:
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), EIGHT, options)
    other = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    found = read_picture(path)
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - other).max() <= 2


@pytest.mark.parametrize(
    ("suffix", "orientation"),
    [(suffix, turn) for suffix in (".jpg", ".tif", ".png") for turn in range(1, 9)]
    + [(".dng", t) for t in (1, 3, 6, 8)],
)
def test_orientation_is_applied_once(tmp_path: Path, suffix: str, orientation: int) -> None:
    turned = {1: (0, ""), 2: (0, "lr"), 3: (2, ""), 4: (0, "ud"), 5: (3, "lr"), 6: (3, ""), 7: (1, "lr"), 8: (1, "")}
    quarter_turns, flip = turned[orientation]

    def upright(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        image = np.rot90(image, quarter_turns)
        return {"": image, "lr": np.fliplr(image), "ud": np.flipud(image)}[flip]

    path = tmp_path / f"a{suffix}"
    if suffix == ".dng":
        write_dng(path, mosaic_of(SCENE), orientation=orientation)
        plain = write_dng(tmp_path / "plain.dng", mosaic_of(SCENE))
    else:
        plain = tmp_path / f"plain{suffix}"
        for where in (path, plain):
            write_jpeg(where, EIGHT) if suffix == ".jpg" else write(where, EIGHT)
        add_exif(path, Image_Orientation=str(orientation))
    source, reference = as_source(path), as_source(plain)
    development = Development([source])
    expected = upright(Development([reference]).frame(reference).image)
    np.testing.assert_array_equal(development.frame(source).image, expected)
    assert development.size == expected.shape[:2]
    half = upright(Development([reference]).gray_half(reference))
    np.testing.assert_array_equal(development.gray_half(source), half)


@pytest.mark.parametrize("size", [(60, 84), (61, 84), (60, 85), (61, 85)])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_gray_half_is_the_mean_of_two_by_two_luma(tmp_path: Path, size: tuple[int, int], suffix: str) -> None:
    image = as_bits(scene(*size), 16 if suffix == ".tif" else 8)
    path = tmp_path / f"a{suffix}"
    write_jpeg(path, image) if suffix == ".jpg" else write(path, image)
    half = Development([Source(path)]).gray_half(Source(path))
    rows, columns = size[0] // 2, size[1] // 2
    assert (half.shape, half.dtype) == ((rows, columns), np.uint8)
    full = read_picture(path).astype(float) / (257 if suffix == ".tif" else 1)
    luma = (full @ [0.299, 0.587, 0.114])[: 2 * rows, : 2 * columns]
    difference = np.abs(half - luma.reshape(rows, 2, columns, 2).mean((1, 3)))
    assert difference.mean() < 0.6
    assert difference.max() < 5  # a JPEG's luma knows of colours that RGB cannot show


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_gray_is_the_upright_luma(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_jpeg(path, EIGHT) if suffix == ".jpg" else write(path, SIXTEEN if suffix == ".tif" else EIGHT)
    add_exif(path, Image_Orientation="6")
    development = Development([Source(path)])
    gray = development.gray(Source(path))
    assert (gray.shape, gray.dtype) == ((COLUMNS, ROWS), np.uint8)
    rgb = development.frame(Source(path)).image.astype(float) / (257 if suffix == ".tif" else 1)
    shown = ((rgb > 0) & (rgb < 255)).all(2)  # a JPEG's luma knows of colours that RGB cannot show
    assert shown.mean() > 0.5
    assert np.abs(gray - rgb @ [0.299, 0.587, 0.114])[shown].max() < 1.5


def damaged(tmp_path: Path, what: str) -> Path:
    jpeg = write_jpeg(tmp_path / "whole.jpg", EIGHT, subsampling="420").read_bytes()
    png = imagecodecs.png_encode(EIGHT)
    tifffile.imwrite(tmp_path / "whole.tif", EIGHT, photometric="rgb")
    tiff = (tmp_path / "whole.tif").read_bytes()
    dng = write_dng(tmp_path / "whole.dng", mosaic_of(SCENE)).read_bytes()
    wrong_byte = bytearray(png)
    wrong_byte[len(png) // 2] ^= 0x10
    marker = bytearray(jpeg)
    marker[len(jpeg) * 3 // 4 : len(jpeg) * 3 // 4 + 2] = b"\xff\xd3"
    files: dict[str, tuple[str, bytes]] = {
        "empty": ("a.jpg", b""),
        "text": ("a.jpg", b"this is no picture"),
        "jpeg cut short": ("a.jpg", jpeg[: len(jpeg) * 2 // 3]),
        "jpeg without its end": ("a.jpg", jpeg[:-2]),
        "jpeg cut short behind a thumbnail": (
            "a.jpg",
            jpeg[:2] + b"\xff\xe1\x00\x0aExif\xff\xd8\xff\xd9" + jpeg[2 : len(jpeg) * 2 // 3],
        ),
        "jpeg header only": ("a.jpg", jpeg[:40]),
        "jpeg with a stray marker": ("a.jpg", bytes(marker)),
        "png cut short": ("a.png", png[: len(png) // 2]),
        "png with a wrong byte": ("a.png", bytes(wrong_byte)),
        "png header only": ("a.png", png[:20]),
        "tiff cut short": ("a.tif", tiff[: len(tiff) // 2]),
        "tiff header only": ("a.tif", tiff[:8]),
        "dng cut short": ("a.dng", dng[: len(dng) * 2 // 3]),
        "raw that is none": ("a.nef", b"x" * 5000),
        "a folder": ("a.jpg", b""),
    }
    name, content = files[what]
    path = tmp_path / name
    if what == "a folder":
        path.mkdir()
    else:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "what",
    [
        "empty",
        "text",
        "jpeg cut short",
        "jpeg without its end",
        "jpeg cut short behind a thumbnail",
        "jpeg header only",
        "jpeg with a stray marker",
        "png cut short",
        "png with a wrong byte",
        "png header only",
        "tiff cut short",
        "tiff header only",
        "dng cut short",
        "raw that is none",
        "a folder",
    ],
)
def test_damage_is_refused_and_never_painted_over(tmp_path: Path, what: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = damaged(tmp_path, what)
    with pytest.raises(FrameError) as caught:
        read_picture(path)
    assert path.name in caught.value.message
    assert caught.value.remedy
    assert capfd.readouterr() == ("", "")


def test_bytes_behind_a_jpegs_end_do_no_harm(tmp_path: Path) -> None:
    path = write_jpeg(tmp_path / "a.jpg", EIGHT)
    whole = read_picture(path)
    path.write_bytes(path.read_bytes() + bytes(100_000) + b"\xff\xd3\xff\xee trailer")
    np.testing.assert_array_equal(read_picture(path), whole)


@pytest.mark.parametrize(
    ("name", "image", "options", "said"),
    [
        ("cmyk.jpg", np.zeros((20, 20, 4), np.uint8), {}, "CMYK"),
        ("cmyk.tif", np.zeros((20, 20, 4), np.uint8), {"photometric": "separated"}, "CMYK"),
        ("float.tif", np.zeros((20, 20, 3), np.float32), {"photometric": "rgb"}, "float32"),
        ("lab.tif", np.zeros((20, 20, 3), np.uint8), {"photometric": "cielab"}, "Lab"),
        ("volume.tif", np.zeros((5, 20, 20), np.uint8), {"volumetric": True, "tile": (16, 16, 16)}, "axes"),
    ],
)
def test_pictures_that_are_not_rgb_are_refused_clearly(
    tmp_path: Path, name: str, image: NDArray[np.uint8], options: dict[str, object], said: str
) -> None:
    path = tmp_path / name
    if name.endswith(".jpg"):
        path.write_bytes(imagecodecs.jpeg8_encode(image, colorspace="CMYK", outcolorspace="CMYK"))
    else:
        tifffile.imwrite(path, image, **options)
    with pytest.raises(FrameError, match=said) as caught:
        read_picture(path)
    assert caught.value.remedy
    with pytest.raises(SourceError, match=said) as all_of_them:
        alike([Source(path)])
    assert all_of_them.value.remedy == caught.value.remedy


def test_a_header_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    path = write_jpeg(tmp_path / "a.jpg", EIGHT)
    stored = bytearray(path.read_bytes())
    place = stored.index(b"\xff\xc0") + 5
    stored[place : place + 4] = struct.pack(">HH", 65000, 65000)
    path.write_bytes(bytes(stored))
    with pytest.raises(FrameError, match="65000x65000"):
        probe(Source(path))


def test_a_stack_is_of_one_size_and_depth(tmp_path: Path) -> None:
    good = [write(tmp_path / f"g{index}.png", EIGHT) for index in range(3)]
    turned = add_exif(write_jpeg(tmp_path / "turned.jpg", np.ascontiguousarray(np.rot90(EIGHT))), Image_Orientation="6")
    other_size = write(tmp_path / "small.png", EIGHT[:, :40])
    other_depth = write(tmp_path / "deep.png", SIXTEEN)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 broken")
    with_alpha = write(tmp_path / "alpha.png", np.dstack([EIGHT, EIGHT[..., 0]]))
    paths = [other_size, other_depth, *good, turned, broken, with_alpha]
    selection = alike(Source(path) for path in paths)
    assert [source.path for source in selection.sources] == [*good, turned, with_alpha]
    reasons = {entry.path.name: entry.reason for entry in selection.left_out}
    assert set(reasons) == {"small.png", "deep.png", "broken.jpg"}
    assert "40x60" in reasons["small.png"]
    assert "84x60" in reasons["small.png"]
    assert "16 bits" in reasons["deep.png"]
    assert {note.path.name for note in selection.notes} == {"alpha.png"}
    development = Development(selection.sources)
    with pytest.raises(FrameError, match="40x60"):
        development.frame(Source(other_size))


@pytest.mark.parametrize(("deep", "flat", "dtype"), [(1, 2, np.uint8), (2, 1, np.uint16)])
def test_files_named_one_by_one_may_differ_in_depth(tmp_path: Path, deep: int, flat: int, dtype: type) -> None:
    paths = [write(tmp_path / f"d{k}.png", SIXTEEN) for k in range(deep)]
    paths += [write(tmp_path / f"f{k}.png", EIGHT) for k in range(flat)]
    selection = alike([Source(path) for path in paths], mixed_depths=True)
    assert [source.path for source in selection.sources] == paths
    assert selection.left_out == ()
    assert len(selection.notes) == 1
    assert selection.like is not None
    development = Development([selection.like])
    assert development.dtype == dtype
    top = np.iinfo(dtype).max
    for path in paths:
        found = development.frame(Source(path)).image
        assert found.dtype == dtype
        own = SIXTEEN / 65535 if path.name.startswith("d") else EIGHT / 255
        np.testing.assert_allclose(found / top, own, atol=0.51 / 255)


@pytest.mark.parametrize(("deep", "flat", "taken"), [(1, 2, 2), (2, 9, 9), (2, 8, 10), (4, 4, 8), (6, 3, 9)])
def test_a_folder_of_both_depths_is_one_stack_but_a_few_of_another_depth_are_results(
    tmp_path: Path, deep: int, flat: int, taken: int
) -> None:
    paths = [write(tmp_path / f"d{k}.png", SIXTEEN) for k in range(deep)]
    paths += [write(tmp_path / f"f{k}.png", EIGHT) for k in range(flat)]
    selection = alike([Source(path) for path in paths])
    assert len(selection.sources) == taken
    assert len(selection.left_out) == deep + flat - taken
    assert len(selection.notes) == (min(deep, flat) if taken == deep + flat else 0)


def test_gray_among_colour_is_noted(tmp_path: Path) -> None:
    colour = [write(tmp_path / f"c{index}.png", EIGHT) for index in range(2)]
    plane = np.ascontiguousarray(EIGHT[..., 0])
    gray = [write(tmp_path / name, plane) for name in ("g.png", "g.tif")]
    noted = alike(Source(path) for path in [*colour, *gray]).notes
    assert [note.path for note in noted] == gray
    assert all("gray" in note.text for note in noted)
    assert not alike(Source(path) for path in gray).notes
    assert alike(Source(path) for path in [*gray, *colour]).like == Source(colour[0])
    assert not alike(Source(path) for path in colour).notes


def test_a_stack_without_a_readable_picture_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 broken")
    with pytest.raises(SourceError):
        alike([Source(broken)])
    with pytest.raises(SourceError):
        Development([Source(broken), Source(broken)])
    with pytest.raises(SourceError):
        Development([])


def test_the_first_readable_frame_fixes_the_development(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    good = Source(write(tmp_path / "good.png", SIXTEEN))
    development = Development([Source(broken), good])
    assert (development.reference, development.size, development.dtype) == (good, (ROWS, COLUMNS), np.uint16)


def test_profiles_are_carried_and_strangers_noted(tmp_path: Path) -> None:
    profile = srgb_profile()
    other = profile.replace(b"sRGB IEC61966-2.1", b"sRGB of elsewhere")
    paths = []
    for name, icc in (("a.tif", profile), ("b.tif", profile), ("c.tif", other), ("d.tif", None)):
        tifffile.imwrite(tmp_path / name, EIGHT, photometric="rgb", iccprofile=icc)
        paths.append(Source(tmp_path / name))
    selection = alike(paths)
    assert [note.path.name for note in selection.notes] == ["c.tif", "d.tif"]
    assert Development(selection.sources).icc == profile
    assert Development([Source(tmp_path / "d.tif")]).icc is None


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["a.jpg", "p.jpg", "a.png", "a.tif"]),
    start=st.floats(0, 1),
    noise=st.binary(min_size=1, max_size=40),
    cut=st.booleans(),
)
def test_any_bytes_give_a_picture_or_a_frame_error(
    tmp_path: Path, name: str, start: float, noise: bytes, cut: bool
) -> None:
    if name.endswith(".jpg"):
        progressive = [cv2.IMWRITE_JPEG_PROGRESSIVE, int(name == "p.jpg")]
        stored = cv2.imencode(".jpg", EIGHT, progressive)[1].tobytes()
    elif name.endswith(".png"):
        stored = imagecodecs.png_encode(EIGHT)
    else:
        tifffile.imwrite(tmp_path / "whole.tif", EIGHT, photometric="rgb")
        stored = (tmp_path / "whole.tif").read_bytes()
    place = int(start * (len(stored) - 1))
    path = tmp_path / name
    path.write_bytes(stored[:place] + noise + (b"" if cut else stored[place + len(noise) :]))
    source = Source(path)
    with suppress(FrameError):
        found = probe(source)
        if found.width * found.height < 10**6:
            development = Development([source])
            assert development.frame(source).image.shape == (*development.size, 3)
