"""Which experiments an event may have changed: nobody has to look at the others."""

from __future__ import annotations

from matlab_ros.lab import events as ev
from matlab_ros.lab.state import LabState

_OF_NO_EXPERIMENT = (
    ev.CampaignStarted,
    ev.CampaignEnded,
    ev.ManagerRestarted,
    ev.SuggestionsRequested,
    ev.PlannerRefused,
    ev.PlannerForgot,
    ev.CancelIntended,
    ev.DeviceGone,
    ev.DeviceBack,
    ev.DeadlineMissed,
    ev.LeaseExpired,
)


class Touched:
    """Collects the experiments that are to be looked at again, in the order of the events."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def add(self, experiment_id: str) -> None:
        """Have one experiment looked at."""
        self._names[experiment_id] = None

    def add_all(self, state: LabState) -> None:
        """Have every experiment looked at that has not ended."""
        for run in state.in_flight():
            self._names[run.experiment_id] = None

    def note(self, event: ev.Event, state: LabState) -> None:
        """Take in an event.

        Args:
            event: that happened.
            state: after it.
        """
        if isinstance(event, _OF_NO_EXPERIMENT):
            return
        if isinstance(event, ev.AttemptIntended):
            names = [work.experiment_id for work in event.works]
        elif isinstance(event, ev.AttemptEnded):
            names = [effect.work.experiment_id for effect in event.effects]
        elif isinstance(event, (ev.FaultResolved, ev.OperatorAsked)):
            names = [state.faults[event.fault_id].raised.experiment_id]
        elif isinstance(event, ev.ExperimentSubmitted) and event.plan is not None:
            # Beside a paused campaign: what is in a guest's way is to be put aside.
            self.add_all(state)
            return
        elif isinstance(event, ev.SuggestionsReceived):
            names = [item.experiment_id for item in event.suggestions]
        elif isinstance(experiment_id := getattr(event, "experiment_id", None), str):
            names = [experiment_id]
        else:
            self.add_all(state)
            return
        for name in names:
            if name:
                self._names[name] = None

    def take(self) -> tuple[str, ...]:
        """Those collected since the last time."""
        taken = tuple(self._names)
        self._names.clear()
        return taken
