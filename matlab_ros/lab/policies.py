"""What is done about a failed attempt, as the recipe's policy says."""

from __future__ import annotations

from dataclasses import dataclass

from matlab_ros.model.failure_policy import RetryPolicy
from matlab_ros.model.faults import Fault, FaultCode, FaultDomain
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

    policy: RetryPolicy
    then: tuple[Remedy, ...]
    """The first that is possible; `ABORT_EXPERIMENT` behind the last."""
    ask_ns: int
    """How long a question stays open."""

    def wait_ns(self, failures: int) -> int:
        """Time before the next attempt after so many failures in a row."""
        return round(self.policy.wait_before(failures) * _NS_PER_MIN)

    def behind(self, remedy: Remedy) -> Remedy:
        """What is done where nobody answers or a remedy is of no use."""
        rest = self.then[self.then.index(remedy) + 1 :]
        return rest[0] if rest else Remedy.ABORT_EXPERIMENT


def tries_of_step(step: Step) -> Tries:
    """Of a step that a device carries out."""
    policy = step.on_failure
    return Tries(policy, policy.then, round(policy.ask_deadline_min * _NS_PER_MIN))


def tries_of_move(recipe: Recipe, serves: Step | None) -> Tries:
    """Of a transfer, made for a step or (None) to bring the crucible home."""
    if serves is None:
        return Tries(recipe.moves, (Remedy.ABORT_EXPERIMENT,), 0)
    policy = serves.on_failure
    return Tries(recipe.moves, policy.then, round(policy.ask_deadline_min * _NS_PER_MIN))


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
    return (fault.retryable or fault.code in _PASSING) and failures <= tries.policy.retry


def may_try_elsewhere(fault: Fault) -> bool:
    """Whether another device of the kind could do better with the same sample."""
    return not fault.sample_compromised and fault.domain in (FaultDomain.DEVICE, FaultDomain.LAB)


def teaches(fault: Fault) -> ObservationKind:
    """What an experiment that this fault ended says to the planner."""
    if fault.code in _CHEMICAL:
        return ObservationKind.INFEASIBLE
    return ObservationKind.ABANDONED
