"""The compiled loops against plain OpenCV and numpy, and against themselves on other bands of rows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stacking.fuse import compiled, pyramid_kernels, warp_kernels
from stacking.fuse.bands import Bands
from stacking.fuse.canvas import Canvas, spans_by_level, valid_spans
from stacking.fuse.compiled import kept_object_of, object_of
from stacking.fuse.frame_planes import LUMA, FramePlanes

F32 = NDArray[np.float32]
NONE: F32 = np.empty((1, 1), np.float32)
IDENTITY = np.eye(2, 3)


def plane(rows: int, columns: int, seed: int = 0) -> F32:
    return (np.random.default_rng(seed).random((rows, columns)) * 255).astype(np.float32)


def smooth_rgb(rows: int, columns: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64)
    parts = [128 + 90 * np.sin(x / 9 + k) * np.cos(y / (11 + k)) for k in range(3)]
    return np.stack(parts, axis=2).astype(np.uint8)


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 40), columns=st.integers(2, 40))
def test_reduce_is_pyr_down(rows: int, columns: int) -> None:
    fine = plane(rows, columns)
    coarse = np.empty(((rows + 1) // 2, (columns + 1) // 2), np.float32)
    pyramid_kernels.reduce_rows(fine, coarse, 0, coarse.shape[0])
    if rows > 2 and columns > 2:
        np.testing.assert_allclose(coarse, cv2.pyrDown(fine), atol=1e-3)
    assert coarse.min() >= fine.min() - 1e-3
    assert coarse.max() <= fine.max() + 1e-3


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 40), columns=st.integers(2, 40), value=st.floats(0, 255, width=32, allow_subnormal=False))
def test_a_flat_plane_expands_flat(rows: int, columns: int, value: float) -> None:
    coarse = np.full(((rows + 1) // 2, (columns + 1) // 2), value, np.float32)
    out = np.empty((rows, columns), np.float32)
    pyramid_kernels.expand_add(coarse, np.zeros_like(out), out, 0, rows)
    np.testing.assert_allclose(out, value, rtol=1e-5, atol=1e-20)


def test_expand_is_pyr_up_inside() -> None:
    coarse = plane(20, 30)
    out = np.empty((40, 60), np.float32)
    pyramid_kernels.expand_add(coarse, np.zeros_like(out), out, 0, 40)
    np.testing.assert_allclose(out[:-2, :-2], cv2.pyrUp(coarse)[:-2, :-2], atol=1e-3)


@settings(max_examples=15, deadline=None)
@given(
    rows=st.integers(6, 50),
    columns=st.integers(6, 50),
    cut=st.integers(1, 20),
    power=st.sampled_from([2, 4, 6, 8]),
    step=st.sampled_from([0, 1, 2, 4]),
)
def test_bands_do_not_show(rows: int, columns: int, cut: int, power: int, step: int) -> None:
    fine = plane(rows, columns)
    favour = plane(-(-rows // step), -(-columns // step), 5) if step else NONE
    shape = ((rows + 1) // 2, (columns + 1) // 2)
    coarse = np.empty(shape, np.float32)
    pyramid_kernels.reduce_rows(fine, coarse, 0, shape[0])
    spans = np.zeros((rows, 2), np.int32)
    spans[:, 1] = columns
    finer, red = plane(rows, columns, 3), plane(rows, columns, 9)

    def sums(edges: list[int]) -> list[F32]:
        planes = [np.zeros((rows, columns), np.float32) for _ in range(5)]
        energy = np.zeros(shape, np.float32)
        for a, b in pairwise(edges):
            pyramid_kernels.accumulate_level(
                fine,
                coarse,
                finer,
                1.5,
                2.0,
                1e-3,
                power,
                favour,
                step,
                spans,
                *planes[:2],
                red,
                coarse,
                planes[2],
                finer,
                coarse,
                planes[3],
                planes[4],
                energy,
                a,
                b,
            )
        return [*planes, energy]

    middle = min(2 * cut, rows)
    for one, two in zip(sums([0, rows]), sums([0, middle, rows]), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("power", [2, 4, 6, 8])
@pytest.mark.parametrize("step", [0, 1, 2, 4])
def test_weight_is_the_power_of_energy(power: int, step: int) -> None:
    fine = plane(31, 44)
    coarse = np.ascontiguousarray(cv2.pyrDown(fine))
    up = np.empty_like(fine)
    pyramid_kernels.expand_add(coarse, np.zeros_like(fine), up, 0, 31)
    band = fine - up
    kernel = np.array([0.24, 0.52, 0.24])
    energy = cv2.sepFilter2D(
        band**2 * np.maximum(1 - up / 255, 0.02), -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101
    )
    spans = np.zeros((31, 2), np.int32)
    spans[:, 1] = 44
    favour, factor = NONE, np.ones_like(fine)
    if step:
        favour = 0.5 + plane(-(-31 // step), -(-44 // step), 7) / 255
        # samples lie at every step-th pixel, the last one holds beyond itself
        larger = np.array([[1 / step, 0, 0], [0, 1 / step, 0]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        factor = cv2.warpAffine(favour, larger, (44, 31), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        if step == 4:
            factor = np.repeat(factor[::2], 2, axis=0)[:31]
    weight, total, red_total, blue_total = (np.zeros_like(fine) for _ in range(4))
    red = plane(31, 44, 9)
    pyramid_kernels.accumulate_level(
        fine,
        coarse,
        NONE,
        1.0,
        5.0,
        0.01,
        power,
        favour,
        step,
        spans,
        weight,
        total,
        *(red, coarse, red_total),
        *(fine, coarse, blue_total),
        NONE,
        NONE,
        0,
        31,
    )
    np.testing.assert_allclose(weight, ((energy + 5) * 0.01 * factor) ** power, rtol=2e-3)
    np.testing.assert_allclose(total / weight, band, atol=1e-2)
    np.testing.assert_allclose(red_total / weight, red - up, atol=1e-2)
    np.testing.assert_array_equal(blue_total, total)


@pytest.mark.parametrize("scale", [1.0, 1.004, 0.97])
@pytest.mark.parametrize("degrees", [0.0, 0.2, -3.0])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.3, -2.6), (-41.0, 17.5)])
def test_the_warp_is_that_of_opencv(scale: float, degrees: float, shift: tuple[float, float]) -> None:
    rgb = smooth_rgb(120, 160)
    matrix = cv2.getRotationMatrix2D((80, 60), degrees, scale)
    matrix[:, 2] += shift
    canvas = Canvas(0, 0, 160, 120)
    planes = FramePlanes(canvas)
    with Bands(1) as bands:
        planes.load(rgb, matrix, np.ones(3), bands)
    expected = cv2.warpAffine(
        (rgb @ LUMA).astype(np.float32), matrix, (160, 120), flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    )
    inside = np.zeros((120, 160), bool)
    for y, (a, b) in enumerate(valid_spans(matrix, (160, 120), (120, 160), 1, 6.0)):
        inside[y, a:b] = True
    assert inside.any()
    assert np.abs(planes.luma - expected)[inside].max() < 0.6


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_no_motion_changes_nothing(dtype: type) -> None:
    rgb = smooth_rgb(50, 61)
    image = rgb if dtype is np.uint8 else rgb.astype(np.uint16) * 257
    planes = FramePlanes(Canvas(0, 0, 61, 50))
    with Bands(2) as bands:
        planes.load(image, IDENTITY, np.array([1.1, 1.0, 0.9]), bands)
    expected = (rgb * [1.1, 1.0, 0.9]) @ LUMA
    np.testing.assert_allclose(planes.luma, expected, atol=0.02)


def test_weights_of_the_resampling_sum_to_one() -> None:
    table = warp_kernels.lanczos3_table()
    np.testing.assert_allclose(table.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(table[0], [0, 0, 1, 0, 0, 0], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    angle=st.floats(-5, 5),
    scale=st.floats(0.8, 1.2),
    dx=st.floats(-30, 30),
    dy=st.floats(-30, 30),
    step=st.sampled_from([1, 2, 4]),
)
def test_spans_are_the_pixels_a_frame_has(angle: float, scale: float, dx: float, dy: float, step: int) -> None:
    matrix = cv2.getRotationMatrix2D((40, 30), angle, scale)
    matrix[:, 2] += (dx, dy)
    rows, columns = 60 // step, 80 // step
    spans = valid_spans(matrix, (80, 60), (rows, columns), step)
    y, x = np.mgrid[0:rows, 0:columns] * step
    sx = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    sy = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    e = 1e-4
    surely = (sx >= e) & (sx <= 79 - e) & (sy >= e) & (sy <= 59 - e)
    maybe = (sx >= -e) & (sx <= 79 + e) & (sy >= -e) & (sy <= 59 + e)
    found = np.zeros((rows, columns), bool)
    for k, (a, b) in enumerate(spans):
        found[k, a:b] = True
    assert not (surely & ~found).any()
    assert not (found & ~maybe).any()


def test_a_frame_that_covers_the_canvas_is_used_to_its_edge() -> None:
    canvas = Canvas(0, 0, 33, 21)
    for level, spans in enumerate(spans_by_level(canvas, IDENTITY, (33, 21), 4)):
        rows, columns = canvas.level_shape(level)
        assert spans.tolist() == [[0, columns]] * rows


@pytest.mark.parametrize("rows", [1, 31, 64, 65, 333])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_bands_cover_every_row_once(rows: int, threads: int) -> None:
    seen = np.zeros(rows, int)
    starts = []

    def loop(a: int, b: int) -> None:
        seen[a:b] += 1
        starts.append(a)

    with Bands(threads) as bands:
        bands.run(rows, loop)
    assert (seen == 1).all()
    assert all(a % 2 == 0 for a in starts)


def test_loops_are_linked_beside_the_registration_and_no_compiler_is_loaded() -> None:
    code = (
        "import sys, threading; from stacking.fuse.preload import preload; preload();"
        "[t.join() for t in threading.enumerate() if t.name == 'preload'];"
        "print(sorted(m for m in sys.modules if m.endswith('_kernels') or m in ('llvmlite', 'numba')))"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    for name in ("warp", "pyramid", "focus_prior", "chroma", "depth"):
        assert f"stacking.fuse.{name}_kernels" in seen.stdout
    assert "'llvmlite'" in seen.stdout
    assert "numba" not in seen.stdout


def test_a_compiled_loop_does_what_is_written_in_python() -> None:
    fine = plane(9, 13)
    low, high = np.full((9, 13), 100, np.uint8), np.full((9, 13), 200, np.uint8)
    spans = np.array([[2, 11]] * 9, np.int32)
    linked, written = (low.copy(), high.copy()), (low.copy(), high.copy())
    pyramid_kernels.widen_range(fine, spans, 255.0, *linked, 1, 8)
    pyramid_kernels.widen_range.function(fine, spans, 255.0, *written, 1, 8)
    assert all((a == b).all() for a, b in zip(linked, written, strict=True))
    assert (linked[0] != low).any()


def test_a_compiled_loop_refuses_what_does_not_lie_in_memory_as_declared() -> None:
    fine, coarse = np.zeros((8, 8), np.float32), np.zeros((4, 4), np.float32)
    loop = pyramid_kernels.reduce_rows
    for wrong in (fine.astype(np.float64), fine[:, ::2], fine.T[:6].T, fine.ravel(), 1.0):
        with pytest.raises(TypeError, match="reduce_rows takes no"):
            loop(wrong, coarse, 0, 4)
        with pytest.raises(TypeError, match="reduce_rows takes no"):
            loop.over_rows(wrong, coarse)
    with pytest.raises(TypeError, match="reduce_rows takes no"):
        loop(fine, coarse, 0)
    loop(fine, coarse, 0, 4)


@pytest.mark.parametrize(
    "damage", [lambda kept: kept[:-1], lambda kept: b"", lambda kept: kept[:99] + b"?" + kept[100:]]
)
def test_a_damaged_object_file_is_none(
    damage: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "stacking.crop_kernels"
    content = object_of(module)
    name = compiled._file_name(module)
    (place,) = (one for one in compiled._places(module) if (one / name).exists())
    kept = (place / name).read_bytes()
    monkeypatch.setattr(compiled, "_places", lambda _module: (tmp_path / "none", tmp_path))
    assert kept_object_of(module) is None
    (tmp_path / name).write_bytes(kept)
    assert kept_object_of(module) == content
    (tmp_path / name).write_bytes(damage(kept))
    assert kept_object_of(module) is None
