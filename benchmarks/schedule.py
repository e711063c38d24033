"""How long the scheduler takes for a set of samples, beside simple rivals and a lower bound.

    python benchmarks/schedule.py [--only TEXT] [--no-report]

The real engine runs with simulated devices in virtual time, in this one process. Devices take
their nominal times, and every sample is known from the start. Writes
benchmarks/results/schedule.md beside this file.
"""

from __future__ import annotations

import argparse
import math
import platform
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from schedule_kit.bound import Bound, lower_bound, ways_of
from schedule_kit.cases import Case, ListPlanner, all_cases, held_out_cases
from schedule_kit.rivals import RIVALS

from matlab_ros.lab.engine import Engine
from matlab_ros.lab.goals import AnalyseOutcome, Goal, HeatGoal, Outcome
from matlab_ros.lab.journal import MemoryJournal
from matlab_ros.lab.state import ordinal_of
from matlab_ros.nodes.table_devices import Durations, TableDevices
from matlab_ros.nodes.table_lab import TableLab

RESULT = Path(__file__).resolve().parent / "results" / "schedule.md"
DURATIONS = Durations()


@dataclass(frozen=True)
class Grade:
    """What an analysis finds."""

    objective: float
    sigma: float = math.nan


class GradedDevices(TableDevices):
    """Table devices whose analyses find what the case says.

    Grades are lots: those of samples with equal settings are given to them in the order in which
    they are first fired. So no schedule can be lucky, and all have as many to fire again.
    """

    def __init__(self, case: Case) -> None:
        super().__init__(self, DURATIONS)
        self._kinds = [tuple(sorted(item.items())) for item in case.settings]
        self._lots: dict[object, list[float]] = {}
        for kind, grade in zip(self._kinds, case.grades, strict=True):
            self._lots.setdefault(kind, []).append(grade)
        self._grades: dict[str, float] = {}

    def begin(self, device: str, goal: Goal, now_ns: int) -> tuple[int, Outcome]:
        """See `Devices.begin`."""
        if isinstance(goal, HeatGoal):
            for name in goal.sample_ids:
                if name not in self._grades:
                    kind = self._kinds[ordinal_of(name.removesuffix("-s1")) - 1]
                    self._grades[name] = self._lots[kind].pop(0)
        return super().begin(device, goal, now_ns)

    def outcome(self, *arguments: object) -> Outcome | Grade:  # type: ignore[override]
        """A goal's outcome; of settings (as the table's world): what is overwritten anyway."""
        if len(arguments) == 1:
            return Grade(0.5)
        device, goal, now_ns, end_ns = arguments
        found: Outcome = super().outcome(device, goal, now_ns, end_ns)  # type: ignore[arg-type]
        if isinstance(found, AnalyseOutcome):
            return replace(found, target_fraction=self._grades[goal.sample_ids[0]])  # type: ignore[attr-defined]
        return found


@dataclass(frozen=True)
class Run:
    """One scheduler's way through a case."""

    makespan_s: float
    wall_s: float
    bound: Bound


def run(case: Case, rival: str) -> Run:
    """Run a case to its end."""
    began = time.perf_counter()
    journal = MemoryJournal(written=False)
    engine = Engine(case.lab, journal, make_scheduler=RIVALS[rival])
    table = TableLab(engine, GradedDevices(case), ListPlanner(case.settings))
    table.start(case.plan)
    finished = table.run()
    if finished.code:
        raise SystemExit(f"{case.name}, {rival}: {finished.message}")
    wall_s = time.perf_counter() - began
    ways = ways_of(journal.read(), DURATIONS.transfer_s)
    assert len(ways) == len(case.settings)
    bound = lower_bound(ways, case.lab, DURATIONS.transfer_s)
    return Run(engine.state.time_ns / 1e9, wall_s, bound)


def rows(cases: list[Case], only: str) -> list[str]:
    """A table's rows, printed as they come."""
    names = list(RIVALS)
    found = [
        "| case | lower bound | limited by | " + " | ".join(names) + " |",
        "|---|---|---|" + "---|" * len(names),
    ]
    print("\n".join(found))
    for case in cases:
        if only not in case.name:
            continue
        runs = {name: run(case, name) for name in names}
        bound = runs[names[0]].bound
        cells = [
            f"{item.makespan_s / 3600:.1f} h (+{item.makespan_s / bound.makespan_s - 1:.1%})"
            for item in runs.values()
        ]
        found.append(
            f"| {case.name} | {bound.makespan_s / 3600:.1f} h | {bound.by} | "
            + " | ".join(cells)
            + " |"
        )
        print(found[-1], flush=True)
    return found


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--no-report", action="store_true")
    given = parser.parse_args()
    tuned, held_out = rows(all_cases(), given.only), rows(held_out_cases(), given.only)
    if not given.no_report and not given.only:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(report(tuned, held_out), encoding="utf-8")
    return 0


def report(tuned: list[str], held_out: list[str]) -> str:
    """The page."""
    return "\n".join(
        [
            "# Makespan beside rivals and a lower bound",
            "",
            "`python benchmarks/schedule.py`: the real engine, simulated devices, virtual time.",
            f"Python {platform.python_version()}, {platform.machine()}. A transfer takes "
            f"{DURATIONS.transfer_s:g} s, a dose {DURATIONS.dose_s:g} s, a pattern "
            f"{DURATIONS.measure_s:g} s; furnaces fall by {DURATIONS.cooling_c_per_min:g} C/min.",
            "",
            "## Cases that the scheduler was made with",
            "",
            *tuned,
            "",
            "## Held out: nothing was tuned on them",
            "",
            *held_out,
            "",
            "In brackets: above the lower bound, which is the largest of: the longest way of one "
            "sample; each kind of station with its changes of crucibles, batches for furnaces, "
            "and the earliest arrival before and the shortest way behind it; furnaces with what "
            "they lose while their first runs are weighed and their last ones measured; the arms "
            "(proofs in `schedule_kit/bound.py`, checked against all schedules of small labs in "
            "`test/lab/test_schedule_bound.py`). No schedule may reach it. mixed: four profiles of "
            "2, 4 and 12 h; six others: of 1 to 20 h; all different: 40 temperatures.",
            "",
            "regrind: a sample is fired once or three times. Which of equal samples come again "
            "is settled by lots drawn in the order in which they are first fired: to a scheduler, "
            "which cannot know, that is the same as lots drawn with the samples, and none can be "
            "lucky. The bound knows how many there are, and when the i-th can be fired at the "
            "earliest.",
            "",
            "planned ahead: `matlab_ros.lab.scheduler`. greedy: those furthest first, furnaces "
            "start when nobody who is ready could join (as earlier versions did). FIFO: the "
            "same furnaces, the oldest request first. random: the same, drawn.",
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
