"""Why a set of powders is proposed or skipped at a temperature, as types and as sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from matlab_ros.planning.chemistry_view import Prospect

WASTED = 0.8
"""Share of the driving force from which a way counts as a waste of it."""

POOR = 0.5
"""Weight fraction of the target below which a result speaks against what is predicted to become
the same."""


class ReasonKind(str, Enum):
    """What speaks for a set at a temperature, or against it."""

    UNKNOWN_WAY = "unknown way"
    """Pairs of phases are left of which nobody knows what they do."""
    MAKES_TARGET = "makes the target"
    """Known reactions lead to the target."""
    KEEPS_DRIVING_FORCE = "keeps its driving force"
    """Intermediates leave much of it."""
    WASTES_DRIVING_FORCE = "wastes its driving force"
    """Intermediates use most of it up."""
    DEAD_END = "dead end"
    """Known reactions end before the target."""
    SAME_AS_POOR = "becomes the same as a poor result"
    """It is predicted to become what an experiment became that gave little of the target."""
    HOLDS_GAS = "holds its gas"
    """A powder cannot lose its gas at this temperature."""
    NO_BALANCE = "cannot make the target"
    """The powders do not have the target's metals."""


SKIPPING = frozenset(
    {
        ReasonKind.WASTES_DRIVING_FORCE,
        ReasonKind.DEAD_END,
        ReasonKind.SAME_AS_POOR,
        ReasonKind.NO_BALANCE,
    }
)
"""Reasons for which a set is left for the end."""


@dataclass(frozen=True)
class Reason:
    """One thing that speaks for or against an experiment.

    Attributes:
        kind: in one of the known ways.
        sentence: for a person.
        evidence: reactions it rests on, each with where it was seen or calculated.
    """

    kind: ReasonKind
    sentence: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Assessment:
    """What chemistry says of one set at one temperature.

    Attributes:
        prospect: what is known.
        reasons: at least one.
    """

    prospect: Prospect
    reasons: tuple[Reason, ...]

    @property
    def is_skipped(self) -> bool:
        """Whether anything says that it is better left."""
        return any(reason.kind in SKIPPING for reason in self.reasons)

    @property
    def sentence(self) -> str:
        """All reasons in one sentence, beginning with what is decided."""
        names = " + ".join(self.prospect.precursors)
        decided = "skipped" if self.is_skipped else "proposed"
        at = f"{names} at {self.prospect.temperature_c:g} C"
        # What speaks against a skipped set comes first.
        order = sorted(self.reasons, key=lambda reason: reason.kind not in SKIPPING)
        return f"{at} is {decided}: {'; '.join(reason.sentence for reason in order)}."


@dataclass(frozen=True)
class PoorResult:
    """An experiment that gave little of the target, and what it had been predicted to become.

    Attributes:
        experiment_id: of the experiment.
        temperature_c: that it felt.
        phases: predicted at the end of the way.
        learnt: whether any reaction on that way was seen rather than calculated.
        objective: weight fraction of the target that it gave.
    """

    experiment_id: str
    temperature_c: float
    phases: frozenset[str]
    learnt: bool
    objective: float


def assess(prospect: Prospect, poor: Sequence[PoorResult] = ()) -> Assessment:
    """Reasons for and against an experiment.

    Args:
        prospect: what is known of it.
        poor: experiments that gave little of the target.
    """
    path = prospect.path
    if path is None:
        return Assessment(
            prospect,
            (Reason(ReasonKind.NO_BALANCE, "no mixture of it has the target's ratio of metals"),),
        )
    evidence = tuple(step.why for step in path.steps)
    end = " + ".join(sorted(path.phases))
    reasons: list[Reason] = []
    if prospect.target_share > 0:
        sentence = f"known reactions turn {prospect.target_share:.0%} of it into the target"
        reasons.append(Reason(ReasonKind.MAKES_TARGET, sentence, evidence))
    elif prospect.is_dead_end:
        sentence = f"it becomes {end}, of which no pair is known to react up to here"
        reasons.append(Reason(ReasonKind.DEAD_END, sentence, evidence))
    lost = prospect.lost_share
    if lost is not None and path.steps and prospect.target_share == 0:
        left = f"{1000 * (prospect.remaining or 0.0):.0f} meV/atom are left"
        if lost > WASTED:
            sentence = f"its intermediates {end} use up {lost:.0%} of the driving force, {left}"
            reasons.append(Reason(ReasonKind.WASTES_DRIVING_FORCE, sentence, evidence))
        else:
            sentence = f"its intermediates {end} keep {1 - lost:.0%} of the driving force, {left}"
            reasons.append(Reason(ReasonKind.KEEPS_DRIVING_FORCE, sentence, evidence))
    same = [
        item
        for item in poor
        if item.learnt
        and item.phases == frozenset(path.phases)
        and item.temperature_c >= prospect.temperature_c
    ]
    if same:
        worst = min(same, key=lambda item: (item.objective, item.experiment_id))
        sentence = (
            f"it becomes {end} like {worst.experiment_id}, which gave {worst.objective:.0%} of the "
            f"target at {worst.temperature_c:g} C"
        )
        reasons.append(Reason(ReasonKind.SAME_AS_POOR, sentence, evidence))
    if prospect.held:
        held = " and ".join(prospect.held)
        sentence = f"{held} cannot lose its gas by itself at this temperature"
        reasons.append(Reason(ReasonKind.HOLDS_GAS, sentence))
    if path.unknown and prospect.target_share == 0:
        pairs = ", ".join("/".join(sorted(pair)) for pair in path.unknown)
        sentence = f"nobody knows yet what becomes of {pairs}"
        reasons.append(Reason(ReasonKind.UNKNOWN_WAY, sentence))
    if not reasons:
        force = prospect.remaining
        known = "unknown" if force is None else f"{1000 * force:.0f} meV/atom"
        sentence = f"nothing is known against it, and its driving force is {known}"
        reasons.append(Reason(ReasonKind.KEEPS_DRIVING_FORCE, sentence, evidence))
    return Assessment(prospect, tuple(reasons))
