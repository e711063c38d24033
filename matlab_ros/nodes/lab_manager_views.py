"""What the lab manager shows: its engine's state and journal entries as messages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matlab_ros.lab.engine import Engine
from matlab_ros.lab.journal import JournalEntry
from matlab_ros.lab.proposals import about_fault, about_position
from matlab_ros.lab.scopes import is_canceling, paused_names
from matlab_ros.lab.state import ExperimentRun, FaultRun, LabState, SampleRun
from matlab_ros.model.faults import FaultDomain
from matlab_ros.model.lab_words import ExperimentState, Scope
from matlab_ros.nodes.conversions import lab_settings_to, nan
from matlab_ros.nodes.lab_manager_devices import DeviceLink
from matlab_ros.nodes.ros_time import to_msg
from matlab_ros_interfaces import msg

_DOMAINS = {
    FaultDomain.DEVICE: msg.Fault.DOMAIN_DEVICE,
    FaultDomain.MATERIAL: msg.Fault.DOMAIN_MATERIAL,
    FaultDomain.REQUEST: msg.Fault.DOMAIN_REQUEST,
    FaultDomain.LAB: msg.Fault.DOMAIN_LAB,
}


def waits_message(engine: Engine, wakes_at_ns: int | None, sequence: int, quiescent: bool) -> Any:
    """LabWaits: the little that virtual time needs to know, as often as it changes."""
    attempts = engine.state.attempts
    return msg.LabWaits(
        sequence=sequence,
        quiescent=quiescent,
        attempts_in_flight=list(attempts),
        attempt_devices=[attempt.device for attempt in attempts.values()],
        wakes_at=to_msg(wakes_at_ns or 0),
    )


def lab_state_message(
    engine: Engine,
    wakes_at_ns: int | None,
    links: Sequence[DeviceLink],
    now_ns: int,
    sequence: int,
    quiescent: bool,
) -> Any:
    """LabState: the overview that people look at."""
    state = engine.state
    campaign = state.campaign if state.campaign is not None and state.campaign.running else None
    best = state.best()
    message = msg.LabState(
        sequence=sequence,
        lab=engine.floor.lab.name,
        quiescent=quiescent,
        attempts_in_flight=list(state.attempts),
        attempt_devices=[attempt.device for attempt in state.attempts.values()],
        wakes_at=to_msg(wakes_at_ns or 0),
        paused=state.is_paused(stopped=False),
        paused_names=list(paused_names(state)),
        canceling=campaign is not None and campaign.stopping is not None,
        estopped=state.estopped,
        campaign=campaign.plan.name if campaign is not None else "",
        experiments_budget=campaign.config.budget.experiments if campaign is not None else 0,
        experiments_succeeded=state.count(ExperimentState.SUCCEEDED),
        experiments_failed=state.count(ExperimentState.FAILED, ExperimentState.CANCELED),
        experiments_in_flight=state.campaign_in_flight_count(),
        best_objective=math.nan,
        devices=[_device(state, link) for link in links],
        experiments=[experiment_message(run, state) for run in state.in_flight()],
        open_faults=len(state.open_faults()),
        questions=sum(fault.asked is not None for fault in state.open_faults()),
    )
    if best is not None and best.observation is not None:
        message.best_objective = nan(best.observation.objective)
        message.best_experiment_id = best.experiment_id
    message.header.stamp = to_msg(now_ns)
    return message


def _device(state: LabState, link: DeviceLink) -> Any:
    name = link.device.name
    attempt = state.attempt_on(name)
    summary = msg.DeviceSummary(
        device=name,
        kind=link.device.kind.value,
        present=link.present,
        ready=link.ready,
        attempt_id=attempt.attempt_id if attempt is not None else "",
        progress=math.nan,
    )
    for active in link.state.attempts if link.state is not None else ():
        if active.attempt_id == summary.attempt_id:
            summary.step = active.step
            summary.progress = active.progress
    return summary


def experiment_message(run: ExperimentRun, state: LabState) -> Any:
    """ExperimentState."""
    return msg.ExperimentState(
        experiment_id=run.experiment_id,
        campaign=run.campaign,
        settings=lab_settings_to(run.suggestion.settings),
        state=int(run.state),
        paused=not run.state.is_final and state.is_paused(run),
        canceling=is_canceling(run),
        asking=state.is_asking(run),
        step="" if run.state.is_final else run.present_step,
        objective=nan(run.observation.objective if run.observation is not None else None),
    )


def sample_message(state: LabState, sample: SampleRun) -> Any:
    """SampleState."""
    run = state.experiments.get(sample.experiment_id)
    return msg.SampleState(
        sample_id=sample.sample_id,
        experiment_id=sample.experiment_id,
        container_id=sample.container_id,
        position=state.containers[sample.container_id].position,
        state=int(sample.state),
        step=run.present_step if run is not None and not run.state.is_final else "",
    )


def position_messages(state: LabState) -> list[Any]:
    """PositionState of every position, in the order of the lab's file."""
    found = []
    for name, place in state.floor.places.items():
        container = state.occupant(name)
        found.append(
            msg.PositionState(
                position=name,
                station=place.station,
                state=int(state.position_state(name)),
                container_id=container.container_id if container is not None else "",
                reserved_by=state.reserved_by(name),
                to_do=[item.line for item in about_position(state, name)],
            )
        )
    return found


