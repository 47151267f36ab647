"""How many live frames a second one core judges, draws over and measures: `python -m benchmarks.live_speed`.

Frames of about one megapixel come from the simulated bench; each is decoded, judged for peaking, drawn over and encoded (what `live`
does), and its band energies are taken (what the sharpness curves of `step`, `range` and the calibration are made of). Times are
those of the one thread, so that others' work does not count.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import cv2
import numpy as np

from capture.bench.imager import SceneImager, SceneOptions
from capture.bench.interfaces import CarriageSample, ExposureSettings
from capture.focus.bands import BandEnergies, linear_gray
from capture.focus.peaking import Peaking, Zones
from capture.focus.peaking_view import draw_peaking, encode_jpeg
from capture.focus.sweep import FREQUENCIES

WANTED_FRAMES_PER_S = 20.0
_SENSOR_PX = (2496, 1664)
_LIVE_SCALE = 2.0
_FRAMES = 6

T = TypeVar("T")


def frames() -> list[bytes]:
    """JPEGs of 1248x832 pixels through the depth of the scene."""
    imager = SceneImager(SceneOptions(seed=2, sensor_px=_SENSOR_PX, live_scale=_LIVE_SCALE, settle_time_s=0.0))
    exposure = ExposureSettings(100, 1 / 60, imager.lens.f_number)
    middle = imager.scene.middle_um
    return [
        imager.live_jpeg(exposure, at=CarriageSample(middle + 60.0 * k, 99.0, moving=False), frame=k)
        for k in range(_FRAMES)
    ]


def measure(rounds: int) -> dict[str, float]:
    """Milliseconds a frame of each stage, the median over all frames and rounds."""
    cv2.setNumThreads(1)
    jpegs = frames()
    peaking = Peaking(Zones(-500.0, 500.0, 40.0, 60.0))
    first = cv2.imdecode(np.frombuffer(jpegs[0], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert first is not None
    bands = BandEnergies((first.shape[0], first.shape[1]), FREQUENCIES)
    spent: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[..., T], *arguments: object) -> T:
        begun = time.thread_time()
        found = work(*arguments)
        spent.setdefault(name, []).append(1e3 * (time.thread_time() - begun))
        return found

    for k in range(rounds * len(jpegs)):
        data = np.frombuffer(jpegs[k % len(jpegs)], np.uint8)
        picture = np.asarray(timed("decode", cv2.imdecode, data, cv2.IMREAD_COLOR), np.uint8)
        gray = np.asarray(timed("gray", cv2.cvtColor, picture, cv2.COLOR_BGR2GRAY), np.uint8)
        peaks = timed("peaking", peaking.look, gray, 60.0 * k)
        drawn = timed("draw", draw_peaking, picture, peaks, peaking.zones)
        timed("encode", encode_jpeg, drawn)
        light = timed("linear", linear_gray, gray)
        timed("curves", bands.measure, light)
    return {name: statistics.median(values) for name, values in spent.items()}


def main() -> int:
    """Print the figures as JSON; exit code 1 where they are too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    found = measure(parser.parse_args().rounds)
    total_ms = sum(found.values())
    figures = {name: round(value, 2) for name, value in found.items()}
    rate = 1e3 / total_ms
    sys.stdout.write(
        json.dumps({"ms": figures, "total_ms": round(total_ms, 2), "frames_per_s": round(rate, 1)}, indent=1) + "\n"
    )
    return 0 if rate >= WANTED_FRAMES_PER_S else 1


if __name__ == "__main__":
    sys.exit(main())
