"""The simulated camera and its client, the real libgphoto2: processes of their own that speak JSON lines."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
FOLDER = "/store_00010001/DCIM/100FOCUS"
PATIENCE_S = 60.0
MEMORY, CARD = "Internal RAM", "Memory card"
JPEG_HEAD, TIFF_HEAD = "ffd8", "49492a00"
FILE_ADDED, CAPTURE_COMPLETE = 2, 4
IO, TIMEOUT, BUSY, BAD_PARAMETERS = -7, -10, -110, -2


class Peer:
    """A child process that takes JSON lines and answers with JSON lines."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=HERE.parents[1],
            env=os.environ | {"HOME": str(home), "XDG_CONFIG_HOME": os.devnull, "LC_ALL": "C"},
        )
        self.rest = b""

    def ask(self, **order: Any) -> dict[str, Any]:
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()
        return self.hear()

    def hear(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE_S
        stream = self.process.stdout.fileno()
        while b"\n" not in self.rest:
            ready, _, _ = select.select([stream], [], [], max(end - time.monotonic(), 0))
            assert ready, "no answer in time"
            part = os.read(stream, 1 << 16)
            assert part, f"it ended with {self.process.wait()}"
            self.rest += part
        line, _, self.rest = self.rest.partition(b"\n")
        return json.loads(line)

    def end(self) -> None:
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def kill(self) -> None:
        self.process.kill()
        self.end()


class Client(Peer):
    def __init__(self, home: Path, port: str) -> None:
        super().__init__(home, str(HERE / "ptpip_client.py"))
        self.port = port

    def open(self, *, target: str = MEMORY, quality: str = "NEF+Fine") -> dict[str, Any]:
        answer = self.ask(do="open", port=self.port)
        if "error" not in answer:
            assert self.set("capturetarget", target) == target
            assert self.set("imagequality", quality) == quality
        return answer

    def set(self, name: str, value: Any) -> Any:
        return self.ask(do="set", name=name, value=value)["value"]

    def get(self, name: str) -> Any:
        return self.ask(do="get", name=name)["value"]

    def shoot(self, expected: int = 2, **more: Any) -> dict[str, Any]:
        return self.ask(do="shoot", expected=expected, quiet_ms=2, **more)

    def reopen(self) -> None:
        self.ask(do="exit")
        assert "error" not in self.open()


def sizes_by_kind(answer: dict[str, Any]) -> list[str]:
    return [{JPEG_HEAD: "JPEG", TIFF_HEAD[:4]: "RAW"}[file["head"][:4]] for file in answer["files"]]
