"""What every method of proposing experiments is given and gives back."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, runtime_checkable

from matlab_ros.chemistry.outcomes import ReactionOutcome
from matlab_ros.planning.deadline import NEVER, Deadline
from matlab_ros.planning.furnace_rules import FurnaceRules
from matlab_ros.planning.observation import Observation, Pending
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import Key, SearchSpace
from matlab_ros.planning.synthesis import Synthesis


class Direction(str, Enum):
    """Whether large or small objectives are wanted."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"

    @property
    def sign(self) -> float:
        """Factor that turns the objective into something to maximise."""
        return 1.0 if self is Direction.MAXIMIZE else -1.0


@dataclass(frozen=True)
class Proposal:
    """A suggestion before its provenance is added; fields as in `Suggestion`."""

    settings: Settings
    predicted_mean: float
    predicted_sigma: float
    acquisition_value: float
    method: str
    model: str


@dataclass(frozen=True)
class Request:
    """Everything a proposal may depend on, and nothing else: equal requests, equal proposals.

    Attributes:
        space: to choose from.
        direction: of the objective.
        observations: sorted by experiment id.
        pending: in flight, sorted by experiment id.
        count: how many proposals are wanted.
        initial_experiments: space-filling ones before a model is used.
        campaign_seed: of the whole campaign.
        synthesis: what is made of what; None where the campaign does not say.
        earlier: what mixtures became in other campaigns.
        deadline: when the method gives the best that it has.
        furnace: samples that share a run; None: each experiment stands alone.
    """

    space: SearchSpace
    direction: Direction
    observations: tuple[Observation, ...]
    pending: tuple[Pending, ...]
    count: int
    initial_experiments: int
    campaign_seed: int
    synthesis: Synthesis | None = None
    earlier: tuple[ReactionOutcome, ...] = ()
    deadline: Deadline = field(default=NEVER, compare=False)
    furnace: FurnaceRules | None = None

    def until(self, deadline: Deadline) -> Request:
        """The same, with another deadline."""
        return dataclasses.replace(self, deadline=deadline)

    @property
    def seed(self) -> int:
        """Seed of this one request, from the campaign's seed and how far the campaign is."""
        return derived_seed(
            self.campaign_seed,
            str(len(self.observations)),
            *(item.experiment_id for item in self.pending),
        )

    @property
    def taken(self) -> frozenset[Key]:
        """What was done or is under way, as `SearchSpace.key` says it."""
        done = (item.requested or item.settings for item in self.observations)
        under_way = (item.settings for item in self.pending)
        return frozenset(self.space.key(settings) for settings in (*done, *under_way))


class Proposer(Protocol):
    """A method of proposing experiments; it keeps nothing between requests."""

    def propose(self, request: Request) -> list[Proposal]:
        """At most `request.count` proposals; fewer when a finite space has nothing left."""
        ...


@runtime_checkable
class Listener(Protocol):
    """A method that passes on what becomes known, beside proposing."""

    def reported(self, request: Request) -> None:
        """One more observation is known; nothing is asked for.

        Raises:
            LabError: it could not be passed on.
        """
        ...


def derived_seed(seed: int, *words: str) -> int:
    """A seed of 31 bits from a seed and words: equal in every process and on every machine."""
    text = "\x1f".join((str(seed), *words))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
