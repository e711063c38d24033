"""How long the demo campaign takes, where the time goes, and what it finds.

    python benchmarks/demo.py [--seeds 0,1,2]

Runs `matlab-ros demo` for each seed and writes benchmarks/results/demo.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from matlab_ros.lab import events as ev
from matlab_ros.lab.journal import JournalReader
from matlab_ros.monitor.from_journal import record_of

RESULT = Path(__file__).resolve().parent / "results" / "demo.md"
KINDS = ("dispense", "heat", "measure", "analyse", "transfer", "suggest")


def wall_by_kind(journal: JournalReader) -> dict[str, float]:
    """Wall seconds in which work of a kind was open; kinds overlap."""
    began: dict[str, tuple[str, datetime]] = {}
    asked: datetime | None = None
    total: dict[str, float] = defaultdict(float)
    for entry in journal.read():
        now, event = datetime.fromisoformat(entry.wall_time), entry.event
        if isinstance(event, ev.AttemptIntended):
            began[event.attempt_id] = (event.goal.TAG, now)
        elif isinstance(event, ev.AttemptEnded):
            kind, since = began[event.attempt_id]
            total[kind] += (now - since).total_seconds()
        elif isinstance(event, ev.SuggestionsRequested):
            asked = now
        elif isinstance(event, ev.SuggestionsReceived) and asked is not None:
            total["suggest"] += (now - asked).total_seconds()
    return total


def run(seed: int, folder: Path) -> str:
    """Run one demo; a row of the table."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    command = [sys.executable, "-m", "matlab_ros.cli", "demo", "--plain"]
    done = subprocess.run(
        [*command, "--seed", str(seed), "--results", str(folder)],
        stdout=subprocess.DEVNULL,
        check=False,
        timeout=900,
    )
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    journal = JournalReader(f"sqlite:///{folder}/demo/run/journal.sqlite")
    record = record_of(journal.read())
    open_s = wall_by_kind(journal)
    journal.close()
    values = [item.objective for item in record.measured() if item.objective is not None]
    days = record.duration_s / 86400
    cells = [
        str(seed),
        str(done.returncode),
        f"{len(values)}/{record.budget}",
        f"{100 * max(values, default=float('nan')):.1f} %",
        f"{days:.1f} d",
        f"{wall:.0f} s",
        f"{processor:.0f} s",
        *(f"{open_s[kind]:.0f}" for kind in KINDS),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Run the demos and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    head = ["seed", "exit code", "measured", "best yield", "in the lab", "wall", "processor"]
    head += [f"{kind} open / s" for kind in KINDS]
    lines = [
        "## The demo campaign",
        "",
        "`matlab-ros demo`: 28 experiments through all processes, from the command to the report. "
        "'Open' is the wall time in which work of a kind was under way; kinds overlap.",
        "",
        f"Python {platform.python_version()}, torch {version('torch')}, botorch "
        f"{version('botorch')}, eclipse-zenoh {version('eclipse-zenoh')}; {platform.machine()}, "
        f"{os.cpu_count()} cores, load average {load:.1f} before.",
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
    ]
    for seed in options.seeds.split(","):
        with tempfile.TemporaryDirectory() as folder:
            lines.append(run(int(seed), Path(folder)))
            print(lines[-1], flush=True)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
