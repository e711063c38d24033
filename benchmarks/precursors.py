"""How many syntheses it takes to find a target's good ones, with and without chemistry.

    python benchmarks/precursors.py --data ../shared/datasets/ybco [--seeds 50] [--virtual 20]

Recorded YBa2Cu3O7 syntheses (47 precursor sets, four temperatures), then three virtual worlds with
the same code and settings. Writes benchmarks/results/precursors.md beside this file. With --memory
FILE runs that were made are not made again, so that it may be run in pieces.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from precursors_kit import policies
from precursors_kit.reaction_table import TABLE_NAME, forces_of, read_set_energies
from precursors_kit.runs import Memory, Run, run
from precursors_kit.worlds import LOG_NAME, RecordedSyntheses, VirtualSyntheses

from matlab_ros.chemistry.driving_forces import DrivingForces
from matlab_ros.chemistry.thermodynamics import Thermodynamics
from matlab_ros.model.campaign_config import load_campaign
from matlab_ros.planning.space_config import space_of
from matlab_ros.planning.synthesis import synthesis_of
from matlab_ros.share import config_file
from matlab_ros.virtual.reactions import load_chemistry
from matlab_ros.virtual.recorded import load_recorded

RESULT = Path(__file__).resolve().parent / "results" / "precursors.md"
TABLE_TARGET = "YBa2Cu3O6.5"
"""Target of the table of reaction energies."""
VIRTUAL = (
    ("MgTiO3", "demo", "mg_ti_o"),
    ("Li4Ti5O12", "lithium_titanate", "li_ti_o"),
    ("ZnTiO3", "zinc_titanate", "zn_ti_o"),
)
MOST = 40
"""Experiments in a virtual world."""
EARLY = 20
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "botorch", "reaction-network")

Make = Callable[[], policies.Policy]


def main() -> int:
    """Run what is missing and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the recorded syntheses")
    parser.add_argument("--seeds", type=int, default=50, help="on the recorded syntheses")
    parser.add_argument("--virtual", type=int, default=20, help="seeds in each virtual world")
    parser.add_argument("--bayesian", type=int, default=50, help="seeds of plain Bayesian planning")
    parser.add_argument("--memory", type=Path, help="file that remembers runs")
    parser.add_argument("--only", action="append", help="policies to run; all that ran are written")
    options = parser.parse_args()
    memory = Memory(options.memory)
    wanted = options.only
    lines = list(recorded(options, memory, wanted)) + list(virtual(options, memory, wanted))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text("\n".join([*head(), *lines, *notes()]) + "\n", encoding="utf-8")
    return 0


def head() -> Iterator[str]:
    """Title, versions, protocol."""
    yield "# Precursors: how many syntheses until the good ones are found"
    yield ""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    yield f"Python {platform.python_version()}, {packages}; one thread; one suggestion at a time."
    yield ""


