from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.depth_of_field import Optics, depth_of_field, with_tube_lens
from capture.errors import UsageError


# by hand: N_eff = N (1 + m / P); 2 N_eff c / m^2; lambda / (m / (2 N_eff))^2
@pytest.mark.parametrize(
    ("optics", "geometric_um", "wave_um"),
    [
        (Optics(5, 4, coc_um=30), 57.6, 50.688),
        (Optics(1, 8, coc_um=10), 320.0, 0.55 * (2 * 16) ** 2),
        (Optics(2, 5.6, pupil_ratio=0.5, coc_um=8), 2 * 28 * 8 / 4, 0.55 * 28**2),
        # published by Zerene Systems for 1:1 at f/16 and c = 30 um: 1.92 mm and 2.253 mm
        (Optics(1, 16, coc_um=30), 1920.0, 2252.8),
        # 10x / 0.25 in air, 4 um detector distance, 550 nm: 8.8 + 1.6
        (Optics(10, numerical_aperture=0.25, coc_um=4), 1.6, 8.8),
        # oil immersion 100x / 1.25, n = 1.515
        (
            Optics(100, numerical_aperture=1.25, coc_um=6.5, refractive_index=1.515),
            1.515 * 6.5 / 125,
            0.55 * 1.515 / 1.5625,
        ),
    ],
)
def test_against_the_formulas_by_hand(optics: Optics, geometric_um: float, wave_um: float) -> None:
    depth = depth_of_field(optics, overlap=0.25)
    assert depth.geometric_um == pytest.approx(geometric_um, rel=1e-6)
    assert depth.wave_um == pytest.approx(wave_um, rel=1e-6)
    assert depth.total_um == pytest.approx(geometric_um + wave_um, rel=1e-6)
    assert depth.step_um == pytest.approx(0.75 * depth.total_um)


positive = st.floats(0.1, 20)


@given(positive, positive, st.floats(0.3, 3), st.floats(1, 50))
def test_f_number_and_the_aperture_it_makes_agree(m: float, n: float, pupil: float, coc: float) -> None:
    by_f_number = Optics(m, n, pupil, coc_um=coc)
    if by_f_number.object_na < 1:
        by_na = Optics(m, numerical_aperture=by_f_number.object_na, coc_um=coc)
        assert depth_of_field(by_na).total_um == pytest.approx(depth_of_field(by_f_number).total_um)


@given(positive, positive, st.floats(0.05, 0.9))
def test_more_overlap_never_makes_a_larger_step(m: float, n: float, overlap: float) -> None:
    assert depth_of_field(Optics(m, n), overlap).step_um <= depth_of_field(Optics(m, n), overlap / 2).step_um


# the image lies in air whatever the objective dips into: NA / m = 1 / (2 N_eff)
@pytest.mark.parametrize(
    ("optics", "effective"),
    [
        (Optics(10, numerical_aperture=0.25), 20.0),
        (Optics(100, numerical_aperture=1.25, refractive_index=1.515), 40.0),
        (Optics(2, 5.6), 16.8),
        (Optics(2, 5.6, pupil_ratio=0.5), 28.0),
    ],
)
def test_effective_f_number_by_hand(optics: Optics, effective: float) -> None:
    assert optics.effective_f_number == pytest.approx(effective)
    geometric_um = 2 * optics.refractive_index * effective * optics.coc_um / optics.magnification**2
    assert depth_of_field(optics).geometric_um == pytest.approx(geometric_um)


@pytest.mark.parametrize(
    ("marked", "used_mm", "made_for_mm", "magnification"),
    [
        (10, 135, 200, 6.75),
        (10, 200, 200, 10),
        (10, 100, 200, 5),
        (10, 180, 180, 10),
        (20, 200, 180, 200 / 9),
        (5, 330, 165, 10),
    ],
)
def test_a_tube_lens_scales_what_is_marked(
    marked: float, used_mm: float, made_for_mm: float, magnification: float
) -> None:
    assert with_tube_lens(marked, used_mm, made_for_mm) == pytest.approx(magnification)


@pytest.mark.parametrize(
    "bad",
    [
        {"magnification": 0, "f_number": 4},
        {"magnification": -1, "f_number": 4},
        {"magnification": math.nan, "f_number": 4},
        {"magnification": 2, "f_number": float("inf")},
        {"magnification": 2, "f_number": 0},
        {"magnification": 2},
        {"magnification": 2, "f_number": 4, "pupil_ratio": -1},
        {"magnification": 10, "numerical_aperture": 1.2},
        {"magnification": 10, "numerical_aperture": -0.2},
        {"magnification": 2, "f_number": 4, "coc_um": 0},
        {"magnification": 2, "f_number": 4, "refractive_index": 0.5},
        {"magnification": 2, "f_number": 4, "refractive_index": 15.15},
        {"magnification": 2, "f_number": 4, "wavelength_nm": 0.55},
        {"magnification": 2, "f_number": 4, "wavelength_nm": -5},
        {"magnification": 2, "f_number": 4, "wavelength_nm": 5500},
    ],
)
def test_impossible_optics_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(UsageError) as refused:
        Optics(**bad)
    assert refused.value.remedy


@pytest.mark.parametrize("wavelength_nm", [200, 365, 550, 940, 2000])
def test_light_that_cameras_see_is_taken(wavelength_nm: float) -> None:
    # f/4 at 1:1: NA = 1 / 16
    assert depth_of_field(Optics(1, 4, wavelength_nm=wavelength_nm)).wave_um == pytest.approx(wavelength_nm * 0.256)


@pytest.mark.parametrize("overlap", [-0.1, 1.0, 2.0, math.nan])
def test_an_overlap_that_makes_no_step_is_refused(overlap: float) -> None:
    with pytest.raises(UsageError) as refused:
        depth_of_field(Optics(1, 4), overlap)
    assert refused.value.remedy
