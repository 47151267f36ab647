"""What a command costs: wall time, CPU time and peak memory of its whole process tree; and the floor, decoding all frames.

Linux: memory is read from /proc, summed over the tree (a page shared by two processes counts twice); CPU time is the kernel's own
account of the command and all its descendants that were waited for.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

_SAMPLE_EVERY_S = 0.05
_LEAST_WAIT_S, _WAIT_SHARE = 0.001, 0.1


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one run. `exit_code` is negative after a signal; `timed_out`: it was ended at the limit."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    exit_code: int
    timed_out: bool


def measure(
    command: Sequence[str],
    *,
    limit_s: float = 600.0,
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Cost:
    """Run a command to its end and account for it; its output goes to `log`.

    At the limit the whole session is killed. Raises OSError when the command cannot be started.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    with Path(log or os.devnull).open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
        peak, timed_out = 0, False
        try:
            while True:
                peak = max(peak, tree_rss(process.pid))
                ended, status, usage = os.wait4(process.pid, os.WNOHANG)
                if ended:
                    process.returncode = os.waitstatus_to_exitcode(status)
                    # The kernel's own figure is at least what the program that started it took: it serves one that ended unseen.
                    peak = peak or usage.ru_maxrss * 1024
                    break
                elapsed_s = time.monotonic() - started
                if elapsed_s > limit_s:
                    timed_out = True
                    break
                # what ends soon is looked at sooner: else it would be seen while it was still being loaded, and never again
                time.sleep(min(_SAMPLE_EVERY_S, max(_LEAST_WAIT_S, _WAIT_SHARE * elapsed_s)))
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    wall = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(round(wall, 3), round(cpu, 3), round(peak / 2**20, 1), process.returncode, timed_out)


def tree_rss(root: int) -> int:
    """Resident memory, bytes, of a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # the name in brackets may hold anything, a space too
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError, ValueError):
                continue  # it ended meanwhile
            children.setdefault(parent, []).append(int(entry.name))
    total, waiting = 0, [root]
    page = resource.getpagesize()
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
        except (OSError, IndexError):
            continue
    return total


def decode_all(folder: Path, threads: int = 2) -> int:
    """Decode every frame of a folder on some threads and do nothing else; returns how many could be."""
    cv2.setNumThreads(1)
    with ThreadPoolExecutor(threads) as pool:
        frames = sorted(map(str, folder.glob("frame_*")))
        return sum(pool.map(lambda frame: cv2.imread(frame, cv2.IMREAD_UNCHANGED) is not None, frames))


def decode_command(folder: Path) -> list[str]:
    """The command whose cost is the floor."""
    return [sys.executable, str(Path(__file__)), "--decode", str(folder)]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=600.0, help="seconds after which the command is ended")
    parser.add_argument("--log", type=Path, help="where its output goes")
    parser.add_argument("--decode", type=Path, metavar="FOLDER", help="decode all frames of a folder, nothing else")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    if given.decode is not None:
        print(decode_all(given.decode))
        return
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    if not command:
        parser.error("name a command, or --decode FOLDER")
    print(json.dumps(asdict(measure(command, limit_s=given.limit, log=given.log))))


if __name__ == "__main__":
    main()
