"""Which of the things that happen a person should know of now, and what he can do about them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from matlab_ros.lab import events as ev
from matlab_ros.lab.events import Event
from matlab_ros.lab.proposals import about_fault, about_position, sentence
from matlab_ros.lab.state import FaultRun, LabState
from matlab_ros.model.faults import FaultCode, Severity


class AlertLevel(IntEnum):
    """How much it matters; the numbers are those of the interface Alert."""

    NOTICE = 1
    WARNING = 2
    ERROR = 3
    CRITICAL = 4


@dataclass(frozen=True)
class Alert:
    """Something that a person should know of now.

    Attributes:
        level: how much it matters.
        what: the journal's word for it.
        text: what happened, a sentence.
        to_do: what a person can do about it; empty: nothing is needed.
        sequence: of the journal's entry; 0: it is not in the journal.
        stamp_ns: ROS time.
    """

    level: AlertLevel
    what: str
    text: str
    to_do: str = ""
    campaign: str = ""
    experiment_id: str = ""
    sample_id: str = ""
    device: str = ""
    fault_id: str = ""
    sequence: int = 0
    stamp_ns: int = 0


def alert_of(
    event: Event, state: LabState, sequence: int = 0, stamp_ns: int = 0, campaign: str = ""
) -> Alert | None:
    """The alert that an event is worth, None for everything that goes its usual way.

    Args:
        event: that was just written.
        state: of the lab, with the event.
        sequence: of the journal's entry.
        stamp_ns: its ROS time.
        campaign: under way.
    """

    def make(level: AlertLevel, to_do: str = "", **about: str) -> Alert:
        return Alert(
            level,
            event.TAG,
            event.text,
            to_do,
            campaign=campaign,
            sequence=sequence,
            stamp_ns=stamp_ns,
            **about,
        )

    match event:
        case ev.FaultRaised():
            level = AlertLevel.WARNING
            if event.fault.severity >= Severity.DEVICE or event.positions:
                level = AlertLevel.ERROR
            return make(
                level,
                _look_at(state, event.positions),
                experiment_id=event.experiment_id,
                sample_id=event.sample_id,
                device=event.device,
                fault_id=event.fault_id,
            )
        case ev.OperatorAsked():
            raised = state.faults[event.fault_id].raised
            return make(
                AlertLevel.ERROR,
                _look_at(state, raised.positions) or _decide(state, state.faults[event.fault_id]),
                experiment_id=raised.experiment_id,
                sample_id=raised.sample_id,
                device=raised.device,
                fault_id=event.fault_id,
            )
        case ev.DeadlineMissed():
            return make(
                AlertLevel.ERROR,
                f"Look at {event.device}.",
                device=event.device,
                fault_id=event.fault_id,
            )
        case ev.DeviceGone() if state.estopped:
            # The stop itself was told.
            return None
        case ev.DeviceGone():
            return make(
                AlertLevel.ERROR,
                f"Look at {event.device} and its process; it is taken up again when it is back.",
                device=event.device,
                fault_id=event.fault_id,
            )
        case ev.DeviceBack():
            return make(AlertLevel.NOTICE, device=event.device)
        case ev.PositionBlocked():
            return make(
                AlertLevel.ERROR,
                _look_at(state, (event.position,)),
            )
        case ev.EmergencyStopEngaged():
            return make(
                AlertLevel.CRITICAL, "When it is safe: matlab-ros lab estop --release, then resume."
            )
        case ev.EmergencyStopReleased():
            return make(AlertLevel.NOTICE, "The lab is paused: matlab-ros lab resume")
        case ev.PlannerRefused():
            return make(AlertLevel.WARNING)
        case ev.ExperimentAborted() if event.code not in (FaultCode.NONE, FaultCode.CANCELED):
            return make(AlertLevel.ERROR, experiment_id=event.experiment_id)
        case ev.CampaignStopping() if event.code not in (FaultCode.NONE, FaultCode.CANCELED):
            to_do = "The lab is paused then: look, and matlab-ros lab resume" if event.latch else ""
            return make(AlertLevel.CRITICAL, to_do)
        case _:
            return None


def _look_at(state: LabState, positions: tuple[str, ...]) -> str:
    """What to do about positions that nobody knows of; empty: there are none."""
    if not positions:
        return ""
    found = sentence(item for name in positions for item in about_position(state, name))
    places = f"Look at {', '.join(positions)}, and say what you found"
    return f"{places}; {found}" if found else f"{places}: matlab-ros lab look"


def _decide(state: LabState, fault: FaultRun) -> str:
    """What to do about a fault that is asked about."""
    return f"Decide; {sentence(about_fault(state, fault)) or 'matlab-ros lab faults'}"
