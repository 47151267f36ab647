"""Sessions whose rail loses steps, or jams, at random moments, on no wire: none may end with a frame at a wrong place.

``python -m tests.journeys.lost_campaign FOLDER FIRST COUNT`` prints one line of JSON for each seed, and the sums.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capture.app.bench_launch import RunningBench
from tests import by_seed
from tests.journeys.program import command, focusrail

FRAMES = 12
OPTICS = ("-m", "2", "-f", "2.8")
UM_PER_STEP = 0.625  # of the simulated bench
# Of the step: frames that are farther off stand at wrong places.
_WRONG = 0.3
_LONGEST_S = 600.0


def run(seed: int, folder: Path) -> dict[str, Any]:
    """One session; what befell it, how it ended, and by how many steps of the plan each accepted frame is off."""
    chance = random.Random(seed)
    switches, step_um = chance.random() < 0.5, chance.choice([40.0, 60.0, 80.0])
    jam, after = chance.random() < 0.3, chance.randint(1, FRAMES - 1)
    lost_um = chance.choice([0.5, 1.0, 1.5, 3.0, 6.0]) * step_um
    options = ("--seed", str(seed), "--sensor", "320x240", "--time-scale", "20", "--start", "400", "--texture", "rich")
    with RunningBench(*options, *(["--switches"] if switches else [])) as bench:
        near_um, begun_um = 0.0, float(bench.ask({"get": "truth"})["carriage_um"])
        if switches:
            home_um = float(focusrail("rail", "home", "--rail", bench.rail, "--json").done()["position_um"])
            near_um = round(begun_um - float(bench.ask({"get": "truth"})["carriage_um"]) + home_um)
            begun_um = near_um - home_um + float(bench.ask({"get": "truth"})["carriage_um"])
        session = folder / "s"
        plan = ("--near", str(near_um), "--far", str(near_um + step_um * (FRAMES - 1)), "--step", str(step_um))
        arguments = (
            "shoot",
            "--rail",
            bench.rail,
            "--camera",
            bench.camera,
            *plan,
            *OPTICS,
            "--settle",
            "0",
            "--no-repair",
        )
        process = subprocess.Popen(
            command(*arguments, "--origin", "home" if switches else "here", "--out", str(session), "--json"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        _wait(process, lambda: len(list((session / "frames").glob("0*"))) >= after)
        process.send_signal(signal.SIGUSR1)
        _wait(process, lambda: "paused" in _notes(session))
        name = "jam" if jam else "lose_steps"
        bench.ask({"fault": name} if jam else {"fault": name, "steps": round(lost_um / UM_PER_STEP)})
        process.send_signal(signal.SIGUSR1)
        out, err = process.communicate(timeout=_LONGEST_S)
        answers = [process.returncode]
        if process.returncode:
            assert json.loads(out)["error"]["remedy"]
            bench.ask({"clear": name})
            where = "home" if switches else "images"
            again = focusrail("resume", session, "--origin", where, "--json", longest_s=_LONGEST_S)
            answers.append(again.code)
        # it goes back to the near end: where that truly is tells by how much the last frames are off
        off = abs(float(bench.ask({"get": "truth"})["carriage_um"]) - begun_um) / step_um
    return {
        "seed": seed,
        "switches": switches,
        "step_um": step_um,
        "befell": name if jam else f"{lost_um / step_um:g} steps lost",
        "after": after,
        "answers": answers,
        "seen": "its place is looked after" in err,
        "off": round(off, 3),
        "wrong": answers[-1] == 0 and off > _WRONG,
    }


def _notes(session: Path) -> list[str]:
    from capture.session.journal import Journal

    with Journal(session / "journal.db") as journal:
        return [event.detail["text"] for event in journal.events() if event.kind.value == "noted"]


def _wait(process: subprocess.Popen[str], condition: Any) -> None:
    end_s = time.monotonic() + _LONGEST_S
    while not condition():
        assert time.monotonic() < end_s
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def campaign(folder: Path, seeds: range) -> Iterator[dict[str, Any]]:
    """Run them; one record for each."""
    for seed in seeds:
        (place := folder / str(seed)).mkdir(parents=True)
        yield run(seed, place)


def ended(record: dict[str, Any]) -> str:
    """What befell a session, and how it ended."""
    how = "wrong" if record["wrong"] else "whole" if record["answers"][-1] == 0 else "stopped"
    return f"{record['befell']}: {how}{'' if record['seen'] else ', not seen'}"


if __name__ == "__main__":
    by_seed.main(campaign, ended)
