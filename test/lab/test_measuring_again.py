"""An analysis is told what was weighed in, may ask for a longer scan, and gets both scans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from matlab_ros.chemistry.formula import parse_formula
from matlab_ros.lab.analysis_goals import dispensed_into
from matlab_ros.lab.analysis_values import LookAgain
from matlab_ros.lab.codec import from_json, to_json
from matlab_ros.lab.engine import Engine
from matlab_ros.lab.goals import AnalyseGoal, AnalyseOutcome, DispenseGoal, MeasureGoal
from matlab_ros.lab.journal import MemoryJournal
from matlab_ros.lab.validate import check_campaign
from matlab_ros.model.errors import ConfigError, RecipeError
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_words import Confirm, ExperimentState, Verdict
from matlab_ros.model.recipe import load_recipe
from matlab_ros.nodes.table_devices import TableDevices
from matlab_ros.nodes.table_lab import TableLab
from matlab_ros.virtual.scan_programs import scan_program

REPOSITORY = Path(__file__).resolve().parents[2]
RECIPE = REPOSITORY / "config/recipes/adaptive_xrd.yaml"
PHASES = {"MgTiO3", "MgO-Periclase", "MgCO3-Magnesite", "TiO2-Anatase", "TiO2-Rutile"}
ASKED_FOR = "10-40_20-minutes"


class Doubting(TableDevices):
    """The first analysis of a sample is provisional and asks for a program, where it has one."""

    def __init__(self, world, program) -> None:
        super().__init__(world)
        self.program = program
        self.goals: list[object] = []

    def outcome(self, device, goal, now_ns, end_ns):
        outcome = super().outcome(device, goal, now_ns, end_ns)
        self.goals.append(goal)
        if isinstance(goal, DispenseGoal):
            first, *rest = outcome.doses
            # One powder came out a little less than was asked for.
            first = replace(first, measured_mg=first.requested_mg - 7.0, uncertainty_mg=0.2)
            return replace(outcome, doses=(first, *rest))
        if isinstance(goal, AnalyseGoal) and goal.programs:
            return replace(outcome, verdict=Verdict.PROVISIONAL, again=LookAgain(self.program))
        return outcome

    def of(self, kind: type) -> list:
        return [goal for goal in self.goals if isinstance(goal, kind)]


@pytest.fixture
def run(lab, make_campaign, drawing_planner, table_world, tmp_path) -> Callable[..., TableLab]:
    """Carries out one experiment of the adaptive recipe."""

    def go(program_name=ASKED_FOR, edit=lambda text: text) -> TableLab:
        path = tmp_path / "adaptive_xrd.yaml"
        path.write_text(edit(RECIPE.read_text(encoding="utf-8")), encoding="utf-8")
        campaign = make_campaign(
            recipe="adaptive_xrd", budget={"experiments": 1, "max_in_flight": 1}
        )
        plan = check_campaign(campaign, lab, load_recipe(path), PHASES, "test.yaml")
        devices = Doubting(table_world, lab.scan_program(program_name) if program_name else None)
        table = TableLab(Engine(lab, MemoryJournal()), devices, drawing_planner())
        table.devices = devices
        table.start(plan)
        assert table.run().code == FaultCode.NONE
        (experiment,) = table.engine.state.experiments.values()
        assert experiment.state is ExperimentState.SUCCEEDED
        table.experiment = experiment
        return table

    return go


def test_the_scan_that_was_asked_for_is_made_and_judged_with_the_first(run, lab):
    table = run()
    first, second = table.devices.of(MeasureGoal)
    assert first.program == "10-100_1-minute"
    assert second.program == ASKED_FOR
    assert second.scan == lab.scan_program(ASKED_FOR)
    guess, judge = table.devices.of(AnalyseGoal)
    assert guess.earlier == ()
    assert guess.budget_s == 1800.0
    assert {scan.name for scan in guess.programs} == {scan.name for scan in lab.scan_programs}
    assert judge.scan == second.scan
    assert judge.earlier == (guess.pattern,)
    assert judge.earlier_scans == (first.scan,)
    assert judge.budget_s == 0.0
    assert judge.programs == ()
    assert guess.confirm is judge.confirm is Confirm.WHEN_SUCCESS
    assert judge.success_fraction == 0.5
    assert table.experiment.outcomes["judge"].verdict is Verdict.CONFIRMED


def test_nothing_is_measured_again_where_nothing_was_asked_for(run):
    table = run(program_name=None)
    assert len(table.devices.of(MeasureGoal)) == len(table.devices.of(AnalyseGoal)) == 1
    assert table.experiment.observation.objective is not None


def test_without_merging_only_the_last_scan_is_judged(run):
    table = run(edit=lambda text: text.replace(", merge: true", ""))
    assert [goal.earlier for goal in table.devices.of(AnalyseGoal)] == [(), ()]


def test_what_was_weighed_in_is_what_the_balance_read(run, lab):
    table = run()
    (dispense,) = table.devices.of(DispenseGoal)
    expected: dict[str, float] = {}
    for index, dose in enumerate(dispense.doses):
        formula = parse_formula(lab.stock_item(dose.substance).formula)
        mass = dose.mass_mg - (7.0 if index == 0 else 0.0)
        for element, count in formula.amounts.items():
            amount = float(count) * mass / formula.molar_mass
            expected[element] = expected.get(element, 0.0) + amount
    for goal in table.devices.of(AnalyseGoal):
        given = {item.element: item.amount_mmol for item in goal.dispensed}
        assert given == pytest.approx(expected)
        assert all(0 < item.sigma_mmol < 0.01 * item.amount_mmol for item in goal.dispensed)


def test_a_mass_that_was_not_read_leaves_what_was_weighed_in_unknown(run, lab):
    experiment = run().experiment
    outcome = experiment.outcomes["dispense"]
    first, *rest = outcome.doses
    blind = (replace(first, measured_mg=None), *rest)
    experiment.outcomes["dispense"] = replace(outcome, doses=blind)
    assert dispensed_into(experiment, lab) == ()


def test_everything_that_an_analysis_says_survives_the_journal(run):
    table = run()
    for outcome in table.experiment.outcomes.values():
        if isinstance(outcome, AnalyseOutcome):
            assert from_json(AnalyseOutcome, to_json(outcome)) == outcome
    for goal in table.devices.of(AnalyseGoal):
        assert from_json(AnalyseGoal, to_json(goal)) == goal


def test_a_program_that_no_diffractometer_has_is_refused_with_the_campaign(run):
    with pytest.raises(ConfigError, match=r"'10-100_1-hour'.*one of 10-100_2-minutes"):
        run(edit=lambda text: text.replace("10-100_1-minute", "10-100_1-hour"))


def test_the_virtual_diffractometer_makes_the_programs_that_its_lab_lists(lab):
    assert lab.scan_programs
    for listed in lab.scan_programs:
        made = scan_program(listed.name)
        assert made.first_deg == pytest.approx(listed.first_deg, abs=0.05)
        assert made.last_deg == pytest.approx(listed.last_deg, abs=0.05)
        assert made.duration_s == listed.duration_s


def test_only_an_analysis_before_it_decides_of_a_measurement(tmp_path):
    text = RECIPE.read_text(encoding="utf-8")
    path = tmp_path / "adaptive_xrd.yaml"
    for other in ("fire", "judge", "nobody"):
        path.write_text(text.replace("decided_by: guess", f"decided_by: {other}"))
        with pytest.raises((ConfigError, RecipeError), match=f"decided by '{other}'.*guess"):
            load_recipe(path)
