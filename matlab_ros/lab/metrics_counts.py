"""A campaign's journal, counted entry by entry; `matlab_ros.lab.metrics` makes figures of it."""

from __future__ import annotations

from collections.abc import Iterable

from matlab_ros.lab import events as ev
from matlab_ros.lab.events import MOVE, EventKind
from matlab_ros.lab.experiment_values import CampaignPlan, Setting, Suggestion
from matlab_ros.lab.goals import DispenseOutcome, Goal, HeatGoal
from matlab_ros.lab.journal import JournalEntry
from matlab_ros.lab.metrics_tallies import (
    DeviceTally,
    ExperimentTally,
    FaultTally,
    MaterialTally,
    ProfileTally,
    ReplicatesTally,
    StepTally,
)
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_words import ExperimentState, ObservationKind, Resolution

NS_PER_S = 1e9
_POLICY = "policy"


class CampaignCounts:
    """Counts one campaign.

    Args:
        campaign: its name; None: the last one that began.
    """

    def __init__(self, campaign: str | None = None) -> None:
        self.name = campaign
        self.plan: CampaignPlan | None = None
        """None before its beginning was seen; until then nothing else is there."""
        self._owners: dict[str, str] = {}
        """For each experiment that somebody asked for: its campaign, a guest's being itself."""

    def _begin(self, plan: CampaignPlan, entry: JournalEntry) -> None:
        self.plan = plan
        self.began_ns = self.now_ns = entry.ros_time_ns
        self.ended_ns: int | None = None
        self.began_wall = self.last_wall = entry.wall_time
        self.steps: dict[str, StepTally] = {}
        self.devices: dict[str, DeviceTally] = {}
        self.open: dict[str, tuple[str, int, Goal, tuple[ev.Work, ...]]] = {}
        """Attempts under way: device, beginning, goal, works."""
        self.faults: dict[str, FaultTally] = {}
        self.uncured: dict[tuple[str, str], str] = {}
        """The last fault of an experiment's step that was not done since."""
        self.gone_by: dict[str, str] = {}
        self.materials: dict[str, MaterialTally] = {}
        self.experiments: dict[str, ExperimentTally] = {}
        self.suggested: dict[str, Suggestion] = {}
        self.by_planner = self.by_person = self.acts = self.restarts = 0
        self.last_act_ns = entry.ros_time_ns
        self.longest_ns = 0
        self.ended = self.succeeded = 0
        self.residence_s = 0.0
        self.repairs, self.repair_s = 0, 0.0
        self.replicates: dict[tuple[Setting, ...], ReplicatesTally] = {}
        self.sigmas = ReplicatesTally()
        self.without_model = ReplicatesTally()
        self.pooled_squares, self.pooled_freedom = 0.0, 0
        self.measured = 0
        self.improvements: list[tuple[int, float]] = []
        """Number of the measured experiment, and its objective, where it was the best so far."""

    # --- taking entries -----------------------------------------------------------------------

    def take(self, entry: JournalEntry) -> None:
        """Count the next entry."""
        event = entry.event
        is_guest = False
        if isinstance(event, ev.ExperimentSubmitted):
            is_guest = event.plan is not None
            self._owners[event.experiment_id] = event.plan.name if event.plan else entry.campaign
        if isinstance(event, ev.CampaignStarted):
            if self.name is None or event.plan.name == self.name:
                self._begin(event.plan, entry)
            return
        if self.plan is None or self.ended_ns is not None or entry.campaign != self.plan.name:
            return
        self.now_ns = max(self.now_ns, entry.ros_time_ns)
        self.last_wall = entry.wall_time or self.last_wall
        if event.KIND is EventKind.OPERATOR and not (is_guest or isinstance(event, ev.StepAssumed)):
            # Guests are no help to the campaign. What is assumed is part of deciding about a
            # fault, which counts below.
            self._act()
        match event:
            case ev.CampaignEnded():
                self.ended_ns = self.now_ns
            case ev.ManagerRestarted():
                self.restarts += 1
            case ev.SuggestionsReceived():
                self.by_planner += len(event.suggestions)
                self.suggested.update({item.experiment_id: item for item in event.suggestions})
            case ev.ExperimentSubmitted() if not is_guest:
                self.by_person += 1
            case ev.ExperimentStarted():
                self.experiments[event.experiment_id] = ExperimentTally(self.now_ns, self.now_ns)
            case ev.AttemptIntended():
                self._intended(event)
            case ev.AttemptEnded():
                self._attempt_ended(event)
            case ev.ObservationMade():
                self._observed(event)
            case ev.ExperimentEnded():
                self._experiment_ended(event)
            case ev.FaultRaised():
                self._raised(event)
            case ev.DeadlineMissed():
                self.faults[event.fault_id] = FaultTally(event.fault.code.name)
            case ev.FaultResolved():
                self._resolved(event)
            case ev.DeviceGone():
                self._gone(event)
            case ev.DeviceBack():
                self._back(event.device)
            case _:
                pass

    def _act(self) -> None:
        self.acts += 1
        self.longest_ns = max(self.longest_ns, self.now_ns - self.last_act_ns)
        self.last_act_ns = self.now_ns

    def _intended(self, event: ev.AttemptIntended) -> None:
        self.open[event.attempt_id] = (event.device, self.now_ns, event.goal, event.works)
        kind = event.goal.TAG
        for work in event.works:
            run = self.experiments.get(work.experiment_id)
            if run is None:
                continue
            run.waited_s += max(0, self.now_ns - run.free_ns) / NS_PER_S
            run.free_ns = self.now_ns
            if work.step_id != MOVE or not work.serves:
                # What a sample waits for the arm that carries it to a step is that step's.
                self._step(kind).waiting.add(run.waited_s)
                run.waited_s = 0.0

    def _attempt_ended(self, event: ev.AttemptEnded) -> None:
        opened = self.open.pop(event.attempt_id, None)
        if opened is None:
            return
        name, intended_ns, goal, works = opened
        report = event.outcome.report
        # The device's own times where they fit into ours: its word may come late.
        began_ns = min(max(report.began_ns, intended_ns), self.now_ns)
        ended_ns = min(max(report.ended_ns or self.now_ns, began_ns), self.now_ns)
        worked_s = (ended_ns - began_ns) / NS_PER_S
        samples = max(1, len(goal.sample_ids))
        failed = report.code not in (FaultCode.NONE, FaultCode.CANCELED)
        device = self._device(name)
        device.busy_s += max(0, ended_ns - max(began_ns, device.busy_until_ns)) / NS_PER_S
        device.busy_until_ns = max(device.busy_until_ns, ended_ns)
        device.attempts += 1
        device.samples += samples
        device.most_samples = max(device.most_samples, samples)
        device.failures += failed
        device.stay_s += worked_s * samples
        device.kinds.add(goal.TAG)
        if isinstance(goal, HeatGoal):
            firing = device.profiles.setdefault(goal.profile, ProfileTally())
            firing.runs += 1
            firing.samples += samples
            firing.busy_s += worked_s
        step = self._step(goal.TAG)
        step.attempts += 1
        step.failures += failed
        if report.succeeded:
            step.working.add(worked_s)
        for work in works:
            run = self.experiments.get(work.experiment_id)
            if run is not None:
                run.free_ns = self.now_ns
        for effect in event.effects:
            if effect.done:
                self.uncured.pop((effect.work.experiment_id, effect.work.step_id), None)
        if isinstance(event.outcome, DispenseOutcome):
            self._dosed(event.outcome, works)

    def _dosed(self, outcome: DispenseOutcome, works: Iterable[ev.Work]) -> None:
        run = next(
            (
                self.experiments[work.experiment_id]
                for work in works
                if work.experiment_id in self.experiments
            ),
            None,
        )
        for dose in outcome.doses:
            material = self.materials.setdefault(dose.substance, MaterialTally())
            material.doses += 1
            material.requested_mg += dose.requested_mg
            if dose.measured_mg is None:
                material.unmeasured += 1
                continue
            material.dispensed_mg += dose.measured_mg
            if run is not None:
                run.dispensed.append((dose.substance, dose.measured_mg))

    def _observed(self, event: ev.ObservationMade) -> None:
        seen = event.observation
        if seen.status is not ObservationKind.MEASURED or seen.objective is None:
            return
        assert self.plan is not None
        run = self.experiments.get(event.experiment_id)
        if run is not None:
            run.measured = True
        if self._owners.get(event.experiment_id, self.plan.name) != self.plan.name:
            # A guest's says nothing about what the campaign looks for.
            return
        self.measured += 1
        sign = 1.0 if self.plan.config.direction == "maximize" else -1.0
        if not self.improvements or sign * seen.objective > sign * self.improvements[-1][1]:
            self.improvements.append((self.measured, seen.objective))
        same = self.replicates.setdefault(seen.requested, ReplicatesTally())
        before = same.squares
        same.add(seen.objective)
        self.pooled_squares += same.squares - before
        self.pooled_freedom += same.count > 1
        if seen.sigma is not None:
            self.sigmas.add(seen.sigma)
        suggestion = self.suggested.get(event.experiment_id)
        if suggestion is not None and suggestion.predicted_mean is None:
            self.without_model.add(seen.objective)

    def _experiment_ended(self, event: ev.ExperimentEnded) -> None:
        run = self.experiments.pop(event.experiment_id, None)
        if run is None:
            return
        self.ended += 1
        self.residence_s += (self.now_ns - run.started_ns) / NS_PER_S
        has_result = event.state is ExperimentState.SUCCEEDED and run.measured
        self.succeeded += has_result
        if not has_result:
            for substance, mass_mg in run.dispensed:
                self.materials[substance].wasted_mg += mass_mg

    def _raised(self, event: ev.FaultRaised) -> None:
        self.faults[event.fault_id] = FaultTally(event.fault.code.name)
        if event.experiment_id:
            key = (event.experiment_id, event.step_id)
            before = self.uncured.get(key)
            if before is not None:
                self.faults[before].came_again = True
            self.uncured[key] = event.fault_id

    def _resolved(self, event: ev.FaultResolved) -> None:
        by_person = event.resolved_by != _POLICY and event.resolved_by not in self.devices
        if by_person:
            self._act()
        fault = self.faults.get(event.fault_id)
        if fault is not None:
            fault.resolution = event.resolution
            fault.by_person = by_person

    def _gone(self, event: ev.DeviceGone) -> None:
        device = self._device(event.device)
        device.goings += 1
        device.gone_ns = self.now_ns
        self.faults[event.fault_id] = FaultTally(event.fault.code.name)
        self.gone_by[event.device] = event.fault_id

    def _back(self, name: str) -> None:
        device = self._device(name)
        if device.gone_ns is None:
            return
        away_s = (self.now_ns - device.gone_ns) / NS_PER_S
        device.down_s += away_s
        device.gone_ns = None
        self.repairs += 1
        self.repair_s += away_s
        self.faults[self.gone_by.pop(name)].resolution = Resolution.RETRY

    def _step(self, kind: str) -> StepTally:
        return self.steps.setdefault(kind, StepTally())

    def _device(self, name: str) -> DeviceTally:
        return self.devices.setdefault(name, DeviceTally())
