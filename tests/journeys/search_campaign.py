"""Sessions with everything left to `auto`, disturbed while their plan is looked for, and gone on with until they are whole.

``python -m tests.journeys.search_campaign FOLDER FIRST COUNT`` prints one line of JSON for each seed.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import by_seed
from tests.journeys.program import command, focusrail
from tests.journeys.session_campaign import FAULTS, KILLS, MortalBench, accepted, devices, disturb

OPTIONS = (
    *("--seed", "11", "--sensor", "480x320", "--live-scale", "2", "--time-scale", "20"),
    *("--settle-time", "0.05", "--switches", "--start", "3000", "--backlash", "30"),
)
WIRE_FAULTS = ("reset", "alarm", "unplug rail", "unplug camera", "hang", "busy")
# About as long as the search takes.
_SEARCH_S = 25.0
_LONGEST_S = 900.0


def bring_to_subject(mortal: MortalBench) -> None:
    """As a user does before the session begins."""
    focusrail("rail", "home", "--rail", mortal.bench.rail, "--json").done()
    truth = mortal.bench.ask({"get": "truth"})
    middle_um = (truth["near_um"] + truth["far_um"]) / 2 - truth["carriage_um"]
    focusrail("rail", "jog", f"{middle_um:.1f}um", "--rail", mortal.bench.rail, "--json").done()


def run(seed: int, folder: Path) -> dict[str, Any]:
    """One session: what befell it, how it answered, and whether its plan was found before."""
    chance = random.Random(seed)
    story: list[str] = []
    with MortalBench(folder, options=OPTIONS) as mortal:
        session = folder / "s"
        begin = ["run", *devices(mortal.bench), "--out", str(session), "--json"]
        for _ in range(chance.randint(1, 3)):
            begun = (session / "manifest.json").exists()
            if not begun:
                bring_to_subject(mortal)
            arguments = ["resume", str(session), "--origin", "home", "--json"] if begun else begin
            what = chance.choice((*KILLS, *(WIRE_FAULTS if seed % 2 else ())))
            process = subprocess.Popen(
                command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
            )
            try:
                process.wait(chance.uniform(0.5, _SEARCH_S))
            except subprocess.TimeoutExpired:
                if what in KILLS:
                    disturb(mortal, process, what)
                else:
                    name = "unplug" if "unplug" in what else what
                    mortal.bench.ask({"fault": name, **FAULTS[what]})
            out, err = process.communicate(timeout=_LONGEST_S)
            told = session / "manifest.json"
            planned = told.exists() and json.loads(told.read_text())["plan"] is not None
            if not mortal.alive:
                mortal.start()
            elif what not in KILLS:
                if "unplug" in what:
                    mortal.bench.ask({"fault": "plug", "part": FAULTS[what]["part"]})
                mortal.bench.ask({"clear": "unplug" if "unplug" in what else what})
            story.append(f"{what}: {process.returncode}{', planned' if planned else ''}")
            if process.returncode > 0:
                error = json.loads(out)["error"]
                assert error["message"], error
                assert error["remedy"], error
                assert "Traceback" not in err, err
                story[-1] += f" {error['message']}"
        begun = (session / "manifest.json").exists()
        if not begun:
            bring_to_subject(mortal)
        last = focusrail(*(["resume", session, "--origin", "home", "--json"] if begun else begin), longest_s=_LONGEST_S)
        if last.code == 0 and last.values.get("result") is None:
            last = focusrail("resume", session, "--json", longest_s=_LONGEST_S)
        values = last.done()
    frames = accepted(session)
    assert len(frames) == values["frames"] == values["planned"] + values["added"], values
    assert len({frame["number"] for frame in frames}) == len(frames)
    assert {f"frames/{path.name}" for path in (session / "frames").glob("0*")} == {frame["file"] for frame in frames}
    for frame in frames:
        assert hashlib.sha256((session / frame["file"]).read_bytes()).hexdigest() == frame["sha256"]
    assert Path(values["result"]).is_file()
    plan = json.loads((session / "manifest.json").read_text())["plan"]
    return {"seed": seed, "story": story, "plan": plan, "passed": values["coverage"]["passed"], "frames": len(frames)}


def campaign(folder: Path, seeds: range) -> Iterator[dict[str, Any]]:
    """Each session of these seeds."""
    for seed in seeds:
        (place := folder / str(seed)).mkdir(parents=True)
        try:
            yield run(seed, place)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            yield {"seed": seed, "failed": str(error)}


if __name__ == "__main__":
    by_seed.main(campaign)
