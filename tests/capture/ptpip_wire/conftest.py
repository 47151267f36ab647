"""One simulated camera for the tests of a module, one session for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from capture.bench.ptpip import SimulatedCamera
from tests.capture.ptpip_wire.initiator import Initiator, running


@pytest.fixture(scope="module")
def camera() -> Iterator[SimulatedCamera]:
    with running() as one:
        yield one


@pytest.fixture
def client(camera: SimulatedCamera) -> Iterator[Initiator]:
    one = Initiator(camera)
    yield one
    one.close()
    for name in camera.faults():
        if name != "plug":
            camera.clear(name)
