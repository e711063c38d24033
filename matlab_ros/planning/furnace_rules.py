"""What a furnace run shares, holds and costs, and who waits for one with free slots."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.constraints import Constraint
from matlab_ros.planning.observation import Pending
from matlab_ros.planning.settings import Settings, Value
from matlab_ros.planning.space import Key, SearchSpace

if TYPE_CHECKING:
    from matlab_ros.planning.proposer import Proposal, Proposer, Request


OTHERS = 64
"""Settings drawn to stand in for those that were done."""


@dataclass(frozen=True)
class FurnaceRules:
    """A furnace as the planner knows it.

    Attributes:
        shared: parameters that are equal for all samples of a run.
        slots: crucibles of a run, at most.
        run_price: of a run, in units of everything else that is spent on one sample.

    Raises:
        PlanningError: no slot, or a price below zero.
    """

    shared: tuple[str, ...]
    slots: int
    run_price: float = 4.0

    def __post_init__(self) -> None:
        if not self.shared or self.slots < 1 or self.run_price < 0:
            raise PlanningError(
                f"A furnace shares {len(self.shared)} parameters among {self.slots} slots at the "
                f"price {self.run_price:g}; expected at least one of both, and 0 or more."
            )

    def check(self, space: SearchSpace) -> None:
        """Refuse rules that do not fit a space.

        Raises:
            PlanningError: a shared parameter is unknown, a share of a mixture, or exists only for
                some values of one that is not shared.
        """
        mixed = {name for mixture in space.mixtures for name in mixture.components}
        for name in self.shared:
            if name not in space.names:
                raise PlanningError(
                    f"The furnace shares the unknown parameter {name!r}; "
                    f"expected one of {', '.join(space.names)}."
                )
            if name in mixed:
                raise PlanningError(
                    f"The furnace shares {name!r}, a component of a mixture; expected parameters "
                    "of the furnace run."
                )
        for item in space.dimensions:
            if item.name in self.shared and item.when:
                own = [x for x in Constraint(item.when).names if x not in self.shared]
                if own:
                    raise PlanningError(
                        f"The furnace shares {item.name!r}, which exists only for some values of "
                        f"{own[0]!r}; expected {own[0]!r} to be shared too."
                    )


@dataclass(frozen=True)
class OpenRun:
    """Samples that wait for a furnace run that has free slots.

    Attributes:
        shared: values of the shared parameters, exactly.
        free: slots.
        identifiers: of the experiments, sorted.
    """

    shared: Mapping[str, Value]
    free: int
    identifiers: tuple[str, ...]


def open_runs(
    space: SearchSpace, rules: FurnaceRules, pending: Sequence[Pending]
) -> tuple[OpenRun, ...]:
    """Runs with free slots that others may join, by the ids of those who wait."""
    groups: dict[Settings, list[str]] = {}
    for item in pending:
        if item.unfired:
            values = {name: item.settings[name] for name in rules.shared if name in item.settings}
            groups.setdefault(Settings(values), []).append(item.experiment_id)
    found: list[OpenRun] = []
    for shared, waiting in groups.items():
        # More of them than one run holds: the last run is the one with free slots.
        free = -len(waiting) % rules.slots
        if free and space.existing(shared):
            found.append(OpenRun(shared, free, tuple(sorted(waiting))))
    return tuple(sorted(found, key=lambda item: item.identifiers))


class InRuns:
    """Another method's proposals, placed into furnace runs.

    A sample takes the shared parameters of a run that waits with free slots, or of the first of the
    new run that it is placed in. Where it is then one that was done, its own parameters are drawn
    anew.

    Args:
        proposer: of a method that knows no furnaces.
        rules: of the furnace.
    """

    def __init__(self, proposer: Proposer, rules: FurnaceRules) -> None:
        self._proposer = proposer
        self._rules = rules

    def propose(self, request: Request) -> list[Proposal]:
        """See `Proposer`."""
        space = request.space
        taken = set(request.taken)
        waiting = open_runs(space, self._rules, request.pending)
        runs = [_Places(run.shared, run.free) for run in waiting]
        others = self._others(request)
        found = []
        for proposal in self._proposer.propose(request):
            for run in (run for run in runs if run.free):
                settings = _first_free(space, (proposal.settings, *others), run.shared, taken)
                if settings is not None:
                    run.free -= 1
                    break
            else:
                settings = proposal.settings
                if space.key(settings) in taken:
                    # Another one was moved onto it, and there is nothing beside it in any run.
                    continue
                own = {name: settings[name] for name in self._rules.shared if name in settings}
                runs.append(_Places(own, self._rules.slots - 1))
            taken.add(space.key(settings))
            found.append(dataclasses.replace(proposal, settings=settings))
        return found

    def _others(self, request: Request) -> tuple[Settings, ...]:
        """Settings whose own parameters may stand in for those that were done."""
        if request.space.table is not None:
            return request.space.table
        words = (str(request.seed), *(item.experiment_id for item in request.pending))
        digest = hashlib.sha256("\x1f".join(words).encode()).digest()
        return request.space.sample(OTHERS, np.random.default_rng(list(digest)))


@dataclass
class _Places:
    """A run that is being filled."""

    shared: Mapping[str, Value]
    free: int


def _first_free(
    space: SearchSpace,
    candidates: Iterable[Settings],
    shared: Mapping[str, Value],
    taken: Collection[Key],
) -> Settings | None:
    """The first of settings that may be and were not done with the shared parameters of a run."""
    for settings in candidates:
        values = {**settings, **shared}
        existing = space.existing(values)
        if any(name not in values for name in existing):
            continue
        moved = Settings({name: values[name] for name in existing})
        if space.key(moved) not in taken and space.contains(moved):
            return moved
    return None
