"""The relief and what is made of it: holes, scale, meshes, views, profiles, files."""

from __future__ import annotations

import csv
import io
import json
import struct
import xml.etree.ElementTree as ET
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stacking.errors import OutputError, SourceError, StackingUsageError
from stacking.relief.files import read_relief
from stacking.relief.maps import depth_colours, depth_meaning, depth_picture, sixteen_bit_depth
from stacking.relief.mesh import Mesh, mesh_of, write_glb, write_ply, write_stl
from stacking.relief.options import ReliefOptions, parse_line, relief_options_of
from stacking.relief.outputs import write_relief
from stacking.relief.profile import profile_along
from stacking.relief.surface import DepthUnit, Relief, Scale, fill_holes, relief_of
from stacking.relief.video import write_rocking
from stacking.relief.views import SideViews
from stacking.writers import write_depth

ROWS, COLUMNS = 60, 90
TRUE = Scale(DepthUnit.UM, 2.0)


def ramp() -> NDArray[np.float32]:
    """10 um deeper with every column."""
    return np.tile(np.arange(COLUMNS, dtype=np.float32) * 10, (ROWS, 1))


def texture() -> NDArray[np.uint8]:
    rng = np.random.default_rng(3)
    return cv2.GaussianBlur(rng.integers(0, 255, (ROWS, COLUMNS, 3)).astype(np.uint8), (0, 0), 1.0)


def with_hole() -> NDArray[np.float32]:
    depth = ramp()
    depth[20:30, 40:52] = np.nan
    return depth


def test_a_hole_is_filled_from_around_it_and_stays_known_as_one() -> None:
    relief = relief_of(with_hole(), None, TRUE)
    assert relief.holes.sum() == 120
    np.testing.assert_array_equal(relief.filled[~relief.holes], ramp()[~relief.holes])
    assert np.abs(relief.filled - ramp())[relief.holes].max() < 60
    assert relief.confidence[relief.holes].max() == 0.0
    part = relief.part(38, 18, 20, 14)
    assert part.holes.sum() == 120
    assert part.depth.shape == (14, 20)


def test_a_hole_takes_what_its_surface_says_and_the_rest_what_lies_around() -> None:
    depth = np.full((40, 60), 5.0, np.float32)
    depth[10:30, 20:40] = np.nan
    surface = np.full((40, 60), 5.0, np.float32)
    surface[10:30, 20:30] = 9.0
    surface[10:30, 30:40] = np.nan
    relief = relief_of(depth, None, TRUE, surface)
    assert (relief.filled[12:28, 21:29] == 9.0).all()
    assert np.isfinite(relief.filled).all()
    assert relief.holes[10:30, 20:40].all()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 9))
