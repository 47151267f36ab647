"""Stacking while shooting: what `run` leaves is what `stack` makes of the session, whatever was killed meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import cv2
import pytest

from capture.app.bench_launch import RunningBench
from tests.journeys.program import command, focusrail

PLAN = ("--near", "100", "--far", "600um", "--step", "0.1mm", "--settle", "0.02", "--no-repair", "-m", "2", "-f", "2.8")


def stackers_of(process: int) -> set[int]:
    """The processes that stack beside the session of a process."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process and b"stacking.running_process" in (entry / "cmdline").read_bytes():
                found.add(int(entry.name))
    return found


def ended(process: int) -> bool:
    """Whether a process is gone, or only waits to be counted."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_until(condition: object, deadline_s: float = 60.0) -> None:
    end_s = time.monotonic() + deadline_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end_s, "the awaited event did not come"
        time.sleep(0.02)


def same_as_stack(session: Path, result: str) -> bool:
    again = focusrail("stack", session, "-o", session.parent / "again.tif", "--json").done()
    one, two = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (result, again["result"]))
    return one.shape == two.shape and bool((one == two).all())


@pytest.mark.parametrize("killed", ["nobody", "the process that stacks", "the session"])
def test_the_picture_is_that_of_stack(
    bench: RunningBench, devices: tuple[str, ...], tmp_path: Path, killed: str
) -> None:
    session = tmp_path / "s"
    arguments = command("run", *devices, *PLAN, "--origin", "here", "--out", str(session), "--json")
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    preview = session / "result" / "preview.jpg"
    wait_until(preview.is_file)
    assert cv2.imread(str(preview)) is not None
    ours = stackers_of(process.pid)
    assert len(ours) == 1
    if killed == "the process that stacks":
        for number in ours:
            os.kill(number, signal.SIGKILL)
    elif killed == "the session":
        process.kill()
    out, _ = process.communicate(timeout=100)
    if killed == "the session":
        wait_until(lambda: all(map(ended, ours)))
        values = focusrail("resume", session, "--json").done()
    else:
        assert process.returncode == 0
        values = json.loads(out)
    assert values["frames"] == 6
    assert all(map(ended, ours))
    assert sorted(path.name for path in (session / "result").iterdir()) == [
        "coverage.png",
        "preview.jpg",
        "stacked.tif",
    ]
    assert same_as_stack(session, values["result"])
    if killed == "nobody":  # and a frame that is lost later is shot again, and the picture made anew
        next((session / "frames").glob("0003*")).unlink()
        made_ns = Path(values["result"]).stat().st_mtime_ns
        again = focusrail("resume", session, "--json").done()
        assert again["frames"] == 6
        assert Path(again["result"]).stat().st_mtime_ns > made_ns
        (session.parent / "again.tif").unlink()
        assert same_as_stack(session, again["result"])
