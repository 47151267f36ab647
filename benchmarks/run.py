"""Compare focusrail with every other stacker that is installed: speed, memory and quality on stacks of known truth.

All programs take their turns on one stack, round by round, so that a noisy machine is noisy for all. Peers are looked for in a virtual
environment of their own, and on the path:

    python3.12 -m venv peers && peers/bin/pip install focusweave shinestacker
    apt-get install hugin-tools enfuse

    python -m benchmarks.run --quick --peers-venv peers

Written to the output folder: results.md, results.json, one PNG a stack (with the extra `benchmarks`), and the programs' logs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2

from benchmarks.make_stack import StackPlan, make_stack
from benchmarks.measure import Cost, decode_command, measure
from benchmarks.peers import Job, Program, installed_peers, ours
from benchmarks.plot import draw
from benchmarks.report import Results, Row, StackResult, markdown
from benchmarks.score import Score, ScoreError, Truth, score, score_picture
from benchmarks.yardstick import best_selection

STACKS = {
    "quick": StackPlan(width=1728, height=1152, frames=12, seed=100),
    "a": StackPlan(width=4240, height=2832, frames=20, seed=101),
    "b": StackPlan(width=6000, height=4000, frames=30, seed=102, breathing=0.0005),
    "c": StackPlan(width=1728, height=1152, frames=100, seed=103, breathing=0.00015, shift_px=0.6),
}
_QUICK, _FULL = ("quick",), ("a", "b", "c")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things are, how often programs run, how long one run may take, and whether the first pictures are kept."""

    work: Path
    output: Path
    rounds: int
    limit_s: float
    say: Callable[[str], None]
    keep: bool = False


def run_stack(
    name: str, folder: Path, programs: Sequence[Program], settings: Settings
) -> tuple[StackResult, list[Row], list[float]]:
    """Run all programs on one stack; returns the stack, a row for each program, and the load before each run."""
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    settings.say(f"{name}: yardstick")
    yardstick = score_picture(best_selection(folder), Truth.read(folder))
    frames = sorted(folder.glob("frame_*"))
    costs: dict[str, list[Cost]] = {program.name: [] for program in programs}
    scores: dict[str, Score] = {}
    failures: dict[str, str] = {}
    decoding: list[Cost] = []
    loads: list[float] = []
    for turn in range(settings.rounds):
        decoding.append(measure(decode_command(folder), limit_s=settings.limit_s))
        # a different program goes first in each round
        shift = turn % len(programs)
        for program in (*programs[shift:], *programs[:shift]):
            if program.name in failures:
                continue
            loads.append(os.getloadavg()[0])
            settings.say(f"{name}: round {turn + 1}, {program.name}")
            with tempfile.TemporaryDirectory(dir=settings.work, prefix="run-") as scratch:
                log = settings.output / f"{name}-{slug(program)}.log"
                cost, result, depth = run_program(program, frames, Path(scratch), log, settings.limit_s)
                costs[program.name].append(cost)
                if result is None:
                    failures[program.name] = "time limit" if cost.timed_out else f"failed, exit code {cost.exit_code}"
                elif program.name not in scores:
                    try:
                        scores[program.name] = score(result, folder, depth)
                        if settings.keep:
                            shutil.move(result, settings.output / f"{name}-{slug(program)}{result.suffix}")
                    except ScoreError as error:
                        failures[program.name] = str(error)
    stack = StackResult(name, meta["width"], meta["height"], meta["frames"], tuple(decoding), yardstick)
    rows = [
        Row(name, p.name, p.shown, p.version, tuple(costs[p.name]), scores.get(p.name), failures.get(p.name))
        for p in programs
    ]
    return stack, rows, loads


