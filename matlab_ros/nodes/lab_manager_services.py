"""The lab manager's services: what operators ask for, each followed or refused with a sentence."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from matlab_ros.lab.engine import Engine
from matlab_ros.lab.inputs import (
    CancelAsked,
    CorrectionAsked,
    EmergencyStopAsked,
    ExperimentAsked,
    FaultResolutionAsked,
    Input,
    PauseAsked,
    PositionAsked,
    RestockAsked,
    ResumeAsked,
)
from matlab_ros.lab.refused import Refused
from matlab_ros.lab.scopes import what_goes_on, what_is_awaited
from matlab_ros.model.errors import LabError
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_words import Resolution, SampleState, Scope
from matlab_ros.nodes.conversions import lab_settings_from
from matlab_ros.nodes.lab_manager_devices import DeviceLink
from matlab_ros.nodes.lab_manager_views import fill_snapshot, sample_message
from matlab_ros_interfaces import srv

_Answer = TypeVar("_Answer")

_STOP_ANSWER_S = 5.0


class Manager(Protocol):
    """What the services need of the lab manager."""

    engine: Engine
    links: dict[str, DeviceLink]

    def ask(self, what: Callable[[], _Answer]) -> _Answer:
        """Run something in the manager's thread and wait for what it gives."""

    def tell(self, given: Input) -> None:
        """Give the engine an input; in the manager's thread."""

    def state_message(self) -> Any:
        """LabState; in the manager's thread."""


