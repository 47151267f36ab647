"""Serial ports: which there are, who holds one, what is missing to open it; and opening one."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import serial
from serial.tools import list_ports

from rail.errors import RailBusyError, RailError, RailPortError, RailUsageError
from rail.holders import PROGRAMS, Holder, holders, in_the_way

_log = logging.getLogger(__name__)
# every byte, for the log of a session that asks for it
_wire = logging.getLogger("rail.wire")

BAUD = 115_200
_READ_S = 0.02
_WRITE_S = 2.0
_GRABBERS = {
    "ModemManager": "ModemManager opens new serial ports to look for modems: "
    '`sudo systemctl stop ModemManager`, or exempt the board with a udev rule ENV{ID_MM_DEVICE_IGNORE}="1".',
    "brltty": "brltty takes CH340 and CP210x adapters for Braille displays: `sudo apt remove brltty`.",
}


@dataclass(frozen=True, slots=True)
class PortInfo:
    """One serial port.

    Attributes
    ----------
    url : str
        What `rail.opening.open_axis` takes.
    description : str
    usb : str or None
        ``vendor:product`` in hexadecimal.
    accessible : bool
        This user may read and write it.
    held_by : tuple of Holder
        Who has it open, as far as this user may see.
    remedy : str
        What stands in the way and how to cure it; "" if nothing.
    """

    url: str
    description: str
    usb: str | None
    accessible: bool
    held_by: tuple[Holder, ...]
    remedy: str


def list_serial_ports() -> list[PortInfo]:
    """The serial ports of this machine that have a device behind them, by name. Opens none."""
    found = []
    for port in sorted(list_ports.comports(), key=lambda entry: entry.device):
        usb = f"{port.vid:04x}:{port.pid:04x}" if port.vid is not None and port.pid is not None else None
        if usb is None and port.description in {"n/a", "ttyS0"} and port.hwid == "n/a":
            continue  # a UART the kernel only guesses at
        held = holders(port.device)
        accessible = os.access(port.device, os.R_OK | os.W_OK)
        hints = [permission_remedy(port.device)] if not accessible else []
        hints += [
            f"{holder.name} (process {holder.pid}) has it open. {_GRABBERS.get(holder.name, '')}" for holder in held
        ]
        found.append(PortInfo(port.device, port.description or "", usb, accessible, held, " ".join(hints).strip()))
    return found


def grabbers(*, proc: Path = Path("/proc")) -> list[str]:
    """Hints about running programs known to take serial ports away."""
    running = set()
    for entry in proc.iterdir() if proc.is_dir() else ():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                running.add((entry / "comm").read_text("utf-8", "replace").strip())
    return [hint for name, hint in _GRABBERS.items() if name in running]


def permission_remedy(device: str) -> str:
    """How to get access to `device`: its group, and the command that joins it."""
    try:
        import grp

        group = grp.getgrgid(Path(device).stat().st_gid).gr_name
    except (ImportError, KeyError, OSError):
        group = "dialout"
    if group == "root":
        group = "dialout"
    return f"You may not open {device}: `sudo usermod -aG {group} $USER`, then log out and in again."


def open_port(url: str, *, baud: int = BAUD, programs: Sequence[str] = PROGRAMS) -> ClosingPort:
    """Open a pyserial URL (``/dev/ttyACM0``, ``socket://host:port``, ...) for this process alone.

    The port is asked not to drop its control lines at closing (HUPCL off), so that the next opening does not restart
    the controller; the first opening after plugging in still may. What `programs` are: `rail.holders.holders`.

    Raises
    ------
    RailPortError, RailBusyError, RailUsageError
    """
    # A device is locked by who opened it; of a connection nobody would say more than that it was closed.
    if url.startswith("socket://") and (busy := busy_error(url, programs)) is not None:
        raise busy
    try:
        port: serial.Serial = serial.serial_for_url(url, do_not_open=True)
        port.baudrate = baud
        port.timeout = _READ_S
        port.write_timeout = _WRITE_S
        if "://" not in url and os.name == "posix":
            port.exclusive = True
        port.open()
    except ValueError as error:
        raise RailUsageError(
            f"{url!r} is no port: {error}.", remedy="Give a device such as /dev/ttyUSB0, or socket://host:port."
        ) from error
    except (OSError, serial.SerialException) as error:
        raise _open_error(url, error, programs) from error
    _keep_control_lines(port)
    return ClosingPort(port)


class ClosingPort:
    """A pyserial port whose socket is closed even after its other end has gone (pyserial leaves it open then)"""

    def __init__(self, port: serial.Serial) -> None:
        self._port = port
        self._heard = b""

    @property
    def in_waiting(self) -> int:
        """Number of bytes to read at once, at least 1 if there are any."""
        return int(self._port.in_waiting)

    def read(self, size: int = 1, /) -> bytes:
        """Read up to `size` bytes within the port's time limit."""
        data = bytes(self._port.read(size))
        if _wire.isEnabledFor(logging.DEBUG):
            *lines, self._heard = (self._heard + data).split(b"\n")
            for line in lines:
                _wire.debug("< %r", line + b"\n")
        return data

    def write(self, data: bytes, /) -> int | None:
        """Write all of `data`."""
        _wire.debug("> %r", data)
        return self._port.write(data)

    def close(self) -> None:
        """Close the port; a socket without pyserial's pause of 0.3 s after it."""
        connection = getattr(self._port, "_socket", None)
        if connection is None:
            self._port.close()
        else:
            self._port.is_open = False
            connection.close()


def busy_error(url: str, programs: Sequence[str] = PROGRAMS) -> RailBusyError | None:
    """The error for a port that another process holds; None where none is seen to."""
    held = in_the_way(url, programs)
    if not held:
        return None
    who = ", ".join(f"{holder.name} (process {holder.pid})" for holder in held)
    ours = [holder.pid for holder in held if holder.ours]
    if ours:
        remedy = (
            f"It is another focusrail: Ctrl-C there, `kill {ours[0]}` or `focusrail rail stop` ends what it does, with the motion "
            "stopped and the position kept; or wait for its end."
        )
    else:
        remedy = (
            " ".join(_GRABBERS[holder.name] for holder in held if holder.name in _GRABBERS) or "Close that program."
        )
    return RailBusyError(
        f"{url} is in use by {who}.", remedy=remedy, state="Not connected; what that program moves goes on."
    )


def _keep_control_lines(port: serial.Serial) -> None:
    try:
        import termios

        descriptor = port.fileno()
        if not os.isatty(descriptor):
            return
        attributes = termios.tcgetattr(descriptor)
        attributes[2] &= ~termios.HUPCL
        termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
    except (ImportError, OSError, AttributeError, ValueError) as error:
        _log.debug("control lines left as they are: %s", error)
    except termios.error as error:
        _log.debug("control lines left as they are: %s", error)


def _open_error(url: str, error: Exception, programs: Sequence[str]) -> RailError:
    number = error.errno if isinstance(error, OSError) else None
    text = str(error)
    state = "Not connected."
    busy = busy_error(url, programs)
    if busy is not None and "://" in url:
        return busy
    if "://" in url:
        return RailPortError(
            f"{url} cannot be opened: {text}.", remedy="Check the address and that the other side runs.", state=state
        )
    if number in {errno.EBUSY, errno.EAGAIN} or "exclusively lock" in text or "Device or resource busy" in text:
        return busy or RailBusyError(
            f"{url} is in use by another program.", remedy="Close that program.", state="Not connected."
        )
    if number == errno.EACCES or "Permission denied" in text:
        return RailPortError(f"{url} may not be opened by this user.", remedy=permission_remedy(url), state=state)
    if number == errno.ENOENT or "No such file" in text:
        return RailPortError(
            f"There is no {url}.",
            remedy="Is the controller plugged in? `focusrail devices` lists the ports.",
            state=state,
        )
    return RailPortError(
        f"{url} cannot be opened: {text}.", remedy="Is it a serial port? `focusrail devices` lists them.", state=state
    )
