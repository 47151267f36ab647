"""The command line of campaigns: ``python -m tests.... FOLDER FIRST COUNT`` runs so many seeds from FIRST on."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def main(campaign: Callable[[Path, range], Iterator[Record]], summed: Callable[[Record], str] | None = None) -> None:
    """Print one line of JSON for each record of `campaign`, as they come, then how many there were of each kind that `summed` names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    sums: Counter[str] = Counter()
    for record in campaign(asked.folder, range(asked.first, asked.first + asked.count)):
        if summed is not None:
            sums[summed(record)] += 1
        sys.stdout.write(json.dumps(record) + "\n")
        sys.stdout.flush()
    if sums:
        sys.stdout.write(json.dumps(sums) + "\n")
