"""Meshes judged by trimesh, videos by PyAV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stacking.relief.options import ReliefOptions
from stacking.relief.outputs import write_relief
from stacking.relief.surface import DepthUnit, Scale, relief_of

pytestmark = pytest.mark.interop


def written(options: ReliefOptions) -> None:
    rng = np.random.default_rng(1)
    down, across = np.mgrid[:80, :120].astype(np.float32)
    depth = np.hypot(down - 40, across - 60).astype(np.float32) * 5
    depth[30:36, 20:30] = np.nan
    picture = rng.integers(0, 65535, (80, 120, 3)).astype(np.uint16)
    write_relief(options, relief_of(depth, None, Scale(DepthUnit.UM, 4.0)), picture)


@pytest.mark.parametrize(("suffix", "unit_mm"), [(".glb", 1000.0), (".ply", 1.0), (".stl", 1.0)])
@pytest.mark.filterwarnings("default")
def test_trimesh_reads_the_mesh_and_finds_it_whole(tmp_path: Path, suffix: str, unit_mm: float) -> None:
    trimesh = pytest.importorskip("trimesh")
    path = tmp_path / f"m{suffix}"
    written(ReliefOptions(mesh=path))
    mesh = trimesh.load(path, force="mesh")
    assert len(mesh.faces) == 2 * 79 * 119
    assert mesh.is_winding_consistent
    assert mesh.area > 0
    assert (mesh.face_normals[:, 2] > 0).all()
    width, height, depth = mesh.extents * unit_mm
    assert (width, height) == pytest.approx((119 * 0.004, 79 * 0.004), rel=1e-4)
    assert depth == pytest.approx(72 * 5 / 1000, rel=0.06)
    if suffix == ".glb":
        texture = mesh.visual.material.baseColorTexture
        assert texture.size == (120, 80)
        assert mesh.visual.uv.shape == (80 * 120, 2)
    if suffix == ".ply":
        assert mesh.visual.vertex_colors.shape == (80 * 120, 4)


@pytest.mark.parametrize(("suffix", "frames"), [(".mp4", 144), (".avi", 144), (".gif", 24)])
@pytest.mark.filterwarnings("default")
def test_av_decodes_the_video(tmp_path: Path, suffix: str, frames: int) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / f"r{suffix}"
    written(ReliefOptions(rocking=path))
    with av.open(str(path)) as container:
        shapes = [frame.to_ndarray(format="rgb24").shape for frame in container.decode(video=0)]
    assert shapes == [(80, 120, 3)] * frames
