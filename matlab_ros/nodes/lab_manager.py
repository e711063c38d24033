"""The lab manager's node: the engine in its own thread, and around it the ROS graph.

Everything that touches the engine or the links runs in one thread, in the order in which it came
in; ROS callbacks only post to it and, where somebody waits for an answer, wait for it.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, TimeoutError
from pathlib import Path
from typing import Any, TypeVar

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile

from matlab_ros.lab.commands import CancelGoal, Command, FinishCampaign, SendGoal
from matlab_ros.lab.engine import Engine, Refused
from matlab_ros.lab.events import DeviceGone, FaultRaised
from matlab_ros.lab.experiment_values import CampaignPlan
from matlab_ros.lab.inputs import (
    CampaignSubmitted,
    CancelAsked,
    CorrectionAsked,
    DeviceGivenUp,
    DeviceLost,
    DeviceReady,
    EmergencyStopAsked,
    ExperimentAsked,
    Input,
    PauseAsked,
    ResumeAsked,
    Tick,
)
from matlab_ros.lab.journal import JournalEntry, SqlJournal
from matlab_ros.model.errors import LabError
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_config import load_lab
from matlab_ros.model.lab_words import ExperimentState, Scope
from matlab_ros.nodes.conversions import lab_settings_from, lab_settings_to, nan
from matlab_ros.nodes.device_node import HEARTBEAT_S, LATCHED, declare, run_node
from matlab_ros.nodes.lab_manager_campaigns import plan_campaign
from matlab_ros.nodes.lab_manager_devices import DeviceLink, missing
from matlab_ros.nodes.lab_manager_planner import PlannerLink
from matlab_ros.nodes.lab_manager_views import (
    event_message,
    fill_snapshot,
    lab_state_message,
    sample_message,
    sample_state_of,
)
from matlab_ros.nodes.ros_time import RosTime, to_msg
from matlab_ros_interfaces import action, srv
from matlab_ros_interfaces.msg import LabEvent, LabState

_Answer = TypeVar("_Answer")

_SUPERVISION_S = 0.2
_FEEDBACK_S = 0.5
_ANSWER_S = 30.0
_STOP_ANSWER_S = 5.0
_NEVER_NS = 2**62


_END_PATIENCE_S = 3.0
"""Steady seconds for the manager's thread to end."""


