"""The policies that are compared: simple ones that embarrass clever ones, and ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from matlab_ros.chemistry.driving_forces import DrivingForces
from matlab_ros.planning.baselines import RandomProposer
from matlab_ros.planning.chemistry_bayesian import ChemistryBayesianProposer
from matlab_ros.planning.chemistry_policy import ChemistryProposer
from matlab_ros.planning.proposer import Proposer, Request, derived_seed
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.synthesis import PRECURSORS, TEMPERATURE
from matlab_ros.planning.tried import random_free

Policy = Callable[[Request], Settings | None]
"""The next experiment, None when nothing is left."""

FOREST_STARTS = 5
FOREST_TREES = 60
FOREST_POOL = 512


def of_proposer(proposer: Proposer) -> Policy:
    """A method of the planner as a policy."""

    def choose(request: Request) -> Settings | None:
        found = proposer.propose(request)
        return found[0].settings if found else None

    return choose


def random() -> Policy:
    """Uniformly random."""
    return of_proposer(RandomProposer())


def driving_force_first(forces: DrivingForces) -> Policy:
    """Sets by falling driving force, each from the coldest to the hottest: ARROWS without learning.

    Spaces without an end take four temperatures, and other parameters at random.
    """
    return _in_order(forces, lambda rank, heat: (rank, heat))


def hottest_first(forces: DrivingForces) -> Policy:
    """The hottest temperature, sets by falling driving force; then the next temperature."""
    return _in_order(forces, lambda rank, heat: (-heat, rank))


def random_forest() -> Policy:
    """Random forest on powders and numbers, mean plus one standard deviation of the trees."""

    def choose(request: Request) -> Settings | None:
        rng = np.random.default_rng(derived_seed(request.seed, "forest"))
        left = random_free(request, rng, FOREST_POOL)
        if not left:
            return None
        if len(request.observations) < FOREST_STARTS:
            return left[0]
        forest = RandomForestRegressor(
            n_estimators=FOREST_TREES, random_state=int(rng.integers(2**31)), n_jobs=1
        )
        forest.fit(
            request.space.features([item.settings for item in request.observations]),
            [item.objective for item in request.observations],
        )
        features = request.space.features(left)
        trees = np.array([tree.predict(features) for tree in forest.estimators_])
        worth = trees.mean(axis=0) + trees.std(axis=0)
        return left[int(np.argmax(worth + 1e-9 * rng.random(len(worth))))]

    return choose


def bayesian() -> Policy:
    """Our Bayesian optimisation without chemistry."""
    from matlab_ros.planning.bayesian import BayesianProposer

    return of_proposer(BayesianProposer())


def chemistry(forces: DrivingForces) -> Policy:
    """Learned reactions alone."""
    return of_proposer(ChemistryProposer(forces))


def both(forces: DrivingForces) -> Policy:
    """Bayesian optimisation on learned chemistry."""
    return of_proposer(ChemistryBayesianProposer(forces))


def _in_order(forces: DrivingForces, order: Callable[[int, float], tuple[float, float]]) -> Policy:
    def choose(request: Request) -> Settings | None:
        space, synthesis = request.space, request.synthesis
        assert synthesis is not None
        heat = next(item for item in space.numeric if item.name == TEMPERATURE)
        hottest = heat.high
        by_set = {
            name: forces.of_set(synthesis.target, precursors, hottest) or 0.0
            for name, precursors in synthesis.sets
        }
        ranks = {name: i for i, name in enumerate(sorted(by_set, key=lambda name: by_set[name]))}
        rng = np.random.default_rng(derived_seed(request.seed, "order"))
        rows = space.table or _levels(request, list(by_set), rng)
        left = [row for row in rows if space.key(row) not in request.taken]
        if not left:
            return None
        # Where there is no end of experiments, every set and temperature has its turn again.
        turns: dict[tuple[str, float], int] = {}
        if space.table is None:
            for item in request.observations:
                asked = item.requested or item.settings
                cell = asked.choice(PRECURSORS), asked.number(TEMPERATURE)
                turns[cell] = turns.get(cell, 0) + 1

        def place(row: Settings) -> tuple[float, ...]:
            cell = row.choice(PRECURSORS), row.number(TEMPERATURE)
            first, second = order(ranks[cell[0]], cell[1])
            turn = float(turns.get(cell, 0))
            return (first, turn, second) if order(0, 1.0)[0] < 0 else (turn, first, second)

        return min(left, key=place)

    return choose


def _levels(request: Request, sets: Sequence[str], rng: np.random.Generator) -> list[Settings]:
    """Every set at four temperatures, other parameters drawn."""
    space = request.space
    heat = next(item for item in space.numeric if item.name == TEMPERATURE)
    rows = []
    for name in sets:
        for level in (0.0, 1 / 3, 2 / 3, 1.0):
            drawn = dict(space.sample(1, rng)[0])
            rows.append(Settings({**drawn, PRECURSORS: name, TEMPERATURE: heat.from_unit(level)}))
    return rows
