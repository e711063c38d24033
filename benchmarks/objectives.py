"""How many experiments objectives, thresholds, costs and learning save, against random choice.

    python benchmarks/objectives.py [--seeds 5] [--only front,learning]

All worlds are functions, so no data are needed. Every comparison runs in the same process with the
same seeds; random choice is the competitor, and where there is one, the way without the feature.
Writes benchmarks/results/objectives.md beside this file and prints the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from botorch.utils.multi_objective.hypervolume import Hypervolume

from matlab_ros.planning import (
    Campaign,
    CampaignPlan,
    CategoricalDimension,
    ContinuousDimension,
    Direction,
    EarlierCampaign,
    Goal,
    Measured,
    Objective,
    Objectives,
    Observation,
    ObservationStatus,
    SearchSpace,
    Selection,
    Settings,
)
from matlab_ros.planning.objectives import is_non_dominated

RESULT = Path(__file__).resolve().parent / "results" / "objectives.md"
PACKAGES = ("matlab_ros", "botorch", "gpytorch", "torch", "numpy")
ACQUISITIONS = ("logei", "qlognei", "ucb", "thompson", "knowledge_gradient")
Outcomes = dict[str, float]
World = Callable[[Settings], Outcomes]

BRANIN = SearchSpace((ContinuousDimension("x", -5, 10), ContinuousDimension("y", 0, 15)))
FURNACE = SearchSpace(
    (
        CategoricalDimension("powder", ("coarse", "fine")),
        ContinuousDimension("temperature_c", 700, 1200),
        ContinuousDimension("dwell_h", 1, 24, log=True),
    )
)
LIMITED = Objectives(
    (Objective("target_fraction"), Objective("furnace_h", Goal.AT_MOST, threshold=16))
)
FRONT = Objectives((Objective("target_fraction"), Objective("furnace_h", Goal.MINIMIZE)))


def branin(settings: Settings) -> Outcomes:
    """Logarithm of Branin's function; its least value is log 0.398."""
    x, y = settings.number("x"), settings.number("y")
    bent = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return {"objective": math.log(bent**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)}


def synthesis(settings: Settings, shift: float = 0.0) -> Outcomes:
    """A yield that falls on either side of 1000 C and rises with time, and the furnace's hours."""
    heat, dwell = settings.number("temperature_c"), settings.number("dwell_h")
    fine = 1.0 if settings.choice("powder") == "fine" else 0.85
    done = 1 - math.exp(-dwell / 6)
    return {
        "objective": fine * done * math.exp(-(((heat - 1000 - shift) / 120) ** 2)),
        "furnace_h": dwell + heat / 100,
    }


def observed(number: int, settings: Settings, found: Outcomes) -> Observation:
    """An experiment as a campaign learns it."""
    rest = {name: Measured(value) for name, value in found.items() if name != "objective"}
    return Observation(
        f"e{number:03d}",
        settings,
        ObservationStatus.MEASURED,
        found["objective"],
        outcomes=rest,
    )


def run(plan: CampaignPlan, world: World, count: int) -> Campaign:
    """A campaign of so many experiments, one at a time."""
    campaign = Campaign(plan)
    for number in range(count):
        settings = campaign.suggest(1)[0].settings
        campaign.report(observed(number, settings, world(settings)))
    return campaign


def at_random(plan: CampaignPlan, world: World, count: int) -> Campaign:
    """The same at random, judged by the same plan."""
    settings = plan.space.sample(count, np.random.default_rng(plan.seed))
    return Campaign(plan, [observed(n, item, world(item)) for n, item in enumerate(settings)])


def options(name: str) -> Settings:
    """Of the method, with an acquisition."""
    return Settings({"acquisition": name})


def median(values: list[float], digits: int = 2) -> str:
    """With the smallest and largest."""
    return (
        f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}, "
        f"{max(values):.{digits}f}]"
    )


def acquisitions(seeds: int) -> Iterator[str]:
    """Branin's minimum after 24 experiments by each acquisition."""
    yield "## Acquisitions: Branin after 24 experiments (6 of them space-filling)\n"
    yield "| acquisition | lowest value (least possible 0.40) | processor s per suggestion |"
    yield "|---|---|---|"
    for name in ACQUISITIONS:
        found, began = [], time.process_time()
        for seed in range(seeds):
            plan = CampaignPlan(BRANIN, Direction.MINIMIZE, seed=seed, options=options(name))
            best = run(plan, branin, 24).best()
            found.append(math.exp(best.objective) if best else math.nan)
        spent = (time.process_time() - began) / (18 * seeds)
        yield f"| {name} | {median(found)} | {spent:.2f} |"
    found = []
    for seed in range(seeds):
        best = at_random(CampaignPlan(BRANIN, Direction.MINIMIZE, seed=seed), branin, 24).best()
        found.append(math.exp(best.objective) if best else math.nan)
    yield f"| random | {median(found)} | |"


def volume(campaign: Campaign) -> float:
    """That the front dominates, over no yield in 30 hours."""
    gains = FRONT.gains(campaign.observations)
    front = torch.as_tensor(gains[is_non_dominated(gains)])
    return float(Hypervolume(torch.tensor([0.0, -30.0])).compute(front))


