"""Who holds a port: a serial device by whoever has it open, a TCP port by whoever of this machine is connected to it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_ESTABLISHED = "01"
PROGRAMS = ("focusrail",)
"""How a process of this program is known by its command line: the names of its command, and of modules run with ``-m``."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has the port open.

    Attributes
    ----------
    pid : int
    name : str
    ours : bool
        It is focusrail, of this user, and ends a motion when it is told to end (SIGTERM).
    """

    pid: int
    name: str
    ours: bool = False


def holders(device: str, *, programs: Sequence[str] = PROGRAMS, proc: Path = Path("/proc")) -> tuple[Holder, ...]:
    """Other processes that have `device` open, by process number; those of other users are only seen by root.

    Parameters
    ----------
    device : str
        A path, or ``socket://host:port``. Of other URLs nobody is known.
    programs : sequence of str
        What makes one of them `Holder.ours`; the caller knows how it is run.
    """
    urls = "://" in device
    targets = {f"socket:[{inode}]" for inode in _connections(device, proc)} if urls else {os.path.realpath(device)}
    found: list[Holder] = []
    for entry in proc.iterdir() if targets and proc.is_dir() else ():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if any(_target(link) in targets for link in (entry / "fd").iterdir()):
                name = (entry / "comm").read_text("utf-8", "replace").strip()
                found.append(Holder(int(entry.name), name, _is_ours(entry, programs)))
    return tuple(sorted(found, key=lambda holder: holder.pid))


def in_the_way(device: str, programs: Sequence[str] = PROGRAMS) -> tuple[Holder, ...]:
    """The same without this process, and without the children of any that hold it: they have inherited it."""
    held = holders(device, programs=programs)
    holding = {holder.pid for holder in held}
    return tuple(holder for holder in held if holder.pid != os.getpid() and holding.isdisjoint(_ancestors(holder.pid)))


def _ancestors(pid: int, proc: Path = Path("/proc")) -> Iterator[int]:
    while pid > 1:
        try:
            # behind the name in brackets, which may hold anything: state, parent
            pid = int((proc / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return
        yield pid


def _target(link: Path) -> str:
    text = str(link.readlink())
    return text if text.startswith("socket:") else os.path.realpath(link)


def _is_ours(entry: Path, programs: Sequence[str]) -> bool:
    with contextlib.suppress(OSError):
        words = (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        return any(Path(word).name in programs for word in words[:5]) and entry.stat().st_uid == os.getuid()
    return False


def _connections(url: str, proc: Path) -> Iterator[str]:
    """Inodes of this machine's connections to the TCP port of `url`."""
    parts = urlsplit(url)
    with contextlib.suppress(OSError, ValueError):
        if parts.scheme != "socket" or parts.hostname is None or parts.port is None:
            return
        addresses = {info[4][0] for info in socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)}
        wanted = {f"{_as_kernel(str(address))}:{parts.port:04X}" for address in addresses}
        for table in ("tcp", "tcp6"):
            for line in (proc / "net" / table).read_text("ascii").splitlines()[1:]:
                # sl local remote state queues timer retransmissions uid timeout inode
                words = line.split()
                if len(words) > 9 and words[2] in wanted and words[3] == _ESTABLISHED:
                    yield words[9]


def _as_kernel(address: str) -> str:
    """An address as /proc/net/tcp writes it: hexadecimal, each four bytes in the machine's order."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    raw = socket.inet_pton(family, address)
    return "".join(raw[at : at + 4][::-1].hex().upper() for at in range(0, len(raw), 4))
