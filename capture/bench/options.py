"""What a simulated bench is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BenchPorts:
    """TCP ports of rail, camera and control; 0 takes a free one."""

    rail: int = 0
    camera: int = 0
    control: int = 0


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """Options of ``focusrail bench-sim``; None leaves a value to the scene or the part it belongs to."""

    scene: Path | None = None
    seed: int = 1
    magnification: float | None = None
    f_number: float | None = None
    sensor: tuple[int, int] | None = None  # width, height in px
    pixel_um: float | None = None
    live_scale: float | None = None
    noise: float | None = None
    flicker: float | None = None
    texture: str | None = None
    backlash_um: float = 0.0
    settle_time_s: float | None = None
    ruler_um: float | None = None
    start_um: float = 0.0
    travel_um: float = 40_000.0
    switches: bool = False
    homed: bool = False
    reset_on_open: bool = False
    dialect: str = "grbl"
    maker: str = "nikon"
    transfer_bytes_per_s: float | None = None
    ports: BenchPorts = field(default_factory=BenchPorts)
    state: Path | None = None
    time_scale: float = 1.0
