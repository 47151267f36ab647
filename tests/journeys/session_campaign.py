"""Sessions disturbed at random moments and gone on with: what is done to them, and what must hold at the end.

``python -m tests.journeys.session_campaign FOLDER FIRST COUNT`` runs seeds from FIRST on and prints one JSON line for each.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.app.bench_launch import RunningBench
from tests import by_seed
from tests.journeys.program import Finished, command, focusrail

OPTIONS = (
    *("--seed", "7", "--sensor", "320x240", "--time-scale", "20"),
    *("--switches", "--start", "5000", "--backlash", "30"),
)
PLAN = ("--near", "1mm", "--far", "1.7mm", "--step", "100um", "--settle", "0.1")
OPTICS = ("-m", "2", "-f", "2.8")
FRAMES = 8
KILLS = ("app", "children", "devices", "all")
# fault of the bench -> its parameters; cleared once the program has ended or the session has gone on
FAULTS: dict[str, dict[str, Any]] = {
    "reset": {},
    "alarm": {},
    "unplug rail": {"part": "rail"},
    "unplug camera": {"part": "camera"},
    "rail without power": {"part": "rail", "power": True},
    "hang": {"seconds": 400.0},
    "busy": {"seconds": 60.0},
    "battery": {"shots": 1},
    "cut_transfer": {},
    "stale_frame": {},
    "disk full": {},
    "read-only": {},
}
_NAMES = {
    "unplug rail": "unplug",
    "unplug camera": "unplug",
    "rail without power": "unplug",
    "battery": "die_after",
}
DISK_FAULTS = ("disk full", "read-only")
DISK_BYTES = 24_000_000
_LONGEST_S = 900.0


def free_ports(count: int) -> str:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return ",".join(str(one.getsockname()[1]) for one in sockets)


@dataclass
class MortalBench:
    """A bench that can be killed and comes back at the same addresses, the carriage where it was."""

    folder: Path
    ports: str = field(default_factory=lambda: free_ports(3))
    options: tuple[str, ...] = OPTIONS
    running: RunningBench | None = None

    def start(self) -> RunningBench:
        end_s = time.monotonic() + 60
        while True:
            try:
                state = str(self.folder / "bench.json")
                self.running = RunningBench(*self.options, "--ports", self.ports, "--state", state)
                return self.running
            except Exception:
                # a port may still be in the kernel's hands
                if time.monotonic() > end_s:
                    raise
                time.sleep(0.2)

    @property
    def bench(self) -> RunningBench:
        assert self.running is not None
        return self.running

    @property
    def alive(self) -> bool:
        return self.bench._process.poll() is None

    def kill(self) -> None:
        kill_tree(self.bench._process.pid)
        self.bench.close()

    def __enter__(self) -> MortalBench:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.running is not None:
            self.running.close()


class Disk:
    """A small disk of its own, where the system lets one be made: it can be filled, and be made read-only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
        done = subprocess.run(["mount", *options], capture_output=True, check=False) if shutil.which("mount") else None
        self.own = done is not None and done.returncode == 0

    def harm(self, what: str) -> None:
        if what == "disk full":
            with (self.folder / "filler").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(self.folder).free)
        else:
            self._remount("ro")

    def mend(self) -> None:
        self._remount("rw")
        (self.folder / "filler").unlink(missing_ok=True)

    def _remount(self, how: str) -> None:
        # a file open for writing keeps a disk from becoming read-only: it is made so for all that comes
        arguments = ["mount", "-o", f"remount,{how}", str(self.folder)]
        subprocess.run(arguments, capture_output=True, check=False)

    def __enter__(self) -> Disk:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.own:
            self.mend()
            subprocess.run(["umount", "-l", str(self.folder)], capture_output=True, check=False)


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children") if Path(f"/proc/{pid}").exists() else ():
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                found += [int(child), *children(int(child))]
    return found


