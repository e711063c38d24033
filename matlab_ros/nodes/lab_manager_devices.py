"""The lab manager's links to its devices: bringing them up, hearing their hearts, sending goals.

A link turns what happens on the ROS graph into the engine's inputs. It waits for nothing without a
limit of steady time: a goal whose arrival nobody confirmed is sent again under its attempt id, and
so is one that its device does not list, because its result was lost on the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from action_msgs.msg import GoalStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.action import ActionClient
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from matlab_ros.lab.goals import (
    AnalyseGoal,
    DispenseGoal,
    Goal,
    HeatGoal,
    MeasureGoal,
    Outcome,
    TransferGoal,
    never_begun,
)
from matlab_ros.lab.inputs import (
    AttemptFinished,
    AttemptListed,
    AttemptMissing,
    DeviceLost,
    DeviceReady,
    Input,
)
from matlab_ros.model.faults import Fault, FaultCode
from matlab_ros.model.lab_config import DeviceConfig, DeviceKind
from matlab_ros.nodes.conversions import ACTIONS, goal_to, outcome_from
from matlab_ros.nodes.device_node import LATCHED
from matlab_ros.nodes.ros_time import RosTime
from matlab_ros_interfaces.msg import DeviceState
from matlab_ros_interfaces.srv import EmergencyStop

_TAGS: dict[DeviceKind, tuple[str, ...]] = {
    DeviceKind.DISPENSER: (DispenseGoal.TAG,),
    DeviceKind.ARM: (TransferGoal.TAG,),
    DeviceKind.FURNACE: (HeatGoal.TAG,),
    DeviceKind.CHARACTERISATION: (MeasureGoal.TAG, AnalyseGoal.TAG),
}

_ACTION_NAMES = {
    DispenseGoal.TAG: "{device}/dispense",
    TransferGoal.TAG: "transfer_sample",
    HeatGoal.TAG: "{device}/heat",
    MeasureGoal.TAG: "{device}/measure_xrd",
    AnalyseGoal.TAG: "{device}/analyse_pattern",
}

Post = Callable[[Callable[[], None]], None]
"""Has something run in the manager's thread."""

_TRANSITION_TIMEOUT_S = 30.0
_TRANSITION_PAUSE_S = 2.0
_ACCEPT_TIMEOUT_S = 5.0
_STOP_PAUSE_S = 2.0
_DEAF_S = 1.0
"""Steady seconds between two looks after which this process counts as having been held up."""
_UNLISTED_S = 3.0
_UNLISTED_STATES = 3


@dataclass
class _Sending:
    """A goal on its way to a device, or accepted by it."""

    goal: Goal
    sent_at: float | None = None
    """Steady time; None: its server was not there."""
    handle: Any = None
    """Of the accepted goal."""
    cancel: bool = False
    cancel_sent: bool = False
    unlisted: int = 0
    """States in a row since acceptance that do not name the attempt."""
    unlisted_since: float = 0.0
    turn: int = field(default=0)
    """Counts the sendings: answers to earlier ones are old."""


