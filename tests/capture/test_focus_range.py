"""Depths and ranges, on a tilted plane that is blurred here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from capture.depth_of_field import Optics
from capture.errors import FocusError, OverexposedError
from capture.focus.defocus import energy_of
from capture.focus.depths import match_depths
from capture.focus.range import find_range
from capture.focus.region import Region
from capture.focus.step import measure_step
from capture.focus.structure import local_contrast, shows_at
from tests.capture.tilted_scene import Scene, blurred, texture

F32 = NDArray[np.float32]

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


@pytest.mark.parametrize("ground", ["bare", "textured behind"])
def test_only_where_a_hair_is_it_counts(ground: str) -> None:
    growth, ahead, behind = 0.1, 0.0, 200.0
    plane = np.full((120, 160), 0.3, np.float32) if ground == "bare" else texture(5, (120, 160))
    positions = np.arange(-60.0, 261.0, 20.0)
    frames = []
    for position in positions:
        light = blurred(plane, min(growth * abs(position - behind), 20.0))
        hair = np.zeros_like(plane)
        hair[:, 80] = 1.0
        cover = blurred(hair, min(growth * abs(position - ahead), 20.0))
        frames.append(light * (1 - cover) + 0.05 * cover)
    contrast = np.stack([local_contrast(frame, np.zeros_like(plane), 2) for frame in frames])
    told = np.full(contrast.shape[1:], behind)
    told[:, 35:46] = ahead  # as narrow bands have it: ten pixels each way
    shown = shows_at(positions, contrast, np.zeros(told.shape, np.float32), told, 3 / growth)
    assert shown[:, 40].all(), "the hair itself"
    assert not shown[:, 35:39].any()
    assert not shown[:, 42:46].any()
    far = shown[:, [*range(5, 25), *range(55, 75)]]
    assert not far.any() if ground == "bare" else far.mean() > 0.8


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
    farther_out = [place for place in scene.seen[looked:] if not -350 <= place <= 450]
    assert anew - len(farther_out) < 15
    assert len(farther_out) <= 10
    scene.here = 50.0
    looked = len(scene.seen)
    find_range(scene, step.blur_px_per_um, dof=40.0, seen=step.seen, farther=False)
    assert len(scene.seen) - looked < 15


@pytest.mark.parametrize(("begin", "gap"), [(20.0, 300.0), (20.0, 900.0), (930.0, 900.0)])
def test_parts_with_nothing_between_them_are_one_subject(begin: float, gap: float) -> None:
    scene = Scene(21, 0.1, 0.0, gap + 60.0)
    scene.depths = np.array([0.0, 20.0, 40.0, 60.0, gap, gap + 20.0, gap + 40.0, gap + 60.0])
    scene.here = begin
    found = find_range(scene, 0.1, dof=40.0)
    assert found.near == pytest.approx(0.0, abs=20.0)
    assert found.far == pytest.approx(gap + 60.0, abs=20.0)
    assert len(scene.seen) < 90


def test_a_subject_alone_is_looked_at_farther_out_by_a_few_frames_only() -> None:
    scene = Scene(22, 0.1, 0.0, 100.0, bare=0.5)
    found = find_range(scene, 0.1, dof=40.0)
    assert (found.near, found.far) == (pytest.approx(0.0, abs=20.0), pytest.approx(100.0, abs=20.0))
    assert len([place for place in scene.seen if not -450 <= place <= 550]) <= 10


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
