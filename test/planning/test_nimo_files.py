"""NIMO's files: its algorithms drive our lab, and our planner chooses for its robots."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest

from matlab_ros.cli import main
from matlab_ros.model.errors import DataError, PlanningError
from matlab_ros.planning import nimo_files as files
from matlab_ros.planning.campaign import Campaign, CampaignPlan
from matlab_ros.planning.deadline import Deadline
from matlab_ros.planning.dimensions import CategoricalDimension, ContinuousDimension
from matlab_ros.planning.nimo_loop import propose_actions
from matlab_ros.planning.observation import Observation, ObservationStatus
from matlab_ros.planning.proposer import Direction
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace

MEASURED = ObservationStatus.MEASURED
SPACE = SearchSpace(
    (
        ContinuousDimension("heat", 600, 900, step=100),
        CategoricalDimension("powder", ("a", "b")),
        ContinuousDimension("gas", 0.1, 0.3, step=0.1),
    )
)
TEXT = """heat,hours,yield
600,1.5,0.25
700,1.5,
800,3,nan
900,3,0.5
"""


def test_candidates_are_read_as_nimo_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "candidates.csv"
    path.write_text(TEXT)
    found = files.read_candidates(path)
    assert found.names == ("heat", "hours")
    assert found.objectives == ("yield",)
    assert found.rows == ((600, 1.5), (700, 1.5), (800, 3), (900, 3))
    assert [found.is_measured(n) for n in range(4)] == [True, False, False, True]
    assert found.values[0] == (0.25,)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "candidates.csv"
    whole = files.candidates_of(SPACE).with_values({3: [0.1 + 0.2]})
    files.write_candidates(path, whole)
    again = files.read_candidates(path)
    assert (again.names, again.rows) == (whole.names, whole.rows)
    assert again.values[3] == (0.1 + 0.2,)
    assert [again.is_measured(n) for n in range(5)] == [False, False, False, True, False]
    files.write_proposals(tmp_path / "proposals.csv", again, [3, 0])
    assert (tmp_path / "proposals.csv").read_text().splitlines()[0] == "actions,heat,powder,gas"
    proposed = files.read_proposals(tmp_path / "proposals.csv")
    assert [item.action for item in proposed] == [3, 0]
    assert SPACE.table is not None
    assert [files.settings_of(SPACE, item) for item in proposed] == [
        SPACE.table[3],
        SPACE.table[0],
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("heat,yield\n", "holds no candidate"),
        ("yield\n0.5\n", "has 1 columns"),
        ("heat,yield\nhot,\n", "line 2 has 'hot'"),
        ("heat,yield\n600\n", "line 2 has 1 columns"),
        ("heat,yield\n600,good\n", "line 2 has 'good'"),
    ],
    ids=["empty", "no-row", "no-column", "word", "short", "word-as-objective"],
)
def test_a_file_that_is_something_else_is_refused_in_words(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "candidates.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        files.read_candidates(path)


@pytest.mark.parametrize(
    "text",
    ["heat\n600\n", "actions,heat\n0.5,600\n", "actions,heat\n-1,600\n", "actions,heat\n1\n"],
)
def test_proposals_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "proposals.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"proposals\.csv"):
        files.read_proposals(path)


def test_a_proposal_outside_of_the_space_is_refused() -> None:
    good = {"heat": 600.0, "powder": 1.0, "gas": 0.2}
    assert files.settings_of(SPACE, files.Proposed(0, good))["powder"] == "b"
    for wrong, words in (
        ({"heat": 5000.0}, "5000"),
        ({"powder": 2.0}, "choice 2"),
    ):
        with pytest.raises(PlanningError, match=words):
            files.settings_of(SPACE, files.Proposed(0, {**good, **wrong}))
    with pytest.raises(PlanningError, match="no column 'gas'"):
        files.settings_of(SPACE, files.Proposed(0, {"heat": 600.0, "powder": 1.0}))


def test_a_space_without_end_is_no_list() -> None:
    with pytest.raises(PlanningError, match="give each number a step"):
        files.candidates_of(SearchSpace((ContinuousDimension("x", 0, 1),)))


def grid() -> files.Candidates:
    """49 candidates, one column of which never changes."""
    rows = tuple((float(x), float(y), 7.0) for x in range(7) for y in range(7))
    return files.Candidates(("x", "y", "batch"), ("yield",), rows, ((math.nan,),) * len(rows))


def run(method: str, direction: Direction, count: int) -> tuple[list[int], files.Candidates]:
    """A NIMO loop with our planner as its algorithm."""
    candidates, order = grid(), []
    while len(order) < count:
        batch = propose_actions(candidates, 2, method=method, direction=direction, seed=3)
        assert len(batch) == len(set(batch)) == 2
        assert not any(candidates.is_measured(action) for action in batch)
        order += batch
        candidates = candidates.with_values(
            {n: [-((candidates.rows[n][0] - 5) ** 2) - candidates.rows[n][1]] for n in batch}
        )
    return order, candidates


def test_our_planner_chooses_for_a_nimo_loop() -> None:
    order, candidates = run("bayesian", Direction.MAXIMIZE, 12)
    assert max(candidates.values[n][0] for n in order) >= -1.0
    first, again = (propose_actions(candidates, 1, seed=3) for _ in range(2))
    assert first == again


def test_a_list_is_proposed_to_its_end() -> None:
    candidates = grid()
    left = {5, 17}
    candidates = candidates.with_values({n: [1.0] for n in range(49) if n not in left})
    assert set(propose_actions(candidates, 4, method="random")) == left


def test_candidates_that_stand_twice_are_proposed_once() -> None:
    rows = ((1.0,), (2.0,), (1.0,))
    candidates = files.Candidates(("x",), ("y",), rows, ((math.nan,),) * 3)
    assert propose_actions(candidates, 3, method="sobol") in ([0, 1], [1, 0])
    done = candidates.with_values({2: [0.5]})
    assert propose_actions(done, 3, method="sobol") == [1]


def test_the_command_line_proposes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "candidates.csv", tmp_path / "proposals.csv"
    source.write_text(TEXT)
    command = ["nimo", "propose", str(source), str(target), "--method", "random"]
    assert main([*command, "--count", "2"]) == 0
    assert {item.action for item in files.read_proposals(target)} == {1, 2}
    assert "candidates" in capsys.readouterr().out
    assert main([*command, "--count", "3"]) == 1
    assert main(["nimo", "propose", str(tmp_path / "no.csv"), str(target)]) == 1
    assert "cannot be read" in capsys.readouterr().err


# --- our lab as the robot -------------------------------------------------------------------------


class Nimo:
    """What NIMO does around its standard robot, as its own modules do it."""

    def __init__(self, folder: Path, candidates: files.Candidates) -> None:
        self.folder = folder
        self.candidates = candidates

    def prepare(self, *actions: int) -> None:
        files.write_proposals(self.folder / "proposals.csv", self.candidates, actions)
        (self.folder / files.START).touch()

    def results(self) -> list[str]:
        assert (self.folder / files.DONE).exists()
        (self.folder / files.DONE).unlink()
        return (self.folder / files.RESULTS).read_text().splitlines()


@pytest.fixture
def nimo(tmp_path: Path) -> Nimo:
    return Nimo(tmp_path, files.candidates_of(SPACE))


def plan(nimo: Nimo) -> CampaignPlan:
    return CampaignPlan(SPACE, method="nimo-loop", options=Settings({"folder": str(nimo.folder)}))


def test_our_lab_is_the_robot_of_a_nimo_loop(nimo: Nimo) -> None:
    campaign = Campaign(plan(nimo))
    nimo.prepare(4, 9)
    batch = campaign.suggest(2)
    assert SPACE.table is not None
    assert [item.settings for item in batch] == [SPACE.table[4], SPACE.table[9]]
    # The second is done first; NIMO reads the results in the order of its proposals.
    campaign.report(Observation("e2", batch[1].settings, MEASURED, 0.9))
    assert not (nimo.folder / files.DONE).exists()
    campaign.report(Observation("e1", batch[0].settings, MEASURED, 0.4))
    assert nimo.results() == ["0.4", "0.9"]
    nimo.prepare(11)
    assert campaign.suggest(2)[0].settings == SPACE.table[11]


def test_a_robot_that_starts_again_goes_on_with_the_same_batch(nimo: Nimo) -> None:
    campaign = Campaign(plan(nimo))
    nimo.prepare(4, 9)
    one, other = campaign.suggest(2)
    campaign.report(Observation("e1", one.settings, MEASURED, 0.4))
    again = Campaign(plan(nimo), campaign.observations)
    assert [item.settings for item in again.suggest(2)] == [other.settings]
    again.report(Observation("e2", other.settings, MEASURED, 0.9))
    assert nimo.results() == ["0.4", "0.9"]


def test_what_failed_has_the_worst_value_and_what_was_abandoned_none(nimo: Nimo) -> None:
    campaign = Campaign(plan(nimo))
    nimo.prepare(0, 1, 2, 3)
    ends = [
        (MEASURED, 0.4),
        (ObservationStatus.INFEASIBLE, math.nan),
        (ObservationStatus.ABANDONED, math.nan),
        (MEASURED, 0.2),
    ]
    for number, (item, (status, value)) in enumerate(zip(campaign.suggest(4), ends, strict=True)):
        campaign.report(Observation(f"e{number}", item.settings, status, value))
    text = (nimo.folder / files.RESULTS).read_text().split("\n")
    assert text[:2] == ["0.4", "0.2"]
    assert text[3] == "0.2"
    assert text[2].strip('"') == ""


def test_a_robot_waits_until_nimo_has_proposed(nimo: Nimo) -> None:
    campaign = Campaign(plan(nimo))
    threading.Timer(0.3, nimo.prepare, [7]).start()
    assert SPACE.table is not None
    assert campaign.suggest(1)[0].settings == SPACE.table[7]


def test_a_robot_does_not_wait_for_ever(nimo: Nimo) -> None:
    with pytest.raises(PlanningError, match="NIMO has proposed nothing"):
        Campaign(plan(nimo)).suggest(1, deadline=Deadline.after(0.0))


def test_a_batch_that_is_under_way_is_said_to_be(nimo: Nimo) -> None:
    from matlab_ros.planning.observation import Pending

    campaign = Campaign(plan(nimo))
    nimo.prepare(4)
    waiting = [Pending("e1", campaign.suggest(1)[0].settings)]
    with pytest.raises(PlanningError, match="1 of NIMO's 1 proposals are still under way"):
        campaign.suggest(1, waiting)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for options in ({}, {"folder": str(tmp_path / "nowhere")}):
        with pytest.raises(PlanningError, match="folder of NIMO's robot"):
            Campaign(CampaignPlan(SPACE, method="nimo-loop", options=Settings(options)))


def test_nimo_itself_reads_what_we_write_and_we_what_it_writes(tmp_path: Path) -> None:
    """A whole loop with the real package: its algorithm, its standard robot's files, our lab."""
    package = pytest.importorskip("nimo")
    candidates, proposals = tmp_path / "candidates.csv", tmp_path / "proposals.csv"
    files.write_candidates(candidates, files.candidates_of(SPACE))
    plan = CampaignPlan(
        SPACE,
        method="nimo-loop",
        options=Settings({"folder": str(tmp_path), "proposals": str(proposals)}),
    )
    campaign = Campaign(plan)
    for loop in range(5):
        package.selection(
            method="RE" if loop < 3 else "PHYSBO",
            input_file=str(candidates),
            output_file=str(proposals),
            num_objectives=1,
            num_proposals=2,
            re_seed=loop,
        )
        package.preparation_input(
            machine="STAN", input_file=str(proposals), input_folder=str(tmp_path)
        )
        for number, item in enumerate(campaign.suggest(2)):
            value = item.settings.number("heat") / 900
            campaign.report(Observation(f"e{loop}{number}", item.settings, MEASURED, value))
        package.analysis_output(
            machine="STAN",
            input_file=str(proposals),
            output_file=str(candidates),
            num_objectives=1,
            output_folder=str(tmp_path),
        )
    known = files.read_candidates(candidates)
    measured = [n for n in range(len(known.rows)) if known.is_measured(n)]
    assert len(measured) == 10
    for action in measured:
        assert known.values[action][0] == pytest.approx(known.rows[action][0] / 900)
