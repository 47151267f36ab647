"""The child process: whatever happens in it, the session gets an answer in time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from capture.camera.process import FailedCallError, LibraryProcess, ProcessDiedError, ProcessHungError


@pytest.fixture
def child() -> Iterator[LibraryProcess]:
    process = LibraryProcess("tests.capture.camera_children")
    yield process
    process.close()


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_results_come_back(child: LibraryProcess) -> None:
    assert child.ask("echo", deadline_s=10, arguments={"port": None, "limit_s": 1}) == {"port": None, "limit_s": 1}
    assert child.alive


def test_a_refusal_keeps_the_child(child: LibraryProcess) -> None:
    with pytest.raises(FailedCallError) as refusal:
        child.ask("refuse", deadline_s=10)
    assert refusal.value.failed.reasons == ("PTP Store Full",)
    assert child.ask("echo", deadline_s=10) == {}


@pytest.mark.parametrize(("operation", "cause"), [("crash", "SIGSEGV"), ("raise", "ZeroDivisionError: broken")])
def test_a_crash_ends_the_call_and_says_how(child: LibraryProcess, operation: str, cause: str) -> None:
    pid = child.pid
    with pytest.raises(ProcessDiedError, match=cause):
        child.ask(operation, deadline_s=10)
    assert not child.alive
    assert gone(pid)


def test_a_hang_ends_the_child(child: LibraryProcess) -> None:
    pid = child.pid
    assert child.ask("echo", deadline_s=10) == {}
    with pytest.raises(ProcessHungError):
        child.ask("hang", deadline_s=0.2)
    assert gone(pid)


def test_a_silence_is_told_before_it_ends_the_call(child: LibraryProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capture.camera.process._SHORT_S", 0.05)
    told: list[tuple[float, float]] = []
    assert child.ask("echo", deadline_s=10, on_silence=lambda *said: told.append(said)) == {}
    assert told == []
    with pytest.raises(ProcessHungError):
        child.ask("hang", deadline_s=0.4, on_silence=lambda *said: told.append(said))
    ((silent_s, deadline_s),) = told
    assert 0.05 <= silent_s < deadline_s == 0.4


def test_an_interrupt_while_waiting_ends_the_child(child: LibraryProcess) -> None:
    def interrupt(_progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        child.ask("progress", deadline_s=10, on_progress=interrupt)
    assert not child.alive
    with pytest.raises(ProcessDiedError):
        child.ask("echo", deadline_s=10)


def test_progress_is_passed_on_and_may_change_the_deadline(child: LibraryProcess) -> None:
    stages: list[str] = []

    def note(progress: object) -> float:
        stages.append(getattr(progress, "stage", ""))
        return 10.0

    assert child.ask("progress", deadline_s=10, on_progress=note) == "end"
    assert stages == ["triggering", "triggered"]


def test_a_growing_file_is_not_a_hang(child: LibraryProcess, tmp_path: Path) -> None:
    child.ask("echo", deadline_s=10)
    grown = child.ask("grow", deadline_s=0.8, watched=tmp_path, arguments={"path": str(tmp_path / ".0001.0.part")})
    assert grown == 5


def test_the_library_finds_no_home_and_no_language(child: LibraryProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    assert child.ask("home", deadline_s=10) == (os.devnull, os.devnull, "C.UTF-8", False)


def test_closing_ends_the_child_and_may_be_repeated() -> None:
    process = LibraryProcess("tests.capture.camera_children")
    pid = process.pid
    process.close()
    process.close()
    process.kill()
    assert gone(pid)


def test_no_descriptor_is_left_behind() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for operation in ("echo", "crash"):
        process = LibraryProcess("tests.capture.camera_children")
        try:
            process.ask(operation, deadline_s=10)
        except ProcessDiedError:
            continue
        finally:
            process.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
