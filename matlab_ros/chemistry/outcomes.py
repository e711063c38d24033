"""What a heated mixture was seen to become: the facts from which reactions are learnt."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

from matlab_ros.chemistry.formula import parse_formula
from matlab_ros.chemistry.stoichiometry import VOLATILE
from matlab_ros.model.errors import LabError


class OutcomeError(LabError, ValueError):
    """An outcome says nothing about solids; the message says what is missing."""


@dataclass(frozen=True, order=True)
class SeenPhase:
    """A crystalline phase in a product.

    Attributes:
        formula: reduced.
        weight_fraction: of the crystalline part, 0 to 1.
    """

    formula: str
    weight_fraction: float


@dataclass(frozen=True)
class ReactionOutcome:
    """What one experiment's mixture had become.

    Attributes:
        campaign: in which it was done.
        experiment_id: of the experiment there.
        date: when it ended, as ISO 8601; empty where nobody knows.
        precursors: reduced formulas of what was mixed, sorted.
        temperature_c: the highest it felt.
        phases: seen afterwards, sorted by formula.
        simulated: whether it comes from emulated instruments.

    Raises:
        OutcomeError: nothing was mixed or seen, or a number makes no sense.
    """

    campaign: str
    experiment_id: str
    date: str
    precursors: tuple[str, ...]
    temperature_c: float
    phases: tuple[SeenPhase, ...]
    simulated: bool = False

    def __post_init__(self) -> None:
        if not self.precursors or not self.phases:
            raise OutcomeError(
                f"experiment {self.experiment_id!r} names no "
                f"{'phases' if self.precursors else 'precursors'}; "
                "an outcome needs what was mixed and what was seen."
            )
        if not math.isfinite(self.temperature_c):
            raise OutcomeError(
                f"experiment {self.experiment_id!r} has the temperature {self.temperature_c}; "
                "expected a finite number of degrees Celsius."
            )
        for phase in self.phases:
            if not 0 <= phase.weight_fraction <= 1 + 1e-9:
                raise OutcomeError(
                    f"experiment {self.experiment_id!r} has {phase.weight_fraction:g} "
                    f"{phase.formula}; expected a weight fraction from 0 to 1."
                )

    @property
    def formulas(self) -> frozenset[str]:
        """What was seen, without amounts."""
        return frozenset(phase.formula for phase in self.phases)

    @property
    def key(self) -> str:
        """SHA-256 of everything but the date: the same outcome told twice is one outcome."""
        words = [
            self.campaign,
            self.experiment_id,
            list(self.precursors),
            self.temperature_c,
            [[phase.formula, phase.weight_fraction] for phase in self.phases],
            self.simulated,
        ]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()

    @property
    def name(self) -> str:
        """How reasons cite it."""
        return f"{self.campaign}/{self.experiment_id}"


def outcome(
    campaign: str,
    experiment_id: str,
    precursors: Iterable[str],
    temperature_c: float,
    phases: Iterable[tuple[str, float]],
    *,
    target: str | None = None,
    date: str = "",
    simulated: bool = False,
) -> ReactionOutcome:
    """An outcome from formulas as people write them; gases among the phases are left out.

    Args:
        campaign, experiment_id, temperature_c, date, simulated: see `ReactionOutcome`.
        precursors: formulas of what was mixed.
        phases: formula and weight fraction of each phase seen; the same twice (polymorphs) adds up.
        target: a phase of its metals and nearly its oxygen is the target, however its formula was
            written: YBa2Cu3O6.9 is the YBa2Cu3O7 that was looked for.

    Raises:
        FormulaError: a formula cannot be read.
        OutcomeError: see `ReactionOutcome`.
    """
    seen: dict[str, float] = {}
    for text, fraction in phases:
        name = reduced(text) if target is None else called_as(text, target)
        if metals(name):
            seen[name] = seen.get(name, 0.0) + fraction
    return ReactionOutcome(
        campaign,
        experiment_id,
        date,
        tuple(sorted({reduced(text) for text in precursors})),
        float(temperature_c),
        tuple(sorted(SeenPhase(name, min(value, 1.0)) for name, value in seen.items())),
        simulated,
    )


OXYGEN_TOLERANCE = 0.1
"""Oxygen per other atom by which two formulas may differ and still mean one phase. Fe3O4 and Fe2O3,
the closest of the common pairs, are 0.17 apart; YBa2Cu3O6.5 and YBa2Cu3O7 are 0.08."""


def called_as(formula: str, target: str) -> str:
    """Reduced formula of a phase; that of the target where it is the target with other oxygen."""
    return reduced(target) if is_same_phase(formula, target) else reduced(formula)


def is_same_phase(formula: str, other: str) -> bool:
    """Whether two formulas mean one phase, up to a little oxygen."""
    if reduced(formula) == reduced(other):
        return True
    first, second = parse_formula(formula).amounts, parse_formula(other).amounts
    kept = [element for element in first if element != "O"]
    if set(kept) != {element for element in second if element != "O"}:
        return False
    scale = sum(second[element] for element in kept) / sum(first[element] for element in kept)
    if any(first[element] * scale != second[element] for element in kept):
        return False
    atoms = float(sum(second[element] for element in kept))
    difference = float(first.get("O", 0)) * float(scale) - float(second.get("O", 0))
    return abs(difference) / atoms <= OXYGEN_TOLERANCE


def reduced(formula: str) -> str:
    """The smallest whole-number formula."""
    return parse_formula(formula).reduced


def metals(formula: str) -> frozenset[str]:
    """Elements that stay on ignition."""
    return parse_formula(formula).elements - VOLATILE
