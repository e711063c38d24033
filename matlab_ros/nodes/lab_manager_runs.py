"""The lab manager's actions: a campaign to its end, and one experiment to its end."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from matlab_ros.lab.commands import FinishCampaign
from matlab_ros.lab.experiment_values import CampaignPlan
from matlab_ros.lab.goals import DispenseOutcome
from matlab_ros.lab.inputs import CampaignSubmitted, CancelAsked, ExperimentAsked
from matlab_ros.lab.refused import Refused
from matlab_ros.lab.results import analysis_of
from matlab_ros.lab.state import ExperimentRun
from matlab_ros.model.errors import LabError
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_config import LabConfig
from matlab_ros.model.lab_words import ExperimentState, Scope
from matlab_ros.nodes.conversions import (
    dose_reading_to,
    lab_settings_from,
    lab_settings_to,
    nan,
    observation_to,
    phase_fraction_to,
    quality_to,
)
from matlab_ros.nodes.lab_manager_campaigns import plan_campaign, plan_experiment
from matlab_ros.nodes.lab_manager_devices import missing
from matlab_ros.nodes.lab_manager_services import Manager
from matlab_ros_interfaces import action

_LOOK_S = 0.5
"""Between two feedbacks, steady seconds; the end itself is told at once."""


class RunManager(Manager, Protocol):
    """What the actions need of the lab manager."""

    lab: LabConfig
    is_ending: bool
    is_gate_open: bool
    planner_present: bool
    failure: LabError | None

    def post(self, what: Callable[[], None]) -> None:
        """Have something run in the manager's thread."""