def test_filling_never_leaves_the_range_of_what_is_known(rows: int, columns: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    depth = rng.uniform(-50, 900, (rows, columns)).astype(np.float32)
    depth[rng.random(depth.shape) < share] = np.nan
    filled = fill_holes(depth, np.ones_like(depth))
    assert np.isfinite(filled).all()
    known = depth[np.isfinite(depth)]
    if known.size:
        assert known.min() - 0.1 <= filled.min()
        assert filled.max() <= known.max() + 0.1


def test_a_mesh_is_true_to_scale() -> None:
    mesh = mesh_of(relief_of(ramp(), None, TRUE), texture())
    size = mesh.vertices.max(axis=0) - mesh.vertices.min(axis=0)
    # 89 pixels of 2 um across, 890 um deep but for the thousandth at either end
    np.testing.assert_allclose(size, [0.178, 0.118, 0.890], rtol=0.03)
    assert mesh.true
    left, right = mesh.vertices[0], mesh.vertices[COLUMNS - 1]
    assert left[2] > right[2]  # near is high
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (normals[:, 2] > 0).all()  # every triangle faces the lens
    assert (np.sum(normals * mesh.normals[mesh.faces[:, 0]], axis=1) > 0).all()


def test_without_scale_a_mesh_is_a_quarter_as_deep_as_wide() -> None:
    mesh = mesh_of(relief_of(ramp(), None, Scale()), texture())
    assert not mesh.true
    assert np.ptp(mesh.vertices[:, 2]) == pytest.approx(COLUMNS / 4, rel=0.03)


@given(st.integers(9, 6000))
@settings(max_examples=20, deadline=None)
def test_a_mesh_keeps_to_its_vertices(most: int) -> None:
    mesh = mesh_of(relief_of(ramp(), None, TRUE), texture(), most_vertices=most)
    assert len(mesh.vertices) <= most * 1.6 + 8
    assert mesh.faces.max(initial=0) < len(mesh.vertices)


def small_mesh() -> Mesh:
    return mesh_of(relief_of(with_hole(), None, TRUE), texture())


def test_glb_tells_what_it_holds() -> None:
    out = io.BytesIO()
    mesh = small_mesh()
    write_glb(out, mesh, texture())
    data = out.getvalue()
    magic, version, length, text_length, text_kind = struct.unpack_from("<IIIII", data)
    assert (magic, version, length, text_kind) == (0x46546C67, 2, len(data), 0x4E4F534A)
    document = json.loads(data[20 : 20 + text_length])
    binary = data[20 + text_length + 8 :]
    assert document["buffers"][0]["byteLength"] == len(binary)
    place = document["bufferViews"][0]
    positions = np.frombuffer(binary, "<f4", mesh.vertices.size, place["byteOffset"]).reshape(-1, 3)
    np.testing.assert_allclose(positions * 1000, mesh.vertices, rtol=1e-5)
    accessor = document["accessors"][0]
    np.testing.assert_allclose(accessor["max"], positions.max(axis=0))
    image = document["bufferViews"][document["images"][0]["bufferView"]]
    jpeg = np.frombuffer(binary, np.uint8, image["byteLength"], image["byteOffset"])
    assert cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape == (ROWS, COLUMNS, 3)
    place = document["bufferViews"][document["meshes"][0]["primitives"][0]["attributes"]["_CONFIDENCE"]]
    confidence = np.frombuffer(binary, "<f4", len(mesh.vertices), place["byteOffset"])
    assert (confidence == 0).sum() == 120


def test_ply_and_stl_have_the_length_their_heads_tell() -> None:
    mesh = small_mesh()
    out = io.BytesIO()
    write_ply(out, mesh)
    head, body = out.getvalue().split(b"end_header\n")
    assert f"element vertex {len(mesh.vertices)}".encode() in head
    assert b"mm, to scale" in head
    assert len(body) == len(mesh.vertices) * (6 * 4 + 3 + 4) + len(mesh.faces) * 13
    out = io.BytesIO()
    write_stl(out, mesh)
    data = out.getvalue()
    assert struct.unpack_from("<I", data, 80)[0] == len(mesh.faces)
    assert len(data) == 84 + 50 * len(mesh.faces)


def block_scene() -> tuple[NDArray[np.uint8], Relief]:
    """A near square of one colour on a far ground of another."""
    picture = np.full((120, 200, 3), 60, np.uint8)
    depth = np.full((120, 200), 100, np.float32)
    picture[40:80, 80:120] = (220, 40, 30)
    depth[40:80, 80:120] = 0
    return picture, relief_of(depth, None, Scale())


def middle(view: NDArray[np.uint8]) -> float:
    """Column of the square's middle."""
    excess = view[60, :, 0].astype(float) - 60
    return float((excess * np.arange(len(excess))).sum() / excess.sum())


def test_near_things_stand_to_the_right_for_the_left_eye() -> None:
    picture, relief = block_scene()
    views = SideViews(picture, relief, longest_px=400)
    left, right = (middle(views.view(place)) for place in (-0.5, 0.5))
    parallax = 0.03 * 200
    # of the whole parallax the square takes half, its ground the other; the middle of the depth stays
    assert left - right == pytest.approx(parallax / 2, abs=0.4)
    np.testing.assert_allclose(views.view(0.0).astype(int), picture.astype(int), atol=1)


def test_near_covers_far_and_nothing_is_torn() -> None:
    picture, relief = block_scene()
    view = SideViews(picture, relief, longest_px=400).view(0.5)
    width = (view[60, :, 0] > 140).sum()
    assert 37 <= width <= 43
    assert ((view[..., 0] > 30) & (view[..., 0] < 250)).all()


def test_the_pair_is_side_by_side_and_the_anaglyph_has_both() -> None:
    picture, relief = block_scene()
    views = SideViews(picture, relief, longest_px=100)
    assert views.pair().shape == (60, 202, 3)
    flat = SideViews(np.full((40, 60, 3), 128, np.uint8), relief.part(0, 0, 60, 40), longest_px=60).anaglyph()
    assert np.abs(flat.astype(int) - 128).max() < 12  # gray stays gray
    swing = list(views.rocking(8))
    assert len(swing) == 8
    np.testing.assert_array_equal(swing[0], swing[4])
    assert np.abs(swing[2].astype(int) - swing[6]).max() > 50


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".gif"])
def test_a_video_can_be_opened(tmp_path: Path, suffix: str) -> None:
    picture, relief = block_scene()
    path = tmp_path / f"rock{suffix}"
    write_rocking(path, SideViews(picture, relief, longest_px=101).rocking(6))
    opened = cv2.VideoCapture(str(path))
    good, frame = opened.read()
    opened.release()
    assert good
    assert frame.shape == (60, 100, 3)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_profile_follows_the_slope_and_marks_the_hole() -> None:
    relief = relief_of(with_hole(), None, TRUE)
    found = profile_along(relief, (0, 25, 89, 25))
    rows = list(csv.DictReader(io.StringIO(found.csv().decode())))
    assert len(rows) == 90
    for row in rows:
        if row["filled"] == "0":
            assert float(row["depth_um"]) == pytest.approx(10 * float(row["x"]), abs=0.01)
        assert float(row["distance_um"]) == pytest.approx(2 * float(row["x"]), abs=0.01)
    assert [int(float(r["x"])) for r in rows if r["filled"] == "1"] == list(range(40, 52))
    plot = ET.fromstring(found.svg())
    assert plot.tag.endswith("svg")
    assert any("dasharray" in str(p.attrib) for p in plot.iter())


