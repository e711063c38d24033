"""What is done about a failed attempt, as the recipe's policy says; nobody is asked."""

from __future__ import annotations

from dataclasses import dataclass

from matlab_ros.model.faults import Fault, FaultCode
from matlab_ros.model.lab_words import ObservationKind, Remedy
from matlab_ros.model.recipe import Recipe, Step

_PASSING = frozenset(
    {
        FaultCode.CANCELED,
        FaultCode.DEADLINE_EXCEEDED,
        FaultCode.DEVICE_NOT_ACTIVE,
        FaultCode.EMERGENCY_STOP,
        FaultCode.INTERRUPTED,
        FaultCode.PROCESS_DIED,
    }
)
"""Faults of the moment, beside the retryable ones: an untouched sample may be tried again."""

_CHEMICAL = frozenset({FaultCode.ANALYSE_DIVERGED})
"""Faults that say something about the chemistry: no model explains what was measured."""

_NS_PER_MIN = 60_000_000_000


@dataclass(frozen=True)
class Tries:
    """How often and how soon something is tried again, and what follows then."""

    retry: int
    wait_ns: int
    then: Remedy


def tries_of_step(step: Step) -> Tries:
    """Of a step that a device carries out."""
    policy = step.on_failure
    return Tries(policy.retry, round(policy.wait_min * _NS_PER_MIN), policy.then)


def tries_of_move(recipe: Recipe, serves: Step | None) -> Tries:
    """Of a transfer, made for a step or (None) to bring the crucible home."""
    moves = recipe.moves
    then = Remedy.ABORT_EXPERIMENT if serves is None else serves.on_failure.then
    return Tries(moves.retry, round(moves.wait_min * _NS_PER_MIN), then)


def may_retry(fault: Fault, failures: int, tries: Tries) -> bool:
    """Whether the same is tried once more.

    Args:
        fault: of the last attempt.
        failures: in a row, the last one included.
        tries: the policy.
    """
    if fault.sample_compromised:
        return False
    if fault.code is FaultCode.EMERGENCY_STOP:
        return True
    return (fault.retryable or fault.code in _PASSING) and failures <= tries.retry


def teaches(fault: Fault) -> ObservationKind:
    """What an experiment that this fault ended says to the planner."""
    if fault.code in _CHEMICAL:
        return ObservationKind.INFEASIBLE
    return ObservationKind.ABANDONED
