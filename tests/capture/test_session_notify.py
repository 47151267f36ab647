"""Notifications: what is told by them, and what is said when they fail."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from capture.session import notify
from capture.session.notify import DESKTOP, Notifier
from capture.session.preflight import notification


@pytest.mark.parametrize(
    ("way", "before", "after"),
    [
        ("true", "", ""),
        ("exit 3", "", "exit 3 ended with exit code 3"),
        ("no-such-prog now", "no program no-such-prog", "no program no-such-prog"),
        ("A=1 no-such-prog", "", "ended with exit code 127"),
        (DESKTOP, "no program notify-send", "no program notify-send"),
    ],
)
def test_a_way_that_leads_nowhere_is_told_before_and_once_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, before: str, after: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    way = "/bin/true" if way == "true" else way
    (check,) = notification(way)
    assert (check.passed, check.fatal) == (not before, False)
    assert before in check.message
    assert bool(check.remedy) is bool(before)
    said: list[str] = []
    notifier = Notifier(way, tmp_path, said.append)
    notifier.trouble("a")
    notifier.finished("b")
    notifier.close()
    assert len(said) == bool(after)
    assert after in "".join(said)


def test_nobody_is_to_be_told() -> None:
    assert notification(None) == []


def test_the_session_is_told_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    notifier = Notifier('cd /; printf %s "$FOCUSRAIL_SESSION" > "$FOCUSRAIL_SESSION/told"', Path("s"), said.append)
    (tmp_path / "s").mkdir()
    notifier.finished("")
    notifier.close()
    assert (tmp_path / "s" / "told").read_text() == str(tmp_path / "s")
    assert said == []


def test_one_that_hangs_is_ended_with_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "COMMAND_S", 0.01)
    os.mkfifo(tmp_path / "held")
    said: list[str] = []
    notifier = Notifier(f"exec 3> {tmp_path / 'held'}; sleep 100 & sleep 100", tmp_path, said.append)
    notifier.finished("")
    with (tmp_path / "held").open("rb") as held:  # it has begun
        notifier.close()
        assert held.read() == b""  # nobody holds the other end any more
    assert "was ended" in said[0]
