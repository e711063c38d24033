"""Action servers."""

from __future__ import annotations

import inspect
import threading
import time
import traceback
from collections.abc import Callable
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any

from ...idl import load
from ..executors import await_or_execute
from ..qos import (
    QoSProfile,
    qos_profile_action_status_default,
    qos_profile_services_default,
    resolve,
)
from ..service import RequestHeader, ServiceServer
from ..task import Future
from . import _status
from ._names import CANCEL_GOAL, FEEDBACK, GET_RESULT, SEND_GOAL, STATUS, check_action_type

if TYPE_CHECKING:
    from ..callback_groups import CallbackGroup
    from ..node import Node

RCL_S_TO_NS = 1000 * 1000 * 1000


class GoalResponse(Enum):
    """What a goal callback decides."""

    REJECT = 1
    ACCEPT = 2


class CancelResponse(Enum):
    """What a cancel callback decides."""

    REJECT = 1
    ACCEPT = 2


class GoalStatus(IntEnum):
    """The states of a goal, with the numbers of ``action_msgs/msg/GoalStatus``."""

    UNKNOWN = 0
    ACCEPTED = 1
    EXECUTING = 2
    CANCELING = 3
    SUCCEEDED = 4
    CANCELED = 5
    ABORTED = 6


class GoalEvent(Enum):
    """What can happen to a goal."""

    EXECUTE = 1
    CANCEL_GOAL = 2
    SUCCEED = 3
    ABORT = 4
    CANCELED = 5


_TRANSITIONS = {
    (GoalStatus.ACCEPTED, GoalEvent.EXECUTE): GoalStatus.EXECUTING,
    (GoalStatus.ACCEPTED, GoalEvent.CANCEL_GOAL): GoalStatus.CANCELING,
    (GoalStatus.EXECUTING, GoalEvent.CANCEL_GOAL): GoalStatus.CANCELING,
    (GoalStatus.EXECUTING, GoalEvent.SUCCEED): GoalStatus.SUCCEEDED,
    (GoalStatus.EXECUTING, GoalEvent.ABORT): GoalStatus.ABORTED,
    (GoalStatus.CANCELING, GoalEvent.SUCCEED): GoalStatus.SUCCEEDED,
    (GoalStatus.CANCELING, GoalEvent.ABORT): GoalStatus.ABORTED,
    (GoalStatus.CANCELING, GoalEvent.CANCELED): GoalStatus.CANCELED,
}
_ACTIVE = (GoalStatus.ACCEPTED, GoalStatus.EXECUTING, GoalStatus.CANCELING)

# action_msgs/srv/CancelGoal
_ERROR_NONE = 0
_ERROR_UNKNOWN_GOAL_ID = 2
_ERROR_GOAL_TERMINATED = 3


