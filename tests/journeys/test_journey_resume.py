"""A session killed at any moment is gone on with, and ends as one that nobody disturbed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from capture.app.bench_launch import RunningBench
from tests.journeys.program import command, focusrail

OPTIONS = (
    "--seed",
    "7",
    "--sensor",
    "320x240",
    "--time-scale",
    "20",
    "--switches",
    "--start",
    "5000",
    "--backlash",
    "30",
)
PLAN = ("--near", "1mm", "--far", "1.7mm", "--step", "100um", "--settle", "0.2")
FRAMES = 8


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
    running: RunningBench | None = None

    def start(self) -> RunningBench:
        end_s = time.monotonic() + 60
        while True:
            try:
                self.running = RunningBench(*OPTIONS, "--ports", self.ports, "--state", str(self.folder / "bench.json"))
                return self.running
            except Exception:
                # a port may still be in the kernel's hands
                if time.monotonic() > end_s:
                    raise
                time.sleep(0.2)

    def kill(self) -> None:
        assert self.running is not None
        kill_tree(self.running._process.pid)
        self.running.close()

    def __enter__(self) -> MortalBench:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.running is not None:
            self.running.close()


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
    import cv2

    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def frames_of(session: Path) -> dict[int, dict[str, object]]:
    manifest = json.loads((session / "manifest.json").read_text())
    return {f["number"]: f for f in manifest["frames"] if f["verdict"] == "accepted"}


def check_whole(session: Path) -> None:
    """One accepted frame for every planned position, each a whole file, none twice; nothing in frames/ that does not count."""
    frames = frames_of(session)
    assert sorted(frames) == list(range(1, FRAMES + 1))
    assert [round(float(str(frames[n]["position_um"]))) for n in sorted(frames)] == [
        1000 + 100 * k for k in range(FRAMES)
    ]
    files = [str(frame["file"]) for frame in frames.values()]
    assert len(set(files)) == FRAMES
    on_disk = {f"frames/{path.name}" for path in (session / "frames").iterdir() if path.is_file()}
    assert on_disk == set(files)
    assert len({str(frame["sha256"]) for frame in frames.values()}) == FRAMES


def devices(bench: RunningBench) -> tuple[str, ...]:
    return "--rail", bench.rail, "--camera", bench.camera


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


def campaign(folder: Path, seed: int, reference: NDArray[np.generic]) -> list[str]:
    """One session, disturbed at one to five random moments and gone on with; returns what was done to it."""
    chance = random.Random(seed)
    session = folder / "s"
    story: list[str] = []
    with MortalBench(folder) as mortal:
        assert mortal.running is not None
        arguments = ["run", *devices(mortal.running), *PLAN, "--origin", "home", "--out", str(session), "--json"]
        for _ in range(chance.randint(1, 5)):
            process = subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            moment_s, what = chance.uniform(0.4, 4.0), chance.choice(["app", "children", "devices", "all"])
            try:
                process.wait(moment_s)
            except subprocess.TimeoutExpired:
                disturb(mortal, process, what)
                story.append(f"{what} at {moment_s:.2f} s")
            _, err = process.communicate(timeout=110)
            story.append(
                f"exit code {process.returncode} {err.strip().splitlines()[-3:] if process.returncode else ''}"
            )
            if mortal.running._process.poll() is not None:
                mortal.start()
            if not (session / "journal.db").exists() or not has_begun(session):
                # killed before the session was there: begun anew
                arguments[arguments.index("--out") + 1] = str(session := folder / f"s{len(story)}")
                continue
            arguments = ["resume", str(session), "--origin", "home", "--json"]
        last = focusrail(*arguments)
        assert last.code == 0, f"seed {seed}: {story}\n{last.stdout}\n{last.stderr}"
        check_whole(session)
        assert np.array_equal(pixels(last.values["result"]), reference), f"seed {seed}: {story}"
    return story


def has_begun(session: Path) -> bool:
    from capture.errors import SessionError
    from capture.session.journal import Journal

    try:
        with Journal(session / "journal.db") as journal:
            journal.opened()
    except SessionError:
        return False
    return True


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.generic]:
    folder = tmp_path_factory.mktemp("undisturbed")
    with MortalBench(folder) as mortal:
        assert mortal.running is not None
        arguments = ("run", *devices(mortal.running), *PLAN, "--origin", "home", "--out", folder / "s", "--json")
        return pixels(focusrail(*arguments).done()["result"])


@pytest.mark.parametrize("seed", range(4))
def test_a_session_killed_at_random_moments_ends_as_an_undisturbed_one(
    seed: int, tmp_path: Path, reference: NDArray[np.generic]
) -> None:
    assert campaign(tmp_path, seed, reference)


@pytest.mark.soak
@pytest.mark.timeout(14400)
def test_two_hundred_sessions_killed_at_random_moments(tmp_path: Path, reference: NDArray[np.generic]) -> None:
    for seed in range(100, 300):
        (folder := tmp_path / str(seed)).mkdir()
        campaign(folder, seed, reference)
