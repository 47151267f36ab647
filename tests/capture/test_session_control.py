"""Orders to a session that runs, and what it answers to those that can be refused."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from capture.app.main import run
from capture.errors import SessionError, UsageError
from capture.session.control import FIFO_NAME, Controls, Extension, Order, send_order
from capture.session.folder import SessionFolder
from capture.session.plan import StackPlan
from rail.axis import AxisUnit


@pytest.fixture
def controls(tmp_path: Path) -> Iterator[Controls]:
    (tmp_path / "journal.db").touch()
    with Controls(tmp_path) as made:
        yield made


@pytest.fixture
def shooting(controls: Controls) -> Iterator[None]:
    """A thread that reads orders, as one that shoots does."""
    end = threading.Event()

    def read() -> None:
        while not end.is_set():
            controls.wait(0.01)

    thread = threading.Thread(target=read)
    thread.start()
    yield
    end.set()
    thread.join()


def test_an_extension_is_answered(controls: Controls, shooting: None, tmp_path: Path) -> None:
    asked: list[float] = []

    def extend(distance: float) -> Extension:
        asked.append(distance)
        return Extension("too far") if distance > 300 else Extension(far=1000 + distance)

    controls.extend = extend
    assert send_order(tmp_path, Order.EXTEND, 200.5) == Extension(far=1200.5)
    with pytest.raises(SessionError, match="is not extended: too far") as refused:
        send_order(tmp_path, Order.EXTEND, 301.0)
    assert refused.value.remedy
    assert refused.value.state
    assert asked == [200.5, 301.0]
    assert [path.name for path in tmp_path.glob(".answer*")] == []


def test_an_extension_that_comes_when_all_is_over_is_refused(controls: Controls, tmp_path: Path) -> None:
    ended = threading.Timer(0.05, controls.close)
    ended.start()
    with pytest.raises(SessionError, match="the session has ended"):
        send_order(tmp_path, Order.EXTEND, 10.0)
    ended.join()


def test_an_extension_that_is_not_read_is_not_said_to_be_obeyed(controls: Controls, tmp_path: Path) -> None:
    assert send_order(tmp_path, Order.EXTEND, 10.0, answer_s=0.01) is None
    asked: list[float] = []
    controls.extend = lambda distance: asked.append(distance) or Extension(far=10.0)
    controls.wait(0)  # who asked is gone by now
    assert asked == [10.0]


def test_orders_need_no_answer(controls: Controls, tmp_path: Path) -> None:
    send_order(tmp_path, Order.PAUSE)
    send_order(tmp_path, Order.STOP)
    controls.wait(0)
    assert (controls.paused, controls.stopping) == (True, True)
    with pytest.raises(UsageError):
        send_order(tmp_path, Order.EXTEND)


def test_who_is_not_there_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="holds no session") as nothing:
        send_order(tmp_path / "nope", Order.PAUSE)
    assert "resume" not in nothing.value.remedy
    (tmp_path / "journal.db").touch()
    with pytest.raises(SessionError, match="nobody is shooting") as idle:
        send_order(tmp_path, Order.PAUSE)
    assert "focusrail resume" in idle.value.remedy
    assert idle.value.state == nothing.value.state == "Nothing was done."


@pytest.mark.parametrize("order", [Order.PAUSE, Order.EXTEND])
def test_a_session_that_ends_in_this_moment_takes_no_order(
    controls: Controls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: Order
) -> None:
    opened = os.open

    def open_then_end(path: str, flags: int, mode: int = 0o777) -> int:
        descriptor = opened(path, flags, mode)
        if Path(path).name == FIFO_NAME:
            controls.close()
        return descriptor

    monkeypatch.setattr(os, "open", open_then_end)
    with pytest.raises(SessionError, match="nobody is shooting"):
        send_order(tmp_path, order, 10.0)
    assert [path.name for path in tmp_path.glob(".answer*")] == []


@pytest.mark.parametrize(("unit", "wrong"), [(AxisUnit.UM, "12st"), (AxisUnit.STEP, "12um")])
def test_a_distance_counts_as_the_session_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], unit: AxisUnit, wrong: str
) -> None:
    plan = StackPlan(0, 100, 50, unit=unit)
    with SessionFolder.create(tmp_path / "s", plan, devices={}, settings={}, origin="here"):
        assert run(["control", str(tmp_path / "s"), "extend", wrong, "--json"]) == 2
    assert f"this session counts in {unit.value}" in capsys.readouterr().out


def test_an_order_after_the_last_that_is_taken_is_refused(controls: Controls, tmp_path: Path) -> None:
    assert controls.send(Order.PAUSE)
    send_order(tmp_path, Order.STOP)
    controls.end()
    assert (controls.paused, controls.stopping) == (True, True)
    assert not controls.send(Order.GO_ON)
    with pytest.raises(SessionError, match="nobody is shooting"):
        send_order(tmp_path, Order.GO_ON)
