from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rail.errors import RailBusyError, RailError, RailPortError, RailTimeoutError, RailUsageError
from rail.grbl.link import Link
from rail.holders import Holder, holders
from rail.opening import describe_settings, examine, open_axis
from rail.ports import ClosingPort, grabbers, list_serial_ports, open_port, permission_remedy
from rail.simulator import DeviceClock, RailOptions, SimulatedRail

pty = pytest.importorskip("pty")
termios = pytest.importorskip("termios")


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    os.close(slave)
    yield master, name
    os.close(master)


def test_listing_opens_nothing_and_names_each_port() -> None:
    for port in list_serial_ports():
        assert port.url
        assert port.accessible or port.remedy


def test_a_terminal_is_opened_without_its_control_lines(terminal: tuple[int, str]) -> None:
    master, name = terminal
    port = open_port(name)
    try:
        assert isinstance(port, ClosingPort)
        os.write(master, b"ok\r\n")
        assert port.read(4) == b"ok\r\n"
        port.write(b"?")
        assert os.read(master, 10) == b"?"
        descriptor = os.open(name, os.O_RDWR | os.O_NOCTTY)
        try:
            assert not termios.tcgetattr(descriptor)[2] & termios.HUPCL
        finally:
            os.close(descriptor)
    finally:
        port.close()
        port.close()


def test_a_held_port_names_its_holder(terminal: tuple[int, str]) -> None:
    _, name = terminal
    program = "import serial, sys; port = serial.Serial(sys.argv[1], exclusive=True); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        assert other.pid in {holder.pid for holder in holders(name)}
        with pytest.raises(RailBusyError) as caught:
            open_port(name)
        assert str(other.pid) in caught.value.message
        assert caught.value.remedy
        other.communicate("", timeout=20)


def test_a_terminal_that_hangs_up_is_a_lost_link() -> None:
    master, slave = pty.openpty()
    link = Link(open_port(os.ttyname(slave)))
    os.close(slave)
    os.write(master, b"<Idle|MPos:0.000,0.000,0.000|FS:0,0>\r\n")
    assert link.ask_status(5.0).state == "Idle"
    os.close(master)
    with pytest.raises(RailPortError) as caught:
        link.ask_status(5.0)
    assert "lost" in caught.value.message
    assert not link.open
    link.close()


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("/dev/does-not-exist", RailPortError),
        ("nonsense://x", RailUsageError),
        ("socket://127.0.0.1:1", RailPortError),
        ("socket://nohost.invalid", RailError),
        ("/dev/null", RailPortError),
    ],
)
def test_what_cannot_be_opened_says_why(url: str, kind: type[RailError]) -> None:
    with pytest.raises(kind) as caught:
        open_axis(url)
    assert url.split("://")[0] in caught.value.message
    assert caught.value.remedy


def test_a_socket_that_closes_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        link = Link(open_port(url))
        connection, _ = server.accept()
        connection.close()
        with pytest.raises(RailPortError) as caught:
            link.ask_status(5.0)
        assert "lost" in caught.value.message
        link.close()


def test_a_socket_that_stays_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = Link(open_port(f"socket://127.0.0.1:{server.getsockname()[1]}"))
        connection, _ = server.accept()
        with connection, pytest.raises(RailTimeoutError):
            link.ask_status(0.1)
        link.close()


def test_holders_and_grabbers_are_read_from_proc(tmp_path: Path) -> None:
    device = tmp_path / "ttyUSB0"
    device.touch()
    for pid, name, opens in ((7, "ModemManager", True), (9, "bash", False), (11, "cnc", True)):
        (tmp_path / str(pid) / "fd").mkdir(parents=True)
        (tmp_path / str(pid) / "comm").write_text(f"{name}\n")
        if opens:
            (tmp_path / str(pid) / "fd" / "3").symlink_to(device)
    (tmp_path / "self").mkdir()
    assert holders(str(device), proc=tmp_path) == (Holder(7, "ModemManager"), Holder(11, "cnc"))
    assert len(grabbers(proc=tmp_path)) == 1
    assert holders(str(device), proc=tmp_path / "none") == ()


def test_the_permission_remedy_is_a_command(tmp_path: Path) -> None:
    assert "usermod -aG" in permission_remedy(str(tmp_path))
    assert "dialout" in permission_remedy("/dev/does-not-exist")


def test_settings_and_examination_over_the_wire() -> None:
    rail = SimulatedRail(RailOptions(stock=True), DeviceClock(5.0))
    rail.start()
    try:
        with open_axis(rail.url) as axis:
            settings = describe_settings(axis)
        assert settings["$1"] == {"value": 25.0, "meaning": "time after which the motor is let go, ms (255: never)"}
        with open_axis(rail.url, "t8-lead2") as axis:
            findings = examine(axis)
        assert findings[0]["key"] == "$1"
        assert findings[0]["severity"] == "wrong"
        with open_axis(rail.url) as axis, pytest.raises(RailError):
            open_axis(rail.url)  # the port is taken
        assert axis.status().state.value == "disconnected"
    finally:
        rail.stop()
