"""Who tells the depth of field of a session's frames: live frames are asked unless something that was measured tells it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from capture.app.session_running import frame_watch
from capture.camera.shutter_camera import ShutterCamera
from capture.focus.judged_depth import WatchWishes
from capture.focus.watch import FrameWatch
from capture.session.certifying import Certifying
from capture.session.folder import SessionFolder
from capture.session.plan import StackPlan
from tests.rail.grbl_virtual import VirtualRail

BY_FORMULA = WatchWishes(magnification=2.0, f_number=4.0, pixel_um=4.0)


def show_noise(watch: FrameWatch, folder: Path) -> None:
    """Frames that tell no depth of field."""
    rng = np.random.default_rng(0)
    for number in range(1, 8):
        path = folder / f"{number}.png"
        gray = np.clip(rng.normal(120.0, 2.0, (160, 240)), 0, 255).astype(np.uint8)
        assert cv2.imwrite(str(path), cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR))
        watch.frame_stored(number, 20.0 * number, [path])


@pytest.mark.parametrize(
    ("wishes", "asked"), [(BY_FORMULA, True), (WatchWishes(), True), (WatchWishes(dof=40.0), False)]
)
def test_frames_that_tell_no_depth_of_field_ask_live_ones(tmp_path: Path, wishes: WatchWishes, asked: bool) -> None:
    with closing(FrameWatch(wishes)) as watch:
        assert not watch.lacks_growth()  # of too few frames nothing is asked
        show_noise(watch, tmp_path)
        assert watch.lacks_growth() is asked
        formula = watch.certificate().dof
        watch.learn_growth(0.1)
        assert not watch.lacks_growth()
        if wishes is BY_FORMULA:
            assert watch.certificate().dof != formula


def test_what_live_frames_told_a_session_outlives_its_stop(tmp_path: Path) -> None:
    with (
        SessionFolder.create(tmp_path / "s", StackPlan(0, 140, 20), devices={}, settings={}, origin="here") as folder,
        closing(frame_watch(folder)) as watch,
        VirtualRail().open() as axis,
    ):
        show_noise(watch, tmp_path)
        assert watch.lacks_growth()
        look = {axis: 0.1}.get  # what live frames along this axis tell
        Certifying(folder, ShutterCamera(axis), watch, print, repairs=False, look=look).learn(axis)
        told = watch.certificate().dof
    with SessionFolder.open(tmp_path / "s") as folder, closing(frame_watch(folder)) as watch:
        show_noise(watch, tmp_path)
        assert not watch.lacks_growth()
        assert watch.certificate().dof == told is not None
