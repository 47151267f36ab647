"""``certify``: whether a stack that is there already covers its subject, and whether its step was safe."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capture.app.flags import with_flags
from capture.app.output import InterruptedRunError, JsonFlag, Reply
from capture.app.progress import StackingProgress
from capture.app.stack_commands import ForceOption
from capture.errors import UsageError

if TYPE_CHECKING:  # array libraries are loaded by the commands that need them
    from capture.focus.pictures import PicturesJudged

_SOURCES = {"session": "the session's", "given": "as given"}
# Neighbouring zones of focus overlap by less than this: nothing is missed as long as nothing moves.
_TIGHT_SHARE = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is judged, and where it is drawn."""

    paths: Annotated[list[Path], typer.Argument(help="A folder, picture files, or a session.", metavar="PATH...")]
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Map of what is covered, .png.")] = None
    dof: Annotated[
        float | None,
        typer.Option(
            "--dof", help="Depth of field in um (in frames where no positions are known); else the pictures tell it."
        ),
    ] = None
    force: ForceOption = False
    json_output: JsonFlag = False


def register(app: typer.Typer) -> None:
    """Add the command of this module to `app`."""
    app.command("certify", epilog="Example: focusrail certify frames/ -o coverage.png")(with_flags(certify, _Asked))


def certify(asked: _Asked) -> Reply:
    """Judge a stack from its pictures: step against depth of field, planes that no frame shows sharp, ends cut off, spoilt frames."""
    from capture.focus.coverage_picture import draw_coverage
    from capture.focus.pictures import DofFrom, judge_pictures
    from stacking.writers import PNG_SUFFIXES, check_target

    if asked.dof is not None and not asked.dof > 0:
        raise UsageError("a depth of field is greater than zero", remedy="Give it for example as --dof 45.")
    if asked.output is not None:
        check_target(asked.output, force=asked.force, suffixes=PNG_SUFFIXES)
    try:
        with StackingProgress() as progress:
            dof, dof_from = asked.dof, DofFrom.GIVEN
            if dof is None:
                dof, dof_from = _known_dof(asked.paths), DofFrom.SESSION
            judged = judge_pictures(asked.paths, progress, dof=dof, dof_from=dof_from)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "interrupted", state="Nothing was written.", remedy="Start the same command again."
        ) from None
    values = judged.values()
    values["map"] = None
    lines = _words(judged)
    if asked.output is not None:
        try:
            draw_coverage(asked.output, judged.certificate, judged.positions, judged.thumbs)
        except OSError as error:
            raise UsageError(
                f"{asked.output} cannot be written: {error.strerror or error}", remedy="Choose another place with -o."
            ) from error
        values["map"] = str(asked.output.resolve())
        lines.append(f"map: {asked.output}")
    return Reply(values, lines)


def _known_dof(paths: list[Path]) -> float | None:
    """Depth of field that a session was certified by, um: it may know the optics. None: the pictures tell it."""
    if len(paths) != 1:
        return None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        manifest = json.loads((paths[0] / "manifest.json").read_text(encoding="utf-8"))
        if "near_um" in manifest["plan"]:
            return float(manifest["coverage"]["dof_um"])
    return None


def _words(judged: PicturesJudged) -> list[str]:
    found, share = judged.certificate, judged.step_share
    unit = "um" if judged.unit == "um" else "frames"
    lines = [f"left out: {path}: {reason}" for path, reason in judged.left_out]
    if share is None or found.dof is None:
        why = judged.growth.why or "the bands of texture disagree"
        lines.append(f"{len(judged.files)} frames: the depth of field cannot be told from them ({why}); give --dof")
    else:
        verdict = "too coarse" if share > 1 else "just enough" if share > _TIGHT_SHARE else "safe"
        source = f"confidence {judged.confidence:.2f}" if judged.confidence is not None else _SOURCES[judged.dof_from]
        lines.append(
            f"{len(judged.files)} frames, step {judged.step:.3g} {unit}, depth of field {found.dof:.3g} {unit} "
            f"({source}): the step is {share:.2f} depths of field, {verdict}"
        )
    words = {True: "every textured plane is in focus in a frame", False: "NOT covered", None: "coverage: not judged"}
    lines.append(words[found.passed])
    lines += [f"gap: {gap.near:g} to {gap.far:g} {unit}, {gap.blocks} blocks" for gap in found.gaps]
    lines += [f"note: {note}" for note in judged.notes]
    lines += [f"{path.name}: {reason}" for path, reason in judged.doubtful.items()]
    return lines
