"""The lab manager's link to the planner: one call at a time, asked again until it is answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from matlab_ros.lab.commands import ReportObservation as Report
from matlab_ros.lab.commands import RequestSuggestions as Request
from matlab_ros.lab.inputs import Input, ObservationAccepted, PlannerFailed, SuggestionsAnswered
from matlab_ros.model.faults import FaultCode
from matlab_ros.nodes.conversions import (
    campaign_to_message,
    observation_to,
    suggestion_from,
    suggestion_to,
)
from matlab_ros.nodes.lab_manager_devices import Post
from matlab_ros_interfaces.srv import ReportObservation, SuggestExperiments

_GONE_S = 3.0
"""Steady seconds without the planner's service after which its answer is not waited for."""
_SLOW_S = 300.0
"""Steady seconds after which a call is made again although the service is there."""
_ALERT_S = 10.0
"""Steady seconds for which a call waits for a planner that is not there before somebody is told."""


class PlannerLink:
    """Makes the engine's calls to the planner.

    Both services give the same answer to the same question, so asking again is safe.

    Args:
        node: the lab manager's.
        post: has something run in the manager's thread, in the order of posting.
        tell: hands an input to the engine.
        alert: tells people what happened and what to do about it, once for each absence and once
            for its end.
        group: callback group of everything.
    """

    def __init__(
        self,
        node: Node,
        post: Post,
        tell: Callable[[Input], None],
        alert: Callable[..., None],
        group: CallbackGroup,
    ) -> None:
        self._alert = alert
        self._post = post
        self._tell = tell
        self._suggest = node.create_client(
            SuggestExperiments, "suggest_experiments", callback_group=group
        )
        self._report = node.create_client(
            ReportObservation, "report_observation", callback_group=group
        )
        self._call: Request | Report | None = None
        self._future: Any = None
        self._called_at = 0.0
        self._made_at = 0.0
        self._seen_at = 0.0
        self._is_alerted = False

    @property
    def is_present(self) -> bool:
        """Whether the planner offers its services."""
        return bool(self._suggest.service_is_ready() and self._report.service_is_ready())

    def make(self, call: Request | Report) -> None:
        """Make a call; its answer becomes an input."""
        self._call = call
        self._future = None
        self._made_at = time.monotonic()
        self.supervise()

    def supervise(self) -> None:
        """Ask, or ask again, where no answer can be expected any more."""
        now = time.monotonic()
        if self.is_present:
            self._seen_at = now
            if self._is_alerted:
                self._is_alerted = False
                self._alert("planner_back", "The planner is back.")
        if self._call is None:
            return
        if not self._is_alerted and now - max(self._seen_at, self._made_at) > _ALERT_S:
            self._is_alerted = True
            self._alert(
                "planner_missing",
                "The planner is missing: it does not offer its services, and the campaign waits "
                "for it.",
                "Look at the planner and its process; it is asked again when it is back.",
            )
        if self._future is not None:
            is_gone = now - self._seen_at > _GONE_S
            if not is_gone and now - self._called_at < _SLOW_S:
                return
            self._future = None
        if self.is_present:
            self._ask(self._call, now)

    def _ask(self, call: Request | Report, now: float) -> None:
        definition = campaign_to_message(call.plan)
        self._called_at = now
        if isinstance(call, Request):
            future = self._suggest.call_async(
                SuggestExperiments.Request(
                    campaign=definition,
                    experiment_ids=list(call.experiment_ids),
                    pending=[suggestion_to(item) for item in call.pending],
                    unfired=list(call.unfired),
                    observations_reported=call.observations_reported,
                )
            )
        else:
            future = self._report.call_async(
                ReportObservation.Request(
                    campaign=definition, observation=observation_to(call.observation)
                )
            )
        self._future = future
        future.add_done_callback(lambda done: self._post(lambda: self._on_answer(call, done)))

    def _on_answer(self, call: Request | Report, future: Any) -> None:
        if future is not self._future or call is not self._call:
            return
        answer = future.result()
        if answer is None:
            self._future = None
            return
        self._call, self._future = None, None
        code = int(answer.error_code)
        if code not in (FaultCode.NONE, FaultCode.SUGGEST_EXHAUSTED):
            self._tell(PlannerFailed(code, answer.error_message))
        elif isinstance(call, Report):
            self._tell(ObservationAccepted(call.observation.experiment_id))
        else:
            self._tell(
                SuggestionsAnswered(
                    suggestions=tuple(suggestion_from(item) for item in answer.suggestions),
                    exhausted=code == FaultCode.SUGGEST_EXHAUSTED,
                    model=answer.model,
                    data_sha256=answer.data_sha256,
                    software=answer.software,
                    seed=int(answer.seed),
                    plan_sha256=answer.plan_sha256,
                )
            )
