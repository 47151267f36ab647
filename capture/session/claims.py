"""Who holds a rail, a camera or a session folder: one process at a time, and the second is told whose turn it is.

A claim is a lock of the kernel's (``flock``), which ends with the process that holds it, however that ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from capture.camera.holders import whole_port
from capture.errors import HeldError
from rail.holders import holders

_LONGEST_COMMAND = 160
# Part of another device, which is claimed under its own name: the shutter release of its rail.
_SHUTTER = "shutter"
_ONLY = "the only one"
_JOURNAL = "journal.db"


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds something.

    Attributes
    ----------
    pid : int
    command : str
        As it was called; "" where this user may not see it.
    since : str
        Local time at which it was started; "" where unknown.
    session : str
        Folder of the session that it shoots; "" where it shoots none, or may not be seen.
    """

    pid: int
    command: str
    since: str
    session: str = ""

    def __str__(self) -> str:
        said = [f"process {self.pid}"]
        if self.command:
            said.append(self.command)
        if self.since:
            said.append(f"since {self.since}")
        if self.session:
            said.append(f"session {self.session}")
        return ", ".join(said)


def flock_holder(path: Path) -> Holder | None:
    """The process that holds a ``flock`` on `path`, as far as the kernel tells."""
    with contextlib.suppress(OSError):
        status = path.stat()
        major, minor = os.major(status.st_dev), os.minor(status.st_dev)
        wanted = f"{major:02x}:{minor:02x}:{status.st_ino}"
        for line in Path("/proc/locks").read_text("ascii").splitlines():
            words = line.split()
            # 12: FLOCK  ADVISORY  WRITE 4711 08:01:393217 0 EOF; one that waits has "->" behind its number
            if len(words) >= 8 and words[1] == "FLOCK" and words[5] == wanted and words[4].isdigit():
                return describe_process(int(words[4]))
    # where the table is not to be read: a process that has it open
    opened = [holder.pid for holder in holders(str(path)) if holder.pid != os.getpid()]
    return describe_process(opened[0]) if opened else None


def folder_holder(path: Path) -> Holder | None:
    """The process that works in the session folder `path`; None: nobody, or it cannot be told who."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return flock_holder(path)
    finally:
        os.close(descriptor)


def describe_process(pid: int) -> Holder:
    """Command and start of a process, as far as this user may see them."""
    command = since = ""
    with contextlib.suppress(OSError):
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        words = [word.decode("utf-8", "replace") for word in raw.split(b"\0") if word]
        command = _short(words)
    with contextlib.suppress(OSError, ValueError, IndexError):
        # behind the name in brackets, which may hold anything: state, parent, ...; the start, in ticks since boot, is field 22
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        started_s = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - started_s
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() - age_s))
    return Holder(pid, command, since, _session_of(pid))


def _session_of(pid: int) -> str:
    """A session's process has its journal open."""
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = link.readlink()
                if target.name == _JOURNAL:
                    return str(target.parent)
    return ""


@contextmanager
def claimed_rail(port: str | None) -> Iterator[None]:
    """Hold the rail at `port` for this process; None: nothing is held.

    Raises
    ------
    HeldError
    """
    with _claimed("rail", port):
        yield


@contextmanager
def claimed_camera(port: str | None) -> Iterator[None]:
    """Hold the camera at `port` for this process; None: the only one there is.

    Raises
    ------
    HeldError
    """
    with _claimed("camera", whole_port(port) or _ONLY):
        yield


def rail_claimant(port: str) -> Holder | None:
    """The process of this program that holds the rail at `port`; None: nobody, or it cannot be told who."""
    descriptor = _open_claim("rail", port)
    if descriptor < 0:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return flock_holder(Path(f"/proc/self/fd/{descriptor}"))
    finally:
        os.close(descriptor)


@contextmanager
def _claimed(kind: str, port: str | None) -> Iterator[None]:
    descriptor = -1 if port in (None, _SHUTTER) else _open_claim(kind, port)
    if descriptor < 0:  # of another device, or there is no place for a claim
        yield
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = flock_holder(Path(f"/proc/self/fd/{descriptor}"))
            named = kind if port == _ONLY else f"{kind} {port}"
            other = "another session" if holder is not None and holder.session else "another focusrail"
            raise HeldError(
                f"the {named} is in use by {other} ({holder or 'it cannot be told which'})",
                remedy=_ways_out(kind, port, holder),
                state="Nothing has moved, nothing was shot.",
            ) from None
        yield
    finally:
        os.close(descriptor)


def _ways_out(kind: str, port: str | None, holder: Holder | None) -> str:
    wait = "Wait until it has ended"
    if holder is None:
        return f"{wait}, or stop it."
    stop = f"focusrail rail stop --rail {port}" if kind == "rail" else f"kill -INT {holder.pid}"
    at_once = f"`{stop}` (motion stops at once)"
    if not holder.session:
        return f"{wait}, or stop it with {at_once}."
    return f"{wait}, or stop it with `focusrail control {holder.session} stop` (after its frame) or {at_once}."


def _open_claim(kind: str, port: str) -> int:
    """A file to lock; -1 where there is no place for one (a claim is a courtesy, never a reason to refuse)."""
    name = os.path.realpath(port) if port.startswith("/") else port.casefold()
    folder = _claims_folder()
    path = folder / f"{kind}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o1777, parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            folder.chmod(0o1777)  # of all users of this machine: they share its rails
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, flags)  # another user's may be read, which is enough for a lock, but not written
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
            os.fchmod(descriptor, 0o644)  # whatever the umask
            return descriptor
        return os.open(path, flags)  # made by another in this moment
    return -1


def _claims_folder() -> Path:
    return Path(tempfile.gettempdir()) / "focusrail-claims"


def _short(words: list[str]) -> str:
    """The command without the interpreter before it, short enough for a sentence."""
    if len(words) > 1 and "python" in Path(words[0]).name:
        words = words[1:]
        while words and words[0].startswith("-") and words[0] != "-m":
            words = words[1:]
        if words[:1] == ["-m"]:
            words = words[1:]
    if words and (words[0] == "capture.app" or Path(words[0]).name == "focusrail"):
        words = ["focusrail", *words[1:]]
    text = " ".join(words)
    return text if len(text) <= _LONGEST_COMMAND else text[: _LONGEST_COMMAND - 3] + "..."
