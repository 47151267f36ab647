"""``bench-sim``: the simulated bench, until stopped."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capture.app.output import JsonFlag, Reply, say
from capture.errors import UsageError
from capture.lengths import parse_um

if TYPE_CHECKING:
    from capture.bench.options import BenchPorts


class Texture(StrEnum):
    """How much there is to focus on."""

    RICH = "rich"
    SPARSE = "sparse"
    NONE = "none"


class Dialect(StrEnum):
    """What the simulated controller speaks."""

    GRBL = "grbl"
    GRBLHAL = "grblhal"
    FLUIDNC = "fluidnc"
    MARLIN = "marlin"


class Maker(StrEnum):
    """Whose dialect of PTP the simulated camera speaks."""

    NIKON = "nikon"
    CANON = "canon"


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    example = "Example: focusrail bench-sim --seed 3 --magnification 2"
    app.command("bench-sim", epilog=example)(bench_sim)


def bench_sim(
    scene: Annotated[Path | None, typer.Option(help="Scene to show (TOML).", dir_okay=False)] = None,
    seed: Annotated[int, typer.Option(help="Seed of scene, noise and flicker.")] = 1,
    magnification: Annotated[float | None, typer.Option(help="Image size over object size.")] = None,
    f_number: Annotated[float | None, typer.Option(help="F-number as marked on the lens.")] = None,
    sensor: Annotated[str | None, typer.Option(help="Width x height in pixels, for example 1800x1200.")] = None,
    pixel_um: Annotated[float | None, typer.Option(help="Pixel pitch in um.")] = None,
    live_scale: Annotated[
        float | None, typer.Option(help="How many times smaller a live frame is than the still.")
    ] = None,
    noise: Annotated[float | None, typer.Option(help="Factor on the sensor's noise; 0 for none.")] = None,
    flicker: Annotated[float | None, typer.Option(help="Sigma of the light's relative brightness per shot.")] = None,
    texture: Annotated[Texture | None, typer.Option(help="How much there is to focus on.")] = None,
    backlash: Annotated[str, typer.Option(help="Lost motion of the carriage.")] = "0um",
    settle_time: Annotated[
        float | None, typer.Option(help="Seconds until shake stays under 0.25 px of the still.")
    ] = None,
    ruler: Annotated[
        str | None,
        typer.Option(help="Instead of the scene, lines so far apart that move across the picture with the carriage."),
    ] = None,
    start: Annotated[str, typer.Option(help="Where the carriage stands at first.")] = "0um",
    travel: Annotated[str, typer.Option(help="Travel between the hard stops.")] = "40mm",
    switches: Annotated[
        bool, typer.Option("--switches/--no-switches", help="Limit switch at the far-from-subject end.")
    ] = False,
    homed: Annotated[bool, typer.Option("--homed", help="With switches, and homed already.")] = False,
    reset_on_open: Annotated[
        bool, typer.Option("--reset-on-open", help="The controller reboots when its port is opened.")
    ] = False,
    dialect: Annotated[Dialect, typer.Option(help="What the controller speaks.")] = Dialect.GRBL,
    maker: Annotated[Maker, typer.Option(help="Whose PTP the camera speaks.")] = Maker.NIKON,
    transfer: Annotated[float | None, typer.Option(help="Transfer speed of the camera in MB/s.")] = None,
    ports: Annotated[str | None, typer.Option(help="Fixed TCP ports: RAIL,CAMERA,CONTROL.")] = None,
    state: Annotated[Path | None, typer.Option(help="File that keeps the carriage's position over a restart.")] = None,
    time_scale: Annotated[float, typer.Option(help="How many times faster than real the devices run.")] = 1.0,
    json_output: JsonFlag = False,
) -> Reply | None:
    """The simulated bench, until stopped; its first line on stdout is a JSON object with the three addresses."""
    from capture.bench.options import BenchOptions, BenchPorts
    from capture.bench.process import BenchProcess

    try:
        options = BenchOptions(
            scene=scene,
            seed=seed,
            magnification=magnification,
            f_number=f_number,
            sensor=None if sensor is None else _sensor(sensor),
            pixel_um=pixel_um,
            live_scale=live_scale,
            noise=noise,
            flicker=flicker,
            texture=None if texture is None else texture.value,
            backlash_um=parse_um(backlash, what="--backlash"),
            settle_time_s=settle_time,
            ruler_um=None if ruler is None else parse_um(ruler, what="--ruler"),
            start_um=parse_um(start, what="--start"),
            travel_um=parse_um(travel, what="--travel"),
            switches=switches or homed,
            homed=homed,
            reset_on_open=reset_on_open,
            dialect=dialect.value,
            maker=maker.value,
            transfer_bytes_per_s=None if transfer is None else transfer * 1e6,
            ports=BenchPorts() if ports is None else _ports(ports),
            state=state,
            time_scale=time_scale,
        )
        bench = BenchProcess(options)
    except ValueError as error:
        raise UsageError(f"this bench cannot be built: {error}", remedy="Correct the option it names.") from error
    except OSError as error:
        raise UsageError(
            f"this bench cannot be built: {error}", remedy="Choose other --ports or another --state."
        ) from error
    with bench:
        sys.stdout.write(json.dumps(bench.addresses) + "\n")
        sys.stdout.flush()
        say("the simulated bench is up; Ctrl-C ends it")
        try:
            bench.serve()
        except KeyboardInterrupt:
            say("the simulated bench is down")
    return None  # its one JSON object was the first line


def _sensor(text: str) -> tuple[int, int]:
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.strip().isdigit() for part in parts):
        raise UsageError(f"--sensor: '{text}' is not a size", remedy="Write width x height, for example 1800x1200.")
    return int(parts[0]), int(parts[1])


def _ports(text: str) -> BenchPorts:
    from capture.bench.options import BenchPorts

    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdigit() and int(part) < 65536 for part in parts):
        raise UsageError(
            f"--ports: '{text}' is not RAIL,CAMERA,CONTROL",
            remedy="Write three port numbers, for example 7001,7002,7003.",
        )
    return BenchPorts(*(int(part) for part in parts))
