"""``camera``: the camera alone."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from capture.app.opening import apply_camera_settings, held_camera
from capture.app.output import JsonFlag, Reply
from capture.camera.gphoto_camera import GphotoCamera
from capture.camera.protocol import CameraInfo, FileFormat, LiveFrame, Role, RoleState, Shot
from capture.errors import CameraError, UsageError
from capture.session.exposures import MOST_SHOTS, bracket_times
from capture.settings import load_settings

CameraOption = Annotated[str | None, typer.Option("--camera", help="Camera port: usb:001,004, ptpip:host:port.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    group = typer.Typer(
        help="The camera alone: what it offers, one setting, one shot.",
        epilog="Example: focusrail camera info",
        no_args_is_help=True,
    )
    group.command("info", epilog="Example: focusrail camera info")(info)
    group.command("get", epilog="Example: focusrail camera get iso")(get)
    group.command("set", epilog="Example: focusrail camera set shutter 1/60")(set_role)
    group.command("preview", epilog="Example: focusrail camera preview -o live.jpg")(preview)
    group.command(
        "shot", epilog="Example: focusrail camera shot --out tests --format RAW+JPEG --bracket 1/60,1/15,1/4 --shots 2"
    )(shot)
    app.add_typer(group, name="camera")


def role_values(state: RoleState | None) -> dict[str, Any] | None:
    """A role under the contract's keys."""
    if state is None:
        return None
    return {"name": state.name, "value": state.value, "choices": list(state.choices), "read_only": state.read_only}


def info_reply(info: CameraInfo) -> Reply:
    """Model and roles as an answer."""
    roles = {role.value: role_values(info.roles.get(role)) for role in Role}
    lines = [info.model]
    for name, state in roles.items():
        lines.append(f"  {name:15} " + ("-" if state is None else f"{state['value']}  ({state['name']})"))
    return Reply({"model": info.model, "roles": roles}, lines)


def info(
    camera: CameraOption = None,
    listing: Annotated[
        Path | None, typer.Option(help="A recorded `gphoto2 --list-all-config` instead of a camera.")
    ] = None,
    json_output: JsonFlag = False,
) -> Reply:
    """Model, and the roles of its settings."""
    if listing is not None:
        from capture.camera.listing import read_listing

        recorded = read_listing(listing)
        reply = info_reply(recorded.info())
        return Reply({**reply.values, "notes": list(recorded.damage)}, [*reply.lines, *recorded.damage])
    with held_camera(load_settings(Path.cwd()), camera) as device:
        return info_reply(device.info())


def get(
    role: Annotated[Role, typer.Argument(help="The role to read.")],
    camera: CameraOption = None,
    json_output: JsonFlag = False,
) -> Reply:
    """Read one setting."""
    with held_camera(load_settings(Path.cwd()), camera) as device:
        state = device.get(role)
    return Reply({**(role_values(state) or {}), "role": role.value}, [f"{role.value} = {state.value}"])


def set_role(
    role: Annotated[Role, typer.Argument(help="The role to write.")],
    value: Annotated[str, typer.Argument(help="The value, for example 1/60.")],
    camera: CameraOption = None,
    json_output: JsonFlag = False,
) -> Reply:
    """Write one setting, and read it back."""
    with held_camera(load_settings(Path.cwd()), camera) as device:
        state = device.set(role, value)
    return Reply({**(role_values(state) or {}), "role": role.value}, [f"{role.value} = {state.value}"])


