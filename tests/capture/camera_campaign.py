"""A session's worth of shots with faults at random: what came of them, and what it cost."""

from __future__ import annotations

import hashlib
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import tifffile

from capture.camera.gphoto_camera import GphotoCamera
from capture.camera.opening import Deadlines
from capture.camera.process import LibraryProcess
from capture.camera.protocol import Role
from capture.camera.wire import Progress
from capture.session.exposing import Exposing
from capture.session.folder import SessionFolder
from capture.session.plan import StackPlan
from tests.capture.camera_bench import NetworkCamera

DEADLINES = Deadlines(
    open_s=10, call_s=8, live_s=6, shot_s=6, next_file_s=1.5, stall_s=8, memory_s=8, recover_s=20, battery_s=2
)
# What befalls a shot, and how often among those that something befalls. Seconds are the camera's, which runs 20 times as fast.
FAULTS: tuple[tuple[str, int, dict[str, object]], ...] = (
    ("busy", 3, {"fault": "busy", "seconds": 10}),
    ("card or memory full", 2, {"fault": "store_full", "shots": 1}),
    ("out of focus", 2, {"fault": "out_of_focus", "shots": 1}),
    ("shot denied", 2, {"fault": "access_denied", "on": "capture", "shots": 1}),
    ("transfer denied", 2, {"fault": "access_denied", "on": "transfer", "shots": 1}),
    ("hang", 1, {"fault": "hang", "on": "any", "seconds": 60}),
    ("cut in a transfer", 4, {"fault": "cut_transfer", "after": 0.5}),
    ("cut at the end of a transfer", 2, {"fault": "cut_transfer", "after": 0.99}),
    ("stale frame", 3, {"fault": "stale_frame"}),
    ("second file missing", 2, {"fault": "missing_second_file"}),
    ("slow link", 2, {"fault": "slow", "bytes_per_s": 100_000}),
    ("low battery", 1, {"fault": "low_battery", "percent": 12}),
    ("switched off and on", 2, {"fault": "unplug", "seconds": 15}),
    ("asleep", 2, {"fault": "asleep"}),
    ("library killed", 4, {}),
)
_SERIAL = re.compile(rb"shot (\d{6})")


@dataclass
class Figures:
    """What a campaign found."""

    frames: int = 0
    seconds: float = 0.0
    exposures: int = 0
    befallen: Counter[str] = field(default_factory=Counter)
    lost: list[int] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    mixed: list[int] = field(default_factory=list)
    disordered: list[int] = field(default_factory=list)
    session_kib: list[int] = field(default_factory=list)
    driver_kib: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def growth_mib(self, samples: list[int], after: int) -> float:
        """By how much memory grew over its most in the shots until number `after`."""
        return (max(samples[after:]) - max(samples[:after])) / 1024


