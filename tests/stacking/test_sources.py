from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from stacking.errors import OutputError, SourceError
from stacking.order import Order
from stacking.sources import find_sources, is_raw, is_session
from stacking.writers import write_picture
from tests.stacking.pictures import add_exif, as_bits, mosaic_of, scene, write_dng, write_jpeg

TINY = as_bits(scene(24, 36), 8)


def jpeg(path: Path, **exif: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_jpeg(path, TINY)
    return add_exif(path, **exif) if exif else path


def names(listing: object) -> list[str]:
    return [source.path.name for source in listing.sources]  # type: ignore[attr-defined]


def test_a_folder_is_read_without_subfolders_hidden_files_and_sidecars(tmp_path: Path) -> None:
    for name in ("FS-2.jpg", "FS-10.JPG", "FS-1.jpeg", "ünder stack.Jpg", ".hidden.jpg", "._FS-2.jpg", "sub/FS-3.jpg"):
        jpeg(tmp_path / name)
    for name in ("FS-2.xmp", "FS-2.THM", "notes.txt", "Thumbs.db", "settings.json", "film.mov", "desktop.ini"):
        (tmp_path / name).write_bytes(b"no picture")
    listing = find_sources([tmp_path])
    assert names(listing) == ["FS-1.jpeg", "FS-2.jpg", "FS-10.JPG", "ünder stack.Jpg"]
    assert listing.order is Order.NAME
    assert not listing.left_out
    assert {path.name for path in listing.ignored} >= {"notes.txt", "FS-2.xmp", "film.mov"}


def test_a_picture_without_a_number_among_numbered_ones_is_no_frame(tmp_path: Path) -> None:
    for number in range(8):
        jpeg(tmp_path / f"DSC_{number:04}.jpg")
    results = [jpeg(tmp_path / name) for name in ("Helicon.jpg", "Zerene PMax.jpg")]
    listing = find_sources([tmp_path])
    assert names(listing) == [f"DSC_{number:04}.jpg" for number in range(8)]
    assert [left.path for left in listing.left_out] == results
    assert "number" in listing.left_out[0].reason
    assert len(names(find_sources([*tmp_path.iterdir()]))) == 10, "named itself it is taken"


@pytest.mark.parametrize("between", ["-", "_", " (", ""])
def test_the_first_of_a_series_may_go_without_a_number(tmp_path: Path, between: str) -> None:
    series = ["beetle.jpg", *(f"beetle{between}{number}.jpg" for number in range(2, 12))]
    for name in reversed(series):
        jpeg(tmp_path / name)
    listing = find_sources([tmp_path])
    assert names(listing) == series
    assert not listing.left_out


def test_times_of_their_own_order_a_folder(tmp_path: Path) -> None:
    for name, fraction in (("a.jpg", "30"), ("b.jpg", "10"), ("c.jpg", "2")):
        jpeg(tmp_path / name, Photo_DateTimeOriginal="2024:05:01 12:00:00", Photo_SubSecTimeOriginal=fraction)
    listing = find_sources([tmp_path])
    assert (names(listing), listing.order) == (["b.jpg", "c.jpg", "a.jpg"], Order.TIME)


@pytest.mark.parametrize("flaw", ["same", "no fraction", "no time", "nonsense"])
def test_one_time_missing_or_doubled_and_names_decide(tmp_path: Path, flaw: str) -> None:
    stamp = "2024:05:01 12:00:00"
    jpeg(tmp_path / "a.jpg", Photo_DateTimeOriginal=stamp, Photo_SubSecTimeOriginal="30")
    third = {
        "same": {"Photo_DateTimeOriginal": stamp, "Photo_SubSecTimeOriginal": "30"},
        "no fraction": {"Photo_DateTimeOriginal": "2024:05:01 11:00:00"},
        "no time": {"Image_Make": "x"},
        "nonsense": {"Photo_DateTimeOriginal": "0000:00:00 00:00:00", "Photo_SubSecTimeOriginal": "12"},
    }[flaw]
    jpeg(tmp_path / "b.jpg", **third)
    listing = find_sources([tmp_path])
    assert (names(listing), listing.order) == (["a.jpg", "b.jpg"], Order.NAME)


def test_files_given_keep_their_order_and_count_once(tmp_path: Path) -> None:
    first, second = jpeg(tmp_path / "b 1.jpg"), jpeg(tmp_path / "a.jpg")
    (tmp_path / "link.jpg").symlink_to(second)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "phone.heic").write_bytes(b"x")
    listing = find_sources(
        [first, second, first, tmp_path / "link.jpg", tmp_path / "notes.txt", tmp_path / "phone.heic"]
    )
    assert (names(listing), listing.order) == (["b 1.jpg", "a.jpg"], Order.GIVEN)
    reasons = {entry.path.name: entry.reason for entry in listing.left_out}
    assert set(reasons) == {"b 1.jpg", "link.jpg", "notes.txt", "phone.heic"}
    assert "HEIC" in reasons["phone.heic"]


