"""What an attempt's end means for each sample; a silent device is read with caution."""

from __future__ import annotations

from matlab_ros.lab.events import Effect, Work
from matlab_ros.lab.goals import (
    AnalyseOutcome,
    Goal,
    MeasureOutcome,
    Outcome,
    TransferGoal,
    TransferOutcome,
)
from matlab_ros.lab.state import AttemptRun, LabState
from matlab_ros.model.lab_words import SampleFate


def effects_of(state: LabState, attempt: AttemptRun, outcome: Outcome) -> tuple[Effect, ...]:
    """Effect on each experiment of an attempt.

    Args:
        state: before the outcome.
        attempt: still under way in `state`.
        outcome: of the kind that the attempt's goal has.
    """
    return tuple(_effect(state, attempt.goal, outcome, work) for work in attempt.works)


def _effect(state: LabState, goal: Goal, outcome: Outcome, work: Work) -> Effect:
    if isinstance(goal, TransferGoal):
        assert isinstance(outcome, TransferOutcome)
        return _transferred(state, goal, outcome, work)
    fate = outcome.report.fate(work.sample_id)
    done = outcome.report.succeeded
    if fate is None:
        fate = _unsaid(goal, done)
    elif goal.TAG == "heat":
        # The run may fail as a whole, and yet have been done to this sample.
        done = fate is SampleFate.DONE
    elif goal.TAG == "dispense":
        done = done and fate is SampleFate.DONE
    else:
        done = done and fate in (SampleFate.DONE, SampleFate.UNTOUCHED)
    if isinstance(outcome, MeasureOutcome):
        done = done and outcome.pattern is not None
    elif isinstance(outcome, AnalyseOutcome):
        done = done and outcome.target_fraction is not None
    sample = state.samples[work.sample_id]
    position = state.containers[sample.container_id].position
    return Effect(work, done, fate, "" if fate is SampleFate.LOST else position)


def _unsaid(goal: Goal, succeeded: bool) -> SampleFate:
    """Fate of a sample that the report does not name."""
    if succeeded:
        return SampleFate.DONE
    if goal.TAG in ("measure", "analyse"):
        # Looking at a sample does it no harm.
        return SampleFate.UNTOUCHED
    return SampleFate.COMPROMISED


def _transferred(
    state: LabState, goal: TransferGoal, outcome: TransferOutcome, work: Work
) -> Effect:
    fate = outcome.report.fate(work.sample_id)
    position = outcome.final_position
    if not position and outcome.report.succeeded:
        position = goal.target
    elif not position and fate is SampleFate.UNTOUCHED:
        position = goal.source
    if position not in state.positions or fate is SampleFate.LOST:
        return Effect(work, False, SampleFate.LOST, "")
    occupant = state.occupant(position)
    if occupant is not None and occupant.container_id != goal.container_id:
        # The device says that two containers stand in one place: it knows less than it thinks.
        return Effect(work, False, SampleFate.LOST, "")
    if fate is None:
        fate = SampleFate.DONE if outcome.report.succeeded else SampleFate.UNTOUCHED
    return Effect(work, outcome.report.succeeded and position == goal.target, fate, position)
