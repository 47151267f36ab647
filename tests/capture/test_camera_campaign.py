"""Hundreds of shots with faults at random: none lost, doubled, torn, mixed up or out of order, and nothing grows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.capture.camera_bench import NetworkCamera
from tests.capture.camera_campaign import FAULTS, Figures, run, time_shots

BENCH = ("--format", "RAW+JPEG", "--scale", "20", "--size", "300x200")


def check(figures: Figures, frames: int) -> None:
    assert figures.frames == frames
    assert (figures.lost, figures.doubled, figures.torn, figures.mixed, figures.disordered) == ([], [], [], [], [])


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("maker", "frames"), [("nikon", 40), ("canon", 20)])
def test_a_share_of_the_campaign(tmp_path: Path, maker: str, frames: int) -> None:
    with NetworkCamera("--maker", maker, *BENCH) as bench:
        check(run(bench, tmp_path, frames, seed=7, share=0.25), frames)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("share", [0.15, 0.0], ids=["with faults", "by one process"])
def test_a_thousand_shots(tmp_path: Path, share: float) -> None:
    with NetworkCamera(*BENCH) as bench:
        figures = run(bench, tmp_path, 1000, seed=2, share=share)
    print(  # noqa: T201
        json.dumps(
            {
                "frames": figures.frames,
                "seconds": round(figures.seconds),
                "exposures": figures.exposures,
                "befallen": dict(figures.befallen),
                "session_mib": [round(kib / 1024, 1) for kib in (figures.session_kib[49], max(figures.session_kib))],
                "driver_mib": [round(kib / 1024, 1) for kib in (figures.driver_kib[49], max(figures.driver_kib))],
                "session_growth_mib": round(figures.growth_mib(figures.session_kib, 50), 1),
                "driver_growth_mib": round(figures.growth_mib(figures.driver_kib, 50), 1),
                "descriptors": [min(figures.descriptors[50:]), max(figures.descriptors[50:])],
            }
        )
    )
    check(figures, 1000)
    assert set(figures.befallen) == ({name for name, _, _ in FAULTS} if share else set())
    assert figures.growth_mib(figures.session_kib, 50) < 10
    assert figures.growth_mib(figures.driver_kib, 50) < 10
    assert max(figures.descriptors[50:]) <= max(figures.descriptors[:50]) + 1


@pytest.mark.soak
@pytest.mark.parametrize(("megabytes_per_s", "limit"), [(40, 0.05), (100, 0.10)])
def test_the_driver_adds_little_to_a_large_file(tmp_path: Path, megabytes_per_s: int, limit: float) -> None:
    link = str(megabytes_per_s * 1e6)
    with NetworkCamera("--format", "RAW", "--size", "5000x3000", "--bytes-per-s", link) as bench:
        timing = time_shots(bench.port, tmp_path, 25)
    print(  # noqa: T201
        f"{megabytes_per_s} MB/s: own {timing.own_ms():.0f} ms, {100 * timing.share():.1f} % of the rest"
    )
    assert timing.share() < limit
