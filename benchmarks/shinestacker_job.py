"""Runs shinestacker without its window, through its Python interface. Started with the interpreter of the peers' environment."""

from __future__ import annotations

import argparse
import importlib
import shutil
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames", type=Path, help="folder with nothing but the frames")
    parser.add_argument("output", type=Path)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--full-size-alignment", action="store_true", help="features from the full picture")
    parser.add_argument("--no-balance", action="store_true", help="leave each frame's brightness as it is")
    given = parser.parse_args()
    program = importlib.import_module("shinestacker")
    job = program.StackJob("job", str(given.scratch), input_path=str(given.frames))
    align = program.AlignFrames(subsample=1) if given.full_size_alignment else program.AlignFrames()
    steps = [align] if given.no_balance else [align, program.BalanceFrames()]
    job.add_action(program.CombinedActions("align", actions=steps))
    job.add_action(program.FocusStack("stack", program.PyramidStack()))
    job.run()
    (result,) = (given.scratch / "stack").iterdir()
    shutil.move(result, given.output)


if __name__ == "__main__":
    main()
