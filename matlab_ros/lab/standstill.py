"""When nothing can ever happen again: somebody is asked to look, or the campaign ends and says why.

A campaign stands still when nothing is under way, nothing waits for a moment, every device is there
and yet nothing can begin: a crucible's every way is blocked by positions that nobody may use. A
person can look there and say what he found, and then it goes on. Where the lab may ask, he has the
time that the policy of the step that cannot go on gives for an answer.
"""

from __future__ import annotations

from matlab_ros.lab import events as ev
from matlab_ros.lab.attempts import AttemptDesk
from matlab_ros.lab.doubts import shut_places
from matlab_ros.lab.ledger import Ledger
from matlab_ros.lab.policies import tries_of_step
from matlab_ros.lab.presence import Presence
from matlab_ros.lab.state import ExperimentRun, FaultRun
from matlab_ros.model.faults import Fault, FaultCode
from matlab_ros.model.lab_words import Remedy, Resolution, TaskState


class Standstill:
    """Notices a standstill, and ends it.

    Args:
        ledger: of the lab.
        presence: of its devices.
        attempts: blocks what cannot be carried home.
    """

    def __init__(self, ledger: Ledger, presence: Presence, attempts: AttemptDesk) -> None:
        self._ledger = ledger
        self._state = ledger.state
        self._presence = presence
        self._attempts = attempts

    def end_questions(self) -> None:
        """Close questions that were answered by what happened, or by nobody in time."""
        for fault in self._questions():
            until_ns = fault.answer_by_ns
            if self._is_ending():
                self._close(fault, Resolution.ABORT_EXPERIMENT, "the campaign ends")
            elif self._state.attempts:
                self._close(fault, Resolution.RETRY, "it goes on")
            elif until_ns is not None and self._ledger.now_ns >= until_ns:
                self._close(fault, Resolution.ABORT_EXPERIMENT, "nobody answered in time")
                raised = fault.raised.fault
                self._attempts.stop_all(raised.code, raised.message)

    def _questions(self) -> list[FaultRun]:
        """Open questions about the whole lab."""
        return [
            fault
            for fault in self._state.open_faults()
            if fault.asked is not None and not fault.raised.experiment_id
        ]

    def _close(self, fault: FaultRun, resolution: Resolution, remark: str) -> None:
        self._ledger.emit(
            ev.FaultResolved(fault.raised.fault_id, resolution, "policy", remark=remark)
        )

    def end(self, wakeup_ns: int | None) -> bool:
        """Where nothing can ever happen again, say so and ask or end instead of waiting for ever.

        Args:
            wakeup_ns: when something follows from the passing of time; None: never.

        Returns:
            Whether something followed.
        """
        campaign = self._ledger.open_campaign()
        if (
            self._state.attempts
            or (campaign is not None and campaign.requested)
            or any(True for _ in self._state.unreported())
            or self._state.estopped
            or self._state.paused
            or wakeup_ns is not None
        ):
            return False
        stuck = [run for run in self._state.active() if not is_engaged(run)]
        if not stuck:
            return False
        if self._is_ending():
            awaited = [
                arm for arm in self._ledger.floor.arms if not self._presence.is_given_up(arm)
            ]
            if awaited and not any(self._presence.is_usable(arm) for arm in awaited):
                return False
            for run in stuck:
                self._attempts.block(run, "its container cannot be carried home.")
            return True
        devices = self._ledger.floor.lab.devices
        if not all(self._presence.is_usable(device.name) for device in devices):
            return False
        run = stuck[0]
        shut = shut_places(self._state)
        message = (
            f"{run.experiment_id} cannot go on from {self._state.container_of(run).position} to "
            f"{run.present_step or 'its home'}: every way is blocked"
            f"{'; look at ' if shut else ''}{', '.join(shut)}."
        )
        code = FaultCode.POSITION_UNKNOWN if shut else FaultCode.INTERNAL_ERROR
        fault_id = self._ledger.next_fault_id()
        self._ledger.emit(ev.FaultRaised(fault_id, Fault.of(code, message), "", positions=shut))
        if shut and self._ledger.floor.lab.asks:
            until_ns = self._ledger.now_ns + self._ask_ns(run)
            self._ledger.emit(ev.OperatorAsked(fault_id, until_ns, Remedy.STOP_LAB))
        else:
            self._attempts.stop_all(code, message)
        return True

    def _is_ending(self) -> bool:
        """Whether nothing is left but to put away: of the campaign, and of its guests."""
        campaign = self._ledger.open_campaign()
        return (campaign is None or campaign.stopping is not None) and all(
            run.abort is not None for run in self._state.open_guests()
        )

    def _ask_ns(self, run: ExperimentRun) -> int:
        """How long the policy of an experiment's present step waits for an answer."""
        recipe = run.recipe
        step = recipe.step(run.present_step) if run.present_step else recipe.steps[-1]
        return tries_of_step(step).ask_ns


def is_engaged(run: ExperimentRun) -> bool:
    """Whether an attempt of it is under way or not decided."""
    return any(
        task.state in (TaskState.RUNNING, TaskState.AWAITING_RESOLUTION)
        for task in run.tasks.values()
    )
