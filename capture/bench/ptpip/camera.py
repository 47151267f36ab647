"""The simulated camera as the bench holds it."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from capture.bench.interfaces import Carriage, Imager
from capture.bench.ptpip.body import CameraBody
from capture.bench.ptpip.canon import CanonOperations
from capture.bench.ptpip.faults import Faults, catalogue
from capture.bench.ptpip.generic import GenericOperations, generic_properties
from capture.bench.ptpip.happenings import RefusedError
from capture.bench.ptpip.lens import FocusMotor
from capture.bench.ptpip.nikon import NikonOperations, nikon_properties
from capture.bench.ptpip.operations import Dialect, Identity, Push
from capture.bench.ptpip.responder import Responder
from capture.bench.ptpip.settings import BodySettings, Clock
from capture.bench.ptpip.storage import Storage

_log = logging.getLogger(__name__)

_CARD_READY_S = 60.0


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """How the camera is made.

    Attributes
    ----------
    maker : str
        The dialect it speaks: one of `MAKERS`.
    manufacturer, model, serial_number : str
        Who it says it is.
    host, port
        Where it listens; port 0 takes a free one.
    transfer_bytes_per_s : float or None
        Speed of its link in bytes per device second; None: as fast as it goes.
    settings : BodySettings
        What it is set to when switched on.
    live_scale : float
        How many times smaller a live frame is than the still: fixes which magnifications live view offers.
    live_frames_per_s : float
        Of live view, in device time.
    card_bytes, spool_bytes : int
        Size of the card as it says, and how much of it is really kept at one time: files that were fetched make room.
    focus_um_per_step : float
        What one step of the lens's focus motor does to the plane of focus.
    focus_steps : int
        Where that motor stands at first.
    """

    maker: str = "nikon"
    manufacturer: str = "Focusrail"
    model: str = "Bench Camera"
    serial_number: str = "0000001"
    host: str = "127.0.0.1"
    port: int = 0
    transfer_bytes_per_s: float | None = None
    settings: BodySettings = field(default_factory=BodySettings)
    live_scale: float = 4.0
    live_frames_per_s: float = 25.0
    card_bytes: int = 32 << 30
    spool_bytes: int = 1 << 30
    focus_um_per_step: float = 0.25
    focus_steps: int = 0


def _nikon(body: CameraBody, identity: Identity, live_scale: float) -> Callable[[Push], Dialect]:
    properties = nikon_properties(live_scale, body.settings)
    return lambda push: NikonOperations(body, identity, properties, push)


def _canon(body: CameraBody, identity: Identity, _live_scale: float) -> Callable[[Push], Dialect]:
    return lambda push: CanonOperations(body, identity, {}, push)


def _generic(body: CameraBody, identity: Identity, _live_scale: float) -> Callable[[Push], Dialect]:
    properties = generic_properties(body.settings)
    return lambda push: GenericOperations(body, identity, properties, push)


MAKERS: Mapping[str, Callable[[CameraBody, Identity, float], Callable[[Push], Dialect]]] = MappingProxyType(
    {"nikon": _nikon, "canon": _canon, "generic": _generic}
)


class _Objects:
    def __init__(self, body: CameraBody) -> None:
        self._body = body

    def read(self, handle: int, offset: int, count: int) -> bytes | None:
        return self._body.storage.read(handle, offset, count)

    def sent(self, handle: int) -> None:
        self._body.fetched(handle)

    def size(self, handle: int) -> int:
        info = self._body.storage.info(handle)
        return info.size_bytes if info else 0


class SimulatedCamera:
    """A camera body on a PTP/IP port. Context manager; `start` and `stop` do the same.

    Raises
    ------
    ValueError
        A maker that is not in `MAKERS`.
    OSError
        From `start`: the port is taken.
    """

    def __init__(self, imager: Imager, carriage: Carriage, clock: Clock, options: CameraOptions | None = None) -> None:
        options = options or CameraOptions()
        if options.maker not in MAKERS:
            raise ValueError(f"no maker {options.maker!r}; there are {', '.join(MAKERS)}")
        self._clock = clock
        self._faults = Faults(clock.now, self._fault_changed)
        self._body = CameraBody(
            imager,
            carriage,
            clock,
            Storage(options.card_bytes, options.spool_bytes),
            self._faults,
            options.settings,
            FocusMotor(um_per_step=options.focus_um_per_step, position_steps=options.focus_steps),
            frames_per_s=options.live_frames_per_s,
            died=self._die,
        )
        identity = Identity(options.manufacturer, options.model, options.serial_number)
        self._responder = Responder(
            make_dialect=MAKERS[options.maker](self._body, identity, options.live_scale),
            objects=_Objects(self._body),
            faults=self._faults,
            clock=clock,
            name=options.model,
            guid=uuid.uuid5(uuid.NAMESPACE_OID, f"{options.model} {options.serial_number}").bytes,
            host=options.host,
            port=options.port,
            bytes_per_s=options.transfer_bytes_per_s,
        )
        self._running = False
        self._stopped = threading.Event()
        self._dead = False
        self._power = threading.RLock()

    def start(self) -> SimulatedCamera:
        """Switch it on."""
        self._responder.light()
        self._body.start()
        self._running = True
        return self

    def stop(self) -> None:
        """Switch it off and delete what is on its card; idempotent."""
        if not self._running:
            return
        self._running = False
        self._stopped.set()
        self._body.stop()
        self._responder.stop()
        self._body.storage.close()

    def __enter__(self) -> SimulatedCamera:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def release_by_cable(self) -> None:
        """What its remote release does: an exposure to the card, unless it is busy or cannot."""
        try:
            self._body.press()
        except RefusedError as refusal:
            _log.info("the cable release did nothing: %s", refusal)

    def save_card(self, folder: Path) -> list[str]:
        """Write the card's files into `folder`, as a card reader shows them: their names. Waits for those that are being made."""
        self._body.readiness(_CARD_READY_S)
        return self._body.storage.save_card(folder)

    @property
    def port(self) -> str:
        """The address as gphoto2 writes it; known once started."""
        return f"ptpip:{self._responder.host}:{self._responder.port}:{self._responder.port}"

    @property
    def shots(self) -> int:
        """Exposures taken since it was made."""
        return self._body.shots

    @property
    def settings(self) -> BodySettings:
        """What it is set to now."""
        return self._body.settings

    @property
    def live(self) -> bool:
        """Whether live view is on."""
        return self._body.live

    @property
    def lens_offset_um(self) -> float:
        """How far the lens's own focus is shifted from where it stood at first."""
        return self._body.lens.offset_um(self._clock.now())

    @property
    def lens_steps(self) -> int:
        """Where the lens's focus motor stands, or goes to."""
        return self._body.lens.position_steps

    # -- faults -----------------------------------------------------------------------------------------------------
    def faults(self) -> dict[str, dict[str, str]]:
        """Fault name -> {parameter name: what it means, its unit and default}."""
        return catalogue()

    def inject(self, name: str, parameters: dict[str, object]) -> None:
        """Switch a fault on; ValueError for a name or parameter it does not know."""
        self._faults.inject(name, parameters)

    def clear(self, name: str) -> None:
        """Switch a fault off (no error where it is not on); ValueError for a name it does not know."""
        self._faults.clear(name)

    def _fault_changed(self, name: str, on: bool) -> None:
        if name == "plug" and on:
            self._dead = False
            for other in ("plug", "unplug", "asleep"):
                self._faults.clear(other)
        elif name == "unplug":
            if on:
                self._responder.darken()
                self._plug_in_later()
            else:
                self._light()
        elif name == "asleep":
            self._fall_asleep(on)
        elif name == "wrong_mode":
            self._body.turn_dial("P" if self._faults.look(name, mode=("auto",)) else "M")
            if self._faults.look(name, mode=("playback",)):
                self._body.end_live()
        elif name == "low_battery":
            self._body.battery_changed()
        elif name == "die_after":
            self._body.arm_death(self._faults.look(name))
            if not on:
                self._dead = False
                self._light()

    def _fall_asleep(self, on: bool) -> None:
        asleep = self._faults.look("asleep") if on else None
        if asleep is None:
            self._light()
            return
        self._responder.darken()
        if asleep["wakes"] == "connect":
            self._faults.clear("asleep")

    def _plug_in_later(self) -> None:
        seconds = self._faults.remaining_s("unplug")
        if seconds is None:
            return
        back_at = self._clock.now() + seconds

        def wait() -> None:
            self._clock.wait_until(back_at, self._stopped)
            self._light()

        threading.Thread(target=wait, name="camera-replug", daemon=True).start()

    def _light(self) -> None:
        with self._power:
            gone = any(self._faults.look(name) is not None for name in ("unplug", "asleep"))
            if not self._running or self._dead or gone:
                return
            try:
                self._responder.light()
            except OSError as error:
                _log.error("the simulated camera cannot come back: %s", error)

    def _die(self) -> None:
        self._dead = True
        self._responder.darken()
