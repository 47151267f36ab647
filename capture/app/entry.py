"""The console script: ready for Ctrl-C before anything heavy is imported."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import sys
from types import FrameType

from capture.app.loading import begin_imports, interrupt

INTERRUPTED = 130


def _nothing_to_pause(number: int, frame: FrameType | None) -> None:
    # not by sys.stderr, which may be in the middle of a line
    with contextlib.suppress(OSError):
        os.write(2, b"focusrail: not paused: that is for the frames of a session, and none is being shot now\n")


def main() -> None:
    """Run the command line and leave with its exit code.

    SIGTERM and SIGHUP (a terminal that was closed) are answered as Ctrl-C is: motion stops on every way out. SIGINT counts in the
    background, too, even where the shell has switched it off; SIGHUP does not under nohup. So is SIGUSR2, the order to stop, wherever
    no frames are shot that could be finished first (`keys_and_signals`); SIGUSR1, the order to pause, is refused there.
    """
    # Ignored, so it is inherited from a shell without job control that starts a job in the background: an interrupt that is sent to
    # such a job is meant for it, and must stop the rail.
    signal.signal(signal.SIGINT, interrupt)
    for number in (signal.SIGTERM, signal.SIGHUP):
        # a program started with nohup is meant to outlive its terminal
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    signal.signal(signal.SIGUSR1, _nothing_to_pause)
    signal.signal(signal.SIGUSR2, interrupt)
    try:
        begin_imports()
        from capture.app.main import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
        sys.stderr.write("focusrail: interrupted before it began\n")
        if "--json" in sys.argv[1:]:
            error = {
                "kind": "interrupted",
                "message": "interrupted before it began",
                "remedy": "",
                "state": "Nothing was done.",
            }
            sys.stdout.write(json.dumps({"error": error}) + "\n")
    # from here on nothing is left to stop, and a second Ctrl-C must not change the answer
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    # The process ends: nothing has to be searched for garbage once more, which took longer than many a command.
    gc.freeze()
    sys.exit(code)
