"""The two cameras without hardware that the real libgphoto2 drives: our PTP/IP responder, and the library's own virtual USB camera."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np


class NetworkCamera:
    """The simulated PTP/IP camera in its own process, with its control on stdin and stdout."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "capture.bench.ptpip", "--port", "0", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._asking = threading.Lock()
        self.port: str = self._answer()["camera"]

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def order(self, **order: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        with self._asking:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            answer = self._answer()
        assert "error" not in answer, answer
        return answer

    def truth(self) -> dict[str, Any]:
        return self.order(get="truth")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=10)
        self._process.stdout.close()


class VirtualUsbFolder:
    """The folder that the library's virtual USB camera photographs: one JPEG, whose size stays and whose contents change."""

    SIZE = 8192

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shots = 0
        self.renew()

    def renew(self) -> None:
        """A new picture, so that the next shot differs from the last."""
        self._shots += 1
        noise = np.random.default_rng(self._shots).integers(0, 255, (40, 60, 3), dtype=np.uint8)
        encoded = cv2.imencode(".jpg", noise)[1].tobytes()
        assert len(encoded) < self.SIZE
        (self.folder / "picture.jpg").write_bytes(encoded + bytes(self.SIZE - len(encoded)))
