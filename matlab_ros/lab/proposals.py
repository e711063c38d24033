"""What a person can say about a fault or a position: commands that are followed as they stand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from matlab_ros.lab.corrections import attempt_with
from matlab_ros.lab.resolutions import possible
from matlab_ros.lab.state import FaultRun, LabState
from matlab_ros.model.lab_words import PositionState, Resolution

_WHEN = {
    Resolution.RETRY: "to try it again",
    Resolution.SKIP: "to go on without it",
    Resolution.ASSUME_DONE: "if it was done by hand",
    Resolution.ABORT_SAMPLE: "to give the sample up",
    Resolution.ABORT_EXPERIMENT: "to give the experiment up",
}


@dataclass(frozen=True)
class Proposal:
    """A command, and when it is the right one."""

    command: str
    when: str

    @property
    def line(self) -> str:
        """As a shell takes it."""
        return f"{self.command}  # {self.when}"


def about_fault(state: LabState, fault: FaultRun) -> tuple[Proposal, ...]:
    """Commands that decide about a fault; none where it is not a person's to decide."""
    fault_id = fault.raised.fault_id
    return tuple(
        Proposal(
            f"matlab-ros lab resolve {fault_id} {item.name.lower().replace('_', '-')}", _WHEN[item]
        )
        for item in possible(state, fault)
    )


def about_position(state: LabState, name: str) -> tuple[Proposal, ...]:
    """Commands that say what a blocked or unknown position holds; none while it is in use."""
    known = state.position_state(name)
    if known not in (PositionState.BLOCKED, PositionState.UNKNOWN):
        return ()
    look, occupant = f"matlab-ros lab look {name}", state.occupant(name)
    if occupant is not None:
        if attempt_with(state, occupant) is not None:
            return ()
        holder = occupant.container_id
        stands = Proposal(f"{look} {holder}", f"if {holder} stands there and all is well")
        if occupant.home == name:
            return (stands,)
        clear = Proposal(
            f"matlab-ros lab clear {name}", f"once {holder} is back in {occupant.home}"
        )
        # Nothing follows for one of an experiment that has ended: it would be in the way for ever.
        is_wanted = known is PositionState.UNKNOWN or state.experiment_in(occupant) is not None
        return (clear, stands) if is_wanted else (clear,)
    if state.reserved_by(name):
        return ()
    missing = [
        container.container_id
        for container in state.containers.values()
        if name in container.suspects and attempt_with(state, container) is None
    ]
    return (
        Proposal(look, "if it is empty"),
        *(Proposal(f"{look} {holder}", f"if {holder} stands there") for holder in missing),
    )


def sentence(proposals: Iterable[Proposal]) -> str:
    """Proposals for a reader; empty: there is none."""
    return "; ".join(f"{item.when}: {item.command}" for item in proposals)
