"""What a picture file tells: exposure, and whether the transfer was whole; on files made here, cut at every place."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.camera.picture_file import inspect_picture

TAKEN = "2026:03:04 05:06:07"


def tiff_entry(order: str, tag: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack(f"{order}HHI", tag, kind, count) + value.ljust(4, b"\0")


def tiff(
    order: str = "<", *, picture: bytes = b"", dng: bool = False, iso: int = 400, magic: bytes | None = None
) -> bytes:
    """A TIFF with an Exif directory; with `picture`, one strip that ends the file."""
    short = lambda number: struct.pack(f"{order}H", number)  # noqa: E731
    long = lambda number: struct.pack(f"{order}I", number)  # noqa: E731
    main_count = 2 + 2 * bool(picture) + dng
    exif_at = 8 + 2 + 12 * main_count + 4
    data_at = exif_at + 2 + 12 * 6 + 4
    values = [
        (TAKEN.encode() + b"\0"),
        struct.pack(f"{order}II", 1, 125),
        struct.pack(f"{order}II", 56, 10),
        long(120000),
    ]
    places, at = [], data_at
    for value in values:
        places.append(at)
        at += len(value) + len(value) % 2
    body = b"".join(value + b"\0" * (len(value) % 2) for value in values)
    main = [tiff_entry(order, 306, 2, 4, b"x\0\0\0")]
    if picture:
        main += [tiff_entry(order, 273, 4, 1, long(at)), tiff_entry(order, 279, 4, 1, long(len(picture)))]
    main.append(tiff_entry(order, 34665, 4, 1, long(exif_at)))
    if dng:
        main.append(tiff_entry(order, 50706, 1, 4, b"\1\4\0\0"))
    exif = [
        tiff_entry(order, 33434, 5, 1, long(places[1])),
        tiff_entry(order, 33437, 5, 1, long(places[2])),
        tiff_entry(order, 34855, 3, 1, short(iso)),
        tiff_entry(order, 34866, 4, 1, long(120000)),
        tiff_entry(order, 36867, 2, 20, long(places[0])),
        tiff_entry(order, 37521, 2, 3, b"42\0"),
    ]
    head = magic or (b"II*\0" if order == "<" else b"MM\0*")
    return (
        head
        + long(8)
        + short(len(main))
        + b"".join(main)
        + long(0)
        + short(6)
        + b"".join(exif)
        + long(0)
        + body
        + picture
    )


def jpeg(*, exif: bool = True, padding: int = 0) -> bytes:
    plain = cv2.imencode(".jpg", np.full((16, 24, 3), 90, np.uint8))[1].tobytes()
    segment = b"Exif\0\0" + tiff()
    head = b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment if exif else b""
    return plain[:2] + head + plain[2:] + bytes(padding)


def raf() -> bytes:
    inner, mosaic = jpeg(), bytes(range(256))
    head = b"FUJIFILMCCD-RAW ".ljust(84, b"0")
    places = struct.pack(">6I", 108, len(inner), 108 + len(inner), 16, 124 + len(inner), len(mosaic))
    return head + places + inner + bytes(16) + mosaic


def cr3() -> bytes:
    def box(name: bytes, contents: bytes) -> bytes:
        return struct.pack(">I", len(contents) + 8) + name + contents

    return box(b"ftyp", b"crx isom") + box(b"moov", box(b"uuid", box(b"CMT2", tiff()))) + box(b"mdat", bytes(200))


WHOLE = {
    ".jpg": jpeg(),
    ".nef": tiff(picture=b"mosaic" * 40),
    ".tif": tiff(">", picture=b"planes" * 40),
    ".orf": tiff(picture=b"mosaic" * 40, magic=b"IIRO"),
    ".raf": raf(),
    ".cr3": cr3(),
}
EXPOSURE = {"iso": 400.0, "shutter_s": 0.008, "f_number": 5.6, "time": f"{TAKEN}.42"}


@pytest.mark.parametrize("suffix", WHOLE)
def test_a_whole_file_tells_its_exposure(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(WHOLE[suffix])
    facts = inspect_picture(path)
    assert facts.problem == ""
    assert facts.exposure == pytest.approx(EXPOSURE)
    assert facts.raw is (suffix not in {".jpg", ".tif"})
    assert facts.sha256 == hashlib.sha256(WHOLE[suffix]).hexdigest()
    assert facts.suffix == ""


@pytest.mark.parametrize("suffix", WHOLE)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_cut_anywhere_is_not_whole(tmp_path: Path, suffix: str, data: st.DataObject) -> None:
    whole = WHOLE[suffix]
    shortest = 8 if suffix != ".raf" else 16
    cut = data.draw(st.integers(shortest, len(whole) - 1))
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(whole[:cut])
    facts = inspect_picture(path)
    boundary = suffix == ".cr3" and cut in {16, 16 + 8 + 8 + 8 + len(tiff())}
    assert facts.problem or boundary


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    head=st.sampled_from([b"", b"II*\0", b"MM\0*", b"\xff\xd8\xff", b"FUJIFILMCCD-RAW ", b"\0\0\0\x10ftyp"]),
    rest=st.binary(max_size=300),
)
def test_any_bytes_are_read_without_an_error(tmp_path: Path, head: bytes, rest: bytes) -> None:
    path = tmp_path / "any.nef"
    path.write_bytes(head + rest)
    assert inspect_picture(path).raw


def test_what_cameras_write_behind_a_picture_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "padded.jpg"
    path.write_bytes(jpeg(exif=False, padding=5000))
    facts = inspect_picture(path)
    assert (facts.problem, facts.exposure) == ("", {})


def test_a_dng_is_known_under_any_name(tmp_path: Path) -> None:
    path = tmp_path / "capt0000.nef"
    path.write_bytes(tiff(picture=b"mosaic", dng=True))
    assert inspect_picture(path).suffix == ".dng"


def test_a_speed_beyond_sixteen_bits(tmp_path: Path) -> None:
    path = tmp_path / "high.nef"
    path.write_bytes(tiff(picture=b"mosaic", iso=65535))
    assert inspect_picture(path).exposure["iso"] == 120000.0


@pytest.mark.parametrize(("contents", "words"), [(b"", "empty"), (bytes(4096), "zeros")])
def test_files_without_contents(tmp_path: Path, contents: bytes, words: str) -> None:
    path = tmp_path / "nothing.jpg"
    path.write_bytes(contents)
    assert words in inspect_picture(path).problem


def test_the_suffix_of_the_later_name_counts(tmp_path: Path) -> None:
    path = tmp_path / ".0001.0.part"
    path.write_bytes(WHOLE[".nef"])
    assert inspect_picture(path, suffix=".NEF").raw
    assert not inspect_picture(path).raw
