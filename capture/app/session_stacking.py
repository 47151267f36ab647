"""Stacking a session's frames into its result folder."""

from __future__ import annotations

from typing import Any

from capture.app.progress import StackingProgress
from capture.errors import SessionError
from capture.session.folder import SessionFolder
from capture.session.records import EventKind
from stacking.options import StackOptions

RESULT_NAME = "stacked.tif"


def stack_session(folder: SessionFolder, options: StackOptions, name: str = RESULT_NAME) -> dict[str, Any]:
    """Stack a session's accepted frames into its result folder, and record that."""
    from stacking.engine import stack_pictures

    if not folder.accepted():
        raise SessionError(f"{folder.path} holds no accepted frame", remedy="Shoot the session again.")
    result = folder.result_path / name
    with StackingProgress() as progress:
        report = stack_pictures([folder.path], result, options, progress)
    values = report.values()
    folder.journal.record(EventKind.STACKED, result=f"result/{name}", frames_used=values["frames_used"])
    folder.write_manifest()
    return values
