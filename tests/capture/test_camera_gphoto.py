"""The driver on the network camera with its faults, and with its own library killed or stopped: each ends in a picture or in words."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from capture.app.resume_command import put_back_settings
from capture.app.session_beginning import camera_state
from capture.camera.gphoto_camera import GphotoCamera
from capture.camera.opening import Deadlines, list_cameras, open_camera
from capture.camera.protocol import Role, Shot
from capture.errors import (
    CameraLostError,
    CameraNotFoundError,
    CameraSettingError,
    NotStoredError,
    ShotIncompleteError,
    ShotRefusedError,
)
from tests.capture.camera_bench import NetworkCamera, VirtualUsbFolder
from tests.capture.camera_suite import check_files

QUICK = Deadlines(open_s=10, call_s=6, live_s=6, shot_s=4, next_file_s=1.2, stall_s=5, memory_s=5, recover_s=10)


@pytest.fixture(scope="module")
def bench() -> Iterator[NetworkCamera]:
    with NetworkCamera("--format", "RAW+JPEG", "--scale", "20", "--size", "300x200") as camera:
        yield camera


@pytest.fixture
def camera(bench: NetworkCamera) -> Iterator[GphotoCamera]:
    with open_camera(bench.port, deadlines=QUICK) as camera:
        camera.set(Role.FORMAT, "RAW+JPEG")
        camera.set(Role.ISO, "200")
        camera.set(Role.TARGET, "card")
        yield camera
    bench.order(fault="plug")


def stop(camera: GphotoCamera, how: signal.Signals) -> None:
    assert camera.driver_pid is not None
    os.kill(camera.driver_pid, how)


def check_pair(shot: Shot, folder: Path, stem: str) -> None:
    assert [file.raw for file in shot.files] == [True, False]
    check_files(shot, folder, stem)


def test_a_setting_that_cannot_be_changed_is_no_fault_where_it_stands_as_asked(camera: GphotoCamera) -> None:
    charge = camera.get(Role.BATTERY)
    assert charge.read_only
    assert camera.set(Role.BATTERY, charge.value) == charge
    with pytest.raises(CameraSettingError, match="cannot be set"):
        camera.set(Role.BATTERY, "1%")


def test_a_network_camera_may_be_named_by_one_port(bench: NetworkCamera) -> None:
    name, host, port, _events = bench.port.split(":")
    with open_camera(f"{name}:{host}:{port}", deadlines=QUICK) as camera:
        assert camera.info().roles[Role.ISO]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"fault": "out_of_focus", "shots": 1}, "autofocus"),
        ({"fault": "store_full", "shots": 1}, "full"),
        ({"fault": "access_denied", "shots": 1}, "refuses orders"),
    ],
)
def test_a_refused_shot_says_why_and_the_next_one_is_well(
    bench: NetworkCamera, camera: GphotoCamera, tmp_path: Path, fault: dict[str, object], words: str
) -> None:
    before = bench.truth()["shots"]
    bench.order(**fault)
    with pytest.raises(ShotRefusedError, match=words):
        camera.shoot(tmp_path, "0001")
    assert bench.truth()["shots"] == before
    check_pair(camera.shoot(tmp_path, "0001"), tmp_path, "0001")


@pytest.mark.parametrize("target", ["card", "memory"])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"fault": "missing_second_file"}, "JPEG file"),
        ({"fault": "stale_frame"}, "old picture"),
        ({"fault": "access_denied", "on": "transfer", "shots": 1}, "did not arrive"),
    ],
)
def test_of_an_incomplete_shot_nothing_has_its_name_and_the_next_one_is_well(
    bench: NetworkCamera, camera: GphotoCamera, tmp_path: Path, target: str, fault: dict[str, object], words: str
) -> None:
    camera.set(Role.TARGET, target)
    camera.shoot(tmp_path, "0001")
    bench.order(**fault)
    with pytest.raises(ShotIncompleteError, match=words):
        camera.shoot(tmp_path, "0002")
    left = {path.stem for path in tmp_path.iterdir()}
    assert left - {"0002.refused"} == {"0001"}
    assert ("0002.refused" in left) == (words != "did not arrive")
    check_pair(camera.shoot(tmp_path, "0002"), tmp_path, "0002")


@pytest.mark.parametrize(
    ("target", "fate", "exposures"), [("card", "found on the card", 1), ("memory", "lost and repeated", 2)]
)
def test_a_cut_transfer_is_judged_before_it_is_repeated(
    bench: NetworkCamera, camera: GphotoCamera, tmp_path: Path, target: str, fate: str, exposures: int
) -> None:
    camera.set(Role.TARGET, target)
    camera.shoot(tmp_path, "0001")
    before = bench.truth()["shots"]
    bench.order(fault="cut_transfer")
    shot = camera.shoot(tmp_path, "0002")
    check_pair(shot, tmp_path, "0002")
    assert any(fate in note for note in shot.notes)
    assert bench.truth()["shots"] == before + exposures


def test_the_first_shot_is_found_by_the_name_of_its_announced_file(tmp_path: Path) -> None:
    """Before any file is known, on a body that tells neither its clock nor how many files it makes."""
    with (
        NetworkCamera("--maker", "generic", "--format", "RAW+JPEG", "--scale", "20", "--size", "300x200") as body,
        open_camera(body.port, deadlines=QUICK) as camera,
    ):
        body.order(fault="cut_transfer")
        shot = camera.shoot(tmp_path, "0001")
        assert body.truth()["shots"] == 1
    check_pair(shot, tmp_path, "0001")
    assert "The shot was found on the card." in shot.notes


def test_a_busy_camera_is_waited_for(bench: NetworkCamera, camera: GphotoCamera, tmp_path: Path) -> None:
    bench.order(fault="busy", seconds=6)
    check_pair(camera.shoot(tmp_path, "0001"), tmp_path, "0001")


@pytest.mark.parametrize("fault", [{"fault": "unplug", "seconds": 30}, {"fault": "hang", "on": "any", "seconds": 70}])
def test_a_camera_that_comes_back_goes_on_with_its_settings(
    bench: NetworkCamera, camera: GphotoCamera, tmp_path: Path, fault: dict[str, object]
) -> None:
    bench.order(**fault)
    shot = camera.shoot(tmp_path, "0001")
    check_pair(shot, tmp_path, "0001")
    assert any("opened again" in note for note in shot.notes)
    assert camera.get(Role.ISO).value == "200"
    assert camera.get(Role.TARGET).value == "Memory card"


def test_a_camera_that_stays_away_ends_in_words(bench: NetworkCamera, tmp_path: Path) -> None:
    brief = Deadlines(open_s=10, call_s=6, live_s=6, shot_s=2, next_file_s=1, stall_s=5, memory_s=2, recover_s=1)
    with open_camera(bench.port, deadlines=brief) as camera:
        bench.order(fault="die_after", shots=1)
        with pytest.raises(CameraLostError, match="could not be opened again") as loss:
            camera.shoot(tmp_path, "0001")
        assert loss.value.remedy
        assert list(tmp_path.iterdir()) == []
        bench.order(clear="die_after")
        bench.order(fault="plug")
        assert camera.shoot(tmp_path, "0001").files


@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_of_the_library_is_not_the_session_s(camera: GphotoCamera, tmp_path: Path, how: signal.Signals) -> None:
    told: list[str] = []
    camera.tell(told.append)
    stop(camera, how)
    assert camera.get(Role.ISO).value == "200"
    assert "crashed" in told[0]
    assert "opened again, for at most 10 s" in told[0]  # who waits knows for how long
    assert told[1:] == ["the camera is back"]
    stop(camera, how)
    shot = camera.shoot(tmp_path, "0001")
    check_pair(shot, tmp_path, "0001")


def test_a_hang_in_the_library_is_ended_by_the_deadline(bench: NetworkCamera) -> None:
    brief = Deadlines(open_s=10, call_s=1.5, live_s=6, recover_s=10)
    with open_camera(bench.port, deadlines=brief) as camera:
        camera.set(Role.ISO, "400")
        stopped = camera.driver_pid
        stop(camera, signal.SIGSTOP)
        assert camera.get(Role.ISO).value == "400"
        assert camera.driver_pid != stopped


def test_live_view_goes_on_after_a_crash_and_still_ends(bench: NetworkCamera, camera: GphotoCamera) -> None:
    with camera.live() as frames:
        next(frames)
        stop(camera, signal.SIGKILL)
        assert next(frames).jpeg.startswith(b"\xff\xd8")
        assert bench.truth()["live"]
        stop(camera, signal.SIGKILL)
    assert not bench.truth()["live"]


def test_closing_ends_a_live_view_whose_library_died(bench: NetworkCamera) -> None:
    camera = open_camera(bench.port, deadlines=QUICK)
    with camera.live() as frames:
        next(frames)
        stop(camera, signal.SIGKILL)
        camera.close()
    assert not bench.truth()["live"]


def test_an_interrupt_at_the_keyboard_does_not_reach_the_library(camera: GphotoCamera) -> None:
    stop(camera, signal.SIGINT)
    pid = camera.driver_pid
    assert camera.get(Role.ISO).value == "200"
    assert camera.driver_pid == pid


def test_bulb_needs_a_time(camera: GphotoCamera, tmp_path: Path) -> None:
    before = camera.get(Role.SHUTTER)
    assert "Bulb" in before.choices
    try:
        assert camera.set(Role.SHUTTER, "bulb").value == "Bulb"
        with pytest.raises(ShotRefusedError, match="bulb"):
            camera.shoot(tmp_path, "0001")
        check_pair(camera.shoot(tmp_path, "0001", bulb_s=0.1), tmp_path, "0001")
    finally:
        camera.set(Role.SHUTTER, before.value)


@pytest.mark.parametrize(("wish", "held_s"), [("bulb:0.3", 0.3), ("bulb 0.2s", 0.2)])
def test_a_bulb_time_is_set_like_any_other(camera: GphotoCamera, tmp_path: Path, wish: str, held_s: float) -> None:
    before = camera.get(Role.SHUTTER)
    try:
        told = f"bulb:{held_s:g}"
        assert camera.set(Role.SHUTTER, wish).value == camera.get(Role.SHUTTER).value == told
        assert not any(one.about == "shutter" for one in camera.obstacles())
        begun = time.monotonic()
        check_pair(camera.shoot(tmp_path, "0001"), tmp_path, "0001")
        assert time.monotonic() - begun >= held_s
    finally:
        camera.set(Role.SHUTTER, before.value)
    assert camera.get(Role.SHUTTER).value == before.value


def test_a_bulb_session_that_is_gone_on_with_holds_its_time(
    bench: NetworkCamera, camera: GphotoCamera, tmp_path: Path
) -> None:
    before = camera.get(Role.SHUTTER)
    camera.set(Role.SHUTTER, "bulb:0.3")
    state = camera_state(camera)
    camera.close()
    with open_camera(bench.port, deadlines=QUICK) as resumed:
        try:
            put_back_settings(resumed, state, {})
            begun = time.monotonic()
            check_files(resumed.shoot(tmp_path, "0001"), tmp_path, "0001")
            assert time.monotonic() - begun >= 0.3
        finally:
            resumed.set(Role.SHUTTER, before.value)


def test_a_time_beyond_the_longest_is_held_by_bulb(camera: GphotoCamera, tmp_path: Path) -> None:
    before = camera.get(Role.SHUTTER)
    try:
        assert camera.set(Role.SHUTTER, "45s").value == "bulb:45"
        # a time of the camera's own is its own again
        assert camera.set(Role.SHUTTER, "30").value != "Bulb"
        assert camera.set(Role.SHUTTER, "bulb").value == "Bulb"
        assert [one.fatal for one in camera.obstacles() if one.about == "shutter"] == [True]
        with pytest.raises(ShotRefusedError, match="bulb"):
            camera.shoot(tmp_path, "0001")
    finally:
        camera.set(Role.SHUTTER, before.value)


def test_a_full_disk_is_named_and_the_shot_not_repeated(bench: NetworkCamera, camera: GphotoCamera) -> None:
    """A device that takes no byte stands for a disk that is full."""
    assert camera.driver_pid is not None
    resource.prlimit(camera.driver_pid, resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    before = bench.order(get="truth")["shots"]
    with TemporaryDirectory() as folder:
        with pytest.raises(NotStoredError, match="could not be stored"):
            camera.shoot(Path(folder), "0001")
        assert list(Path(folder).iterdir()) == []
    assert bench.order(get="truth")["shots"] == before + 1


def test_a_flash_has_time_to_charge(camera: GphotoCamera, tmp_path: Path) -> None:
    camera.flash_wait_s = 3.0
    begun = time.monotonic()
    try:
        camera.shoot(tmp_path, "0001")
        camera.shoot(tmp_path, "0002")
        assert time.monotonic() - begun > 3.0
    finally:
        camera.flash_wait_s = 0.0


def test_shots_without_card_leave_the_camera_s_memory_empty(camera: GphotoCamera, tmp_path: Path) -> None:
    camera.set(Role.TARGET, "memory")
    for number in range(12):
        check_pair(camera.shoot(tmp_path, f"{number:04d}"), tmp_path, f"{number:04d}")
    assert len(list(tmp_path.iterdir())) == 24


def test_a_port_without_a_camera(unused_port: int) -> None:
    with pytest.raises(CameraNotFoundError, match=str(unused_port)) as failure:
        open_camera(f"ptpip:127.0.0.1:{unused_port}:{unused_port}")
    assert failure.value.remedy


@pytest.fixture
def unused_port() -> int:
    with NetworkCamera("--size", "60x40") as gone:
        return int(gone.port.rpartition(":")[2])


def test_cameras_on_the_usb_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCAMERADIR", str(tmp_path))
    VirtualUsbFolder(tmp_path)
    (found,) = list_cameras()
    assert (found.model, found.port, found.permitted) == ("Nikon DSC D750", "usb:001,001", True)
    with open_camera(found.port) as camera:
        assert camera.info().model
    with pytest.raises(CameraNotFoundError):
        open_camera("usb:001,099")


def test_obstacles_are_told_before_the_first_frame(bench: NetworkCamera) -> None:
    with open_camera(bench.port, deadlines=QUICK) as camera:
        camera.set(Role.AUTOFOCUS, "off")
        camera.set(Role.TARGET, "card")
        assert camera.obstacles(frames=3, bytes_a_frame=1 << 20) == ()
        (found,) = camera.obstacles(frames=1 << 40, bytes_a_frame=1 << 20)
        assert "has room for" in found.message
    bench.order(fault="low_battery", percent=4)
    try:
        with open_camera(bench.port, deadlines=QUICK) as camera:
            fatal = [one for one in camera.obstacles() if one.fatal]
    finally:
        bench.order(clear="low_battery")
    assert ["4 %" in one.message for one in fatal] == [True]
