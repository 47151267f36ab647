"""``shoot`` and ``run``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from capture.app.opening import Origin, apply_camera_settings, open_camera_port, open_rail, set_origin
from capture.app.output import InterruptedRunError, JsonFlag, Reply, say
from capture.app.progress import ShootingProgress, StackingProgress
from capture.app.stack_options import (
    AlignOption,
    CropOption,
    DepthOption,
    MemoryOption,
    MethodOption,
    RecipeOption,
    ReportOption,
    stack_options,
)
from capture.camera.gphoto_camera import GphotoCamera
from capture.camera.protocol import FileFormat, Role
from capture.depth_of_field import DEFAULT_COC_UM, DEFAULT_OVERLAP, Optics, depth_of_field
from capture.errors import CameraError, CaptureError, SessionError, UsageError
from capture.lengths import Length, parse_length, parse_um
from capture.session.folder import SessionFolder, check_new_folder
from capture.session.log import session_log
from capture.session.plan import StackPlan
from capture.session.records import EventKind, Verdict
from capture.session.shooting import AfterShooting, Shooting, ShootOutcome, check_plan
from capture.settings import Settings, load_settings
from rail.axis import Axis
from rail.errors import RailError, RailPositionUnknownError
from stacking.options import Align, Crop, StackOptions

DEFAULT_SETTLE_S = 0.3
MANUAL_FOCUS_WORDS = ("off", "manual", "mf")

OutOption = Annotated[Path, typer.Option("--out", help="Session folder to make; must be new or empty.")]
RailOption = Annotated[str | None, typer.Option("--rail", help="Rail port: /dev/ttyUSB0, socket://host:port.")]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="Rail profile: a name or a TOML file.")]
CameraOption = Annotated[str | None, typer.Option("--camera", help="Camera port: usb:001,004, ptpip:host:port:port.")]
NearOption = Annotated[str | None, typer.Option("--near", help="Position of the near end, for example 0 or 1.2mm.")]
FarOption = Annotated[str | None, typer.Option("--far", help="Position of the far end.")]
StepOption = Annotated[
    str | None, typer.Option("--step", help="Step; without it, from magnification, f-number and overlap.")
]
OverlapOption = Annotated[
    float | None, typer.Option("--overlap", help="Share by which neighbouring zones of focus overlap.")
]
SettleOption = Annotated[float | None, typer.Option("--settle", help="Wait between stop and shutter, in seconds.")]
MagnificationOption = Annotated[
    float | None, typer.Option("--magnification", "-m", help="Image size over object size.")
]
FNumberOption = Annotated[float | None, typer.Option("--f-number", "-f", help="F-number as marked on the lens.")]
PixelOption = Annotated[str | None, typer.Option("--pixel", help="Pixel pitch of the sensor, for example 4um.")]
OriginOption = Annotated[Origin, typer.Option("--origin", help="keep; here: zero first; home: home first.")]
AfterOption = Annotated[AfterShooting, typer.Option("--after", help="Where the carriage goes after the last frame.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show the plan and stop; nothing moves, nothing is shot.")
]
IsoOption = Annotated[str | None, typer.Option("--iso", help="ISO to set.")]
ShutterOption = Annotated[str | None, typer.Option("--shutter", help="Shutter time to set, for example 1/60.")]
ApertureOption = Annotated[str | None, typer.Option("--aperture", help="Aperture to set, for example 5.6.")]
FormatOption = Annotated[FileFormat | None, typer.Option("--format", help="Files per shot (default RAW).")]
TargetOption = Annotated[str | None, typer.Option("--target", help="card or memory.")]


@dataclass(frozen=True, slots=True)
class Shoot:
    """What `shoot` and `run` were asked for, flags and settings taken together."""

    settings: Settings
    out: Path
    rail: str | None
    profile: str | None
    camera: str | None
    plan: StackPlan
    origin: Origin
    after: AfterShooting
    camera_flags: dict[str, str | None]
    dry_run: bool


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command(
        "shoot",
        epilog="Example: focusrail shoot --rail /dev/ttyUSB0 --origin here --near 0 --far 2mm --step 50um --out beetle",
    )(shoot)
    app.command(
        "run",
        epilog="Example: focusrail run --rail /dev/ttyUSB0 --origin here --near 0 --far 2mm -m 2 -f 5.6 --out beetle",
    )(run)


def shoot(
    out: OutOption,
    rail: RailOption = None,
    camera: CameraOption = None,
    profile: ProfileOption = None,
    near: NearOption = None,
    far: FarOption = None,
    step: StepOption = None,
    overlap: OverlapOption = None,
    settle: SettleOption = None,
    magnification: MagnificationOption = None,
    f_number: FNumberOption = None,
    pixel: PixelOption = None,
    origin: OriginOption = Origin.KEEP,
    after: AfterOption = AfterShooting.NEAR,
    iso: IsoOption = None,
    shutter: ShutterOption = None,
    aperture: ApertureOption = None,
    file_format: FormatOption = None,
    target: TargetOption = None,
    dry_run: DryRunOption = False,
    json_output: JsonFlag = False,
) -> Reply:
    """Shoot a stack: frames on disk, nothing stacked."""
    settings = load_settings(Path.cwd())
    plan = make_plan(settings, near, far, step, overlap, settle, magnification, f_number, pixel)
    flags = {"iso": iso, "shutter": shutter, "aperture": aperture, "format": file_format, "target": target}
    wanted = Shoot(settings, out, rail, profile, camera, plan, origin, after, flags, dry_run)
    if dry_run:
        return dry_run_reply(wanted)
    values, lines, _ = shoot_session(wanted)
    return Reply(values, lines)


def run(
    out: OutOption,
    rail: RailOption = None,
    camera: CameraOption = None,
    profile: ProfileOption = None,
    near: NearOption = None,
    far: FarOption = None,
    step: StepOption = None,
    overlap: OverlapOption = None,
    settle: SettleOption = None,
    magnification: MagnificationOption = None,
    f_number: FNumberOption = None,
    pixel: PixelOption = None,
    origin: OriginOption = Origin.KEEP,
    after: AfterOption = AfterShooting.NEAR,
    iso: IsoOption = None,
    shutter: ShutterOption = None,
    aperture: ApertureOption = None,
    file_format: FormatOption = None,
    target: TargetOption = None,
    method: MethodOption = None,
    align: AlignOption = Align.AUTO,
    crop: CropOption = Crop.AUTO,
    depth: DepthOption = None,
    report: ReportOption = None,
    recipe: RecipeOption = None,
    memory: MemoryOption = None,
    dry_run: DryRunOption = False,
    json_output: JsonFlag = False,
) -> Reply:
    """Shoot a stack, and merge it: the picture is in DIR/result."""
    settings = load_settings(Path.cwd())
    plan = make_plan(settings, near, far, step, overlap, settle, magnification, f_number, pixel)
    options = stack_options(settings, method, align, crop, depth, report, recipe, memory, force=False)
    flags = {"iso": iso, "shutter": shutter, "aperture": aperture, "format": file_format, "target": target}
    wanted = Shoot(settings, out, rail, profile, camera, plan, origin, after, flags, dry_run)
    if dry_run:
        return dry_run_reply(wanted)
    values, lines, last_frame_s = shoot_session(wanted)
    try:
        with SessionFolder.open(out) as folder:
            stacked = stack_session(folder, options)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "interrupted while stacking",
            state=f"All {values['frames']} frames are safe in {out}; the rail stands still.",
            remedy=f"Stack them with: focusrail stack {out} -o picture.tif",
        ) from None
    values |= {
        "result": stacked["result"],
        "seconds_after_last_frame": round(time.monotonic() - last_frame_s, 3),
        "stack": stacked,
    }
    return Reply(values, [*lines, f"picture: {stacked['result']} ({stacked['frames_used']} frames)"])


def make_plan(
    settings: Settings,
    near: str | None,
    far: str | None,
    step: str | None,
    overlap: float | None,
    settle: float | None,
    magnification: float | None,
    f_number: float | None,
    pixel: str | None,
) -> StackPlan:
    """The plan that flags and settings ask for; the step from the formula where it is not given."""
    if near is None or far is None:
        raise UsageError("the range is missing", remedy="Give --near and --far, for example --near 0 --far 1.5mm.")
    ends = (parse_length(near, what="--near"), parse_length(far, what="--far"))
    pace = parse_length(step, what="--step") if step is not None else None
    units = {length.unit for length in (*ends, pace) if length is not None}
    if len(units) > 1:
        raise UsageError("near, far and step do not count the same", remedy="Give all in um (or mm), or all in st.")
    if pace is not None and overlap is not None:
        raise UsageError("--step and --overlap say the same thing", remedy="Give one of them.")
    if pace is None:
        pace = formula_step(settings, overlap, magnification, f_number, pixel)
    settle_s = settings.choose("settle_s", settle, DEFAULT_SETTLE_S)
    return StackPlan(ends[0].value, ends[1].value, pace.value, settle_s, ends[0].unit)


def formula_step(
    settings: Settings, overlap: float | None, magnification: float | None, f_number: float | None, pixel: str | None
) -> Length:
    """Step from the computed depth of field."""
    from rail.axis import AxisUnit

    scale, stop = settings.choose("magnification", magnification), settings.choose("f_number", f_number)
    if scale is None or stop is None:
        raise UsageError(
            "the step is missing", remedy="Give --step, or --magnification and --f-number to have it computed."
        )
    pixel_um = parse_um(pixel, what="--pixel") if pixel is not None else settings.choose("pixel_um", None)
    coc_um = settings.choose("coc_um", None, DEFAULT_COC_UM if pixel_um is None else 2 * pixel_um)
    optics = Optics(scale, stop, settings.choose("pupil", None, 1.0), coc_um=coc_um)
    field = depth_of_field(optics, settings.choose("overlap", overlap, DEFAULT_OVERLAP))
    say(f"step {field.step_um:.1f} um, from a depth of field of {field.total_um:.1f} um (formula)")
    return Length(field.step_um, AxisUnit.UM)


def dry_run_reply(wanted: Shoot) -> Reply:
    """The plan in words, checked against the rail where one is named; nothing moves."""
    plan = wanted.plan
    check_new_folder(wanted.out)
    if wanted.settings.choose("rail", wanted.rail) is not None:
        with open_rail(wanted.settings, wanted.rail, wanted.profile) as axis:
            if wanted.origin is Origin.KEEP:
                check_ready(plan, axis)
            else:
                check_plan(plan, axis)
    values: dict[str, Any] = {
        "session": None,
        "planned": plan.count,
        "frames": 0,
        "added": 0,
        "reshot": 0,
        "left_out": [],
        "coverage": None,
        "positions": list(plan.positions),
        "near": plan.near,
        "far": plan.far,
        "step": plan.step,
        "settle_s": plan.settle_s,
        "unit": plan.unit.value,
    }
    unit = plan.unit.value
    return Reply(values, [f"{plan.count} frames from {plan.near:g} to {plan.far:g} {unit}, step {plan.step:g} {unit}"])


def shoot_session(wanted: Shoot) -> tuple[dict[str, Any], list[str], float]:
    """Shoot a whole session; the contract's values, the same in words, and when the last frame was done (monotonic)."""
    check_new_folder(wanted.out)
    flags = {name: None if value is None else str(value) for name, value in wanted.camera_flags.items()}
    if wanted.settings.choose("format", flags["format"]) is None:
        flags["format"] = FileFormat.RAW.value
    with open_rail(wanted.settings, wanted.rail, wanted.profile) as axis:
        if wanted.origin is Origin.KEEP:
            check_ready(wanted.plan, axis)
        with open_camera_port(wanted.settings, wanted.camera) as camera:
            camera_settings = apply_camera_settings(camera, wanted.settings, flags)
            release_autofocus(camera)
            clear_the_way(camera, wanted.plan.count)
            set_origin(axis, wanted.origin, ends=(wanted.plan.near, wanted.plan.far))
            check_ready(wanted.plan, axis)
            devices = {
                "rail": {"port": wanted.settings.choose("rail", wanted.rail), "profile": wanted.profile},
                "camera": {"port": wanted.settings.choose("camera", wanted.camera), "model": camera.info().model},
            }
            with (
                SessionFolder.create(
                    wanted.out, wanted.plan, devices=devices, settings=camera_settings, origin=wanted.origin.value
                ) as folder,
                session_log(wanted.out / "log.txt"),
                ShootingProgress(wanted.plan.count) as watcher,
            ):
                outcome = _shoot(folder, axis, camera, watcher, wanted)
                last_frame_s = watcher.last_frame_s
    values = {
        "session": str(wanted.out.resolve()),
        "planned": outcome.planned,
        "frames": outcome.frames,
        "added": 0,
        "reshot": outcome.reshot,
        "left_out": [],
        "coverage": None,
    }
    return values, [f"{outcome.frames} frames in {wanted.out}"], last_frame_s


