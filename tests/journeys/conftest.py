"""The bench of the journeys: one process a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from capture.app.bench_launch import RunningBench
from tests.journeys.program import BENCH_OPTIONS


@pytest.fixture(scope="module")
def bench() -> Iterator[RunningBench]:
    with RunningBench(*BENCH_OPTIONS) as running:
        yield running


@pytest.fixture
def devices(bench: RunningBench) -> tuple[str, ...]:
    return "--rail", bench.rail, "--camera", bench.camera
