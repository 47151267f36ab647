"""The console command: commands in, exit codes and one answer out."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from typing import Any

import typer

from capture.app.loading import end_imports
from capture.app.output import InterruptedRunError, Reply, say, write_json
from capture.errors import CameraError, CameraSettingError, CaptureError, UsageError
from rail.errors import HOMING_OFF, RailDeviceError, RailError, RailLimitError, RailRefusedError, RailUsageError
from stacking.errors import StackingError, StackingUsageError

_NOTHING_DONE = "Nothing was done."
DONE, REFUSED, WRONG_USAGE, DEVICE_FAILED, INTERRUPTED = 0, 1, 2, 3, 130

# Typer brings click along or inside, as its version pleases; its own exceptions lead to the base classes.
_ClickUsageError: Any = typer.BadParameter.__mro__[1]
_ClickError: Any = _ClickUsageError.__mro__[1]


COMMANDS = {
    "dof": "dof_command",
    "devices": "general_commands",
    "config": "general_commands",
    "shoot": "session_commands",
    "run": "session_commands",
    "control": "order_commands",
    "report-bug": "order_commands",
    "resume": "resume_command",
    "stack": "stack_commands",
    "finish": "stack_commands",
    "recipes": "stack_commands",
    "depth": "relief_command",
    "rail": "rail_commands",
    "camera": "camera_commands",
    "step": "focus_commands",
    "range": "focus_commands",
    "certify": "certify_command",
    "live": "live_command",
    "bench-sim": "bench_commands",
    "demo": "demo_command",
}
"""Every command and the module of `capture.app` that registers it, in the order of the help."""


def build_app(command: str | None = None) -> typer.Typer:
    """The commands of this version: all of them, or those of one command's module.

    Parameters
    ----------
    command : str or None
        A key of `COMMANDS`. Importing the other commands would cost more than most commands take.
    """
    app = typer.Typer(
        name="focusrail",
        help="Hands-free focus stacking: drive a rail and a camera, shoot the stack, merge it.",
        epilog="Example: focusrail demo --out demo-out",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for module in dict.fromkeys(COMMANDS.values() if command is None else [COMMANDS[command]]):
        import_module(f"capture.app.{module}").register(app)
    return app


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"focusrail {version('focusrail')}\n")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", help="Print the version and stop.", is_eager=True, callback=_tell_version
    ),
) -> None:
    del version  # answered before a command is asked for


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
        named = arguments[0] if arguments and arguments[0] in COMMANDS else None
        app = build_app(named)
        if named != "stack":  # which has more to import, and says when it has
            end_imports()
        reply = app(args=arguments, standalone_mode=False, prog_name="focusrail")
    except (CaptureError, RailError, StackingError) as error:
        return _fail(as_json, error.kind, error.message, error.remedy, _state(error), exit_code(error))
    except InterruptedRunError as error:
        return _fail(as_json, "interrupted", error.message, error.remedy, error.state, INTERRUPTED)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(as_json)
    except _ClickError as error:
        message = error.format_message() or "a command is missing"  # the help has been printed
        remedy = "See `focusrail --help`." if error.ctx is None else f"See `{error.ctx.command_path} --help`."
        return _fail(as_json, "usage", message, remedy, _NOTHING_DONE, WRONG_USAGE)
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
        return _interrupted(as_json)
    return reply if isinstance(reply, int) else DONE


def _state(error: CaptureError | RailError | StackingError) -> str:
    """What the error says; of wrong usage, and of pictures that were not made, it is always the same."""
    match error:
        case _ if error.state:
            return error.state
        case UsageError() | RailUsageError() | StackingUsageError():
            return _NOTHING_DONE
        case StackingError():
            return "No picture was written."
        case _:
            return ""


def _interrupted(as_json: bool) -> int:
    state = "Devices that were open are closed; a file is there whole or not at all."
    return _fail(as_json, "interrupted", "interrupted", "Give the command again.", state, INTERRUPTED)


def _fail(as_json: bool, kind: str, message: str, remedy: str, state: str, code: int) -> int:
    say(f"focusrail: {message}")
    for line in (state, remedy):
        if line:
            say(f"  {line}")
    if as_json:
        write_json({"error": {"kind": kind, "message": message, "remedy": remedy, "state": state}})
    return code
