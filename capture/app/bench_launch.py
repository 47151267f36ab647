"""Start the simulated bench as the process of its own that it is, and find its addresses."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from capture.errors import CaptureError

START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 10.0
LOOK = "Run `focusrail bench-sim` and read what it says."


class RunningBench:
    """A ``focusrail bench-sim`` process; ends with the context.

    Attributes
    ----------
    rail, camera, control : str
        pyserial URL, gphoto2 port, and host:port of the control port.
    """

    def __init__(self, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "capture.app", "bench-sim", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            bufsize=0,  # select must see every byte
            start_new_session=True,  # Ctrl-C is for us; the bench must live until motion is stopped
        )
        try:
            addresses = self._addresses()
        except BaseException:
            self.close()
            raise
        self.rail: str = addresses["rail"]
        self.camera: str = addresses["camera"]
        self.control: str = addresses["control"]

    def _addresses(self) -> dict[str, str]:
        line = self._first_line()
        try:
            addresses: dict[str, str] = json.loads(line)
        except ValueError as error:
            said = line.decode(errors="replace").strip()
            raise CaptureError(f"the simulated bench answered '{said}'", remedy=LOOK) from error
        return addresses

    def _first_line(self) -> bytes:
        assert self._process.stdout is not None
        deadline_s = time.monotonic() + START_DEADLINE_S
        line = b""
        while not line.endswith(b"\n"):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not select.select([self._process.stdout], [], [], left_s)[0]:
                raise CaptureError(
                    "the simulated bench did not start in time",
                    remedy=LOOK,
                )
            byte = self._process.stdout.read(1)
            if not byte:
                code = self._process.wait(STOP_DEADLINE_S)
                raise CaptureError(
                    f"the simulated bench ended at once (exit code {code})",
                    remedy=LOOK,
                )
            line += byte
        return line

    def ask(self, request: Mapping[str, Any], deadline_s: float = 30.0) -> dict[str, Any]:
        """One request to the control port, and its answer.

        Raises
        ------
        CaptureError
            Where the bench answers with an error, or not at all.
        """
        host, port = self.control.rsplit(":", 1)
        try:
            with socket.create_connection((host, int(port)), timeout=deadline_s) as connection:
                connection.sendall(json.dumps(request).encode() + b"\n")
                answer: dict[str, Any] = json.loads(connection.makefile("rb").readline())
        except (OSError, ValueError) as error:
            raise CaptureError(f"the bench's control port does not answer: {error}") from error
        if "error" in answer:
            raise CaptureError(f"the bench refused {dict(request)}: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the bench; idempotent."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
