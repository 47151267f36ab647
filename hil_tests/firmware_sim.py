"""Firmware without hardware: an AVR ELF in simavr behind a pseudo-terminal, its steps counted outside of it.

Needs avr-gcc and libsimavr, which a test that uses it says if they are missing. The environment names another firmware
(a GRBL build for the Uno) for the tests that run on any: see README.md beside this file.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import struct
import subprocess
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from rail.grbl.axis import GrblAxis
from rail.grbl.link import Link
from rail.ports import open_port
from rail.profiles import load_profile

FIRMWARE = Path(__file__).parent.parent / "firmware"
ELF = FIRMWARE / "build" / "focusrail.elf"
BENCH = FIRMWARE / "build" / "avr_bench"
INSTALL = "apt-get install --no-install-recommends make gcc gcc-avr avr-libc libsimavr-dev libelf-dev"
HEADERS = (
    Path("/usr/include/simavr/sim_avr.h"),
    Path("/usr/include/libelf.h"),
    Path("/usr/lib/avr/include/avr/io.h"),
)
_MAKE_S = 120
_ANSWER_S = 30


def make() -> None:
    """Build firmware and bench, once however many processes ask. Where tools are missing the test is skipped; in CI it fails."""
    missing = [tool for tool in ("make", "gcc", "avr-gcc") if shutil.which(tool) is None]
    missing += [str(header) for header in HEADERS if not header.exists()]
    if missing:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"{' and '.join(missing)} missing; install with: {INSTALL}")
    with (FIRMWARE / "Makefile").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            ["make", "-s", "-C", str(FIRMWARE), "all", "bench"],
            capture_output=True,
            text=True,
            timeout=_MAKE_S,
            check=False,
        )
    if done.returncode:
        pytest.fail(f"the firmware does not build:\n{done.stderr}", pytrace=False)


@dataclass(frozen=True, slots=True)
class Build:
    """A firmware to run, and the rail behind it.

    Attributes
    ----------
    elf : Path
    um_per_step : float
        Of the simulated carriage; `setup` tells the firmware the same as ``$100``.
    setup : tuple of str
        Lines that are sent before the host takes over.
    options : tuple of str
        For the bench.
    speed : float
        Most times real time. A firmware that sleeps when it waits reaches it; one that spins, as stock GRBL does, stays near 1.
    """

    elf: Path = ELF
    um_per_step: float = 4.0
    setup: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    speed: float = 8.0

    def start(self, *options: str, speed: float | None = None, setup: tuple[str, ...] = ()) -> FirmwareBench:
        """The bench, running, its firmware set up."""
        size = ("--um-per-step", str(self.um_per_step))
        bench = FirmwareBench(
            *size, *self.options, *options, elf=self.elf, speed=self.speed if speed is None else speed
        )
        try:
            terminal = Terminal(bench)
            terminal.until("Grbl", within_s=5)
            terminal.do(f"$100={1000 / self.um_per_step:.3f}", *self.setup, *setup)
            terminal.close()
        except BaseException:
            bench.close()
            raise
        return bench


STOCK_SETUP = ("$1=255", "$10=1", "$13=0", "$20=0", "$21=0", "$22=0", "$110=600", "$120=200")
"""What any GRBL 1.1 takes: motor held, reports in mm of machine position, no limits, modest speed."""

LOCKSTEP = -1.0
"""Speed of a bench whose time passes only while somebody waits."""

OURS = Build(setup=("$110=600", "$120=300", "$270=20000"), speed=20)


def other_build(*setup: str, environment: Mapping[str, str] = os.environ) -> Build | None:
    """The user's firmware, as the environment describes it, with `setup` before what the user wants; None where none is named."""
    elf = environment.get("FOCUSRAIL_FIRMWARE_ELF", "")
    if not elf:
        return None
    return Build(
        elf=Path(elf),
        um_per_step=float(environment.get("FOCUSRAIL_FIRMWARE_UM_PER_STEP", "4")),
        setup=(*STOCK_SETUP, *setup, *environment.get("FOCUSRAIL_FIRMWARE_SETUP", "").split()),
        options=tuple(shlex.split(environment.get("FOCUSRAIL_FIRMWARE_BENCH", ""))),
    )


