"""The process that analyses: same answers as here, its errors, its end, its death."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from matlab_ros.model.lab_words import Confirm, SecondOutcome, Verdict
from matlab_ros.model.scan_program import ScanProgram
from matlab_ros.share import config_file, share_dir
from matlab_ros.virtual.diffraction import VirtualDiffractometer, xrdml_bytes
from matlab_ros.virtual.reactions import load_chemistry
from matlab_ros.virtual.scan_programs import scan_program
from matlab_ros.xrd.analyse import analyse
from matlab_ros.xrd.analyst import Analyst, NothingToFit, PatternUnreadable, Question
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.readers import read_pattern
from matlab_ros.xrd.second_opinion import is_installed
from matlab_ros.xrd.verdict import verdict

STRUCTURES = share_dir() / "config" / "structures"
ELEMENTS = ("Mg", "O", "Ti")


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan of half MgTiO3, half rutile."""
    chemistry = load_chemistry(config_file("chemistry", "mg_ti_o"))
    species = {item.phase: item for item in chemistry.species}
    contents = [(species["MgTiO3"], 500.0), (species["TiO2-Rutile"], 500.0)]
    optics = VirtualDiffractometer([STRUCTURES], list(species), seed=0)
    program = scan_program("10-100_2-minutes")
    path = tmp_path_factory.mktemp("scan") / "scan.xrdml"
    path.write_bytes(xrdml_bytes(optics.measure(contents, program, "s1"), program, 60.0))
    return path


@pytest.fixture(scope="module")
def analyst() -> Iterator[Analyst]:
    """An analyst with the package's own structures."""
    made = Analyst(STRUCTURES)
    yield made
    made.close()


def test_answer_is_the_one_that_would_be_found_here(analyst: Analyst, pattern: Path) -> None:
    answer = analyst.ask(Question(pattern, ELEMENTS, (), "MgTiO3"))
    here = analyse(read_pattern(pattern), Library(STRUCTURES), elements=ELEMENTS)
    assert answer.target == {"MgTiO3"}
    assert [phase.structure.name for phase in answer.analysis.phases] == [
        phase.structure.name for phase in here.phases
    ]
    # The process has one thread for its sums, this one perhaps more: the last digit may differ.
    assert [phase.weight_fraction for phase in answer.analysis.phases] == pytest.approx(
        [phase.weight_fraction for phase in here.phases], rel=1e-9
    )


def test_errors_come_back_by_their_names(analyst: Analyst, pattern: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.xrdml"
    broken.write_text("no pattern")
    with pytest.raises(PatternUnreadable, match="broken"):
        analyst.ask(Question(broken, ELEMENTS, ()))
    with pytest.raises(NothingToFit):
        analyst.ask(Question(pattern, (), ()))
    assert analyst.ask(Question(pattern, ELEMENTS, ())).analysis.phases


def test_killed_process_is_replaced_and_the_question_is_answered(
    analyst: Analyst, pattern: Path
) -> None:
    analyst.start()
    assert analyst.pid is not None
    killed = analyst.pid
    os.kill(killed, signal.SIGKILL)
    assert analyst.ask(Question(pattern, ELEMENTS, ())).analysis.phases
    assert analyst.pid != killed


def test_process_ends_with_who_asks(pattern: Path) -> None:
    made = Analyst(STRUCTURES)
    made.start()
    process = made.pid
    assert process is not None
    made.close()
    assert made.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_second_refinement_is_made_where_it_is_asked_for(analyst: Analyst, pattern: Path) -> None:
    question = Question(pattern, ELEMENTS, (), "MgTiO3")
    asked = {
        "never": question,
        "a success": replace(question, confirm=Confirm.WHEN_SUCCESS, success_fraction=0.3),
        "no success": replace(question, confirm=Confirm.WHEN_SUCCESS, success_fraction=0.9),
        "always": replace(question, confirm=Confirm.ALWAYS, success_fraction=0.9),
    }
    found = {name: analyst.ask(each).analysis.second.outcome for name, each in asked.items()}
    assert found["never"] is found["no success"] is SecondOutcome.NOT_ASKED
    assert found["always"] is not SecondOutcome.NOT_ASKED
    assert found["a success"] is not SecondOutcome.NOT_ASKED
    if is_installed():
        assert found["always"] is SecondOutcome.AGREES


def test_what_was_weighed_in_reaches_the_verdict(analyst: Analyst, pattern: Path) -> None:
    question = Question(pattern, ELEMENTS, (), "MgTiO3")
    as_it_was = replace(question, dispensed_mmol={"Mg": (1.0, 0.01), "Ti": (2.5, 0.01)})
    balance = analyst.ask(as_it_was).analysis.balance
    assert {share.element: share.holds for share in balance} == {"Mg": True, "Ti": True}
    other = replace(question, dispensed_mmol={"Mg": (1.0, 0.01), "Ti": (1.0, 0.01)})
    answer = analyst.ask(other)
    assert not any(share.holds for share in answer.analysis.balance)
    assert verdict(answer.analysis).kind is not Verdict.CONFIRMED


def test_scans_are_added_up_and_an_unreadable_one_is_told(
    analyst: Analyst, pattern: Path, tmp_path: Path
) -> None:
    scan = ScanProgram("10-100_2-minutes", 10.0, 100.0, 127.0)
    question = Question(
        pattern, ELEMENTS, (), "MgTiO3", scan=scan, earlier=(pattern,), earlier_scans=(scan,)
    )
    one = analyst.ask(replace(question, earlier=(), earlier_scans=())).analysis
    two = analyst.ask(question).analysis
    # Twice the counts at the scale of one: the expected residual falls by the square root of two.
    assert two.fit.rexp == pytest.approx(one.fit.rexp / 2**0.5, rel=0.03)
    broken = tmp_path / "broken.xrdml"
    broken.write_text("no pattern")
    with pytest.raises(PatternUnreadable, match="broken"):
        analyst.ask(replace(question, earlier=(broken,)))


def test_nothing_is_looked_at_again_where_nothing_is_open(analyst: Analyst, pattern: Path) -> None:
    scan = ScanProgram("10-100_2-minutes", 10.0, 100.0, 127.0)
    question = Question(
        pattern, ELEMENTS, (), "MgTiO3", scan=scan, programs=(scan,), budget_s=600.0
    )
    assert analyst.ask(question).analysis.again is None
