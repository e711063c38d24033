"""What the known reactions say of every experiment that could be done."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from matlab_ros.chemistry.driving_forces import DrivingForces
from matlab_ros.chemistry.intermediates import Path, predict_path
from matlab_ros.chemistry.outcomes import ReactionOutcome, is_same_phase
from matlab_ros.chemistry.pairwise import ReactionBook, learn_reactions
from matlab_ros.chemistry.phase_balance import weight_fractions
from matlab_ros.chemistry.thermodynamics import Thermodynamics
from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.proposer import Request
from matlab_ros.planning.synthesis import Synthesis

ROUND_C = 25.0
"""Calculated decompositions are asked for at multiples of this temperature: their driving forces
are not known to less."""


@dataclass(frozen=True)
class Prospect:
    """What is known of one set at one temperature.

    Attributes:
        precursors: reduced formulas.
        temperature_c: of the experiment.
        degassed: what the powders are once they have lost their gas, by calculation alone; formula
            units for one of the target, empty where the set cannot make it.
        path: predicted way; None where the set cannot make the target.
        target_share: weight fraction of the target at its end.
        fresh: driving force of the powders once they have lost their gas, in eV per atom of the
            target, below zero where there is one; None where it is not known.
        remaining: what is left of it at the end of the way; None likewise.
        whole: driving force of the powders as they are, in eV per atom of what is mixed.
        held: precursors that cannot lose their gas at this temperature.
    """

    precursors: tuple[str, ...]
    temperature_c: float
    degassed: Mapping[str, float]
    path: Path | None
    target_share: float
    fresh: float | None
    remaining: float | None
    whole: float | None
    held: tuple[str, ...]

    @property
    def lost_share(self) -> float | None:
        """Share of the driving force that intermediates have used up; None where not known."""
        if self.fresh is None or self.remaining is None or self.fresh >= 0:
            return None
        return 1.0 - self.remaining / self.fresh

    @property
    def is_dead_end(self) -> bool:
        """Whether the way is known to end before the target."""
        return self.path is not None and self.path.is_dead_end and self.target_share == 0


class ChemistryView:
    """Prospects of a campaign's sets, from everything that was seen until now.

    Args:
        synthesis: target and sets.
        forces: energies.
        outcomes: of this campaign and earlier ones, in any order.
    """

    def __init__(
        self, synthesis: Synthesis, forces: DrivingForces, outcomes: Iterable[ReactionOutcome]
    ) -> None:
        self.synthesis = synthesis
        self.forces = forces
        self.book: ReactionBook = learn_reactions(outcomes)
        # Between two temperatures at which something was seen nothing changes in what is known.
        self._edges = sorted({item.temperature_c for known in self.book for item in known.evidence})
        self._known: dict[tuple[tuple[str, ...], int, int, int], Prospect] = {}

    def at(self, precursors: tuple[str, ...], temperature_c: float) -> Prospect:
        """The prospect of a set at a temperature."""
        on_edge = bisect_right(self._edges, temperature_c)
        before = bisect_right(self._edges, temperature_c - 1e-9)
        key = (precursors, before, on_edge, round(temperature_c / ROUND_C))
        if key not in self._known:
            self._known[key] = self._prospect(precursors, temperature_c)
        return self._known[key]

    def _prospect(self, precursors: tuple[str, ...], temperature_c: float) -> Prospect:
        target = self.synthesis.target
        near_c = ROUND_C * round(temperature_c / ROUND_C)
        facts = _facts(self.forces, target, precursors, near_c)
        path = predict_path(
            target,
            precursors,
            temperature_c,
            self.book,
            lambda formula, _: self.forces.must_decompose(formula, near_c),
        )
        share, remaining = 0.0, None
        if path is not None:
            share = sum(
                fraction
                for name, fraction in weight_fractions(path.phases).items()
                if is_same_phase(name, target)
            )
            remaining = self.forces.driving_force(target, path.phases, near_c)
        return Prospect(
            precursors,
            temperature_c,
            facts.degassed,
            path,
            share,
            facts.fresh,
            remaining,
            facts.whole,
            facts.held,
        )


@dataclass(frozen=True)
class _Facts:
    """What no experiment changes."""

    degassed: Mapping[str, float]
    fresh: float | None
    whole: float | None
    held: tuple[str, ...]


@lru_cache(maxsize=16384)
def _facts(
    forces: DrivingForces, target: str, precursors: tuple[str, ...], temperature_c: float
) -> _Facts:
    degassed = predict_path(
        target, precursors, temperature_c, _NOTHING_KNOWN, forces.must_decompose
    )
    fresh = None
    if degassed is not None:
        fresh = forces.driving_force(target, degassed.phases, temperature_c)
    held = tuple(name for name in precursors if forces.holds_its_gas(name, temperature_c))
    phases = {} if degassed is None else degassed.phases
    return _Facts(phases, fresh, forces.of_set(target, precursors, temperature_c), held)


_NOTHING_KNOWN = ReactionBook({})


@lru_cache(maxsize=1)
def default_forces() -> DrivingForces:
    """Energies that come with the package and its extras, in air."""
    return DrivingForces(Thermodynamics.default())


def view_of(request: Request, forces: DrivingForces) -> ChemistryView:
    """What is known when proposals are asked for.

    Raises:
        PlanningError: the campaign tells nothing of its chemistry.
    """
    synthesis = request.synthesis
    if synthesis is None:
        raise PlanningError(
            "The planner is told no precursor sets with formulas; describe them under "
            "precursor_sets, or choose another planner."
        )
    own = (synthesis.outcome_of(item) for item in request.observations)
    seen = [item for item in own if item is not None]
    return ChemistryView(synthesis, forces, (*request.earlier, *seen))
