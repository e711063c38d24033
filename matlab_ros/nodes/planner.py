"""The planner's node: suggestions and observations as services, what it does as a topic.

It thinks in a thread of its own. Meanwhile it takes reports, says that it thinks and for how long,
and a question that is asked anew, by a lab manager that has started again, supersedes the old one.
"""

from __future__ import annotations

import math
import threading
import time
from pathlib import Path
from typing import Any

import torch
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

import matlab_ros.planning.bayesian  # noqa: F401  (loading torch takes seconds: not on request)
from matlab_ros.chemistry.outcomes import SeenPhase
from matlab_ros.model.errors import ConfigError, LabError, PlanningError
from matlab_ros.model.faults import FaultCode
from matlab_ros.nodes.campaign_sources import PlanSource
from matlab_ros.nodes.conversions import settings_from, settings_to
from matlab_ros.nodes.device_node import HEARTBEAT_S, LATCHED, run_node
from matlab_ros.nodes.planner_explanation import Explainer
from matlab_ros.nodes.planner_reactions import ReactionMemory
from matlab_ros.nodes.planner_thinking import Superseded, Thinker
from matlab_ros.nodes.ros_time import RosTime, to_ns
from matlab_ros.planning.campaign import Campaign
from matlab_ros.planning.deadline import Deadline
from matlab_ros.planning.observation import (
    Measured,
    Observation,
    ObservationStatus,
    Pending,
    Suggestion,
)
from matlab_ros.planning.proposer import Request
from matlab_ros.planning.settings import Settings
from matlab_ros_interfaces.msg import CampaignDefinition, PlannerState
from matlab_ros_interfaces.msg import Observation as ObservationMsg
from matlab_ros_interfaces.msg import Suggestion as SuggestionMsg
from matlab_ros_interfaces.srv import ReportObservation, SuggestExperiments

BUDGET_S = 240.0
"""Steady seconds after which a suggestion is the best that was found so far, unless the parameter
``suggestion_budget_s`` says otherwise. A backstop, far above what any suggestion takes: one that is
cut short depends on the speed of the computer. The lab manager asks again after 300."""

THREADS = 6
"""One for each of two questions, the old one and the one that supersedes it; reports; heartbeats;
and two to spare for parameters and time."""

_STATUS = {
    ObservationMsg.MEASURED: ObservationStatus.MEASURED,
    ObservationMsg.INFEASIBLE: ObservationStatus.INFEASIBLE,
    ObservationMsg.ABANDONED: ObservationStatus.ABANDONED,
}


