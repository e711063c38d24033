"""Managed nodes."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

from ...idl import load
from ..callback_groups import CallbackGroup
from ..node import Node
from ..qos import QoSProfile
from . import _state_machine as machine
from ._state_machine import StateId, TransitionCallbackReturn
from .managed_entity import ManagedEntity
from .publisher import LifecyclePublisher


class LifecycleState(NamedTuple):
    """A state's label and number."""

    label: str
    state_id: int


_CALLBACKS = {
    StateId.CONFIGURING: "on_configure",
    StateId.CLEANINGUP: "on_cleanup",
    StateId.ACTIVATING: "on_activate",
    StateId.DEACTIVATING: "on_deactivate",
    StateId.SHUTTINGDOWN: "on_shutdown",
    StateId.ERRORPROCESSING: "on_error",
}


def _state(state: StateId) -> LifecycleState:
    return LifecycleState(state.label, int(state))


class LifecycleNodeMixin(ManagedEntity):
    """Makes a node a managed one. Use :class:`LifecycleNode`.

    An override of ``on_activate`` and its siblings calls ``super()`` so that managed entities
    follow.
    """

    def __init__(
        self,
        *,
        enable_communication_interface: bool = True,
        callback_group: CallbackGroup | None = None,
    ) -> None:
        self._rclpy_state_id = StateId.UNCONFIGURED
        self._rclpy_transition_lock = threading.RLock()
        self._rclpy_managed_entities: list[ManagedEntity] = []
        self._rclpy_lifecycle_callbacks: dict[StateId, Callable[[LifecycleState], Any]] = {
            state: getattr(self, name) for state, name in _CALLBACKS.items()
        }
        self._rclpy_transition_event: Any = None
        if enable_communication_interface:
            self._rclpy_serve_lifecycle(callback_group)

    def _rclpy_serve_lifecycle(self, group: CallbackGroup | None) -> None:
        node: Any = self
        self._rclpy_transition_event = node.create_publisher(
            load("lifecycle_msgs/msg/TransitionEvent"), "~/transition_event", QoSProfile(depth=10)
        )
        for interface, name, callback in (
            ("ChangeState", "change_state", self._rclpy_on_change_state),
            ("GetState", "get_state", self._rclpy_on_get_state),
            ("GetAvailableStates", "get_available_states", self._rclpy_on_get_states),
            (
                "GetAvailableTransitions",
                "get_available_transitions",
                self._rclpy_on_get_transitions,
            ),
            ("GetAvailableTransitions", "get_transition_graph", self._rclpy_on_get_graph),
        ):
            node.create_service(
                load(f"lifecycle_msgs/srv/{interface}"),
                f"~/{name}",
                callback,
                callback_group=group,
            )

    # Transitions

    def trigger_configure(self) -> TransitionCallbackReturn:
        """Configure it."""
        return self._rclpy_trigger("configure")

    def trigger_cleanup(self) -> TransitionCallbackReturn:
        """Clean it up."""
        return self._rclpy_trigger("cleanup")

    def trigger_shutdown(self) -> TransitionCallbackReturn:
        """Shut it down, from whatever state."""
        return self._rclpy_trigger("shutdown")

    def trigger_activate(self) -> TransitionCallbackReturn:
        """Activate it."""
        return self._rclpy_trigger("activate")

    def trigger_deactivate(self) -> TransitionCallbackReturn:
        """Deactivate it."""
        return self._rclpy_trigger("deactivate")

    def _rclpy_trigger(self, label: str) -> TransitionCallbackReturn:
        transition = machine.requested(self._rclpy_state_id, 0, label)
        if transition is None:
            from ..exceptions import RCLError

            raise RCLError(
                f"Failed to trigger lifecycle state machine transition: '{label}' is not "
                f"possible in state '{self._rclpy_state_id.label}'"
            )
        return self._rclpy_change(transition)

    def _rclpy_change(self, transition: machine.Transition) -> TransitionCallbackReturn:
        with self._rclpy_transition_lock:
            initial = self._rclpy_state_id
            self._rclpy_move(transition)
            returned = self._rclpy_call(self._rclpy_state_id, initial)
            self._rclpy_move(machine.outcome(self._rclpy_state_id, returned))
            if self._rclpy_state_id is StateId.ERRORPROCESSING:
                handled = self._rclpy_call(StateId.ERRORPROCESSING, initial)
                self._rclpy_move(machine.outcome(StateId.ERRORPROCESSING, handled))
            return returned

    def _rclpy_call(self, state: StateId, initial: StateId) -> TransitionCallbackReturn:
        node: Any = self
        callback = self._rclpy_lifecycle_callbacks[state]
        try:
            returned = callback(_state(initial))
        except Exception as error:
            if not node.context._overtook(error):
                node.get_logger().error(
                    f"Error raised in {_CALLBACKS[state]}: {error}\n{traceback.format_exc()}"
                )
            return TransitionCallbackReturn.ERROR
        if not isinstance(returned, TransitionCallbackReturn):
            node.get_logger().error(
                f"{_CALLBACKS[state]} returned {returned!r} instead of a TransitionCallbackReturn"
            )
            return TransitionCallbackReturn.ERROR
        return returned

    def _rclpy_move(self, transition: machine.Transition) -> None:
        node: Any = self
        self._rclpy_state_id = transition.goal
        if self._rclpy_transition_event is not None and node.context.ok():
            self._rclpy_transition_event._rclpy_publish_unless_down(
                self._rclpy_transition_event.msg_type(
                    start_state=_state_msg(transition.start),
                    goal_state=_state_msg(transition.goal),
                )
            )

    # Callbacks of transitions

    def _rclpy_all_follow(self, name: str, state: Any) -> TransitionCallbackReturn:
        for entity in self._rclpy_managed_entities:
            returned: TransitionCallbackReturn = getattr(entity, name)(state)
            if returned is not TransitionCallbackReturn.SUCCESS:
                return returned
        return TransitionCallbackReturn.SUCCESS

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Configure; ``state`` is the one before."""
        return self._rclpy_all_follow("on_configure", state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Clean up; ``state`` is the one before."""
        return self._rclpy_all_follow("on_cleanup", state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Shut down; ``state`` is the one before."""
        return self._rclpy_all_follow("on_shutdown", state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Activate; ``state`` is the one before."""
        return self._rclpy_all_follow("on_activate", state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate; ``state`` is the one before."""
        return self._rclpy_all_follow("on_deactivate", state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Handle an error; SUCCESS leads to unconfigured, anything else to finalized."""
        return TransitionCallbackReturn.FAILURE

    # Entities

    def add_managed_entity(self, entity: ManagedEntity) -> None:
        """Let an entity follow."""
        self._rclpy_managed_entities.append(entity)

    def create_lifecycle_publisher(self, *args: Any, **kwargs: Any) -> LifecyclePublisher:
        """Make a publisher that speaks while the node is active."""
        node: Any = self
        publisher: LifecyclePublisher = node.create_publisher(
            *args, **kwargs, publisher_class=LifecyclePublisher
        )
        self.add_managed_entity(publisher)
        return publisher

    def destroy_lifecycle_publisher(self, publisher: LifecyclePublisher) -> bool:
        """Destroy such a publisher; False if it is none of this node's."""
        node: Any = self
        if publisher in self._rclpy_managed_entities:
            self._rclpy_managed_entities.remove(publisher)
        return bool(node.destroy_publisher(publisher))

    # Services

    def _rclpy_on_change_state(self, request: Any, response: Any) -> Any:
        transition = machine.requested(
            self._rclpy_state_id, request.transition.id, request.transition.label
        )
        if transition is None:
            node: Any = self
            node.get_logger().warning(
                f"No transition {request.transition.label or request.transition.id} "
                f"in state '{self._rclpy_state_id.label}'"
            )
            response.success = False
        else:
            response.success = self._rclpy_change(transition) is TransitionCallbackReturn.SUCCESS
        return response

    def _rclpy_on_get_state(self, request: Any, response: Any) -> Any:
        response.current_state = _state_msg(self._rclpy_state_id)
        return response

    def _rclpy_on_get_states(self, request: Any, response: Any) -> Any:
        response.available_states = [_state_msg(state) for state in StateId]
        return response

    def _rclpy_on_get_transitions(self, request: Any, response: Any) -> Any:
        response.available_transitions = [
            _description(transition) for transition in machine.available(self._rclpy_state_id)
        ]
        return response

    def _rclpy_on_get_graph(self, request: Any, response: Any) -> Any:
        response.available_transitions = [
            _description(transition) for transition in machine.ALL_TRANSITIONS
        ]
        return response


def _state_msg(state: StateId) -> Any:
    return load("lifecycle_msgs/msg/State")(id=int(state), label=state.label)


def _transition_msg(transition: machine.Transition) -> Any:
    return load("lifecycle_msgs/msg/Transition")(id=transition.id, label=transition.label)


def _description(transition: machine.Transition) -> Any:
    return load("lifecycle_msgs/msg/TransitionDescription")(
        transition=_transition_msg(transition),
        start_state=_state_msg(transition.start),
        goal_state=_state_msg(transition.goal),
    )


class LifecycleNode(LifecycleNodeMixin, Node):
    """A managed node."""

    def __init__(
        self,
        node_name: str,
        *,
        enable_communication_interface: bool = True,
        **kwargs: Any,
    ) -> None:
        Node.__init__(self, node_name, **kwargs)
        LifecycleNodeMixin.__init__(
            self, enable_communication_interface=enable_communication_interface
        )