def fault_message(run: FaultRun, state: LabState) -> Any:
    """Fault."""
    raised = run.raised
    fault = raised.fault
    return msg.Fault(
        fault_id=raised.fault_id,
        device=raised.device,
        attempt_id=raised.attempt_id,
        experiment_id=raised.experiment_id,
        step=raised.step_id,
        sample_ids=[raised.sample_id] if raised.sample_id else [],
        error_code=int(fault.code),
        message=fault.message,
        domain=_DOMAINS[fault.domain],
        severity=int(fault.severity),
        retryable=fault.retryable,
        sample_compromised=fault.sample_compromised,
        resolution=int(run.resolution),
        resolved_by=run.resolved_by,
        raised=to_msg(run.raised_ns),
        resolved=to_msg(run.resolved_ns),
        remark=run.remark,
        asked=run.asked is not None,
        ask_until=to_msg(run.answer_by_ns or 0),
        without_answer=run.asked.then.value if run.asked is not None else "",
        to_do=[item.line for item in about_fault(state, run)],
    )


def fill_snapshot(response: Any, engine: Engine, lab_state: Any) -> Any:
    """Fill a GetSnapshot response."""
    state = engine.state
    response.lab = lab_state
    response.event_sequence = state.sequence
    response.experiments = [experiment_message(run, state) for run in state.experiments.values()]
    response.samples = [sample_message(state, sample) for sample in state.samples.values()]
    response.positions = position_messages(state)
    response.faults = [fault_message(run, state) for run in state.faults.values()]
    return response


def event_message(entry: JournalEntry) -> Any:
    """LabEvent: the journal's entry with whom it concerns."""
    event = entry.event
    fields: Mapping[str, Any] = vars(event)
    experiment_id = fields.get("experiment_id", "")
    sample_id = fields.get("sample_id", "")
    works = fields.get("works") or [effect.work for effect in fields.get("effects", ())]
    if works and not experiment_id:
        experiment_id, sample_id = works[0].experiment_id, works[0].sample_id
    if fields.get("scope") is Scope.EXPERIMENT:
        experiment_id = fields["subject"]
    return msg.LabEvent(
        stamp=to_msg(entry.ros_time_ns),
        sequence=entry.sequence,
        campaign=entry.campaign,
        experiment_id=experiment_id,
        sample_id=sample_id,
        attempt_id=fields.get("attempt_id", ""),
        device=fields.get("device", ""),
        kind=int(event.KIND),
        what=event.TAG,
        text=event.text,
    )
