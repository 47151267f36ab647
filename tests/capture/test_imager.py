"""The simulated imager as the camera body uses it: determinism, exposure, noise, faults, truth."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import rawpy
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from capture.bench.imager import SceneImager, SceneOptions
from capture.bench.interfaces import CarriageSample, ExposureSettings, Faulty, Imager
from capture.bench.sensor import BLACK_LEVEL, WHITE_LEVEL, Sensor
from capture.errors import ConfigurationError

OPTIONS = SceneOptions(sensor_px=(240, 160), seed=4, flicker=0.0, settle_time_s=0.4)
BASE = ExposureSettings(iso=100, shutter_s=1 / 60, f_number=2.8)
TAKEN = "2026:01:02 03:04:05.678"
GROUND_ONLY = """
[[layer]]
kind = "ground"
depth = [0.2, 1.0]
direction_deg = -60.0
tint = [0.15, 0.17, 0.2]
second_tint = [0.4, 0.33, 0.2]
"""


def at(position_um: float, rest_s: float = math.inf, *, moving: bool = False) -> CarriageSample:
    return CarriageSample(position_um, rest_s, moving)


def mosaic(imager: SceneImager, position_um: float = 800.0, settings: ExposureSettings = BASE) -> NDArray[np.uint16]:
    return imager.expose(settings, at=at(position_um), taken=TAKEN, serial=1).mosaic()


def live(imager: SceneImager, position_um: float = 800.0, **more: int) -> NDArray[np.uint8]:
    data = imager.live_jpeg(BASE, at=at(position_um), frame=more.pop("frame", 1), **more)
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), dtype=np.uint8)


@pytest.fixture(scope="module")
def imager() -> SceneImager:
    return SceneImager(OPTIONS)


@pytest.fixture(scope="module")
def quiet() -> SceneImager:
    return SceneImager(replace(OPTIONS, noise=0.0))


@pytest.fixture(autouse=True)
def no_fault_left(imager: SceneImager, quiet: SceneImager) -> None:
    for each in (imager, quiet):
        for name in each.faults():
            each.clear(name)


def test_it_has_the_seams_of_the_bench(imager: SceneImager) -> None:
    body: Imager = imager
    control_port: Faulty = imager
    assert body.live_jpeg(BASE, at=at(0.0), frame=1)[:2] == b"\xff\xd8"
    assert control_port.faults()


def test_a_repeated_shot_is_the_same_picture(imager: SceneImager) -> None:
    first = imager.expose(BASE, at=at(800.0), taken=TAKEN, serial=1)
    again = imager.expose(BASE, at=at(800.001), taken=TAKEN, serial=7)
    assert first.dng() == again.dng()
    assert first.jpeg() == again.jpeg()


@pytest.mark.parametrize(
    ("position_um", "settings"),
    [(800.02, BASE), (800.0, replace(BASE, shutter_s=1 / 61)), (800.0, replace(BASE, iso=101))],
)
def test_another_position_or_exposure_has_other_noise(
    imager: SceneImager, quiet: SceneImager, position_um: float, settings: ExposureSettings
) -> None:
    def noise(position: float, exposure: ExposureSettings) -> NDArray[np.float64]:
        difference = mosaic(imager, position, exposure).astype(float) - mosaic(quiet, position, exposure)
        return np.asarray(difference.ravel())

    correlation = np.corrcoef(noise(800.0, BASE), noise(position_um, settings))[0, 1]
    assert abs(correlation) < 0.03


@given(
    st.sampled_from([50, 100, 200]),
    st.sampled_from([1 / 250, 1 / 125, 1 / 80]),
    st.sampled_from([2.8, 4.0, 5.6]),
)
@settings(max_examples=10, deadline=None)
def test_brightness_follows_iso_shutter_and_aperture(iso: int, shutter_s: float, f_number: float) -> None:
    sensor = Sensor(pixel_um=4.0, base_f_number=2.8, noise=0.0)
    light = np.full((16, 16, 3), 0.5, dtype=np.float32)
    given_settings = ExposureSettings(iso, shutter_s, f_number)
    value = sensor.mosaic(light, given_settings, np.random.default_rng(0))[0, 1] - BLACK_LEVEL
    factor = iso / 100 * shutter_s * 60 * (2.8 / f_number) ** 2
    assert value == pytest.approx(min(0.5 * factor, 1.0) * (WHITE_LEVEL - BLACK_LEVEL), abs=1.0)


def test_light_of_one_just_reaches_the_white_level() -> None:
    sensor = Sensor(pixel_um=4.0, base_f_number=2.8, noise=0.0)
    green = [
        int(sensor.mosaic(np.full((4, 4, 3), level, np.float32), BASE, np.random.default_rng(0))[0, 1])
        for level in (0.999, 1.0, 1.5)
    ]
    assert green[0] < green[1] == green[2] == WHITE_LEVEL


@pytest.mark.parametrize("iso", [100, 800])
@pytest.mark.parametrize("factor", [0.0, 1.0, 2.0])
def test_photon_and_read_noise(iso: int, factor: float) -> None:
    sensor = Sensor(pixel_um=4.0, base_f_number=2.8, noise=factor)
    settings = ExposureSettings(iso, 1 / 60 * 100 / iso, 2.8)
    values = sensor.mosaic(np.full((200, 200, 3), 0.4, np.float32), settings, np.random.default_rng(1))[0::2, 1::2]
    electrons = 0.4 * sensor.full_well_e * 100 / iso
    relative = factor * math.sqrt(electrons + 3.5**2) / electrons
    measured = values.astype(float).std() / (values.mean() - BLACK_LEVEL)
    assert measured == pytest.approx(relative, rel=0.05, abs=2e-4)


def test_flicker_is_a_factor_on_the_whole_frame() -> None:
    flickering = SceneImager(
        replace(OPTIONS, sensor_px=(64, 64), live_scale=2.0, texture="none", noise=0.0, flicker=0.02)
    )
    levels = np.array([float(mosaic(flickering, 800.0 + k).mean()) - BLACK_LEVEL for k in range(60)])
    assert levels.std() / levels.mean() == pytest.approx(0.02, rel=0.35)
    assert float(mosaic(flickering, 801.0).mean()) - BLACK_LEVEL == levels[1]


def test_shake_after_a_move_dies_away(quiet: SceneImager) -> None:
    def moved(rest_s: float, *, moving: bool = False) -> float:
        shot = quiet.expose(BASE, at=at(800.0, rest_s, moving=moving), taken=TAKEN, serial=1)
        return float(np.abs(shot.mosaic().astype(float) - mosaic(quiet)).mean())

    assert moved(0.0, moving=True) > 5 * moved(0.4)
    assert moved(0.02) > 3 * moved(0.4)
    assert moved(2.0) == 0.0


def test_live_frames_are_smaller_noisy_and_magnified(imager: SceneImager) -> None:
    width, height = imager.live_px
    assert (width, height) == (80, 53)
    one, other, same = live(imager, frame=1), live(imager, frame=2), live(imager, frame=1)
    assert one.shape == (height, width, 3)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    whole = live(SceneImager(replace(OPTIONS, noise=0.0)))
    for magnify in (2, 3, 6):
        large = live(imager, magnify=magnify)
        assert large.shape == (height, width, 3)
        shown = cv2.resize(large, (width // magnify, height // magnify), interpolation=cv2.INTER_AREA)
        top, left = (height - shown.shape[0]) // 2, (width - shown.shape[1]) // 2
        middle = whole[top : top + shown.shape[0], left : left + shown.shape[1]]
        same_place = np.corrcoef(shown[..., 1].ravel(), middle[..., 1].ravel())[0, 1]
        assert same_place > 0.7


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("bump", {"um": 30.0, "shots": 1}),
        ("shake", {"px": 6.0}),
        ("flash_misfire", {"factor": 0.25}),
    ],
)
def test_a_fault_for_one_shot_spoils_one_shot(quiet: SceneImager, name: str, parameters: dict[str, object]) -> None:
    clean = mosaic(quiet)
    quiet.inject(name, parameters)
    assert not np.array_equal(mosaic(quiet), clean)
    assert np.array_equal(mosaic(quiet), clean)


def test_a_bump_stays_until_it_is_cleared_and_shows_in_live_view(quiet: SceneImager) -> None:
    clean, clean_live = mosaic(quiet), live(quiet)
    quiet.inject("bump", {"um": 40.0, "angle_deg": 90.0})
    bumped = [mosaic(quiet) for _ in range(2)]
    assert np.array_equal(bumped[0], bumped[1])
    # forty micrometres are twenty pixels, downwards
    assert np.array_equal(bumped[0][40:140], clean[20:120]) or (
        np.corrcoef(bumped[0][40:140].ravel(), clean[20:120].ravel())[0, 1] > 0.97
    )
    assert not np.array_equal(live(quiet), clean_live)
    quiet.clear("bump")
    assert np.array_equal(mosaic(quiet), clean)


def test_a_misfire_darkens_by_its_factor(quiet: SceneImager) -> None:
    clean = mosaic(quiet).astype(float) - BLACK_LEVEL
    quiet.inject("flash_misfire", {"factor": 0.25, "shots": 2})
    for _ in range(2):
        dark = mosaic(quiet).astype(float) - BLACK_LEVEL
        below = clean < 10_000
        assert dark[below].mean() == pytest.approx(0.25 * clean[below].mean(), rel=0.01)
    assert np.array_equal(mosaic(quiet) - float(BLACK_LEVEL), clean)


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("earthquake", {}, "earthquake"),
        ("bump", {"mm": 1}, "mm"),
        ("bump", {"um": "far"}, "number"),
        ("bump", {"um": True}, "number"),
        ("shake", {"px": -1}, "px"),
        ("shake", {"px": math.nan}, "px"),
        ("shake", {"shots": 1.5}, "whole"),
    ],
)
def test_an_unknown_fault_is_refused(imager: SceneImager, name: str, parameters: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        imager.inject(name, parameters)


def test_every_fault_and_parameter_is_explained(imager: SceneImager) -> None:
    listed = imager.faults()
    assert set(listed) == {"bump", "shake", "flash_misfire"}
    for name, parameters in listed.items():
        assert all("default" in meaning for meaning in parameters.values())
        imager.inject(name, dict.fromkeys(parameters, 1))
        imager.clear(name)
        imager.clear(name)
    with pytest.raises(ValueError, match="earthquake"):
        imager.clear("earthquake")


def test_facts_answer_the_control_port(imager: SceneImager) -> None:
    facts = imager.facts()
    assert facts["magnification"] == 2.0
    assert facts["f_number_effective"] == pytest.approx(8.4)
    assert facts["pixel_um"] == 4.0
    assert facts["wavelength_um"] == 0.55
    assert facts["settle_s"] == 0.4
    near, far = facts["near_um"], facts["far_um"]
    assert near is not None
    assert far is not None
    assert 300 <= near < far <= 1400
    imager.live_jpeg(replace(BASE, f_number=8.0), at=at(0.0), frame=1)
    assert imager.facts()["f_number_effective"] == pytest.approx(24.0)
    shots = facts["shots"]
    assert shots is not None
    mosaic(imager)
    assert imager.facts()["shots"] == shots + 1


def test_nothing_textured_has_no_range() -> None:
    plain = SceneImager(replace(OPTIONS, texture="none"))
    assert plain.facts()["near_um"] is None
    assert plain.facts()["far_um"] is None


def test_range_is_of_textured_depth_only(tmp_path: Path) -> None:
    scene = tmp_path / "scene.toml"
    scene.write_text(
        "[depth]\nnear_um = 0\ndepth_um = 1000\n"
        '[[layer]]\nkind = "ground"\ndepth = [0.9, 1.0]\ntextured = false\n'
        '[[layer]]\nkind = "plate"\ndepth = [0.3, 0.3]\nsize = 0.3\n'
    )
    facts = SceneImager(replace(OPTIONS, scene_file=scene)).facts()
    assert facts["near_um"] == pytest.approx(300.0, abs=1.0)
    assert facts["far_um"] == pytest.approx(300.0, abs=1.0)


def test_truth_is_saved_with_its_depth(imager: SceneImager, tmp_path: Path) -> None:
    picture_path, depth_path = imager.truth().save(tmp_path / "deep" / "er")
    picture, depth = tifffile.imread(picture_path), tifffile.imread(depth_path)
    assert picture.shape == (160, 240, 3)
    assert picture.dtype == np.uint16
    assert depth.shape == (160, 240)
    assert depth.dtype == np.float32
    assert sorted(path.name for path in picture_path.parent.iterdir()) == ["depth.tif", "truth.tif"]
    assert np.array_equal(picture, imager.truth().picture)


def test_what_is_in_focus_is_the_truth(tmp_path: Path) -> None:
    """Frames developed by LibRaw, each point taken from the frame that has it in focus, are the truth to over 40 dB."""
    scene = tmp_path / "scene.toml"
    scene.write_text(GROUND_ONLY)
    imager = SceneImager(replace(OPTIONS, scene_file=scene, sensor_px=(1200, 800)))
    truth = imager.truth()
    middle, distance = imager.scene.middle_um, imager.lens.pupil_distance_um
    y, x = np.mgrid[0:800, 0:1200].astype(np.float32)
    x, y = x - 599.5, y - 399.5
    errors = []
    for position in np.linspace(truth.depth_um.min() + 50, truth.depth_um.max() - 50, 3):
        shot = imager.expose(BASE, at=at(float(position)), taken=TAKEN, serial=1)
        with rawpy.imread(io.BytesIO(shot.dng())) as raw:
            linear = raw.postprocess(
                output_bps=16,
                gamma=(1, 1),
                no_auto_bright=True,
                use_camera_wb=True,
                user_flip=0,
                adjust_maximum_thr=0.0,
            )
        light = linear.astype(np.float32) / 65535
        encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055).astype(np.float32)
        scale = (distance + truth.depth_um - middle) / (distance + truth.depth_um - position)
        seen = cv2.remap(encoded, x * scale + 599.5, y * scale + 399.5, cv2.INTER_CUBIC)
        focused = np.abs(truth.depth_um - position) < 6.0
        focused[:8] = focused[-8:] = focused[:, :8] = focused[:, -8:] = False
        errors.append(((seen - truth.picture / np.float32(65535)) ** 2)[focused].ravel())
    error = np.concatenate(errors)
    assert error.size > 50_000
    assert -10 * math.log10(float(error.mean())) > 40.0


@pytest.mark.parametrize(
    "change",
    [
        {"sensor_px": (241, 160)},
        {"sensor_px": (32, 32)},
        {"live_scale": 0.5},
        {"live_scale": 50.0},
        {"noise": -1.0},
        {"seed": -1},
        {"texture": "furry"},
        {"magnification": 0.0},
        {"f_number": -2.8},
        {"depth_um": 0.0},
    ],
)
def test_options_that_make_no_scene_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SceneImager(replace(OPTIONS, **change))  # type: ignore[arg-type]
    assert caught.value.remedy


@pytest.mark.parametrize("settings", [replace(BASE, iso=0), replace(BASE, shutter_s=math.inf)])
def test_an_exposure_that_cannot_be_is_refused(imager: SceneImager, settings: ExposureSettings) -> None:
    with pytest.raises(ValueError, match="exposure"):
        imager.expose(settings, at=at(0.0), taken=TAKEN, serial=1)
    with pytest.raises(ValueError, match="magnified"):
        imager.live_jpeg(BASE, at=at(0.0), frame=1, magnify=0)


@pytest.mark.parametrize(("magnification", "f_number"), [(0.5, 16.0), (10.0, 2.8), (1.0, 5.6)])
def test_other_optics_draw_too(magnification: float, f_number: float) -> None:
    other = SceneImager(
        replace(OPTIONS, sensor_px=(120, 80), noise=0.0, live_scale=2.0, magnification=magnification, f_number=f_number)
    )
    middle = other.scene.middle_um
    settings = replace(BASE, f_number=f_number)

    def detail(position_um: float) -> float:
        green = mosaic(other, position_um, settings)[0::2, 1::2].astype(float)
        return float(np.diff(green, axis=1).std())

    assert detail(middle) > 2.0 * detail(middle - 40 * other.lens.depth_of_field_um)
