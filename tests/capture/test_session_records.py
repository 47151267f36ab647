"""The journal, the frames it adds up to, and the folder that holds it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from capture.errors import SessionError
from capture.session.folder import SessionFolder
from capture.session.journal import Journal
from capture.session.plan import StackPlan
from capture.session.records import EventKind, SessionState, Verdict

PLAN = StackPlan(0, 100, 50)


def new_folder(path: Path) -> SessionFolder:
    return SessionFolder.create(path, PLAN, devices={"rail": {"port": "x"}}, settings={"iso": "100"}, origin="keep")


def store(folder: SessionFolder, number: int, *, accept: bool = True) -> None:
    journal = folder.journal
    journal.record(EventKind.INTENDED, number, target=(number - 1) * 50.0)
    journal.record(EventKind.MOVED, number, position=(number - 1) * 50.0)
    journal.record(EventKind.EXPOSING, number, attempt=1)
    files = [{"file": f"frames/{folder.stem(number, 3)}.dng", "sha256": "ab", "bytes": 2, "raw": True}]
    journal.record(EventKind.STORED, number, files=files, exposure={"iso": 100}, notes=[])
    if accept:
        journal.record(EventKind.ACCEPTED, number)


def test_the_manifest_is_what_the_journal_adds_up_to(tmp_path: Path) -> None:
    with new_folder(tmp_path / "s") as folder:
        store(folder, 1)
        store(folder, 2, accept=False)
        folder.journal.record(EventKind.REJECTED, 2, reason="shaken")
        folder.journal.record(EventKind.INTENDED, 3, target=100.0)
        folder.end(SessionState.INTERRUPTED)
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    assert manifest["version"] == 1
    assert manifest["state"] == "interrupted"
    assert manifest["plan"]["frames"] == 3
    assert manifest["plan"]["near_um"] == 0
    assert [(frame["number"], frame["verdict"], frame["position_um"]) for frame in manifest["frames"]] == [
        (1, "accepted", 0.0),
        (2, "rejected", 50.0),
    ]
    assert manifest["frames"][0]["file"] == "frames/0001.dng"
    assert manifest["frames"][1]["reason"] == "shaken"


def test_a_folder_taken_up_again_tells_the_same(tmp_path: Path) -> None:
    with new_folder(tmp_path / "s") as folder:
        store(folder, 1)
        before = folder.manifest()
    with SessionFolder.open(tmp_path / "s") as folder:
        assert folder.manifest() == before
        assert folder.plan == PLAN
        assert folder.frames()[1].verdict is Verdict.ACCEPTED


def test_a_session_never_writes_over_another(tmp_path: Path) -> None:
    new_folder(tmp_path / "s").close()
    with pytest.raises(SessionError, match="not empty"):
        new_folder(tmp_path / "s")
    (tmp_path / "file").write_text("x")
    with pytest.raises(SessionError, match="is a file"):
        new_folder(tmp_path / "file")


def test_a_second_process_is_refused_and_told_who_holds_the_session(tmp_path: Path) -> None:
    with new_folder(tmp_path / "s"):
        code = (
            "import sys; from pathlib import Path\nfrom capture.errors import SessionError\n"
            "from capture.session.folder import SessionFolder\n"
            "try: SessionFolder.open(Path(sys.argv[1]))\nexcept SessionError as error: print(error.message)\n"
        )
        told = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "s")], capture_output=True, text=True, check=True
        )
        assert f"process {os.getpid()}" in told.stdout


def test_what_was_recorded_survives_sigkill(tmp_path: Path) -> None:
    code = (
        "import sys, os; from pathlib import Path\nfrom capture.session.journal import Journal\n"
        "from capture.session.records import EventKind\n"
        "journal = Journal(Path(sys.argv[1]), create=True)\n"
        "number = 0\n"
        "while True:\n"
        "    number += 1\n"
        "    journal.record(EventKind.INTENDED, number, target=1.0)\n"
        "    sys.stdout.write(f'{number}\\n'); sys.stdout.flush()\n"
    )
    path = tmp_path / "journal.db"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = 0
    for line in process.stdout:
        told = int(line)
        if told >= 25:
            break
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().splitlines()
    process.stdout.close()
    process.wait(10)
    complete = [int(line) for line in rest if line]
    told = max([told, *complete[:-1]])
    with Journal(path) as journal:
        numbers = [event.frame for event in journal.events()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= told


def test_a_journal_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal(path, create=True).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(SessionError, match="99"):
        Journal(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"not a database, whatever its name" * 100)
    with pytest.raises(SessionError, match="journal"):
        Journal(path)


def test_a_folder_without_a_journal_is_no_session(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=r"journal\.db"):
        SessionFolder.open(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SessionError, match="cannot be made"):
        new_folder(tmp_path / "file" / "s")
