"""One simulated camera and one client for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.capture.ptpip_gphoto.peers import Client, Peer


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def bench(home: Path) -> Iterator[Peer]:
    arguments = ("--format", "RAW+JPEG", "--scale", "20", "--size", "240x160")
    peer = Peer(home, "-m", "capture.bench.ptpip", *arguments)
    peer.port = peer.hear()["camera"]
    yield peer
    peer.end()


@pytest.fixture(scope="module")
def process(home: Path, bench: Peer) -> Iterator[Client]:
    peer = Client(home, bench.port)
    yield peer
    peer.end()


@pytest.fixture
def client(bench: Peer, process: Client) -> Iterator[Client]:
    """A client with an open session, and a camera without faults before and after."""
    assert "error" not in process.open()
    yield process
    for fault in bench.ask(list="faults")["faults"]:
        bench.ask(clear=fault)
    process.ask(do="exit")
