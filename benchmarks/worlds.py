"""The virtual worlds: what there is to find, how fast they answer, and whether analysis sees it.

    python benchmarks/worlds.py [--patterns 16]

Writes benchmarks/results/worlds.md beside this file.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from matlab_ros.chemistry.formula import parse_formula
from matlab_ros.model.campaign_config import CampaignConfig, load_campaign
from matlab_ros.planning.replay import random_expectation
from matlab_ros.share import config_file, share_dir
from matlab_ros.virtual.diffraction import VirtualDiffractometer
from matlab_ros.virtual.landscape import Landscape, doses_mg, survey
from matlab_ros.virtual.network import Chemistry
from matlab_ros.virtual.reactions import load_chemistry
from matlab_ros.virtual.scan_programs import scan_program
from matlab_ros.virtual.synthesis import Firing, Product, synthesise
from matlab_ros.xrd.analyse import analyse
from matlab_ros.xrd.library import Library

RESULT = Path(__file__).resolve().parent / "results" / "worlds.md"
WORLDS = {
    "mg_ti_o": "demo",
    "li_ti_o": "lithium_titanate",
    "zn_ti_o": "zinc_titanate",
    "sr_ti_o": "strontium_titanate",
}
EXPERIMENTS = 1000
VISIBLE = 0.03
"""Phases of a smaller share are not asked for."""
NEVER = 0.01
"""A phase of a smaller share that is reported is a false one."""


@dataclass(frozen=True)
class World:
    """One system with its campaign."""

    name: str
    chemistry: Chemistry
    campaign: CampaignConfig

    @property
    def sets(self) -> tuple[tuple[str, ...], ...]:
        """Precursor sets of the campaign."""
        return tuple(item.substances for item in self.campaign.precursor_sets)

    def landscape(self) -> Landscape:
        """Yields over the campaign's search space."""
        temperature = self.campaign.parameter("temperature_c")
        return survey(
            self.chemistry,
            self.campaign.target.formula,
            self.sets,
            tuple(np.linspace(temperature.low, temperature.high, 27)),
            tuple(np.geomspace(0.5, 24.0, 13)),
        )

    def draw(self, count: int, seed: int) -> list[tuple[dict[str, float], Firing]]:
        """Experiments drawn evenly from the campaign's search space."""
        rng = np.random.default_rng(seed)
        temperature = self.campaign.parameter("temperature_c")
        drawn = []
        for _ in range(count):
            powders = self.sets[int(rng.integers(len(self.sets)))]
            heat = float(rng.uniform(temperature.low, temperature.high))
            dwell = float(np.exp(rng.uniform(np.log(0.5), np.log(24.0))))
            doses = doses_mg(self.chemistry, self.campaign.target.formula, powders)
            drawn.append((doses, Firing.hold(heat, dwell)))
        return drawn


