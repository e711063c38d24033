"""What a mixture will become on its way to a temperature, as far as known reactions tell."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from matlab_ros.chemistry.outcomes import is_same_phase, reduced
from matlab_ros.chemistry.pairwise import PairState, Reactants, ReactionBook
from matlab_ros.chemistry.phase_balance import (
    TINY,
    SolidReaction,
    balance_solids,
    mix_for,
)

MAX_STEPS = 40
"""Reactions on one way; real ways have fewer than ten."""


@dataclass(frozen=True)
class Step:
    """One reaction on the way.

    Attributes:
        reaction: for one unit of its first reactant.
        extent: how many of these happen, per formula unit of the target.
        why: evidence or calculation that it rests on.
        is_calculated: whether nobody saw it.
    """

    reaction: SolidReaction
    extent: float
    why: str
    is_calculated: bool


@dataclass(frozen=True)
class Path:
    """A mixture's predicted way.

    Attributes:
        mixture: formula units at the start, per formula unit of the target.
        steps: in their order.
        phases: formula units at the end.
        before_target: formula units before the first step that makes the target; as `phases` where
            none does.
        inert: pairs at the end of which it is known that they do not react.
        unknown: pairs at the end of which nothing is known.
    """

    mixture: Mapping[str, float]
    steps: tuple[Step, ...]
    phases: Mapping[str, float]
    before_target: Mapping[str, float]
    inert: tuple[Reactants, ...]
    unknown: tuple[Reactants, ...]

    @property
    def is_dead_end(self) -> bool:
        """Whether several phases are left of which it is known that no pair reacts."""
        return bool(self.inert) and not self.unknown

    @property
    def intermediates(self) -> tuple[str, ...]:
        """Phases at the end that were not mixed, sorted."""
        return tuple(sorted(name for name in self.phases if name not in self.mixture))


Decompositions = Callable[[str, float], tuple[SolidReaction, str] | None]
"""For a phase and a temperature in degrees Celsius: how it must fall apart by calculation, and who
says so; None where it need not."""


def predict_path(
    target: str,
    precursors: tuple[str, ...],
    temperature_c: float,
    book: ReactionBook,
    decompositions: Decompositions | None = None,
) -> Path | None:
    """Follow what is known from the precursors up to a temperature.

    Reactions happen in the order of the temperatures at which they were first seen, one phase alone
    before two, until one of their reactants is used up.

    Args:
        target: formula; phases that are it react no more.
        precursors: formulas.
        temperature_c: at the end.
        book: what is known.
        decompositions: what phases do alone of which no experiment tells.

    Returns:
        None where the precursors cannot make the target.
    """
    mixture = mix_for(reduced(target), tuple(reduced(name) for name in precursors))
    if mixture is None:
        return None
    amounts = dict(mixture)
    steps: list[Step] = []
    # Phases may be seen to turn into each other both ways, at different temperatures: a way that
    # would come back to where it was ends there.
    visited = {frozenset(amounts)}
    before_target: dict[str, float] | None = None
    while len(steps) < MAX_STEPS:
        for step in _possible_steps(target, amounts, temperature_c, book, decompositions):
            after = _after(amounts, step)
            if frozenset(after) not in visited:
                break
        else:
            break
        if before_target is None and any(
            is_same_phase(name, target) for name, _ in step.reaction.products
        ):
            before_target = amounts
        amounts = after
        visited.add(frozenset(amounts))
        steps.append(step)
    inert, unknown = [], []
    for pair in _groups(amounts, 2):
        state = book.state_at(pair, temperature_c)
        if state is PairState.INERT:
            inert.append(pair)
        elif state is not PairState.REACTS:
            unknown.append(pair)
    return Path(
        mixture,
        tuple(steps),
        amounts,
        amounts if before_target is None else before_target,
        tuple(inert),
        tuple(unknown),
    )


def _possible_steps(
    target: str,
    amounts: Mapping[str, float],
    temperature_c: float,
    book: ReactionBook,
    decompositions: Decompositions | None,
) -> list[Step]:
    """What is known to happen to these phases, in the order in which it begins on heating."""
    choices: list[tuple[float, int, list[str], Step]] = []
    for group in (*_groups(amounts, 1), *_groups(amounts, 2)):
        if any(is_same_phase(name, target) for name in group):
            continue
        found = _known_reaction(group, temperature_c, book, decompositions)
        if found is not None:
            onset_c, reaction, why = found
            extent = min(amounts[name] / n for name, n in reaction.reactants)
            step = Step(reaction, extent, why, is_calculated=onset_c == -math.inf)
            choices.append((onset_c, len(group), sorted(group), step))
    return [choice[3] for choice in sorted(choices, key=lambda choice: choice[:3])]


def _after(amounts: Mapping[str, float], step: Step) -> dict[str, float]:
    """Amounts after a step; what it uses up is gone."""
    after = dict(amounts)
    for name, n in step.reaction.reactants:
        after[name] -= n * step.extent
    for name, n in step.reaction.products:
        after[name] = after.get(name, 0.0) + n * step.extent
    return {name: n for name, n in after.items() if n > TINY}


def _known_reaction(
    group: Reactants,
    temperature_c: float,
    book: ReactionBook,
    decompositions: Decompositions | None,
) -> tuple[float, SolidReaction, str] | None:
    """Onset, reaction and reason of what some reactants do at a temperature."""
    state = book.state_at(group, temperature_c)
    if state is PairState.REACTS:
        known = book.pairs[group]
        products = known.products_at(temperature_c)
        reaction = balance_solids(tuple(sorted(group)), products)
        onset_c = known.onset_c
        if reaction is None or onset_c is None:
            return None
        seen = [item for item in known.evidence if item.products == products]
        return onset_c, reaction, f"{seen[-1]}, seen in {seen[-1].source}"
    if state is PairState.UNKNOWN and len(group) == 1 and decompositions is not None:
        calculated = decompositions(next(iter(group)), temperature_c)
        if calculated is not None:
            reaction, why = calculated
            # Of no known onset: before everything that was seen, as gases leave early on.
            return -math.inf, reaction, why
    return None


def _groups(amounts: Mapping[str, float], count: int) -> Iterator[Reactants]:
    for group in itertools.combinations(sorted(amounts), count):
        yield frozenset(group)
