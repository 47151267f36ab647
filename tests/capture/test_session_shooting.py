"""The loop that shoots, on a rail without a clock and a shutter release: orders, and how what was promised is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from capture.app.resume_command import put_back_settings
from capture.camera.protocol import Role, Shot
from capture.camera.shutter_camera import ShutterCamera
from capture.errors import CameraError
from capture.focus.axis_view import look_at_still
from capture.session.control import Controls, Extension, Order, StoppedByUserError
from capture.session.extending import EXTENDED
from capture.session.folder import SessionFolder
from capture.session.plan import StackPlan
from capture.session.records import SessionState
from capture.session.shooting import Shooting
from capture.session.targets import targets_of
from capture.session.watching import ShootProgress
from rail.grbl.axis import GrblAxis
from rail.shutter import ShutterTimes
from tests.rail.grbl_virtual import VirtualRail

PLAN = StackPlan(0, 300, 100, settle_s=0.005)
QUICK = ShutterTimes(half_press_s=0.01, press_s=0.01, lag_s=0.01)


class Watching:
    """Does something after each frame, and keeps what it is told."""

    def __init__(self) -> None:
        self.after: Callable[[ShootProgress], object] = lambda progress: None
        self.told: list[str] = []

    def frame_done(self, progress: ShootProgress, shot: Shot) -> None:
        self.after(progress)

    def notice(self, text: str) -> None:
        self.told.append(text)

    trouble = notice


@pytest.fixture
def rig() -> VirtualRail:
    return VirtualRail()


@pytest.fixture
def axis(rig: VirtualRail) -> Iterator[GrblAxis]:
    with rig.open() as axis:
        axis.zero()
        yield axis


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[SessionFolder]:
    with SessionFolder.create(tmp_path / "s", PLAN, devices={}, settings={}, origin="here") as made:
        yield made


def planned(folder: SessionFolder) -> list[tuple[int, float, str]]:
    return [(target.number, target.position, target.added) for target in targets_of(PLAN, folder.frames())]


def test_an_extension_that_was_promised_outlives_a_stop(folder: SessionFolder, axis: GrblAxis) -> None:
    watching = Watching()
    with Controls() as controls:
        shooting = Shooting(folder, axis, ShutterCamera(axis, QUICK), watching, controls=controls)

        def extend_and_stop(progress: ShootProgress) -> None:
            assert controls.extend(150.0) == Extension(far=450.0)
            controls.send(Order.STOP)

        watching.after = extend_and_stop
        with pytest.raises(StoppedByUserError):
            shooting.run(PLAN)
    assert folder.state is SessionState.INTERRUPTED
    assert planned(folder)[-2:] == [(5, 400.0, EXTENDED), (6, 450.0, EXTENDED)]
    with closing(Shooting(folder, axis, ShutterCamera(axis, QUICK), Watching())) as shooting:
        outcome = shooting.run(PLAN)
    assert (outcome.planned, outcome.frames, outcome.added) == (4, 6, 2)


@pytest.mark.parametrize("order", [Order.PAUSE, Order.STOP])
def test_an_order_after_the_last_frame_is_obeyed_before_the_carriage_is_parked(
    folder: SessionFolder, axis: GrblAxis, order: Order
) -> None:
    watching = Watching()
    with Controls() as controls:
        shooting = Shooting(folder, axis, ShutterCamera(axis, QUICK), watching, controls=controls)

        def at_the_last(progress: ShootProgress) -> None:
            if progress.done == PLAN.count:
                controls.send(order)

        def go_on(text: str) -> None:
            if text.startswith("paused"):
                assert axis.status().position == pytest.approx(PLAN.far, abs=1)
                controls.send(Order.GO_ON)
            watching.told.append(text)

        watching.after = at_the_last
        watching.notice = go_on  # type: ignore[method-assign]
        if order is Order.STOP:
            with pytest.raises(StoppedByUserError):
                shooting.run(PLAN)
        else:
            shooting.run(PLAN)
        assert controls.send(Order.STOP) is (order is Order.STOP)  # refused once it was parked
    parked = order is Order.PAUSE
    assert ("going on" in watching.told) is parked
    assert axis.status().position == pytest.approx(PLAN.near if parked else PLAN.far, abs=1)
    assert folder.state is (SessionState.FINISHED if parked else SessionState.INTERRUPTED)


def test_an_extension_counts_from_the_frame_that_is_being_shot(
    folder: SessionFolder, axis: GrblAxis, rig: VirtualRail
) -> None:
    """Twice, while the last frame there is is moved to: nothing is planned twice, and no number given twice."""
    with Controls() as controls:

        def extend_twice() -> None:
            controls.send(Order.EXTEND, 100.0)
            controls.send(Order.EXTEND, 50.0)

        zero_um = rig.carriage_um()
        rig.call_when(lambda: rig.carriage_um() > zero_um + 210, extend_twice)
        shooting = Shooting(folder, axis, ShutterCamera(axis, QUICK), Watching(), controls=controls)
        assert shooting.run(PLAN).added == 2
    assert [target[:2] for target in planned(folder)[3:]] == [(4, 300.0), (5, 400.0), (6, 450.0)]


def test_the_exposure_of_a_shutter_release_is_put_back(axis: GrblAxis) -> None:
    begun = ShutterCamera(axis)
    begun.set(Role.SHUTTER, "2s")
    state = {role.value: found.value for role, found in begun.info().roles.items() if found is not None}
    resumed = ShutterCamera(axis)
    put_back_settings(resumed, state, {})
    assert resumed.get(Role.SHUTTER).value == "2s"
    untold = ShutterCamera(axis)
    put_back_settings(untold, {"shutter": ""}, {})
    assert untold.get(Role.SHUTTER).value == ""


def test_a_camera_that_shows_nothing_is_refused_before_anything_is_exposed(axis: GrblAxis, rig: VirtualRail) -> None:
    presses: list[float] = []
    rig.controller.core.flood_came_on = lambda: presses.append(rig.port.now)
    with pytest.raises(CameraError, match="no live picture") as refused:
        look_at_still(ShutterCamera(axis, QUICK))
    assert "--settle in seconds" in refused.value.remedy
    assert presses == []
