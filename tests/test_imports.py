"""Who may import whom: read from the source, so that a wall is not broken unseen."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("capture", "rail", "stacking")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

MAY_IMPORT = {"capture": {"capture", "rail", "stacking"}, "rail": {"rail"}, "stacking": {"stacking"}}

# third party -> the only places (path prefixes) that may import it
HOMES = {
    "serial": ("rail/",),
    "gphoto2": ("capture/camera/gphoto",),
    "rawpy": ("stacking/develop",),
    "typer": ("capture/app/",),
    "rich": ("capture/app/",),
    "exiv2": ("stacking/", "capture/camera/"),
}

# The optics of the simulator and the estimators judged by it share no code.
BENCH = "capture/bench/"


def imported_modules(path: Path) -> set[str]:
    return modules_in(path.read_text(encoding="utf-8"), path.relative_to(ROOT).with_suffix("").parts[:-1])


def modules_in(source: str, package: tuple[str, ...]) -> set[str]:
    tree = ast.parse(source)
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            found.add(module)
            found |= {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            found |= {str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)}
    return found


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_packages_import_only_what_they_may(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    ours = {name.split(".")[0] for name in imported_modules(path)} & set(PACKAGES)
    assert ours <= MAY_IMPORT[package]


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_third_parties_have_one_home(path: Path) -> None:
    top = {name.split(".")[0] for name in imported_modules(path)}
    for module, homes in HOMES.items():
        if module in top:
            assert relative(path).startswith(homes), f"{module} belongs in {homes}"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_simulated_optics_share_no_code_with_what_they_judge(path: Path) -> None:
    if relative(path).startswith(BENCH):
        judged = {
            name for name in imported_modules(path) if name.startswith(("stacking", "capture.focus", "capture.dof"))
        }
        assert not judged, f"the bench must not use {judged}"
    elif not relative(path).startswith(("capture/app/",)):
        optics = {name for name in imported_modules(path) if name.startswith("capture.bench")}
        assert not optics, f"only the command that starts the bench may import {optics}"


@pytest.mark.parametrize("path", [p for p in FILES if "/simulator/" in relative(p)], ids=relative)
def test_drivers_and_simulator_do_not_know_each_other(path: Path) -> None:
    assert not {
        name for name in imported_modules(path) if name.startswith(("rail.grbl", "rail.profiles", "rail.ports"))
    }


@pytest.mark.parametrize(
    "path", [p for p in FILES if "/grbl/" in relative(p) or "/camera/" in relative(p)], ids=relative
)
def test_no_driver_knows_that_a_bench_is_simulated(path: Path) -> None:
    assert not {name for name in imported_modules(path) if name.startswith(("rail.simulator", "capture.bench"))}


def test_the_reader_of_imports_sees_relative_and_dynamic_ones() -> None:
    source = "from ..axis import Axis\nimport serial.tools\nimport importlib\nimportlib.import_module('cv2')\n"
    assert modules_in(source, ("rail", "grbl")) >= {"rail.axis", "rail.axis.Axis", "serial.tools", "cv2"}


def test_there_is_something_to_read() -> None:
    assert {relative(path).split("/")[0] for path in FILES} == set(PACKAGES)
