"""The process that owns libgphoto2: one thread, one camera, one request at a time.

It ignores the keyboard's interrupt (the session decides what an interrupt means), releases the camera and ends when the session's end of
the socket closes, and ends at once, even inside the library, when a request overruns its deadline: a timer's default action needs no
thread and no interpreter.
"""

from __future__ import annotations

import signal
import sys
from multiprocessing.connection import Connection

from capture.camera.gphoto import GphotoDriver
from capture.camera.gphoto_open import DriverError
from capture.camera.wire import CAMERA_EVENT, Done, Failed, Progress, Reply, Request

_GRACE_S = 2.0
_CLOSING_S = 5.0


def _answer(driver: GphotoDriver, request: Request, connection: Connection[Reply, Request]) -> Reply:
    operation = getattr(driver, request.operation)
    arguments = dict(request.arguments)
    if request.operation == "shoot":
        arguments["report"] = connection.send
    try:
        return Done(operation(**arguments))
    except DriverError as error:
        return Failed(error.code, error.text, error.reasons)
    except OSError as error:
        return Failed(0, f"{error.strerror or error} ({error.filename})" if error.filename else str(error))


def serve(connection: Connection[Reply, Request]) -> None:
    """Answer requests until the other end closes."""
    driver = GphotoDriver()
    try:
        while True:
            request = connection.recv()
            signal.setitimer(signal.ITIMER_REAL, request.deadline_s + _GRACE_S)
            reply = _answer(driver, request, connection)
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            while driver.heard:
                connection.send(Progress(CAMERA_EVENT, driver.heard.popleft()))
            connection.send(reply)
    except (EOFError, OSError):
        return
    finally:
        signal.setitimer(signal.ITIMER_REAL, _CLOSING_S)
        driver.close()


def main() -> None:
    """Serve on the socket whose descriptor is the first argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with Connection(int(sys.argv[1])) as connection:
        serve(connection)


if __name__ == "__main__":
    main()