def preview(
    output: Annotated[Path, typer.Option("-o", "--output", help="JPEG file to write.")],
    camera: CameraOption = None,
    magnify: Annotated[
        str | None, typer.Option("--magnify", help="Magnify live view: a choice of the role magnify, for example 100%.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
    json_output: JsonFlag = False,
) -> Reply:
    """One live frame into a file."""
    if output.exists() and not force:
        raise UsageError(f"{output} exists", remedy="Give another name, or --force to write over it.")
    with held_camera(load_settings(Path.cwd()), camera) as device:
        frame = device.preview() if magnify is None else _magnified_frame(device, magnify)
    beside = output.with_name(f".{output.name}.part")
    try:
        beside.write_bytes(frame.jpeg)
        beside.replace(output)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(
            f"{output} cannot be written: {error.strerror}",
            remedy="Choose a folder that may be written.",
            state="The live frame is not kept.",
        ) from error
    return Reply({"file": str(output.resolve())}, [str(output)])


def _magnified_frame(device: GphotoCamera, magnify: str) -> LiveFrame:
    with device.live() as frames:
        next(frames)
        with device.magnified(magnify):
            next(frames)  # which may have been on its way
            return next(frames)


def shot(
    out: Annotated[Path, typer.Option("--out", help="Folder for the files; nothing in it is overwritten.")],
    camera: CameraOption = None,
    file_format: Annotated[FileFormat | None, typer.Option("--format", help="Files of the shot.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="card or memory.")] = None,
    iso: Annotated[str | None, typer.Option("--iso", help="ISO to set.")] = None,
    shutter: Annotated[str | None, typer.Option("--shutter", help="Shutter time to set, for example 1/60.")] = None,
    aperture: Annotated[str | None, typer.Option("--aperture", help="Aperture to set, for example 5.6.")] = None,
    shots: Annotated[
        int, typer.Option("--shots", min=1, max=MOST_SHOTS, help="Shots of each exposure, to be averaged.")
    ] = 1,
    bracket: Annotated[
        str | None, typer.Option("--bracket", help="Shutter times of a bracket, for example 1/60,1/15,1/4.")
    ] = None,
    flash_wait: Annotated[
        float | None,
        typer.Option("--flash-wait", min=0, max=600, help="Seconds a flash takes to charge between shots."),
    ] = None,
    json_output: JsonFlag = False,
) -> Reply:
    """One shot, or several, all their files downloaded.

    A shutter time beyond the camera's longest is held by bulb, and so is one that says so (bulb:2).
    """
    times = _bracket_times(bracket, shutter)
    settings = load_settings(Path.cwd())
    flags = {"iso": iso, "shutter": shutter, "aperture": aperture, "target": target}
    flags["format"] = None if file_format is None else file_format.value
    with _next_stem_in(out) as stem, held_camera(settings, camera) as device:
        apply_camera_settings(device, settings, flags)
        if flash_wait is not None:
            device.flash_wait_s = flash_wait
        device.know(_earlier_shots(out).values())
        taken = _taken(device, out, stem, times, shots)
    files = [str(file.path.resolve()) for _, one in taken for file in one.files]
    notes = [note for _, one in taken for note in (*one.notes, *one.warnings)]
    each = [
        {"files": [str(file.path.resolve()) for file in one.files], "exposure": one.exposure, "shutter": set_to}
        for set_to, one in taken
    ]
    return Reply({"files": files, "exposure": taken[0][1].exposure, "shots": each, "notes": notes}, [*files, *notes])


def _bracket_times(bracket: str | None, shutter: str | None) -> list[str | None]:
    """The shutter times to go through; one None where the shutter stays as it is."""
    if bracket is None:
        return [None]
    if shutter is not None:
        raise UsageError("--bracket sets the shutter itself", remedy="Leave --shutter out.")
    return list(bracket_times(bracket))


def _taken(
    device: GphotoCamera, out: Path, stem: str, times: list[str | None], shots: int
) -> list[tuple[str | None, Shot]]:
    """All shots of a bracket, `shots` of each exposure, with the time that the camera took for it; the shutter is put back afterwards."""
    before = device.get(Role.SHUTTER).value if times != [None] else None
    taken = []
    try:
        for exposure in times:
            set_to = None if exposure is None else device.set(Role.SHUTTER, exposure).value
            for _ in range(shots):
                taken.append((set_to, device.shoot(out, stem)))
                stem = _next_stem(out)
    finally:
        if before:
            with contextlib.suppress(CameraError):  # what ended it is what counts
                device.set(Role.SHUTTER, before)
    return taken


@contextlib.contextmanager
def _next_stem_in(out: Path) -> Iterator[str]:
    """As `_next_stem`, of a folder that is made where there is none, and not left there empty."""
    new = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        stem = _next_stem(out)
    except OSError as error:
        raise UsageError(
            f"{out} cannot be used: {error.strerror}", remedy="Choose a folder that may be written."
        ) from error
    try:
        yield stem
    finally:
        if new:
            with contextlib.suppress(OSError):  # it holds pictures
                out.rmdir()


def _next_stem(folder: Path) -> str:
    numbers = [number for number, _suffix in _earlier_shots(folder)]
    return f"shot-{max(numbers, default=0) + 1:04d}"


def _earlier_shots(folder: Path) -> dict[tuple[int, str], Path]:
    """Pictures of earlier shots in a folder, by number and suffix."""
    return {
        (int(match[1]), path.suffix): path
        for path in folder.iterdir()
        if (match := re.fullmatch(r"shot-(\d+)", path.stem))
    }
