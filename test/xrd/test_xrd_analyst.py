"""The process that analyses: same answers as here, its errors, its end, its death."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from matlab_ros.share import share_dir
from matlab_ros.virtual.diffraction import VirtualDiffractometer, scan_program, xrdml_bytes
from matlab_ros.virtual.reactions import load_chemistry
from matlab_ros.xrd.analyse import analyse
from matlab_ros.xrd.analyst import Analyst, NothingToFit, PatternUnreadable, Question
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.readers import read_pattern

STRUCTURES = share_dir() / "config" / "structures"
ELEMENTS = ("Mg", "O", "Ti")


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan of half MgTiO3, half rutile."""
    chemistry = load_chemistry(share_dir() / "config" / "chemistry")
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
    assert [phase.weight_fraction for phase in answer.analysis.phases] == [
        phase.weight_fraction for phase in here.phases
    ]


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