def main() -> int:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patterns", type=int, default=16, help="analysed per world")
    options = parser.parse_args()
    worlds = [
        World(
            name,
            load_chemistry(config_file("chemistry", name)),
            load_campaign(config_file("campaigns", campaign)),
        )
        for name, campaign in WORLDS.items()
    ]
    lines = [
        "## Virtual worlds",
        "",
        f"Python {platform.python_version()}, numba {version('numba')}, numpy {np.__version__}; "
        "one thread, processor seconds, the best of three; seed 0.",
        "",
        "What there is to find in the search space of each world's campaign (precursor sets x 27 "
        "temperatures x 13 dwells of 0.5 to 24 h). 'Near' is the share of the space within 5 % of "
        "the best; 'random' the mean number of random choices until one of these; 'hottest' the "
        "best that the highest temperature gives; 'worst set' the best of the poorest precursors.",
        "",
        "| world | target | best | with | near | random | hottest | worst set | 1,000 "
        "experiments |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for world in worlds:
        lines.append(_found(world))
        print(lines[-1], flush=True)
    lines += [
        "",
        f"What the analysis makes of {options.patterns} products of random experiments in each "
        "world (8-minute scans of the virtual diffractometer, phases searched for by their "
        f"elements). Seen: of the phases with at least {100 * VISIBLE:g} wt%, those that were "
        f"reported. False: reported with less than {100 * NEVER:g} wt% in truth.",
        "",
        "| world | phases | seen | false | error of the target, root mean square | largest |",
        "|---|---|---|---|---|---|",
    ]
    for world in worlds:
        lines.append(_seen(world, options.patterns))
        print(lines[-1], flush=True)
    lines += [
        "",
        "Rates in these worlds are mostly assumed (each file says which): they are for teaching "
        "and testing planners, and predict no real synthesis.",
    ]
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


def _found(world: World) -> str:
    land = world.landscape()
    best, powders, temperature, dwell = land.best
    count = int((land.yields >= 0.95 * land.yields.max()).sum())
    chance = random_expectation(land.yields.size, count)
    worst = land.yields.max(axis=(1, 2)).min()
    seconds = min(_seconds(world) for _ in range(3))
    return (
        f"| {world.name} | {land.target} | {100 * best:.1f} % | {' + '.join(powders)}, "
        f"{temperature:.0f} C, {dwell:.1f} h | {100 * land.near_best:.1f} % | "
        f"{chance.first_mean:.0f} | {100 * land.hottest:.1f} % | {100 * worst:.1f} % | "
        f"{seconds:.2f} s |"
    )


def _seconds(world: World) -> float:
    drawn = world.draw(EXPERIMENTS, seed=0)
    synthesise(world.chemistry, *drawn[0])
    began = time.process_time()
    for number, (doses, firing) in enumerate(drawn):
        synthesise(world.chemistry, doses, firing, 0, number)
    return time.process_time() - began


def _seen(world: World, patterns: int) -> str:
    folder = share_dir() / "config" / "structures"
    library = Library(str(folder))
    species = world.chemistry.species
    optics = VirtualDiffractometer([folder], [item.phase for item in species], 0)
    of_phase = {item.phase: item for item in species}
    elements = {element for item in species for element in parse_formula(item.formula).elements}
    target = world.campaign.target.formula
    asked = seen = wrong = 0
    errors = []
    for number, (doses, firing) in enumerate(world.draw(patterns, seed=1)):
        product = synthesise(world.chemistry, doses, firing, 0, number)
        contents = [(of_phase[phase], 1000.0 * share) for phase, share in product.fractions.items()]
        pattern = optics.measure(
            contents,
            scan_program("10-100_8-minutes"),
            f"s{number}",
            hottest_c=float(firing.temperature_c.max()),
        )
        found = analyse(pattern, library, elements=elements)
        truth = _by_formula(product, world.chemistry)
        reported = {parse_formula(p.structure.formula).reduced for p in found.phases}
        asked += sum(share >= VISIBLE for share in truth.values())
        seen += sum(share >= VISIBLE and formula in reported for formula, share in truth.items())
        wrong += sum(truth.get(formula, 0.0) < NEVER for formula in reported)
        wanted = parse_formula(target).reduced
        error = sum(
            found.weight_fraction(p.structure.formula)
            for p in {p.structure.formula: p for p in found.phases}.values()
            if parse_formula(p.structure.formula).reduced == wanted
        ) - truth.get(wanted, 0.0)
        errors.append(error)
    rms = statistics.fmean(e * e for e in errors) ** 0.5
    return (
        f"| {world.name} | {asked} | {100 * seen / asked:.0f} % | {wrong} | "
        f"{100 * rms:.1f} wt% | {100 * max(map(abs, errors)):.1f} wt% |"
    )


def _by_formula(product: Product, chemistry: Chemistry) -> dict[str, float]:
    """Weight fractions by reduced formula: polymorphs count together."""
    formulas = {item.phase: parse_formula(item.formula).reduced for item in chemistry.species}
    found: dict[str, float] = {}
    for phase, share in product.fractions.items():
        found[formulas[phase]] = found.get(formulas[phase], 0.0) + share
    return found


if __name__ == "__main__":
    sys.exit(main())
