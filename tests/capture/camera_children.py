"""Children in the place of the one that holds libgphoto2: they do on order what a library can do to its process."""

from __future__ import annotations

import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

from capture.camera.wire import Done, Failed, Progress, Reply, Request


def serve(connection: Connection[Reply, Request]) -> None:
    while True:
        request = connection.recv()
        match request.operation:
            case "echo":
                connection.send(Done(request.arguments))
            case "refuse":
                connection.send(Failed(-1, "Unspecified error", ("PTP Store Full",)))
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "raise":
                raise ZeroDivisionError("broken")
            case "hang":
                time.sleep(60)
            case "progress":
                for stage in ("triggering", "triggered"):
                    connection.send(Progress(stage))
                connection.send(Done("end"))
            case "grow":
                part = Path(str(request.arguments["path"]))
                for size in range(1, 6):
                    time.sleep(0.3)
                    part.write_bytes(bytes(size))
                connection.send(Done(part.stat().st_size))
            case "home":
                connection.send(
                    Done(
                        (os.environ["HOME"], os.environ["XDG_CONFIG_HOME"], os.environ["LC_ALL"], "LANG" in os.environ)
                    )
                )


if __name__ == "__main__":
    try:
        with Connection(int(sys.argv[1])) as wire:
            serve(wire)
    except EOFError:
        sys.exit(0)
