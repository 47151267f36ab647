"""The camera suite on the real libgphoto2: over PTP/IP, on the library's virtual USB camera, and on the camera that is named.

``FOCUSRAIL_CAMERA_PORT=usb:001,004 pytest hil_tests -m hardware`` runs it on hardware; the camera shoots about fifteen pictures.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capture.camera.opening import open_camera
from capture.camera.protocol import Camera
from tests.capture.camera_bench import NetworkCamera, VirtualUsbFolder
from tests.capture.camera_suite import CameraSuite


@pytest.fixture(scope="module", params=["nikon", "canon"])
def bench(request: pytest.FixtureRequest) -> Iterator[NetworkCamera]:
    arguments = ("--format", "RAW+JPEG", "--scale", "10", "--size", "300x200")
    with NetworkCamera("--maker", request.param, *arguments) as camera:
        yield camera


class TestNetworkCamera(CameraSuite):
    """In each maker's dialect."""

    @pytest.fixture
    def camera(self, bench: NetworkCamera) -> Iterator[Camera]:
        with open_camera(bench.port) as camera:
            yield camera

    @pytest.fixture
    def renew(self) -> Callable[[], None]:
        return lambda: None


class TestVirtualUsbCamera(CameraSuite):
    @pytest.fixture
    def usb(self, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> VirtualUsbFolder:
        folder: Path = tmp_path_factory.mktemp("usb")
        monkeypatch.setenv("VCAMERADIR", str(folder))
        return VirtualUsbFolder(folder)

    @pytest.fixture
    def camera(self, usb: VirtualUsbFolder) -> Iterator[Camera]:
        with open_camera() as camera:
            yield camera

    @pytest.fixture
    def renew(self, usb: VirtualUsbFolder) -> Callable[[], None]:
        return usb.renew


if port := os.environ.get("FOCUSRAIL_CAMERA_PORT"):

    @pytest.mark.hardware
    class TestHardwareCamera(CameraSuite):
        @pytest.fixture
        def camera(self) -> Iterator[Camera]:
            with open_camera(None if port == "auto" else port) as camera:
                yield camera

        @pytest.fixture
        def renew(self) -> Callable[[], None]:
            return lambda: None
