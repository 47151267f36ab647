"""The lens's own focus motor in the place of a rail, from the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from capture.app.bench_launch import RunningBench
from tests.journeys.program import BENCH_OPTIONS, Finished, command, focusrail
from tests.journeys.test_journey_session import wait_until


class Lens:
    """A bench whose carriage stays where it is, and whose lens moves."""

    def __init__(self, bench: RunningBench, runtime: Path) -> None:
        self.bench = bench
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "FOCUSRAIL_CAMERA": bench.camera}

    def __call__(self, *arguments: object) -> Finished:
        return focusrail(*arguments, "--rail", "lens:", "--json", environment=self.environment)

    @property
    def steps(self) -> int:
        steps: int = self.bench.ask({"get": "truth"})["lens_steps"]
        return steps


@pytest.fixture(scope="module")
def bench_of_lens() -> Iterator[RunningBench]:
    with RunningBench(*BENCH_OPTIONS) as bench:
        yield bench


@pytest.fixture
def lens(bench_of_lens: RunningBench, tmp_path: Path) -> Lens:
    return Lens(bench_of_lens, tmp_path)


def test_separate_commands_keep_the_count(lens: Lens) -> None:
    unknown = lens("rail", "status").done()
    assert (unknown["position_steps"], unknown["position_um"], unknown["position_known"]) == (None, None, False)
    refused = lens("rail", "move", "10st")
    assert (refused.code, refused.values["error"]["kind"]) == (1, "rail-position-unknown")
    assert not lens("rail", "jog", "40st").done()["position_known"]
    assert lens("rail", "zero").done()["position_steps"] == 0
    start = lens.steps
    assert lens("rail", "move", "300st").done()["position_steps"] == 300
    assert lens("rail", "move", "-100st").done()["position_steps"] == -100
    assert lens.steps - start == -100
    status = lens("rail", "status").done()
    assert (status["position_steps"], status["position_um"], status["state"]) == (-100, None, "idle")
    assert lens("rail", "move", "10um").values["error"]["kind"] == "usage"
    home = lens("rail", "home").done()
    assert (home["position_steps"], home["homed"]) == (0, True)


def test_ctrl_c_ends_a_move_and_keeps_the_count(tmp_path: Path) -> None:
    with RunningBench("--seed", "5", "--sensor", "480x320") as bench:
        lens = Lens(bench, tmp_path)
        lens("rail", "zero").done()
        lens("rail", "move", "0st").done()
        start = lens.steps
        process = subprocess.Popen(
            command("rail", "move", "19000st", "--rail", "lens:", "--json"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=lens.environment,
        )
        wait_until(lambda: lens.steps > start + 600)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
        assert process.returncode == 130
        assert '"kind": "interrupted"' in out
        assert lens("rail", "status").done()["position_steps"] == lens.steps - start < 19_000


def test_a_stack_through_the_lens_alone(lens: Lens, tmp_path: Path) -> None:
    carriage_um = lens.bench.ask({"get": "truth"})["carriage_um"]
    done = lens(
        *("run", "--near", "0st", "--far", "1200st", "--step", "400st", "--origin", "here", "--settle", "0"),
        *("--out", tmp_path / "stack"),
    ).done()
    assert (done["frames"], done["planned"]) == (4, 4)
    assert Path(done["result"]).is_file()
    assert lens.bench.ask({"get": "truth"})["carriage_um"] == carriage_um
    manifest = json.loads((tmp_path / "stack" / "manifest.json").read_text())
    assert [frame["position_steps"] for frame in manifest["frames"]] == [0, 400, 800, 1200]
    assert {frame["position_um"] for frame in manifest["frames"]} == {None}
    coverage = done["coverage"]
    assert coverage["gaps_um"] is coverage["dof_um"] is None
    assert isinstance(coverage["gaps_steps"], list)


def test_a_stack_with_the_other_maker_s_camera(tmp_path: Path) -> None:
    with RunningBench(*BENCH_OPTIONS, "--maker", "canon") as bench:
        lens = Lens(bench, tmp_path)
        done = lens(
            *("run", "--near", "0st", "--far", "30st", "--step", "15st", "--origin", "here", "--settle", "0"),
            *("--out", tmp_path / "stack"),
        ).done()
    assert (done["frames"], done["planned"]) == (3, 3)
    assert Path(done["result"]).is_file()