def recorded(
    options: argparse.Namespace, memory: Memory, only: Sequence[str] | None
) -> Iterator[str]:
    """The recorded syntheses."""
    file = config_file("campaigns", "ybco")
    config = load_campaign(file)
    synthesis = synthesis_of(config)
    assert synthesis is not None
    table = load_recorded(options.data, config, file)
    world = RecordedSyntheses("ybco", space_of(config), synthesis, table, options.data / LOG_NAME)
    rows = read_set_energies(options.data / TABLE_NAME)
    measured = Thermodynamics.default()
    exact = forces_of(rows, TABLE_TARGET, measured)

    def off(seed: int) -> DrivingForces:
        return forces_of(rows, TABLE_TARGET, measured, seed)

    many = range(1, options.seeds + 1)
    few = range(1, options.bayesian + 1)
    plan: list[tuple[str, Sequence[int], Callable[[int], policies.Policy]]] = [
        ("random", many, lambda _: policies.random()),
        ("driving force, 600 to 900 C", [1], lambda _: policies.driving_force_first(exact)),
        ("hottest first", [1], lambda _: policies.hottest_first(exact)),
        ("hottest first, energies off", many, lambda seed: policies.hottest_first(off(seed))),
        ("random forest + UCB", many, lambda _: policies.random_forest()),
        ("Bayesian", few, lambda _: policies.bayesian()),
        ("learned chemistry", many, lambda _: policies.chemistry(exact)),
        ("both", many, lambda _: policies.both(exact)),
        ("both, energies off", many, lambda seed: policies.both(off(seed))),
    ]
    pure = table.pure_count
    yield "## Recorded YBa2Cu3O7 syntheses"
    yield ""
    yield (
        f"{table.size} experiments, {pure} of them pure, all of these at 900 C; phases are known "
        f"of {world.logged} and told only once such an experiment was chosen. Experiments until "
        f"the first and until all {pure}: median (smallest to largest)."
    )
    yield ""
    yield f"| policy | seeds | first pure | all {pure} | processor s per suggestion |"
    yield "|---|---|---|---|---|"
    for name, seeds, make in plan:
        runs = list(_runs(world, name, seeds, make, memory, only, table.size, pure))
        if runs:
            first = [item.first or table.size for item in runs]
            last = [_all(item, pure, table.size) for item in runs]
            spent = statistics.mean(item.seconds for item in runs)
            yield f"| {name} | {len(runs)} | {_range(first)} | {_range(last)} | {spent:.3f} |"
    yield ""


def virtual(
    options: argparse.Namespace, memory: Memory, only: Sequence[str] | None
) -> Iterator[str]:
    """The virtual worlds, with the energies that come with the package."""
    forces = DrivingForces(Thermodynamics.default())
    plan: list[tuple[str, Make]] = [
        ("random", policies.random),
        ("driving force, cold to hot", lambda: policies.driving_force_first(forces)),
        ("hottest first", lambda: policies.hottest_first(forces)),
        ("random forest + UCB", policies.random_forest),
        ("Bayesian", policies.bayesian),
        ("learned chemistry", lambda: policies.chemistry(forces)),
        ("both", lambda: policies.both(forces)),
    ]
    yield "## Virtual worlds"
    yield ""
    yield (
        "Six sets, temperature in steps of 5 C, dwell without steps; weighing, mixing, furnace "
        f"and diffraction have their scatter. {MOST} experiments. Near-best: truly at least 95 % "
        "of the best yield that a survey without scatter finds."
    )
    yield ""
    for title, campaign, chemistry in VIRTUAL:
        config = load_campaign(config_file("campaigns", campaign))
        powders = load_chemistry(config_file("chemistry", chemistry))
        rows = []
        best = near = 0.0
        for name, make in plan:
            runs = []
            for seed in range(1, options.virtual + 1):
                world = VirtualSyntheses(campaign, config, powders, seed)
                best, near = world.survey.best[0], world.survey.near_best
                found = _runs(world, name, [seed], lambda _, m=make: m(), memory, only, MOST, None)
                runs += list(found)
            if runs:
                first = [item.first or MOST + 1 for item in runs]
                early = statistics.median(item.best[EARLY - 1] for item in runs)
                late = statistics.median(item.best[-1] for item in runs)
                missed = sum(item.first is None for item in runs)
                rows.append(
                    f"| {name} | {len(runs)} | {_range(first)} | {missed} | {early:.3f} | "
                    f"{late:.3f} |"
                )
        yield f"### {title}: best yield {best:.3f}, {near:.1%} of the survey near it"
        yield ""
        yield (
            f"| policy | seeds | first near-best ({MOST + 1}: not found) | runs without | "
            f"best seen after {EARLY} | after {MOST} |"
        )
        yield "|---|---|---|---|---|---|"
        yield from rows
        yield ""


