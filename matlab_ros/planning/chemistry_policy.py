"""Choosing experiments by learned reactions alone, in the way of ARROWS3.

Hottest first. Among the sets at one temperature: first those that known reactions lead to the
target, then those with the most driving force left after the intermediates that are predicted for
them; powders that hold their gas come after those that do not. Sets that waste their driving force,
end dead, or become what gave a poor result are left for the end of their temperature (Szymanski et
al., Nat. Commun. 14, 6956, 2023, begin cold instead, which finds reactions sooner and the target
later).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matlab_ros.chemistry.driving_forces import DrivingForces
from matlab_ros.planning.chemistry_reasons import POOR, Assessment, PoorResult, assess
from matlab_ros.planning.chemistry_view import ChemistryView, default_forces, view_of
from matlab_ros.planning.proposer import Proposal, Request, derived_seed
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.synthesis import PRECURSORS, TEMPERATURE, temperature_of

LEVELS = 5
"""Temperatures tried of a parameter without steps, from the hottest to the coldest."""

DRAWS = 8
"""Settings of the other parameters that are drawn for every set and temperature."""


class ChemistryProposer:
    """What `matlab_ros.planning.chemistry_reasons` says, in order.

    Args:
        forces: energies; those of the package where None.
    """

    def __init__(self, forces: DrivingForces | None = None) -> None:
        self._forces = forces

    def propose(self, request: Request) -> list[Proposal]:
        """See `Proposer`.

        Raises:
            PlanningError: the campaign tells nothing of its chemistry.
        """
        view = view_of(request, self._forces or default_forces())
        return [
            Proposal(
                item.settings,
                math.nan,
                math.nan,
                math.nan,
                "chemistry",
                f"learned reactions: {item.assessment.sentence}",
            )
            for item in _ranked(request, view, _candidates(request))[: request.count]
        ]


@dataclass(frozen=True)
class AssessedSettings:
    """Settings that could be proposed, and why they should or should not be."""

    settings: Settings
    assessment: Assessment


def explain(request: Request, forces: DrivingForces | None = None) -> list[AssessedSettings]:
    """Every set at every temperature that was not tried, the best first, with reasons.

    Raises:
        PlanningError: the campaign tells nothing of its chemistry.
    """
    view = view_of(request, forces or default_forces())
    return _ranked(request, view, _candidates(request))


def poor_results(request: Request, view: ChemistryView) -> list[PoorResult]:
    """Experiments that gave little of the target."""
    found = []
    for item in request.observations:
        if not item.has_value or item.objective >= POOR:
            continue
        prospect = view.at(view.synthesis.precursors(item.settings), temperature_of(item.settings))
        if prospect.path is not None:
            found.append(
                PoorResult(
                    item.experiment_id,
                    prospect.temperature_c,
                    frozenset(prospect.path.phases),
                    any(not step.is_calculated for step in prospect.path.steps),
                    item.objective,
                )
            )
    return found


def _ranked(
    request: Request, view: ChemistryView, candidates: Sequence[Settings]
) -> list[AssessedSettings]:
    poor = poor_results(request, view)
    rng = np.random.default_rng(derived_seed(request.campaign_seed, "ties"))
    rows = []
    for settings, tie in zip(candidates, rng.random(len(candidates)), strict=True):
        temperature_c = temperature_of(settings)
        prospect = view.at(view.synthesis.precursors(settings), temperature_c)
        assessment = assess(prospect, poor)
        key = (
            -temperature_c,
            assessment.is_skipped,
            -prospect.target_share,
            len(prospect.held),
            round(prospect.remaining or 0.0, 3),
            round(prospect.whole or 0.0, 3),
            tie,
        )
        rows.append((key, AssessedSettings(settings, assessment)))
    return [item for _, item in sorted(rows, key=lambda row: row[0])]


def _candidates(request: Request) -> list[Settings]:
    """Settings that were not tried: all of a table, or some for every set and temperature."""
    space, taken = request.space, request.taken
    if space.table is not None:
        return [row for row in space.table if space.key(row) not in taken]
    rng = np.random.default_rng(derived_seed(request.seed, "others"))
    found: list[Settings] = []
    known = set(taken)
    for choice in request.synthesis.by_choice if request.synthesis else ():
        for level in np.linspace(1.0, 0.0, LEVELS):
            for drawn in space.sample(DRAWS, rng):
                values = dict(drawn)
                if PRECURSORS in values:
                    values[PRECURSORS] = choice
                for dimension in space.numeric:
                    if dimension.name == TEMPERATURE:
                        values[TEMPERATURE] = dimension.from_unit(float(level))
                settings = space.repair(values)
                if settings is not None and space.key(settings) not in known:
                    known.add(space.key(settings))
                    found.append(settings)
    return found