def test_the_outputs_of_the_run_are_no_sources(tmp_path: Path) -> None:
    jpeg(tmp_path / "a.jpg")
    result = tmp_path / "result.jpg"
    write_picture(result, np.zeros((8, 12, 3), np.uint8))
    assert names(find_sources([tmp_path], exclude=[result, tmp_path / "not there.tif"])) == ["a.jpg"]
    assert names(find_sources([tmp_path / "a.jpg", result], exclude=[result])) == ["a.jpg"]


def test_a_photograph_is_no_output(tmp_path: Path) -> None:
    jpeg(tmp_path / "a.jpg")
    with pytest.raises(OutputError, match=r"a\.jpg"):
        find_sources([tmp_path], exclude=[tmp_path / "a.jpg"])


def test_a_folder_of_results_alone_is_a_stack_of_slabs(tmp_path: Path) -> None:
    for name in ("slab-1.tif", "slab-2.tif"):
        write_picture(tmp_path / name, np.zeros((8, 12, 3), np.uint16))
    assert names(find_sources([tmp_path])) == ["slab-1.tif", "slab-2.tif"]
    jpeg(tmp_path / "a.jpg")
    assert names(find_sources([tmp_path])) == ["a.jpg"]


def test_of_a_raw_and_its_jpeg_the_raw_is_taken(tmp_path: Path) -> None:
    for name in ("DSC_1.NEF", "dsc_2.nef"):
        (tmp_path / name).write_bytes(b"raw")
    for name in ("DSC_1.JPG", "DSC_2.jpg", "DSC_3.JPG"):
        jpeg(tmp_path / name)
    listing = find_sources([tmp_path])
    assert names(listing) == ["DSC_1.NEF", "dsc_2.nef", "DSC_3.JPG"]
    assert [source.raw for source in listing.sources] == [True, True, False]
    given = find_sources([tmp_path / "DSC_1.JPG", tmp_path / "DSC_1.NEF"])
    assert names(given) == ["DSC_1.NEF"]


def test_a_raw_is_known_by_its_content_too(tmp_path: Path) -> None:
    dng = write_dng(tmp_path / "a.dng", mosaic_of(scene(32, 48)))
    as_tiff = dng.rename(tmp_path / "a.tif")
    assert is_raw(as_tiff)
    tifffile.imwrite(tmp_path / "b.tif", TINY, photometric="rgb")
    assert not is_raw(tmp_path / "b.tif")
    (tmp_path / "c.tif").write_bytes(b"II*\0 broken")
    assert not is_raw(tmp_path / "c.tif")
    no_suffix = write_dng(tmp_path / "d.dng", mosaic_of(scene(32, 48))).rename(tmp_path / "IMG_0001")
    assert is_raw(no_suffix)
    picture = jpeg(tmp_path / "e.jpg").rename(tmp_path / "e")
    assert not is_raw(picture)
    assert names(find_sources([tmp_path])) == ["a.tif", "b.tif", "c.tif", "e", "IMG_0001"]


@pytest.mark.parametrize(
    ("what", "said"),
    [("missing", "does not exist"), ("empty", "no pictures"), ("text", "no pictures"), ("nothing", "no pictures")],
)
def test_no_pictures_is_a_clear_error(tmp_path: Path, what: str, said: str) -> None:
    if what == "text":
        (tmp_path / "a.txt").write_text("hello")
    paths = {"missing": [tmp_path / "x"], "nothing": []}.get(what, [tmp_path])
    with pytest.raises(SourceError, match=said) as caught:
        find_sources(paths)
    assert caught.value.remedy


def test_an_empty_folder_hints_at_its_subfolder(tmp_path: Path) -> None:
    jpeg(tmp_path / "100NIKON" / "a.jpg")
    with pytest.raises(SourceError) as caught:
        find_sources([tmp_path])
    assert "100NIKON" in caught.value.remedy


def session(folder: Path, frames: list[dict[str, object]]) -> Path:
    (folder / "frames" / "rejected").mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"version": 1, "frames": frames}))
    return folder


