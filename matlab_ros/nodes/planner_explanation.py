"""The planner's explanations as a topic, computed only while somebody listens."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rclpy.node import Node

from matlab_ros.nodes.conversions import settings_to
from matlab_ros.nodes.device_node import LATCHED
from matlab_ros.nodes.planner_thinking import Thinker
from matlab_ros.nodes.ros_time import RosTime
from matlab_ros.planning.campaign import CampaignPlan
from matlab_ros.planning.observation import Observation, Suggestion
from matlab_ros.planning.proposer import Request
from matlab_ros_interfaces import msg

SHOWN = 8
"""The last suggestions that are explained."""

POINTS = 31
"""Of a slice along a number."""


@dataclass(frozen=True)
class _Made:
    """A suggestion and what was known when it was made."""

    experiment_id: str
    suggestion: Suggestion
    request: Request


@dataclass
class _Story:
    """What happened in one campaign since this planner was started."""

    plan: CampaignPlan
    observations: dict[str, Observation] = field(default_factory=dict)
    made: dict[str, _Made] = field(default_factory=dict)


class Explainer:
    """Publishes why the planner asks for what it asks for.

    Args:
        node: the planner's.
        thinker: in whose thread explanations are computed, after what is asked for.
        time: of the header.
    """

    def __init__(self, node: Node, thinker: Thinker[Any], time: RosTime) -> None:
        self._node = node
        self._thinker = thinker
        self._time = time
        self._lock = threading.Lock()
        self._stories: dict[str, _Story] = {}
        self._present = ""
        self._is_stale = False
        self._is_busy = False
        self._publisher = node.create_publisher(
            msg.PlannerExplanation, "planner_explanation", LATCHED
        )

    def suggested(
        self,
        campaign: str,
        plan: CampaignPlan,
        suggestions: Mapping[str, Suggestion],
        request: Request,
    ) -> None:
        """Take note of suggestions, by experiment id."""
        with self._lock:
            story = self._story(campaign, plan)
            for name, item in suggestions.items():
                story.made[name] = _Made(name, item, request)
        self.beat()

    def reported(self, campaign: str, plan: CampaignPlan, observation: Observation) -> None:
        """Take note of an observation."""
        with self._lock:
            story = self._story(campaign, plan)
            story.observations[observation.experiment_id] = observation

    def beat(self) -> None:
        """Have an explanation computed where one is missing and somebody listens."""
        if not self._publisher.get_subscription_count():
            return
        with self._lock:
            if self._is_busy or not self._is_stale:
                return
            self._is_busy, self._is_stale = True, False
        self._thinker.do_later(self._explain)

    def _story(self, campaign: str, plan: CampaignPlan) -> _Story:
        """With the lock held."""
        story = self._stories.get(campaign)
        if story is None or story.plan != plan:
            story = self._stories[campaign] = _Story(plan)
        self._present, self._is_stale = campaign, True
        return story

    def _explain(self) -> None:
        try:
            with self._lock:
                name = self._present
                story = self._stories[name]
                observations = list(story.observations.values())
                made = dict(story.made)
            self._publisher.publish(self._message(name, story.plan, observations, made))
        except Exception as error:
            # The campaign goes on without its explanation.
            self._node.get_logger().warning(f"no explanation could be computed: {error!r}")
        finally:
            with self._lock:
                self._is_busy = False

    def _message(
        self,
        name: str,
        plan: CampaignPlan,
        observations: list[Observation],
        made: Mapping[str, _Made],
    ) -> Any:
        # Loads torch, which the node has loaded when the first explanation is due.
        from matlab_ros.planning import explain

        beliefs = explain.beliefs_of(plan, observations)
        expected = {
            key: explain.Interval(item.suggestion.predicted_mean, item.suggestion.predicted_sigma)
            for key, item in made.items()
            if math.isfinite(item.suggestion.predicted_mean)
        }
        found = explain.calibration(explain.forecasts(expected, observations))
        message = msg.PlannerExplanation(
            campaign=name,
            observations=len(observations),
            level=found.level,
            forecasts=found.count,
            forecasts_inside=found.inside,
            rms_z=found.rms_z,
            suggestions=[_explained(item) for item in list(made.values())[-SHOWN:]],
        )
        message.header.stamp = self._time.now_msg()
        if beliefs is not None:
            message.model = beliefs.model.description
            message.importance = [
                msg.ParameterImportance(name=item.name, total=item.total, alone=item.alone)
                for item in explain.importance(beliefs)
            ]
            message.slices = [
                msg.ParameterSlice(
                    name=item.name,
                    values=[value for value in item.values if not isinstance(value, str)],
                    choices=[value for value in item.values if isinstance(value, str)],
                    mean=[each.mean for each in item.intervals],
                    low=[each.low for each in item.intervals],
                    high=[each.high for each in item.intervals],
                    allowed=list(item.allowed),
                )
                for item in explain.slices(beliefs, points=POINTS)
            ]
        return message


def _explained(made: _Made) -> Any:
    from matlab_ros.planning import explain

    suggestion, request = made.suggestion, made.request
    expected = explain.Interval(suggestion.predicted_mean, suggestion.predicted_sigma)
    near = explain.neighbours(request.space, suggestion.settings, request.observations)
    return msg.ExplainedSuggestion(
        suggestion=msg.Suggestion(
            experiment_id=made.experiment_id,
            settings=settings_to(suggestion.settings),
            predicted_mean=suggestion.predicted_mean,
            predicted_sigma=suggestion.predicted_sigma,
            acquisition_value=suggestion.acquisition_value,
            method=suggestion.method,
        ),
        low=expected.low,
        high=expected.high,
        model=suggestion.provenance.model,
        observations=suggestion.provenance.observations,
        pending=[item.experiment_id for item in request.pending],
        nearest=[
            msg.NearRecipe(
                experiment_id=item.experiment_id, distance=item.distance, objective=item.objective
            )
            for item in near
        ],
    )
