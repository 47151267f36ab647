"""The console command: commands in, exit codes and one answer out."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import typer

from capture.app import (
    bench_commands,
    camera_commands,
    certify_command,
    demo_command,
    focus_commands,
    general_commands,
    live_command,
    rail_commands,
    relief_command,
    resume_command,
    session_commands,
    stack_commands,
)
from capture.app.output import InterruptedRunError, Reply, say, write_json
from capture.errors import CameraError, CameraSettingError, CaptureError, UsageError
from rail.errors import HOMING_OFF, RailDeviceError, RailError, RailLimitError, RailRefusedError, RailUsageError
from stacking.errors import StackingError, StackingUsageError

DONE, REFUSED, WRONG_USAGE, DEVICE_FAILED, INTERRUPTED = 0, 1, 2, 3, 130

# Typer brings click along or inside, as its version pleases; its own exceptions lead to the base classes.
_ClickUsageError: Any = typer.BadParameter.__mro__[1]
_ClickError: Any = _ClickUsageError.__mro__[1]


def build_app() -> typer.Typer:
    """All commands of this version."""
    app = typer.Typer(
        name="focusrail",
        help="Hands-free focus stacking: drive a rail and a camera, shoot the stack, merge it.",
        epilog="Example: focusrail demo --out demo-out",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for module in (
        general_commands,
        session_commands,
        resume_command,
        stack_commands,
        relief_command,
        rail_commands,
        camera_commands,
        focus_commands,
        certify_command,
        live_command,
        bench_commands,
        demo_command,
    ):
        module.register(app)
    return app


def _root(version: bool = typer.Option(False, "--version", help="Print the version and stop.", is_eager=True)) -> None:
    if version:
        from importlib.metadata import version as installed

        sys.stdout.write(f"focusrail {installed('focusrail')}\n")
        raise typer.Exit


def exit_code(error: CaptureError | RailError | StackingError) -> int:
    """The contract's exit code for an error: 1 refused or failed, 2 wrong usage, 3 a device failed."""
    match error:
        case RailLimitError() | CameraSettingError():
            return REFUSED
        case RailRefusedError() if error.code == HOMING_OFF:
            return REFUSED  # a rail without homing has not failed
        case UsageError() | RailUsageError() | StackingUsageError():
            return WRONG_USAGE
        case CameraError() | RailDeviceError():
            return DEVICE_FAILED
        case _:
            return REFUSED


def run(arguments: list[str]) -> int:
    """Run one command; its exit code."""
    as_json = "--json" in arguments
    try:
        reply = build_app()(args=arguments, standalone_mode=False, prog_name="focusrail")
    except (CaptureError, RailError, StackingError) as error:
        return _fail(as_json, error.kind, error.message, error.remedy, error.state, exit_code(error))
    except InterruptedRunError as error:
        return _fail(as_json, "interrupted", error.message, error.remedy, error.state, INTERRUPTED)
    except (KeyboardInterrupt, typer.Abort):
        return _fail(as_json, "interrupted", "interrupted", "", "", INTERRUPTED)
    except _ClickError as error:
        message = error.format_message()
        remedy = "See `focusrail --help`." if error.ctx is None else f"See `{error.ctx.command_path} --help`."
        return _fail(as_json, "usage", message, remedy, "", WRONG_USAGE)
    except BrokenPipeError:
        return REFUSED
    except Exception as error:  # noqa: BLE001  a bug of ours: scripts still get their one object, maintainers the trace
        traceback.print_exc()
        remedy = "This is a fault of focusrail: please report it with what stands above."
        return _fail(as_json, "internal", f"{type(error).__name__}: {error}", remedy, "", REFUSED)
    if isinstance(reply, Reply):
        if as_json:
            write_json(reply.values)
        else:
            for line in reply.lines:
                say(line)
        return reply.exit_code
    # typer answers Ctrl-C itself, with this exit code
    if reply == INTERRUPTED:
        return _fail(as_json, "interrupted", "interrupted", "", "", INTERRUPTED)
    return reply if isinstance(reply, int) else DONE


def _fail(as_json: bool, kind: str, message: str, remedy: str, state: str, code: int) -> int:
    say(f"focusrail: {message}")
    for line in (state, remedy):
        if line:
            say(f"  {line}")
    if as_json:
        write_json({"error": {"kind": kind, "message": message, "remedy": remedy, "state": state}})
    return code
