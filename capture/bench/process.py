"""The whole bench: rail, camera and scene on one clock, their wires, and the control port."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from capture.bench.control import ControlPort
from capture.bench.imager import SceneImager, SceneOptions
from capture.bench.interfaces import Faulty
from capture.bench.options import BenchOptions
from capture.bench.ptpip.camera import CameraOptions, SimulatedCamera
from capture.bench.ptpip.settings import BodySettings
from rail.simulator import DeviceClock, RailOptions, SimulatedRail

_log = logging.getLogger(__name__)

STATE_INTERVAL_S = 0.05


class BenchProcess:
    """A running bench; a context that ends it.

    Raises
    ------
    ValueError, capture.errors.ConfigurationError
        For options that make no bench.
    OSError
        For a port that is taken, or a state file that cannot be read.
    """

    def __init__(self, options: BenchOptions) -> None:
        self._options = options
        self._clock = DeviceClock(options.time_scale)
        self._imager = SceneImager(_scene_options(options))
        rail_options = RailOptions(
            backlash_um=options.backlash_um,
            start_um=options.start_um,
            travel_um=options.travel_um,
            switches=options.switches,
            homed=options.homed,
            reset_on_open=options.reset_on_open,
            dialect=options.dialect,
            port=options.ports.rail,
        )
        state = _read_state(options.state)
        focus_steps = state.pop("lens_steps", 0) if state else 0
        self._rail = SimulatedRail(rail_options, self._clock, state=state)
        camera_options = CameraOptions(
            maker=options.maker,
            port=options.ports.camera,
            transfer_bytes_per_s=options.transfer_bytes_per_s,
            live_scale=self._imager.options.live_scale,
            settings=BodySettings(f_number=self._imager.lens.f_number),
            focus_steps=int(focus_steps),
        )
        self._camera = SimulatedCamera(self._imager, self._rail, self._clock, camera_options)
        self._rail.when_output_comes_on(self._camera.release_by_cable)
        self._control = ControlPort(self._answer, options.ports.control)
        self._ended = threading.Event()
        self._saved: dict[str, Any] | None = None

    @property
    def addresses(self) -> dict[str, str]:
        """The three addresses of the contract."""
        return {"rail": self._rail.url, "camera": self._camera.port, "control": self._control.address}

    @property
    def _parts(self) -> dict[str, Faulty]:
        return {"rail": self._rail, "camera": self._camera, "scene": self._imager}

    def serve(self) -> None:
        """Keep the state file up to date until `end`."""
        while not self._ended.wait(STATE_INTERVAL_S):
            self._save_state()

    def end(self) -> None:
        """Let `serve` return."""
        self._ended.set()

    def _save_state(self) -> None:
        path = self._options.state
        if path is None:
            return
        state = self._rail.state() | {"lens_steps": self._camera.lens_steps}
        if state == self._saved:
            return
        beside = path.with_name(path.name + ".part")
        beside.write_text(json.dumps(state), encoding="utf-8")
        beside.replace(path)
        self._saved = state

    def _answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        match request:
            case {"get": "truth"}:
                return self._truth()
            case {"save": "truth", "dir": str(folder)}:
                picture, depth = self._imager.truth().save(Path(folder))
                return {"ok": True, "truth": str(picture), "depth": str(depth)}
            case {"save": "card", "dir": str(folder)}:
                return {"ok": True, "files": self._camera.save_card(Path(folder))}
            case {"list": "faults"}:
                return {"faults": self._faults()}
            case {"fault": str(name), **parameters}:
                for part in self._parts_with(name, parameters.pop("part", None)):
                    part.inject(name, parameters)
                return {"ok": True, "fault": name}
            case {"clear": str(name), **parameters}:
                for part in self._parts_with(name, parameters.pop("part", None)):
                    part.clear(name)
                return {"ok": True, "cleared": name}
        raise ValueError("not understood; requests are get, save, list, fault and clear")

    def _truth(self) -> dict[str, Any]:
        facts = self._imager.facts()
        names = ("magnification", "f_number_effective", "pixel_um", "wavelength_um", "near_um", "far_um")
        return {
            "carriage_um": self._rail.sample().position_um,
            **{name: facts[name] for name in names},
            "backlash_um": self._options.backlash_um,
            "settle_s": self._imager.options.settle_time_s,
            "shots": self._camera.shots,
            "lens_steps": self._camera.lens_steps,
        }

    def _faults(self) -> dict[str, dict[str, str]]:
        listing: dict[str, dict[str, str]] = {}
        for part_name, part in self._parts.items():
            for name, parameters in part.faults().items():
                known = listing.setdefault(name, {"part": part_name})
                if known["part"] != part_name:
                    known["part"] = f"{known['part']} (without it) or {part_name}"
                listing[name] = {**parameters, **known}
        return listing

    def _parts_with(self, name: str, wanted: Any) -> list[Faulty]:
        having = {part_name: part for part_name, part in self._parts.items() if name in part.faults()}
        if not having:
            raise ValueError(f"no fault {name!r}; ask with list: faults")
        if wanted is None:
            return [next(iter(having.values()))]
        if wanted not in having:
            raise ValueError(f"the {wanted} has no fault {name!r}; it belongs to {' and '.join(having)}")
        return [having[wanted]]

    def __enter__(self) -> Self:
        self._rail.start()
        self._camera.start()
        self._control.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._control.stop()
        self._camera.stop()
        self._rail.stop()
        try:
            self._save_state()
        except OSError as failure:
            _log.warning("the state file could not be written: %s", failure)


def _scene_options(options: BenchOptions) -> SceneOptions:
    given: dict[str, Any] = {
        "scene_file": options.scene,
        "seed": options.seed,
        "sensor_px": options.sensor,
        "pixel_um": options.pixel_um,
        "magnification": options.magnification,
        "f_number": options.f_number,
        "live_scale": options.live_scale,
        "noise": options.noise,
        "flicker": options.flicker,
        "texture": options.texture,
        "settle_time_s": options.settle_time_s,
        "ruler_um": options.ruler_um,
    }
    return SceneOptions(**{name: value for name, value in given.items() if value is not None})


def _read_state(path: Path | None) -> dict[str, Any] | None:
    if path is None or not path.exists():
        return None
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"the state file {path} is not JSON: {error}") from error
    if not isinstance(state, dict):
        raise ValueError(f"the state file {path} holds no bench")
    return state
