"""Orders to a lens's focus motor, by table and by adding up; and one motor moved through the library."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.camera.focus_drive import focus_orders
from capture.camera.gphoto_camera import GphotoCamera
from capture.camera.opening import open_camera
from capture.camera.roles import Setting
from capture.errors import CameraError
from tests.capture.camera_bench import NetworkCamera

PATH = "/main/actions/manualfocusdrive"
NIKON = Setting(PATH, kind="range", value="0", bounds=(-32767.0, 32767.0, 1.0))
SONY = Setting("/main/actions/manualfocus", kind="range", value="0", bounds=(-7.0, 7.0, 1.0))
CANON = Setting(PATH, kind="radio", choices=("Near 1", "Near 2", "Near 3", "None", "Far 1", "Far 2", "Far 3"))
GERMAN = Setting(PATH, kind="radio", choices=("Nah 1", "Nah 2", "Nah 3", "Keine", "Weit 1", "Weit 2", "Weit 3"))
NO_REST = Setting(PATH, kind="radio", choices=("Near 1", "Near 2", "Far 1", "Far 2"))


@pytest.mark.parametrize(
    ("setting", "steps", "orders"),
    [
        (NIKON, 40, ["40"]),
        (NIKON, -40000, ["-32767", "-7233"]),
        (SONY, -3, ["-1", "-1", "-1"]),
        (CANON, 2, ["Far 1", "None", "Far 1", "None"]),
        (CANON, -1, ["Near 1", "None"]),
        (GERMAN, 1, ["Weit 1", "Keine"]),
        (GERMAN, -1, ["Nah 1", "Keine"]),
        (NO_REST, 1, ["Far 1"]),
        (Setting(PATH, kind="text", value="0"), 5, []),
    ],
)
def test_orders_in_each_maker_s_words(setting: Setting, steps: int, orders: list[str]) -> None:
    assert list(focus_orders(setting, steps)) == orders


@given(st.sampled_from([NIKON, SONY]), st.integers(-70_000, 70_000).filter(lambda n: abs(n) < 500 or n % 7 == 0))
def test_counted_orders_add_up(setting: Setting, steps: int) -> None:
    assert sum(int(order) for order in focus_orders(setting, steps)) == steps


@given(st.sampled_from([CANON, GERMAN]), st.integers(-60, 60))
def test_every_word_is_offered_and_rest_lies_between(setting: Setting, steps: int) -> None:
    orders = list(focus_orders(setting, steps))
    assert set(orders) <= set(setting.choices)
    assert len(orders) == 2 * abs(steps)
    assert set(orders[1::2]) <= {setting.choices[3]}


@pytest.fixture
def bench() -> Iterator[NetworkCamera]:
    with NetworkCamera("--scale", "20", "--size", "60x40") as bench:
        yield bench


@pytest.fixture
def camera(bench: NetworkCamera) -> Iterator[GphotoCamera]:
    with open_camera(bench.port) as camera:
        yield camera


def test_the_motor_moves_and_says_when_it_is_at_its_end(bench: NetworkCamera, camera: GphotoCamera) -> None:
    start = bench.truth()["lens_offset_um"]
    camera.drive_focus(400)
    farther = bench.truth()["lens_offset_um"]
    assert farther > start
    camera.drive_focus(-400)
    assert bench.truth()["lens_offset_um"] < farther
    assert not bench.truth()["live"]
    pid = camera.driver_pid
    with pytest.raises(CameraError, match="at its end"):
        camera.drive_focus(60_000)
    assert camera.driver_pid == pid
    camera.drive_focus(-100)
