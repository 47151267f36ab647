"""The control port: JSON lines in, JSON lines out. It sets faults and tells the truth."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Mapping
from typing import Any

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]

_LONGEST_LINE = 1 << 20


class ControlPort:
    """Serves `answer` on ``127.0.0.1:port``; one JSON object a line, any number of clients.

    `answer` may raise ValueError or OSError: its text goes back as ``{"error": ...}``.
    """

    def __init__(self, answer: Answer, port: int = 0) -> None:
        class Connection(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while line := self.rfile.readline(_LONGEST_LINE):
                    self.wfile.write(json.dumps(_reply(answer, line)).encode() + b"\n")

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that went away in the middle is no event."""

        self._server = Server(("127.0.0.1", port), Connection)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="control", daemon=True)

    @property
    def address(self) -> str:
        """Where it listens, ``host:port``."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering; idempotent."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(timeout=5)
        self._server.server_close()


def _reply(answer: Answer, line: bytes) -> Mapping[str, Any]:
    try:
        request = json.loads(line)
        if not isinstance(request, dict):
            raise ValueError("a request is one JSON object")
        return answer(request)
    except (ValueError, OSError) as error:
        return {"error": str(error)}
