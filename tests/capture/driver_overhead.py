"""What the camera driver adds to a shot, on one simulated camera with large files.

``python -m tests.capture.driver_overhead [--shots 24] [--mb-per-s 40]`` prints one line of JSON. The camera (5000 x 3000 RAW, 30 MB,
real time, 1/60 s) is shot by our driver and by libgphoto2's bare calls in turns. *Own* is all of our shot that is neither the camera's time
(release to file) nor the transfer: settings read back, events drained, fsync, digest, a look into the file, its name. The bare way
releases, waits for the file and writes it, and no more. Processor time is that of all processes that take part but the camera's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gphoto2 as gp

from capture.camera.gphoto_camera import GphotoCamera
from capture.camera.gphoto_link import GphotoLink
from capture.camera.protocol import Role
from capture.camera.wire import SHOT_ADDED, SHOT_STORED, SHOT_TRIGGERING, Progress

_TURNS = 3
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def _cpu_s(child: int | None = None) -> float:
    """Processor time of this process, and of a child."""
    spent = time.process_time()
    if child is not None:
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        spent += (int(fields[11]) + int(fields[12])) * _TICK_S
    return spent


@dataclass(frozen=True)
class Taken:
    """One shot: seconds of the camera itself, of the transfer, of all else, and of processors."""

    camera_s: float
    transfer_s: float
    own_s: float
    cpu_s: float


def bare(port: str, folder: Path, shots: int, turn: int) -> list[Taken]:
    """By libgphoto2's own calls."""
    context = gp.Context()
    camera = gp.Camera()
    ports, abilities = gp.PortInfoList(), gp.CameraAbilitiesList()
    ports.load()
    abilities.load(context)
    camera.set_port_info(ports[ports.lookup_path(port)])
    camera.set_abilities(abilities[abilities.lookup_model("PTP/IP Camera")])
    camera.init(context)
    taken = []
    try:
        for number in range(shots + 1):
            begun_s, cpu_s = time.monotonic(), _cpu_s()
            camera.trigger_capture(context)
            while True:
                kind, data = camera.wait_for_event(5000, context)
                if kind == gp.GP_EVENT_FILE_ADDED:
                    break
            added_s = time.monotonic()
            descriptor = os.open(folder / f"bare-{turn}-{number}.dng", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            file = gp.CameraFile(descriptor)
            camera.file_get(data.folder, data.name, gp.GP_FILE_TYPE_NORMAL, file, context)
            del file
            taken.append(Taken(added_s - begun_s, time.monotonic() - added_s, 0.0, _cpu_s() - cpu_s))
    finally:
        camera.exit(context)
    return taken[1:]  # the first opens what all need


class Stages:
    """When the driver's child came to each stage of a shot."""

    def __init__(self, link: GphotoLink) -> None:
        self._ask = link.ask
        self.at_s: dict[str, float] = {}
        link.ask = self.ask  # type: ignore[method-assign]

    def ask(self, operation: str, doing: str, **more: Any) -> object:
        heard = more.get("on_progress")

        def on_progress(progress: Progress) -> float | None:
            self.at_s[progress.stage] = time.monotonic()
            found: float | None = heard(progress)
            return found

        return self._ask(operation, doing, **(more if heard is None else more | {"on_progress": on_progress}))


def driven(port: str, folder: Path, shots: int, turn: int) -> list[Taken]:
    """By our driver, as a session shoots."""
    taken = []
    with GphotoCamera(port) as camera:
        camera.set(Role.TARGET, "card")
        stages = Stages(camera._link)
        for number in range(shots + 1):
            begun_s, cpu_s = time.monotonic(), _cpu_s(camera.driver_pid)
            camera.shoot(folder, f"driven-{turn}-{number}")
            whole_s, at_s = time.monotonic() - begun_s, stages.at_s
            camera_s = at_s[SHOT_ADDED] - at_s[SHOT_TRIGGERING]
            transfer_s = at_s[SHOT_STORED] - at_s[SHOT_ADDED]
            spent_s = _cpu_s(camera.driver_pid) - cpu_s
            taken.append(Taken(camera_s, transfer_s, whole_s - camera_s - transfer_s, spent_s))
    return taken[1:]


def measure(shots: int, mb_per_s: float, folder: Path) -> dict[str, float]:
    """Both in turns; medians of a shot, and what ours adds."""
    words = [
        sys.executable,
        "-m",
        "capture.bench.ptpip",
        "--size",
        "5000x3000",
        "--bytes-per-s",
        f"{mb_per_s * 1e6:.0f}",
    ]
    server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    plain: list[Taken] = []
    ours: list[Taken] = []
    try:
        assert server.stdout is not None
        port = str(json.loads(server.stdout.readline())["camera"])
        for turn in range(_TURNS):
            plain += bare(port, folder, shots // _TURNS, turn)
            ours += driven(port, folder, shots // _TURNS, turn)
            size = max(path.stat().st_size for path in folder.iterdir())
            for path in folder.iterdir():
                path.unlink()
    finally:
        server.kill()
        server.wait()

    def median(taken: list[Taken], name: str) -> float:
        return round(statistics.median(getattr(one, name) for one in taken), 4)

    own_s = median(ours, "own_s")
    rest_s = statistics.median(one.camera_s + one.transfer_s for one in ours)
    return {
        "shots_each": len(ours),
        "file_mb": round(size / 1e6, 1),
        "mb_per_s": mb_per_s,
        "own_s": own_s,
        "own_share": round(own_s / rest_s, 4),
        "transfer_s": median(ours, "transfer_s"),
        "bare_transfer_s": median(plain, "transfer_s"),
        "camera_s": median(ours, "camera_s"),
        "bare_camera_s": median(plain, "camera_s"),
        "cpu_s": median(ours, "cpu_s"),
        "bare_cpu_s": median(plain, "cpu_s"),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shots", type=int, default=24)
    parser.add_argument("--mb-per-s", type=float, default=40.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(json.dumps(measure(asked.shots, asked.mb_per_s, Path(folder))) + "\n")


if __name__ == "__main__":
    main()
