"""As many samples as the A-Lab made in 17 days, in virtual time through all real processes.

    python benchmarks/scale.py [--samples 350] [--seed 0] [--repeat] [--engine] [--limit 300]

Runs the campaign a_lab in the lab a_lab (four furnaces of eight, one dispenser, one arm, one
diffractometer), says how long it took and which process used the processors for it, and how fast
the lab manager sent its goals. With --repeat it runs twice and compares the journals byte for byte
but for wall-clock fields; with --engine it also queues 10,000 samples at the engine alone. Exits
with 1 where the campaign did not end well, took longer than --limit seconds or did not repeat
itself. Writes benchmarks/results/scale.md beside this file.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from matlab_ros.lab.codec import to_json
from matlab_ros.lab.journal import JournalReader
from matlab_ros.monitor.from_journal import record_of
from matlab_ros.nodes.lab_manager_timing import read_timings
from matlab_ros.share import config_file

RESULT = Path(__file__).resolve().parent / "results" / "scale.md"
ENGINE = Path(__file__).resolve().parent / "scale_engine.py"
PACE = ("analysis_time_s:=2400", "planning_time_s:=3600")
"""Virtual seconds that an analysis and a suggestion take. Time goes on beside them for as long, so
that both processors have something to do; where a sample takes most of a day it is not much."""
LOOK_S = 0.25
PATIENCE_S = 3600.0
READY_P50_MS, READY_P99_MS, COMPLETION_P99_MS = 10.0, 50.0, 100.0
COMPLETION = "AttemptFinished"
_NODE = re.compile(r"__node:=(\w+)")
_TICK = os.sysconf("SC_CLK_TCK")


class ProcessorUse:
    """Processor seconds of each process below one, looked at while they live.

    What a process uses after the last look, a quarter of a second at most, is missing.

    Args:
        root: process at the top.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._seconds: dict[int, float] = {}
        self._names: dict[int, str] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def by_name(self) -> dict[str, float]:
        """Seconds by node, the most first; ends the watching."""
        self._done.set()
        self._thread.join()
        total: dict[str, float] = defaultdict(float)
        for pid, seconds in self._seconds.items():
            total[self._names.get(pid, "other")] += seconds
        return dict(sorted(total.items(), key=lambda item: -item[1]))

    def _watch(self) -> None:
        while not self._done.wait(LOOK_S):
            self._look()

    def _look(self) -> None:
        children: dict[int, list[int]] = defaultdict(list)
        seconds: dict[int, float] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            pid = int(entry.name)
            children[int(fields[1])].append(pid)
            seconds[pid] = (int(fields[11]) + int(fields[12])) / _TICK
        waiting = [self._root]
        while waiting:
            pid = waiting.pop()
            waiting += children[pid]
            if pid in seconds:
                self._seconds[pid] = seconds[pid]
                name = self._name(pid)
                if name:
                    self._names[pid] = name

    def _name(self, pid: int) -> str:
        """What a process is; empty for one that has ended."""
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
        except OSError:
            return ""
        node = _NODE.search(words)
        if node is not None:
            return node[1]
        if pid == self._root:
            return "command line"
        for word, sign in (
            ("analyst", "analyst_process"),
            ("router", "pocket_ros.router"),
            ("launch", "cli launch"),
        ):
            if sign in words:
                return word
        return "other" if words else ""


@dataclass(frozen=True)
class Run:
    """One campaign as it went.

    Attributes:
        code: exit code.
        wall_s: from the command to its end.
        processor_s: of all processes.
        by_process: processor seconds of each.
        measured: experiments with a result.
        budget: experiments that were to be made.
        best: highest objective.
        days: in the lab.
        history: the journal without wall-clock fields.
        ready_ms: from hearing what made a goal due to having sent it.
        completion_ms: the same of goals that followed from a device's completion.
    """

    code: int
    wall_s: float
    processor_s: float
    by_process: dict[str, float]
    measured: int
    budget: int
    best: float
    days: float
    history: tuple[str, ...]
    ready_ms: tuple[float, ...]
    completion_ms: tuple[float, ...]


