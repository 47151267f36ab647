"""Who tells the depth of field of a session's frames: live frames are asked unless something that was measured tells it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from capture.focus.judged_depth import WatchWishes
from capture.focus.watch import FrameWatch

BY_FORMULA = WatchWishes(magnification=2.0, f_number=4.0, pixel_um=4.0)


@pytest.mark.parametrize(
    ("wishes", "asked"), [(BY_FORMULA, True), (WatchWishes(), True), (WatchWishes(dof=40.0), False)]
)
def test_frames_that_tell_no_depth_of_field_ask_live_ones(tmp_path: Path, wishes: WatchWishes, asked: bool) -> None:
    rng = np.random.default_rng(0)
    with closing(FrameWatch(wishes)) as watch:
        assert not watch.lacks_growth()  # of too few frames nothing is asked
        for number in range(1, 8):
            path = tmp_path / f"{number}.png"
            gray = np.clip(rng.normal(120.0, 2.0, (160, 240)), 0, 255).astype(np.uint8)
            assert cv2.imwrite(str(path), cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR))
            watch.frame_stored(number, 20.0 * number, [path])
        assert watch.lacks_growth() is asked
        formula = watch.certificate().dof
        watch.learn_growth(0.1)
        assert not watch.lacks_growth()
        if wishes is BY_FORMULA:
            assert watch.certificate().dof != formula