class FirmwareBench:
    """A running MCU; `command` talks to the bench, `url` is its serial port."""

    def __init__(self, *options: str, elf: Path = ELF, speed: float = 8.0) -> None:
        make()
        self._folder = tempfile.TemporaryDirectory(prefix="focusrail-firmware-")
        self.url = str(Path(self._folder.name) / "rail")
        self._turn = threading.Lock()
        self._process = subprocess.Popen(
            [str(BENCH), "--elf", str(elf), "--pty", self.url, "--speed", str(speed), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        ready = self._answer()
        if ready.get("event") != "ready":
            raise RuntimeError(f"the bench did not start: {ready}")

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the bench is gone, with {self._process.wait(_ANSWER_S)}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def command(self, cmd: str, **values: object) -> dict[str, Any]:
        """Say `cmd` to the bench; its answer."""
        with self._turn:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"cmd": cmd, **values}) + "\n")
            answer = self._answer()
        if "error" in answer or "event" in answer:
            raise RuntimeError(f"{cmd}: {answer}")
        return answer

    def truth(self) -> dict[str, Any]:
        """What is really there: steps, rotor, carriage, pins, MCU time."""
        return self.command("truth")

    @property
    def steps(self) -> int:
        """Step pulses counted, signed."""
        return int(self.truth()["steps"])

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class PacedPort:
    """A real pyserial port to a bench in lockstep (`speed` below 0): its time passes while the host waits for bytes, and only then.

    So neither a busy machine nor a slow simulation makes a silent controller, and every run is the same.
    """

    def __init__(self, bench: FirmwareBench) -> None:
        self._bench = bench
        self._port = open_port(bench.url)
        self.now = 0.0
        self.when: tuple[Callable[[], bool], Callable[[], object]] | None = None  # once this holds, that is called
        time.sleep(0.02)  # a pseudo-terminal hands on what was written before in its own time
        self._port.read(self._port.in_waiting)
        truth = bench.truth()
        self._sent, self._heard = truth["read"], truth["written"]

    @property
    def in_waiting(self) -> int:
        return self._port.in_waiting

    def read(self, size: int = 1, /) -> bytes:
        for _ in range(5):
            if not self._port.in_waiting:
                self._pass()
            if ready := self._port.in_waiting:
                data = self._port.read(min(size, ready))
                self._heard += len(data)
                return data
        return b""

    def _pass(self) -> None:
        written = self._bench.command("pass", s=0.004, read=self._sent)["written"]
        self.now += 0.004
        end = time.monotonic() + 2.0
        while self._heard + self._port.in_waiting < written and time.monotonic() < end:
            time.sleep(0.0001)
        if self.when is not None and self.when[0]():
            call, self.when = self.when[1], None
            call()

    def write(self, data: bytes, /) -> int | None:
        self._sent += len(data)
        return self._port.write(data)

    def close(self) -> None:
        self._port.close()


def open_paced(bench: FirmwareBench, port: PacedPort | None = None) -> GrblAxis:
    """The rail behind a bench in lockstep, its deadlines in the bench's time."""
    if port is None:
        port = PacedPort(bench)
    return GrblAxis.connect(Link(port, clock=lambda: port.now), load_profile(None))


class Terminal:
    """The host's end of the port, without any driver: text out, lines in."""

    def __init__(self, bench: FirmwareBench) -> None:
        self._bench = bench
        self._fd = os.open(bench.url, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._heard = b""
        truth, before = bench.truth(), None
        while truth["written"] != before:  # a running MCU may say something between the two looks: then they do not fit
            time.sleep(0.005)  # a pseudo-terminal hands on what was written before in its own time
            before = truth["written"]
            waiting = struct.unpack("i", fcntl.ioctl(self._fd, termios.FIONREAD, bytes(4)))[0]
            truth = bench.truth()
        self._sent, self._got = truth["read"], truth["written"] - waiting

    def write(self, data: bytes | str) -> None:
        """Send bytes; text as Latin-1."""
        rest = data.encode("latin-1") if isinstance(data, str) else data
        while rest:
            try:
                count = os.write(self._fd, rest)
            except BlockingIOError:
                self._bench.truth()
                continue
            self._sent += count
            rest = rest[count:]

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._fd, 65536)
            except BlockingIOError:
                return
            if not data:
                return
            self._got += len(data)
            self._heard += data

    def _pass(self, mcu_s: float) -> None:
        """Let MCU time pass, all that was sent on its way to it before, and all that it says here after."""
        written = self._bench.command("pass", s=mcu_s, read=self._sent)["written"]
        end = time.monotonic() + 1.0
        self._read()
        while self._got < written and time.monotonic() < end:
            time.sleep(0.0001)
            self._read()

    def lines(self, mcu_s: float) -> list[str]:
        """Let MCU time pass; the lines that came."""
        end = self._bench.truth()["mcu_s"] + mcu_s
        while (left := end - self._bench.truth()["mcu_s"]) > 1e-5:
            self._pass(min(left, 0.1))
        *lines, self._heard = self._heard.split(b"\n")
        return [line.rstrip(b"\r").decode("latin-1") for line in lines]

    def until(self, wanted: str, *, within_s: float = 60.0) -> list[str]:
        """Lines up to the first that begins with one of the words of `wanted` (separated by ``|``)."""
        starts = tuple(wanted.split("|"))
        end = self._bench.truth()["mcu_s"] + within_s
        taken: list[str] = []
        expired = False
        while not expired:
            expired = (
                self._bench.truth()["mcu_s"] >= end
            )  # judged before the last look, for the MCU does not wait for ours
            self._read()
            while b"\n" in self._heard:
                line, _, self._heard = self._heard.partition(b"\n")
                taken.append(line.rstrip(b"\r").decode("latin-1"))
                if taken[-1].startswith(starts):
                    return taken
            self._pass(0.003)
        raise AssertionError(f"no {wanted!r} within {within_s} s of the MCU; heard {taken[-8:]} and {self._heard!r}")

    def ask(self, line: str, *, within_s: float = 60.0) -> list[str]:
        """Send a line; all lines up to its answer."""
        self.write(line + "\n")
        return self.until("ok|error:", within_s=within_s)

    def do(self, *lines: str) -> None:
        """Lines that must succeed."""
        for line in lines:
            answer = self.ask(line)
            assert answer[-1] == "ok", f"{line}: {answer}"

    def report(self) -> str:
        """One status report."""
        self.write("?")
        return self.until("<", within_s=3.0)[-1]

    def state(self) -> str:
        """The state in a status report."""
        return self.report()[1:].split("|")[0]

    def rest(self, *, within_s: float = 120.0) -> None:
        """Wait until all that was queued is done."""
        answer = self.ask("G4P0.001", within_s=within_s)
        assert answer[-1] == "ok", answer

    def close(self) -> None:
        """Let go of the port."""
        os.close(self._fd)
