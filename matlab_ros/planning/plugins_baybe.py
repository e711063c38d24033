"""Recommenders of BayBE (https://github.com/emdgroup/baybe, Apache-2.0), where it is installed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import pandas as pd
from baybe.parameters import (
    CategoricalParameter,
    CustomDiscreteParameter,
    NumericalContinuousParameter,
    NumericalDiscreteParameter,
)
from baybe.recommenders import (
    BotorchRecommender,
    FPSRecommender,
    RandomRecommender,
    TwoPhaseMetaRecommender,
)
from baybe.searchspace import SearchSpace as BaybeSpace
from baybe.settings import Settings as BaybeSettings
from baybe.targets import NumericalTarget

from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.dimensions import CategoricalDimension
from matlab_ros.planning.plugins import no_options
from matlab_ros.planning.pool import free_settings
from matlab_ros.planning.proposer import Proposal, Request, derived_seed
from matlab_ros.planning.settings import Settings, Value
from matlab_ros.planning.space import SearchSpace
from matlab_ros.planning.tried import FAILED, first_free, tried, without_model

TARGET = "objective"
ABSENT = "(none)"
"""Choice of a parameter that does not exist with the other choices."""

INITIAL = {"random": RandomRecommender, "fps": FPSRecommender}


class BaybeProposer:
    """BayBE's two phases: a first recommender until there is something to learn from, then BoTorch.

    Spaces of free numbers alone are BayBE's continuous ones; of all others it is given a list: the
    table, or a sample that obeys everything. It knows no failed experiments: they are left out.

    Args:
        initial: recommender of the first experiments.
    """

    def __init__(self, initial: str) -> None:
        self._initial = initial

    def propose(self, request: Request) -> list[Proposal]:
        """See `Proposer`."""
        space = request.space
        is_continuous = space.is_plain and all(item.count() is None for item in space.dimensions)
        if is_continuous:
            names = list(space.names)
            numbers = [NumericalContinuousParameter(name, (0.0, 1.0)) for name in names]
            where, count = BaybeSpace.from_product(numbers), request.count
        else:
            free = free_settings(request)
            count = min(request.count, len(free))
            if count == len(free):
                # Nothing to choose: what is left is taken as it comes.
                return [without_model(item, "BayBE") for item in free]
            where = BaybeSpace.from_dataframe(_frame(space, free), _parameters(space, free))
        known = [item for item in tried(request) if item.value != FAILED]
        measured = _frame(space, [item.settings for item in known])
        measured[TARGET] = [item.value for item in known]
        pending = _frame(space, [item.settings for item in request.pending])
        is_learning = len(known) >= request.initial_experiments
        recommender = TwoPhaseMetaRecommender(
            initial_recommender=INITIAL[self._initial](),
            recommender=BotorchRecommender(),
            switch_after=request.initial_experiments,
        )
        seed = derived_seed(request.seed, "baybe")
        with BaybeSettings(random_seed=seed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = recommender.recommend(
                batch_size=count,
                searchspace=where,
                objective=NumericalTarget(TARGET).to_objective(),
                measurements=measured if known else None,
                # The first recommenders cannot use it; of a list it is left out anyway.
                pending_experiments=pending if len(pending) and is_learning else None,
            )
        if is_continuous:
            rows = (space.from_unit(row) for row in found[names].to_numpy())
        else:
            rows = (free[int(index)] for index in found.index)
        return [without_model(item, "BayBE") for item in first_free(request, rows, count)]


def baybe(options: Mapping[str, Value]) -> BaybeProposer:
    """BayBE's default, with the initial recommender of the option ``initial`` (random or fps).

    Raises:
        PlanningError: there is no such recommender.
    """
    no_options("baybe", options, ("initial",))
    initial = str(options.get("initial", "random"))
    if initial not in INITIAL:
        raise PlanningError(
            f"The planner 'baybe' has the initial recommender {initial!r}; expected one of "
            f"{', '.join(INITIAL)}."
        )
    return BaybeProposer(initial)


def _frame(space: SearchSpace, settings: list[Settings]) -> pd.DataFrame:
    """Settings as rows: numbers as coordinates in the unit cube, choices as they are."""
    rows = [
        {item.name: _value(item.name in one, item, one.get(item.name)) for item in space.dimensions}
        for one in settings
    ]
    return pd.DataFrame(rows, columns=list(space.names))


def _value(is_there: bool, dimension: Any, value: Value | None) -> Value:
    if isinstance(dimension, CategoricalDimension):
        return str(value) if is_there else ABSENT
    return dimension.to_unit(value) if is_there else 0.5


def _parameters(space: SearchSpace, free: list[Settings]) -> list[Any]:
    """BayBE's parameters of a list; one that has a single value in it says nothing."""
    frame = _frame(space, free)
    found: list[Any] = []
    for item in space.dimensions:
        values = list(dict.fromkeys(frame[item.name]))
        if not isinstance(item, CategoricalDimension):
            if len(values) > 1:
                found.append(NumericalDiscreteParameter(item.name, sorted(values)))
            continue
        choices = [*item.choices, *([ABSENT] if ABSENT in values else [])]
        if len(choices) < 2:
            continue
        if item.descriptors and ABSENT not in choices:
            rows = pd.DataFrame(item.descriptors, index=list(item.choices))
            rows = rows.loc[:, rows.nunique() > 1].rename(columns=str)
            if rows.shape[1] and not rows.duplicated().any():
                found.append(CustomDiscreteParameter(item.name, rows))
                continue
        found.append(CategoricalParameter(item.name, choices))
    return found