def check_ready(plan: StackPlan, axis: Axis) -> None:
    """Refuse a plan that the axis cannot follow from where it is, before a folder is made for it.

    Raises
    ------
    rail.errors.RailPositionUnknownError, rail.errors.RailLimitError, UsageError
    """
    check_plan(plan, axis)
    if not axis.status().position_known:
        raise RailPositionUnknownError(
            "the position of the rail is unknown",
            remedy="Give --origin here to zero it where it stands, or --origin home to home it.",
            state="Nothing has moved, nothing was shot.",
        )


def release_autofocus(camera: GphotoCamera) -> None:
    """Take the focus away from the camera where it can be asked: on a rail it must stay where it is."""
    state = camera.info().roles.get(Role.AUTOFOCUS)
    if state is None or state.read_only:
        return
    offered = [choice for choice in state.choices if choice.casefold() in MANUAL_FOCUS_WORDS]
    if offered and state.value.casefold() not in MANUAL_FOCUS_WORDS:
        camera.set(Role.AUTOFOCUS, offered[0])
        say(f"autofocus is switched off for the session ({state.name} was {state.value})")


def clear_the_way(camera: GphotoCamera, frames: int) -> None:
    """Say what stands in the way of `frames` frames; raise where none can come.

    Raises
    ------
    CameraError
        For a card that is full, a battery that is empty, a mode in which nothing can be set.
    """
    for obstacle in camera.obstacles(frames=frames):
        if obstacle.fatal:
            raise CameraError(obstacle.message, remedy=obstacle.remedy, state="Nothing has moved, nothing was shot.")
        say(f"note: {obstacle.message} {obstacle.remedy}")