def front(seeds: int) -> Iterator[str]:
    """Volume of a Pareto front, beside random choice with more experiments."""
    yield "\n## Two objectives: yield and furnace hours, volume that the front dominates\n"
    yield "| method | experiments | volume | processor s per suggestion |"
    yield "|---|---|---|---|"
    found, began = [], time.process_time()
    for seed in range(seeds):
        plan = CampaignPlan(FURNACE, selection=Selection(objectives=FRONT), seed=seed)
        found.append(volume(run(plan, synthesis, 16)))
    spent = (time.process_time() - began) / (10 * seeds)
    yield f"| qLogNEHVI | 16 | {median(found)} | {spent:.2f} |"
    for count in (16, 64, 256):
        plans = [CampaignPlan(FURNACE, seed=seed) for seed in range(seeds)]
        values = [volume(at_random(plan, synthesis, count)) for plan in plans]
        yield f"| random | {count} | {median(values)} | |"


def thresholds(seeds: int) -> Iterator[str]:
    """Experiments beyond a threshold, with and without being told of it."""
    yield "\n## A threshold: at most 16 furnace hours (44 % of the space has more)\n"
    yield "| method | of 10 experiments beyond it | best yield within it |"
    yield "|---|---|---|"
    for label, selection, name in (
        *((name, Selection(objectives=LIMITED), name) for name in ACQUISITIONS),
        ("qlognei, not told", Selection(), "qlognei"),
    ):
        missed, best = [], []
        for seed in range(seeds):
            plan = CampaignPlan(FURNACE, selection=selection, seed=seed, options=options(name))
            campaign = run(plan, synthesis, 16)
            missed.append(
                float(sum(not LIMITED.is_success(item) for item in campaign.observations[6:]))
            )
            within = [item for item in campaign.observations if LIMITED.is_success(item)]
            best.append(max((item.objective for item in within), default=0.0))
        yield f"| {label} | {median(missed, 0)} | {median(best)} |"


def learning(seeds: int) -> Iterator[str]:
    """Error of the model over the space, by how its experiments were chosen."""
    yield "\n## Learning: error of the model over the space after 18 experiments\n"
    yield "| chosen by | root of mean squared error |"
    yield "|---|---|"
    asked = FURNACE.sample(300, np.random.default_rng(99))
    features = FURNACE.features(asked)
    truth = np.array([synthesis(item)["objective"] for item in asked])
    for name in ("integrated_variance", "uncertainty", "qlognei", "random"):
        errors = []
        for seed in range(seeds):
            plan = CampaignPlan(FURNACE, seed=seed, options=options("qlognei"))
            if name == "random":
                campaign = at_random(plan, synthesis, 18)
            else:
                campaign = run(dataclasses.replace(plan, options=options(name)), synthesis, 18)
            errors.append(error(campaign, features, truth))
        yield f"| {name} | {median(errors, 3)} |"


def error(campaign: Campaign, features: np.ndarray, truth: np.ndarray) -> float:
    """Of a process fitted to a campaign."""
    from matlab_ros.planning.models import fit_surrogate

    known = campaign.observations
    surrogate = fit_surrogate(
        campaign.plan.space,
        campaign.plan.space.features(item.settings for item in known),
        np.array([item.objective for item in known]),
        np.array([item.sigma for item in known]),
        1.0,
        0,
    )
    return float(np.sqrt(np.mean((surrogate.predict(features)[0] - truth) ** 2)))


def earlier(seeds: int) -> Iterator[str]:
    """The best of few experiments with and without an earlier campaign whose optimum is shifted."""
    yield "\n## An earlier campaign of 24 experiments, whose best temperature is 30 degrees lower\n"
    yield "| model | best yield after 6 experiments, 3 of them space-filling |"
    yield "|---|---|"
    alone, taught = [], []
    for seed in range(seeds):
        settings = FURNACE.sample(24, np.random.default_rng(seed + 100))
        known = tuple(observed(n, item, synthesis(item, -30.0)) for n, item in enumerate(settings))
        for values, selection in (
            (alone, Selection()),
            (taught, Selection(earlier=(EarlierCampaign("before", known),))),
        ):
            plan = CampaignPlan(FURNACE, selection=selection, seed=seed, initial_experiments=3)
            best = run(plan, synthesis, 6).best()
            values.append(best.objective if best else math.nan)
    yield f"| alone | {median(alone)} |"
    yield f"| multi-task | {median(taught)} |"


PARTS = {
    "acquisitions": acquisitions,
    "front": front,
    "thresholds": thresholds,
    "learning": learning,
    "earlier": earlier,
}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="of each campaign, from 0 on")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    given = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        "# Objectives, thresholds and learning against random choice\n",
        f"Written by benchmarks/objectives.py, seeds 0 to {given.seeds - 1}. "
        f"Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in PACKAGES)
        + ". Median [smallest, largest] over the seeds.\n",
    ]
    print("\n".join(lines), flush=True)
    for name in given.only.split(","):
        for line in PARTS[name](given.seeds):
            print(line, flush=True)
            lines.append(line)
    lines.append(
        "\nWhat falls short: the worlds are smooth functions of two and three parameters, not "
        "laboratories; few seeds; processor seconds were taken on a busy machine."
    )
    if set(given.only.split(",")) == set(PARTS):
        RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
