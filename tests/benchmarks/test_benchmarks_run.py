"""The runner: costs of whole process trees, programs that fail, and the table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks.make_stack import StackPlan, make_stack
from benchmarks.measure import decode_all, decode_command, measure, tree_rss
from benchmarks.peers import Job, Program, installed_peers, ours
from benchmarks.report import Results, markdown
from benchmarks.run import Settings, describe_machine, run_stack

ALLOCATE = "import sys; held = b'x' * (int(sys.argv[1]) << 20); print(len(held))"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stack")
    make_stack(StackPlan(width=300, height=220, frames=3, seed=8, max_blur_px=4.0), folder)
    return folder


def test_memory_is_that_of_the_whole_tree(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; held = b'x' * (64 << 20); print(len(held), flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()
        assert tree_rss(child.pid) > 64 << 20
        assert tree_rss(os.getpid()) >= tree_rss(child.pid)
    finally:
        child.communicate(b"", timeout=20)


def test_memory_of_who_starts_a_program_is_not_the_programs() -> None:
    held = b"x" * (256 << 20)
    cost = measure([sys.executable, "-S", "-c", "import time\nwhile time.process_time() < 0.2: pass"])
    assert 1 < cost.peak_mib < len(held) >> 20


def test_output_and_exit_code_are_kept(tmp_path: Path) -> None:
    done = measure([sys.executable, "-c", ALLOCATE, "3"], log=tmp_path / "log")
    assert (done.exit_code, done.timed_out) == (0, False)
    assert (tmp_path / "log").read_text().strip() == str(3 << 20)
    assert done.cpu_s > 0
    assert done.peak_mib > 1
    assert measure([sys.executable, "-c", "raise SystemExit(7)"]).exit_code == 7
    with pytest.raises(FileNotFoundError):
        measure([str(tmp_path / "no-such-program")])


def test_cpu_of_grandchildren_counts() -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    command = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}], check=True)"
    assert measure([sys.executable, "-c", command]).cpu_s >= 0.3


def test_a_run_beyond_the_limit_is_ended_with_its_children() -> None:
    cost = measure(["bash", "-c", "sleep 100 & wait"], limit_s=0.2)
    assert cost.timed_out
    assert cost.exit_code == -9


def test_decoding_alone(stack: Path, tmp_path: Path) -> None:
    assert decode_all(stack) == 3
    cost = measure(decode_command(stack), log=tmp_path / "log")
    assert cost.exit_code == 0
    assert (tmp_path / "log").read_text().strip() == "3"


def copy_middle(job: Job) -> list[str]:
    return ["cp", job.files()[1], f"{job.result}.jpg"]


PROGRAMS = (
    Program("copy", "the middle frame", ".jpg", copy_middle, "1"),
    Program("broken", "", ".tif", lambda _: ["false"], "2"),
    Program("silent", "", ".tif", lambda _: ["true"], "3"),
    Program("nonsense", "", ".tif", lambda job: ["bash", "-c", f"echo no picture > {job.result}.tif"], "4"),
    Program("slow", "", ".tif", lambda _: ["sleep", "100"], "5"),
)


def test_programs_take_turns_and_failures_are_rows_too(stack: Path, tmp_path: Path) -> None:
    work, output = tmp_path / "work", tmp_path / "out"
    work.mkdir()
    output.mkdir()
    said: list[str] = []
    settings = Settings(work, output, rounds=2, limit_s=3.0, say=said.append, keep=True)
    result, rows, loads = run_stack("tiny", stack, PROGRAMS, settings)
    by_name = {row.program: row for row in rows}
    assert [line.rsplit(", ", 1)[1] for line in said if "round 2" in line] == ["copy"]
    assert len(by_name["copy"].costs) == len(result.decoding) == 2
    assert by_name["copy"].score is not None
    assert 0 < by_name["copy"].score.psnr_fit < result.yardstick.psnr_fit
    assert by_name["broken"].failure == "failed, exit code 1"
    assert by_name["silent"].failure == "failed, exit code 0"
    assert "cannot read" in str(by_name["nonsense"].failure)
    assert by_name["slow"].failure == "time limit"
    assert list(work.iterdir()) == []
    assert len(loads) == 6
    kept = [path for path in output.iterdir() if path.suffix != ".log"]
    assert [path.name for path in kept] == ["tiny-copy.jpg"]
    assert kept[0].read_bytes() == (stack / "frame_0001.jpg").read_bytes()

    results = Results("2025-01-31", describe_machine(), 2, tuple(loads), (result,), tuple(rows))
    table = markdown(results)
    lines = [line for line in table.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(PROGRAMS) + 2
    assert len({line.count("|") for line in lines}) == 1
    assert "| broken 2 |" in table
    assert "time limit" in table
    assert json.loads(json.dumps(asdict(results)))["rows"][0]["score"]["psnr"] == pytest.approx(
        by_name["copy"].score.psnr
    )


def test_a_program_sees_nothing_but_frames(stack: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    listing = tmp_path / "listing"

    def command(job: Job) -> list[str]:
        return ["bash", "-c", f"ls {job.frames} > {listing}; cp {job.files()[0]} {job.result}.jpg"]

    settings = Settings(tmp_path, tmp_path / "out", rounds=1, limit_s=10.0, say=lambda _: None)
    run_stack("tiny", stack, [replace(PROGRAMS[0], command=command)], settings)
    assert listing.read_text().split() == ["frame_0000.jpg", "frame_0001.jpg", "frame_0002.jpg"]


def test_ours_is_given_files_and_asked_for_depth_only_where_wanted(stack: Path, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "b.jpg").touch()
    (tmp_path / "frames" / "a.jpg").touch()
    job = Job(tmp_path / "frames", tmp_path / "result", tmp_path)
    plain, deep = ours().command(job), ours(depth=True).command(job)
    assert [Path(part).name for part in plain[2:4]] == ["a.jpg", "b.jpg"]
    assert "--depth" not in plain
    assert deep[deep.index("--depth") + 1] == f"{tmp_path / 'result'}.depth.tif"


def test_peers_that_are_not_there_are_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert installed_peers(tmp_path) == []
    assert installed_peers(None) == []
