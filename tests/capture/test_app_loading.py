"""The search for garbage: off while modules are imported, on when a command works."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("arguments", [["dof", "--help"], ["stack", "nowhere", "-o", "x.tif"], ["nonsense"]])
def test_garbage_is_searched_for_again_when_a_command_begins(arguments: list[str]) -> None:
    code = (
        "import gc, sys\n"
        "from capture.app.loading import begin_imports\n"
        "begin_imports()\n"
        "assert not gc.isenabled()\n"
        "from capture.app.main import run\n"
        "run(sys.argv[1:])\n"
        "assert gc.isenabled() and gc.get_freeze_count()\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="with one core there is no thread to begin")
def test_what_is_imported_begins_no_threads() -> None:
    code = (
        "import os\n"
        "from capture.app.loading import begin_imports\n"
        "begin_imports()\n"
        "import cv2, numpy\n"
        "assert len(os.listdir('/proc/self/task')) == 1\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_an_interrupt_waits_for_the_end_of_the_imports(number: str) -> None:
    code = (
        "import os, signal, sys\n"
        "from capture.app.loading import begin_imports, end_imports, interrupt\n"
        f"signal.signal(signal.{number}, interrupt)\n"
        "begin_imports()\n"
        f"os.kill(os.getpid(), signal.{number})\n"
        "import capture.app.main\n"
        "try:\n"
        "    end_imports()\n"
        "except KeyboardInterrupt:\n"
        "    pass\n"
        "else:\n"
        "    sys.exit('it was lost')\n"
        "try:\n"
        f"    os.kill(os.getpid(), signal.{number})\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(0)\n"
        "sys.exit('a later one was lost')\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