def test_a_session_gives_its_accepted_frames_by_position(tmp_path: Path) -> None:
    frames: list[dict[str, object]] = [
        {"file": "frames/0001.jpg", "position_um": 100.0, "verdict": "accepted"},
        {"file": "frames/0002.jpg", "position_um": 300.0, "verdict": "accepted"},
        {"file": "frames/rejected/0003.jpg", "position_um": 150.0, "verdict": "rejected"},
        {"file": "frames/0004.jpg", "position_um": 200, "verdict": "accepted"},
        {"file": "frames/0005.jpg", "position_um": 400.0, "verdict": "accepted"},
        {"file": None, "position_um": 500.0, "verdict": "accepted"},
    ]
    folder = session(tmp_path / "s", frames)
    for number in (1, 2, 4):
        jpeg(folder / "frames" / f"000{number}.jpg")
    jpeg(folder / "frames" / "rejected" / "0003.jpg")
    listing = find_sources([folder])
    assert is_session(folder)
    assert names(listing) == ["0001.jpg", "0004.jpg", "0002.jpg"]
    assert [source.position_um for source in listing.sources] == [100.0, 200.0, 300.0]
    assert (listing.order, listing.session) == (Order.POSITION, folder)
    assert ["missing" in entry.reason for entry in listing.left_out] == [True, True]


def test_a_session_without_positions_goes_by_name_and_prefers_raws(tmp_path: Path) -> None:
    frames: list[dict[str, object]] = [
        {
            "file": f"frames/{n}.jpg",
            "files": [f"frames/{n}.jpg", f"frames/{n}.dng"],
            "position_um": None,
            "verdict": "accepted",
        }
        for n in ("0010", "0002")
    ]
    folder = session(tmp_path / "s", frames)
    for number in ("0010", "0002"):
        jpeg(folder / "frames" / f"{number}.jpg")
        (folder / "frames" / f"{number}.dng").write_bytes(b"raw")
    listing = find_sources([folder])
    assert (names(listing), listing.order) == (["0002.dng", "0010.dng"], Order.NAME)


def test_a_lens_drives_session_goes_by_its_steps(tmp_path: Path) -> None:
    frames: list[dict[str, object]] = [
        {"file": f"frames/{n}.jpg", "position_um": None, "position_steps": steps, "verdict": "accepted"}
        for n, steps in (("0001", -20), ("0002", 0), ("0003", -12), ("0004", -4.0))
    ]
    folder = session(tmp_path / "s", frames)
    for frame in frames:
        jpeg(folder / str(frame["file"]))
    listing = find_sources([folder])
    assert (names(listing), listing.order) == (["0001.jpg", "0003.jpg", "0004.jpg", "0002.jpg"], Order.POSITION)
    assert [source.position_um for source in listing.sources] == [None] * 4


@pytest.mark.parametrize("manifest", ["{", "[]", '{"frames": 3}', '{"frames": [1]}', '{"frames": []}'])
def test_a_broken_session_says_how_to_go_on(tmp_path: Path, manifest: str) -> None:
    folder = session(tmp_path / "s", [])
    (folder / "manifest.json").write_text(manifest)
    with pytest.raises(SourceError) as caught:
        find_sources([folder])
    assert str(folder / "frames") in caught.value.remedy


def test_several_folders_come_one_after_another(tmp_path: Path) -> None:
    jpeg(tmp_path / "b" / "2.jpg")
    jpeg(tmp_path / "b" / "10.jpg")
    jpeg(tmp_path / "a" / "1.jpg")
    listing = find_sources([tmp_path / "b", tmp_path / "a"])
    assert (names(listing), listing.order) == (["2.jpg", "10.jpg", "1.jpg"], Order.GIVEN)


def test_pictures_of_any_suffix_case_are_found(tmp_path: Path) -> None:
    for name in ("a.TIFF", "b.Tif", "c.PNG", "d.jpe"):
        np.save(tmp_path / "x.npy", TINY)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "x.npy").unlink()
    assert names(find_sources([tmp_path])) == ["a.TIFF", "b.Tif", "c.PNG", "d.jpe"]


def test_of_a_sessions_sets_only_what_is_averaged_is_taken(tmp_path: Path) -> None:
    names_of = [f"frames/0001-{k}.jpg" for k in (3, 4, 1, 2)]
    sets = [{"file": name, "exposure": int(name[-5]), "shutter": "1/60", "metered": True} for name in names_of]
    frame: dict[str, object] = {
        "file": names_of[0],
        "files": names_of,
        "exposures": sets,
        "averaged": names_of[:2],
        "position_um": 0.0,
        "verdict": "accepted",
    }
    folder = session(tmp_path / "s", [frame])
    for name in names_of:
        jpeg(folder / name)
    assert [path.name for path in find_sources([folder]).sources[0].paths] == ["0001-3.jpg", "0001-4.jpg"]
    # an exposure that is gone leaves the others; one of another brightness never takes its place
    (folder / names_of[0]).unlink()
    assert [path.name for path in find_sources([folder]).sources[0].paths] == ["0001-4.jpg"]
    (folder / names_of[1]).unlink()
    with pytest.raises(SourceError):
        find_sources([folder])
