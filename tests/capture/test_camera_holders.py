"""Who holds a camera, read from a /proc made for the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture.camera.holders import describe_holders, device_path, find_holders, whole_port
from capture.errors import UsageError


@pytest.fixture
def processes(tmp_path: Path) -> Path:
    def process(pid: int, name: str, *opened: str) -> None:
        folder = tmp_path / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "comm").write_text(f"{name}\n")
        for number, target in enumerate(opened):
            (folder / "fd" / str(number)).symlink_to(target)

    process(10, "systemd", "/dev/null")
    process(11, "gvfs-gphoto2-vo", "/dev/bus/usb/001/003")
    process(12, "gvfsd-gphoto2", "/dev/null", "/dev/bus/usb/001/004")
    process(13, "someprogram", "/dev/bus/usb/001/004")
    process(14, "darktable")
    process(15, "editor", "/dev/bus/usb/001/007")
    (tmp_path / "self").mkdir()
    (tmp_path / "16").mkdir()
    return tmp_path


def test_holders_of_one_camera_come_first_then_those_that_claim_any(processes: Path) -> None:
    holders = find_holders("usb:001,004", processes)
    assert [(holder.pid, holder.certain) for holder in holders] == [(12, True), (13, True), (11, False), (14, False)]
    assert [holder.remedy for holder in holders[:2]] == ["gio mount -s gphoto2", "kill 13"]


def test_without_a_port_only_claimers_are_named(processes: Path) -> None:
    assert [holder.pid for holder in find_holders(None, processes)] == [11, 12, 14]


def test_own_processes_are_left_out(processes: Path) -> None:
    assert 13 not in {holder.pid for holder in find_holders("usb:001,004", processes, own=[13])}


def test_a_network_camera_has_no_holders_here(processes: Path) -> None:
    assert find_holders("ptpip:10.0.0.2:15740:15740", processes) == []


def test_the_words_name_the_command(processes: Path) -> None:
    words = describe_holders(find_holders("usb:001,004", processes))
    assert "gvfsd-gphoto2 (process 12) holds the camera: release it with `gio mount -s gphoto2`." in words
    assert "claims cameras" in words
    assert describe_holders([]) == ""


@pytest.mark.parametrize(
    ("port", "path"),
    [("usb:001,004", Path("/dev/bus/usb/001/004")), ("usb:", None), ("ptpip:h:1:1", None), ("serial:/dev/ttyS0", None)],
)
def test_device_files(port: str, path: Path | None) -> None:
    assert device_path(port) == path


@pytest.mark.parametrize(
    ("port", "whole"),
    [
        ("ptpip:localhost:15740", "ptpip:127.0.0.1:15740:15740"),
        ("ptpip:127.0.0.1:1:2", "ptpip:127.0.0.1:1:2"),
        ("ptpip:127.0.0.1", "ptpip:127.0.0.1"),
        ("ptpip:no.such.host.invalid:1", "ptpip:no.such.host.invalid:1:1"),
        (f"ptpip:{'a' * 80}", f"ptpip:{'a' * 80}"),  # longer than any host's name
        ("usb:001,004", "usb:001,004"),
        (None, None),
    ],
)
def test_a_network_camera_is_named_by_its_address(port: str | None, whole: str | None) -> None:
    assert whole_port(port) == whole


@pytest.mark.parametrize("port", ["ptpip:", "ptpip::15740", "ptpip:127.0.0.1:abc", "ptpip:127.0.0.1:", "ptpip:h:1:2:3"])
def test_what_names_no_network_camera_is_refused(port: str) -> None:
    with pytest.raises(UsageError, match="names no network camera") as caught:
        whole_port(port)
    assert "ptpip:HOST" in caught.value.remedy