class DeviceLink:
    """One device as the lab manager sees it.

    Everything but the constructor runs in the manager's own thread: ROS callbacks only post.

    Args:
        node: the lab manager's.
        device: its configuration.
        ros_time: takes note of the results' stamps.
        post: has something run in the manager's thread, in the order of posting.
        tell: hands an input to the engine.
        changed: called when something changed that others wait for.
        noted: called when something changed that people look at.
        group: callback group of everything.
    """

    def __init__(
        self,
        node: Node,
        device: DeviceConfig,
        ros_time: RosTime,
        post: Post,
        tell: Callable[[Input], None],
        changed: Callable[[], None],
        noted: Callable[[], None],
        group: CallbackGroup,
    ) -> None:
        self.device = device
        self.ready = False
        self.present = False
        self.lost_at = time.monotonic()
        """Steady time since which the device is not ready."""
        self.given_up = False
        """Whether the engine was told not to wait for it any more."""
        self.state: Any = None
        self._log = node.get_logger()
        self._time = ros_time
        self._post = post
        self._tell = tell
        self._changed = changed
        self._noted = noted
        self._heard_at = 0.0
        self._looked_at = time.monotonic()
        self._sendings: dict[str, _Sending] = {}
        self._missing: set[str] = set()
        """Attempts of which the engine was told that the device does not list them."""
        self._transition: Any = None
        self._transition_at = -_TRANSITION_PAUSE_S
        self.failures = 0
        """Steps of its lifecycle in a row that it could not take."""
        self._stopped_at = -_STOP_PAUSE_S
        self._last_problem = ""
        name = device.name
        node.create_subscription(
            DeviceState,
            f"{name}/state",
            self._hear,
            LATCHED,
            callback_group=group,
        )
        self._change_state = node.create_client(
            ChangeState, f"{name}/change_state", callback_group=group
        )
        self._emergency = node.create_client(
            EmergencyStop, f"{name}/emergency_stop", callback_group=group
        )
        self._clients = {
            tag: ActionClient(
                node,
                ACTIONS[tag],
                _ACTION_NAMES[tag].format(device=name),
                callback_group=group,
            )
            for tag in _TAGS[device.kind]
        }

    # --- state and lifecycle ------------------------------------------------------------------

    def _hear(self, message: Any) -> None:
        """Note when it was heard, however long the manager's thread takes until it looks at it."""
        self._heard_at = time.monotonic()
        self._post(lambda: self._on_state(message))

    def _on_state(self, message: Any) -> None:
        if self.state is not None and message.sequence < self.state.sequence and self.ready:
            self._lose(Fault.of(FaultCode.PROCESS_DIED, f"{self.device.name} began anew."))
        self.state = message
        self.present = True
        self._judge()
        self._look_for_attempts(message)
        self._noted()

    def _judge(self) -> None:
        """Find out whether the device takes goals, and tell the engine when that changed."""
        fault = self._problem()
        if fault is None and not self.ready:
            self.ready = True
            self.given_up = False
            self._last_problem = ""
            self._log.info(f"{self.device.name} is ready")
            self._tell(DeviceReady(self.device.name))
        elif fault is not None and self.ready:
            self._lose(fault)
        if fault is not None and fault.message != self._last_problem:
            self._last_problem = fault.message
            # Every device is inactive before it was brought up.
            if fault.code is not FaultCode.DEVICE_NOT_ACTIVE:
                self._log.warning(fault.message)

    def _lose(self, fault: Fault) -> None:
        self.ready = False
        self.lost_at = time.monotonic()
        self._sendings.clear()
        self._missing.clear()
        self._tell(DeviceLost(self.device.name, fault))
        self._changed()

    def _problem(self) -> Fault | None:
        """Why the device takes no goals, None when it does."""
        name, state = self.device.name, self.state
        if not self.present or state is None:
            return Fault.of(FaultCode.PROCESS_DIED, f"{name} is silent.")
        if state.estopped:
            return Fault.of(FaultCode.EMERGENCY_STOP, f"{name} has an emergency stop latched.")
        if state.faulted:
            return Fault.of(state.fault_code, f"{name}: {state.fault_message}")
        if state.lifecycle_state != DeviceState.ACTIVE:
            return Fault.of(FaultCode.DEVICE_NOT_ACTIVE, f"{name} is not active yet.")
        return None

    @property
    def problem(self) -> str:
        """A sentence on why the device takes no goals; empty when it does."""
        fault = self._problem()
        return "" if fault is None else fault.message

    @property
    def is_stopped(self) -> bool:
        """Whether an emergency stop is latched on it."""
        return self.present and self.state is not None and bool(self.state.estopped)

    def supervise(self) -> None:
        """Notice silence, and send again what got no answer; called a few times a second."""
        now = time.monotonic()
        deaf_s, self._looked_at = now - self._looked_at, now
        if deaf_s > _DEAF_S:
            # This process was held up itself: what was said meanwhile may not have come in yet.
            self._heard_at += deaf_s
        if self.present and now - self._heard_at > self.device.heartbeat_timeout_s:
            self.present = False
            self._judge()
        if not self.ready:
            return
        for sending in list(self._sendings.values()):
            if sending.handle is None and (
                sending.sent_at is None or now - sending.sent_at > _ACCEPT_TIMEOUT_S
            ):
                self._send(sending)

    def bring_up(self) -> bool:
        """Take the next step of the device's lifecycle, where one is due.

        Returns:
            Whether a step is under way, so that the devices behind this one wait for it.
        """
        now = time.monotonic()
        if self._transition is not None:
            if now - self._transition_at < _TRANSITION_TIMEOUT_S:
                return True
            self._transition = None
            self.failures += 1
        if (
            not self.present
            or self.state is None
            or now - self._transition_at < (_TRANSITION_PAUSE_S)
        ):
            return False
        step = {
            DeviceState.UNCONFIGURED: Transition.TRANSITION_CONFIGURE,
            DeviceState.INACTIVE: Transition.TRANSITION_ACTIVATE,
        }.get(self.state.lifecycle_state)
        if step is None or not self._change_state.service_is_ready():
            return False
        request = ChangeState.Request()
        request.transition.id = step
        self._transition_at = now
        self._transition = self._change_state.call_async(request)
        self._transition.add_done_callback(
            lambda done: self._post(lambda: self._on_transition(done))
        )
        return True

    def _on_transition(self, future: Any) -> None:
        if future is not self._transition:
            return
        self._transition = None
        answer = future.result()
        well = answer is not None and answer.success
        self.failures = 0 if well else self.failures + 1
        if well:
            # The next step need not wait for the pause after a failure.
            self._transition_at = time.monotonic() - _TRANSITION_PAUSE_S
        self._changed()

    def emergency_stop(self, engage: bool, reason: str, operator: str) -> Any:
        """Tell the device to go to its safe state, or to release its latch.

        Returns:
            The future of the answer; None where the device is not there.
        """
        if not self._emergency.service_is_ready():
            return None
        request = EmergencyStop.Request(engage=engage, reason=reason, operator_name=operator)
        return self._emergency.call_async(request)

    def keep_stopped(self) -> None:
        """Tell a device that began anew during an emergency stop that it is stopped."""
        now = time.monotonic()
        if self.present and not self.is_stopped and now - self._stopped_at > _STOP_PAUSE_S:
            self._stopped_at = now
            self.emergency_stop(True, "the lab's emergency stop is latched", "lab manager")

    # --- goals --------------------------------------------------------------------------------

    @property
    def is_settled(self) -> bool:
        """Whether every goal that was sent is accepted, and of those that were missing the device
        has said since whether it lists them: a lease must not run out while time jumps."""
        return all(
            sending.handle is not None and (name not in self._missing or sending.unlisted > 0)
            for name, sending in self._sendings.items()
        )

    def send(self, goal: Goal) -> None:
        """Send a goal, or the same goal once more."""
        sending = _Sending(goal)
        self._sendings[goal.attempt_id] = sending
        self._send(sending)

    def cancel(self, attempt_id: str) -> None:
        """Have an attempt ended early."""
        sending = self._sendings.get(attempt_id)
        if sending is not None:
            sending.cancel = True
            self._send_cancel(sending)

    def _send(self, sending: _Sending) -> None:
        client = self._clients[sending.goal.TAG]
        if not client.server_is_ready():
            sending.sent_at = None
            return
        sending.turn += 1
        sending.sent_at = time.monotonic()
        sending.handle = None
        sending.cancel_sent = False
        sending.unlisted = 0
        turn = sending.turn
        future = client.send_goal_async(goal_to(sending.goal))
        future.add_done_callback(
            lambda done: self._post(lambda: self._on_answer(sending, turn, done))
        )

    def _is_present(self, sending: _Sending, turn: int) -> bool:
        return self._sendings.get(sending.goal.attempt_id) is sending and sending.turn == turn

    def _on_answer(self, sending: _Sending, turn: int, future: Any) -> None:
        if not self._is_present(sending, turn):
            return
        handle = future.result()
        if handle is None:
            sending.sent_at = None
            return
        if not handle.accepted:
            fault = Fault.of(
                FaultCode.DEVICE_NOT_ACTIVE,
                f"{self.device.name} refused {sending.goal.attempt_id}.",
            )
            self._finish(sending, self._refused(sending.goal, fault))
            return
        sending.handle = handle
        result = handle.get_result_async()
        result.add_done_callback(
            lambda done: self._post(lambda: self._on_result(sending, turn, done))
        )
        self._send_cancel(sending)
        self._changed()

    def _send_cancel(self, sending: _Sending) -> None:
        if sending.cancel and sending.handle is not None and not sending.cancel_sent:
            sending.cancel_sent = True
            sending.handle.cancel_goal_async()

    def _on_result(self, sending: _Sending, turn: int, future: Any) -> None:
        if not self._is_present(sending, turn):
            return
        answer = future.result()
        if answer is None or answer.status == GoalStatus.STATUS_UNKNOWN:
            # The server does not know the goal: it began anew. Asking again is safe.
            sending.handle, sending.sent_at = None, None
            return
        report = answer.result.report
        self._time.observe(report.ended)
        if (
            report.error_code == FaultCode.DEVICE_NOT_ACTIVE
            and report.began == report.ended
            and not report.recalled
        ):
            # It began anew, and has not said so yet. What it refused it is asked for again when it
            # is ready: that is no failure of the step.
            self._lose(Fault.of(FaultCode.DEVICE_NOT_ACTIVE, report.error_message))
            return
        self._finish(sending, self._outcome(sending.goal, answer))

    def _outcome(self, goal: Goal, answer: Any) -> Outcome:
        report = answer.result.report
        has_succeeded = answer.status == GoalStatus.STATUS_SUCCEEDED
        if has_succeeded == (report.error_code == FaultCode.NONE):
            return outcome_from(goal, answer.result)
        self._log.error(
            f"{self.device.name} ended {goal.attempt_id} with status {answer.status} and error "
            f"code {report.error_code}, which contradict each other"
        )
        answer.result.report.error_code = int(report.error_code or FaultCode.PROTOCOL_ERROR)
        answer.result.report.error_message = (
            report.error_message or "the action's status and its error code contradict each other"
        )
        return outcome_from(goal, answer.result)

    def _refused(self, goal: Goal, fault: Fault) -> Outcome:
        return never_begun(goal, self.device.name, fault, self._time.now_ns())

    def _finish(self, sending: _Sending, outcome: Outcome) -> None:
        del self._sendings[sending.goal.attempt_id]
        self._missing.discard(sending.goal.attempt_id)
        self._tell(AttemptFinished(sending.goal.attempt_id, outcome))

    def _look_for_attempts(self, message: Any) -> None:
        """Tell the engine what the device accepted and does not list, and what it lists again."""
        listed = {attempt.attempt_id for attempt in message.attempts}
        for attempt_id in sorted(listed & self._missing):
            self._missing.discard(attempt_id)
            self._tell(AttemptListed(attempt_id))
        now = time.monotonic()
        for attempt_id, sending in list(self._sendings.items()):
            if sending.handle is None or attempt_id in listed:
                sending.unlisted = 0
                continue
            if sending.unlisted == 0:
                sending.unlisted_since = now
            sending.unlisted += 1
            if sending.unlisted >= _UNLISTED_STATES and now - sending.unlisted_since > _UNLISTED_S:
                self._log.warning(f"{self.device.name} does not list {attempt_id}; sent again")
                self._missing.add(attempt_id)
                # Its answer is to send the goal again, under the same id.
                self._tell(AttemptMissing(attempt_id))


def missing(links: Sequence[DeviceLink]) -> str:
    """A sentence that names the first device that takes no goals; empty when all do."""
    for link in links:
        if not link.ready:
            return f"Device {link.device.name!r} is missing: {link.problem}"
    return ""
