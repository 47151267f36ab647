"""Live view: the stream, its magnification and its brightness on the simulated camera; the scale by table, by property, and by picture."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from capture.app.bench_launch import RunningBench
from capture.camera.gphoto_camera import GphotoCamera
from capture.camera.live_scale import best_magnification, live_scale, whole_scale
from capture.camera.opening import open_camera
from capture.camera.protocol import LiveFrame, Role
from capture.errors import CameraSettingError
from tests.capture.camera_bench import NetworkCamera


@pytest.fixture(scope="module")
def bench() -> Iterator[NetworkCamera]:
    with NetworkCamera("--scale", "5", "--size", "480x320") as camera:
        yield camera


@pytest.fixture
def camera(bench: NetworkCamera) -> Iterator[GphotoCamera]:
    with open_camera(bench.port) as camera:
        yield camera


def picture(frame: LiveFrame) -> NDArray[np.uint8]:
    decoded = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)


def test_frames_have_growing_times_and_are_new(camera: GphotoCamera) -> None:
    with camera.live() as frames:
        shown = [next(frames) for _ in range(6)]
    assert all(before.arrived_s < after.arrived_s for before, after in pairwise(shown))
    assert len({frame.jpeg for frame in shown}) == 6


@pytest.mark.parametrize("way", [KeyboardInterrupt, ZeroDivisionError, GeneratorExit])
def test_live_view_ends_on_every_way_out(bench: NetworkCamera, camera: GphotoCamera, way: type[BaseException]) -> None:
    def use() -> None:
        with camera.live() as frames:
            next(frames)
            assert bench.truth()["live"]
            raise way

    with pytest.raises(way):
        use()
    assert not bench.truth()["live"]


def test_canon_s_live_view_is_read_where_it_is_told_and_ends_with_the_connection() -> None:
    with NetworkCamera("--maker", "canon", "--size", "300x200") as body:
        with open_camera(body.port) as camera:
            assert camera.set(Role.LIVE_VIEW, "on").value == "1"
            assert body.truth()["live"]
        assert not body.truth()["live"]


def test_a_stream_that_has_ended_gives_no_frames(camera: GphotoCamera) -> None:
    with camera.live() as frames:
        next(frames)
    assert next(frames, None) is None


def test_live_view_is_as_bright_as_the_still_meanwhile(camera: GphotoCamera) -> None:
    camera.set(Role.EXPOSURE_PREVIEW, "off")
    with camera.live() as frames:
        next(frames)
        assert camera.get(Role.EXPOSURE_PREVIEW).value == "On"
    assert camera.get(Role.EXPOSURE_PREVIEW).value == "Off"
    camera.set(Role.EXPOSURE_PREVIEW, "on")
    with camera.live() as frames:
        next(frames)
    assert camera.get(Role.EXPOSURE_PREVIEW).value == "On"


def test_magnified_frames_and_back(camera: GphotoCamera) -> None:
    before = camera.get(Role.MAGNIFY).value
    assert "100%" in camera.get(Role.MAGNIFY).choices
    with camera.live() as frames:
        next(frames)
        with camera.magnified("100%") as state:
            assert (state.value, camera.get(Role.MAGNIFY).value) == ("100%", "100%")
            next(frames)
        assert camera.get(Role.MAGNIFY).value == before


def test_what_fails_while_magnified_ends_both(bench: NetworkCamera, camera: GphotoCamera) -> None:
    before = camera.get(Role.MAGNIFY).value

    def use() -> None:
        with camera.live() as frames, camera.magnified("100%"):
            next(frames)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert camera.get(Role.MAGNIFY).value == before
    assert not bench.truth()["live"]


def test_a_camera_that_was_opened_anew_magnifies_again(camera: GphotoCamera) -> None:
    with camera.live() as frames, camera.magnified("100%"):
        next(frames)
        assert camera.driver_pid is not None
        os.kill(camera.driver_pid, signal.SIGKILL)
        camera.set(Role.MAGNIFY, "Entire Display")  # as a body forgets it
        next(frames)
        assert camera.get(Role.MAGNIFY).value == "100%"


def test_a_magnification_that_is_not_offered(camera: GphotoCamera) -> None:
    with camera.live(), pytest.raises(CameraSettingError) as refusal, camera.magnified("700%"):
        pass
    assert refusal.value.remedy


# -- the scale -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "live_px", "scale"),
    [
        ("", "", (1500, 1000), 4.0),
        ("", "", (1500, 844), 4.0),  # 16:9: cut above and below
        ("", "", (1280, 960), 4000 / 960),  # 4:3: cut at the sides
        ("liveviewimagezoomratio", "Entire Display", (1500, 1000), 4.0),
        ("liveviewimagezoomratio", "50%", (1500, 1000), 2.0),
        ("liveviewimagezoomratio", "66.6%", (1500, 1000), 1.5015),
        ("liveviewimagezoomratio", "100%", (640, 424), 1.0),
        ("eoszoom", "5", (1500, 1000), 0.8),
        ("eoszoom", "1", (1500, 1000), 4.0),
        ("eoszoom", "0", (1500, 1000), 4.0),
        ("liveviewzoomarea", "1024", (640, 424), 1.6),
        ("liveviewzoomarea", "0", (1500, 1000), 4.0),
        ("focusmagnifier", "somewhat", (1500, 1000), None),
        ("focusmagnifier", "0%", (1500, 1000), None),
    ],
)
def test_pixels_of_the_still_for_one_live_pixel(
    name: str, value: str, live_px: tuple[int, int], scale: float | None
) -> None:
    found = live_scale(name, value, (6000, 4000), live_px)
    assert found == (None if scale is None else pytest.approx(scale, rel=1e-4))


@given(
    st.tuples(st.integers(100, 9000), st.integers(100, 9000)), st.floats(0.02, 1.0), st.floats(0.5, 1.0), st.booleans()
)
def test_a_cut_live_frame_keeps_its_scale(still: tuple[int, int], shrink: float, keep: float, turned: bool) -> None:
    long, short = max(still), min(still)
    live = (max(round(long * shrink), 1), max(round(short * shrink * keep), 1))
    if live[0] < live[1]:
        return
    found = whole_scale(still, live[::-1] if turned else live)
    assert found == pytest.approx(min(long / live[0], short / live[1]))
    assert found * live[0] <= long * (1 + 1e-9)
    assert found * live[1] <= short * (1 + 1e-9)


def test_a_picture_without_pixels_has_no_scale() -> None:
    with pytest.raises(ValueError, match="no scale"):
        whole_scale((6000, 4000), (0, 0))


@pytest.mark.parametrize(
    ("name", "choices", "best"),
    [
        ("liveviewimagezoomratio", ("Entire Display", "25%", "50%", "100%", "200%"), "100%"),
        ("eoszoom", (), "5"),
        ("liveviewzoomarea", ("0", "512", "1024", "2048"), "2048"),
        ("focusmagnifier", ("a", "b"), None),
        ("", (), None),
    ],
)
def test_the_magnification_that_shows_the_still_s_own_pixels(
    name: str, choices: tuple[str, ...], best: str | None
) -> None:
    assert best_magnification(name, choices, (6000, 4000), (1500, 1000)) == best


def likeness(still: NDArray[np.uint8], live: NDArray[np.uint8], scale: float) -> float:
    """Correlation of a live frame with the middle of the still, shown as large as `scale` says."""
    rows, columns = (round(side * scale) for side in live.shape)
    top, left = (still.shape[0] - rows) // 2, (still.shape[1] - columns) // 2
    middle = still[top : top + rows, left : left + columns]
    small = cv2.resize(middle, live.shape[::-1], interpolation=cv2.INTER_AREA)
    return float(np.corrcoef(small.ravel(), live.ravel())[0, 1])


def test_the_scale_is_that_of_the_pictures(tmp_path: Path) -> None:
    options = ("--seed", "3", "--sensor", "960x640", "--live-scale", "4", "--time-scale", "20", "--start", "700um")
    with RunningBench(*options) as bench, open_camera(bench.camera) as camera:
        camera.set(Role.FORMAT, "JPEG")
        shot = camera.shoot(tmp_path, "still")
        decoded = cv2.imread(str(shot.files[0].path), cv2.IMREAD_GRAYSCALE)
        assert decoded is not None
        still = np.asarray(decoded, np.uint8)
        size = (still.shape[1], still.shape[0])
        entry = camera.get(Role.MAGNIFY)
        frames_of: dict[str, NDArray[np.uint8]] = {}
        with camera.live() as frames:
            frames_of[entry.value] = picture(next(frames))
            for choice in entry.choices[1:]:
                with camera.magnified(choice):
                    next(frames)
                    frames_of[choice] = picture(next(frames))
    assert len(frames_of) >= 3
    for choice, live in frames_of.items():
        scale = live_scale(entry.name, choice, size, (live.shape[1], live.shape[0]))
        assert scale is not None
        assert likeness(still, live, scale) > 0.9
        assert likeness(still, live, scale) > likeness(still, live, 0.9 * scale) + 0.02
