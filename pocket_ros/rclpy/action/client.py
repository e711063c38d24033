"""Action clients."""

from __future__ import annotations

import threading
import uuid
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...idl import deserialize, load
from .._core.graph import MATCH_POLL_SEC
from .._core.ready import Once
from ..client import Client
from ..qos import (
    QoSProfile,
    qos_profile_action_status_default,
    qos_profile_services_default,
    resolve,
)
from ..task import Future
from . import _status
from ._names import CANCEL_GOAL, FEEDBACK, GET_RESULT, SEND_GOAL, STATUS, check_action_type

if TYPE_CHECKING:
    from ..callback_groups import CallbackGroup
    from ..node import Node

# A goal may take days; a query must outlive it.
_RESULT_TIMEOUT_SEC = 365 * 24 * 3600.0
_FIRST_TERMINAL_STATUS = 4


class ClientGoalHandle:
    """A goal at its client."""

    def __init__(self, action_client: ActionClient, goal_id: Any, goal_response: Any) -> None:
        self._action_client = action_client
        self._goal_id = goal_id
        self._goal_response = goal_response
        self._status = 0

    def __repr__(self) -> str:
        return f"ClientGoalHandle <id={bytes(self._goal_id.uuid).hex()}, accepted={self.accepted}>"

    @property
    def goal_id(self) -> Any:
        """Its id, ``unique_identifier_msgs/msg/UUID``."""
        return self._goal_id

    @property
    def stamp(self) -> Any:
        """When it was accepted."""
        return self._goal_response.stamp

    @property
    def accepted(self) -> bool:
        """Whether it was accepted."""
        return bool(self._goal_response.accepted)

    @property
    def status(self) -> int:
        """Its last known state, a number of ``action_msgs/msg/GoalStatus``."""
        return self._status

    def cancel_goal(self) -> Any:
        """Ask to cancel and wait for the answer; another thread must spin."""
        return _wait(self.cancel_goal_async())

    def cancel_goal_async(self) -> Future[Any]:
        """Ask to cancel; the future's result is a CancelGoal response."""
        return self._action_client._rclpy_cancel_goal_async(self)

    def get_result(self) -> Any:
        """Wait for the end; another thread must spin. Returns ``status`` and ``result``."""
        return _wait(self.get_result_async())

    def get_result_async(self) -> Future[Any]:
        """Return the future of the end; its result has ``status`` and ``result``."""
        return self._action_client._rclpy_get_result_async(self)


def _wait(future: Future[Any]) -> Any:
    event = threading.Event()
    future._add_wakeup(event.set)
    event.wait()
    return future.result()


def _relay(source: Future[Any], target: Future[Any], convert: Callable[[Any], Any]) -> None:
    """Complete ``target`` when ``source`` is, in the same thread."""

    def finish() -> None:
        if source._exception is not None:
            target.set_exception(source._exception)
        elif not source.cancelled():
            try:
                outcome = convert(source._result)
            except Exception as error:
                target.set_exception(error)
            else:
                target.set_result(outcome)

    source._add_wakeup(finish)