class ServerGoalHandle:
    """A goal at its server."""

    def __init__(self, action_server: ActionServer, goal_info: Any, goal_request: Any) -> None:
        self._action_server = action_server
        self._goal_info = goal_info
        self._stamp = goal_info.stamp
        self._goal_request = goal_request
        self._lock = threading.RLock()
        self._status = GoalStatus.ACCEPTED
        self._destroyed = False
        self._ended_ns: int | None = None
        self._result_future: Future[Any] = Future()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ServerGoalHandle):
            return NotImplemented
        return bytes(self.goal_id.uuid) == bytes(other.goal_id.uuid)

    def __hash__(self) -> int:
        return hash(bytes(self.goal_id.uuid))

    @property
    def request(self) -> Any:
        """The goal."""
        return self._goal_request

    @property
    def goal_id(self) -> Any:
        """Its id, ``unique_identifier_msgs/msg/UUID``."""
        return self._goal_info.goal_id

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return self._status in _ACTIVE

    @property
    def is_cancel_requested(self) -> bool:
        """Whether a request to cancel it was accepted and it has not ended since."""
        return self._status is GoalStatus.CANCELING

    @property
    def status(self) -> int:
        """Its state, a number of ``action_msgs/msg/GoalStatus``."""
        return int(self._status)

    def _update(self, event: GoalEvent) -> None:
        with self._lock:
            following = _TRANSITIONS.get((self._status, event))
            if following is None:
                raise RuntimeError(
                    f"goal_handle attempted invalid transition from state "
                    f"{self._status.name} with event {event.name}"
                )
            self._status = following
            if following not in _ACTIVE:
                self._ended_ns = time.monotonic_ns()
        self._action_server._rclpy_publish_status()

    def execute(self, execute_callback: Callable[..., Any] | None = None) -> None:
        """Begin to execute, with another callback than the server's if given."""
        if not self.is_cancel_requested:
            self._update(GoalEvent.EXECUTE)
        self._action_server.notify_execute(self, execute_callback)

    def publish_feedback(self, feedback: Any) -> None:
        """Tell clients how far it is; TypeError for feedback of another type."""
        server = self._action_server
        if not isinstance(feedback, server._rclpy_action_type.Feedback):
            raise TypeError(f"Expected {server._rclpy_action_type.Feedback}, got {type(feedback)}")
        with self._lock:
            if self._destroyed:
                return
        message = server._rclpy_action_type.Impl.FeedbackMessage(
            goal_id=self.goal_id, feedback=feedback
        )
        server._rclpy_feedback_publisher.publish(message)

    def succeed(self) -> None:
        """End it well."""
        self._update(GoalEvent.SUCCEED)

    def abort(self) -> None:
        """End it as failed."""
        self._update(GoalEvent.ABORT)

    def canceled(self) -> None:
        """End it as cancelled, which must have been requested."""
        self._update(GoalEvent.CANCELED)

    def destroy(self) -> None:
        """Forget it."""
        with self._lock:
            self._destroyed = True
        self._action_server._rclpy_forget(self)


def default_handle_accepted_callback(goal_handle: ServerGoalHandle) -> None:
    """Execute at once."""
    goal_handle.execute()


def default_goal_callback(goal_request: Any) -> GoalResponse:
    """Accept every goal."""
    return GoalResponse.ACCEPT


def default_cancel_callback(cancel_request: Any) -> CancelResponse:
    """Refuse to cancel."""
    return CancelResponse.REJECT


