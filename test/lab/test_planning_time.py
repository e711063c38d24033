"""Suggestions that take their time: the lab goes on, and how fast they come changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from matlab_ros.lab.commands import Command, RequestSuggestions
from matlab_ros.lab.engine import Engine
from matlab_ros.lab.events import AttemptEnded, SuggestionsReceived, SuggestionsRequested
from matlab_ros.lab.inputs import PlannerFailed, SuggestionsAnswered
from matlab_ros.lab.journal import MemoryJournal
from matlab_ros.model.faults import FaultCode
from matlab_ros.nodes.table_lab import TableLab

PLANNING_NS = 40 * 60 * 10**9 + 7
"""As long as the shortest steps, and no moment of theirs."""


class LateTable(TableLab):
    """A table lab whose planner's answers come when nothing else can happen, never before."""

    def __init__(self, *given: object) -> None:
        super().__init__(*given)
        self._late: list[Command] = []

    def _do(self, command: Command) -> None:
        if isinstance(command, RequestSuggestions):
            self._late.append(command)
        else:
            super()._do(command)

    def step(self) -> bool:
        if self._late and not self.engine.quiescent():
            super()._do(self._late.pop())
        return super().step()


@pytest.fixture
def history(lab, make_plan, faulty_devices, drawing_planner):
    """Runs a campaign of which suggestions take a time, on a table of a kind; the journal."""

    def run(kind: type[TableLab], planning_ns: int = PLANNING_NS) -> MemoryJournal:
        journal = MemoryJournal()
        engine = Engine(lab, journal, planning_ns=planning_ns)
        table = kind(engine, faulty_devices(lab, 3, 0.05), drawing_planner())
        table.start(make_plan(budget={"experiments": 10, "max_in_flight": 4}))
        assert table.run().code == FaultCode.NONE
        return journal

    return run


def _moments(journal: MemoryJournal, kind: type) -> list[int]:
    return [entry.ros_time_ns for entry in journal.read() if isinstance(entry.event, kind)]


def test_suggestions_are_taken_when_their_time_has_come_and_not_before(history):
    journal = history(TableLab)
    asked = _moments(journal, SuggestionsRequested)
    taken = _moments(journal, SuggestionsReceived)
    # Between asking and the call itself lies at most a report, which takes none of the lab's time.
    assert taken == [moment + PLANNING_NS for moment in asked]


def test_the_lab_goes_on_while_the_planner_thinks(history):
    journal = history(TableLab)
    pairs = list(
        zip(
            _moments(journal, SuggestionsRequested),
            _moments(journal, SuggestionsReceived),
            strict=True,
        )
    )
    ended: Sequence[int] = _moments(journal, AttemptEnded)
    assert any(asked < moment < taken for asked, taken in pairs for moment in ended)


def test_how_fast_the_planner_is_does_not_change_history(history):
    assert history(TableLab).lines() == history(LateTable).lines()


def test_without_a_time_of_their_own_suggestions_are_taken_at_once(history):
    journal = history(TableLab, planning_ns=0)
    assert _moments(journal, SuggestionsRequested) == _moments(journal, SuggestionsReceived)


def test_time_is_held_up_only_by_an_answer_that_is_due(lab, make_plan):
    engine = Engine(lab, MemoryJournal(), planning_ns=PLANNING_NS)
    table = TableLab(engine, None, None, now_ns=10**9)
    table._do = lambda command: None
    table.start(make_plan())
    assert engine.quiescent()
    assert engine.next_wakeup() == 10**9 + PLANNING_NS
    table.step()
    assert not engine.quiescent()
    assert engine.next_wakeup() is None


@pytest.mark.parametrize(
    "answer",
    [PlannerFailed(FaultCode.INTERNAL_ERROR, "no model"), SuggestionsAnswered((), False)],
)
def test_a_refusal_that_comes_early_waits_too(lab, make_plan, answer):
    engine = Engine(lab, MemoryJournal(), planning_ns=PLANNING_NS)
    table = TableLab(engine, None, None, now_ns=10**9)
    table._do = lambda command: None
    table.start(make_plan())
    table.tell(answer)
    assert engine.state.campaign.planner_failures == 0
    table.step()
    assert engine.state.campaign.planner_failures == 1
