"""What the simulated lens sees: blur, perspective, occlusion, each against its formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from capture.bench.optics import Lens
from capture.bench.render import Renderer, View
from capture.bench.scene import Layer, Scene, build, read_description
from capture.bench.scene_subjects import Canvas
from capture.bench.scene_vibration import line

LENS = Lens()
CANVAS = Canvas(288, 352, 256, 320)
SIZE = (320, 256)
Z_UM = 1000.0


def layer(picture: NDArray[np.float32], cover: NDArray[np.float32], z_um: float) -> Layer:
    grey = np.dstack([picture * cover, picture * cover, picture * cover, cover]).astype(np.float32)
    depth = np.full((CANVAS.rows // 4, CANVAS.columns // 4), z_um, dtype=np.float32)
    return Layer(grey, depth, bool((cover == 1).all()))


def scene(*layers: Layer) -> Scene:
    return Scene(layers, LENS, CANVAS, Z_UM - 500, Z_UM + 500)


def dot(dx: float = 0.0, dy: float = 0.0, z_um: float = Z_UM) -> Layer:
    x = np.arange(CANVAS.columns) - (CANVAS.columns - 1) / 2 - dx
    y = np.arange(CANVAS.rows) - (CANVAS.rows - 1) / 2 - dy
    spot = np.exp(-(x[None, :] ** 2 + y[:, None] ** 2) / 2 / 1.2**2).astype(np.float32)
    return layer(spot, np.ones_like(spot), z_um)


def moments(picture: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """Sum, mean x and y from the middle, and variance along an axis."""
    weights = picture[..., 1].astype(np.float64)
    total = float(weights.sum())
    y, x = np.mgrid[0 : weights.shape[0], 0 : weights.shape[1]]
    x, y = x - (weights.shape[1] - 1) / 2, y - (weights.shape[0] - 1) / 2
    mean_x, mean_y = (weights * x).sum() / total, (weights * y).sum() / total
    variance = (weights * ((x - mean_x) ** 2 + (y - mean_y) ** 2)).sum() / total / 2
    return total, mean_x, mean_y, variance


@given(st.floats(10.0, 260.0), st.sampled_from([-1, 1]), st.sampled_from([1.0, 2.0, 3.0]), st.floats(-9, 9))
@settings(max_examples=12, deadline=None)
def test_blur_grows_as_the_formula_says(away_um: float, side: int, pitch: float, dx: float) -> None:
    renderer = Renderer(scene(dot(dx, 0.5 * dx)), pitch)
    size = (int(SIZE[0] / pitch), int(SIZE[1] / pitch))
    sharp = moments(renderer.render(View(Z_UM, LENS), size))
    blurred = moments(renderer.render(View(Z_UM + side * away_um, LENS), size))
    diameter = away_um * LENS.blur_px_per_um / pitch
    # a uniform disc of diameter d has the variance d^2 / 16 along an axis
    assert 4 * np.sqrt(max(blurred[3] - sharp[3], 0.0)) == pytest.approx(diameter, rel=0.04, abs=0.05)
    scale = 1.0 / LENS.shrink(np.float32(Z_UM) * np.ones(1, np.float32), Z_UM + side * away_um)[0]
    assert blurred[0] / sharp[0] == pytest.approx(scale**2, rel=2e-3), "light is lost or made"


@given(st.floats(-80, 80), st.floats(-60, 60), st.floats(-150, 150))
@settings(max_examples=10, deadline=None)
def test_a_point_is_drawn_where_the_entrance_pupil_sees_it(dx: float, dy: float, away_um: float) -> None:
    renderer = Renderer(scene(dot(dx, dy)))
    _, x, y, _ = moments(renderer.render(View(Z_UM - away_um, LENS), SIZE))
    distance = LENS.pupil_distance_um
    scale = distance / (distance + away_um)
    assert (x, y) == pytest.approx((dx * scale, dy * scale), abs=0.03)


def test_vibration_and_bumps_move_the_picture() -> None:
    renderer = Renderer(scene(dot()))
    _, x, y, _ = moments(renderer.render(View(Z_UM, LENS, path_px=np.array([[3.25, -1.5]])), SIZE))
    assert (x, y) == pytest.approx((3.25, -1.5), abs=0.02)
    _, x, y, _ = moments(renderer.render(View(Z_UM, LENS, subject_shift_um=(20.0, -8.0)), SIZE))
    assert (x, y) == pytest.approx((10.0, -4.0), abs=0.02)  # two micrometres a pixel


def test_a_shake_smears_along_its_direction() -> None:
    renderer = Renderer(scene(dot()))
    still = renderer.render(View(Z_UM, LENS), SIZE)[..., 1]
    shaken = renderer.render(View(Z_UM, LENS, path_px=line(8.0, 0.0)), SIZE)[..., 1]
    rows, columns = (np.arange(n) - (n - 1) / 2 for n in shaken.shape)
    across = [(picture.sum(axis=1) * rows**2).sum() / picture.sum() for picture in (still, shaken)]
    along = [(picture.sum(axis=0) * columns**2).sum() / picture.sum() for picture in (still, shaken)]
    assert across[1] == pytest.approx(across[0], abs=0.02)
    assert along[1] - along[0] == pytest.approx(64 / 12, rel=0.1)


def half_plane(z_um: float, brightness: float) -> Layer:
    cover = np.zeros(CANVAS.shape, dtype=np.float32)
    cover[:, : CANVAS.columns // 2] = 1.0
    return layer(np.full(CANVAS.shape, brightness, dtype=np.float32), cover, z_um)


def test_a_blurred_foreground_spreads_over_a_sharp_background() -> None:
    behind = layer(np.full(CANVAS.shape, 0.2, np.float32), np.ones(CANVAS.shape, np.float32), Z_UM)
    picture = Renderer(scene(behind, half_plane(Z_UM - 160, 0.8))).render(View(Z_UM, LENS), SIZE)
    profile = picture[128, :, 1]
    radius = 0.5 * 160 * LENS.blur_px_per_um
    edge = SIZE[0] // 2
    assert profile[edge - int(2 * radius)] == pytest.approx(0.8, abs=0.01)
    assert profile[edge + int(2 * radius)] == pytest.approx(0.2, abs=0.01)
    assert profile[edge - 1 : edge + 1].mean() == pytest.approx(0.5, abs=0.03)
    for pixel in (edge - 6, edge - 3, edge + 2, edge + 5):
        beyond = (pixel - (SIZE[0] - 1) / 2) / radius
        seen = (np.arccos(beyond) - beyond * np.sqrt(1 - beyond**2)) / np.pi  # segment of the disc that sees the front
        assert profile[pixel] == pytest.approx(0.2 + 0.6 * seen, abs=0.015)


def test_a_sharp_foreground_hides_a_blurred_background() -> None:
    bright_spot = dot(-60.0)
    picture = Renderer(scene(bright_spot, half_plane(Z_UM - 200, 0.3))).render(View(Z_UM - 200, LENS), SIZE)
    assert picture[:, : SIZE[0] // 2 - 3, 1] == pytest.approx(0.3, abs=0.002)


def test_layers_at_other_depths_shift_against_each_other() -> None:
    renderer = Renderer(scene(dot(100.0), half_plane(Z_UM - 400, 0.3)))

    def edge_and_spot(position_um: float) -> tuple[float, float]:
        profile = renderer.render(View(position_um, LENS, sharp=True), SIZE)[128, :, 1]
        spot = profile[SIZE[0] // 2 + 60 :].astype(np.float64)
        return float(profile[: SIZE[0] // 2 + 40].sum() / 0.3), float((spot * np.arange(spot.size)).sum() / spot.sum())

    (near_edge, near_spot), (far_edge, far_spot) = edge_and_spot(Z_UM - 400), edge_and_spot(Z_UM)
    # the spot, 100 px off the axis, wanders by 100 * 400 / 150000; the edge lies on the axis
    assert far_spot - near_spot == pytest.approx(100 * 400 / 150_000, abs=0.03)
    assert far_edge == pytest.approx(near_edge, abs=0.05)


@pytest.fixture(scope="module")
def specimen() -> Scene:
    return build(read_description(None), LENS, SIZE, seed=3)


@pytest.mark.parametrize("position_um", [500.0, 1000.0])
def test_a_live_frame_is_the_still_made_smaller(specimen: Scene, position_um: float) -> None:
    view = View(position_um, LENS)
    still = Renderer(specimen).render(view, SIZE)
    small = Renderer(specimen, 2.0).render(view, (SIZE[0] // 2, SIZE[1] // 2))
    averaged = still.reshape(SIZE[1] // 2, 2, SIZE[0] // 2, 2, 3).mean(axis=(1, 3))
    assert np.sqrt(np.mean((small - averaged) ** 2)) < 0.012
    assert abs(float(small.mean() - averaged.mean())) < 0.002


def test_far_out_of_focus_the_picture_is_smooth_and_as_bright(specimen: Scene) -> None:
    renderer = Renderer(specimen)
    sharp = renderer.render(View(specimen.middle_um, LENS, sharp=True), SIZE)
    nothing = renderer.render(View(-15_000.0, LENS), SIZE)
    assert nothing.shape == sharp.shape
    assert nothing.std() < 0.35 * sharp.std()
    assert nothing.mean() == pytest.approx(sharp.mean(), rel=0.2)


@pytest.mark.parametrize("lens", [LENS, Lens(magnification=8.0, f_number=8.5)], ids=["defocus", "diffraction"])
def test_drawing_at_a_quarter_of_the_size_does_not_show(specimen: Scene, lens: Lens) -> None:
    view = View(specimen.near_um - 600.0 if lens is LENS else specimen.middle_um, lens)
    quick = Renderer(specimen).render(view, SIZE)
    slow = Renderer(specimen, coarsen=False).render(view, SIZE)
    assert not np.array_equal(quick, slow)
    assert np.abs(quick - slow)[16:-16, 16:-16].max() < 0.02


def test_depth_is_that_of_the_foremost_layer() -> None:
    two = scene(dot(), half_plane(Z_UM - 200, 0.3))
    depth = Renderer(two).depth(View(Z_UM, LENS), SIZE)
    assert depth.dtype == np.float32
    assert (depth[:, : SIZE[0] // 2 - 2] == Z_UM - 200).all()
    assert (depth[:, SIZE[0] // 2 + 2 :] == Z_UM).all()


@pytest.mark.parametrize("size", [(64, 64), (97, 131), (130, 66), (129, 64), (64, 129)])
def test_any_size_is_drawn_round_the_same_axis(specimen: Scene, size: tuple[int, int]) -> None:
    view = View(900.0, LENS)
    whole = Renderer(specimen).render(view, (size[0] + 60, size[1] + 60))
    part = Renderer(specimen).render(view, size)
    assert part.shape == (size[1], size[0], 3)
    middle = (slice(12, -12), slice(12, -12))
    assert np.abs(whole[30:-30, 30:-30] - part)[middle].max() < 0.06
    assert np.sqrt(np.mean((whole[30:-30, 30:-30] - part)[middle] ** 2)) < 0.004