class PlannerNode(Node):
    """Keeps the observations of each campaign it was told of, and suggests from them.

    It keeps no observations on disk: the lab manager's journal has every one, and a planner that
    knows fewer than the lab manager has reported says HISTORY_INCOMPLETE and is told all again.
    What mixtures became is kept in the file of the parameter ``reaction_store``, if that is given.
    """

    def __init__(self) -> None:
        super().__init__("planner")
        self.time = RosTime(self)
        budget = self.declare_parameter("suggestion_budget_s", BUDGET_S)
        recipes = self.declare_parameter("recipes_dir", "config/recipes")
        self._plans = PlanSource(Path(str(recipes.value)))
        store = self.declare_parameter("reaction_store", "")
        self._reactions = ReactionMemory(str(store.value))
        self._budget_s = float(budget.value)
        self._thinker: Thinker[list[Suggestion]] = Thinker(_one_thread)
        self._lock = threading.Lock()
        """Of everything below."""
        self._campaigns: dict[str, Campaign] = {}
        self._suggested = 0
        self._thinking_since: float | None = None
        self._state = PlannerState(
            best_objective=math.nan, last_suggestion_s=math.nan, thinking_s=math.nan
        )
        self._publisher = self.create_publisher(PlannerState, "planner_state", LATCHED)
        self._explainer = Explainer(self, self._thinker, self.time)
        self.create_service(
            SuggestExperiments,
            "suggest_experiments",
            self._on_suggest,
            callback_group=ReentrantCallbackGroup(),
        )
        self.create_service(
            ReportObservation,
            "report_observation",
            self._on_report,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        self.create_timer(
            HEARTBEAT_S,
            self._beat,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        self._beat()

    def destroy_node(self) -> None:
        """Stop thinking, too."""
        self._thinker.close()
        super().destroy_node()

    def _campaign(self, definition: CampaignDefinition) -> Campaign:
        """The campaign of a definition; with the lock held."""
        campaign = self._campaigns.get(definition.name)
        plan = self._plans.plan(definition)
        if campaign is None or campaign.plan != plan:
            earlier = self._reactions.earlier(definition.simulated)
            campaign = Campaign(plan, earlier=earlier)
            self._campaigns[definition.name] = campaign
        return campaign

    # --- suggestions --------------------------------------------------------------------------

    def _on_suggest(self, request: Any, response: Any) -> Any:
        codes = SuggestExperiments.Response
        try:
            with self._lock:
                campaign = self._campaign(request.campaign)
                known = len(campaign.observations)
                if known < request.observations_reported:
                    response.error_code = codes.SUGGEST_HISTORY_INCOMPLETE
                    response.error_message = (
                        f"the planner knows {known} of {request.observations_reported} "
                        "observations; report all of them again, then ask again"
                    )
                    return response
                wanted = campaign.request(
                    len(request.experiment_ids),
                    [
                        Pending(
                            item.experiment_id,
                            Settings(settings_from(item.settings)),
                            item.experiment_id in request.unfired,
                        )
                        for item in request.pending
                    ],
                )
            suggestions = self._think(request, campaign, wanted)
        except Superseded as error:
            response.error_code = codes.SUGGEST_SUPERSEDED
            response.error_message = str(error)
            return response
        except (PlanningError, ConfigError) as error:
            response.error_code = codes.SUGGEST_SPACE_INVALID
            response.error_message = str(error)
            return response
        except Exception as error:
            # A model that cannot be fitted must end in an answer, or the lab waits for ever.
            self.get_logger().error(f"suggestion failed: {error!r}")
            response.error_code = codes.INTERNAL_ERROR
            response.error_message = f"the planner failed: {type(error).__name__}: {error}"
            return response
        _fill(response, request.experiment_ids, suggestions)
        with self._lock:
            self._suggested += len(suggestions)
            if suggestions:
                self._state.method = suggestions[-1].method
                self._state.model = suggestions[-1].provenance.model
            self._describe(request.campaign.name, campaign)
        self._explainer.suggested(
            request.campaign.name,
            campaign.plan,
            dict(zip(request.experiment_ids, suggestions, strict=False)),
            wanted,
        )
        return response

    def _think(self, request: Any, campaign: Campaign, wanted: Request) -> list[Suggestion]:
        """Suggestions, from the thread that thinks."""

        def think(unwanted: threading.Event) -> list[Suggestion]:
            began = time.monotonic()
            with self._lock:
                self._thinking_since = began
            self._beat()
            try:
                deadline = Deadline.after(self._budget_s, unwanted)
                return campaign.answer(wanted.until(deadline))
            finally:
                with self._lock:
                    self._thinking_since = None
                    self._state.last_suggestion_s = time.monotonic() - began
                self._beat()

        key = (request.campaign.name, campaign.plan.sha256, wanted, tuple(request.experiment_ids))
        return self._thinker.ask(key, think)

    # --- reports ------------------------------------------------------------------------------

    def _on_report(self, request: Any, response: Any) -> Any:
        message = request.observation
        self.time.observe(message.stamp)
        requested = settings_from(message.requested)
        try:
            observation = Observation(
                message.experiment_id,
                Settings(settings_from(message.settings)),
                _STATUS.get(message.status, ObservationStatus.ABANDONED),
                message.objective,
                message.sigma,
                Settings(requested) if requested else None,
                message.simulated,
                outcomes={item.name: Measured(item.value, item.sigma) for item in message.outcomes},
                phases=tuple(
                    SeenPhase(item.formula, item.weight_fraction) for item in message.phases
                ),
            )
            with self._lock:
                campaign = self._campaign(request.campaign)
                campaign.report(observation)
                self._remember(campaign, observation, to_ns(message.stamp))
                response.observations = len(campaign.observations)
                self._describe(request.campaign.name, campaign)
        except LabError as error:
            response.error_code = ReportObservation.Response.SUGGEST_SPACE_INVALID
            response.error_message = str(error)
            return response
        self._explainer.reported(request.campaign.name, campaign.plan, observation)
        return response

    def _remember(self, campaign: Campaign, observation: Observation, stamp_ns: int) -> None:
        """Keep what became of the mixture; a lab does not stop because that cannot be written."""
        try:
            self._reactions.remember(campaign.plan, observation, stamp_ns)
        except LabError as error:
            self.get_logger().error(f"reactions are not remembered: {error}")

    # --- what it says -------------------------------------------------------------------------

    def _describe(self, name: str, campaign: Campaign) -> None:
        """With the lock held."""
        best = campaign.best()
        self._state.campaign = name
        self._state.observations = len(campaign.observations)
        self._state.suggestions = self._suggested
        self._state.best_objective = best.objective if best is not None else math.nan
        self._publish()

    def _beat(self) -> None:
        with self._lock:
            self._publish()
        self._explainer.beat()

    def _publish(self) -> None:
        """With the lock held: what is published last is what is true."""
        since = self._thinking_since
        self._state.thinking = since is not None
        self._state.thinking_s = math.nan if since is None else time.monotonic() - since
        self._state.header.stamp = self.time.now_msg()
        self._publisher.publish(self._state)


def _one_thread() -> None:
    """The same sums in the same order, so the same seed gives the same suggestion."""
    torch.set_num_threads(1)


def _fill(response: Any, experiment_ids: list[str], suggestions: list[Suggestion]) -> None:
    """Write suggestions, and what they rest on, into an answer."""
    for experiment_id, item in zip(experiment_ids, suggestions, strict=False):
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
    if len(suggestions) < len(experiment_ids):
        response.error_code = int(FaultCode.SUGGEST_EXHAUSTED)
        response.error_message = "the search space has nothing left that was not tried"
    if suggestions:
        provenance = suggestions[-1].provenance
        response.model = provenance.model
        response.data_sha256 = provenance.data_sha256
        response.software = provenance.software
        response.seed = provenance.seed
        response.plan_sha256 = provenance.plan_sha256


def main() -> int:
    """Run the planner."""
    return run_node(PlannerNode, threads=THREADS)