class ActionClient:
    """Sends goals to an action. A subclass may use all names but ``_rclpy_...``."""

    def __init__(
        self,
        node: Node,
        action_type: Any,
        action_name: str,
        *,
        callback_group: CallbackGroup | None = None,
        goal_service_qos_profile: QoSProfile = qos_profile_services_default,
        result_service_qos_profile: QoSProfile = qos_profile_services_default,
        cancel_service_qos_profile: QoSProfile = qos_profile_services_default,
        feedback_sub_qos_profile: QoSProfile | None = None,
        status_sub_qos_profile: QoSProfile = qos_profile_action_status_default,
    ) -> None:
        check_action_type(action_type)
        self._rclpy_node = node
        self._rclpy_action_type = action_type
        self._rclpy_action_name = action_name
        self.callback_group = callback_group or node.default_callback_group
        self._rclpy_lock = threading.Lock()
        self._rclpy_goal_handles: dict[bytes, weakref.ref[ClientGoalHandle]] = {}
        self._rclpy_feedback_callbacks: dict[bytes, Callable[[Any], Any]] = {}
        self._rclpy_complain = Once(node.get_logger().error)
        self._rclpy_destroyed = False
        impl = action_type.Impl
        cancel_type = getattr(impl, "CancelGoalService", None) or load("action_msgs/srv/CancelGoal")
        self._rclpy_goal_client = self._rclpy_client(
            impl.SendGoalService, SEND_GOAL, goal_service_qos_profile
        )
        self._rclpy_cancel_client = self._rclpy_client(
            cancel_type, CANCEL_GOAL, cancel_service_qos_profile
        )
        self._rclpy_result_client = self._rclpy_client(
            impl.GetResultService, GET_RESULT, result_service_qos_profile, _RESULT_TIMEOUT_SEC
        )
        self._rclpy_feedback_subscription = node.create_subscription(
            impl.FeedbackMessage,
            action_name + FEEDBACK,
            self._rclpy_on_feedback,
            feedback_sub_qos_profile or QoSProfile(depth=10),
            callback_group=self.callback_group,
            raw=True,
        )
        self._rclpy_status_subscription = node.create_subscription(
            load("action_msgs/msg/GoalStatusArray"),
            action_name + STATUS,
            self._rclpy_on_status,
            status_sub_qos_profile,
            callback_group=self.callback_group,
            raw=True,
        )
        # Names of rclpy that others' code reads.
        self._node = node
        self._action_type = action_type
        self._action_name = action_name
        node.add_waitable(self)

    def _rclpy_client(
        self, srv_type: Any, suffix: str, qos: QoSProfile, timeout_sec: float | None = None
    ) -> Client:
        return Client(
            self._rclpy_node,
            srv_type,
            self._rclpy_node.resolve_service_name(self._rclpy_action_name + suffix),
            resolve(qos),
            self.callback_group,
            query_timeout_sec=timeout_sec,
        )

    # Topics

    def _rclpy_on_feedback(self, raw: bytes) -> Any:
        # The goal's id stands first, behind the four bytes of the header: feedback on others'
        # goals, or that nobody wants, is not read.
        callback = self._rclpy_feedback_callbacks.get(raw[4:20])
        if callback is None:
            return None
        try:
            message = deserialize(raw, self._rclpy_action_type.Impl.FeedbackMessage)
        except ValueError as error:
            self._rclpy_complain(f"dropped feedback of '{self._rclpy_action_name}': {error}")
            return None
        return callback(message)

    def _rclpy_on_status(self, raw: bytes) -> None:
        try:
            statuses = _status.read(raw)
        except ValueError as error:
            self._rclpy_complain(f"dropped a status of '{self._rclpy_action_name}': {error}")
            return
        for key, status in statuses:
            reference = self._rclpy_goal_handles.get(key)
            handle = None if reference is None else reference()
            if handle is not None and handle._status < _FIRST_TERMINAL_STATUS:
                handle._status = status

    # Goals

    def send_goal(
        self,
        goal: Any,
        feedback_callback: Callable[[Any], Any] | None = None,
        goal_uuid: Any = None,
    ) -> Any:
        """Send a goal and wait for its end; another thread must spin. None if it was rejected."""
        handle = _wait(self.send_goal_async(goal, feedback_callback, goal_uuid))
        return handle.get_result() if handle.accepted else None

    def send_goal_async(
        self,
        goal: Any,
        feedback_callback: Callable[[Any], Any] | None = None,
        goal_uuid: Any = None,
    ) -> Future[Any]:
        """Send a goal; the future's result is a :class:`ClientGoalHandle`, accepted or not.

        ``feedback_callback`` takes a message whose ``feedback`` is the feedback. Raises TypeError
        for a goal of another type.
        """
        if not isinstance(goal, self._rclpy_action_type.Goal):
            raise TypeError(f"Expected {self._rclpy_action_type.Goal}, got {type(goal)}")
        goal_id = self._rclpy_generate_random_uuid() if goal_uuid is None else goal_uuid
        key = bytes(goal_id.uuid)
        request = self._rclpy_action_type.Impl.SendGoalService.Request(goal_id=goal_id, goal=goal)
        if feedback_callback is not None:
            self._rclpy_feedback_callbacks[key] = feedback_callback
        future: Future[Any] = Future()

        def answered(response: Any) -> ClientGoalHandle:
            handle = ClientGoalHandle(self, goal_id, response)
            if handle.accepted:
                with self._rclpy_lock:
                    self._rclpy_goal_handles[key] = weakref.ref(
                        handle, lambda _: self._rclpy_goal_handles.pop(key, None)
                    )
            else:
                self._rclpy_feedback_callbacks.pop(key, None)
            return handle

        _relay(self._rclpy_goal_client.call_async(request), future, answered)
        return future

    def _rclpy_generate_random_uuid(self) -> Any:
        return load("unique_identifier_msgs/msg/UUID")(uuid=list(uuid.uuid4().bytes))

    def _rclpy_check_handle(self, goal_handle: Any) -> None:
        if not isinstance(goal_handle, ClientGoalHandle):
            raise TypeError(f"Expected type ClientGoalHandle but received {type(goal_handle)}")

    def _rclpy_cancel_goal_async(self, goal_handle: ClientGoalHandle) -> Future[Any]:
        self._rclpy_check_handle(goal_handle)
        request = self._rclpy_cancel_client.srv_type.Request()
        request.goal_info.goal_id = goal_handle.goal_id
        future: Future[Any] = Future()
        _relay(self._rclpy_cancel_client.call_async(request), future, lambda response: response)
        return future

    def _rclpy_get_result_async(self, goal_handle: ClientGoalHandle) -> Future[Any]:
        self._rclpy_check_handle(goal_handle)
        request = self._rclpy_result_client.srv_type.Request(goal_id=goal_handle.goal_id)
        future: Future[Any] = Future()

        def ended(response: Any) -> Any:
            goal_handle._status = response.status
            self._rclpy_feedback_callbacks.pop(bytes(goal_handle.goal_id.uuid), None)
            return response

        _relay(self._rclpy_result_client.call_async(request), future, ended)
        return future

    # The server

    def server_is_ready(self) -> bool:
        """Return whether all three services of the action would answer."""
        return all(
            client.service_is_ready()
            for client in (
                self._rclpy_goal_client,
                self._rclpy_cancel_client,
                self._rclpy_result_client,
            )
        )

    def wait_for_server(self, timeout_sec: float | None = None) -> bool:
        """Wait for the server; False after ``timeout_sec`` or shutdown."""
        return self._rclpy_node.context._live_graph().wait(
            self.server_is_ready, timeout_sec, MATCH_POLL_SEC
        )

    def destroy(self) -> None:
        """Withdraw the client."""
        if self._rclpy_destroyed:
            return
        self._rclpy_destroyed = True
        for client in (
            self._rclpy_goal_client,
            self._rclpy_cancel_client,
            self._rclpy_result_client,
        ):
            client.destroy()
        self._rclpy_node.destroy_subscription(self._rclpy_feedback_subscription)
        self._rclpy_node.destroy_subscription(self._rclpy_status_subscription)
        self._rclpy_node.remove_waitable(self)
