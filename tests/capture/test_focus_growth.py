"""Growth of blur and places of focus, from pictures blurred here by discs of known diameter."""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from capture.depth_of_field import Optics, depth_of_field
from capture.errors import FocusError, OverexposedError, UsageError
from capture.focus.bands import BandEnergies
from capture.focus.defocus import energy_of, fit_defocus
from capture.focus.depths import Depths, match_depths, standing
from capture.focus.growth import Growth, find_tops
from capture.focus.range import find_range
from capture.focus.region import Region
from capture.focus.step import StillOptics, conclude, measure_step
from capture.focus.structure import noise_variance, structured_share
from capture.focus.sweep import sweep

F32 = NDArray[np.float32]
FINE = 6  # the discs are drawn on a finer grid


@cache
def disc(diameter_px: float) -> F32:
    """A uniform disc of `diameter_px`, which sums to one."""
    reach = int(np.ceil(diameter_px / 2)) + 1
    axis = np.arange(-reach * FINE - FINE // 2, reach * FINE + FINE // 2 + FINE % 2 + 1)[: (2 * reach + 1) * FINE]
    inside = np.hypot(axis[:, None], axis[None, :]) <= max(diameter_px, 0.9) * FINE / 2
    size = 2 * reach + 1
    kernel = inside.reshape(size, FINE, size, FINE).sum(axis=(1, 3)).astype(np.float32)
    return np.asarray(kernel / kernel.sum(), np.float32)


def blurred(picture: F32, diameter_px: float) -> F32:
    """`picture` seen through a uniform disc of `diameter_px`."""
    return np.asarray(cv2.filter2D(picture, cv2.CV_32F, disc(diameter_px), borderType=cv2.BORDER_REFLECT), np.float32)


def texture(seed: int, shape: tuple[int, int] = (240, 320)) -> F32:
    """Noise with the spectrum of natural pictures, mean 0.3."""
    rng = np.random.default_rng(seed)
    radius = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    radius[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) / radius
    plane = np.fft.irfft2(spectrum, shape)
    return np.asarray(0.3 + 0.06 * plane / plane.std(), np.float32)


class Scene:
    """A `View` of a tilted, textured plane: near at the left, far at the right; as bright as `ground` where `bare` says so."""

    def __init__(
        self,
        seed: int,
        growth: float,
        near: float,
        far: float,
        *,
        noise: float = 0.002,
        bare: float = 0.0,
        ground: float = 0.3,
        shape: tuple[int, int] = (240, 320),
    ) -> None:
        self.growth, self.near, self.far, self.noise = growth, near, far, noise
        self.limits = (-20_000.0, 20_000.0)
        self.resolution = 0.5
        self.here = (near + far) / 2
        self.seen: list[float] = []
        self._rng = np.random.default_rng(seed)
        self._picture = texture(seed, shape)
        self._picture[: round(bare * len(self._picture))] = ground
        self._strips = 8
        self.light = 1.0

    def frame(self, position: float) -> tuple[float, F32]:
        self.here = round(position / self.resolution) * self.resolution
        self.seen.append(self.here)
        return self.here, self.again()

    def again(self) -> F32:
        columns = self._picture.shape[1]
        out = np.empty_like(self._picture)
        depths = np.linspace(self.near, self.far, self._strips)
        edges = np.linspace(0, columns, self._strips + 1).astype(int)
        for depth, left, right in zip(depths, edges[:-1], edges[1:], strict=True):
            diameter = min(self.growth * abs(self.here - depth), 40.0)
            reach = int(np.ceil(diameter / 2)) + 2
            first, last = max(left - reach, 0), min(right + reach, columns)
            out[:, left:right] = blurred(self._picture[:, first:last], diameter)[:, left - first : right - first]
        flicker = 1 + 0.02 * self._rng.standard_normal()
        seen = out * flicker * self.light + self.noise * self._rng.standard_normal(out.shape)
        return np.asarray(np.minimum(seen, 1.0), np.float32)


@settings(max_examples=40, deadline=None)
@given(
    growth=st.floats(0.02, 0.2),
    centre=st.floats(-20.0, 20.0),
    height=st.floats(0.01, 100.0),
)
def test_the_fit_recovers_the_law_it_is_given(growth: float, centre: float, height: float) -> None:
    positions = np.linspace(-100, 100, 41)
    curve = height * energy_of((np.pi * 0.1 * growth * (positions - centre)) ** 2)
    fit = fit_defocus(positions, curve[:, None], 0.1)
    assert fit.growth[0] == pytest.approx(growth, rel=0.02)
    assert fit.centre[0] == pytest.approx(centre, abs=0.5)
    assert fit.explained[0] > 0.999


@pytest.mark.parametrize(("seed", "growth", "scale"), [(1, 0.05, 1.0), (2, 0.4, 2.0), (3, 0.012, 4.0)])
def test_growth_is_measured_in_pixels_of_the_still(seed: int, growth: float, scale: float) -> None:
    scene = Scene(seed, growth, 0.0, 6.0 / growth)
    estimate = measure_step(scene, scale, 0.3)
    assert estimate.blur_px_per_um == pytest.approx(growth * scale, rel=0.15)
    assert estimate.confidence > 0.5
    assert estimate.dof_um == pytest.approx(4 / (growth * scale), rel=0.15)
    assert estimate.step_um == pytest.approx(0.7 * estimate.dof_um)


@settings(max_examples=60, deadline=None)
@given(m=st.floats(0.3, 12.0), f_number=st.floats(1.4, 22.0), pixel=st.floats(2.0, 9.0), error=st.floats(-0.1, 0.1))
def test_the_wave_part_follows_from_growth_and_the_stills_aperture(
    m: float, f_number: float, pixel: float, error: float
) -> None:
    optics = Optics(m, f_number, coc_um=2 * pixel)
    truth = depth_of_field(optics)
    growth = Growth(4 / truth.geometric_um * (1 + error), 1.0, 0.0, 100)
    told = conclude(growth, 1.0, 0.3, None, 28, StillOptics(f_number, pixel))
    assert told.formula is None
    assert told.dof_um == pytest.approx(truth.total_um, rel=0.25 if error else 1e-6)
    assert any(f"f/{f_number:g}" in note for note in told.notes)
    silent = conclude(growth, 1.0, 0.3, None, 28)
    assert silent.dof_um == pytest.approx(truth.geometric_um / (1 + error))
    assert any("too small" in note for note in silent.notes)


@settings(max_examples=60, deadline=None)
@given(
    m=st.floats(0.5, 10.0),
    f_number=st.floats(2.8, 16.0),
    errors=st.floats(0.5, 2.0).flatmap(lambda error: st.sampled_from([(error, 1.0), (1.0, error)])),
)
def test_optics_that_were_entered_wrong_never_make_the_step_too_large(
    m: float, f_number: float, errors: tuple[float, float]
) -> None:
    truth = depth_of_field(Optics(m, f_number, coc_um=8.0))
    m_error, f_error = errors
    entered = depth_of_field(Optics(m * m_error, f_number * f_error, coc_um=8.0))
    told = conclude(Growth(4 / truth.geometric_um, 1.0, 0.0, 100), 1.0, 0.3, entered, 28)
    assert told.dof_um is not None
    if abs(math.log(truth.geometric_um / entered.geometric_um)) > 0.15:
        assert told.dof_um <= truth.total_um * (1 + 1e-6)
        assert any("check the magnification" in note for note in told.notes)


@settings(max_examples=60, deadline=None)
@given(m=st.floats(0.5, 10.0), f_number=st.floats(2.8, 16.0), error=st.floats(0.65, 1.5), pupil=st.floats(0.5, 2.0))
def test_a_magnification_entered_wrong_is_made_good_where_the_still_names_the_f_number(
    m: float, f_number: float, error: float, pupil: float
) -> None:
    truth = depth_of_field(Optics(m, f_number, pupil, coc_um=8.0))
    entered = Optics(m * error, f_number, pupil, coc_um=8.0)
    formula, growth = depth_of_field(entered), Growth(4 / truth.geometric_um, 1.0, 0.0, 100)
    told = conclude(growth, 1.0, 0.3, formula, 28, StillOptics(f_number, 4.0), entered)
    assert told.dof_um is not None
    if abs(math.log(truth.geometric_um / formula.geometric_um)) > 0.15:
        assert told.dof_um == pytest.approx(truth.total_um, rel=1e-6)
        assert any(f"magnification of {m:.2f}" in note for note in told.notes)
    other = conclude(growth, 1.0, 0.3, formula, 28, StillOptics(1.4 * f_number, 4.0), entered)
    assert other.dof_um is not None
    if truth.geometric_um < formula.geometric_um:
        assert other.dof_um <= told.dof_um * (1 + 1e-6), "which of the two is wrong is not known"


@pytest.mark.parametrize("formula", [True, False])
def test_where_nothing_shows_the_carriage_is_not_sent_far(formula: bool) -> None:
    scene = Scene(8, 0.1, 0.0, 100.0, bare=1.0)
    optics = Optics(2.0, 4.0, coc_um=8.0) if formula else None
    found = measure_step(scene, 1.0, 0.3, optics)
    assert found.blur_px_per_um is None
    assert any("farther away it is not searched for" in note for note in found.notes)
    assert abs(scene.here - 50.0) > 1000
    with pytest.raises(FocusError):
        find_range(scene, 0.1, begun=50.0)
    assert max(abs(place - 50.0) for place in scene.seen) <= 4400


@pytest.mark.parametrize(("seed", "growth", "width"), [(4, 0.1, 300.0), (5, 0.03, 1500.0), (6, 0.3, 20.0)])
def test_the_range_ends_where_the_texture_ends(seed: int, growth: float, width: float) -> None:
    scene = Scene(seed, growth, -0.4 * width, 0.6 * width, bare=0.3)
    scene.here = 0.1 * width
    dof = 4 / growth
    found = find_range(scene, growth, dof=dof)
    assert found.near == pytest.approx(-0.4 * width, abs=dof / 2)
    assert found.far == pytest.approx(0.6 * width, abs=dof / 2)
    assert scene.limits[0] <= min(scene.seen)
    assert max(scene.seen) <= scene.limits[1]
    assert (
        found.near_between[0]
        <= found.near
        <= found.near_between[1]
        < found.far_between[0]
        <= found.far
        <= found.far_between[1]
    )
    # the surer, the less an end moves with what thin things count for
    assert find_range(scene, growth, dof=dof / 100).confidence < found.confidence


def test_the_range_goes_on_from_the_sweep_that_told_the_step() -> None:
    scene = Scene(12, 0.1, -150.0, 250.0)
    step = measure_step(scene, 1.0, 0.3)
    assert step.seen is not None
    assert step.blur_px_per_um is not None
    looked = len(scene.seen)
    found = find_range(scene, step.blur_px_per_um, dof=40.0, seen=step.seen)
    assert found.near == pytest.approx(-150.0, abs=20.0)
    assert found.far == pytest.approx(250.0, abs=20.0)
    anew = len(scene.seen) - looked
    assert anew == found.frames
    assert all(abs(here - place) > 1.0 for here in scene.seen[looked:] for place in step.seen.positions)
    assert anew < 15


def test_the_range_is_looked_for_inside_the_limits_only() -> None:
    scene = Scene(7, 0.1, -300.0, 300.0)
    scene.limits = (-100.0, 100.0)
    found = find_range(scene, 0.1)
    assert -100 <= min(scene.seen) < max(scene.seen) <= 100
    assert -100 <= found.near < found.far <= 100
    assert any("beyond what was looked at" in note for note in found.notes)


def test_a_region_limits_what_is_looked_at() -> None:
    scene = Scene(8, 0.1, 0.0, 600.0)
    found = find_range(scene, 0.1, region=Region(0.0, 0.0, 0.375, 1.0))
    assert found.far < 300


def test_a_scene_without_texture_is_refused_and_named() -> None:
    scene = Scene(9, 0.1, 0.0, 100.0, bare=1.0)
    scene.limits = (-500.0, 500.0)
    estimate = measure_step(scene, 1.0, 0.3)
    assert estimate.blur_px_per_um is None
    assert estimate.confidence == 0
    assert any("nothing could be measured" in note for note in estimate.notes)
    with pytest.raises(FocusError, match="texture"):
        find_range(scene, 0.1)


def test_light_that_clips_is_named_at_the_first_frame() -> None:
    scene = Scene(9, 0.1, 0.0, 100.0)
    scene.light = 5.0
    estimate = measure_step(scene, 1.0, 0.3)
    assert estimate.confidence == 0
    assert any("shorten the exposure" in note for note in estimate.notes)
    with pytest.raises(OverexposedError, match="clipped white"):
        find_range(scene, 0.1)
    assert len(scene.seen) == 2


def test_a_subject_before_a_ground_that_clips_is_measured() -> None:
    scene = Scene(9, 0.1, 0.0, 100.0, bare=0.7, ground=3.0)
    said: list[str] = []
    assert measure_step(scene, 1.0, 0.3, say=said.append).blur_px_per_um == pytest.approx(0.1, rel=0.2)
    assert [index for index, text in enumerate(said) if "is clipped white" in text] == [1], "after the first sweep"
    found = find_range(scene, 0.1)
    assert (found.near, found.far) == (pytest.approx(0.0, abs=15.0), pytest.approx(100.0, abs=15.0))


@pytest.mark.parametrize(("noise", "looks"), [(0.0015, 1), (0.006, 3), (0.03, 6)])
def test_noisy_frames_are_looked_at_several_times(noise: float, looks: int) -> None:
    scene = Scene(11, 0.1, 0.0, 100.0, noise=noise)
    taken = sweep(scene, np.linspace(0.0, 100.0, 6))
    single = np.max([taken.bands.noise(scene.again(), scene.again()) for _ in range(3)], axis=0)
    assert taken.noise.mean() == pytest.approx(single.mean() / looks, rel=0.15)


def test_a_region_of_a_few_pixels_is_refused() -> None:
    with pytest.raises(FocusError, match="live pixels"):
        sweep(Scene(10, 0.1, 0.0, 100.0), np.arange(5.0), Region(0.0, 0.0, 0.1, 0.1))


@settings(max_examples=50, deadline=None)
@given(centre=st.floats(-30.0, 30.0), gaps=st.lists(st.floats(4.0, 12.0), min_size=16, max_size=30))
def test_tops_lie_between_uneven_frames(centre: float, gaps: list[float]) -> None:
    positions = np.cumsum(gaps) - sum(gaps) / 2
    curve = np.exp(-(((positions - centre) / 15.0) ** 2)).astype(np.float32)
    found = find_tops(positions, curve[:, None, None], np.full((1, 1), 1e-7, np.float32))
    inside = positions[1] < centre < positions[-2]
    if inside:
        assert found.position[0, 0] == pytest.approx(centre, abs=1.0)


FREQUENCIES = (0.06, 0.13, 0.27)


def curves(positions: NDArray[np.float64], depth: float, growth: float) -> F32:
    """Energies of one textured block, shape (frames, bands)."""
    return np.stack([energy_of((np.pi * f * growth * (positions - depth)) ** 2) for f in FREQUENCIES], axis=1).astype(
        np.float32
    )


@settings(max_examples=30, deadline=None)
@given(growth=st.floats(0.05, 0.5), near=st.floats(-6, 2), seed=st.integers(0, 99))
def test_depths_are_matched_through_noise(growth: float, near: float, seed: int) -> None:
    spacing = 2.5 / growth
    positions = spacing * np.arange(-10.0, 11.0)
    depths = (near + 0.2 * np.arange(16.0)) * spacing
    energies = np.stack([curves(positions, depth, growth) for depth in depths], axis=2)[..., None].repeat(5, axis=3)
    rng = np.random.default_rng(seed)
    noisy = energies * rng.uniform(0.85, 1.15, energies.shape) + 0.01 * rng.chisquare(6, energies.shape) / 6
    found = match_depths(positions, noisy, np.full(energies.shape[1:], 0.01), FREQUENCIES, growth)
    assert found.textured == depths.size * 5
    assert np.nanmedian(np.abs(found.position - depths[:, None])) < 0.15 * spacing
    assert np.isfinite(found.position).mean() > 0.95


def test_what_is_in_focus_beyond_the_sweep_is_said_to_be() -> None:
    positions = np.arange(0.0, 100.0, 10.0)
    rows = np.stack([curves(positions, depth, 0.2) for depth in (-8.0, 45.0, 112.0)], axis=2)
    energies = rows[..., None].repeat(5, axis=3)
    found = match_depths(positions, energies, np.full(energies.shape[1:], 1e-4), FREQUENCIES, 0.2)
    assert (found.beyond_near, found.beyond_far) == (5, 5)
    assert found.position[1, 1:4] == pytest.approx(45.0, abs=0.5)
    assert np.isfinite(found.position).sum() == 3  # the others have no two neighbours


def test_the_skirts_of_a_hair_are_not_texture() -> None:
    position = np.full((20, 20), 50.0)
    energy = np.full((20, 20), 0.01)
    energy[:, 10] = 1.0
    found = standing(Depths(position, 5.0, 0, 0, 400), energy)
    assert found[:, 10].all()
    assert not found[:, [6, 7, 8, 9, 11, 12, 13, 14]].any()
    assert found[:, :6].all()
    position[:, :10] = 500.0  # ground with texture of its own, behind the hair
    assert standing(Depths(position, 5.0, 0, 0, 400), energy)[:, :11].all()


def test_the_share_with_structure_knows_noise_and_brightness() -> None:
    rng = np.random.default_rng(8)
    light = np.full((120, 160), 0.3, np.float32)
    light[:, 80:] *= np.asarray(np.exp(0.2 * rng.standard_normal((120, 80))), np.float32)

    def frame(flicker: float) -> F32:
        return np.asarray(flicker * light + 0.003 * rng.standard_normal(light.shape), np.float32)

    noise = noise_variance(frame(1.0), frame(1.04))
    share = structured_share(frame(0.98), noise, 4)
    assert share.shape == (30, 40)
    assert share[:, 21:].mean() > 0.95
    assert share[:, :19].mean() < 0.02


@pytest.mark.parametrize(
    ("text", "region"),
    [
        (None, Region()),
        ("0.25,0.25,0.5,0.5", Region(0.25, 0.25, 0.5, 0.5)),
        ("10% 20% 30% 40%", Region(0.1, 0.2, 0.3, 0.4)),
    ],
)
def test_regions_are_shares_of_the_frame(text: str | None, region: Region) -> None:
    from capture.app.focus_options import parse_region

    found = parse_region(text)
    assert (found.x, found.y, found.width, found.height) == pytest.approx(
        (region.x, region.y, region.width, region.height)
    )


@pytest.mark.parametrize("text", ["", "1,2,3", "0,0,2,1", "-0.1,0,1,1", "a,b,c,d", "0.5,0.5,0,0", "nan,0,1,1"])
def test_other_regions_are_refused(text: str) -> None:
    from capture.app.focus_options import parse_region

    with pytest.raises(UsageError, match="region"):
        parse_region(text)


@pytest.mark.parametrize("shape", [(150, 220), (401, 603), (48, 60)])
def test_each_band_sees_its_own_frequency_with_its_true_energy(shape: tuple[int, int]) -> None:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    frequencies = (0.06, 0.13, 0.27)
    bands = BandEnergies(shape, frequencies)
    for own, frequency in enumerate(frequencies):
        wave = 0.4 * (1 + 0.3 * np.cos(2 * np.pi * frequency * (0.8 * columns + 0.6 * rows)))
        found = bands.measure(np.asarray(wave, np.float32))
        inner = found[:, 3:-3, 3:-3] if min(shape) > 100 else found[:, 2:-2, 2:-2]
        middle = np.median(inner, axis=(1, 2))
        assert middle[own] == pytest.approx(0.045, rel=0.08)
        assert all(middle[k] < 0.1 * middle[own] for k in range(3) if k != own)
