"""What belongs to a lab, campaign, experiment or sample, and what of it is under way."""

from __future__ import annotations

from matlab_ros.lab.goals import HeatGoal
from matlab_ros.lab.state import AttemptRun, ExperimentRun, LabState
from matlab_ros.model.lab_words import ExperimentState, Scope


def belongs(run: ExperimentRun, scope: Scope, subject: str) -> bool:
    """Whether an experiment is, or is part of, what a command names."""
    if scope is Scope.LAB:
        return True
    if scope is Scope.CAMPAIGN:
        return run.campaign == subject
    return subject in (run.experiment_id, run.sample_id)


def under_way(state: LabState, scope: Scope, subject: str) -> tuple[AttemptRun, ...]:
    """Attempts without an outcome that concern what a command names."""
    return tuple(
        attempt
        for attempt in state.attempts.values()
        if any(
            belongs(state.experiments[work.experiment_id], scope, subject) for work in attempt.works
        )
    )


def is_canceling(run: ExperimentRun) -> bool:
    """Whether an experiment was cancelled and is not yet safe and put away."""
    return (
        not run.state.is_final
        and run.abort is not None
        and run.abort.state is ExperimentState.CANCELED
    )


def paused_names(state: LabState) -> tuple[str, ...]:
    """What was paused and has not ended, by the words that resume it; ``lab`` is the whole lab."""
    campaign = state.campaign
    known = {(Scope.LAB, "")}
    if campaign is not None and campaign.running:
        known.add((Scope.CAMPAIGN, campaign.plan.name))
    for run in state.in_flight():
        known.add((Scope.CAMPAIGN, run.campaign))
        known.update(((Scope.EXPERIMENT, run.experiment_id), (Scope.SAMPLE, run.sample_id)))
    names = sorted((int(scope), subject) for scope, subject in state.paused & known)
    return tuple(subject or "lab" for _, subject in names)


def what_goes_on(state: LabState, scope: Scope, subject: str) -> str:
    """A sentence on what a pause does not stop; empty: nothing is under way."""
    parts = [_goes_on(attempt) for attempt in under_way(state, scope, subject)]
    if scope in (Scope.EXPERIMENT, Scope.SAMPLE):
        parts.append("Its crucible is carried home if others need the place where it stands.")
    return " ".join(parts)


def what_is_awaited(state: LabState, scope: Scope, subject: str) -> str:
    """A sentence on what a cancel waits for; empty: nothing is under way."""
    if state.is_paused():
        return "The lab stands still: crucibles are put away when it is resumed."
    parts = [
        f"{attempt.device} ends {attempt.attempt_id}."
        for attempt in under_way(state, scope, subject)
    ]
    return " ".join(["Done when:", *parts]) if parts else ""


def _goes_on(attempt: AttemptRun) -> str:
    if isinstance(attempt.goal, HeatGoal):
        return (
            f"{attempt.device} goes on with {attempt.attempt_id} to its end: a furnace run cannot "
            "be paused, only cancelled."
        )
    return f"{attempt.device} brings {attempt.attempt_id} to its end."
