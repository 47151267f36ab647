"""The simulated rail on a TCP port: what pyserial's ``socket://`` opens as if a controller hung on a serial port."""

from __future__ import annotations

import logging
import math
import select
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from rail.simulator import faults
from rail.simulator.clock import Clock
from rail.simulator.controller import GrblController
from rail.simulator.options import CarriageSample, RailOptions, build, snapshot

_log = logging.getLogger(__name__)

_LEAST_WAIT_S = 0.001  # of real time: events closer together than this are done in one go
_ACT_S = 5.0
_CHUNK = 4096


class SimulatedRail:
    """Controller, carriage and port.

    One program at a time may have the port: a second connection is closed at once. Closing and opening it again
    leaves the controller as it is, unless it `RailOptions.reset_on_open`.

    Parameters
    ----------
    options : RailOptions
    clock : Clock
        Device time, shared by all devices of the bench.
    state : mapping, optional
        What `state` gave in an earlier process: carriage and EEPROM are as they were then.
    powered : bool
        With `state`: the controller has kept its power, and with it its position count and origin.
    """

    def __init__(
        self,
        options: RailOptions,
        clock: Clock,
        *,
        state: Mapping[str, Any] | None = None,
        powered: bool = False,
    ) -> None:
        self.options = options
        self._clock = clock
        self._lock = threading.RLock()
        self._controller = build(options, clock.now(), state, powered=powered)
        self._wire = faults.Wire()
        self._limit_until_s = math.inf
        self._plugged = True
        self._power_lost = False
        self._listener: socket.socket | None = None
        self._client: socket.socket | None = None
        self._port = options.port
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._wakers: tuple[socket.socket, socket.socket] | None = None
        self._settled = threading.Condition(self._lock)

    # The outside ------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """What pyserial opens. The port is known once started, or where it was given."""
        return f"socket://{self.options.host}:{self._port}"

    @property
    def controller(self) -> GrblController:
        """The controller itself, for tests that look behind the wire."""
        return self._controller

    def start(self) -> None:
        """Open the port and serve it.

        Raises
        ------
        OSError
            The port is taken.
        """
        self._listen()
        self._wakers = socket.socketpair()
        self._wakers[0].setblocking(False)
        self._thread = threading.Thread(target=self._serve, name="simulated-rail", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port; idempotent."""
        self._stopping.set()
        self._wake()
        if self._thread is not None:
            self._thread.join(_ACT_S)
            self._thread = None
        self._hang_up()
        self._close_listener()
        wakers, self._wakers = self._wakers, None
        for end in wakers or ():
            end.close()

    def sample(self) -> CarriageSample:
        """Where the carriage truly is now."""
        with self._lock:
            self._advance()
            core = self._controller.core
            moving = core.stepper.carriage_moving()
            rest = 0.0 if moving else max(core.now - core.stepper.last_motion_s, 0.0)
            return CarriageSample(core.slides[0].carriage_um, rest, moving)

    def when_output_comes_on(self, call: Callable[[], None]) -> None:
        """Have `call` called, on a thread of its own, whenever the coolant output (a camera's release) comes on."""
        self._controller.core.flood_came_on = lambda: threading.Thread(target=call, daemon=True).start()

    def state(self) -> dict[str, Any]:
        """What outlives this process: carriage, EEPROM, and the controller's memory should it keep its power."""
        with self._lock:
            self._advance()
            return snapshot(self._controller)

    def faults(self) -> dict[str, dict[str, str]]:
        """Fault name -> {parameter name: what it means, and its default}."""
        return faults.listing()

    def inject(self, name: str, parameters: dict[str, object]) -> None:
        """Switch a fault on, now. ValueError for a name or parameter that is not known."""
        values = faults.read_parameters(name, parameters)
        if name in ("unplug", "plug"):
            self._set_plugged(name == "plug", power=not values.get("power"))
            return
        with self._lock:
            self._advance()
            if name == "hard_limit":
                self._limit_until_s = self._controller.core.now + float(values["hold_s"])
            faults.act(self._controller, self._wire, name, values)
        self._wake()

    def clear(self, name: str) -> None:
        """Switch a fault off; no error where it is not on. ValueError for a name that is not known."""
        faults.read_parameters(name, {})
        if name == "unplug":
            self._set_plugged(True)
            return
        with self._lock:
            self._advance()
            faults.undo(self._controller, self._wire, name)
        self._wake()

    # Plugging ---------------------------------------------------------------------------------------------------

    def _set_plugged(self, plugged: bool, *, power: bool = True) -> None:
        with self._settled:
            self._advance()
            if not power:
                self._controller.hardware_reset()
                self._controller.core.slides[0].release()
                self._power_lost = True
            elif plugged and self._power_lost:
                self._power_lost = False
                self._controller.hardware_reset(self.options.boot_s if self.options.reset_on_open else 0.0)
            self._plugged = plugged
            self._wake()
            if self._thread is not None:
                # Done by the thread that serves the sockets: pulled means pulled when this returns.
                self._settled.wait_for(lambda: (self._listener is not None) == plugged, timeout=_ACT_S)

    def _follow_plug(self) -> None:
        with self._settled:
            if self._plugged and self._listener is None:
                try:
                    self._listen()
                except OSError as error:
                    _log.warning("port %d cannot be opened again: %s", self._port, error)
            elif not self._plugged and self._listener is not None:
                self._hang_up(abruptly=True)
                self._close_listener()
            self._settled.notify_all()

    def _listen(self) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.options.host, self._port))
            listener.listen(4)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        self._listener = listener

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _hang_up(self, *, abruptly: bool = False) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        if abruptly:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()

    # Serving ----------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if self._wakers is not None:
            with suppress(BlockingIOError):  # enough wake-up calls are waiting already
                self._wakers[0].send(b"\0")

    def _serve(self) -> None:
        assert self._wakers is not None
        alarm_clock = self._wakers[1]
        while not self._stopping.is_set():
            if self._plugged != (self._listener is not None):
                self._follow_plug()
            wait = self._tend()
            waiting = [s for s in (self._client, self._listener, alarm_clock) if s is not None]
            ready, _, _ = select.select(waiting, [], [], wait)
            if alarm_clock in ready:
                alarm_clock.recv(_CHUNK)
            if self._client is not None and self._client in ready:
                self._receive(self._client)
            if self._listener is not None and self._listener in ready:
                self._accept(self._listener)

    def _tend(self) -> float | None:
        """Let time pass, send what is due; how long to wait, in real seconds (None: for bytes only)."""
        with self._lock:
            self._advance()
            output = self._wire.carry(self._controller.take_output(), "to_host")
            now, due = self._controller.core.now, min(self._controller.next_event_s(), self._limit_until_s)
        if output and self._client is not None:
            try:
                self._client.sendall(output)
            except BlockingIOError:
                _log.debug("the host does not read; %d bytes are lost", len(output))
            except OSError:
                self._hang_up()
        return None if math.isinf(due) else max(self._clock.real_s(due - now), _LEAST_WAIT_S)

    def _receive(self, client: socket.socket) -> None:
        try:
            data = client.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            return
        with self._lock:
            self._advance()
            self._controller.receive(self._wire.carry(data, "to_controller"))

    def _accept(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        if self._client is not None:
            client.close()
            return
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._advance()
            self._controller.take_output()  # printed while nobody listened
            if self.options.reset_on_open:
                self._controller.hardware_reset(self.options.boot_s)
        self._client = client

    def _advance(self) -> None:
        now = self._clock.now()
        if self._limit_until_s <= now:
            self._controller.advance(self._limit_until_s)
            self._limit_until_s = math.inf
            faults.undo(self._controller, self._wire, "hard_limit")
        self._controller.advance(now)
