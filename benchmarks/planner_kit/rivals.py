"""The planners that ours is compared with, each as its own papers and packages set it."""

from __future__ import annotations

import csv
import os
import tempfile
import warnings
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from planner_kit.pools import Pool
from planner_kit.replays import Planner


class _OnPool:
    """Keeps what was tried; inputs scaled to the unit cube, larger values better."""

    def __init__(self, pool: Pool, seed: int) -> None:
        self.pool = pool
        low, high = pool.inputs.min(axis=0), pool.inputs.max(axis=0)
        self.unit = (pool.inputs - low) / (high - low)
        self.rows: list[int] = []
        self.values: list[float] = []
        self.seed = seed

    def tell(self, row: int, value: float) -> None:
        """See `Planner`."""
        self.rows.append(row)
        self.values.append(self.pool.sign * value)

    def standardised(self) -> Any:
        """Values of mean 0 and standard deviation 1."""
        values = np.array(self.values)
        return (values - values.mean()) / (values.std() or 1.0)


class RandomChoice(_OnPool):
    """The pool is shown in random order: the first."""

    def ask(self, left: list[int]) -> int:
        """See `Planner`."""
        return left[0]


class Forest(_OnPool):
    """scikit-learn's random forest, mean + 2 sigma over its trees (Liang et al. 2021)."""

    def ask(self, left: list[int]) -> int:
        """See `Planner`."""
        from sklearn.ensemble import RandomForestRegressor

        forest = RandomForestRegressor(n_estimators=100, random_state=self.seed, n_jobs=1)
        forest.fit(self.unit[self.rows], self.standardised())
        trees = np.stack([tree.predict(self.unit[left]) for tree in forest.estimators_])
        return left[int(np.argmax(trees.mean(axis=0) + 2 * trees.std(axis=0)))]


class Process(_OnPool):
    """BoTorch: Matern-5/2 ARD with dimension-scaled priors, UCB (beta 4) or LogEI."""

    def __init__(self, pool: Pool, seed: int, acquisition: str) -> None:
        super().__init__(pool, seed)
        self.acquisition = acquisition

    def ask(self, left: list[int]) -> int:
        """See `Planner`."""
        import torch
        from botorch.acquisition import LogExpectedImprovement, UpperConfidenceBound
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.models.utils.gpytorch_modules import (
            get_covar_module_with_dim_scaled_prior,
        )
        from gpytorch.mlls import ExactMarginalLogLikelihood

        torch.manual_seed(self.seed)
        inputs = torch.as_tensor(self.unit[self.rows])
        values = torch.as_tensor(self.standardised()).unsqueeze(-1)
        kernel = get_covar_module_with_dim_scaled_prior(
            ard_num_dims=inputs.shape[1], use_rbf_kernel=False
        )
        model = SingleTaskGP(inputs, values, covar_module=kernel, outcome_transform=None)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        if self.acquisition == "UCB":
            worth: Any = UpperConfidenceBound(model, beta=4.0)
        else:
            worth = LogExpectedImprovement(model, best_f=values.max())
        with torch.no_grad():
            value = worth(torch.as_tensor(self.unit[left]).unsqueeze(-2))
        return left[int(value.argmax())]


class Nimo(_OnPool):
    """NIMO's PHYSBO through its files, candidates.csv and proposals.csv."""

    def __init__(self, pool: Pool, seed: int) -> None:
        super().__init__(pool, seed)
        self._folder = tempfile.TemporaryDirectory()

    def ask(self, left: list[int]) -> int:
        """See `Planner`."""
        import nimo

        known = dict(zip(self.rows, self.values, strict=True))
        shown = [*self.rows, *left]
        candidates = Path(self._folder.name) / "candidates.csv"
        proposals = Path(self._folder.name) / "proposals.csv"
        with candidates.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow([*(f"x{n}" for n in range(self.unit.shape[1])), "objective"])
            writer.writerows([*self.unit[row], known.get(row, "")] for row in shown)
        with open(os.devnull, "w", encoding="utf-8") as nowhere, _stdout(nowhere):
            nimo.selection(
                method="PHYSBO",
                input_file=str(candidates),
                output_file=str(proposals),
                num_objectives=1,
                num_proposals=1,
                re_seed=self.seed,
            )
        with proposals.open(newline="", encoding="utf-8") as stream:
            return shown[int(list(csv.reader(stream))[1][0])]


class BayBE(_OnPool):
    """BayBE's default recommender on a table of candidates."""

    def __init__(self, pool: Pool, seed: int) -> None:
        super().__init__(pool, seed)
        import pandas
        from baybe import Campaign
        from baybe.objectives import SingleTargetObjective
        from baybe.parameters import NumericalDiscreteParameter
        from baybe.recommenders import BotorchRecommender, TwoPhaseMetaRecommender
        from baybe.searchspace import SearchSpace
        from baybe.settings import Settings
        from baybe.targets import NumericalTarget

        Settings(random_seed=seed).activate()
        names = [f"x{n}" for n in range(self.unit.shape[1])]
        self._names = names
        # Shown in random order: ties are broken by the table's order.
        order = np.random.default_rng(seed).permutation(pool.size)
        table = pandas.DataFrame(self.unit[order], columns=names)
        parameters = [NumericalDiscreteParameter(n, sorted(set(table[n]))) for n in names]
        space = SearchSpace.from_dataframe(table, parameters)
        objective = SingleTargetObjective(NumericalTarget("y"))
        self._campaign = Campaign(
            space,
            objective,
            TwoPhaseMetaRecommender(recommender=BotorchRecommender()),
        )

    def tell(self, row: int, value: float) -> None:
        """See `Planner`."""
        super().tell(row, value)
        import pandas

        data = pandas.DataFrame([self.unit[row]], columns=self._names)
        data["y"] = self.values[-1]
        self._campaign.add_measurements(data)

    def ask(self, left: list[int]) -> int:
        """See `Planner`."""
        found = self._campaign.recommend(1)[self._names].to_numpy(dtype=np.float64)[0]
        return left[int(np.argmin(np.abs(self.unit[left] - found).max(axis=1)))]


class _stdout:
    """Sends what a library prints elsewhere."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __enter__(self) -> None:
        import contextlib

        warnings.simplefilter("ignore")
        self._redirect = contextlib.redirect_stdout(self._stream)
        self._redirect.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._redirect.__exit__(*error)


def rivals() -> dict[str, Callable[[Pool, int], Planner]]:
    """Those that can be run here, by the name that says their version."""
    sklearn, botorch = version("scikit-learn"), version("botorch")
    found: dict[str, Callable[[Pool, int], Planner]] = {
        "random": RandomChoice,
        f"random forest LCB, scikit-learn {sklearn}": Forest,
        f"GP-UCB, BoTorch {botorch}": lambda pool, seed: Process(pool, seed, "UCB"),
        f"GP-LogEI, BoTorch {botorch}": lambda pool, seed: Process(pool, seed, "LogEI"),
    }
    if find_spec("nimo"):
        found[f"NIMO {version('nimo')} (PHYSBO {version('physbo')})"] = Nimo
    if find_spec("baybe"):
        found[f"BayBE {version('baybe')}"] = BayBE
    return found
