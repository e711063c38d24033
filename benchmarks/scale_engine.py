"""How a scheduling decision's time grows with the number of queued samples.

`measure` queues n samples in a lab of the A-Lab's stations with a crucible for each of them, lets
the real engine run for some hundred events in virtual time, and times each. `fit` gives the
exponent over several n. By itself it prints a table:

    python benchmarks/scale_engine.py
"""

from __future__ import annotations

import gc
import math
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from schedule_kit.cases import ListPlanner, grown, make_case

from matlab_ros.lab.engine import Engine
from matlab_ros.lab.events import AttemptIntended
from matlab_ros.lab.journal import JournalEntry, MemoryJournal
from matlab_ros.nodes.table_devices import TableDevices
from matlab_ros.nodes.table_lab import TableLab

SIZES = (100, 1000, 10_000)
EVENTS = 600
"""Inputs that are timed, after as many that are not."""


@dataclass(frozen=True)
class Scale:
    """What was measured for one number of samples.

    Attributes:
        samples: queued at once.
        queueing_s: to take all of them in.
        decision_ms: median time of the engine for an input, over the attempts it began.
        slowest_ms: the slowest input.
        memory_mb: the process's largest so far.
    """

    samples: int
    queueing_s: float
    decision_ms: float
    mean_ms: float
    slowest_ms: float
    memory_mb: float


class _Nominal:
    objective = 0.5
    sigma = math.nan

    def outcome(self, settings: object) -> _Nominal:
        """Every sample becomes the same."""
        return self


def measure(samples: int, events: int = EVENTS) -> Scale:
    """Queue samples, run for a while, and time the engine.

    Args:
        samples: number of them.
        events: number of inputs that are timed.
    """
    case = make_case("scale", grown(crucibles=samples), "solid_state", "mixed", samples)
    began: list[JournalEntry] = []

    def note(entry: JournalEntry) -> None:
        if isinstance(entry.event, AttemptIntended):
            began.append(entry)

    engine = Engine(case.lab, MemoryJournal(written=False), note)
    table = TableLab(engine, TableDevices(_Nominal()), ListPlanner(case.settings))
    start = time.perf_counter()
    table.start(case.plan)
    while engine.state.campaign_in_flight_count() < samples:
        table.step()
    queueing_s = time.perf_counter() - start
    for _ in range(events):
        table.step()
    gc.collect()
    times = []
    for _ in range(events):
        before = len(began)
        start = time.perf_counter()
        if not table.step():
            break
        spent_ms = 1000.0 * (time.perf_counter() - start)
        if len(began) > before:
            times.append(spent_ms / (len(began) - before))
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    return Scale(
        samples,
        queueing_s,
        statistics.median(times),
        statistics.fmean(times),
        max(times),
        memory_mb,
    )


def fit(found: Sequence[Scale]) -> float:
    """Exponent of the mean decision's time in the number of samples, by least squares of the
    logarithms."""
    xs = [math.log(item.samples) for item in found]
    ys = [math.log(item.mean_ms) for item in found]
    x_mean, y_mean = statistics.fmean(xs), statistics.fmean(ys)
    above = math.fsum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True))
    return above / math.fsum((x - x_mean) ** 2 for x in xs)


def table() -> list[str]:
    """All sizes as a table, with the exponent below."""
    lines = [
        "| queued samples | taken in | decision, median | mean | slowest | memory |",
        "|---|---|---|---|---|---|",
    ]
    found = []
    for samples in SIZES:
        item = measure(samples)
        found.append(item)
        lines.append(
            f"| {samples} | {item.queueing_s:.2f} s | {item.decision_ms:.2f} ms | "
            f"{item.mean_ms:.2f} ms | {item.slowest_ms:.0f} ms | {item.memory_mb:.0f} MB |"
        )
    lines.append("")
    lines.append(f"Mean time of a decision grows as n^{fit(found):.2f}.")
    return lines


def main() -> int:
    """Print the table."""
    print("\n".join(table()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
