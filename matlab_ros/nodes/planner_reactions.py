"""The planner's memory of reactions across campaigns: a file, where one is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from matlab_ros.chemistry.outcomes import ReactionOutcome
from matlab_ros.chemistry.reaction_store import ReactionStore
from matlab_ros.planning.campaign import CampaignPlan
from matlab_ros.planning.observation import Observation

_NS_PER_S = 1_000_000_000


class ReactionMemory:
    """What mixtures became, in a store that outlives the planner.

    Args:
        path: of the store; empty: nothing is remembered.

    Raises:
        DataError: the file is no store of reactions.
    """

    def __init__(self, path: str) -> None:
        self._store = ReactionStore(Path(path)) if path else None

    def earlier(self, simulated: bool) -> tuple[ReactionOutcome, ...]:
        """Everything that is remembered from campaigns of the same kind of data.

        Raises:
            DataError: the store cannot be read.
        """
        return () if self._store is None else self._store.outcomes(simulated)

    def remember(self, plan: CampaignPlan, observation: Observation, stamp_ns: int) -> None:
        """Keep what an experiment taught about reactions; the same twice changes nothing.

        Args:
            plan: of its campaign.
            observation: with the phases that were identified, if any were.
            stamp_ns: ROS time at which it ended.

        Raises:
            DataError: the store cannot be written.
        """
        if self._store is None or plan.synthesis is None:
            return
        outcome = plan.synthesis.outcome_of(observation)
        if outcome is not None:
            date = datetime.fromtimestamp(stamp_ns / _NS_PER_S, timezone.utc)
            self._store.add([replace(outcome, date=date.isoformat(timespec="seconds"))])