def notes() -> Iterator[str]:
    """What the figures are worth."""
    yield "## What these figures are worth"
    yield ""
    yield (
        "- `both` and `learned chemistry` know before the first experiment: the sets, reaction "
        "energies of the table (YBCO_Rxn_TD.csv), tabulated energies of single compounds, and that "
        "hotter is faster. `energies off`: every compound's energy is wrong by a draw of 24 "
        "meV/atom, the error of such calculations; the seeds of `both` alone change the draws of "
        "hyperparameters and how ties are broken."
    )
    yield (
        "- The aim was the first pure one within 3 and all ten within 35 at the median. The first "
        "is met where the energies are right; all ten are not. 33 experiments at 900 C are without "
        "BaCO3 and hold all ten; `both` spends three to seven more on BaCO3 and four or five on "
        "colder furnaces (seeds 1 to 3) before it has them."
    )
    yield (
        "- Not out of sample. The form of both policies (which physical features, how the "
        "covariance is put together, what an experiment is worth, the goal of 97 wt%, the sizes "
        "0.2 of a powder that holds its gas and 0.05 of learned ways, the order in which "
        "`learned chemistry` ranks and where it puts what it skips) was chosen among some "
        "thirty-five forms by runs of mostly four to eight seeds on the recorded table, the seeds "
        "among those above. "
        "One of the forms that were not taken, with an upper confidence bound, had a median of 35 "
        "in five runs (34 to 43); its neighbours ranged up to 58, so it was taken for luck."
    )
    yield (
        "- That the first pure one is the second experiment of every seed is one fact, not fifty: "
        "the first two experiments are ranked without chance, and that driving force breaks ties "
        "was decided with the table in view. With energies off it is spread."
    )
    yield (
        "- Of the virtual worlds MgTiO3 was looked at meanwhile, and it was in mind when two "
        "experiments and not four were ranked at the start. Nothing was changed after the runs "
        "in the other two."
    )
    yield (
        "- Reactions seen in the campaign itself, as a third way in which sets may be alike, did "
        "not make `both` better on the recorded table (medians of 40 with and 39 without, six "
        "seeds of an earlier form): at 900 C nearly all intermediates are gone, and what is left "
        "are products. They are kept small in the prior, and matter to `learned chemistry` and to "
        "the reasons given."
    )
    yield (
        "- Rows with fewer seeds than others, and missing ones, were not run for want of processor "
        "time; processor seconds were taken on a busy machine."
    )
    yield (
        "- `learned chemistry` alone begins at the hottest temperature and looks at five "
        "temperatures only. Where the target falls apart when it is too hot it is no planner, "
        "but an adviser on sets."
    )
    yield (
        "- Many sets of the table with CuCO3 have the yields of the same set with CuO: who knows "
        "that the carbonate becomes the oxide has the one for the other."
    )
    yield (
        "- The virtual worlds are ours. Their rate laws come from cited sources as far as such "
        "exist, but a world in which hotter is faster suits a planner that believes it."
    )


def _runs(
    world: RecordedSyntheses | VirtualSyntheses,
    name: str,
    seeds: Sequence[int],
    make: Callable[[int], policies.Policy],
    memory: Memory,
    only: Sequence[str] | None,
    most: int,
    wanted: int | None,
) -> Iterator[Run]:
    for seed in seeds:
        made = memory.get(world.name, name, seed)
        if made is None and (only is None or name in only):
            made = run(world, name, make(seed), seed, most, wanted)
            memory.add(made)
            end = made.wanted_at[-1] if made.wanted_at else None
            print(world.name, name, seed, made.first, end, flush=True)
        if made is not None:
            yield made


def _all(item: Run, pure: int, size: int) -> int:
    return item.wanted_at[-1] if len(item.wanted_at) == pure else size


def _range(values: Sequence[int]) -> str:
    return f"{statistics.median(values):g} ({min(values)} to {max(values)})"


if __name__ == "__main__":
    sys.exit(main())