@pytest.mark.parametrize("line", [(-1, 0, 5, 5), (0, 0, 90, 5), (4, 4, 4, 4)])
def test_a_line_must_lie_in_the_picture(line: tuple[float, float, float, float]) -> None:
    with pytest.raises(StackingUsageError):
        profile_along(relief_of(ramp(), None, TRUE), line)


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", ""])
def test_what_is_no_line_is_refused(text: str) -> None:
    with pytest.raises(StackingUsageError):
        parse_line(text)


@settings(max_examples=30, deadline=None)
@given(st.floats(-20_000, 20_000), st.floats(0.01, 50_000), st.integers(0, 5))
def test_sixteen_bits_hold_the_depth_to_half_a_step(low: float, span: float, seed: int) -> None:
    depth = (low + np.random.default_rng(seed).random((8, 9)) * span).astype(np.float32)
    depth[0, 0] = np.nan
    values, meaning = sixteen_bit_depth(relief_of(depth, None, TRUE))
    assert values[0, 0] == 0
    assert (values.ravel()[1:] > 0).all()
    back = meaning["offset"] + meaning["step"] * values.astype(float)
    assert meaning["step"] <= max(span, 1e-3) / 16000 + 1e-6
    np.testing.assert_allclose(back.ravel()[1:], depth.ravel()[1:], atol=0.5001 * meaning["step"])


def test_the_picture_of_the_depth_hatches_holes_alone() -> None:
    relief = relief_of(with_hole(), None, TRUE)
    white = (depth_colours(relief) == 255).all(axis=2)
    assert white[relief.holes].any()
    assert not white[~relief.holes].any()
    assert depth_picture(relief).shape[1] > COLUMNS