class LabManagerNode(Node):
    """Runs campaigns on the lab's devices.

    Parameters: ``lab_file``, ``recipes_dir``, ``structures_dir``, ``journal_url``,
    ``bring_up_timeout_s`` (steady seconds that devices get to become ready) and
    ``device_patience_s`` (steady seconds after which a campaign ends without a lost device).
    """

    def __init__(self) -> None:
        super().__init__("lab_manager")
        self.lab = load_lab(Path(declare(self, "lab_file", "")))
        self._recipes_dir = Path(declare(self, "recipes_dir", "config/recipes"))
        self._structures_dir = Path(declare(self, "structures_dir", "config/structures"))
        journal_url = declare(self, "journal_url", "sqlite:///journal.sqlite")
        self._bring_up_timeout_s = declare(self, "bring_up_timeout_s", 30.0)
        self._patience_s = declare(self, "device_patience_s", 3600.0)
        self.time = RosTime(self)
        self._journal = SqlJournal(journal_url)
        self._event_publisher = self.create_publisher(
            LabEvent, "lab_events", QoSProfile(depth=1000)
        )
        self._state_publisher = self.create_publisher(LabState, "lab_state", LATCHED)
        self._posted: deque[Callable[[], None]] = deque()
        self._is_ending = False
        self._state_sequence = 0
        self._is_changed = True
        self._began_at = time.monotonic()
        self._is_gate_open = False
        self._finished: FinishCampaign | None = None
        self._failure: LabError | None = None
        self._has_finished = threading.Event()
        self.engine = Engine.recover(self.lab, self._journal, self.time.now_ns(), self._on_entry)
        self.time.observe(to_msg(self.engine.state.time_ns))
        self._make_links()
        self._make_services()
        self._thread = threading.Thread(target=self._run, name="lab_manager", daemon=True)
        self._thread.start()

    def _make_links(self) -> None:
        group = MutuallyExclusiveCallbackGroup()
        self.links = {
            device.name: DeviceLink(
                self, device, self.time, self.post, self._on_device, self._touch, group
            )
            for device in self.lab.devices
        }
        self._planner = PlannerLink(self, self.post, self._tell, group)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        for period, what in ((_SUPERVISION_S, self._supervise), (HEARTBEAT_S, self._touch)):
            self.create_timer(
                period,
                lambda what=what: self.post(what),
                callback_group=MutuallyExclusiveCallbackGroup(),
                clock=steady,
            )

    def _make_services(self) -> None:
        group = ReentrantCallbackGroup()
        for kind, name, callback in (
            (srv.Pause, "pause", self._on_pause),
            (srv.Resume, "resume", self._on_resume),
            (srv.Cancel, "cancel", self._on_cancel),
            (srv.EmergencyStop, "emergency_stop", self._on_emergency_stop),
            (srv.ResolveFault, "resolve_fault", self._on_resolve_fault),
            (srv.LocateSample, "locate_sample", self._on_locate_sample),
            (srv.CorrectSample, "correct_sample", self._on_correct_sample),
            (srv.SubmitExperiment, "submit_experiment", self._on_submit_experiment),
            (srv.GetSnapshot, "get_snapshot", self._on_get_snapshot),
        ):
            self.create_service(kind, name, callback, callback_group=group)
        self._server = ActionServer(
            self,
            action.RunCampaign,
            "run_campaign",
            execute_callback=self._run_campaign,
            goal_callback=lambda _goal: GoalResponse.ACCEPT,
            cancel_callback=self._on_cancel_goal,
            callback_group=group,
        )

    # --- the manager's thread -----------------------------------------------------------------

    def post(self, what: Callable[[], None]) -> None:
        """Have something run in the manager's thread, in the order of posting."""
        self._posted.append(what)
        self.time.notify()

    def ask(self, what: Callable[[], _Answer]) -> _Answer:
        """Run something in the manager's thread and wait for what it gives.

        Raises:
            LabError: it raised that, or the manager's thread did not answer in time.
        """
        answer: Future[_Answer] = Future()

        def run() -> None:
            try:
                answer.set_result(what())
            except LabError as error:
                answer.set_exception(error)

        self.post(run)
        try:
            return answer.result(_ANSWER_S)
        except TimeoutError:
            raise LabError("The lab manager did not answer in time; try again.") from None

    def _run(self) -> None:
        while not self._is_ending:
            wakeup = self.engine.next_wakeup() if self._is_gate_open else None
            self.time.wait_until(
                _NEVER_NS if wakeup is None else wakeup,
                lambda: bool(self._posted) or self._is_ending,
            )
            try:
                while self._posted:
                    self._posted.popleft()()
                self._tick()
            except LabError as error:
                self._fail(error)
                return
            if self._is_changed and not self._posted:
                self._publish_state()

    def _tick(self) -> None:
        """Let the engine act where its time has come."""
        wakeup = self.engine.next_wakeup()
        if self._is_gate_open and wakeup is not None and wakeup <= self.time.now_ns():
            self._tell(Tick())

    def _fail(self, error: LabError) -> None:
        """Stop for good: without its journal the lab manager must not move anything."""
        self.get_logger().fatal(str(error))
        self._failure = error
        self._is_ending = True
        self._has_finished.set()
        self.context.shutdown()

    def _tell(self, given: Input) -> None:
        """Give the engine an input and do what it wants; in the manager's thread."""
        for command in self.engine.handle(given, self.time.now_ns()):
            self._do(command)
        self._touch()

    def _do(self, command: Command) -> None:
        if isinstance(command, SendGoal):
            self.links[command.device].send(command.goal)
        elif isinstance(command, CancelGoal):
            self.links[command.device].cancel(command.attempt_id)
        elif isinstance(command, FinishCampaign):
            self._finished = command
            self._has_finished.set()
        else:
            self._planner.make(command)

    def _touch(self) -> None:
        """Note that something is to be published."""
        self._is_changed = True

    def _on_device(self, given: Input) -> None:
        """Hand on what a link says; before the gate opens the engine hears of no device."""
        if self._is_gate_open or not isinstance(given, (DeviceReady, DeviceLost)):
            self._tell(given)
        else:
            self._look_at_gate()

    def _look_at_gate(self) -> None:
        """Tell the engine of its devices once all are ready, or after the time they are given.

        All at once and in the order of the lab's file, so that what a restarted lab manager does
        first does not depend on which device was heard first.
        """
        if self.time.now_ns() == 0:
            # Simulated time, and no /clock yet: nothing can be dated.
            return
        is_late = time.monotonic() - self._began_at > self._bring_up_timeout_s
        if self._is_gate_open or not (is_late or all(link.ready for link in self.links.values())):
            return
        self._is_gate_open = True
        for link in self.links.values():
            if link.ready:
                self._tell(DeviceReady(link.device.name))

    def _supervise(self) -> None:
        """A few times a second: silence, lifecycles, calls without an answer."""
        is_waiting = False
        for link in self.links.values():
            link.supervise()
            is_waiting = is_waiting or link.bring_up()
            if self._is_hopeless(link):
                link.given_up = True
                self._tell(DeviceGivenUp(link.device.name))
        self._look_at_gate()
        self._planner.supervise()

    def _is_hopeless(self, link: DeviceLink) -> bool:
        """Whether a lost device had its time; one that somebody stopped has all the time."""
        state = self.engine.state
        if link.ready or link.given_up or link.is_stopped or state.estopped:
            return False
        if state.campaign is None or not state.campaign.running:
            return False
        return time.monotonic() - link.lost_at > self._patience_s

    # --- what is published --------------------------------------------------------------------

    def _publish_state(self) -> None:
        self._is_changed = False
        self._state_sequence += 1
        self._state_publisher.publish(self._state_message())

    def _state_message(self) -> Any:
        is_quiescent = (
            self._is_gate_open
            and self.engine.quiescent()
            and all(link.is_settled for link in self.links.values())
        )
        return lab_state_message(
            self.engine,
            list(self.links.values()),
            self.time.now_ns(),
            self._state_sequence,
            is_quiescent,
        )

    def _on_entry(self, entry: JournalEntry) -> None:
        self._event_publisher.publish(event_message(entry))
        if isinstance(entry.event, (FaultRaised, DeviceGone)):
            self.get_logger().error(entry.event.text)

    # --- campaigns ----------------------------------------------------------------------------

    def _run_campaign(self, handle: Any) -> Any:
        """Execute a RunCampaign goal: start or go on, and wait for the end."""
        definition = handle.request.campaign
        try:
            plan = plan_campaign(definition, self.lab, self._recipes_dir, self._structures_dir)
            self._wait_for_devices(handle)
            self.ask(lambda: self._submit(plan))
        except Refused as error:
            return self._conclude(handle, int(error.code), str(error))
        except LabError as error:
            return self._conclude(handle, int(FaultCode.INTERNAL_ERROR), str(error))
        while True:
            finished = self._finished
            if finished is not None and finished.campaign == plan.name:
                return self._conclude(handle, finished.code, finished.message)
            if self._is_ending:
                message = str(self._failure or "The lab manager was shut down.")
                return self._conclude(handle, int(FaultCode.INTERNAL_ERROR), message)
            if handle.is_cancel_requested:
                self.post(lambda: self._cancel_campaign(plan.name))
            handle.publish_feedback(self.ask(self._feedback))
            self._has_finished.wait(_FEEDBACK_S)

    def _on_cancel_goal(self, handle: Any) -> CancelResponse:
        name = handle.request.campaign.name
        self.post(lambda: self._cancel_campaign(name))
        return CancelResponse.ACCEPT

    def _cancel_campaign(self, name: str) -> None:
        """Cancel a campaign where it is under way; again changes nothing."""
        campaign = self.engine.state.campaign
        if campaign is not None and campaign.running and campaign.plan.name == name:
            self._tell(CancelAsked(Scope.CAMPAIGN, name, reason="its client cancelled it."))

    def _wait_for_devices(self, handle: Any) -> None:
        """Wait until devices and planner are there, for as long as they are given.

        Raises:
            Refused: one is missing, and the sentence names it; or the goal was cancelled.
        """
        until = time.monotonic() + self._bring_up_timeout_s
        pause = threading.Event()
        while True:
            problem = self.ask(lambda: missing(list(self.links.values())))
            if not problem and not self._planner.is_present:
                problem = "The planner is missing: it does not offer its services."
            if handle.is_cancel_requested:
                raise Refused(FaultCode.CANCELED, "Cancelled before it began.")
            if not problem and self._is_gate_open:
                return
            if time.monotonic() > until or self._is_ending:
                raise Refused(
                    FaultCode.DEVICE_MISSING,
                    problem or "The clock is missing: use_sim_time is set and nobody publishes it.",
                )
            pause.wait(_SUPERVISION_S)

    def _submit(self, plan: CampaignPlan) -> None:
        self._finished = None
        self._has_finished.clear()
        self._tell(CampaignSubmitted(plan))

    def _feedback(self) -> Any:
        state = self.engine.state
        best = state.best()
        campaign = state.campaign
        objective = best.observation.objective if best and best.observation else None
        return action.RunCampaign.Feedback(
            experiments_done=sum(run.state.is_final for run in state.experiments.values()),
            experiments_budget=campaign.config.budget.experiments if campaign else 0,
            experiments_in_flight=sum(1 for _ in state.in_flight()),
            best_objective=nan(objective),
        )

    def _conclude(self, handle: Any, code: int, message: str) -> Any:
        """End a RunCampaign goal with a status that agrees with its code."""
        name = handle.request.campaign.name
        try:
            result = (
                self._summary(name) if self._is_ending else self.ask(lambda: self._summary(name))
            )
        except LabError:
            result = action.RunCampaign.Result(best_objective=math.nan)
        result.error_code, result.error_message = code, message
        if code == FaultCode.NONE:
            handle.succeed()
        elif code == FaultCode.CANCELED and handle.is_cancel_requested:
            handle.canceled()
        else:
            self.get_logger().error(f"campaign {name!r}: {message}")
            handle.abort()
        return result

    def _summary(self, name: str) -> Any:
        """Result of a campaign as far as it is, without its error code."""
        result = action.RunCampaign.Result(best_objective=math.nan)
        state = self.engine.state
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

    # --- services -----------------------------------------------------------------------------

    def _command(self, what: Callable[[], None]) -> str:
        """Follow an operator's command; a sentence where it is refused, else empty."""
        try:
            self.ask(what)
        except LabError as error:
            return str(error)
        return ""

    def _on_pause(self, request: Any, response: Any) -> Any:
        return self._scoped(request, response, PauseAsked)

    def _on_resume(self, request: Any, response: Any) -> Any:
        return self._scoped(request, response, ResumeAsked)

    def _scoped(
        self, request: Any, response: Any, kind: type[PauseAsked | ResumeAsked | CancelAsked]
    ) -> Any:
        if request.scope not in [int(scope) for scope in Scope]:
            response.message = f"{request.scope} is no scope; expected one of the constants."
            return response
        given = kind(Scope(request.scope), request.id, request.operator_name, request.reason)
        response.message = self._command(lambda: self._tell(given))
        response.success = not response.message
        return response

    def _on_cancel(self, request: Any, response: Any) -> Any:
        """Answered when nothing of what was cancelled is under way any more."""
        response = self._scoped(request, response, CancelAsked)
        pause = threading.Event()
        while response.success and not self._is_ending:
            if self.ask(lambda: self._is_at_rest(Scope(request.scope), request.id)):
                break
            pause.wait(_SUPERVISION_S)
        return response

    def _is_at_rest(self, scope: Scope, subject: str) -> bool:
        state = self.engine.state
        if scope in (Scope.LAB, Scope.CAMPAIGN):
            return not state.attempts
        return not any(
            subject in (work.experiment_id, work.sample_id)
            for attempt in state.attempts.values()
            for work in attempt.works
        )

    def _on_emergency_stop(self, request: Any, response: Any) -> Any:
        """Tell every device at once; their answers say whether they are safe."""
        links = list(self.links.values())
        answers = [
            link.emergency_stop(request.engage, request.reason, request.operator_name)
            for link in links
        ]
        given = EmergencyStopAsked(request.engage, request.operator_name, request.reason)
        problems = [self._command(lambda: self._tell(given))]
        until = time.monotonic() + _STOP_ANSWER_S
        pause = threading.Event()
        for link, answer in zip(links, answers, strict=True):
            while answer is not None and not answer.done() and time.monotonic() < until:
                pause.wait(0.01)
            if answer is None or not answer.done():
                problems.append(f"{link.device.name} does not answer.")
            elif not answer.result().success:
                problems.append(f"{link.device.name}: {answer.result().message}")
        response.message = " ".join(problem for problem in problems if problem)
        response.success = not response.message
        return response

    def _on_resolve_fault(self, request: Any, response: Any) -> Any:
        fault = self.ask(lambda: self.engine.state.faults.get(request.fault_id))
        if fault is None:
            response.message = f"No fault {request.fault_id!r} is known."
        elif fault.resolved_by:
            response.message = (
                f"{request.fault_id} was resolved by {fault.resolved_by}: "
                f"{fault.resolution.name.lower()}."
            )
        else:
            response.message = (
                f"{request.fault_id} resolves itself when {fault.raised.device} is ready again; "
                "bring the device back, or cancel the campaign."
            )
        return response

    def _on_locate_sample(self, request: Any, response: Any) -> Any:
        sample = self.ask(
            lambda: (
                sample_message(self.engine.state, self.engine.state.samples[request.sample_id])
                if request.sample_id in self.engine.state.samples
                else None
            )
        )
        response.found = sample is not None
        if sample is None:
            response.message = f"No sample {request.sample_id!r} is known."
        else:
            response.sample = sample
            if not sample.position:
                response.message = "Nobody knows where it is."
        return response

    def _on_correct_sample(self, request: Any, response: Any) -> Any:
        state = sample_state_of(request.state)
        if state is None:
            response.message = f"{request.state} is no sample state; see SampleState."
            return response
        given = CorrectionAsked(
            request.sample_id, request.position, state, request.operator_name, request.remark
        )
        response.message = self._command(lambda: self._tell(given))
        response.success = not response.message
        return response

    def _on_submit_experiment(self, request: Any, response: Any) -> Any:
        def submit() -> str:
            state = self.engine.state
            if state.campaign is None or state.campaign.plan.name != request.campaign:
                raise Refused(
                    FaultCode.CAMPAIGN_INVALID, f"No campaign {request.campaign!r} is under way."
                )
            self._tell(ExperimentAsked(lab_settings_from(request.settings)))
            return next(reversed(state.experiments))

        try:
            response.experiment_id = self.ask(submit)
        except LabError as error:
            code = error.code if isinstance(error, Refused) else FaultCode.CAMPAIGN_INVALID
            response.error_code = int(code)
            response.error_message = str(error)
        return response

    def _on_get_snapshot(self, request: Any, response: Any) -> Any:
        return self.ask(lambda: fill_snapshot(response, self.engine, self._state_message()))

    def destroy_node(self) -> None:
        """End the manager's thread, then everything else; devices go on by themselves."""
        self._is_ending = True
        self._has_finished.set()
        self.time.notify()
        # A call to a node that has ended first may hold the thread; the journal has what counts.
        self._thread.join(_END_PATIENCE_S)
        self._journal.close()
        super().destroy_node()


def main() -> int:
    """Run the lab manager."""
    return run_node(LabManagerNode, threads=12)