class OperatorServices:
    """Offers the services.

    Args:
        node: that offers them.
        manager: whose engine follows.
        group: callback group of all of them; re-entrant, since they wait for the engine.
    """

    def __init__(self, node: Node, manager: Manager, group: CallbackGroup) -> None:
        self._manager = manager
        for kind, name, callback in (
            (srv.Pause, "pause", self._on_pause),
            (srv.Resume, "resume", self._on_resume),
            (srv.Cancel, "cancel", self._on_cancel),
            (srv.EmergencyStop, "emergency_stop", self._on_emergency_stop),
            (srv.ResolveFault, "resolve_fault", self._on_resolve_fault),
            (srv.LocateSample, "locate_sample", self._on_locate_sample),
            (srv.CorrectSample, "correct_sample", self._on_correct_sample),
            (srv.CorrectPosition, "correct_position", self._on_correct_position),
            (srv.Restock, "restock", self._on_restock),
            (srv.SubmitExperiment, "submit_experiment", self._on_submit_experiment),
            (srv.GetSnapshot, "get_snapshot", self._on_get_snapshot),
        ):
            node.create_service(kind, name, callback, callback_group=group)

    def _follow(self, response: Any, what: Callable[[], str]) -> Any:
        """Follow a command in the manager's thread; its sentence is the answer's."""
        try:
            response.message = self._manager.ask(what)
            response.success = True
        except LabError as error:
            response.message = str(error)
        return response

    # --- pause, resume, cancel, stop ----------------------------------------------------------

    def _on_pause(self, request: Any, response: Any) -> Any:
        return self._scoped(request, response, PauseAsked, what_goes_on, "It was paused before.")

    def _on_resume(self, request: Any, response: Any) -> Any:
        return self._scoped(request, response, ResumeAsked, lambda *_: "")

    def _on_cancel(self, request: Any, response: Any) -> Any:
        return self._scoped(
            request, response, CancelAsked, what_is_awaited, "It was cancelled before."
        )

    def _scoped(
        self,
        request: Any,
        response: Any,
        kind: type[PauseAsked | ResumeAsked | CancelAsked],
        sentence: Callable[..., str],
        again: str = "",
    ) -> Any:
        if request.scope not in [int(scope) for scope in Scope]:
            response.message = f"{request.scope} is no scope; expected one of the constants."
            return response
        scope, subject = Scope(request.scope), request.id

        def follow() -> str:
            state = self._manager.engine.state
            before = state.sequence
            self._manager.tell(kind(scope, subject, request.operator_name, request.reason))
            said = sentence(state, scope, subject)
            return said if state.sequence > before else f"{again} {said}".strip()

        return self._follow(response, follow)

    def _on_emergency_stop(self, request: Any, response: Any) -> Any:
        """Tell every device at once; their answers say whether they are safe."""
        links = list(self._manager.links.values())
        answers = [
            link.emergency_stop(request.engage, request.reason, request.operator_name)
            for link in links
        ]
        given = EmergencyStopAsked(request.engage, request.operator_name, request.reason)
        problems = []
        try:
            self._manager.ask(lambda: self._manager.tell(given))
        except LabError as error:
            problems.append(str(error))
        until = time.monotonic() + _STOP_ANSWER_S
        for link, answer in zip(links, answers, strict=True):
            if answer is None or not _wait_for(answer, until - time.monotonic()):
                problems.append(f"{link.device.name} does not answer: go and look at it.")
            elif not answer.result().success:
                problems.append(f"{link.device.name}: {answer.result().message}")
        response.message = " ".join(problems)
        response.success = not problems
        if response.success and not request.engage:
            response.message = "The lab is paused; resume it when it is safe."
        return response

    # --- faults and corrections ---------------------------------------------------------------

    def _on_resolve_fault(self, request: Any, response: Any) -> Any:
        if request.resolution not in [int(item) for item in Resolution]:
            response.message = f"{request.resolution} is no resolution; see the constants."
            return response
        resolution = Resolution(request.resolution)

        def follow() -> str:
            fault = self._manager.engine.state.faults.get(request.fault_id)
            decided = fault is not None and fault.resolution is not Resolution.OPEN
            self._manager.tell(
                FaultResolutionAsked(
                    request.fault_id, resolution, request.operator_name, request.remark
                )
            )
            if fault is not None and decided:
                return f"{request.fault_id} was decided like that before, by {fault.resolved_by}."
            return ""

        return self._follow(response, follow)

    def _on_correct_sample(self, request: Any, response: Any) -> Any:
        if request.state not in [int(item) for item in SampleState]:
            response.message = f"{request.state} is no sample state; see SampleState."
            return response
        return self._told(
            response,
            CorrectionAsked(
                request.sample_id,
                request.position,
                SampleState(request.state),
                request.operator_name,
                request.remark,
            ),
        )

    def _on_correct_position(self, request: Any, response: Any) -> Any:
        return self._told(
            response,
            PositionAsked(
                request.position,
                request.container_id,
                request.operator_name,
                request.remark,
                request.cleared,
            ),
        )

    def _on_restock(self, request: Any, response: Any) -> Any:
        given = RestockAsked(tuple(request.container_ids), request.operator_name, request.remark)

        def follow() -> str:
            containers = self._manager.engine.state.containers
            before = [name for name, container in containers.items() if not container.clean]
            self._manager.tell(given)
            response.restocked = [name for name in before if containers[name].clean]
            count = len(response.restocked)
            if not count:
                return "No used container is at home; nothing was noted."
            return f"{count} {'container is' if count == 1 else 'containers are'} clean by this:"

        return self._follow(response, follow)

    def _told(self, response: Any, given: Input) -> Any:
        def follow() -> str:
            self._manager.tell(given)
            return ""

        return self._follow(response, follow)

    # --- questions ----------------------------------------------------------------------------

    def _on_locate_sample(self, request: Any, response: Any) -> Any:
        def look() -> Any:
            state = self._manager.engine.state
            sample = state.samples.get(request.sample_id)
            return None if sample is None else sample_message(state, sample)

        try:
            sample = self._manager.ask(look)
        except LabError as error:
            response.message = str(error)
            return response
        response.found = sample is not None
        if sample is None:
            response.message = f"No sample {request.sample_id!r} is known."
        else:
            response.sample = sample
            if not sample.position:
                response.message = "Nobody knows where it is."
        return response

    def _on_submit_experiment(self, request: Any, response: Any) -> Any:
        def submit() -> str:
            state = self._manager.engine.state
            if state.campaign is None or state.campaign.plan.name != request.campaign:
                raise Refused(
                    FaultCode.CAMPAIGN_INVALID, f"No campaign {request.campaign!r} is under way."
                )
            self._manager.tell(ExperimentAsked(lab_settings_from(request.settings)))
            return next(reversed(state.experiments))

        try:
            response.experiment_id = self._manager.ask(submit)
        except LabError as error:
            code = error.code if isinstance(error, Refused) else FaultCode.CAMPAIGN_INVALID
            response.error_code = int(code)
            response.error_message = str(error)
        return response

    def _on_get_snapshot(self, request: Any, response: Any) -> Any:
        # A manager that is about to end answers with an empty snapshot.
        with contextlib.suppress(LabError):
            self._manager.ask(
                lambda: fill_snapshot(response, self._manager.engine, self._manager.state_message())
            )
        return response


def _wait_for(future: Any, seconds: float) -> bool:
    """Whether a future is done within some steady seconds."""
    done = threading.Event()
    future.add_done_callback(lambda _future: done.set())
    return done.wait(max(0.0, seconds))
