from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stacking.colour import srgb_profile
from stacking.develop import read_picture
from stacking.errors import OutputError, StackingError, StackingUsageError
from stacking.metadata import read_header
from stacking.writers import check_target, expected_bytes, replacing, write_depth, write_picture
from tests.stacking.pictures import add_exif, as_bits, scene, write_jpeg

SCENE = scene(50, 72)
EIGHT, SIXTEEN = as_bits(SCENE, 8), as_bits(SCENE, 16)


@pytest.mark.parametrize("image", [EIGHT, SIXTEEN], ids=["8 bit", "16 bit"])
@pytest.mark.parametrize("name", ["a.tif", "a.TIFF", "a.png"])
def test_what_is_written_is_read_again_by_others(tmp_path: Path, name: str, image: NDArray[np.uint8]) -> None:
    path = tmp_path / name
    write_picture(path, image)
    sixteen = "png" not in name or image.dtype == np.uint16
    expected = image.astype(np.uint16) * 257 if sixteen and image.dtype == np.uint8 else image
    by_opencv = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1]
    np.testing.assert_array_equal(by_opencv, expected)
    np.testing.assert_array_equal(read_picture(path), expected)
    assert read_header(path).icc == srgb_profile()
    if "png" not in name:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            np.testing.assert_array_equal(page.asarray(), expected)
            assert page.iccprofile == srgb_profile()


@pytest.mark.parametrize("image", [EIGHT, SIXTEEN], ids=["8 bit", "16 bit"])
def test_a_jpeg_is_close_and_keeps_its_chroma(tmp_path: Path, image: NDArray[np.uint8]) -> None:
    path = tmp_path / "a.jpg"
    write_picture(path, image)
    assert np.abs(read_picture(path).astype(int) - EIGHT).mean() < 2.5
    stored = path.read_bytes()
    frame = stored.index(b"\xff\xc0")
    sampling = [stored[frame + 11 + 3 * channel] for channel in range(3)]
    assert sampling == [0x11, 0x11, 0x11]
    assert len(stored) > len(write_again(tmp_path, image, quality=50))


def write_again(tmp_path: Path, image: NDArray[np.uint8], **options: int) -> bytes:
    write_picture(tmp_path / "again.jpg", image, force=True, **options)
    return (tmp_path / "again.jpg").read_bytes()


def test_a_large_profile_is_spread_over_segments(tmp_path: Path) -> None:
    large = srgb_profile() + bytes(150_000)
    large = len(large).to_bytes(4, "big") + large[4:]
    for name in ("a.jpg", "a.tif", "a.png"):
        write_picture(tmp_path / name, EIGHT, icc=large)
        assert read_header(tmp_path / name).icc == large


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 70), st.integers(1, 400), st.sampled_from([np.uint8, np.uint16]))
def test_tiffs_of_every_size_come_back(tmp_path: Path, rows: int, columns: int, dtype: type) -> None:
    rng = np.random.default_rng(rows * 401 + columns)
    image = rng.integers(0, np.iinfo(dtype).max, (rows, columns, 3), endpoint=True).astype(dtype)
    write_picture(tmp_path / "a.tif", image, force=True)
    found = tifffile.imread(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, image.astype(np.uint16) * (257 if dtype == np.uint8 else 1))


def test_the_same_picture_gives_the_same_bytes(tmp_path: Path) -> None:
    source = add_exif(write_jpeg(tmp_path / "s.jpg", EIGHT), Image_Make="Maker", Photo_FNumber="28/10")
    for suffix in (".tif", ".png", ".jpg"):
        for name in ("a", "b"):
            write_picture(tmp_path / (name + suffix), SIXTEEN, exif_from=source)
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_depth_keeps_its_unknowns(tmp_path: Path) -> None:
    depth = np.linspace(-300, 5000, 40 * 30, dtype=np.float32).reshape(40, 30)
    depth[3:6, 4:9] = np.nan
    assert write_depth(tmp_path / "d.tif", depth) is None
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "d.tif"), depth)
    ends = write_depth(tmp_path / "d.png", depth)
    assert ends == (-300, 5000)
    scaled = cv2.imread(str(tmp_path / "d.png"), cv2.IMREAD_UNCHANGED)
    known = np.isfinite(depth)
    assert scaled.dtype == np.uint16
    assert not scaled[~known].any()
    assert (scaled[known].min(), scaled[known].max()) == (1, 65535)
    back = ends[0] + (scaled[known].astype(float) - 1) / 65534 * (ends[1] - ends[0])
    np.testing.assert_allclose(back, depth[known], atol=0.05)


