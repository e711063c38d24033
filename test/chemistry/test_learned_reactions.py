"""Reactions learnt from products: what is concluded, what is kept, what is predicted."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.chemistry.formula import parse_formula
from matlab_ros.chemistry.intermediates import predict_path
from matlab_ros.chemistry.outcomes import OutcomeError, ReactionOutcome, is_same_phase, outcome
from matlab_ros.chemistry.pairwise import PairState, ReactionBook, learn_reactions
from matlab_ros.chemistry.phase_balance import balance_solids, gases_between, mix_for
from matlab_ros.chemistry.reaction_store import ReactionStore
from matlab_ros.model.errors import DataError

TARGET = "YBa2Cu3O7"


def seen(
    number: int, precursors: Sequence[str], temperature_c: float, **phases: float
) -> ReactionOutcome:
    return outcome(
        "test", f"e{number:04d}", precursors, temperature_c, phases.items(), target=TARGET
    )


OXIDES = ("Y2O3", "BaO2", "CuO")
HISTORY = (
    seen(1, OXIDES, 600, Y2O3=0.3, BaCO3=0.35, CuO=0.35),
    seen(2, OXIDES, 700, Y2O3=0.3, BaCO3=0.35, CuO=0.35),
    seen(3, OXIDES, 800, Y2O3=0.3, BaCuO2=0.4, CuO=0.3),
    seen(4, ("Y2O3", "BaCuO2", "CuO"), 700, Y2O3=0.3, BaCuO2=0.4, CuO=0.3),
    seen(5, ("Y2O3", "BaCuO2", "CuO"), 800, BaY2CuO5=0.5, BaCuO2=0.2, CuO=0.3),
    seen(6, ("Y2Cu2O5", "BaCuO2"), 900, YBa2Cu3O7=1.0),
)


def test_a_new_phase_that_one_pair_can_have_made_was_made_by_it() -> None:
    book = learn_reactions(HISTORY)
    known = book.pairs[frozenset({"Y2O3", "BaCuO2"})]
    assert known.onset_c == 800
    assert known.inert_to_c == 700
    assert known.products_at(900) == ("BaY2CuO5",)


def test_a_phase_alone_is_learnt_before_pairs() -> None:
    book = learn_reactions(HISTORY)
    assert book.pairs[frozenset({"BaO2"})].products_at(600) == ("BaCO3",)


def test_a_pair_that_both_survived_does_not_react_up_to_there_and_is_unknown_above() -> None:
    book = learn_reactions(HISTORY)
    pair = frozenset({"BaCO3", "Y2O3"})
    assert book.state_at(pair, 650) is PairState.INERT
    assert book.state_at(pair, 750) is PairState.UNKNOWN


def test_nothing_is_concluded_where_several_pairs_may_have_reacted() -> None:
    """BaCuO2 may come from the oxide of copper or from its carbonate."""
    both = seen(1, ("BaO", "CuO", "CuCO3"), 800, BaCuO2=0.6, Y2O3=0.0)
    book = learn_reactions([both])
    assert book.open_questions == 1
    assert all(item.inert_to_c is None or item.onset_c is None for item in book)


def test_a_later_experiment_settles_an_open_question() -> None:
    both = seen(1, ("BaO", "CuO", "CuCO3"), 800, BaCuO2=1.0)
    inert = seen(2, ("BaO", "CuO"), 850, BaO=0.5, CuO=0.5)
    book = learn_reactions([both, inert])
    assert book.open_questions == 0
    assert book.pairs[frozenset({"BaO", "CuCO3"})].onset_c == 800


@given(st.permutations(HISTORY))
@settings(max_examples=12, deadline=None)
def test_the_order_of_experiments_does_not_matter(order: list[ReactionOutcome]) -> None:
    assert learn_reactions(order) == learn_reactions(HISTORY)


def test_contradicting_evidence_is_kept_and_the_more_frequent_counts() -> None:
    pair = ("Y2O3", "BaCuO2")
    reacted = [seen(number, pair, 800, BaY2CuO5=1.0) for number in (1, 2)]
    survived = seen(3, (*pair, "CuO"), 900, Y2O3=0.4, BaCuO2=0.4, CuO=0.2)
    book = learn_reactions([*reacted, survived])
    known = book.pairs[frozenset(pair)]
    assert known.is_contradictory
    assert known in book.contradictions
    assert {item.source for item in known.evidence} == {f"test/e000{n}" for n in (1, 2, 3)}
    assert book.state_at(frozenset(pair), 850) is PairState.REACTS
    tie = learn_reactions([reacted[0], survived])
    assert tie.state_at(frozenset(pair), 850) is PairState.CONTRADICTORY


def test_the_store_gives_back_what_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "reactions.sqlite"
    assert ReactionStore(path).outcomes() == ()
    assert ReactionStore(path).add(HISTORY) == len(HISTORY)
    assert ReactionStore(path).add(HISTORY[:2]) == 0
    assert set(ReactionStore(path).outcomes()) == set(HISTORY)
    assert learn_reactions(ReactionStore(path).outcomes()) == learn_reactions(HISTORY)


def test_the_store_keeps_contradictions_and_the_kinds_of_data_apart(tmp_path: Path) -> None:
    store = ReactionStore(tmp_path / "reactions.sqlite")
    real = seen(1, OXIDES, 600, CuO=1.0)
    other = seen(1, OXIDES, 600, BaCO3=1.0)
    virtual = outcome("test", "e0002", OXIDES, 600, [("CuO", 1.0)], simulated=True)
    assert store.add([real, other, virtual]) == 3
    assert set(store.outcomes(simulated=False)) == {real, other}
    assert store.outcomes(simulated=True) == (virtual,)


def test_a_foreign_or_newer_file_is_no_store(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, and long enough to be read as one " * 20, encoding="utf-8")
    with pytest.raises(DataError):
        ReactionStore(text)
    newer = tmp_path / "newer.sqlite"
    ReactionStore(newer).add(HISTORY)
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(DataError, match="newer"):
        ReactionStore(newer)
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE outcomes (key TEXT)")
    with pytest.raises(DataError, match="no store"):
        ReactionStore(foreign)


def test_a_path_follows_what_is_known_and_says_where_it_was_seen() -> None:
    book = learn_reactions(HISTORY)
    path = predict_path(TARGET, OXIDES, 700, book)
    assert path is not None
    assert set(path.phases) == {"Y2O3", "BaCO3", "CuO"}
    assert path.is_dead_end
    assert "test/e0001" in path.steps[0].why
    hotter = predict_path(TARGET, OXIDES, 900, book)
    assert hotter is not None
    assert "BaY2CuO5" in hotter.phases


def test_what_reacts_in_a_circle_ends() -> None:
    there = seen(1, ("Ba2Cu3O6",), 600, BaCO3=0.6, CuO=0.4)
    back = seen(2, ("BaCO3", "CuO"), 600, Ba2Cu3O6=1.0)
    path = predict_path("Ba2Cu3O6.5", ("BaCO3", "CuO"), 900, learn_reactions([there, back]))
    assert path is not None
    assert len(path.steps) < 5


SOLIDS = ("Y2O3", "BaO", "BaO2", "BaCO3", "CuO", "Cu2O", "BaCuO2", "Y2Cu2O5", "BaY2CuO5")


@st.composite
def histories(draw: st.DrawFn) -> list[ReactionOutcome]:
    """Outcomes that nobody has ever seen, of phases that may really be there."""
    return [
        outcome(
            "drawn",
            f"e{number:04d}",
            draw(st.lists(st.sampled_from(SOLIDS), min_size=1, max_size=4, unique=True)),
            draw(st.sampled_from((600.0, 700.0, 800.0, 900.0))),
            [(name, 0.25) for name in draw(st.sets(st.sampled_from(SOLIDS), min_size=1))],
        )
        for number in range(draw(st.integers(1, 8)))
    ]


@given(histories(), st.sampled_from((600.0, 800.0, 1000.0)))
@settings(max_examples=30, deadline=None)
def test_predicted_intermediates_conserve_what_stays_on_ignition(
    history: list[ReactionOutcome], temperature_c: float
) -> None:
    path = predict_path(TARGET, ("Y2O3", "BaO2", "CuO"), temperature_c, learn_reactions(history))
    assert path is not None
    goal = parse_formula(TARGET).amounts
    for metal in ("Y", "Ba", "Cu"):
        held = sum(
            n * float(parse_formula(name).amounts.get(metal, 0)) for name, n in path.phases.items()
        )
        assert held == pytest.approx(float(goal[metal]), abs=1e-9)
    # Gases close the balance of everything else.
    surplus = dict.fromkeys(("O", "C"), 0.0)
    for sign, side in ((1, path.mixture), (-1, path.phases)):
        for name, n in side.items():
            for element in surplus:
                surplus[element] += sign * n * float(parse_formula(name).amounts.get(element, 0))
    for gas, n in gases_between(path.mixture, path.phases).items():
        for element in surplus:
            surplus[element] -= n * float(parse_formula(gas).amounts.get(element, 0))
    assert surplus == pytest.approx(dict.fromkeys(surplus, 0.0), abs=1e-9)


@given(st.lists(st.sampled_from(SOLIDS), min_size=2, max_size=4, unique=True), st.integers(1, 3))
def test_a_balanced_reaction_conserves_its_metals(names: list[str], split: int) -> None:
    reaction = balance_solids(tuple(names[:split]), tuple(names[split:]))
    if reaction is None:
        return
    for metal in ("Y", "Ba", "Cu"):
        sides = [
            sum(n * float(parse_formula(name).amounts.get(metal, 0)) for name, n in side)
            for side in (reaction.reactants, reaction.products)
        ]
        assert sides[0] == pytest.approx(sides[1], abs=1e-9)


def test_a_mixture_has_the_targets_metals_or_is_none() -> None:
    assert mix_for(TARGET, ("Y2O3", "BaCO3", "CuO")) == pytest.approx(
        {"Y2O3": 0.5, "BaCO3": 2.0, "CuO": 3.0}
    )
    assert mix_for(TARGET, ("Y2O3", "CuO")) is None
    five = mix_for(TARGET, ("Ba2Cu3O6", "BaCuO2", "Cu2O", "Y2O3"))
    assert five is not None
    assert len(five) == 4


@pytest.mark.parametrize(
    ("formula", "other", "same"),
    [
        ("YBa2Cu3O6.5", "YBa2Cu3O7", True),
        ("Ba2YCu3O7", "YBa2Cu3O6.9", True),
        ("CuO", "Cu2O", False),
        ("Fe3O4", "Fe2O3", False),
        ("BaCuO2", "BaY2CuO5", False),
        ("BaCO3", "BaO", False),
    ],
)
def test_a_little_oxygen_makes_no_other_phase(formula: str, other: str, same: bool) -> None:
    assert is_same_phase(formula, other) is same
    assert is_same_phase(other, formula) is same


def test_an_outcome_without_solids_is_refused() -> None:
    with pytest.raises(OutcomeError):
        outcome("test", "e0001", ["CuO"], 600, [("CO2", 1.0)])
    with pytest.raises(OutcomeError):
        outcome("test", "e0001", ["CuO"], float("nan"), [("CuO", 1.0)])


def test_an_empty_book_knows_nothing() -> None:
    assert learn_reactions([]) == ReactionBook({})
    assert ReactionBook({}).phases == frozenset()
