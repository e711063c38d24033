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
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_words import SampleFate


def effects_of(state: LabState, attempt: AttemptRun, outcome: Outcome) -> tuple[Effect, ...]:
    """Effect on each experiment of an attempt.

    Args:
        state: before the outcome.
        attempt: still under way in `state`.
        outcome: of the kind that the attempt's goal has.
    """
    return tuple(_effect(state, attempt, outcome, work) for work in attempt.works)


def _effect(state: LabState, attempt: AttemptRun, outcome: Outcome, work: Work) -> Effect:
    goal, device = attempt.goal, attempt.device
    if isinstance(goal, TransferGoal):
        assert isinstance(outcome, TransferOutcome)
        return _transferred(state, goal, outcome, work, device)
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
    if fate is SampleFate.LOST:
        return Effect(work, done, fate, "", (position,))
    return Effect(work, done, fate, position)


def _unsaid(goal: Goal, succeeded: bool) -> SampleFate:
    """Fate of a sample that the report does not name."""
    if succeeded:
        return SampleFate.DONE
    if goal.TAG in ("measure", "analyse"):
        # Looking at a sample does it no harm.
        return SampleFate.UNTOUCHED
    return SampleFate.COMPROMISED


def _transferred(
    state: LabState, goal: TransferGoal, outcome: TransferOutcome, work: Work, device: str
) -> Effect:
    if work.looks:
        return _looked(state, goal, outcome, work, device)
    fate = outcome.report.fate(work.sample_id)
    position = outcome.final_position
    if not position and outcome.report.succeeded:
        position = goal.target
    elif not position and fate is SampleFate.UNTOUCHED:
        position = goal.source
    if fate is SampleFate.LOST or not _may_stand(state, goal, position, device):
        suspects = _suspects(state, goal, outcome, device)
        return Effect(work, False, SampleFate.LOST, "", suspects)
    if fate is None:
        fate = SampleFate.DONE if outcome.report.succeeded else SampleFate.UNTOUCHED
    elif fate is SampleFate.PARTIAL:
        # It was carried half of the way, and nothing was done to what is in it.
        fate = SampleFate.UNTOUCHED
    return Effect(work, outcome.report.succeeded and position == goal.target, fate, position)


def _may_stand(state: LabState, goal: TransferGoal, position: str, device: str) -> bool:
    """Whether a container can be where an arm says; else the arm knows less than it thinks."""
    place = state.floor.places.get(position)
    if place is None or (place.is_gripper and place.device != device):
        return False
    occupant = state.occupant(position)
    return occupant is None or occupant.container_id == goal.container_id


def _suspects(
    state: LabState, goal: TransferGoal, outcome: TransferOutcome, device: str
) -> tuple[str, ...]:
    """Where a container may be that an arm has lost, what is quickly looked at first."""
    if outcome.report.code == FaultCode.TRANSFER_SOURCE_EMPTY:
        # It was not where the arm came for it, and the arm carried nothing anywhere.
        return ()
    ends = tuple(dict.fromkeys((goal.target, goal.source)))
    gripper = state.floor.grippers[device]
    if outcome.report.code == FaultCode.TRANSFER_DROPPED:
        return tuple(name for name in ends if name != gripper)
    return (gripper, *(name for name in ends if name != gripper))


def _looked(
    state: LabState, goal: TransferGoal, outcome: TransferOutcome, work: Work, device: str
) -> Effect:
    """Effect of a transfer from a position where nobody knew whether the container is there."""
    report, position = outcome.report, outcome.final_position
    before = state.containers[goal.container_id].suspects
    if report.succeeded:
        return Effect(work, True, SampleFate.COMPROMISED, position or goal.target)
    if report.code == FaultCode.TRANSFER_SOURCE_EMPTY:
        rest = tuple(name for name in before if name != goal.source)
        return Effect(work, True, SampleFate.LOST, "", rest)
    fate = report.fate(work.sample_id)
    if fate is SampleFate.UNTOUCHED or position == goal.source:
        # Not begun, or broken off before anything was taken.
        return Effect(work, False, SampleFate.LOST, "", before)
    if fate is not SampleFate.LOST and _may_stand(state, goal, position, device):
        return Effect(work, False, SampleFate.COMPROMISED, position)
    rest = (*_suspects(state, goal, outcome, device), *before)
    return Effect(work, False, SampleFate.LOST, "", tuple(dict.fromkeys(rest)))