class Runs:
    """Offers ``run_campaign`` and ``run_experiment``.

    Args:
        node: that offers them.
        manager: whose engine runs them.
        group: callback group; re-entrant, since each goal waits for its end.
        recipes_dir: folder of the recipes.
        structures_dir: folder of the structure library.
        bring_up_timeout_s: steady seconds that devices get to become ready.
    """

    def __init__(
        self,
        node: Node,
        manager: RunManager,
        group: CallbackGroup,
        recipes_dir: Path,
        structures_dir: Path,
        bring_up_timeout_s: float,
    ) -> None:
        self._log = node.get_logger()
        self._manager = manager
        self._folders = (recipes_dir, structures_dir)
        self._bring_up_timeout_s = bring_up_timeout_s
        self._finished: FinishCampaign | None = None
        self._happened = threading.Condition()
        self._count = 0
        """Of what happened; a waiter compares it."""
        self._servers = [
            ActionServer(
                node,
                kind,
                name,
                execute_callback=execute,
                goal_callback=lambda _goal: GoalResponse.ACCEPT,
                cancel_callback=self._on_cancel,
                callback_group=group,
            )
            for kind, name, execute in (
                (action.RunCampaign, "run_campaign", self._run_campaign),
                (action.RunExperiment, "run_experiment", self._run_experiment),
            )
        ]

    # --- what the manager tells ---------------------------------------------------------------

    def campaign_finished(self, finished: FinishCampaign) -> None:
        """A campaign is over."""
        self._finished = finished
        self.wake()

    def wake(self) -> None:
        """Have every waiting goal look again."""
        with self._happened:
            self._count += 1
            self._happened.notify_all()

    def _on_cancel(self, _handle: Any) -> CancelResponse:
        # The goal's own thread passes it on; it ends when everything concerned is safe.
        self.wake()
        return CancelResponse.ACCEPT

    def _wait(self, seen: int) -> None:
        """Wait a little, less where something happens."""
        with self._happened:
            self._happened.wait_for(lambda: self._count != seen, _LOOK_S)

    def _wait_for_devices(self, handle: Any, *, planner: bool) -> None:
        """Wait until devices and planner are there, for as long as they are given.

        Raises:
            Refused: one is missing, and the sentence names it; or the goal was cancelled.
        """
        manager = self._manager
        until = time.monotonic() + self._bring_up_timeout_s
        while True:
            seen = self._count
            problem = manager.ask(lambda: missing(list(manager.links.values())))
            if not problem and planner and not manager.planner_present:
                problem = "The planner is missing: it does not offer its services."
            if handle.is_cancel_requested:
                raise Refused(FaultCode.CANCELED, "Cancelled before it began.")
            if not problem and manager.is_gate_open:
                return
            if time.monotonic() > until or manager.is_ending:
                raise Refused(
                    FaultCode.DEVICE_MISSING,
                    problem or "The clock is missing: use_sim_time is set and nobody publishes it.",
                )
            self._wait(seen)

    def _end(self, handle: Any, result: Any, code: int, message: str) -> Any:
        """End a goal with a status that agrees with its code."""
        result.error_code, result.error_message = code, message
        if code == FaultCode.NONE:
            handle.succeed()
        elif code == FaultCode.CANCELED and handle.is_cancel_requested:
            handle.canceled()
        else:
            self._log.error(message)
            handle.abort()
        return result

    def _is_over(self) -> str:
        """Why no end can be waited for any more; empty: it can."""
        if not self._manager.is_ending:
            return ""
        return str(self._manager.failure or "The lab manager was shut down.")

    # --- campaigns ----------------------------------------------------------------------------

    def _run_campaign(self, handle: Any) -> Any:
        """Execute a RunCampaign goal: start or go on, and wait for the end."""
        definition = handle.request.campaign
        try:
            plan = plan_campaign(definition, self._manager.lab, *self._folders)
            # One that a restarted lab manager goes on with waits for its devices by itself.
            if not self._manager.ask(lambda: self._is_under_way(plan.name)):
                self._wait_for_devices(handle, planner=True)
            self._manager.ask(lambda: self._submit(plan))
            code, message = self._follow_campaign(handle, plan.name)
        except LabError as error:
            code = int(error.code if isinstance(error, Refused) else FaultCode.INTERNAL_ERROR)
            message = str(error)
        try:
            result = self._manager.ask(lambda: self._summary(definition.name))
        except LabError:
            result = action.RunCampaign.Result(best_objective=math.nan)
        return self._end(handle, result, code, message)

    def _is_under_way(self, name: str) -> bool:
        campaign = self._manager.engine.state.campaign
        return campaign is not None and campaign.running and campaign.plan.name == name

    def _submit(self, plan: CampaignPlan) -> None:
        self._finished = None
        self._manager.tell(CampaignSubmitted(plan))

    def _follow_campaign(self, handle: Any, name: str) -> tuple[int, str]:
        """Wait for a campaign's end: its code and sentence."""
        while True:
            seen = self._count
            finished = self._finished
            if finished is not None and finished.campaign == name:
                return finished.code, finished.message
            over = self._is_over()
            if over:
                return int(FaultCode.INTERNAL_ERROR), over
            if handle.is_cancel_requested:
                self._manager.post(lambda: self._cancel(Scope.CAMPAIGN, name))
            handle.publish_feedback(self._manager.ask(self._campaign_feedback))
            self._wait(seen)

    def _cancel(self, scope: Scope, subject: str) -> None:
        """Cancel what a goal stands for, where it is under way; again changes nothing."""
        state = self._manager.engine.state
        if scope is Scope.CAMPAIGN:
            campaign = state.campaign
            is_due = self._is_under_way(subject) and campaign.stopping is None
        else:
            run = state.experiments.get(subject)
            is_due = run is not None and not run.state.is_final and run.abort is None
        if is_due:
            self._manager.tell(CancelAsked(scope, subject, reason="its client cancelled it."))

    def _campaign_feedback(self) -> Any:
        state = self._manager.engine.state
        best = state.best()
        campaign = state.campaign
        objective = best.observation.objective if best and best.observation else None
        return action.RunCampaign.Feedback(
            experiments_done=sum(run.state.is_final for run in state.in_campaign()),
            experiments_budget=campaign.config.budget.experiments if campaign else 0,
            experiments_in_flight=state.campaign_in_flight_count(),
            best_objective=nan(objective),
        )

    def _summary(self, name: str) -> Any:
        """Result of a campaign as far as it is, without its error code."""
        result = action.RunCampaign.Result(best_objective=math.nan)
        state = self._manager.engine.state
        if state.campaign is None or state.campaign.plan.name != name:
            return result
        result.experiments_succeeded = state.count(ExperimentState.SUCCEEDED)
        result.experiments_failed = state.count(ExperimentState.FAILED, ExperimentState.CANCELED)
        best = state.best()
        if best is not None and best.observation is not None:
            result.best_objective = nan(best.observation.objective)
            result.best_experiment_id = best.experiment_id
            result.best_settings = lab_settings_to(best.suggestion.settings)
        return result

    # --- single experiments -------------------------------------------------------------------

    def _run_experiment(self, handle: Any) -> Any:
        """Execute a RunExperiment goal: submit it, or join what was submitted, and wait."""
        request = handle.request
        name = request.experiment_id
        try:
            plan = plan_experiment(request, self._manager.lab, *self._folders)
            self._wait_for_devices(handle, planner=False)
            asked = ExperimentAsked(
                lab_settings_from(request.settings), name, plan, request.operator_name
            )
            name = self._manager.ask(lambda: self._submit_experiment(asked))
            code, message = self._follow_experiment(handle, name)
        except LabError as error:
            code = int(error.code if isinstance(error, Refused) else FaultCode.INTERNAL_ERROR)
            message = str(error)
        try:
            result = self._manager.ask(lambda: self._findings(name))
        except LabError:
            result = action.RunExperiment.Result()
        return self._end(handle, result, code, message)

    def _submit_experiment(self, asked: ExperimentAsked) -> str:
        """Put an experiment into the lab; its id."""
        state = self._manager.engine.state
        self._manager.tell(asked)
        return asked.experiment_id or next(reversed(state.experiments))

    def _follow_experiment(self, handle: Any, name: str) -> tuple[int, str]:
        """Wait for an experiment's end: its code and sentence."""
        while True:
            seen = self._count
            ended = self._manager.ask(lambda: self._end_of(name))
            if ended is not None:
                return ended
            over = self._is_over()
            if over:
                return int(FaultCode.INTERNAL_ERROR), over
            if handle.is_cancel_requested:
                self._manager.post(lambda: self._cancel(Scope.EXPERIMENT, name))
            handle.publish_feedback(self._manager.ask(lambda: self._experiment_feedback(name)))
            self._wait(seen)

    def _end_of(self, name: str) -> tuple[int, str] | None:
        """Code and sentence of an experiment that is over, None of one that is not."""
        state = self._manager.engine.state
        run = state.experiments.get(name)
        if run is None:
            return int(FaultCode.INTERNAL_ERROR), f"{name} gave way to another campaign."
        if not run.state.is_final:
            return None
        message = run.abort.message if run.abort is not None else ""
        if run.state is ExperimentState.SUCCEEDED:
            return int(FaultCode.NONE), ""
        if run.state is ExperimentState.CANCELED:
            campaign = state.campaign
            stopping = campaign.stopping if campaign is not None and not run.is_guest else None
            code = stopping.code if stopping is not None else run.abort.code if run.abort else 0
            return int(code or FaultCode.CANCELED), message
        codes = [
            fault.raised.fault.code
            for fault in state.faults.values()
            if fault.raised.experiment_id == name
        ]
        return int(codes[-1] if codes else FaultCode.INTERNAL_ERROR), message or "It has no result."

    def _experiment_feedback(self, name: str) -> Any:
        run = self._manager.engine.state.experiments.get(name)
        if run is None:
            return action.RunExperiment.Feedback()
        return action.RunExperiment.Feedback(step=run.present_step, progress=self._progress(run))

    def _progress(self, run: ExperimentRun) -> float:
        """Share of the steps that are done, with what a device says of its part of one."""
        done = float(sum(task.state.is_final for task in run.steps))
        present = run.tasks.get(run.present_step)
        if present is not None and present.attempt_id in self._manager.engine.state.attempts:
            link = self._manager.links[present.device]
            for active in link.state.attempts if link.state is not None else ():
                if active.attempt_id == present.attempt_id and math.isfinite(active.progress):
                    done += active.progress
        return done / max(1, len(run.steps))

    def _findings(self, name: str) -> Any:
        """Result of an experiment as far as it is, without its error code."""
        result = action.RunExperiment.Result()
        state = self._manager.engine.state
        run = state.experiments.get(name)
        if run is None:
            return result
        if run.observation is not None:
            result.observation = observation_to(run.observation)
        for outcome in run.outcomes.values():
            if isinstance(outcome, DispenseOutcome):
                result.doses.extend(dose_reading_to(item) for item in outcome.doses)
        analysis = analysis_of(run.recipe, run)
        if analysis is not None:
            result.phases = [phase_fraction_to(item) for item in analysis.phases]
            result.quality = quality_to(analysis.quality)
        return result