def kill_tree(pid: int) -> None:
    for one in [*children(pid), pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def pixels(path: str | Path) -> NDArray[np.generic]:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None, path
    return picture


def devices(bench: RunningBench) -> tuple[str, ...]:
    return "--rail", bench.rail, "--camera", bench.camera


@dataclass(frozen=True)
class Undisturbed:
    """What the same session gives when nobody disturbs it: positions of its frames, and the picture."""

    positions: list[float]
    picture: NDArray[np.generic]

    @classmethod
    def shot(cls, folder: Path, *more: str) -> Undisturbed:
        with MortalBench(folder) as mortal:
            arguments = ("run", *devices(mortal.bench), *PLAN, *more, "--origin", "home", "--out", folder / "s")
            values = focusrail(*arguments, "--json", longest_s=_LONGEST_S).done()
            return cls(positions_of(accepted(folder / "s")), pixels(values["result"]))


def accepted(session: Path) -> list[dict[str, Any]]:
    manifest = json.loads((session / "manifest.json").read_text())
    return [frame for frame in manifest["frames"] if frame["verdict"] == "accepted"]


def positions_of(frames: list[dict[str, Any]]) -> list[float]:
    return sorted(float(frame["position_um"]) for frame in frames)


def check_whole(session: Path, like: Undisturbed) -> None:
    """One accepted frame for every position, each a whole file, none twice; nothing in frames/ that does not count, nothing lost."""
    frames = accepted(session)
    assert set(range(1, FRAMES + 1)) <= {frame["number"] for frame in frames}
    assert len({frame["number"] for frame in frames}) == len(frames)
    assert np.allclose(positions_of(frames), like.positions, atol=0.6), positions_of(frames)
    files = [str(frame["file"]) for frame in frames]
    assert len(set(files)) == len(files)
    on_disk = {f"frames/{path.name}" for path in (session / "frames").iterdir() if path.is_file()}
    assert on_disk == set(files)
    for frame in frames:
        assert hashlib.sha256((session / frame["file"]).read_bytes()).hexdigest() == frame["sha256"]
    assert len({str(frame["sha256"]) for frame in frames}) == len(frames)
    assert not [path.name for path in session.iterdir() if path.name.startswith(".check-")]
    told = {
        entry["file"]
        for frame in json.loads((session / "manifest.json").read_text())["frames"]
        for entry in frame["rejected"]
    }
    assert told >= {f"frames/rejected/{path.name}" for path in (session / "frames" / "rejected").iterdir()}


@dataclass
class Campaign:
    """One session, disturbed at one to five random moments."""

    folder: Path
    seed: int
    like: Undisturbed
    kinds: tuple[str, ...] = KILLS
    more: tuple[str, ...] = ()
    story: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    def run(self) -> list[str]:
        """Returns what was done to it, and how the program answered each time."""
        chance = random.Random(self.seed)
        with Disk(self.folder / "disk") as disk, MortalBench(self.folder) as mortal:
            session = disk.folder / "s"
            begin = ["run", *devices(mortal.bench), *PLAN, *self.more, "--origin", "home", "--out", str(session)]
            kinds = [kind for kind in self.kinds if disk.own or kind not in DISK_FAULTS]
            for _ in range(chance.randint(1, 5)):
                self._once(mortal, disk, session, begin, chance.choice(kinds), chance)
            try:
                last = self._to_the_end(mortal, session, begin)
                assert last.code == 0, f"{last.stdout}\n{last.stderr}"
                check_whole(session, self.like)
                assert np.array_equal(pixels(last.values["result"]), self.like.picture), "another picture"
            except (AssertionError, subprocess.TimeoutExpired) as error:
                shutil.copytree(disk.folder, self.folder / "evidence")
                raise AssertionError(f"seed {self.seed}: {error}; {self.story}") from error
        return self.story

    def _once(
        self, mortal: MortalBench, disk: Disk, session: Path, begin: list[str], what: str, chance: random.Random
    ) -> None:
        process = subprocess.Popen(
            command(*self._arguments(session, begin)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        there = len(list((session / "frames").glob("0*")))
        frames, moment_s = chance.randint(there, max(there, FRAMES)), chance.uniform(0.0, 1.0)
        if frames == there or what in DISK_FAULTS:  # while it starts, homes, compares
            moment_s *= 3
        waited = wait_for_frames(process, session, frames) and not _ends_within(process, moment_s)
        if waited:
            self.done[what] += 1
            if what in KILLS:
                disturb(mortal, process, what)
            elif what in DISK_FAULTS:
                disk.harm(what)
            else:
                mortal.bench.ask({"fault": _NAMES.get(what, what), **FAULTS[what]})
        if what not in KILLS and "unplug" in what and chance.random() < 0.5:
            self._mend(mortal, disk, what)  # the cable is back while the session still tries
        out, err = process.communicate(timeout=_LONGEST_S)
        self._mend(mortal, disk, what)
        self.story.append(f"{what if waited else 'nothing'} after {frames} frames: exit code {process.returncode}")
        if process.returncode > 0:
            error = json.loads(out)["error"]
            assert error["message"], error
            assert error["remedy"], error
            assert error["state"] or error["kind"] != "internal", error
            assert "Traceback" not in err, err
            self.story[-1] += f" {error['kind']}: {error['message']}"
        if not mortal.alive:
            mortal.start()

    def _mend(self, mortal: MortalBench, disk: Disk, what: str) -> None:
        if what in DISK_FAULTS:
            disk.mend()
        elif what not in KILLS and mortal.alive:
            if "part" in FAULTS[what] or what == "battery":
                mortal.bench.ask({"fault": "plug", "part": FAULTS[what].get("part", "camera")})
            mortal.bench.ask({"clear": _NAMES.get(what, what)})

    def _arguments(self, session: Path, begin: list[str]) -> list[str]:
        """The session is begun with the same command until it has begun, and gone on with from then on."""
        begun = (session / "journal.db").exists() and has_begun(session)
        return [*(["resume", str(session), "--origin", "home"] if begun else begin), "--json"]

    def _to_the_end(self, mortal: MortalBench, session: Path, begin: list[str]) -> Finished:
        last = focusrail(*self._arguments(session, begin), longest_s=_LONGEST_S)
        if last.code == 0 and last.values.get("result") is None:
            last = focusrail("resume", session, "--json", longest_s=_LONGEST_S)
        return last


def disturb(mortal: MortalBench, process: subprocess.Popen[str], what: str) -> None:
    match what:
        case "app":
            process.kill()
        case "children":
            for child in children(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        case "devices":
            mortal.kill()
        case "all":
            kill_tree(process.pid)
            mortal.kill()


def wait_for_frames(process: subprocess.Popen[str], session: Path, count: int) -> bool:
    """Until so many frames are there; False where the program ended before."""
    end_s = time.monotonic() + _LONGEST_S
    while len(list((session / "frames").glob("0*"))) < count:
        if process.poll() is not None or time.monotonic() > end_s:
            return False
        time.sleep(0.01)
    return True


def _ends_within(process: subprocess.Popen[str], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def has_begun(session: Path) -> bool:
    from capture.errors import SessionError
    from capture.session.journal import Journal

    try:
        with Journal(session / "journal.db") as journal:
            journal.opened()
    except SessionError:
        return False
    return True


def kinds_of(seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Kinds of disturbance and flags of a seed: half are only killed, half suffer faults, too.

    A third repairs what it misses, a third measures its depth of field on live frames at the end, a third knows it.
    """
    return (KILLS if seed % 2 else (*KILLS, *FAULTS)), (("--repair",), (), OPTICS)[seed % 3]


def campaigns(folder: Path, seeds: range) -> Iterator[dict[str, Any]]:
    """Run them; one record for each."""
    like: dict[tuple[str, ...], Undisturbed] = {}
    for seed in seeds:
        kinds, more = kinds_of(seed)
        if more not in like:
            (place := folder / f"undisturbed{''.join(more)}-{seed}").mkdir()
            like[more] = Undisturbed.shot(place, *more)
        (place := folder / str(seed)).mkdir()
        one = Campaign(place, seed, like[more], kinds, more)
        failed = ""
        try:
            one.run()
        except Exception as error:  # noqa: BLE001
            failed = f"{type(error).__name__}: {error}"
        yield {"seed": seed, "flags": more, "done": dict(one.done), "failed": failed, "story": one.story}
        if not failed:
            shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    by_seed.main(campaigns)
