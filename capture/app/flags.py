"""Commands whose options are frozen dataclasses, so that commands with the same options share them."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any, get_type_hints

from capture.app.output import Reply


def with_flags(function: Callable[..., Reply], *groups: type[Any]) -> Callable[..., Reply]:
    """`function(group, ...)` as a command with one option for each field of each dataclass in `groups`.

    A field's type is ``Annotated[..., typer.Option(...)]``; its default is the option's. Names must differ between groups.
    """

    def call(**given: Any) -> Reply:
        return function(*(group(**{field.name: given[field.name] for field in fields(group)}) for group in groups))

    parameters = []
    for group in groups:
        hints = get_type_hints(group, include_extras=True)
        parameters += [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=_default(field), annotation=hints[field.name]
            )
            for field in fields(group)
        ]
    command = types.FunctionType(call.__code__, call.__globals__, function.__name__, None, call.__closure__)
    command.__doc__ = function.__doc__
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        sorted(parameters, key=lambda parameter: parameter.default is not inspect.Parameter.empty)
    )
    return command


def _default(field: Field[Any]) -> Any:
    return inspect.Parameter.empty if field.default is MISSING else field.default
