"""How long a suggestion of four takes on a synthesis space, beside BoTorch's own optimisers.

    python benchmarks/suggestion_time.py [--sizes 50 200 500 2000] [--draws 2] [--rivals 500]
        [--rival-draws 1] [--outside PYTHON]

Four fractions that add up to one, a temperature, a logarithmic dwell and one of four atmospheres;
three experiments are under way. On one fitted model everybody makes the same acquisition large, and
the worth of the four points together is computed by BoTorch's for all. Then whole suggestions, with
fitting, and furnace batches. `--outside` is a Python with BayBE and Ax. Writes
benchmarks/results/suggestion_time.md and prints the same.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from botorch.acquisition import AcquisitionFunction
from suggestion_kit import rivals
from suggestion_kit.problem import SHARED, SPACE, History, history

from matlab_ros.planning.cached_improvement import CachedImprovement, CachedProcess
from matlab_ros.planning.campaign import Campaign, CampaignPlan
from matlab_ros.planning.furnace_batches import choose_runs
from matlab_ros.planning.furnace_rules import FurnaceRules
from matlab_ros.planning.models import Surrogate, fit_surrogate
from matlab_ros.planning.optimise import choose
from matlab_ros.planning.settings import Settings

RESULT = Path(__file__).resolve().parent / "results" / "suggestion_time.md"
JUDGE_SAMPLES = 1024
OURS = "ours: pool, then L-BFGS-B in the box"
MIXED = "optimize_acqf_mixed, 4 restarts, 64 raw"
ALTERNATING = "optimize_acqf_mixed_alternating, 4 restarts, 64 raw"
RIVALS: dict[str, Callable[[_Case], torch.Tensor]] = {
    MIXED: lambda case: rivals.mixed(case.theirs(), 4, 64, case.draw),
    ALTERNATING: lambda case: rivals.alternating(case.theirs(), case.pending, 4, 64, case.draw),
}
FURNACE_OURS = "ours: shared and own parameters together"
FURNACE_RIVAL = "optimize_acqf, equalities between points, 4 restarts, 64 raw"


@dataclass
class Cells:
    """Seconds and worth of one way at one size."""

    seconds: list[float] = field(default_factory=list)
    worth: list[float] = field(default_factory=list)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 200, 500, 2000])
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--rivals", type=int, default=500, help="largest size for the others")
    parser.add_argument("--rival-draws", type=int, default=1)
    parser.add_argument("--outside", help="a Python that has BayBE and Ax")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    book = _Book(arguments)
    for size in arguments.sizes:
        for draw in range(arguments.draws):
            book.ours(_Case(size, draw))
            book.write()
    largest = [size for size in arguments.sizes if size <= arguments.rivals]
    for name in (MIXED, FURNACE_RIVAL, ALTERNATING):
        for size in largest:
            for draw in range(arguments.rival_draws):
                book.rival(name, _Case(size, draw))
                book.write()
    for planner in ("baybe", "ax") if arguments.outside else ():
        for size in largest:
            book.outside(arguments.outside, planner, size)
            book.write()
    print(RESULT.read_text(encoding="utf-8"))
    return 0


class _Case:
    """A campaign at one moment, with a process fitted to it and a judge of four points."""

    def __init__(self, size: int, draw: int) -> None:
        self.size, self.draw = size, draw
        self.past = history(size, draw)
        self.surrogate = _model(self.past)
        self.pending = torch.as_tensor(SPACE.features(item.settings for item in self.past.pending))
        self._judge = rivals.improvement(
            self.surrogate.gp, self.pending, 1000 + draw, JUDGE_SAMPLES
        )

    def worth(self, points: torch.Tensor) -> float:
        """Of four together."""
        with torch.no_grad():
            return float(self._judge(points.unsqueeze(0))[0])

    def theirs(self) -> AcquisitionFunction:
        """BoTorch's acquisition."""
        return rivals.improvement(self.surrogate.gp, self.pending, self.draw)

    def ours(self) -> CachedImprovement:
        """Our acquisition."""
        return CachedImprovement(CachedProcess(self.surrogate.gp), self.pending, self.draw)


