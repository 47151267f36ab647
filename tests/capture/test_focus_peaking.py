"""What lights up in live view: what is in focus, and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from capture.bench.imager import SceneImager, SceneOptions
from capture.bench.interfaces import CarriageSample, ExposureSettings
from capture.bench.render import Renderer, View
from capture.camera.protocol import LiveFrame
from capture.errors import CameraError
from capture.focus.peaking import Peaking, Zones
from capture.focus.peaking_stream import peaked_frames
from capture.focus.peaking_view import FAR, NEAR, draw_peaking
from stacking.focus_measure import BLOCK_PX, block_focus

Gray = NDArray[np.uint8]


def texture(seed: int = 1, blur_px: float = 0.7, contrast: float = 30.0, shape: tuple[int, int] = (160, 240)) -> Gray:
    rng = np.random.default_rng(seed)
    # patches of one brightness each: edges, as things have them
    small = rng.normal(size=(shape[0] // 5 + 1, shape[1] // 5 + 1)).astype(np.float32)
    large = cv2.resize(small, None, fx=5, fy=5, interpolation=cv2.INTER_NEAREST)[: shape[0], : shape[1]]
    return as_gray(120 + contrast * cv2.GaussianBlur(large, (0, 0), blur_px))


def as_gray(levels: NDArray[np.floating]) -> Gray:
    return np.asarray(np.clip(np.rint(levels), 0, 255), np.uint8)


def noisy(gray: Gray, sigma: float, seed: int) -> Gray:
    return as_gray(gray + np.random.default_rng(seed).normal(0, sigma, gray.shape))


def as_jpeg(gray: Gray, quality: int) -> Gray:
    _, data = cv2.imencode(".jpg", gray, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def test_blur_lowers_the_ratio_and_contrast_does_not() -> None:
    ratios = [float(np.median(block_focus(texture(blur_px=blur)).ratio(0.0))) for blur in (0.6, 1.2, 2.5, 5.0)]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] > 2.3 > 1.5 > ratios[-1]
    weak, strong = (block_focus(texture(blur_px=1.0, contrast=contrast)).ratio(0.3) for contrast in (12.0, 36.0))
    assert float(np.median(weak / strong)) == pytest.approx(1.0, abs=0.1)


def test_the_edges_of_jpeg_blocks_are_no_detail() -> None:
    blocks = np.random.default_rng(2).integers(100, 140, (20, 30)).astype(np.float64)
    gray = as_gray(np.kron(blocks, np.ones((BLOCK_PX, BLOCK_PX))))
    assert float(block_focus(gray).fine.max()) == 0.0
    blurred = texture(blur_px=6.0)
    assert (Peaking().look(as_jpeg(blurred, 30)).strength > 0).mean() < 0.01


@pytest.mark.parametrize("sigma", [1.0, 3.0, 6.0])
def test_noise_does_not_light_up(sigma: float) -> None:
    peaking, flat = Peaking(), np.full((160, 240), 120, np.uint8)
    for seed in range(4):
        peaks = peaking.look(noisy(flat, sigma, seed))
    assert peaks.sigma == pytest.approx(sigma, rel=0.15)
    assert peaks.share < 0.005


def test_noise_energy_is_taken_off() -> None:
    focus = block_focus(noisy(np.full((320, 480), 120, np.uint8), 4.0, 1))
    assert float(focus.fine.mean()) == pytest.approx(4 * 16.0, rel=0.03)
    assert float(focus.energy(4.0).mean()) < 0.1 * float(focus.energy(0.0).mean()) + 0.1


def test_flicker_changes_nothing() -> None:
    peaking, gray = Peaking(), texture(blur_px=1.0)
    peaking.look(noisy(gray, 0.5, 1))
    plain = peaking.look(gray)
    darker = peaking.look(as_gray(gray * 0.8))
    assert ((plain.strength > 0) == (darker.strength > 0)).mean() > 0.95
    assert darker.sharpness == pytest.approx(plain.sharpness, rel=0.1)


def test_clipped_and_featureless_blocks_are_not_judged() -> None:
    gray = texture(blur_px=0.6)
    gray[:, :80] = np.where(texture(2, 0.6)[:, :80] > 120, 255, 200)
    gray[:, 160:] = 90
    peaks = Peaking().look(gray)
    assert peaks.clipped[:, :9].mean() > 0.9
    assert not peaks.strength[:, :9][peaks.clipped[:, :9]].any()
    assert not peaks.textured[:, 21:].any()
    assert peaks.strength[:, 11:19].mean() > 0.3


def test_a_frame_of_another_size_starts_anew() -> None:
    peaking = Peaking(Zones(0.0, 10.0, 5.0))
    peaking.look(texture(), 0.0)
    peaks = peaking.look(texture(shape=(80, 120)), 1.0)
    assert peaks.strength.shape == (10, 15)
    assert peaks.best_position == 1.0


@pytest.fixture(scope="module")
def imager() -> SceneImager:
    return SceneImager(SceneOptions(seed=3, sensor_px=(720, 480), live_scale=2.0, settle_time_s=0.0))


def live(imager: SceneImager, position: float, number: int = 1) -> bytes:
    exposure = ExposureSettings(100, 1 / 60, imager.lens.f_number)
    return imager.live_jpeg(exposure, at=CarriageSample(position, 99.0, moving=False), frame=number)


def decoded(jpeg: bytes) -> Gray:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)


def test_what_lights_up_on_the_bench_is_in_focus(imager: SceneImager) -> None:
    truth = imager.truth()
    assert truth.near_um is not None
    assert truth.far_um is not None
    place = truth.near_um + 0.45 * (truth.far_um - truth.near_um)
    peaks = Peaking().look(decoded(live(imager, place)), place)
    depth = Renderer(imager.scene, 2.0).depth(View(place, imager.lens), imager.live_px)
    blur = np.abs(depth - place) * np.float32(imager.lens.blur_px_per_um / 2.0)
    down, across = peaks.strength.shape
    blur = cv2.resize(blur[: down * 8, : across * 8], (across, down), interpolation=cv2.INTER_AREA)
    lit = peaks.strength > 0
    assert (lit & peaks.textured)[peaks.textured & (blur < 1.5)].mean() > 0.85
    assert (blur[lit] < 6.0).mean() > 0.75
    assert peaks.strength[blur < 1.0].mean() > peaks.strength[(blur > 3) & (blur < 5)].mean()
    away = truth.near_um - (truth.far_um - truth.near_um)
    assert Peaking().look(decoded(live(imager, away)), away).share < 0.002


def test_ends_are_marked_once_they_were_passed(imager: SceneImager) -> None:
    truth = imager.truth()
    assert truth.near_um is not None
    assert truth.far_um is not None
    dof = 4 / imager.lens.blur_px_per_um
    zones = Zones(truth.near_um + dof, truth.far_um - dof, 0.7 * dof, dof)
    peaking = Peaking(zones)
    assert not peaking.look(decoded(live(imager, truth.near_um - 400)), truth.near_um - 400).near.any()
    for number, place in enumerate(np.arange(truth.near_um - dof, truth.far_um + 2 * dof, 0.8 * dof)):
        peaks = peaking.look(decoded(live(imager, float(place), number)), float(place))
    assert peaks.near.any()
    assert peaks.far.any()
    assert not (peaks.near & peaks.far).any()
    back = truth.near_um + 0.5 * (truth.far_um - truth.near_um)
    frame = cv2.imdecode(np.frombuffer(live(imager, back, 99), np.uint8), cv2.IMREAD_COLOR)
    peaks = peaking.look(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8), back)
    assert peaks.following.any()
    assert (peaks.overlap & (peaks.strength > 0)).any()
    assert peaks.best_position is not None
    drawn = draw_peaking(np.asarray(frame, np.uint8), peaks, zones)
    assert drawn.shape == frame.shape
    for color in (NEAR, FAR):
        assert (drawn == np.array(color, np.uint8)).all(axis=2).sum() > 20


def test_the_stream_gives_pictures_and_numbers(imager: SceneImager) -> None:
    jpeg = live(imager, 400.0)
    frames = [LiveFrame(b"broken", 0.5), *(LiveFrame(jpeg, float(k)) for k in (1, 2, 3))]
    found = list(peaked_frames(iter(frames), Peaking(), lambda: 7.5))
    assert [frame.number for frame in found] == [1, 2, 3]
    assert [frame.facts["arrived_s"] for frame in found] == [1.0, 2.0, 3.0]
    assert found[0].facts["position_um"] == 7.5
    assert decoded(found[0].jpeg()).shape == decoded(jpeg).shape
    with pytest.raises(CameraError, match="cannot be read"):
        list(peaked_frames(iter([LiveFrame(b"broken", 0.0)] * 20), Peaking()))