def run(samples: int, seed: int, folder: Path) -> Run:
    """Run the campaign once."""
    campaign = config_file("campaigns", "a_lab")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    command = [sys.executable, "-m", "matlab_ros.cli", "campaign", str(campaign), "--plain"]
    process = subprocess.Popen(
        [
            *command,
            *("--seed", str(seed), "--experiments", str(samples), "--results", str(folder)),
            *(word for item in PACE for word in ("--set", item)),
        ],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    use = ProcessorUse(process.pid)
    try:
        code = process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.terminate()
        code = process.wait()
    wall_s = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    run_dir = folder / "a_lab" / "run"
    journal = JournalReader(f"sqlite:///{run_dir}/journal.sqlite")
    record = record_of(journal.read())
    lines = history(journal, folder)
    journal.close()
    values = [item.objective for item in record.measured() if item.objective is not None]
    timings = read_timings(run_dir / "timing.csv")
    return Run(
        code,
        wall_s,
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        use.by_name(),
        len(values),
        record.budget,
        max(values, default=float("nan")),
        record.duration_s / 86400,
        lines,
        tuple(1e-6 * (item.sent_ns - item.heard_ns) for item in timings),
        tuple(
            1e-6 * (item.sent_ns - item.heard_ns) for item in timings if item.cause == COMPLETION
        ),
    )


def history(journal: JournalReader, folder: Path) -> tuple[str, ...]:
    """A journal's entries without wall-clock times and without the folder of its files, one line
    each: the digests of two runs can be compared wherever and whenever they ran."""
    return tuple(
        f"{entry.sequence} {entry.campaign} {entry.ros_time_ns} {entry.event.TAG} "
        f"{to_json(entry.event).replace(folder.as_uri(), 'results')}"
        for entry in journal.read()
    )


def digest(lines: Sequence[str]) -> str:
    """SHA-256 of a history."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def first_difference(one: Sequence[str], other: Sequence[str]) -> str:
    """Where two histories part, in words; empty where they do not."""
    for left, right in zip(one, other, strict=False):
        if left != right:
            return f"`{left[:200]}` and `{right[:200]}`"
    return "" if len(one) == len(other) else f"{len(one)} and {len(other)} entries"


def percentile(values: Sequence[float], percent: int) -> float:
    """A percentile of some values; NaN of fewer than two."""
    if len(values) < 2:
        return float("nan")
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def report(runs: Sequence[Run], seed: int, load: float, limit_s: float) -> list[str]:
    """The table's lines."""
    columns = ["samples", "exit code", "best yield", "in the lab", "journal", "digest"]
    columns += ["wall", f"limit {limit_s:.0f} s", "processor", "per sample"]
    lines = [
        "## The A-Lab's 17 days",
        "",
        "The campaign a_lab through all processes, from the command to the report: 4 furnaces of 8 "
        "crucibles, one dispenser, one arm, one diffractometer, the planner's Gaussian process, "
        "and a Rietveld fit of every pattern.",
        "",
        f"Virtual seconds that computing takes in it: {', '.join(PACE)}.",
        "",
        f"Seed {seed}. Python {platform.python_version()}, numpy {version('numpy')}, torch "
        f"{version('torch')}, botorch {version('botorch')}, numba {version('numba')}, "
        f"eclipse-zenoh {version('eclipse-zenoh')}; {platform.machine()}, {os.cpu_count()} cores, "
        f"load average {load:.1f} before.",
        "",
        _row(columns),
        _row(["---"] * len(columns)),
    ]
    for item in runs:
        lines.append(
            _row(
                [
                    f"{item.measured}/{item.budget}",
                    str(item.code),
                    f"{100 * item.best:.1f} %",
                    f"{item.days:.1f} d",
                    f"{len(item.history)} entries",
                    digest(item.history)[:12],
                    f"{item.wall_s:.0f} s",
                    "kept" if item.wall_s <= limit_s else "missed",
                    f"{item.processor_s:.0f} s",
                    f"{1000 * item.processor_s / max(item.measured, 1):.0f} ms",
                ]
            )
        )
    if len(runs) > 1:
        parted = first_difference(runs[0].history, runs[1].history)
        lines += ["", "Same seed, same journal, byte for byte: " + (parted or "yes") + "."]
    lines += ["", "Processor seconds of each process (of the last run):", ""]
    shares = list(runs[-1].by_process.items())
    lines += [_row([name for name, _ in shares]), _row(["---"] * len(shares))]
    lines.append(_row([f"{seconds:.1f}" for _, seconds in shares]))
    return lines + latency(runs[-1])


def latency(item: Run) -> list[str]:
    """The lines on how fast goals were sent."""
    lines = [
        "",
        "How fast goals were sent, on the steady clock of the lab manager: from its hearing what "
        "makes a step possible (a result, an answer of the planner, a moment that came) to the "
        "goal's being on the wire, its intent in the journal and on disk in between.",
        "",
        _row(["", "goals", "p50 / ms", "p99 / ms", "max / ms", "wanted"]),
        _row(["---"] * 6),
    ]
    for name, values, wanted in (
        ("ready to sent", item.ready_ms, f"p50 < {READY_P50_MS:g}, p99 < {READY_P99_MS:g}"),
        ("completion to next goal", item.completion_ms, f"p99 < {COMPLETION_P99_MS:g}"),
    ):
        figures = (percentile(values, 50), percentile(values, 99), max(values, default=0.0))
        lines.append(
            _row([name, str(len(values)), *(f"{figure:.1f}" for figure in figures), wanted])
        )
    return lines


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Run the campaign and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=350)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=300.0, help="wall seconds a run may take")
    parser.add_argument("--repeat", action="store_true", help="run twice and compare")
    parser.add_argument("--engine", action="store_true", help="also 10,000 samples at the engine")
    parser.add_argument("--out", type=Path, default=RESULT, help="where the tables go")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    runs = []
    with tempfile.TemporaryDirectory() as base:
        for number in range(2 if options.repeat else 1):
            runs.append(run(options.samples, options.seed, Path(base) / f"results_{number}"))
    lines = report(runs, options.seed, load, options.limit)
    well = all(item.code == 0 and item.wall_s <= options.limit for item in runs)
    well = well and len({item.history for item in runs}) == 1
    if options.engine:
        done = subprocess.run(
            [sys.executable, str(ENGINE)], stdout=subprocess.PIPE, text=True, check=False
        )
        well = well and done.returncode == 0
        lines += ["", done.stdout.strip()]
    text = "\n".join(lines) + "\n"
    print(text)
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text(text, encoding="utf-8")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
