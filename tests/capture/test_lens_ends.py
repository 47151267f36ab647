"""The ends of a lens motor's travel: what is known there, how they are left, and how a search comes back from them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.camera.lens_axis import LensAxis
from capture.camera.lens_ledger import LensLedger
from capture.focus.axis_view import returning
from rail.errors import RailDeviceError, RailEndError, RailLimitError, RailPositionUnknownError
from tests.capture.bare_lens import BareCamera

HOME = -20_000 + 200 - 12
"""Where the motor stands at 0 once it was homed: the take-up less its play, from the near end."""


@pytest.mark.parametrize(
    ("origin", "goals", "stands"),
    [
        ("homed", [1000], HOME + 1000),
        ("zero", [-21_000.0, 1000.0], -20_000 + 1000 - 12),  # away from the end by a jog
        ("zero", [-21_000.0, None, 1000], -20_000 + 1000 - 12),  # None: zeroed at the end
        ("zero", [-21_000.0, None, 1000, 0, 300], -20_000 + 300 - 12),
    ],
)
def test_a_near_end_is_a_known_place_and_can_be_left(
    tmp_path: Path, origin: str, goals: list[float | None], stands: int
) -> None:
    """A float is a jog, a whole number a move."""
    camera = BareCamera()
    with LensAxis(camera, ledger=LensLedger("bare", tmp_path)) as axis:
        axis.home() if origin == "homed" else axis.zero()
        for goal in goals:
            if goal is None:
                axis.zero()
            elif isinstance(goal, int):
                assert axis.move_to(goal).position == goal
            elif goal > 0:
                axis.jog(goal)
            else:
                with pytest.raises(RailEndError, match="end of its travel"):
                    axis.jog(goal)
        assert camera.motor.position_steps == stands
        if None in goals or origin == "homed":
            with pytest.raises(RailLimitError):
                axis.move_to(-1)


@pytest.mark.parametrize("back", [0, -1500])
def test_a_far_end_that_was_met_is_known_where_counting_begins_anew(tmp_path: Path, back: int) -> None:
    """A lens that was driven to infinity: gone on with there, or from where a search left it."""
    camera = BareCamera()
    with LensAxis(camera, ledger=LensLedger("bare", tmp_path)) as axis:
        axis.zero()
        with pytest.raises(RailEndError, match="far end") as met:
            axis.move_to(39_000)
        assert "--origin here" in met.value.remedy
        with pytest.raises(RailEndError, match="far end"):  # it did not move, and says so
            axis.jog(40)
        if back:
            axis.jog(back)
    with LensAxis(camera, ledger=LensLedger("bare", tmp_path)) as axis:
        axis.zero()
        assert axis.limits[1] == -back
        for goal in (-2000, -500, -back, -1000, -back):
            assert axis.move_to(goal).position == goal
            assert camera.motor.position_steps == 20_000 + back + goal
        with pytest.raises(RailLimitError):
            axis.move_to(1 - back)


@given(
    st.booleans(),
    st.lists(st.one_of(st.integers(-45_000, 45_000), st.just("zero"), st.just("home")), min_size=2, max_size=12),
)
@settings(max_examples=60)
def test_whatever_ends_are_met_what_is_known_is_true(
    tmp_path_factory: pytest.TempPathFactory, jogs: bool, orders: list[int | str]
) -> None:
    camera = BareCamera(play=0)
    with LensAxis(camera, ledger=LensLedger("bare", tmp_path_factory.mktemp("ends"))) as axis:
        axis.zero()
        origin = camera.motor.position_steps
        for order in orders:
            with contextlib.suppress(RailDeviceError, RailLimitError, RailPositionUnknownError):
                if order == "home":
                    axis.home()
                elif order == "zero":
                    axis.zero()
                elif jogs:
                    axis.jog(float(order))
                else:
                    axis.move_to(float(order))
            if order in ("zero", "home"):
                origin = camera.motor.position_steps
            position = axis.status().position
            assert position is None or position == camera.motor.position_steps - origin
            if position is not None and axis.limits[1] < 40_000:
                assert axis.limits[1] == 20_000 - origin


@pytest.mark.parametrize(
    ("start", "home", "goals", "most_off", "known"),
    [
        (-19_700, False, (-480, 0), 500, False),  # the count is lost, to within one order
        (19_700, False, (200, 240, 280, 320), 40, False),
        (-20_000, True, (0, 4000), 0, True),
    ],
)
def test_a_search_that_meets_an_end_goes_back(
    tmp_path: Path, start: int, home: bool, goals: tuple[float, ...], most_off: int, known: bool
) -> None:
    camera = BareCamera()
    camera.motor.move(start, -100.0)
    with LensAxis(camera, ledger=LensLedger("bare", tmp_path)) as axis:
        axis.home() if home else axis.zero()
        axis.move_to(0) if home or start > 0 else None
        stood = camera.motor.position_steps
        with contextlib.suppress(RailEndError), returning(axis):
            for goal in goals:
                axis.move_to(goal)
        assert abs(camera.motor.position_steps - stood) <= most_off + 12
        assert axis.status().position_known is known
