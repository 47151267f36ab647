"""What the camera driver adds to a shot: its own way against libgphoto2's bare calls, on one simulated camera with large files.

``python -m tests.capture.driver_overhead [--shots 24] [--mb-per-s 40]`` prints one line of JSON. The camera (5000 x 3000 RAW, 30 MB,
real time, 1/60 s) is shot by both in turns; the bare way releases, waits for the file and writes it, and no more: no deadline, no child,
no fsync, no digest, no look into the file. Processor time is that of all processes that take part but the camera's.
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
from pathlib import Path

import gphoto2 as gp

from capture.camera.gphoto_camera import GphotoCamera
from capture.camera.protocol import Role

_TURNS = 3
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def _cpu_s(child: int | None = None) -> float:
    """Processor time of this process, and of a child."""
    spent = time.process_time()
    if child is not None:
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        spent += (int(fields[11]) + int(fields[12])) * _TICK_S
    return spent


def bare(port: str, folder: Path, shots: int, turn: int) -> list[tuple[float, float]]:
    """Wall and processor time of each shot by libgphoto2's own calls."""
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
            descriptor = os.open(folder / f"bare-{turn}-{number}.dng", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            file = gp.CameraFile(descriptor)
            camera.file_get(data.folder, data.name, gp.GP_FILE_TYPE_NORMAL, file, context)
            del file
            taken.append((time.monotonic() - begun_s, _cpu_s() - cpu_s))
    finally:
        camera.exit(context)
    return taken[1:]  # the first opens what all need


def driven(port: str, folder: Path, shots: int, turn: int) -> list[tuple[float, float]]:
    """The same by our driver, as a session shoots."""
    taken = []
    with GphotoCamera(port) as camera:
        camera.set(Role.TARGET, "card")
        for number in range(shots + 1):
            begun_s, cpu_s = time.monotonic(), _cpu_s(camera.driver_pid)
            camera.shoot(folder, f"driven-{turn}-{number}")
            taken.append((time.monotonic() - begun_s, _cpu_s(camera.driver_pid) - cpu_s))
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
    try:
        assert server.stdout is not None
        port = str(json.loads(server.stdout.readline())["camera"])
        plain: list[tuple[float, float]] = []
        ours: list[tuple[float, float]] = []
        for turn in range(_TURNS):
            plain += bare(port, folder, shots // _TURNS, turn)
            ours += driven(port, folder, shots // _TURNS, turn)
            size = max(path.stat().st_size for path in folder.iterdir())
            for path in folder.iterdir():
                path.unlink()
    finally:
        server.kill()
        server.wait()
    wall_s, cpu_s = (statistics.median(column) for column in zip(*plain, strict=True))
    our_wall_s, our_cpu_s = (statistics.median(column) for column in zip(*ours, strict=True))
    return {
        "shots_each": len(ours),
        "file_mb": round(size / 1e6, 1),
        "mb_per_s": mb_per_s,
        "bare_s": round(wall_s, 4),
        "driven_s": round(our_wall_s, 4),
        "added_share": round(our_wall_s / wall_s - 1, 4),
        "bare_cpu_s": round(cpu_s, 4),
        "driven_cpu_s": round(our_cpu_s, 4),
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