class _Book:
    """What was measured, and its report."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._singles: dict[tuple[str, int], Cells] = {}
        self._furnace: dict[tuple[str, int], Cells] = {}
        self._whole: dict[tuple[str, int], Cells] = {}
        self._outside: dict[str, dict[int, float]] = {}

    def write(self) -> None:
        """What there is so far."""
        RESULT.write_text(self._report(), encoding="utf-8")

    def ours(self, case: _Case) -> None:
        """Our ways at one moment of a campaign."""
        _timed(self._whole, "Campaign.suggest(4), default method", case, lambda: _suggested(case))
        _timed(self._singles, OURS, case, lambda: _chosen(case), case.worth)
        _timed(self._furnace, FURNACE_OURS, case, lambda: _run(case), case.worth)

    def rival(self, name: str, case: _Case) -> None:
        """One of the others."""
        if name == FURNACE_RIVAL:
            _timed(
                self._furnace,
                name,
                case,
                lambda: rivals.shared_run(case.theirs(), 4, 64, case.draw),
                case.worth,
            )
        else:
            work = RIVALS[name]
            _timed(self._singles, name, case, lambda: work(case), case.worth)

    def outside(self, python: str, planner: str, size: int) -> None:
        """Processor seconds of another planner's whole suggestion."""
        script = Path(__file__).resolve().parent / "suggestion_kit" / "outside.py"
        result = subprocess.run(
            [python, str(script), planner],
            input=json.dumps(_rows(history(size, 0))),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        if result.returncode == 0:
            answer = json.loads(result.stdout.splitlines()[-1])
            self._outside.setdefault(answer["name"], {})[size] = answer["seconds"]
        else:
            last = (result.stderr.strip().splitlines() or ["no message"])[-1]
            print(f"{planner}, {size}: {last}", file=sys.stderr, flush=True)

    def _report(self) -> str:
        sizes, draws = self._arguments.sizes, self._arguments.draws
        packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "botorch", "scipy"))
        ratios = [
            f"{statistics.median(self._singles[MIXED, size].seconds) / own:.0f} at n = {size}"
            for size in sizes
            if (MIXED, size) in self._singles
            and (own := statistics.median(self._singles[OURS, size].seconds))
        ]
        lines = [
            "# How long a suggestion takes",
            "",
            "`python benchmarks/suggestion_time.py`: four fractions that add up to one, "
            "temperature, logarithmic dwell, one of four atmospheres; four suggestions with three "
            "under way. "
            f"Processor seconds on one core, median of {draws} draws (of the others "
            f"{self._arguments.rival_draws}, the same first ones; seeds 0 to "
            f"{draws - 1}); {packages}, Python {platform.python_version()}, "
            f"{platform.machine()}, a machine that does other things too: compare, do not quote.",
            "",
            "## Making one acquisition large on one model",
            "",
            "qLogNEI of our fitted process. In brackets, for each draw, the logarithm of the "
            f"improvement expected of the four together, by BoTorch's qLogNEI with {JUDGE_SAMPLES} "
            "draws for all ways. Not counted: fitting. Counted: setting up the acquisition. Empty: "
            "not measured in this run.",
            "",
            *_table(self._singles, sizes),
            "",
            f"Times faster than `optimize_acqf_mixed`: {'; '.join(ratios)}.",
            "",
            "## A furnace run of four",
            "",
            "Temperature, dwell and atmosphere shared.",
            "",
            *_table(self._furnace, sizes),
            "",
            "## Whole suggestions",
            "",
            "With fitting, as a campaign asks for them.",
            "",
            *_table(self._whole, sizes),
        ]
        if self._outside:
            lines += [
                "",
                "Other planners, one draw, their own models and settings, in their own process, "
                "without their loading:",
                "",
                "| | " + " | ".join(f"n = {size}" for size in sizes) + " |",
                "|---|" + "---|" * len(sizes),
            ]
            for name, row in self._outside.items():
                shown = [f"{row[n]:.1f} s" if n in row else "" for n in sizes]
                lines.append(f"| {name} | " + " | ".join(shown) + " |")
        lines += [
            "",
            "## What is done",
            "",
            "The simplex is a box (stick breaking), so L-BFGS-B takes the place of SLSQP; factors "
            "of the data's covariance are computed once and candidates cost matrix products; "
            "eight starts are refined together; later members of a batch look again only at what "
            "was good before. Above 512 experiments hyperparameters are fitted to 512 of them, "
            "while predictions use all (one Cholesky factorisation and its inverse).",
            "",
        ]
        return "\n".join(lines)


def _model(past: History) -> Surrogate:
    return fit_surrogate(
        SPACE,
        SPACE.features(item.settings for item in past.observations),
        np.array([item.objective for item in past.observations]),
        np.array([item.sigma for item in past.observations]),
        1.0,
        0,
    )


def _timed(
    cells: dict[tuple[str, int], Cells],
    name: str,
    case: _Case,
    work: Callable[[], torch.Tensor],
    judge: Callable[[torch.Tensor], float] | None = None,
) -> None:
    began = time.process_time()
    found = work()
    spent = time.process_time() - began
    here = cells.setdefault((name, case.size), Cells())
    here.seconds.append(spent)
    if judge is not None:
        here.worth.append(judge(found))


def _suggested(case: _Case) -> torch.Tensor:
    campaign = Campaign(CampaignPlan(SPACE, seed=case.draw), case.past.observations)
    found = campaign.suggest(rivals.Q, case.past.pending)
    return torch.as_tensor(SPACE.features(item.settings for item in found))


def _chosen(case: _Case) -> torch.Tensor:
    found = choose(
        SPACE,
        case.ours(),
        rivals.Q,
        taken=frozenset(),
        pending=[item.settings for item in case.past.pending],
        near=(_best(case.past),),
        rng=np.random.default_rng(case.draw),
    )
    return torch.as_tensor(SPACE.features(item for item, _ in found))


def _run(case: _Case) -> torch.Tensor:
    # So dear a run that all four share one, as they do in the other way.
    rules = FurnaceRules(SHARED, rivals.Q, 1e9)
    found = choose_runs(
        SPACE,
        rules,
        case.ours(),
        rivals.Q,
        taken=frozenset(),
        pending=case.past.pending,
        near=(_best(case.past),),
        rng=np.random.default_rng(case.draw),
    )
    return torch.as_tensor(SPACE.features(item for item, _ in found))


def _best(past: History) -> Settings:
    return max(past.observations, key=lambda item: item.objective).settings


def _rows(past: History) -> dict[str, object]:
    return {
        "observations": [{**item.settings, "yield": item.objective} for item in past.observations],
        "pending": [dict(item.settings) for item in past.pending],
    }


def _table(cells: dict[tuple[str, int], Cells], sizes: Sequence[int]) -> list[str]:
    lines = [
        "| | " + " | ".join(f"n = {size}" for size in sizes) + " |",
        "|---|" + "---|" * len(sizes),
    ]
    for name in dict.fromkeys(name for name, _ in cells):
        row = []
        for size in sizes:
            here = cells.get((name, size))
            if here is None:
                row.append("")
                continue
            shown = f"{statistics.median(here.seconds):.2f} s"
            if here.worth:
                shown += " (" + ", ".join(f"{worth:.2f}" for worth in here.worth) + ")"
            row.append(shown)
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
