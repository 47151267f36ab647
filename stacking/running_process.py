"""The running stack as a process of its own: ``python -m stacking.running_process DESCRIPTOR`` of a socket to the session.

Frames are worked on at low priority by one thread, so that nothing here delays the shutter; the final run has the usual one. The
process ends, and leaves nothing, when the session's end of the socket closes, whatever it is doing.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from stacking.errors import StackingError
from stacking.running_orders import Add, Answer, Begin, Finish, Finished, Order, Shown, Told, Withdraw

if TYPE_CHECKING:
    from types import FrameType

    from stacking.running import RunningStack

_NICENESS = 10
# A preview is written at the latest after so many frames.
_FRAMES_A_PREVIEW = 2
# After so long the signal that ends the process is sent again.
_UNHEARD_S = 0.1


class _Worker:
    """The thread that takes in frames."""

    def __init__(self, begin: Begin, connection: Connection[Answer, Order]) -> None:
        self._begin = begin
        self._connection = connection
        self._orders: queue.SimpleQueue[Add | Withdraw | None] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="running-stack", daemon=True)
        self.stack: RunningStack | None = None
        self._thread.start()

    def put(self, order: Add | Withdraw) -> None:
        self._orders.put(order)

    def end(self) -> RunningStack | None:
        """The stack, once what the thread is at is done; frames that still wait are left to the final run, which has all cores."""
        self._hurry.set()
        self._orders.put(None)
        self._thread.join()
        return self.stack

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        from stacking.running import RunningStack

        stack = self.stack = RunningStack(self._begin.options, self._begin.preview)
        unseen, said, frames = 0, 0, 0

        def show() -> None:
            nonlocal unseen, said
            stack.write_preview()
            self._connection.send(Shown(frames, " ".join(stack.notes[said:])))
            unseen, said = 0, len(stack.notes)

        while True:
            if unseen and (self._orders.empty() or unseen >= _FRAMES_A_PREVIEW):
                show()
            order = self._orders.get()
            if order is None or self._hurry.is_set():
                if unseen:
                    show()
                return
            unseen += 1
            frames += 1 if isinstance(order, Add) else -1
            try:
                if isinstance(order, Add):
                    stack.add(order.number, order.paths, order.place, order.position_um)
                else:
                    stack.withdraw(order.number)
            except Exception as error:  # noqa: BLE001  (whatever it is, the frames to come are worth a try)
                stack.notes.append(f"frame {order.number}: {type(error).__name__}: {error}")


def serve(connection: Connection[Answer, Order]) -> None:
    """Follow orders until the other end closes."""
    begin = connection.recv()
    assert isinstance(begin, Begin)
    worker = _Worker(begin, connection)
    orders: queue.SimpleQueue[Finish] = queue.SimpleQueue()
    main = threading.main_thread().ident
    assert main is not None

    def read() -> None:
        try:
            while True:
                order = connection.recv()
                if isinstance(order, Finish):
                    orders.put(order)
                elif not isinstance(order, Begin):
                    worker.put(order)
        except (EOFError, OSError):
            # the main thread ends as on Ctrl-C, which leaves nothing half-written. A signal to the process may be taken by
            # another thread, and one just before the wait wakes nobody: it is sent to that thread until heard (`_interrupted_once`).
            while True:
                signal.pthread_kill(main, signal.SIGINT)
                time.sleep(_UNHEARD_S)

    threading.Thread(target=read, name="orders", daemon=True).start()
    while True:
        order = orders.get()
        stack = worker.end()
        if stack is None:
            return
        try:
            report = stack.finish(order.paths, order.output, order.options, lambda *told: connection.send(Told(*told)))
            connection.send(Finished(report, None))
        except StackingError as error:
            connection.send(Finished(None, error))


def _interrupted_once(_number: int, _frame: FrameType | None) -> None:
    # what is cleared away on the way out is not interrupted again
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    # started by a job in a script's background it would be deaf to SIGINT, by which the reading thread ends it
    signal.signal(signal.SIGINT, _interrupted_once)
    try:
        with Connection(int(sys.argv[1])) as session:
            serve(session)
    except (KeyboardInterrupt, BrokenPipeError, EOFError):
        # not waiting for what the worker is at: it matters to nobody any more
        os._exit(0)
