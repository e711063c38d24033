"""Planning with learned chemistry: what is proposed, what is skipped, and why."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.chemistry.driving_forces import DrivingForces
from matlab_ros.chemistry.energies import Energy
from matlab_ros.chemistry.formula import Formula, parse_formula
from matlab_ros.chemistry.outcomes import SeenPhase, outcome
from matlab_ros.chemistry.thermodynamics import Thermodynamics
from matlab_ros.model.errors import PlanningError
from matlab_ros.planning import Campaign, CampaignPlan, CategoricalDimension, ContinuousDimension
from matlab_ros.planning.averaged_process import Part, ProcessPrior, predict
from matlab_ros.planning.chemistry_bayesian import ChemistryBayesianProposer
from matlab_ros.planning.chemistry_policy import ChemistryProposer, explain
from matlab_ros.planning.chemistry_reasons import ReasonKind
from matlab_ros.planning.observation import Observation, ObservationStatus, Pending
from matlab_ros.planning.proposer import Direction, Proposer, Request
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace
from matlab_ros.planning.synthesis import Synthesis

SETS = {
    "oxides": ("BaO", "TiO2"),
    "carbonate": ("BaCO3", "TiO2"),
    "titanate": ("Ba2TiO4", "TiO2"),
    "peroxide": ("BaO2", "TiO2"),
}
SYNTHESIS = Synthesis("test", "BaTiO3", tuple(sorted(SETS.items())))
SPACE = SearchSpace(
    (
        CategoricalDimension("precursors", tuple(SETS)),
        ContinuousDimension("temperature_c", 700, 1000, step=100),
    )
)

# kJ/mol of formation; Ba2TiO4 takes nearly all that barium and titania have to give.
_ENERGIES = {
    "BaO": -420.0,
    "BaO2": -400.0,
    "TiO2": -700.0,
    "BaCO3": -900.0,
    "BaTiO3": -1300.0,
    "Ba2TiO4": -1895.0,
}


class _Few:
    """Energies of a few compounds, the same at every temperature."""

    name = "test"

    def formation_energy(
        self, formula: Formula, temperature_k: float, phase: str | None = None
    ) -> Energy | None:
        value = _ENERGIES.get(formula.reduced)
        if value is None:
            return None
        atoms = float(sum(formula.amounts.values()))
        return Energy(formula.text, temperature_k, value, 1.0, self.name, atoms)

    def known_formulas(self, elements: frozenset[str]) -> list[str]:
        return [name for name in _ENERGIES if _elements(name) <= elements]


def _elements(name: str) -> frozenset[str]:
    return parse_formula(name).elements


FORCES = DrivingForces(Thermodynamics([_Few()]))


def measured(
    number: int, choice: str, temperature_c: float, value: float, **phases: float
) -> Observation:
    return Observation(
        f"e{number:04d}",
        Settings({"precursors": choice, "temperature_c": temperature_c}),
        ObservationStatus.MEASURED,
        value,
        phases=tuple(SeenPhase(name, share) for name, share in phases.items()),
    )


def request(
    observations: Sequence[Observation] = (),
    pending: Sequence[Pending] = (),
    count: int = 1,
    seed: int = 1,
    space: SearchSpace = SPACE,
) -> Request:
    ordered = tuple(sorted(observations, key=lambda item: item.experiment_id))
    return Request(space, Direction.MAXIMIZE, ordered, tuple(pending), count, 4, seed, SYNTHESIS)


HISTORY = (
    measured(1, "oxides", 900, 0.1, Ba2TiO4=0.7, TiO2=0.2, BaTiO3=0.1),
    measured(2, "carbonate", 900, 0.0, BaCO3=0.7, TiO2=0.3),
    measured(3, "peroxide", 700, 0.0, BaO=0.6, TiO2=0.4),
)
PROPOSERS = (ChemistryProposer(FORCES), ChemistryBayesianProposer(FORCES))


@pytest.mark.parametrize("proposer", PROPOSERS, ids=("chemistry", "both"))
@given(done=st.sets(st.integers(0, 15), max_size=13), seed=st.integers(0, 3))
@settings(max_examples=4, deadline=None)
def test_nothing_is_proposed_that_was_done_or_is_pending(
    proposer: Proposer, done: set[int], seed: int
) -> None:
    table = SPACE.table
    assert table is not None
    rows = sorted(done)
    seen = [
        Observation(f"e{row:04d}", table[row], ObservationStatus.MEASURED, 0.1 * (row % 7))
        for row in rows[::2]
    ]
    under_way = [Pending(f"e{row:04d}", table[row]) for row in rows[1::2]]
    proposals = proposer.propose(request(seen, under_way, count=3, seed=seed))
    keys = [SPACE.key(item.settings) for item in proposals]
    assert len(set(keys)) == len(keys) == 3
    assert not set(keys) & {SPACE.key(table[row]) for row in done}


@pytest.mark.parametrize("proposer", PROPOSERS, ids=("chemistry", "both"))
def test_proposals_depend_on_what_was_seen_not_on_its_order(proposer: Proposer) -> None:
    def proposals(order: Sequence[Observation]) -> list[Settings]:
        campaign = Campaign(CampaignPlan(SPACE, method="random", synthesis=SYNTHESIS), order)
        asked = dataclasses.replace(request(campaign.observations), count=3)
        return [item.settings for item in proposer.propose(asked)]

    assert proposals(HISTORY) == proposals(HISTORY[::-1])


def test_a_set_that_wastes_its_driving_force_is_skipped_with_the_reason() -> None:
    """Oxides were seen to become the other titanate, which leaves next to nothing."""
    found = explain(request(HISTORY), FORCES)
    oxides = [
        item.assessment
        for item in found
        if item.settings.choice("precursors") == "oxides"
        and item.settings.number("temperature_c") == 1000
    ]
    assert len(oxides) == 1
    assert oxides[0].is_skipped
    reason = next(
        item for item in oxides[0].reasons if item.kind is ReasonKind.WASTES_DRIVING_FORCE
    )
    assert "Ba2TiO4" in reason.sentence
    assert any("test/e0001" in item for item in reason.evidence)
    assert oxides[0].sentence.startswith("BaO + TiO2 at 1000 C is skipped: its intermediates")


def test_a_set_that_was_seen_to_end_dead_is_skipped_below_and_open_above() -> None:
    found = {
        (item.settings.choice("precursors"), item.settings.number("temperature_c")): item
        for item in explain(request(HISTORY), FORCES)
    }
    colder = found["carbonate", 800.0].assessment
    assert ReasonKind.DEAD_END in {reason.kind for reason in colder.reasons}
    hotter = found["carbonate", 1000.0].assessment
    kinds = {reason.kind for reason in hotter.reasons}
    assert ReasonKind.DEAD_END not in kinds
    assert ReasonKind.HOLDS_GAS in kinds


def test_skipped_sets_come_after_the_others_of_their_temperature() -> None:
    found = explain(request(HISTORY), FORCES)
    hottest = [
        item.assessment.is_skipped
        for item in found
        if item.settings.number("temperature_c") == 1000
    ]
    assert hottest == sorted(hottest)
    assert any(hottest)
    assert not all(hottest)


def test_the_first_proposal_is_hot_and_says_why() -> None:
    for proposer in PROPOSERS:
        proposal = proposer.propose(request())[0]
        assert proposal.settings.number("temperature_c") == 1000
        assert "is proposed" in proposal.model


def test_earlier_campaigns_teach() -> None:
    earlier = outcome("last year", "e0001", ("BaO", "TiO2"), 900, [("Ba2TiO4", 0.8), ("TiO2", 0.2)])
    asked = dataclasses.replace(request(), earlier=(earlier,))
    assert ChemistryProposer(FORCES).propose(request())[0].settings.choice("precursors") in (
        "oxides",
        "peroxide",
    )
    hot = [
        item.assessment
        for item in explain(asked, FORCES)
        if item.settings == Settings({"precursors": "oxides", "temperature_c": 1000.0})
    ]
    assert hot[0].is_skipped
    assert "last year/e0001" in " ".join(
        text for reason in hot[0].reasons for text in reason.evidence
    )


def test_spaces_without_an_end_are_planned_too() -> None:
    space = SearchSpace(
        (
            CategoricalDimension("precursors", tuple(SETS)),
            ContinuousDimension("temperature_c", 700, 1000),
            ContinuousDimension("dwell_h", 0.5, 24, log=True),
        )
    )
    rng = np.random.default_rng(5)
    rows = space.sample(6, rng)
    seen = [
        Observation(f"e{i:04d}", row, ObservationStatus.MEASURED, float(rng.random()))
        for i, row in enumerate(rows)
    ]
    for proposer in PROPOSERS:
        proposals = proposer.propose(request(seen, count=3, space=space))
        assert len({space.key(item.settings) for item in proposals}) == 3
        for item in proposals:
            space.check(item.settings)


def test_what_did_not_work_counts_as_nothing_of_the_target() -> None:
    failed = dataclasses.replace(
        measured(1, "oxides", 1000, math.nan), status=ObservationStatus.INFEASIBLE
    )
    others = [measured(2, "carbonate", 1000, 0.6), measured(3, "titanate", 1000, 0.6)]
    proposals = ChemistryBayesianProposer(FORCES).propose(request([failed, *others]))
    first = proposals[0].settings
    assert first.choice("precursors") != "oxides"


def test_a_campaign_without_chemistry_is_refused_in_words() -> None:
    asked = dataclasses.replace(request(), synthesis=None)
    for proposer in PROPOSERS:
        with pytest.raises(PlanningError, match="precursor"):
            proposer.propose(asked)
    least = dataclasses.replace(request(), direction=Direction.MINIMIZE)
    with pytest.raises(PlanningError, match="maximise"):
        ChemistryBayesianProposer(FORCES).propose(least)


def test_phases_survive_the_campaigns_file_and_change_its_hash() -> None:
    plan = CampaignPlan(SPACE, method="random", synthesis=SYNTHESIS)
    campaign = Campaign(plan, HISTORY)
    again = Campaign.from_json(plan, campaign.to_json())
    assert again.observations == campaign.observations
    assert again.observations[0].phases == HISTORY[0].phases
    bare = dataclasses.replace(HISTORY[0], phases=())
    assert bare.canonical() != HISTORY[0].canonical()
    assert "phases" not in bare.canonical()


@pytest.mark.parametrize("method", ["chemistry", "bayesian_with_chemistry"])
def test_a_campaign_finds_the_methods_by_name(method: str) -> None:
    plan = CampaignPlan(SPACE, method=method, synthesis=SYNTHESIS)
    suggestion = Campaign(plan).suggest(2)
    assert len(suggestion) == 2
    assert "numpy" in suggestion[0].provenance.software


PRIOR = ProcessPrior(
    0.3, 0.1, (0.3,), (0.2,), (Part(((0,),), (0.5,), 0.2), Part(((1, 2), (0,)), (1.0, 0.5), 0.2))
)


def test_without_measurements_beliefs_are_the_priors() -> None:
    physical = np.array([[-0.5], [0.5]])
    found = predict(
        PRIOR,
        (np.zeros((0, 1)), physical),
        (np.zeros((0, 3)), np.zeros((2, 3))),
        np.zeros(0),
        np.zeros(0),
        seed=1,
    )
    assert found.mean == pytest.approx([0.15, 0.45])
    assert (found.sigma > 0.2).all()


def test_the_process_believes_what_was_measured_and_not_what_is_far() -> None:
    rng = np.random.default_rng(2)
    features = rng.random((12, 3))
    physical = features[:, :1] - 0.5
    values = np.sin(3 * features[:, 0]) / 2
    near = predict(
        PRIOR, (physical, physical), (features, features), values, np.full(12, math.nan), seed=1
    )
    assert np.abs(near.mean - values).max() < 0.15
    far = predict(
        PRIOR, (physical, physical), (features, features + 9.0), values, np.full(12, 0.01), seed=1
    )
    assert (far.sigma > near.sigma).all()


@given(st.permutations(range(8)))
@settings(max_examples=6, deadline=None)
def test_the_process_does_not_know_an_order(order: list[int]) -> None:
    rng = np.random.default_rng(3)
    features, values = rng.random((8, 3)), rng.random(8)
    physical = features[:, :1] - 0.5
    unknown = np.full(8, math.nan)

    def beliefs(rows: Sequence[int]) -> np.ndarray:
        index = np.array(rows)
        return predict(
            PRIOR,
            (physical[index], physical),
            (features[index], features),
            values[index],
            unknown,
            seed=1,
        ).mean

    assert beliefs(order) == pytest.approx(beliefs(range(8)), abs=1e-9)
