"""The lens's focus motor as an axis: the suite of every axis, on the simulated camera behind the real libgphoto2; then what is its own."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.camera.gphoto_camera import GphotoCamera
from capture.camera.lens_axis import LensAxis
from capture.camera.lens_ledger import LensLedger, LensPlace
from capture.camera.opening import open_camera
from capture.errors import CameraSettingError
from rail.axis import AxisState, AxisStatus, AxisUnit
from rail.errors import (
    RailDeviceError,
    RailPositionUnknownError,
    RailRefusedError,
    RailStoppedError,
)
from tests.capture.bare_lens import BareCamera
from tests.capture.camera_bench import NetworkCamera
from tests.rail.axis_suite import AxisSuite, Rig

UM_PER_STEP = 0.25


class LensRig:
    """One camera with a motor in its lens; the record of its place lies in a folder of the test."""

    can_home = True

    def __init__(self, bench: NetworkCamera, folder: Path) -> None:
        self.bench = bench
        self.folder = folder
        self._threads: list[threading.Thread] = []
        with open_camera(bench.port) as camera:
            camera.drive_focus(50)  # the play is on the far side, whatever the test before did

    def open(self) -> LensAxis:
        camera = open_camera(self.bench.port)
        return LensAxis(camera, ledger=LensLedger(camera.identity, self.folder))

    def steps(self) -> int:
        return round(float(self.bench.truth()["lens_offset_um"]) / UM_PER_STEP)

    def call_when(self, condition: Callable[[], bool], call: Callable[[], object]) -> None:
        end = time.monotonic() + 30

        def work() -> None:
            while time.monotonic() < end:
                if condition():
                    call()
                    return
                time.sleep(0.002)

        self._threads.append(threading.Thread(target=work, daemon=True))
        self._threads[-1].start()

    def interrupt(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def kill(self, axis: LensAxis) -> None:
        pid = axis.camera.driver_pid if isinstance(axis.camera, GphotoCamera) else None
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def restart(self) -> None:
        raise AssertionError("a body that restarts is seen only by its new port")

    def finish(self) -> None:
        for thread in self._threads:
            thread.join(timeout=30)


@pytest.fixture(scope="module")
def bench() -> Iterator[NetworkCamera]:
    with NetworkCamera("--scale", "3", "--size", "60x40") as camera:
        yield camera


@pytest.fixture
def rig(bench: NetworkCamera, tmp_path: Path) -> Iterator[LensRig]:
    rig = LensRig(bench, tmp_path)
    yield rig
    rig.finish()
    assert not bench.truth()["live"]


@pytest.fixture(scope="module")
def quick_bench() -> Iterator[NetworkCamera]:
    """For what is not interrupted on its way."""
    with NetworkCamera("--scale", "30", "--size", "60x40") as camera:
        yield camera


@pytest.fixture
def quick_rig(quick_bench: NetworkCamera, tmp_path: Path) -> Iterator[LensRig]:
    yield LensRig(quick_bench, tmp_path)
    assert not quick_bench.truth()["live"]


class TestLensAxis(AxisSuite):
    unit = AxisUnit.STEP
    reach_um = 3000.0
    can_restart = False

    def test_a_killed_programs_motion_is_stopped_first(self, rig: Rig) -> None:
        """The motor ends the order under way by itself; nobody counted it, so the place is unknown to all."""
        axis = rig.open()
        axis.zero()
        rig.call_when(self.half_way(rig, axis), lambda: rig.kill(axis))
        with pytest.raises(RailDeviceError) as caught:
            axis.move_to(self.reach_um)
        assert caught.value.remedy
        assert "unknown" in caught.value.state
        assert not axis.status().position_known
        axis.close()
        with rig.open() as again:
            assert again.status() == AxisStatus(AxisState.IDLE, None, position_known=False, homed=False)


def test_the_play_drops_out_of_all_positions(quick_rig: LensRig) -> None:
    rig = quick_rig
    with rig.open() as axis:
        axis.zero()
        stood = {}
        for target in (0, 700, 350, 351, 900, 350, 0, 700):
            axis.move_to(target)
            stood.setdefault(target, rig.steps())
            assert rig.steps() == stood[target]
    assert {target: steps - stood[0] for target, steps in stood.items()} == {target: target for target in stood}


def test_homing_finds_the_same_place_again(quick_rig: LensRig) -> None:
    rig = quick_rig
    with rig.open() as axis:
        axis.home()
        home = rig.steps()
        axis.move_to(1234)
        assert rig.steps() == home + 1234
        assert axis.home() == AxisStatus(AxisState.IDLE, 0.0, position_known=True, homed=True)
        assert rig.steps() == home
        assert axis.limits[0] == 0


def test_the_far_end_loses_the_count_and_says_so(quick_rig: LensRig) -> None:
    with quick_rig.open() as axis:
        axis.zero()
        with pytest.raises(RailDeviceError, match="end of its travel") as caught:
            axis.move_to(39_999)
        assert "home it" in caught.value.remedy
        assert not axis.status().position_known
        with pytest.raises(RailPositionUnknownError):
            axis.move_to(0)
        assert axis.home().position == 0


def test_homing_can_be_stopped(rig: LensRig) -> None:
    with rig.open() as axis:
        axis.jog(3000)  # away from the end
        axis.zero()
        start = rig.steps()
        rig.call_when(lambda: rig.steps() < start - 400, axis.stop)
        with pytest.raises(RailStoppedError):
            axis.home()
        assert not axis.status().position_known
        assert axis.jog(10).state is AxisState.IDLE


def test_live_view_that_was_open_stays_open_while_the_lens_moves(bench: NetworkCamera, rig: LensRig) -> None:
    with rig.open() as axis:
        assert isinstance(axis.camera, GphotoCamera)
        axis.zero()
        with axis.camera.live() as frames:
            next(frames)
            axis.move_to(300)
            assert bench.truth()["live"]
            assert next(frames).jpeg.startswith(b"\xff\xd8")
        assert not bench.truth()["live"]
        axis.move_to(200)
        assert not bench.truth()["live"]


def test_the_library_may_die_between_two_moves(rig: LensRig) -> None:
    with rig.open() as axis:
        axis.zero()
        axis.move_to(100)
        start = rig.steps()
        rig.kill(axis)
        assert axis.move_to(400).position == 400
        assert rig.steps() == start + 300


def test_a_camera_without_a_motor_is_refused() -> None:
    with NetworkCamera("--maker", "generic", "--size", "60x40") as plain, open_camera(plain.port) as camera:
        with pytest.raises(CameraSettingError) as refusal:
            LensAxis(camera)
        assert refusal.value.remedy


# -- the record ----------------------------------------------------------------------------------------------------------------------


COUNTS = st.integers(-40_000, 40_000)
ENDS = st.none() | COUNTS
PLACES = st.builds(LensPlace, COUNTS, st.booleans(), st.booleans(), st.booleans(), ENDS, ENDS, st.integers(-1, 1))


@given(PLACES)
@settings(max_examples=30)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, place: LensPlace) -> None:
    folder = tmp_path_factory.getbasetemp()
    LensLedger("camera", folder).write(place)
    assert LensLedger("camera", folder).read() == place
    assert LensLedger("another", folder).read() == LensPlace()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"boot": 1}', '{"boot": "now", "position": 1, "more": 2}', "\xff"]
)
def test_a_record_that_cannot_be_believed_is_none(tmp_path: Path, text: str) -> None:
    boot = tmp_path / "boot"
    boot.write_text("now")
    ledger = LensLedger("camera", tmp_path, boot)
    ledger.write(LensPlace(7))
    (record,) = tmp_path.glob("*.json")
    record.write_bytes(text.encode("latin-1"))
    assert ledger.read() == LensPlace()


def test_a_started_computer_knows_nothing(tmp_path: Path) -> None:
    boot = tmp_path / "boot"
    boot.write_text("yesterday")
    LensLedger("camera", tmp_path, boot).write(LensPlace(7))
    boot.write_text("today")
    assert LensLedger("camera", tmp_path, boot).read() == LensPlace()
    assert LensLedger("camera", tmp_path, tmp_path / "none").read() == LensPlace()


def test_a_folder_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    LensLedger("camera", tmp_path / "file").write(LensPlace(7))
    assert LensLedger("camera", tmp_path / "file").read() == LensPlace()


# -- the count, on a motor without wires ------------------------------------------------------------------------------------------------


@given(st.integers(0, 190), st.lists(st.integers(-3000, 3000), min_size=2, max_size=12), st.integers(-1, 1))
@settings(max_examples=60)
def test_positions_are_those_of_the_motor_whatever_its_play(
    tmp_path_factory: pytest.TempPathFactory, play: int, targets: list[int], turned: int
) -> None:
    camera = BareCamera(play=play)
    if turned:
        camera.motor.move(turned, -100.0)  # it came from somewhere
    with LensAxis(camera, ledger=LensLedger("bare", tmp_path_factory.mktemp("play"))) as axis:
        axis.zero()
        axis.move_to(targets[0])
        origin = camera.motor.position_steps - targets[0]
        for number, target in enumerate(targets[1:]):
            if number % 2:
                axis.jog(target - (axis.status().position or 0))
            else:
                axis.move_to(target)
            assert camera.motor.position_steps - origin == target == axis.status().position


@contextlib.contextmanager
def stopped_after(orders: int, camera: BareCamera, axis: LensAxis) -> Iterator[None]:
    """Another thread stops the axis once the motor has got so many orders."""
    left, stopper = orders, threading.Thread(target=axis.stop)

    def count_down() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            stopper.start()
            while not axis._turn.stopping:
                time.sleep(0.001)

    camera.before_order = count_down
    yield
    camera.before_order = lambda: None
    if left <= 0:
        stopper.join()


@given(st.lists(st.tuples(st.integers(-4000, 4000), st.integers(1, 12)), min_size=1, max_size=6))
@settings(max_examples=60)
def test_a_stop_anywhere_keeps_the_count(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[int, int]]
) -> None:
    camera = BareCamera()
    with LensAxis(camera, ledger=LensLedger("bare", tmp_path_factory.mktemp("stops"))) as axis:
        axis.zero()
        axis.move_to(0)
        origin = camera.motor.position_steps
        for target, orders in moves:
            with stopped_after(orders, camera, axis), contextlib.suppress(RailStoppedError):
                axis.move_to(target)
        axis.move_to(17)
        assert camera.motor.position_steps - origin == 17


def test_a_stop_is_not_for_the_move_after_it(tmp_path: Path) -> None:
    camera = BareCamera()
    with LensAxis(camera, ledger=LensLedger("bare", tmp_path)) as axis:
        axis.zero()
        stoppers: list[threading.Thread] = []
        asked = threading.Event()

        def stop() -> None:
            if not asked.is_set():
                asked.set()
                stoppers.append(threading.Thread(target=axis.stop))
                stoppers[-1].start()
                while not axis._turn.stopping:
                    time.sleep(0.0002)

        camera.before_order = stop
        for _ in range(30):
            asked.clear()
            with pytest.raises(RailStoppedError):
                axis.move_to(3000)
            assert axis.status().state is AxisState.IDLE
            assert axis.move_to(0).position == 0
        for stopper in stoppers:
            stopper.join(30)


def test_a_motor_of_words_needs_a_zero(tmp_path: Path) -> None:
    camera = BareCamera(play=2, words=True)
    with LensAxis(camera, ledger=LensLedger("words", tmp_path)) as axis:
        assert not axis.capabilities.can_home
        with pytest.raises(RailRefusedError) as refusal:
            axis.home()
        assert "zero" in refusal.value.remedy
        axis.zero()
        axis.move_to(0)
        origin = camera.motor.position_steps
        assert [camera.motor.position_steps - origin for target in (9, 3, 30) if axis.move_to(target)] == [9, 3, 30]
