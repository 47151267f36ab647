"""The error trees are drawn whole, and every error says what its family says."""

from __future__ import annotations

import inspect
import re
from types import ModuleType

import pytest

import capture.errors
import rail.errors
import stacking.errors

TREES = [capture.errors, rail.errors, stacking.errors]


def classes(module: ModuleType) -> list[type[Exception]]:
    members = [
        member for _, member in inspect.getmembers(module, inspect.isclass) if member.__module__ == module.__name__
    ]
    return [member for member in members if issubclass(member, Exception)]


@pytest.mark.parametrize("module", TREES, ids=lambda module: module.__name__)
def test_the_drawn_tree_is_the_real_one(module: ModuleType) -> None:
    drawn: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in (module.__doc__ or "").splitlines():
        match = re.match(r"^(\s*(?:[│├└─\s])*)(\w+Error)\b", line)
        if match is None:
            continue
        depth = len(match[1])
        while path and path[-1][0] >= depth:
            path.pop()
        drawn[match[2]] = path[-1][1] if path else "Exception"
        path.append((depth, match[2]))
    assert drawn == {cls.__name__: cls.__bases__[0].__name__ for cls in classes(module)}


@pytest.mark.parametrize("module", TREES, ids=lambda module: module.__name__)
def test_every_kind_is_its_own(module: ModuleType) -> None:
    kinds = [cls.kind for cls in classes(module)]  # type: ignore[attr-defined]
    assert len(kinds) == len(set(kinds))
