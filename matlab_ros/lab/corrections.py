"""What operators saw themselves: where a sample is, what a position holds, clean crucibles.

Corrections move nothing and decide nothing about faults. Each is in the journal with who said it.
"""

from __future__ import annotations

from matlab_ros.lab import events as ev
from matlab_ros.lab import inputs as inp
from matlab_ros.lab.doubts import close_doubts
from matlab_ros.lab.goals import TransferGoal
from matlab_ros.lab.ledger import Ledger
from matlab_ros.lab.refused import Refused
from matlab_ros.lab.state import AttemptRun, ContainerRun, LabState
from matlab_ros.model.faults import FaultCode


class CorrectionDesk:
    """Follows corrections, or refuses those that contradict what is known to be true.

    Args:
        ledger: of the lab.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._state = ledger.state

    def correct_sample(self, asked: inp.CorrectionAsked) -> None:
        """Note where a sample is.

        Raises:
            Refused: the sample or position is unknown, or in use.
        """
        sample = self._state.samples.get(asked.sample_id)
        if sample is None:
            raise Refused(FaultCode.SAMPLE_UNKNOWN, f"No sample {asked.sample_id!r} is known.")
        container = self._state.containers[sample.container_id]
        if container.sample_id not in ("", asked.sample_id):
            raise Refused(
                FaultCode.INVALID_GOAL,
                f"{container.container_id} holds {container.sample_id} by now; "
                f"{asked.sample_id} was in it before.",
            )
        self._check_at_rest(container)
        if asked.position:
            self._check_position(asked.position, container)
        self._ledger.emit(
            ev.SampleCorrected(
                asked.sample_id, asked.position, asked.state, asked.operator, asked.remark
            )
        )
        self._close_doubts(asked)

    def look_at_position(self, asked: inp.PositionAsked) -> None:
        """Note what stands at a position.

        Raises:
            Refused: position or container is unknown, in use, or known to be elsewhere.
        """
        if asked.cleared:
            self._clear(asked)
        elif asked.container_id:
            container = self._state.containers.get(asked.container_id)
            if container is None:
                raise Refused(
                    FaultCode.SAMPLE_UNKNOWN, f"There is no container {asked.container_id!r}."
                )
            self._check_at_rest(container)
            self._check_position(asked.position, container)
        else:
            self._check_known(asked.position)
            occupant = self._state.occupant(asked.position)
            if occupant is not None:
                raise Refused(
                    FaultCode.INVALID_GOAL,
                    f"{occupant.container_id} is known to stand at {asked.position}; say first "
                    "where that one is.",
                )
            self._check_not_reserved(asked.position)
        self._ledger.emit(
            ev.PositionLookedAt(asked.position, asked.container_id, asked.operator, asked.remark)
        )
        self._close_doubts(asked)

    def _clear(self, asked: inp.PositionAsked) -> None:
        """What is known to stand at a position is in its own place now."""
        self._check_known(asked.position)
        container = self._state.occupant(asked.position)
        if container is not None:
            self._check_at_rest(container)
            self._check_position(container.home, container)
            self._ledger.emit(
                ev.PositionLookedAt(
                    container.home, container.container_id, asked.operator, asked.remark
                )
            )
        self._check_not_reserved(asked.position)

    def restock(self, asked: inp.RestockAsked) -> tuple[str, ...]:
        """Note that clean containers stand where used ones belong.

        Returns:
            Names of the containers that are clean by it.

        Raises:
            Refused: a container is unknown or in use; nothing was changed.
        """
        names = asked.container_ids or tuple(
            name
            for name, container in self._state.containers.items()
            if not container.clean
            and container.position == container.home
            and not self._in_use(container)
        )
        for name in names:
            container = self._state.containers.get(name)
            if container is None:
                raise Refused(FaultCode.SAMPLE_UNKNOWN, f"There is no container {name!r}.")
            used_by = self._in_use(container)
            if used_by:
                raise Refused(
                    FaultCode.DEVICE_BUSY, f"{name} is in use by {used_by}; wait for its end."
                )
            if container.suspects:
                raise Refused(
                    FaultCode.INVALID_GOAL,
                    f"{name} may still stand at {', '.join(container.suspects)}; look there and "
                    "say what was found.",
                )
            occupant = self._state.occupant(container.home)
            if occupant is not None and occupant is not container:
                raise Refused(
                    FaultCode.INVALID_GOAL,
                    f"{container.home} holds {occupant.container_id}; say first where that one is.",
                )
        for name in names:
            self._ledger.emit(ev.ContainerReplaced(name, asked.operator, asked.remark))
        return names

    def _close_doubts(self, asked: inp.CorrectionAsked | inp.PositionAsked) -> None:
        close_doubts(self._ledger, asked.operator or "an operator", asked.remark)

    # --- checks -------------------------------------------------------------------------------

    def _in_use(self, container: ContainerRun) -> str:
        """Experiment under way that a container belongs to; empty: none."""
        for run in self._state.active():
            if self._state.samples[run.sample_id].container_id == container.container_id:
                return run.experiment_id
        return ""

    def _check_at_rest(self, container: ContainerRun) -> None:
        attempt = attempt_with(self._state, container)
        if attempt is not None:
            raise Refused(
                FaultCode.DEVICE_BUSY,
                f"{container.container_id} is in {attempt.attempt_id}; wait for its end.",
            )

    def _check_known(self, position: str) -> None:
        if position not in self._state.positions:
            raise Refused(FaultCode.INVALID_GOAL, f"There is no position {position!r}.")

    def _check_not_reserved(self, position: str) -> None:
        attempt_id = self._state.reserved_by(position)
        if attempt_id:
            raise Refused(
                FaultCode.INVALID_GOAL, f"{attempt_id} is on its way to {position}; wait for it."
            )

    def _check_position(self, position: str, container: ContainerRun) -> None:
        self._check_known(position)
        self._check_not_reserved(position)
        occupant = self._state.occupant(position)
        if occupant is not None and occupant is not container:
            raise Refused(
                FaultCode.INVALID_GOAL,
                f"{position} holds {occupant.container_id}; say first where that one is.",
            )
        owner = next(
            (other for other in self._state.containers.values() if other.home == position), None
        )
        if owner is not None and owner is not container:
            raise Refused(
                FaultCode.INVALID_GOAL,
                f"{position} is kept free for {owner.container_id}; put {container.container_id} "
                f"elsewhere, best to its own place {container.home}.",
            )


def attempt_with(state: LabState, container: ContainerRun) -> AttemptRun | None:
    """The attempt under way that has to do with a container, if there is one."""
    for attempt in state.attempts.values():
        if container.sample_id in attempt.goal.sample_ids or (
            isinstance(attempt.goal, TransferGoal)
            and attempt.goal.container_id == container.container_id
        ):
            return attempt
    return None
