"""The journal, the frames it adds up to, and the folder that holds it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from capture.errors import HeldError, SessionError
from capture.session.claims import claimed_rail
from capture.session.folder import SessionFolder, check_new_folder
from capture.session.journal import FORMAT_VERSION, Journal
from capture.session.plan import StackPlan
from capture.session.reconcile import reconcile
from capture.session.records import (
    DOUBTED,
    EventKind,
    SessionState,
    Verdict,
    exposed_since,
    frames_in_doubt,
    place_in_doubt,
    reshot,
)

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
    with pytest.raises(SessionError, match="not empty") as refused:
        new_folder(tmp_path / "s")
    assert f"focusrail resume {tmp_path / 's'}" in refused.value.remedy
    (tmp_path / "file").write_text("x")
    with pytest.raises(SessionError, match="is a file"):
        new_folder(tmp_path / "file")


def test_a_second_process_is_refused_and_told_who_holds_the_session(tmp_path: Path) -> None:
    with new_folder(tmp_path / "s"):
        code = (
            "import sys; from pathlib import Path\nfrom capture.errors import SessionError\n"
            "from capture.session.folder import SessionFolder, check_new_folder\n"
            "try: SessionFolder.open(Path(sys.argv[1]))\nexcept SessionError as error: print(error.message)\n"
        )
        told = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "s")], capture_output=True, text=True, check=True
        )
        assert f"process {os.getpid()}, " in told.stdout
        assert f", since {time.strftime('%Y-')}" in told.stdout


def test_who_would_begin_in_the_folder_of_a_session_that_runs_is_told_who_holds_it(tmp_path: Path) -> None:
    with new_folder(tmp_path / "s"), pytest.raises(SessionError, match=f"process {os.getpid()}, "):
        check_new_folder(tmp_path / "s")
    with pytest.raises(SessionError, match="not empty"):
        check_new_folder(tmp_path / "s")


@pytest.mark.parametrize("harm", ["torn", "foreign"])
def test_a_damaged_journal_is_called_so_and_leaves_the_frames_to_be_stacked(tmp_path: Path, harm: str) -> None:
    with new_folder(tmp_path / "s") as folder:
        for number in range(1, 200):
            store(folder, number)
    path = tmp_path / "s" / "journal.db"
    path.write_bytes(b"no database" * 1000 if harm == "foreign" else path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SessionError, match="is damaged") as refused, SessionFolder.open(tmp_path / "s") as folder:
        folder.frames()
    assert f"focusrail stack {tmp_path / 's'}" in refused.value.remedy


def test_frames_that_are_gone_are_not_silently_shot_again(tmp_path: Path) -> None:
    with new_folder(tmp_path / "s") as folder:
        store(folder, 1)
        folder.rejected_path.rmdir()
        folder.frames_path.rmdir()
        with pytest.raises(SessionError, match="is gone, and 1 frames with it"):
            reconcile(folder)


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


def set_format(path: Path, number: int) -> None:
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version={number}")
    database.close()


def test_a_journal_of_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal(path, create=True).close()
    set_format(path, 99)
    before = path.read_bytes()
    with pytest.raises(SessionError, match="has format 99; this program reads up to") as refused:
        Journal(path)
    assert "newer focusrail" in refused.value.remedy
    assert path.read_bytes() == before


def test_a_journal_of_an_older_format_is_brought_up_to_date(tmp_path: Path) -> None:
    with new_folder(tmp_path / "s") as folder:
        store(folder, 1)
        before = folder.manifest()
    set_format(tmp_path / "s" / "journal.db", 1)
    with SessionFolder.open(tmp_path / "s") as folder:
        assert folder.manifest() == before
        folder.journal.record(EventKind.NOTED, text="goes on")
    database = sqlite3.connect(tmp_path / "s" / "journal.db")
    assert database.execute("PRAGMA user_version").fetchone()[0] == FORMAT_VERSION
    database.close()


def test_the_journal_is_durable_at_each_step(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.db", create=True) as journal:
        assert journal._database.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert journal._database.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL


@pytest.mark.parametrize(
    "left", [(), ("journal.db",), ("journal.db", "frames", "result"), ("frames", "frames/rejected")]
)
def test_a_session_killed_before_its_first_step_is_begun_again_in_its_folder(
    left: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "s"
    path.mkdir()
    for name in left:
        (path / name).touch() if name == "journal.db" else (path / name).mkdir()
    if left:
        with pytest.raises(SessionError) as refused:
            SessionFolder.open(path)
        assert "journal.db" not in left or "start it again" in refused.value.remedy
    with new_folder(path) as folder:
        assert folder.plan == PLAN


def test_a_blank_journal_beside_a_file_of_the_users_is_no_free_folder(tmp_path: Path) -> None:
    path = tmp_path / "s"
    (path / "frames").mkdir(parents=True)
    (path / "journal.db").touch()
    (path / "frames" / "mine.dng").write_text("precious")
    with pytest.raises(SessionError, match="not empty"):
        new_folder(path)


def test_what_stands_in_one_place_is_held_by_one_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = (
        "import sys, tempfile; tempfile.tempdir = sys.argv[1]\n"
        "from capture.session.claims import claimed_rail\nfrom capture.errors import HeldError\n"
        "try:\n    with claimed_rail(sys.argv[2]): print('free')\n"
        "except HeldError as error: print(error.message)\n"
    )

    def told(port: str) -> str:
        arguments = [sys.executable, "-c", code, str(tmp_path), port]
        return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip()

    with claimed_rail("socket://host:1"), claimed_rail(None):
        assert f"in use by another focusrail (process {os.getpid()}, " in told("socket://HOST:1")
        assert told("socket://host:2") == "free"
    assert told("socket://host:1") == "free"


def test_a_claim_holds_between_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user may read the file of a claim, but not write it, nor open it as one to be made (fs.protected_regular)."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before, opened = os.umask(0o077), os.open

    def open_as_another_user(path: Path, flags: int, mode: int = 0o777) -> int:
        if path.exists() and (flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) or not path.stat().st_mode & 0o004):
            raise PermissionError(path)
        return opened(path, flags, mode)

    try:
        with claimed_rail("socket://host:1"):
            monkeypatch.setattr(os, "open", open_as_another_user)
            with pytest.raises(HeldError, match="socket://host:1 is in use"), claimed_rail("socket://host:1"):
                pass
    finally:
        os.umask(before)


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


def break_off(journal: Journal) -> None:
    with journal.together():
        journal.record(EventKind.ADDED, 2, target=1.0, reason="a gap")
        raise KeyboardInterrupt


def test_what_belongs_together_is_recorded_together_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal(path, create=True) as journal:
        with journal.together():
            journal.record(EventKind.STORED, 1, files=[], exposure={})
            journal.record(EventKind.ACCEPTED, 1)
        with pytest.raises(KeyboardInterrupt):
            break_off(journal)
        journal.record(EventKind.NOTED, text="goes on")
    with Journal(path) as journal:
        assert [event.kind for event in journal.events()] == [EventKind.STORED, EventKind.ACCEPTED, EventKind.NOTED]


def test_a_kill_in_the_middle_leaves_nothing_of_it(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\nfrom capture.session.journal import Journal\n"
        "from capture.session.records import EventKind\n"
        "journal = Journal(Path(sys.argv[1]), create=True)\n"
        "journal.record(EventKind.NOTED, text='before')\n"
        "with journal.together():\n"
        "    journal.record(EventKind.ADDED, 2, target=1.0, reason='a gap')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    path = tmp_path / "journal.db"
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    with Journal(path) as journal:
        assert [event.kind for event in journal.events()] == [EventKind.NOTED]


def test_what_was_shot_at_a_place_in_doubt_is_shot_again(tmp_path: Path) -> None:
    with SessionFolder.create(tmp_path / "s", PLAN, devices={}, settings={}, origin="here") as folder:
        for number in range(1, 6):
            content = bytes([number])
            path = folder.frames_path / f"{number:04d}.dng"
            path.write_bytes(content)
            entry = {
                "file": f"frames/{path.name}",
                "sha256": hashlib.sha256(content).hexdigest(),
                "bytes": 1,
                "raw": True,
            }
            folder.journal.record(EventKind.EXPOSING, number, attempt=1)
            folder.journal.record(EventKind.STORED, number, files=[entry], exposure={}, notes=[])
            folder.journal.record(EventKind.ACCEPTED, number)
        assert exposed_since(folder.journal.events(), 4) == ({4, 5}, False)
        folder.journal.record(EventKind.NOTED, text="the place is in doubt", place=DOUBTED, frames=[4, 5])
        assert place_in_doubt(folder.journal.events())
        (first, second) = reconcile(folder).notes
        assert "frame 4 is shot again" in first
        assert "frame 5 is shot again" in second
        assert [frame.number for frame in folder.accepted()] == [1, 2, 3]
        assert reconcile(folder).notes == ()
        folder.journal.record(EventKind.RESUMED, origin="home")
        assert not place_in_doubt(folder.journal.events())
        folder.journal.record(EventKind.EXPOSING, 4, attempt=1)
        assert frames_in_doubt(folder.journal.events()) == {5}
        assert exposed_since(folder.journal.events(), 2) == ({2, 3, 5}, True)
        assert exposed_since(folder.journal.events(), 4) == ({4}, False)


def test_an_exposure_that_was_broken_off_is_none_that_was_spoilt(tmp_path: Path) -> None:
    with new_folder(tmp_path / "s") as folder:
        journal = folder.journal
        store(folder, 1)
        (folder.frames_path / "0001.dng").write_bytes(b"ab")
        journal.record(EventKind.EXPOSING, 2, attempt=1)
        (folder.frames_path / "0002.dng").write_bytes(b"cd")  # the power went here
        assert len(reconcile(folder).notes) == 2, "of the first the digest is wrong, the second was not recorded"
        assert reshot(journal.events()) == 0, "nothing was shot since"
        store(folder, 1)
        store(folder, 2)
        assert reshot(journal.events()) == 1
        journal.record(EventKind.REJECTED, 2, reason="it is shaken")
        assert reshot(journal.events()) == 1
        store(folder, 2)
        assert reshot(journal.events()) == 2


@pytest.mark.parametrize("kind", ["rail-reset", "rail-alarm", "rail-position-unknown"])
def test_a_place_lost_on_the_wire_is_in_doubt_until_an_origin_is_given(tmp_path: Path, kind: str) -> None:
    with SessionFolder.create(tmp_path / "s", PLAN, devices={}, settings={}, origin="here") as folder:
        journal = folder.journal
        journal.record(EventKind.FAILED, error="camera-lost", message="")
        assert not place_in_doubt(journal.events())
        journal.record(EventKind.FAILED, error=kind, message="")
        journal.record(EventKind.RESUMED, origin="keep")
        assert place_in_doubt(journal.events())
        assert not place_in_doubt(journal.events(), homed=True)  # what the switch gave is the same again
        for origin in ("here", "images", "home"):
            journal.record(EventKind.FAILED, error=kind, message="")
            journal.record(EventKind.RESUMED, origin=origin)
            assert not place_in_doubt(journal.events())
