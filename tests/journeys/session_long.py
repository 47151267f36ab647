"""A long session, measured: memory, and the time of each frame beside travel, settling, exposure and transfer.

``python -m tests.journeys.session_long FOLDER [FRAMES]`` prints the figures as JSON.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from capture.app.bench_launch import RunningBench
from capture.session.journal import Journal
from capture.session.records import EventKind
from tests.journeys.program import command
from tests.journeys.session_campaign import children, devices

PAGE = os.sysconf("SC_PAGE_SIZE")
_LONGEST_S = 7200.0


@dataclass(frozen=True)
class Figures:
    """Times in ms, memory in MB.

    Attributes
    ----------
    own_ms : median over the frames of all that is not travel, settling, exposure and transfer: the journal's steps before and
        after, the manifest, the checks; of the first, the middle and the last fifth of the frames, and of all.
    cpu_ms : processor time of the program and its children, a frame.
    memory_mb : resident, of the program and its children: at a tenth of the frames, in the middle, at the last.
    after_s : from the last frame to the end of the program.
    """

    frames: int
    own_ms: float
    own_first_ms: float
    own_middle_ms: float
    own_last_ms: float
    cpu_ms: float
    memory_mb: tuple[float, float, float]
    after_s: float


def measure(folder: Path, frames: int = 1000, sensor: str = "320x240", scale: int = 100) -> Figures:
    """Shoot `frames` small frames and measure."""
    with RunningBench("--seed", "7", "--sensor", sensor, "--time-scale", str(scale), "--start", "5000") as bench:
        plan = ("--near", "0", "--far", f"{5 * (frames - 1)}um", "--step", "5um", "--settle", "0")
        session = folder / "s"
        process = subprocess.Popen(
            command("shoot", *devices(bench), *plan, "--origin", "here", "--out", str(session), "--json"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        memory: list[tuple[int, float]] = []
        cpu: list[tuple[int, float]] = []
        end_s = time.monotonic() + _LONGEST_S
        while process.poll() is None and time.monotonic() < end_s:
            done = sum(1 for _ in (session / "frames").glob("0*")) if session.is_dir() else 0
            pids = [process.pid, *children(process.pid)]
            if done:
                memory.append((done, sum(map(_resident_mb, pids))))
                cpu.append((done, sum(map(_cpu_s, pids))))
            time.sleep(0.5)
        out = process.communicate(timeout=60)[0]
        ended_s = time.time()
    assert process.returncode == 0, out
    assert json.loads(out)["frames"] == frames
    own_ms, last_s = _own_ms(session)
    fifth = frames // 5
    return Figures(
        frames=frames,
        own_ms=_median(own_ms),
        own_first_ms=_median(own_ms[:fifth]),
        own_middle_ms=_median(own_ms[2 * fifth : 3 * fifth]),
        own_last_ms=_median(own_ms[-fifth:]),
        cpu_ms=round(1000 * _rate([entry for entry in cpu if entry[0] < frames]), 2),
        memory_mb=(_at(memory, frames // 10), _at(memory, frames // 2), _at(memory, frames - 1)),
        after_s=round(ended_s - last_s, 2),
    )


def _own_ms(session: Path) -> tuple[list[float], float]:
    """For each frame but the first: from the last one's storing to this one's departure, and from settled to exposing, ms.

    The journal's times are those before each step's own commit, so what the commits take lies inside.
    """
    at: dict[int, dict[EventKind, float]] = {}
    with Journal(session / "journal.db") as journal:
        for event in journal.events():
            if event.frame is not None:
                at.setdefault(event.frame, {}).setdefault(event.kind, datetime.fromisoformat(event.at).timestamp())
    numbers = sorted(at)
    own = []
    for before, now in itertools.pairwise(numbers):
        between = at[now][EventKind.INTENDED] - at[before][EventKind.STORED]
        ready = at[now][EventKind.EXPOSING] - at[now][EventKind.MOVED]
        own.append(1000 * (between + ready))
    return own, at[numbers[-1]][EventKind.STORED]


def _median(values: list[float]) -> float:
    return round(float(np.median(values)), 2)


def _rate(points: list[tuple[int, float]]) -> float:
    done, spent = np.array(points, float).T
    return float(np.polyfit(done, spent, 1)[0])


def _at(points: list[tuple[int, float]], frames: int) -> float:
    return round(next((value for done, value in points if done >= frames), points[-1][1]), 1)


def _resident_mb(pid: int) -> float:
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1e6
    return 0.0


def _cpu_s(pid: int) -> float:
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def as_values(figures: Figures) -> Mapping[str, object]:
    return asdict(figures)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    found = measure(target, *(int(word) for word in sys.argv[2:3]))
    sys.stdout.write(json.dumps(as_values(found), indent=1) + "\n")