@pytest.mark.parametrize("depth", [np.full((4, 5), np.nan), np.full((4, 5), 7.0)], ids=["unknown", "flat"])
def test_depth_without_relief_is_written(tmp_path: Path, depth: NDArray[np.float64]) -> None:
    write_depth(tmp_path / "d.png", depth.astype(np.float32))
    found = cv2.imread(str(tmp_path / "d.png"), cv2.IMREAD_UNCHANGED)
    assert (found == (0 if np.isnan(depth).all() else 1)).all()


@pytest.mark.parametrize(
    ("name", "said", "kind"),
    [
        ("there.tif", "exists", OutputError),
        ("missing/a.tif", "does not exist", OutputError),
        ("folder.tif", "is a folder", OutputError),
        ("a.gif", "suffix", StackingUsageError),
        ("a", "suffix", StackingUsageError),
        ("file/a.tif", "is a file", OutputError),
    ],
)
def test_a_bad_target_is_refused_before_any_work(
    tmp_path: Path, name: str, said: str, kind: type[StackingError]
) -> None:
    (tmp_path / "there.tif").write_bytes(b"precious")
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "file").write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    for refuse in (lambda: check_target(tmp_path / name, force=False), lambda: write_picture(tmp_path / name, EIGHT)):
        with pytest.raises(kind, match=said) as caught:
            refuse()
        assert caught.value.remedy
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there.tif").read_bytes() == b"precious"


def test_force_writes_over_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "there.tif"
    path.write_bytes(b"old")
    check_target(path, force=True)
    write_picture(path, EIGHT, force=True)
    np.testing.assert_array_equal(tifffile.imread(path), EIGHT.astype(np.uint16) * 257)
    assert list(tmp_path.iterdir()) == [path]


def test_room_on_the_disk_is_asked_for_first(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    check_target(path, force=False, needed_bytes=expected_bytes(path, 100, 100))
    with pytest.raises(OutputError, match="does not fit"):
        check_target(path, force=False, needed_bytes=1 << 60)


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg", "d.tif"])
def test_a_write_that_fails_half_way_leaves_nothing(tmp_path: Path, name: str) -> None:
    """In a process of its own, whose files may not grow beyond 20 kB."""
    old = tmp_path / "kept.tif"
    old.write_bytes(b"old")
    program = f"""
import resource, numpy as np
from pathlib import Path
from stacking.errors import OutputError, StackingError, StackingUsageError
from stacking.writers import write_depth, write_picture
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
noise = np.random.default_rng(1).integers(0, 65536, (200, 300, 3)).astype(np.uint16)
for name in ({name!r}, "kept.tif"):
    try:
        if name == "d.tif":
            write_depth(Path({str(tmp_path)!r}) / name, noise[..., 0].astype(np.float32))
        else:
            write_picture(Path({str(tmp_path)!r}) / name, noise, force=True)
    except OutputError as error:
        assert "Free some space" in error.remedy
    else:
        raise SystemExit("no error")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == [old]
    assert old.read_bytes() == b"old"


def write_into(path: Path, during: Callable[[], None]) -> None:
    with replacing(path, force=False) as file:
        file.write(b"ours")
        during()


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_into(tmp_path / "a.tif", interrupt)
    assert not list(tmp_path.iterdir())


def test_a_name_taken_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with pytest.raises(OutputError, match="exists"):
        write_into(path, lambda: path.write_bytes(b"theirs") and None)
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_in_the_working_folder_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_picture(Path("a b ü.tif"), EIGHT)
    assert (tmp_path / "a b ü.tif").is_file()


def test_a_tiff_beyond_4_gib_is_refused(tmp_path: Path) -> None:
    huge = np.broadcast_to(np.zeros((1, 1, 3), np.uint16), (40_000, 40_000, 3))
    with pytest.raises(OutputError, match="too large"):
        write_picture(tmp_path / "a.tif", huge)
    assert not list(tmp_path.iterdir())


def test_what_is_no_picture_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_picture(tmp_path / "a.tif", SCENE)
    assert not list(tmp_path.iterdir())


def test_files_of_others_may_be_read_by_others(tmp_path: Path) -> None:
    """The result has the permissions of any new file, not those of a temporary one."""
    write_picture(tmp_path / "a.tif", EIGHT)
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "a.tif").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "a.tif").stat().st_nlink == 1
