"""The options of ``shoot``, ``run`` and ``resume``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from capture.app.opening import Origin
from capture.camera.protocol import FileFormat
from capture.session.exposures import MOST_SHOTS
from capture.session.shooting import AfterShooting

AUTO = "auto"

CollectOption = Annotated[
    Path | None,
    typer.Option(
        "--collect",
        help="With --camera shutter: the folder of the card's pictures, copied to their frames.",
        metavar="FOLDER",
    ),
]

RailOption = Annotated[str | None, typer.Option("--rail", help="Rail port: /dev/ttyUSB0, socket://host:port, lens:.")]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="Rail profile: a name or a TOML file.")]
CameraOption = Annotated[
    str | None, typer.Option("--camera", help="Camera port: usb:001,004, ptpip:host:port, shutter.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShootFlags:
    """What to shoot, with what, and how."""

    out: Annotated[Path, typer.Option("--out", help="Session folder to make; must be new or empty.")]
    rail: RailOption = None
    camera: CameraOption = None
    profile: ProfileOption = None
    near: Annotated[
        str | None,
        typer.Option("--near", help="Position of the near end, for example 0 or 1.2mm; auto (default): found."),
    ] = None
    far: Annotated[str | None, typer.Option("--far", help="Position of the far end; auto (default): found.")] = None
    step: Annotated[
        str | None,
        typer.Option("--step", help="Step; auto: measured; without it, from magnification, f-number and overlap."),
    ] = None
    overlap: Annotated[
        float | None, typer.Option("--overlap", help="Share by which neighbouring zones of focus overlap.")
    ] = None
    settle: Annotated[
        str | None, typer.Option("--settle", help="Wait between stop and shutter, in seconds; auto: measured.")
    ] = None
    magnification: Annotated[
        float | None, typer.Option("--magnification", "-m", help="Image size over object size.")
    ] = None
    f_number: Annotated[float | None, typer.Option("--f-number", "-f", help="F-number as marked on the lens.")] = None
    pixel: Annotated[str | None, typer.Option("--pixel", help="Pixel pitch of the sensor, for example 4um.")] = None
    live_scale: Annotated[
        float | None,
        typer.Option(
            "--live-scale", help="For auto: the still's width over the live frame's; without it, one test shot."
        ),
    ] = None
    roi: Annotated[
        str | None, typer.Option("--roi", help="For auto: x,y,width,height of the live frame, as shares from 0 to 1.")
    ] = None
    origin: Annotated[Origin, typer.Option("--origin", help="keep; here: zero first; home: home first.")] = Origin.KEEP
    after: Annotated[AfterShooting, typer.Option("--after", help="Where the carriage goes after the last frame.")] = (
        AfterShooting.NEAR
    )
    never_beyond: Annotated[
        str | None, typer.Option("--never-beyond", help="A position that is never passed: the lens must not touch.")
    ] = None
    repair: Annotated[
        bool | None,
        typer.Option(
            "--repair/--no-repair",
            help="Shoot what the certificate misses (default: where anything is auto); --no-repair shoots nothing again.",
        ),
    ] = None
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Check and show the plan, and stop. To find what is `auto` the rail moves, and one test shot is taken.",
        ),
    ] = False
    collect: CollectOption = None
    iso: Annotated[str | None, typer.Option("--iso", help="ISO to set.")] = None
    shutter: Annotated[str | None, typer.Option("--shutter", help="Shutter time to set, for example 1/60.")] = None
    aperture: Annotated[str | None, typer.Option("--aperture", help="Aperture to set, for example 5.6.")] = None
    file_format: Annotated[
        FileFormat | None, typer.Option("--format", help="Files per shot (default RAW, where the camera offers it).")
    ] = None
    target: Annotated[str | None, typer.Option("--target", help="card or memory.")] = None
    shots: Annotated[
        int, typer.Option("--shots", min=1, max=MOST_SHOTS, help="Shots at each position, to be averaged.")
    ] = 1
    bracket: Annotated[
        str | None,
        typer.Option(
            "--bracket", help="Shutter times of a bracket at each position, for example 1/60,1/15,1/4; one is stacked."
        ),
    ] = None
    notify: Annotated[
        str | None,
        typer.Option("--notify", help="At the end and on trouble: bell, desktop, or a command to run."),
    ] = None
    log_wire: Annotated[
        bool, typer.Option("--log-wire", help="Log every byte on the serial wire and every event of the camera.")
    ] = False

    @property
    def camera_settings(self) -> dict[str, str | None]:
        """What the flags ask of the camera, by the settings' names."""
        return {
            "iso": self.iso,
            "shutter": self.shutter,
            "aperture": self.aperture,
            "format": None if self.file_format is None else self.file_format.value,
            "target": self.target,
        }


class ResumeOrigin(StrEnum):
    """How the place is known when a session is gone on with."""

    KEEP = "keep"
    HERE = "here"
    HOME = "home"
    IMAGES = "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeFlags:
    """With what to go on; without them, with what the session was begun with."""

    rail: RailOption = None
    camera: CameraOption = None
    profile: ProfileOption = None
    origin: Annotated[
        ResumeOrigin,
        typer.Option(
            "--origin",
            help="keep: the rail knows its place; home: home it; images: stills compared with the session's tell the place; "
            "here: it stands at the session's 0.",
        ),
    ] = ResumeOrigin.KEEP
    collect: CollectOption = None
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check",
            help="Without an end switch: compare the place with the session's frames by one still before going on.",
        ),
    ] = True
    notify: Annotated[
        str | None, typer.Option("--notify", help="At the end and on trouble: bell, desktop, or a command to run.")
    ] = None
    log_wire: Annotated[
        bool, typer.Option("--log-wire", help="Log every byte on the serial wire and every event of the camera.")
    ] = False