def run_program(
    program: Program, files: Sequence[Path], scratch: Path, log: Path, limit_s: float
) -> tuple[Cost, Path | None, Path | None]:
    """One measured run on a folder that holds nothing but links to the frames; its result and depth map, None where there is none."""
    frames = scratch / "frames"
    frames.mkdir()
    for frame in files:
        (frames / frame.name).symlink_to(frame.resolve())
    other = scratch / "other"
    other.mkdir()
    job = Job(frames, scratch / "result", other)
    cost = measure(program.command(job), limit_s=limit_s, log=log, environment={"TMPDIR": str(other)})
    found = [path for path in scratch.glob("result.*") if ".depth" not in path.name]
    if cost.exit_code != 0 or len(found) != 1:
        return cost, None, None
    return cost, found[0], Path(f"{job.result}.depth.tif") if program.depth else None


def slug(program: Program) -> str:
    """Its name as part of a file's."""
    return program.name.replace(", ", "-").replace(" ", "_")


def describe_machine() -> str:
    """Cores, memory and system, in general terms."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {pages:.0f} GiB of memory, {platform.system()}, "
        f"Python {platform.python_version()}, OpenCV {cv2.__version__}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="one stack of 2 MP x 12 (the default)")
    size.add_argument("--full", action="store_true", help="stacks a (12 MP x 20), b (24 MP x 30) and c (2 MP x 100)")
    size.add_argument("--stacks", nargs="+", choices=sorted(STACKS), help="just these")
    parser.add_argument(
        "--folder", type=Path, action="append", default=[], help="a stack that is there already; more than once"
    )
    parser.add_argument("--peers-venv", type=Path, help="virtual environment with focusweave and shinestacker")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="programs whose names begin so")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each program (default %(default)s)")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds for one run (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep each program's picture beside the results")
    parser.add_argument(
        "--work", type=Path, default=Path(tempfile.gettempdir()) / "focusrail-benchmarks", help="stacks and scratch"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"), help="results (default %(default)s)")
    given = parser.parse_args(arguments)
    if given.rounds < 1:
        parser.error("at least one round")
    programs = [ours(), ours(depth=True), *installed_peers(given.peers_venv)]
    if given.only:
        programs = [program for program in programs if program.name.startswith(tuple(given.only))]
    if not programs:
        parser.error("no program has such a name")
    settings = Settings(
        given.work,
        given.out,
        given.rounds,
        given.limit,
        lambda text: print(text, file=sys.stderr, flush=True),
        given.keep,
    )
    settings.work.mkdir(parents=True, exist_ok=True)
    settings.output.mkdir(parents=True, exist_ok=True)
    names = given.stacks or (_FULL if given.full else _QUICK if given.quick or not given.folder else ())
    folders = [(name, _made(name, settings)) for name in names]
    folders += [(folder.resolve().name, folder) for folder in given.folder]

    results = Results(dt.datetime.now(dt.UTC).date().isoformat(), describe_machine(), given.rounds, (), (), ())
    for name, folder in folders:
        stack, rows, loads = run_stack(name, folder, programs, settings)
        results = replace(
            results, load=(*results.load, *loads), stacks=(*results.stacks, stack), rows=(*results.rows, *rows)
        )
        _publish(results, settings)  # after each stack: a run that is ended early has not run in vain
    print(markdown(results))


def _made(name: str, settings: Settings) -> Path:
    """The folder of a stack, rendered if it is not there."""
    folder = settings.work / f"stack-{name}"
    if not (folder / "meta.json").exists():
        settings.say(f"{name}: rendering")
        shutil.rmtree(folder, ignore_errors=True)
        make_stack(STACKS[name], folder)
    return folder


def _publish(results: Results, settings: Settings) -> None:
    as_json = json.dumps(asdict(results), indent=1)
    (settings.output / "results.md").write_text(markdown(results), encoding="utf-8")
    (settings.output / "results.json").write_text(as_json, encoding="utf-8")
    try:
        draw(json.loads(as_json), settings.output)
    except ModuleNotFoundError:
        settings.say("no plots: matplotlib is missing (pip install 'focusrail[benchmarks]')")


if __name__ == "__main__":
    main()
