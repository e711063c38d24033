"""All that an analysis says arrives at the lab, through the messages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from matlab_ros.lab.analysis_values import ElementAmount
from matlab_ros.lab.goals import AnalyseGoal, AnalyseOutcome, MeasureGoal, RawFile
from matlab_ros.model.lab_words import Confirm, Order, SecondOutcome, Verdict
from matlab_ros.model.scan_program import ScanProgram
from matlab_ros.nodes.analysis_messages import scan_program_from, scan_program_to
from matlab_ros.nodes.analysis_results import describe
from matlab_ros.nodes.conversions import goal_to, outcome_from
from matlab_ros.share import share_dir
from matlab_ros.xrd.alternatives import Alternative
from matlab_ros.xrd.analyse import Analysis, analyse
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.look_again import DecidingRange, LookAgain
from matlab_ros.xrd.refit import refitted
from matlab_ros.xrd.residual import Unexplained, UnexplainedPeak
from matlab_ros.xrd.second_opinion import SecondOpinion
from matlab_ros.xrd.simulate import PhaseInMixture, simulate
from matlab_ros.xrd.structure import read_structure
from matlab_ros_interfaces.action import AnalysePattern
from matlab_ros_interfaces.msg import OrderTest, SecondRefinement

STRUCTURES = Path(share_dir()) / "config" / "structures"
SCAN = ScanProgram("10-40_20-minutes", 10.0, 40.0, 1200.0)
GOAL = AnalyseGoal(
    attempt_id="a/analyse/1",
    issued_ns=1,
    deadline_ns=2,
    sample_id="a-s1",
    pattern=RawFile("file:///p", "0" * 64, 1, "x"),
    elements=("Mg", "O", "Ti"),
    phases=(),
    target_phase="MgTiO3",
    scan=SCAN,
    earlier=(RawFile("file:///q", "1" * 64, 1, "x"),),
    earlier_scans=(ScanProgram("short", 10.0, 100.0, 60.0),),
    dispensed=(ElementAmount("Mg", 10.0, 0.1), ElementAmount("Ti", 11.0, 0.1)),
    confirm=Confirm.WHEN_SUCCESS,
    success_fraction=0.5,
    programs=(SCAN,),
    budget_s=1800.0,
)


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    """One with something in every field."""
    parts = {"MgTiO3": 0.7, "MgO-Periclase": 0.3}
    phases = [
        PhaseInMixture(read_structure(STRUCTURES / f"{name}.cif"), share)
        for name, share in parts.items()
    ]
    found = analyse(
        simulate(phases, np.random.default_rng(1)),
        Library(STRUCTURES),
        elements=GOAL.elements,
        dispensed_mmol={"Mg": (10.0, 0.1), "Ti": (4.0, 0.1)},
    )
    rutile = read_structure(STRUCTURES / "TiO2-Rutile.cif")
    return replace(
        found,
        unexplained=Unexplained((UnexplainedPeak(31.4, 9.0, 0.03),), 0.01),
        alternatives=(Alternative("MgO-Periclase", rutile, 4.0, True, refitted(found.fit)),),
        second=SecondOpinion(SecondOutcome.AGREES, "", (), 0.012, 0.08, 1.05, 1.2),
        again=LookAgain(SCAN, (DecidingRange(18.0, 22.0, 0.4, ("a", "b")),), 33.0, 250.0),
    )


def told(analysis: Analysis) -> AnalyseOutcome:
    result = AnalysePattern.Result()
    describe(analysis, {"MgTiO3"}, result)
    outcome = outcome_from(GOAL, result)
    assert isinstance(outcome, AnalyseOutcome)
    return outcome


def test_every_finding_of_an_analysis_arrives(analysis: Analysis) -> None:
    outcome = told(analysis)
    assert outcome.verdict is Verdict.CONFIRMED
    assert outcome.target_fraction == pytest.approx(analysis.weight_fraction("MgTiO3"))
    assert outcome.phases[0].cell_shift == pytest.approx(analysis.phases[0].cell_shift)
    assert outcome.quality.unexplained_peak_shares == pytest.approx((0.03,))
    assert outcome.quality.converged is True
    assert [item.element for item in outcome.balance] == ["Mg", "Ti"]
    assert [item.holds for item in outcome.balance] == [s.holds for s in analysis.balance]
    (alternative,) = outcome.alternatives
    assert (alternative.phase, alternative.alternative) == ("MgO-Periclase", "TiO2-Rutile")
    assert alternative.contradicted
    (order,) = outcome.order
    assert order.result is Order.ORDERED
    assert order.mixed == ("Mg", "Ti")
    assert outcome.second.outcome is SecondOutcome.AGREES
    assert outcome.second.software == "rietx"
    assert outcome.second.goodness_of_fit == pytest.approx(1.2)
    assert outcome.again.program == SCAN
    assert outcome.again.ranges[0].rival == "b"
    assert outcome.again.needed_s == pytest.approx(250.0)


def test_what_is_not_known_arrives_as_nothing(analysis: Analysis) -> None:
    outcome = told(
        replace(
            analysis,
            second=SecondOpinion(),
            again=LookAgain(None, (DecidingRange(18.0, 22.0, 0.4, ("a", "b")),), 3.0, np.inf),
        )
    )
    assert outcome.second.outcome is SecondOutcome.NOT_ASKED
    assert outcome.second.rwp_percent is None
    assert outcome.again.program is None
    assert outcome.again.needed_s is None
    assert told(replace(analysis, again=None)).again.ranges == ()


def test_goal_carries_what_the_analysis_needs() -> None:
    message = goal_to(GOAL)
    assert scan_program_from(message.scan) == SCAN
    assert [scan_program_from(each) for each in message.earlier_scans] == list(GOAL.earlier_scans)
    assert [each.uri for each in message.earlier] == ["file:///q"]
    assert [(e.element, e.amount_mmol) for e in message.dispensed] == [("Mg", 10.0), ("Ti", 11.0)]
    assert Confirm(message.confirm) is Confirm.WHEN_SUCCESS
    assert message.success_fraction == 0.5
    assert message.budget_s == 1800.0
    assert scan_program_from(scan_program_to(None)) is None


def test_measurement_says_what_its_program_measures() -> None:
    goal = MeasureGoal("a/measure/1", 1, 2, "a-s1", "diffractometer/1", SCAN.name, SCAN)
    message = goal_to(goal)
    assert (message.first_deg, message.last_deg, message.duration_s) == (10.0, 40.0, 1200.0)
    assert goal_to(replace(goal, scan=None)).duration_s == 0.0


def test_numbers_are_those_of_the_messages() -> None:
    for words, message in (
        (Confirm, AnalysePattern.Goal),
        (SecondOutcome, SecondRefinement),
        (Order, OrderTest),
    ):
        for word in words:
            assert getattr(message, word.name) == word.value
