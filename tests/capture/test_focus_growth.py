"""Growth of blur and places of focus, from pictures blurred here by discs of known diameter."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from capture.depth_of_field import Optics, depth_of_field
from capture.errors import FocusError, UsageError
from capture.focus.bands import BandEnergies
from capture.focus.defocus import energy_of, fit_defocus
from capture.focus.growth import Growth, find_tops
from capture.focus.region import Region
from capture.focus.step import StillOptics, conclude, measure_step
from capture.focus.structure import in_cells, local_contrast, noise_variance
from capture.focus.sweep import sweep
from tests.capture.tilted_scene import Scene

F32 = NDArray[np.float32]


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


def test_local_contrast_knows_noise_and_brightness() -> None:
    rng = np.random.default_rng(8)
    light = np.full((120, 163), 0.3, np.float32)
    light[:, 80:] *= np.asarray(np.exp(0.2 * rng.standard_normal((120, 83))), np.float32)

    def frame(flicker: float) -> F32:
        return np.asarray(flicker * light + 0.003 * rng.standard_normal(light.shape), np.float32)

    noise = noise_variance(frame(1.0), frame(1.04))
    contrast = local_contrast(frame(0.98), noise, 4)
    assert contrast.shape == (30, 40)
    shown = contrast > np.maximum(1e-4, 2 * in_cells(noise, 4))
    assert shown[:, 21:].mean() > 0.95
    assert shown[:, :19].mean() < 0.02


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
