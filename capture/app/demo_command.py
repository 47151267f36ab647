"""``demo``: the main job on the simulated bench."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer

from capture.app.bench_launch import RunningBench
from capture.app.focus_options import FocusWishes
from capture.app.opening import DeviceNames, Origin
from capture.app.output import JsonFlag, Reply, say
from capture.app.progress import StackingProgress
from capture.app.session_beginning import shoot_session
from capture.app.session_plan import PlanWish
from capture.app.session_running import Shoot
from capture.app.session_stacking import RunningStacker, stack_session
from capture.session.folder import SessionFolder, check_new_folder
from capture.session.shooting import AfterShooting
from capture.settings import Settings, load_settings
from stacking.options import Method, StackOptions

# The zones of focus overlap generously: the demo's scene holds crossing bristles, which want more than a smooth subject.
OVERLAP = 0.4
SETTLE_S = 0.1
TIME_SCALE = 5.0
COARSE_PX = 450
FUSED_NAME = "fused.tif"


def register(app: typer.Typer) -> None:
    """Add the command of this module to `app`."""
    app.command("demo", epilog="Example: focusrail demo --out demo-out")(demo)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder to make; must be new or empty.")] = Path("demo-out"),
    seed: Annotated[int, typer.Option(help="Seed of scene, noise and flicker.")] = 1,
    json_output: JsonFlag = False,
) -> Reply:
    """Shoot, stack and finish a scene on the simulated bench; the picture is in DIR/result."""
    started_s = time.monotonic()
    check_new_folder(out)
    say("starting the simulated bench: a GRBL rail and a PTP/IP camera, each on its own wire")
    with RunningBench("--seed", str(seed), "--time-scale", f"{TIME_SCALE:g}", "--flicker", "0.005") as bench:
        wish = _wish(bench.ask({"get": "truth"}))
        wanted = Shoot(
            settings=load_settings(Path.cwd()),
            out=out,
            devices=DeviceNames(bench.rail, None, bench.camera),
            plan=wish,
            origin=Origin.HERE,
            after=AfterShooting.NEAR,
            camera_settings={"format": "RAW"},
            repair=True,
            focus=wish.focus,
            step_given=False,
        )
        say("looking for near end, far end and step on live frames")
        with RunningStacker(out, StackOptions(), FUSED_NAME) as running:
            shot = shoot_session(wanted, (running,))
            bench.ask({"save": "truth", "dir": str((out / "truth").resolve())})
            values = {**shot.values, **_pictures(out, running)}
    values["seconds"] = round(time.monotonic() - started_s, 2)
    lines = [
        f"{values['frames']} frames in {out / 'frames'}",
        f"picture: {values['picture']}",
        f"against the truth: {values['psnr_db']:.1f} dB; best single frame {values['best_frame_psnr_db']:.1f} dB, "
        f"plain average {values['average_psnr_db']:.1f} dB",
        f"{values['seconds']:.0f} s in all",
    ]
    return Reply(values, lines)


def _wish(truth: dict[str, Any]) -> PlanWish:
    """Range and step are found on live frames; the optics are known, as to whoever mounted the lens."""
    magnification = truth["magnification"]
    focus = FocusWishes.chosen(
        Settings({}),
        magnification=magnification,
        f_number=truth["f_number_effective"] / (1 + magnification),
        pixel=None,
        overlap=OVERLAP,
        roi=None,
        live_scale=None,
    )
    return PlanWish(None, None, None, SETTLE_S, focus)


def _pictures(out: Path, running: RunningStacker) -> dict[str, Any]:
    """Stack, finish and judge; the contract's values."""
    from stacking.finish import finish_picture, shipped_recipe
    from stacking.stack import stack_pictures

    with SessionFolder.open(out) as folder:
        stacked = stack_session(folder, running.options, running)
        fused = folder.result_path / FUSED_NAME
        result, picture, average = (folder.result_path / name for name in ("picture.tif", "picture.jpg", "average.tif"))
        recipe = shipped_recipe("demo")
        finish_picture(fused, result, recipe, force=False)
        finish_picture(fused, picture, recipe, force=False)
        with StackingProgress() as progress:
            stack_pictures([folder.path], average, StackOptions(method=Method.AVERAGE), progress)
        frames = sorted(path for path in folder.frames_path.iterdir() if path.is_file())
        truth = out / "truth" / "truth.tif"
        figures = _figures(truth, fused, average, frames, tuple(stacked["crop"][:2]))
    return {
        "result": str(result.resolve()),
        "picture": str(picture.resolve()),
        "fused": str(fused.resolve()),
        "truth": str(truth.resolve()),
        **figures,
    }


def _figures(
    truth: Path, fused: Path, average: Path, frames: list[Path], corner_px: tuple[float, float]
) -> dict[str, float]:
    from stacking.compare import FINEST_PX, psnr_db
    from stacking.develop import Development, as_source, read_picture
    from stacking.sources import find_sources

    true = read_picture(truth)
    development = Development(find_sources(frames).sources)

    def of_frame(path: Path, finest_px: int) -> float:
        picture = development.frame(as_source(path)).image
        return psnr_db(picture, true, finest_px=finest_px)

    say("comparing with the truth")
    with ThreadPoolExecutor(2) as pool:
        # a coarse look at all frames finds the few that may be the best
        coarse = list(pool.map(lambda path: of_frame(path, COARSE_PX), frames))
        best = sorted(range(len(frames)), key=lambda index: -coarse[index])[:3]
        of_best = list(pool.map(lambda index: of_frame(frames[index], FINEST_PX), best))
    return {
        "psnr_db": round(psnr_db(read_picture(fused), true, offset_px=corner_px), 2),
        "best_frame_psnr_db": round(max(of_best), 2),
        "average_psnr_db": round(psnr_db(read_picture(average), true, offset_px=corner_px), 2),
    }
