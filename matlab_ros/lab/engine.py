"""The lab's engine: what the world says goes in, commands come out, the journal is in between.

`Engine.handle` takes one input, turns it into events, lets everything follow that follows from
them, writes all of it to the journal in one transaction, and only then returns what is to be done.
The result depends on nothing but the inputs and their times. What is not in the journal (which
devices are ready, which goals this process has sent) is worked out anew after a restart, and every
goal without an outcome is sent again under its old attempt id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from matlab_ros.lab import events as ev
from matlab_ros.lab import inputs as inp
from matlab_ros.lab.attempts import AttemptDesk
from matlab_ros.lab.commands import Command, FinishCampaign
from matlab_ros.lab.floor import Floor
from matlab_ros.lab.flow import Flow
from matlab_ros.lab.journal import Journal, JournalEntry
from matlab_ros.lab.ledger import Ledger
from matlab_ros.lab.operators import OperatorDesk
from matlab_ros.lab.planner_desk import PlannerDesk
from matlab_ros.lab.presence import Presence
from matlab_ros.lab.refused import Refused
from matlab_ros.lab.scheduler import Scheduler
from matlab_ros.lab.state import LabState
from matlab_ros.model.faults import Fault, FaultCode
from matlab_ros.model.lab_config import LabConfig

__all__ = ["Engine", "Refused"]

_LOG = logging.getLogger(__name__)


class Engine:
    """Runs one lab.

    Args:
        lab: its configuration.
        journal: empty, or see `recover`.
        on_entry: called with each entry after it was written.
        make_scheduler: another one, to compare with.
        planning_ns: ROS time after which suggestions are taken, see `PlannerDesk`.
    """

    def __init__(
        self,
        lab: LabConfig,
        journal: Journal,
        on_entry: Callable[[JournalEntry], None] | None = None,
        make_scheduler: Callable[[Floor, Callable[[str], bool]], Scheduler] = Scheduler,
        planning_ns: int = 0,
    ) -> None:
        self._ledger = Ledger(lab, journal, on_entry)
        self._presence = Presence(self._ledger.state)
        self._attempts = AttemptDesk(self._ledger, self._presence)
        self._planner = PlannerDesk(self._ledger, planning_ns)
        self._operators = OperatorDesk(self._ledger, self._attempts)
        self._flow = Flow(
            self._ledger,
            self._presence,
            self._attempts,
            self._planner,
            make_scheduler(self._ledger.floor, self._presence.is_usable),
        )
        self._deferred: list[inp.AttemptFinished] = []
        self._is_end_told = True
        self._wakeup: tuple[int | None] | None = None
        """When it acts by itself; None where that is not known yet."""

    @classmethod
    def recover(
        cls,
        lab: LabConfig,
        journal: Journal,
        now_ns: int = 0,
        on_entry: Callable[[JournalEntry], None] | None = None,
        on_replayed: Callable[[JournalEntry], None] | None = None,
        planning_ns: int = 0,
    ) -> Engine:
        """An engine in the state that a journal holds; with an empty one the same as a new one.

        Goals without an outcome are sent again as their devices become ready, and open calls of
        the planner are made again, all with the next input.

        Args:
            lab: its configuration.
            journal: is read, and written from now on.
            now_ns: ROS time.
            on_entry: called with each entry after it was written.
            on_replayed: called with each entry that was there before.
            planning_ns: see the engine's own.

        Raises:
            JournalError: the journal cannot be understood or written.
        """
        engine = cls(lab, journal, on_entry, planning_ns=planning_ns)
        engine._ledger.replay(on_replayed)
        if engine.state.sequence:
            engine._ledger.set_time(now_ns)
            engine._ledger.emit(ev.ManagerRestarted())
            engine._ledger.commit()
            engine._is_end_told = engine._ledger.open_campaign() is None
        return engine

    # --- questions ----------------------------------------------------------------------------

    @property
    def state(self) -> LabState:
        """Everything that is known; read it, change nothing."""
        return self._ledger.state

    @property
    def floor(self) -> Floor:
        """The lab's fixed facts."""
        return self._ledger.floor

    def is_usable(self, device: str) -> bool:
        """Whether a device takes goals."""
        return self._presence.is_usable(device)

    def quiescent(self) -> bool:
        """Whether nothing is awaited but the ends of attempts that were sent."""
        return not self._planner.is_holding_up and not self._deferred and self._presence.all_sent()

    def next_wakeup(self) -> int | None:
        """When the engine acts by itself if nothing happens before; ROS time in nanoseconds."""
        if self._wakeup is None:
            self._wakeup = (self._flow.next_wakeup(),)
        return self._wakeup[0]

    # --- in and out ---------------------------------------------------------------------------

    def handle(self, given: inp.Input, now_ns: int) -> list[Command]:
        """Take in one input.

        Args:
            given: what the world says.
            now_ns: ROS time; a time before the journal's last is taken for that one.

        Returns:
            What is to be done, in order; everything it rests on is in the journal.

        Raises:
            Refused: an operator's or client's command cannot be followed; nothing was changed.
            JournalError: the journal could not be written; this engine is not usable any more.
        """
        self._ledger.set_time(now_ns)
        self._wakeup = None
        self._take(given)
        self._planner.take_early()
        if self._deferred and not self._planner.is_holding_up:
            deferred, self._deferred = self._deferred, []
            for finished in sorted(deferred, key=_canonical_order):
                self._finish(finished)
        self._flow.advance()
        self._ledger.commit()
        return self._commands()

    def _take(self, given: inp.Input) -> None:
        match given:
            case inp.Tick():
                pass
            case inp.AttemptFinished():
                self._finish(given)
            case inp.SuggestionsAnswered():
                self._planner.answered(given)
            case inp.ObservationAccepted():
                self._planner.accepted(given.experiment_id)
            case inp.PlannerFailed():
                self._planner.failed(given)
            case inp.DeviceReady():
                self._presence.came(given.device)
                if given.device in self.state.lost:
                    self._ledger.emit(ev.DeviceBack(given.device))
            case inp.DeviceLost():
                self._lose(given)
            case inp.AttemptMissing():
                self._presence.missed(given.attempt_id, self._ledger.now_ns)
            case inp.AttemptListed():
                self._presence.listed(given.attempt_id)
            case inp.DeviceGivenUp():
                self._give_up(given.device)
            case inp.CampaignSubmitted() | inp.ExperimentAsked():
                self._operators.follow(given)
                self._is_end_told = False
            case _:
                self._operators.follow(given)

    def _finish(self, given: inp.AttemptFinished) -> None:
        attempt = self.state.attempts.get(given.attempt_id)
        if attempt is None:
            _LOG.debug("An outcome of %s came again.", given.attempt_id)
        elif self._planner.called_at(given.outcome.report.ended_ns):
            # It happened at the same moment as the planner was asked. Which of the two answers is
            # here first is chance; the planner's goes first, so that history repeats itself.
            self._deferred.append(given)
        else:
            self._attempts.end(attempt, given.outcome)

    def _lose(self, given: inp.DeviceLost) -> None:
        if not self._presence.was_ready(given.device):
            return
        self._presence.went(given.device)
        if given.device not in self.state.lost:
            self._ledger.emit(
                ev.DeviceGone(given.device, self._ledger.next_fault_id(), given.fault)
            )

    def _give_up(self, device: str) -> None:
        if not self.state.is_at_work or self.is_usable(device):
            return
        self._presence.give_up(device)
        message = f"{device} did not come back."
        self._attempts.stop_all(FaultCode.DEVICE_MISSING, message)
        for attempt in list(self.state.attempts.values()):
            if attempt.device == device:
                self._attempts.give_up(attempt, Fault.of(FaultCode.PROCESS_DIED, message))

    def _commands(self) -> list[Command]:
        """What the state asks for and this process has not done yet."""
        out = self._presence.commands()
        call = self._planner.next_call() if not self._planner.is_calling else None
        if call is not None:
            out.append(call)
        campaign = self.state.campaign
        if campaign is not None and campaign.ended is not None and not self._is_end_told:
            self._is_end_told = True
            out.append(
                FinishCampaign(campaign.plan.name, campaign.ended.code, campaign.ended.message)
            )
        return out


def _canonical_order(finished: inp.AttemptFinished) -> tuple[int, str]:
    return finished.outcome.report.ended_ns, finished.attempt_id
