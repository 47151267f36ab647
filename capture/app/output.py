"""What a command answers: one JSON object on stdout with ``--json``, else words on stderr."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="Answer with exactly one JSON object on stdout.")]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished command's answer: the contract's keys, the same in words, and the exit code."""

    values: Mapping[str, Any]
    lines: list[str] = field(default_factory=list)
    exit_code: int = 0


class InterruptedRunError(Exception):
    """Ctrl-C or SIGTERM while a command worked; says how far it came."""

    def __init__(self, message: str, *, state: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.state = state
        self.remedy = remedy


def say(text: str, level: int = logging.INFO) -> None:
    """Words for people, and for the session's log where there is one."""
    _log.log(level, "%s", text)
    show(text)


def show(text: str) -> None:
    """Words for people alone; a terminal that is gone, or a full disk behind it, is no reason to stop what is being done."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def write_json(values: Mapping[str, Any]) -> None:
    """The one JSON object; NaN and infinities, which JSON has not, become null."""
    sys.stdout.write(json.dumps(_finite(values), ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
