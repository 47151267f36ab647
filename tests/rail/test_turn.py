"""One operation of an axis at a time, and a stop that reaches the one it is meant for."""

from __future__ import annotations

import threading

import pytest

from rail.errors import RailBusyError, RailStoppedError
from rail.turn import Turn


def test_an_operation_inside_another_is_refused() -> None:
    turn = Turn()
    with turn.taken(), pytest.raises(RailBusyError), turn.taken():
        pass
    with turn.taken():
        assert turn.mine


def work_until_stopped(turn: Turn, begun: threading.Event) -> None:
    with turn.taken():
        begun.set()
        while True:
            turn.check()


def test_a_stop_is_for_what_was_before_and_not_for_what_comes_after() -> None:
    turn = Turn()
    for _ in range(30):
        begun, looked = threading.Event(), threading.Event()

        def stop(begun: threading.Event = begun, looked: threading.Event = looked) -> None:
            begun.wait(30)
            with turn.taken(by_stopping=True):
                looked.set()

        stopper = threading.Thread(target=stop)
        stopper.start()
        with pytest.raises(RailStoppedError):
            work_until_stopped(turn, begun)
        with turn.taken():  # the next operation waits for the stop's turn, and is not stopped by it
            assert looked.is_set()
            turn.check()
        stopper.join(30)
        assert not turn.stopping
