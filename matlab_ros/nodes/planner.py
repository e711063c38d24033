"""The planner's node: suggestions and observations as services, what it does as a topic."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

import matlab_ros.planning.bayesian  # noqa: F401  (loading torch takes seconds: not on request)
from matlab_ros.model.errors import ConfigError, LabError, PlanningError
from matlab_ros.model.faults import FaultCode
from matlab_ros.nodes.conversions import campaign_from_message, settings_from, settings_to
from matlab_ros.nodes.device_node import HEARTBEAT_S, LATCHED, run_node
from matlab_ros.nodes.ros_time import RosTime
from matlab_ros.planning.campaign import Campaign, plan_of
from matlab_ros.planning.observation import Observation, ObservationStatus, Pending
from matlab_ros.planning.settings import Settings
from matlab_ros_interfaces.msg import CampaignDefinition, PlannerState
from matlab_ros_interfaces.msg import Observation as ObservationMsg
from matlab_ros_interfaces.msg import Suggestion as SuggestionMsg
from matlab_ros_interfaces.srv import ReportObservation, SuggestExperiments

_STATUS = {
    ObservationMsg.MEASURED: ObservationStatus.MEASURED,
    ObservationMsg.INFEASIBLE: ObservationStatus.INFEASIBLE,
    ObservationMsg.ABANDONED: ObservationStatus.ABANDONED,
}


class PlannerNode(Node):
    """Keeps the observations of each campaign it was told of, and suggests from them.

    It keeps nothing on disk: the lab manager's journal has every observation, and a planner that
    knows fewer than the lab manager has reported says HISTORY_INCOMPLETE and is told all again.
    """

    def __init__(self) -> None:
        super().__init__("planner")
        # One thread: the same sums in the same order, so the same seed gives the same suggestion.
        torch.set_num_threads(1)
        self.time = RosTime(self)
        self._campaigns: dict[str, Campaign] = {}
        self._suggested = 0
        self._state = PlannerState(best_objective=math.nan, last_suggestion_s=math.nan)
        self._publisher = self.create_publisher(PlannerState, "planner_state", LATCHED)
        # Requests one after the other, in the order of their arrival.
        group = MutuallyExclusiveCallbackGroup()
        self.create_service(
            SuggestExperiments, "suggest_experiments", self._on_suggest, callback_group=group
        )
        self.create_service(
            ReportObservation, "report_observation", self._on_report, callback_group=group
        )
        self.create_timer(
            HEARTBEAT_S,
            self._publish,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        self._publish()

    def _campaign(self, definition: CampaignDefinition) -> Campaign:
        campaign = self._campaigns.get(definition.name)
        plan = plan_of(campaign_from_message(definition))
        if campaign is None or campaign.plan != plan:
            campaign = self._campaigns[definition.name] = Campaign(plan)
        return campaign

    def _on_suggest(self, request: Any, response: Any) -> Any:
        self._state.thinking = True
        self._publish()
        began = time.monotonic()
        try:
            campaign = self._campaign(request.campaign)
            known = len(campaign.observations)
            if known < request.observations_reported:
                response.error_code = SuggestExperiments.Response.SUGGEST_HISTORY_INCOMPLETE
                response.error_message = (
                    f"the planner knows {known} of {request.observations_reported} observations; "
                    "report all of them again, then ask again"
                )
                return response
            pending = [
                Pending(item.experiment_id, Settings(settings_from(item.settings)))
                for item in request.pending
            ]
            suggestions = campaign.suggest(len(request.experiment_ids), pending)
        except (PlanningError, ConfigError) as error:
            response.error_code = SuggestExperiments.Response.SUGGEST_SPACE_INVALID
            response.error_message = str(error)
            return response
        except Exception as error:
            # A model that cannot be fitted must end in an answer, or the lab waits for ever.
            self.get_logger().error(f"suggestion failed: {error!r}")
            response.error_code = SuggestExperiments.Response.INTERNAL_ERROR
            response.error_message = f"the planner failed: {type(error).__name__}: {error}"
            return response
        finally:
            self._state.thinking = False
            self._state.last_suggestion_s = time.monotonic() - began
            self._publish()
        for experiment_id, item in zip(request.experiment_ids, suggestions, strict=False):
            response.suggestions.append(
                SuggestionMsg(
                    experiment_id=experiment_id,
                    settings=settings_to(item.settings),
                    predicted_mean=item.predicted_mean,
                    predicted_sigma=item.predicted_sigma,
                    acquisition_value=item.acquisition_value,
                    method=item.method,
                )
            )
        if len(suggestions) < len(request.experiment_ids):
            response.error_code = int(FaultCode.SUGGEST_EXHAUSTED)
            response.error_message = "the search space has nothing left that was not tried"
        if suggestions:
            provenance = suggestions[-1].provenance
            response.model = provenance.model
            response.data_sha256 = provenance.data_sha256
            response.software = provenance.software
            self._state.method = suggestions[-1].method
            self._state.model = provenance.model
        self._suggested += len(suggestions)
        self._describe(request.campaign.name, campaign)
        return response

    def _on_report(self, request: Any, response: Any) -> Any:
        message = request.observation
        self.time.observe(message.stamp)
        try:
            campaign = self._campaign(request.campaign)
            requested = settings_from(message.requested)
            campaign.report(
                Observation(
                    message.experiment_id,
                    Settings(settings_from(message.settings)),
                    _STATUS.get(message.status, ObservationStatus.ABANDONED),
                    message.objective,
                    message.sigma,
                    Settings(requested) if requested else None,
                    message.simulated,
                )
            )
        except LabError as error:
            response.error_code = ReportObservation.Response.SUGGEST_SPACE_INVALID
            response.error_message = str(error)
            return response
        response.observations = len(campaign.observations)
        self._describe(request.campaign.name, campaign)
        return response

    def _describe(self, name: str, campaign: Campaign) -> None:
        best = campaign.best()
        self._state.campaign = name
        self._state.observations = len(campaign.observations)
        self._state.suggestions = self._suggested
        self._state.best_objective = best.objective if best is not None else math.nan
        self._publish()

    def _publish(self) -> None:
        self._state.header.stamp = self.time.now_msg()
        self._publisher.publish(self._state)


def main() -> int:
    """Run the planner."""
    return run_node(PlannerNode, threads=3)