@dataclass
class Timing:
    """Where the time of each shot went, in seconds: all of it, the camera's own (exposure, storing), the transfer."""

    total_s: list[float] = field(default_factory=list)
    camera_s: list[float] = field(default_factory=list)
    transfer_s: list[float] = field(default_factory=list)

    def share(self) -> float:
        """The driver's own part, of all the rest; the median of the shots after the first."""
        shares = [
            (total - camera - transfer) / (camera + transfer)
            for total, camera, transfer in zip(self.total_s, self.camera_s, self.transfer_s, strict=True)
        ][1:]
        return sorted(shares)[len(shares) // 2]

    def own_ms(self) -> float:
        """The same in milliseconds."""
        own = [a - b - c for a, b, c in zip(self.total_s, self.camera_s, self.transfer_s, strict=True)][1:]
        return 1000 * sorted(own)[len(own) // 2]


def _kib(pid: int | None) -> list[int]:
    """Memory of a process; nothing where it has just been killed."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return [int(found[1])] if found else []


@contextmanager
def _befalling(
    name: str, order: dict[str, object], bench: NetworkCamera, camera: GphotoCamera, chance: random.Random
) -> Iterator[None]:
    """Something befalls what is done meanwhile, and is over afterwards."""
    if order:
        bench.order(**order)
        yield
        bench.order(clear=order["fault"])
        return
    delay_s = chance.uniform(0.0, 0.06)
    pid = camera.driver_pid

    def kill() -> None:
        if pid is not None:
            try:
                os.kill(pid, chance.choice((signal.SIGKILL, signal.SIGSEGV)))
            except ProcessLookupError:
                return

    timer = threading.Timer(delay_s, kill)
    timer.start()
    yield
    timer.join()


def run(bench: NetworkCamera, folder: Path, frames: int, *, seed: int, share: float) -> Figures:
    """Shoot `frames` RAW+JPEG frames as a session does; about `share` of them with a fault."""
    chance = random.Random(seed)
    figures = Figures()
    plan = StackPlan(0.0, float(frames - 1), 1.0)
    names = [name for name, _, _ in FAULTS]
    weights = [weight for _, weight, _ in FAULTS]
    orders = {name: order for name, _, order in FAULTS}
    before = int(bench.truth()["shots"])
    began_s = time.monotonic()
    with (
        SessionFolder.create(folder / "session", plan, devices={}, settings={}, origin="keep") as session,
        GphotoCamera(bench.port, deadlines=DEADLINES) as camera,
    ):
        camera.set(Role.FORMAT, "RAW+JPEG")
        exposing = Exposing(session, camera, lambda _text: None, lambda _seconds: None)
        for number in range(1, frames + 1):
            if number % 50 == 1:
                camera.set(Role.TARGET, "memory" if number % 100 == 51 else "card")
            if chance.random() < share:
                (name,) = chance.choices(names, weights)
                figures.befallen[name] += 1
                with _befalling(name, orders[name], bench, camera, chance):
                    exposing.shoot(number, frames)
            else:
                exposing.shoot(number, frames)
            figures.session_kib += _kib(os.getpid())
            figures.driver_kib += _kib(camera.driver_pid)
            figures.descriptors.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208
        figures.seconds = time.monotonic() - began_s
        figures.exposures = int(bench.truth()["shots"]) - before
        _judge(session, frames, figures)
    return figures


def _judge(session: SessionFolder, frames: int, figures: Figures) -> None:
    """Look at the files themselves, not at what the program says of them."""
    seen: dict[str, str] = {}
    last = 0
    for number in range(1, frames + 1):
        pair = sorted(session.frames_path.glob(f"{session.stem(number, frames)}.*"))
        if [path.suffix for path in pair] != [".dng", ".jpg"]:
            figures.lost.append(number)
            continue
        figures.frames += 1
        serials = set()
        for path in pair:
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            if digest in seen:
                figures.doubled.append(f"{path.name} = {seen[digest]}")
            seen[digest] = path.name
            found = _SERIAL.search(data)
            serials.add(int(found[1]) if found else -1)
            if not _whole(path):
                figures.torn.append(path.name)
        if len(serials) != 1:
            figures.mixed.append(number)
        if min(serials) <= last:
            figures.disordered.append(number)
        last = max(serials)


def _whole(path: Path) -> bool:
    if path.suffix == ".jpg":
        return path.read_bytes().endswith(b"\xff\xd9") and cv2.imread(str(path)) is not None
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
            return max(ends) <= path.stat().st_size and page.asarray().any()
    except (tifffile.TiffFileError, ValueError):
        return False


class TimedProcess(LibraryProcess):
    """The driver's process, noting when a shot's exposure and transfer were."""

    def __init__(self, timing: Timing) -> None:
        super().__init__()
        self._timing = timing

    def ask(
        self,
        operation: str,
        *,
        deadline_s: float,
        watched: Path | None = None,
        on_progress: Callable[[Progress], float | None] | None = None,
        on_silence: Callable[[float, float], None] | None = None,
        arguments: dict[str, object] | None = None,
    ) -> object:
        moments: dict[str, float] = {}

        def note(progress: Progress) -> float | None:
            moments[progress.stage] = time.monotonic()
            return on_progress(progress) if on_progress is not None else None

        try:
            return super().ask(
                operation,
                deadline_s=deadline_s,
                watched=watched,
                on_progress=note,
                on_silence=on_silence,
                arguments=arguments,
            )
        finally:
            if "stored" in moments:
                self._timing.camera_s.append(moments["added"] - moments["triggering"])
                self._timing.transfer_s.append(moments["stored"] - moments["added"])


def time_shots(port: str, folder: Path, count: int) -> Timing:
    """Take `count` shots of one file each, and say where their time went."""
    timing = Timing()
    with GphotoCamera(port, start=lambda: TimedProcess(timing)) as camera:
        camera.set(Role.TARGET, "card")
        for number in range(count):
            began_s = time.monotonic()
            shot = camera.shoot(folder, f"{number:04d}")
            timing.total_s.append(time.monotonic() - began_s)
            for file in shot.files:
                file.path.unlink()
    return timing