class ActionServer:
    """Serves an action. A goal's execute callback runs in the executor, outside callback groups.

    A subclass may use all names but ``_rclpy_...``.
    """

    def __init__(
        self,
        node: Node,
        action_type: Any,
        action_name: str,
        execute_callback: Callable[[ServerGoalHandle], Any] | None,
        *,
        callback_group: CallbackGroup | None = None,
        goal_callback: Callable[[Any], Any] = default_goal_callback,
        handle_accepted_callback: Callable[
            [ServerGoalHandle], Any
        ] = default_handle_accepted_callback,
        cancel_callback: Callable[[Any], Any] = default_cancel_callback,
        goal_service_qos_profile: QoSProfile = qos_profile_services_default,
        result_service_qos_profile: QoSProfile = qos_profile_services_default,
        cancel_service_qos_profile: QoSProfile = qos_profile_services_default,
        feedback_pub_qos_profile: QoSProfile | None = None,
        status_pub_qos_profile: QoSProfile = qos_profile_action_status_default,
        result_timeout: float = 900,
    ) -> None:
        """Serve ``action_name``; results are kept for ``result_timeout`` seconds of steady time."""
        check_action_type(action_type)
        self._rclpy_action_type = action_type
        self._rclpy_node = node
        self._rclpy_logger = node.get_logger().get_child("action_server")
        self._rclpy_lock = threading.RLock()
        self._rclpy_goal_handles: dict[bytes, ServerGoalHandle] = {}
        self._rclpy_result_timeout_ns = int(result_timeout * RCL_S_TO_NS)
        self.register_handle_accepted_callback(handle_accepted_callback)
        self.register_goal_callback(goal_callback)
        self.register_cancel_callback(cancel_callback)
        self._rclpy_execute_callback: Callable[[ServerGoalHandle], Any] | None = None
        if execute_callback is not None:
            self.register_execute_callback(execute_callback)
        self.callback_group = callback_group or node.default_callback_group
        self._rclpy_goal_info_type = load("action_msgs/msg/GoalInfo")
        self._rclpy_destroyed = False

        self._rclpy_feedback_publisher = node.create_publisher(
            action_type.Impl.FeedbackMessage,
            action_name + FEEDBACK,
            feedback_pub_qos_profile or QoSProfile(depth=10),
        )
        self._rclpy_status_publisher = node.create_publisher(
            load("action_msgs/msg/GoalStatusArray"), action_name + STATUS, status_pub_qos_profile
        )
        impl = action_type.Impl
        cancel_type = getattr(impl, "CancelGoalService", None) or load("action_msgs/srv/CancelGoal")
        self._rclpy_result_server = self._rclpy_serve(
            impl.GetResultService,
            action_name + GET_RESULT,
            self._rclpy_on_result,
            result_service_qos_profile,
        )
        self._rclpy_cancel_server = self._rclpy_serve(
            cancel_type,
            action_name + CANCEL_GOAL,
            self._rclpy_on_cancel,
            cancel_service_qos_profile,
        )
        self._rclpy_goal_server = self._rclpy_serve(
            impl.SendGoalService,
            action_name + SEND_GOAL,
            self._rclpy_on_goal,
            goal_service_qos_profile,
        )
        # A name of rclpy that others' code reads.
        self._node = node
        node.add_waitable(self)

    def _rclpy_serve(self, srv_type: Any, name: str, handle: Any, qos: QoSProfile) -> ServiceServer:
        return ServiceServer(
            self._rclpy_node,
            srv_type,
            self._rclpy_node.resolve_service_name(name),
            handle,
            self.callback_group,
            resolve(qos),
        )

    # Callbacks

    def register_handle_accepted_callback(
        self, handle_accepted_callback: Callable[[ServerGoalHandle], Any] | None
    ) -> None:
        """Call back with every accepted goal; it must see to its execution."""
        self._rclpy_handle_accepted_callback = (
            handle_accepted_callback or default_handle_accepted_callback
        )

    def register_goal_callback(self, goal_callback: Callable[[Any], Any] | None) -> None:
        """Let a callback accept or reject goals."""
        self._rclpy_goal_callback = goal_callback or default_goal_callback

    def register_cancel_callback(self, cancel_callback: Callable[[Any], Any] | None) -> None:
        """Let a callback accept or reject requests to cancel."""
        self._rclpy_cancel_callback = cancel_callback or default_cancel_callback

    def register_execute_callback(
        self, execute_callback: Callable[[ServerGoalHandle], Any]
    ) -> None:
        """Let a callback execute goals and return their results."""
        if not callable(execute_callback):
            raise TypeError("Failed to register goal execution callback: not callable")
        self._rclpy_execute_callback = execute_callback

    def notify_execute(
        self, goal_handle: ServerGoalHandle, execute_callback: Callable[..., Any] | None
    ) -> None:
        """Execute a goal as a task of the node's executor."""
        callback = execute_callback or self._rclpy_execute_callback
        executor = self._rclpy_node.executor
        if callback is not None and executor is not None:
            executor.create_task(self._rclpy_execute_goal, callback, goal_handle)

    # Goals

    def _rclpy_on_goal(self, request: Any, header: RequestHeader) -> Any:
        self._rclpy_forget_old()
        key = bytes(request.goal_id.uuid)
        if key in self._rclpy_goal_handles:
            self._rclpy_answer_goal(header, accepted=False, stamp=None)
            return None
        decision = self._rclpy_ask(
            self._rclpy_goal_callback, request.goal, GoalResponse.REJECT, "goal"
        )
        if inspect.isawaitable(decision):
            return self._rclpy_finish_goal(request, header, decision)
        self._rclpy_decide_goal(request, header, decision)
        return None

    async def _rclpy_finish_goal(self, request: Any, header: RequestHeader, decision: Any) -> None:
        outcome: Any = GoalResponse.REJECT
        try:
            outcome = await decision
        except Exception as error:
            self._rclpy_log_error("goal", error)
        self._rclpy_decide_goal(request, header, outcome)

    def _rclpy_ask(
        self, callback: Callable[[Any], Any], subject: Any, refusal: Any, name: str
    ) -> Any:
        try:
            return callback(subject)
        except Exception as error:
            self._rclpy_log_error(name, error)
            return refusal

    def _rclpy_log_error(self, name: str, error: Exception) -> None:
        if not self._rclpy_node.context._overtook(error):
            self._rclpy_logger.error(
                f"Error raised in {name} callback: {error}\n{traceback.format_exc()}"
            )

    def _rclpy_decide_goal(self, request: Any, header: RequestHeader, decision: Any) -> None:
        if not isinstance(decision, GoalResponse):
            self._rclpy_logger.warning("Goal request user callback did not return a GoalResponse")
        if decision is not GoalResponse.ACCEPT:
            self._rclpy_answer_goal(header, accepted=False, stamp=None)
            return
        info = self._rclpy_goal_info_type(
            goal_id=request.goal_id, stamp=self._rclpy_node.get_clock().now().to_msg()
        )
        handle = ServerGoalHandle(self, info, request.goal)
        with self._rclpy_lock:
            self._rclpy_goal_handles[bytes(request.goal_id.uuid)] = handle
        self._rclpy_answer_goal(header, accepted=True, stamp=info.stamp)
        self._rclpy_publish_status()
        self._rclpy_handle_accepted_callback(handle)

    def _rclpy_answer_goal(self, header: RequestHeader, *, accepted: bool, stamp: Any) -> None:
        response = self._rclpy_goal_server.srv_type.Response(accepted=accepted)
        if stamp is not None:
            response.stamp = stamp
        self._rclpy_goal_server.send_response(response, header)

    async def _rclpy_execute_goal(
        self, execute_callback: Callable[..., Any], goal_handle: ServerGoalHandle
    ) -> None:
        result = None
        try:
            result = await await_or_execute(execute_callback, goal_handle)
        except Exception as error:
            self._rclpy_log_error("execute", error)
        if not self._rclpy_node.context.ok() or self._rclpy_destroyed:
            return
        if not isinstance(result, self._rclpy_action_type.Result):
            if result is not None:
                self._rclpy_logger.error(
                    f"the execute callback returned {type(result)}, "
                    f"expected {self._rclpy_action_type.Result}"
                )
            result = self._rclpy_action_type.Result()
        if goal_handle.is_active:
            goal_id = bytes(goal_handle.goal_id.uuid).hex()
            self._rclpy_logger.warning(f"Goal state not set, assuming aborted. Goal ID: {goal_id}")
            # Only an executing or cancelling goal may be aborted, so it must be begun.
            if goal_handle._status is GoalStatus.ACCEPTED:
                goal_handle._update(GoalEvent.EXECUTE)
            goal_handle.abort()
        self._rclpy_set_result(goal_handle, result)

    def _rclpy_set_result(self, goal_handle: ServerGoalHandle, result: Any) -> None:
        with goal_handle._lock:
            if goal_handle._result_future.done():
                return
            response = self._rclpy_action_type.Impl.GetResultService.Response(
                status=goal_handle.status, result=result
            )
            goal_handle._result_future.set_result(response)

    # Cancelling

    def _rclpy_to_cancel(self, info: Any) -> tuple[list[ServerGoalHandle], int]:
        """Choose the goals that a request means; see action_msgs/srv/CancelGoal."""
        key = bytes(info.goal_id.uuid)
        before = info.stamp.sec * RCL_S_TO_NS + info.stamp.nanosec
        with self._rclpy_lock:
            handles = list(self._rclpy_goal_handles.values())
            named = self._rclpy_goal_handles.get(key)
        is_named = any(key)
        if is_named and named is None and not before:
            return [], _ERROR_UNKNOWN_GOAL_ID
        if named is not None and not named.is_active and not before:
            return [], _ERROR_GOAL_TERMINATED

        def meant(handle: ServerGoalHandle) -> bool:
            stamp = handle._stamp
            if not before:
                return not is_named or handle is named
            return handle is named or stamp.sec * RCL_S_TO_NS + stamp.nanosec <= before

        return [handle for handle in handles if handle.is_active and meant(handle)], _ERROR_NONE

    def _rclpy_on_cancel(self, request: Any, header: RequestHeader) -> Any:
        handles, code = self._rclpy_to_cancel(request.goal_info)
        return self._rclpy_cancel_all(handles, code, header)

    async def _rclpy_cancel_all(
        self, handles: list[ServerGoalHandle], code: int, header: RequestHeader
    ) -> None:
        response = self._rclpy_cancel_server.srv_type.Response()
        for handle in handles:
            decision: Any = CancelResponse.REJECT
            try:
                decision = await await_or_execute(self._rclpy_cancel_callback, handle)
            except Exception as error:
                self._rclpy_log_error("cancel", error)
            if decision is CancelResponse.ACCEPT and self._rclpy_begin_cancel(handle):
                response.goals_canceling.append(handle._goal_info)
        # rclpy's code stays "none" also where every goal was refused: the list of goals tells.
        response.return_code = code
        self._rclpy_cancel_server.send_response(response, header)

    def _rclpy_begin_cancel(self, handle: ServerGoalHandle) -> bool:
        with handle._lock:
            if not handle.is_active:
                return False
            if handle._status is not GoalStatus.CANCELING:
                handle._status = _TRANSITIONS[(handle._status, GoalEvent.CANCEL_GOAL)]
        self._rclpy_publish_status()
        return True

    # Results

    def _rclpy_on_result(self, request: Any, header: RequestHeader) -> None:
        self._rclpy_forget_old()
        handle = self._rclpy_goal_handles.get(bytes(request.goal_id.uuid))
        if handle is None:
            response = self._rclpy_result_server.srv_type.Response(status=int(GoalStatus.UNKNOWN))
            self._rclpy_result_server.send_response(response, header)
            return

        def answer(future: Future[Any]) -> None:
            response = future.result()
            if response is None:
                header.drop()
            else:
                self._rclpy_result_server.send_response(response, header)

        handle._result_future.add_done_callback(answer)

    def _rclpy_forget_old(self) -> None:
        now = time.monotonic_ns()
        with self._rclpy_lock:
            old = [
                handle
                for handle in self._rclpy_goal_handles.values()
                if handle._ended_ns is not None
                and handle._result_future.done()
                and now - handle._ended_ns > self._rclpy_result_timeout_ns >= 0
            ]
        for handle in old:
            handle.destroy()

    def _rclpy_forget(self, handle: ServerGoalHandle) -> None:
        with self._rclpy_lock:
            self._rclpy_goal_handles.pop(bytes(handle.goal_id.uuid), None)

    def _rclpy_publish_status(self) -> None:
        with self._rclpy_lock:
            if self._rclpy_destroyed or not self._rclpy_node.context.ok():
                return
            goals = [
                (key, handle._stamp.sec, handle._stamp.nanosec, int(handle._status))
                for key, handle in self._rclpy_goal_handles.items()
            ]
            self._rclpy_status_publisher._rclpy_publish_unless_down(_status.pack(goals))

    @property
    def action_type(self) -> Any:
        """The action that it serves."""
        return self._rclpy_action_type

    def destroy(self) -> None:
        """Withdraw the action; goals without result stay without."""
        with self._rclpy_lock:
            if self._rclpy_destroyed:
                return
            self._rclpy_destroyed = True
            handles = list(self._rclpy_goal_handles.values())
        for handle in handles:
            handle._result_future.cancel()
        for server in (
            self._rclpy_goal_server,
            self._rclpy_cancel_server,
            self._rclpy_result_server,
        ):
            server.destroy()
        self._rclpy_node.destroy_publisher(self._rclpy_feedback_publisher)
        self._rclpy_node.destroy_publisher(self._rclpy_status_publisher)
        self._rclpy_node.remove_waitable(self)
