"""The states and transitions of managed nodes, as design.ros2.org/articles/node_lifecycle.html.

Numbers and labels are those of ``lifecycle_msgs`` and rcl_lifecycle.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import NamedTuple


class TransitionCallbackReturn(Enum):
    """How a transition's callback ended."""

    SUCCESS = 97
    FAILURE = 98
    ERROR = 99


class StateId(IntEnum):
    """All states."""

    UNKNOWN = 0
    UNCONFIGURED = 1
    INACTIVE = 2
    ACTIVE = 3
    FINALIZED = 4
    CONFIGURING = 10
    CLEANINGUP = 11
    SHUTTINGDOWN = 12
    ACTIVATING = 13
    DEACTIVATING = 14
    ERRORPROCESSING = 15

    @property
    def label(self) -> str:
        """Its name on the wire."""
        return self.name.lower()


class Transition(NamedTuple):
    """One arrow of the graph."""

    id: int
    label: str
    start: StateId
    goal: StateId


_REQUESTED = (
    Transition(1, "configure", StateId.UNCONFIGURED, StateId.CONFIGURING),
    Transition(2, "cleanup", StateId.INACTIVE, StateId.CLEANINGUP),
    Transition(3, "activate", StateId.INACTIVE, StateId.ACTIVATING),
    Transition(4, "deactivate", StateId.ACTIVE, StateId.DEACTIVATING),
    Transition(5, "shutdown", StateId.UNCONFIGURED, StateId.SHUTTINGDOWN),
    Transition(6, "shutdown", StateId.INACTIVE, StateId.SHUTTINGDOWN),
    Transition(7, "shutdown", StateId.ACTIVE, StateId.SHUTTINGDOWN),
)
_OUTCOMES = (
    # state, first id, after success, after failure, after an error
    (StateId.CONFIGURING, 10, StateId.INACTIVE, StateId.UNCONFIGURED, StateId.ERRORPROCESSING),
    (StateId.CLEANINGUP, 20, StateId.UNCONFIGURED, StateId.INACTIVE, StateId.ERRORPROCESSING),
    (StateId.ACTIVATING, 30, StateId.ACTIVE, StateId.INACTIVE, StateId.ERRORPROCESSING),
    (StateId.DEACTIVATING, 40, StateId.INACTIVE, StateId.ACTIVE, StateId.ERRORPROCESSING),
    (StateId.SHUTTINGDOWN, 50, StateId.FINALIZED, StateId.FINALIZED, StateId.ERRORPROCESSING),
    (StateId.ERRORPROCESSING, 60, StateId.UNCONFIGURED, StateId.FINALIZED, StateId.FINALIZED),
)
_LABELS = ("transition_success", "transition_failure", "transition_error")
_BY_OUTCOME = {
    (state, outcome): Transition(first + offset, _LABELS[offset], state, goals[offset])
    for state, first, *goals in _OUTCOMES
    for offset, outcome in enumerate(TransitionCallbackReturn)
}

ALL_TRANSITIONS = _REQUESTED + tuple(_BY_OUTCOME.values())


def available(state: StateId) -> list[Transition]:
    """Return the transitions that may be requested in a state."""
    return [transition for transition in ALL_TRANSITIONS if transition.start is state]


def requested(state: StateId, transition_id: int, label: str = "") -> Transition | None:
    """Return the transition that a request means, by label if it has one; None if impossible."""
    for transition in _REQUESTED:
        same = transition.label == label if label else transition.id == transition_id
        if same and transition.start is state:
            return transition
    return None


def outcome(state: StateId, returned: TransitionCallbackReturn) -> Transition:
    """Return the transition out of a transition state."""
    return _BY_OUTCOME[state, returned]