@pytest.mark.parametrize("factor", [0.0, 1e-3, 12_345.6])
def test_the_numbers_beside_the_picture_of_the_depth_are_whole(factor: float) -> None:
    """They used to run over the border."""
    picture = depth_picture(relief_of((with_hole() * factor).astype(np.float32), None, Scale(DepthUnit.FRAMES, None)))
    beside = picture[:, COLUMNS:]
    assert (beside < 128).any()
    assert (beside[:, -1] > 128).all()


def test_all_files_are_written_and_read_again(tmp_path: Path) -> None:
    options = ReliefOptions(
        depth_16bit=tmp_path / "d16.tif",
        depth_confidence=tmp_path / "c.tif",
        depth_filled=tmp_path / "f.tif",
        depth_picture=tmp_path / "d.png",
        mesh=tmp_path / "m.ply",
        stereo=tmp_path / "s.jpg",
        anaglyph=tmp_path / "a.png",
        rocking=tmp_path / "r.avi",
        profile=tmp_path / "p.csv",
        line=(1.0, 2.0, 30.0, 40.0),
        pixel_um=2.0,
    )
    options.check(force=False)
    relief = relief_of(with_hole(), None, TRUE)
    written = write_relief(options, relief, texture())
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in written.values()}
    again = read_relief(tmp_path / "d16.tif", tmp_path / "c.tif")
    assert again.scale == TRUE
    np.testing.assert_array_equal(again.holes, relief.holes)
    np.testing.assert_allclose(again.filled[~again.holes], relief.depth[~relief.holes], atol=0.01)
    assert np.isfinite(tifffile.imread(tmp_path / "f.tif")).all()
    with pytest.raises(OutputError):
        options.check(force=False)
    assert relief_options_of({"mesh": None, "profile": "p.csv", "line": [1, 2, 3, 4]}) == ReliefOptions(
        profile=Path("p.csv"), line=(1, 2, 3, 4)
    )


@pytest.mark.parametrize(
    "options",
    [
        ReliefOptions(mesh=Path("m.obj")),
        ReliefOptions(line=(0, 0, 1, 1)),
        ReliefOptions(stereo=Path("x.png"), anaglyph=Path("x.png")),
        ReliefOptions(rocking=Path("r.wmv")),
    ],
)
def test_what_cannot_be_written_is_refused_first(options: ReliefOptions) -> None:
    with pytest.raises((StackingUsageError, OutputError)) as refused:
        options.check(force=False)
    assert refused.value.remedy


@pytest.mark.parametrize("unit", DepthUnit)
def test_a_float_depth_file_tells_its_unit(tmp_path: Path, unit: DepthUnit) -> None:
    relief = relief_of(ramp(), None, Scale(unit, 4.0))
    write_depth(tmp_path / "d.tif", relief.depth, description=depth_meaning(relief))
    again = read_relief(tmp_path / "d.tif", unit=DepthUnit.UM)
    assert again.scale == relief.scale


def test_what_is_no_depth_map_is_refused(tmp_path: Path) -> None:
    (tmp_path / "torn.tif").write_bytes(b"II*\0")
    tifffile.imwrite(tmp_path / "plain.tif", np.zeros((4, 5), np.uint16))
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((4, 5, 3), np.uint16), photometric="rgb")
    tifffile.imwrite(tmp_path / "byte.tif", np.zeros((4, 5), np.uint8))
    tifffile.imwrite(tmp_path / "good.tif", np.zeros((4, 5), np.float32))
    tifffile.imwrite(tmp_path / "other.tif", np.zeros((4, 6), np.float32))
    for name in ("torn", "plain", "rgb", "byte", "none"):
        with pytest.raises(SourceError):
            read_relief(tmp_path / f"{name}.tif")
    with pytest.raises(SourceError):
        read_relief(tmp_path / "good.tif", tmp_path / "other.tif")
