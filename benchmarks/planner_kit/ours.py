"""Our default on a pool: a campaign on a table of candidates, asked and told as a user does."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

import matlab_ros.planning
from matlab_ros.planning import (
    Campaign,
    CampaignPlan,
    ContinuousDimension,
    Direction,
    Observation,
    ObservationStatus,
    SearchSpace,
    Settings,
    Suggestion,
)
from planner_kit.pools import Pool

_MODULES = ("bayesian", "confidence", "ensemble", "forest", "process_fit", "models")


class Ours:
    """The default of `Campaign`, with nothing set but the direction and the seed.

    Args:
        pool: whose rows are the candidates.
        seed: of the campaign.
    """

    def __init__(self, pool: Pool, seed: int) -> None:
        low, high = pool.inputs.min(axis=0), pool.inputs.max(axis=0)
        self._rows = tuple(
            Settings(dict(zip(pool.names, map(float, row), strict=True))) for row in pool.inputs
        )
        space = SearchSpace(
            tuple(
                ContinuousDimension(name, float(least), float(most))
                for name, least, most in zip(pool.names, low, high, strict=True)
            ),
            candidates=self._rows,
        )
        self._number = {space.key(item): row for row, item in enumerate(self._rows)}
        direction = Direction.MAXIMIZE if pool.sign > 0 else Direction.MINIMIZE
        self.campaign = Campaign(CampaignPlan(space, direction, initial_experiments=2, seed=seed))
        self.predicted: list[tuple[Suggestion, float]] = []
        self._asked: Suggestion | None = None

    def tell(self, row: int, value: float) -> None:
        """See `Planner`."""
        if self._asked is not None:
            self.predicted.append((self._asked, value))
        name = f"e{len(self.campaign.observations):04d}"
        self.campaign.report(Observation(name, self._rows[row], ObservationStatus.MEASURED, value))

    def ask(self, left: list[int]) -> int:
        """See `Planner`."""
        self._asked = self.campaign.suggest(1)[0]
        return self._number[self.campaign.plan.space.key(self._asked.settings)]


def our_name() -> str:
    """Version and a hash of the modules of the default: a change of them is another planner."""
    folder = Path(matlab_ros.planning.__file__).parent
    text = b"".join((folder / f"{name}.py").read_bytes() for name in _MODULES)
    return f"matlab_ros {version('matlab_ros')} ({hashlib.sha256(text).hexdigest()[:7]})"