def _shoot(folder: SessionFolder, axis: Axis, camera: Any, watcher: ShootingProgress, wanted: Shoot) -> ShootOutcome:
    try:
        return Shooting(folder, axis, camera, watcher).run(wanted.plan, wanted.after)
    except KeyboardInterrupt:
        done = sum(frame.verdict is Verdict.ACCEPTED for frame in folder.frames().values())
        status = axis.status()
        where = (
            "at an unknown position" if status.position is None else f"at {status.position:g} {wanted.plan.unit.value}"
        )
        raise InterruptedRunError(
            f"stopped after {done} of {wanted.plan.count} frames",
            state=f"Motion is stopped, the carriage stands {where}. The frames are in {folder.path}.",
            remedy=f"The frames so far can be stacked: focusrail stack {folder.path} -o picture.tif" if done else "",
        ) from None
    except (CaptureError, RailError) as error:
        done = sum(frame.verdict is Verdict.ACCEPTED for frame in folder.frames().values())
        status = axis.status()
        where = (
            "its position is unknown"
            if status.position is None
            else f"it stands at {status.position:g} {wanted.plan.unit.value}"
        )
        kept = f"{done} of {wanted.plan.count} frames are safe in {folder.path}. The rail is {status.state.value}; {where}."
        error.state = f"{error.state} {kept}".strip()
        raise


def stack_session(folder: SessionFolder, options: StackOptions, name: str = "stacked.tif") -> dict[str, Any]:
    """Stack a session's accepted frames into its result folder, and record that."""
    from stacking.engine import stack_pictures

    accepted = [frame for frame in folder.frames().values() if frame.verdict is Verdict.ACCEPTED]
    if not accepted:
        raise SessionError(f"{folder.path} holds no accepted frame", remedy="Shoot the session again.")
    result = folder.result_path / name
    with StackingProgress() as progress:
        report = stack_pictures([folder.path], result, options, progress)
    values = report.values()
    folder.journal.record(EventKind.STACKED, result=f"result/{name}", frames_used=values["frames_used"])
    folder.write_manifest()
    return values
