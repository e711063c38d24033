"""Learning which phases react with which from what mixtures became at their temperatures.

The idea is that of ARROWS3 (Szymanski et al., Nat. Commun. 14, 6956, 2023): solids meet at one
boundary between two grains at a time, so a mixture's way to its products is a chain of reactions of
one phase (with gases) or of two. What is new in a product and can have come from one such pair only
was made by that pair; a pair of which both are still there, and none of whose products are, does
not react up to that temperature.

Conclusions are drawn from all outcomes at once and never stored, so the order in which experiments
end does not matter, and a later experiment may settle what an earlier one left open.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from matlab_ros.chemistry.outcomes import ReactionOutcome, metals
from matlab_ros.chemistry.phase_balance import balance_solids

TRACE = 0.03
"""Weight fraction below which a phase is taken neither as made nor as left over: what a search for
phases finds below it is often wrong."""

MAX_ROUNDS = 12
"""In which open questions are settled by what is known; each settles at least one, or it ends."""

Reactants = frozenset[str]
"""One phase or two, by their reduced formulas."""


class PairState(str, Enum):
    """What is known of some reactants at a temperature."""

    REACTS = "reacts"
    INERT = "does not react"
    CONTRADICTORY = "seen both to react and not to"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Evidence:
    """What one outcome says about some reactants.

    Attributes:
        reactants: one phase or two.
        products: that they became, sorted; empty: they did not react.
        above_c: the reaction had not happened at this temperature in the same mixture; None where
            nobody looked.
        temperature_c: at which it was seen.
        source: name of the outcome.
    """

    reactants: Reactants
    products: tuple[str, ...]
    above_c: float | None
    temperature_c: float
    source: str

    @property
    def reacted(self) -> bool:
        """Whether something was made."""
        return bool(self.products)

    def __str__(self) -> str:
        left = " + ".join(sorted(self.reactants))
        if not self.products:
            return f"{left} does not react at or below {self.temperature_c:g} C"
        right = " + ".join(self.products)
        if self.above_c is None:
            return f"{left} -> {right} at or below {self.temperature_c:g} C"
        return f"{left} -> {right} between {self.above_c:g} and {self.temperature_c:g} C"


@dataclass(frozen=True)
class PairKnowledge:
    """All that was seen of some reactants, contradictions included.

    Attributes:
        reactants: one phase or two.
        evidence: sorted by temperature, then source.
    """

    reactants: Reactants
    evidence: tuple[Evidence, ...]

    @property
    def onset_c(self) -> float | None:
        """The lowest temperature at which they were seen to have reacted."""
        return min((item.temperature_c for item in self.evidence if item.reacted), default=None)

    @property
    def inert_to_c(self) -> float | None:
        """The highest temperature at which they were seen not to react."""
        return max((item.temperature_c for item in self.evidence if not item.reacted), default=None)

    @property
    def is_contradictory(self) -> bool:
        """Whether they were seen to react no hotter than where they were seen not to."""
        onset, inert = self.onset_c, self.inert_to_c
        return onset is not None and inert is not None and onset <= inert

    def state_at(self, temperature_c: float) -> PairState:
        """What is known at a temperature; of contradicting evidence the more frequent counts."""
        reacted = sum(
            item.reacted and item.temperature_c <= temperature_c for item in self.evidence
        )
        inert = sum(
            not item.reacted and item.temperature_c >= temperature_c for item in self.evidence
        )
        if reacted > inert:
            return PairState.REACTS
        if inert > reacted:
            return PairState.INERT
        return PairState.CONTRADICTORY if reacted else PairState.UNKNOWN

    def products_at(self, temperature_c: float) -> tuple[str, ...]:
        """What they become at a temperature: what was seen most often in the hottest experiments
        up to it; empty where nothing was seen."""
        seen = [
            item for item in self.evidence if item.reacted and item.temperature_c <= temperature_c
        ]
        if not seen:
            return ()
        hottest = max(item.temperature_c for item in seen)
        votes: dict[tuple[str, ...], int] = defaultdict(int)
        for item in seen:
            if item.temperature_c == hottest:
                votes[item.products] += 1
        return max(sorted(votes), key=lambda products: votes[products])


@dataclass(frozen=True)
class ReactionBook:
    """What is known of every phase alone and of every pair.

    Attributes:
        pairs: by reactants.
        open_questions: products that several pairs could have made; nothing is concluded of them.
    """

    pairs: Mapping[Reactants, PairKnowledge]
    open_questions: int = 0

    def state_at(self, reactants: Reactants, temperature_c: float) -> PairState:
        """What is known of some reactants at a temperature."""
        known = self.pairs.get(reactants)
        return PairState.UNKNOWN if known is None else known.state_at(temperature_c)

    @cached_property
    def phases(self) -> frozenset[str]:
        """Every phase that takes part in something known."""
        made = (
            name for known in self.pairs.values() for e in known.evidence for name in e.products
        )
        return frozenset(made).union(*self.pairs) if self.pairs else frozenset()

    @property
    def contradictions(self) -> tuple[PairKnowledge, ...]:
        """What was seen both ways, sorted by reactants."""
        return tuple(known for known in self if known.is_contradictory)

    def __iter__(self) -> Iterator[PairKnowledge]:
        for reactants in sorted(self.pairs, key=sorted):
            yield self.pairs[reactants]


def learn_reactions(outcomes: Iterable[ReactionOutcome]) -> ReactionBook:
    """Conclude which phases react with which.

    Args:
        outcomes: in any order; the same twice counts once.
    """
    unique = {item.key: item for item in outcomes}
    certain: set[Evidence] = set()
    open_questions: list[_Question] = []
    for transition in _transitions(unique.values()):
        inert, questions = _read(transition)
        certain |= inert
        open_questions += questions
    for _ in range(MAX_ROUNDS):
        book = _book(certain)
        settled: set[Evidence] = set()
        left: list[_Question] = []
        for question in open_questions:
            answer = question.answer(book)
            if answer is None:
                left.append(question)
            else:
                settled.add(answer)
        if not settled:
            break
        certain |= settled
        open_questions = left
    return ReactionBook(_book(certain), len(open_questions))


@dataclass(frozen=True)
class _Transition:
    """A mixture between two temperatures.

    Attributes:
        before: phases at the start; those seen at the next lower temperature, or the precursors.
        after: weight fractions of what was seen.
        above_c: the lower temperature, None when the start are the precursors.
    """

    before: frozenset[str]
    after: Mapping[str, float]
    above_c: float | None
    temperature_c: float
    source: str


@dataclass(frozen=True)
class _Question:
    """A new phase, and the reactions that can have made it."""

    choices: tuple[tuple[Reactants, tuple[str, ...]], ...]
    above_c: float | None
    temperature_c: float
    source: str

    def answer(self, book: Mapping[Reactants, PairKnowledge]) -> Evidence | None:
        """The only choice left by what is known, if it is one."""
        choices = self.choices
        if len(choices) > 1:
            states = [
                known.state_at(self.temperature_c)
                if (known := book.get(reactants)) is not None
                else PairState.UNKNOWN
                for reactants, _ in choices
            ]
            both = list(zip(choices, states, strict=True))
            possible = [choice for choice, state in both if state is not PairState.INERT]
            known_to = [choice for choice, state in both if state is PairState.REACTS]
            choices = tuple(known_to if len(known_to) == 1 else possible)
        if len(choices) != 1:
            return None
        reactants, products = choices[0]
        return Evidence(reactants, products, self.above_c, self.temperature_c, self.source)


def _transitions(outcomes: Iterable[ReactionOutcome]) -> Iterator[_Transition]:
    """Every outcome with what its mixture was before, as far as that was seen."""
    mixtures: dict[tuple[tuple[str, ...], bool], dict[float, list[ReactionOutcome]]] = {}
    for item in outcomes:
        key = (item.precursors, item.simulated)
        mixtures.setdefault(key, {}).setdefault(item.temperature_c, []).append(item)
    for (precursors, _), by_temperature in sorted(mixtures.items()):
        before, above_c = frozenset(precursors), None
        for temperature_c in sorted(by_temperature):
            repeats = sorted(by_temperature[temperature_c], key=lambda item: item.key)
            for item in repeats:
                after = {phase.formula: phase.weight_fraction for phase in item.phases}
                yield _Transition(before, after, above_c, temperature_c, item.name)
            # What only one of several repeats saw may or may not have been there: all is kept, so
            # that nothing is taken as new which one of them had already seen.
            before = frozenset().union(*(item.formulas for item in repeats))
            above_c = temperature_c


def _read(transition: _Transition) -> tuple[set[Evidence], list[_Question]]:
    """What one transition says for certain, and what it leaves open."""
    before, after = transition.before, transition.after
    where = (transition.above_c, transition.temperature_c, transition.source)
    new = {name for name, share in after.items() if share >= TRACE and name not in before}
    questions = []
    involved: set[Reactants] = set()
    for product in sorted(new):
        choices = _explanations(product, before, new)
        involved.update(reactants for reactants, _ in choices)
        if choices:
            questions.append(_Question(choices, *where))
    left = sorted(name for name in before if after.get(name, 0.0) >= TRACE)
    inert = {
        Evidence(frozenset(group), (), *where)
        for count in (1, 2)
        for group in itertools.combinations(left, count)
        if frozenset(group) not in involved
    }
    return inert, questions


def _explanations(
    product: str, before: frozenset[str], new: set[str]
) -> tuple[tuple[Reactants, tuple[str, ...]], ...]:
    """The simplest reactions that make a phase: of one phase rather than of two, and without a
    second product rather than with one."""
    near = sorted(name for name in before if metals(name) & metals(product))
    others: list[tuple[str, ...]] = [(name,) for name in sorted(new) if name != product]
    for count in (1, 2):
        for beside in ([()], others):
            found = []
            for group in itertools.combinations(near, count):
                for extra in beside:
                    products = tuple(sorted((product, *extra)))
                    if balance_solids(group, products) is not None:
                        found.append((frozenset(group), products))
            if found:
                return tuple(found)
    return ()


def _book(evidence: Iterable[Evidence]) -> dict[Reactants, PairKnowledge]:
    by_reactants: dict[Reactants, list[Evidence]] = defaultdict(list)
    for item in evidence:
        by_reactants[item.reactants].append(item)
    return {
        reactants: PairKnowledge(
            reactants,
            tuple(sorted(items, key=lambda e: (e.temperature_c, e.source, e.products))),
        )
        for reactants, items in by_reactants.items()
    }
