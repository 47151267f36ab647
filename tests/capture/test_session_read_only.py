"""A session on a disk, or in a folder, that may not be written: it can be looked at, and nothing is pretended."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from capture.app.main import run
from capture.errors import SessionError
from capture.session.folder import SessionFolder
from capture.session.plan import StackPlan
from capture.session.records import EventKind, SessionState

FRAMES = 2


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Root may write everything but a disk that is read-only."""
    if os.geteuid():
        modes = {path: path.stat().st_mode for path in (folder, *folder.rglob("*"))}
        for path, mode in modes.items():
            path.chmod(mode & 0o555)
        yield
        for path, mode in modes.items():
            path.chmod(mode)
        return
    if not shutil.which("mount") or subprocess.run(["mount", "--bind", folder, folder], check=False).returncode:
        pytest.skip("root cannot be kept from writing here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def make(path: Path, frames: int = FRAMES, state: SessionState = SessionState.FINISHED, **more: object) -> Path:
    plan = StackPlan(0, 50 * (FRAMES - 1), 50)
    devices = {"rail": {"port": None, "profile": None}, "camera": {"port": None, "model": None}}
    with SessionFolder.create(path, plan, devices=devices, settings={}, origin="here", **more) as folder:
        for number in range(1, frames + 1):
            folder.journal.record(EventKind.INTENDED, number, target=50.0 * (number - 1))
            folder.journal.record(EventKind.MOVED, number, position=50.0 * (number - 1))
            entry = {"file": f"frames/{number:04d}.dng", "sha256": "0", "bytes": 4, "raw": True}
            (path / f"frames/{number:04d}.dng").write_bytes(b"raw\n")
            folder.journal.record(EventKind.STORED, number, files=[entry], exposure={}, notes=[])
            folder.journal.record(EventKind.ACCEPTED, number)
        folder.end(state)
    return path


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, object]]:
    code = run([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("clean", [True, False], ids=["closed", "killed"])
def test_a_finished_one_is_said_to_be_and_packed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], clean: bool
) -> None:
    session = make(tmp_path / "s")
    if not clean:  # what was recorded last is in the log beside the database, as a kill leaves it
        copy = tmp_path / "copy"
        with closing(sqlite3.connect(session / "journal.db")) as other:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM event").fetchone()
            with SessionFolder.open(session) as folder:
                folder.journal.record(EventKind.NOTED, text="the last")
                shutil.copytree(session, copy)
        session = copy
        assert (session / "journal.db-wal").stat().st_size
    before = contents(session)
    with read_only(session):
        code, values = answer(capsys, "resume", str(session))
        assert (code, values["frames"], values["planned"]) == (0, FRAMES, FRAMES)
        archive = tmp_path / "report.zip"
        code, packed = answer(capsys, "report-bug", str(session), "-o", str(archive))
        assert code == 0, packed
        with pytest.raises(SessionError, match="may not be written") as refused, SessionFolder.open(session) as folder:
            folder.journal.record(EventKind.NOTED, text="more")
        assert refused.value.state == "Nothing was changed."
    assert contents(session) == before
    with zipfile.ZipFile(archive) as report:
        report.extractall(tmp_path / "report")
    with closing(sqlite3.connect(tmp_path / "report" / "journal.db")) as journal:
        recorded = [kind for (kind,) in journal.execute("SELECT kind FROM event ORDER BY number")]
    assert recorded[-1] == ("ended" if clean else "noted")


@pytest.mark.parametrize(
    ("frames", "state", "more", "said"),
    [
        (1, SessionState.INTERRUPTED, {}, "1 of its frames are missing"),
        (FRAMES, SessionState.INTERRUPTED, {}, "its frames were not judged yet"),
        (FRAMES, SessionState.FINISHED, {"stack": {}}, "its picture is not made"),
    ],
)
def test_one_with_something_left_to_do_is_refused_and_left_alone(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    frames: int,
    state: SessionState,
    more: dict[str, object],
    said: str,
) -> None:
    session = make(tmp_path / "s", frames, state, **more)
    before = contents(session)
    with read_only(session):
        code, values = answer(capsys, "resume", str(session))
    assert code == 1
    error = values["error"]
    assert isinstance(error, dict)
    assert said in error["message"]
    assert "writable" in error["remedy"]
    assert error["state"] == "Nothing was changed, nothing has moved."
    assert contents(session) == before
