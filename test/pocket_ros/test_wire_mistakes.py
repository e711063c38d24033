"""Mistakes in a node's callbacks, and of its callers, that do not end the node.

A Jazzy rclpy stops spinning there; so these are promises of pocket_ros alone.
"""

from __future__ import annotations

import pytest
from example_interfaces.action import Fibonacci
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.action import ActionClient, ActionServer, GoalResponse
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

DEADLINE_SEC = 20.0


def test_goal_callback_that_raises_rejects_the_goal(ros):
    def execute(goal_handle):
        goal_handle.succeed()
        return Fibonacci.Result()

    def decide(goal):
        raise ZeroDivisionError

    node = ros.node("both")
    server = ActionServer(node, Fibonacci, "count", execute, goal_callback=decide)
    client = ActionClient(node, Fibonacci, "count")
    ros.spin(node)
    assert client.wait_for_server(DEADLINE_SEC)
    assert not ros.result(client.send_goal_async(Fibonacci.Goal())).accepted
    server.register_goal_callback(lambda goal: GoalResponse.ACCEPT)
    assert ros.result(client.send_goal_async(Fibonacci.Goal())).accepted
    assert ros.errors.empty()


class Device(LifecycleNode):
    """Forgets to say how its configuration went."""

    def on_configure(self, state):
        return None

    def on_error(self, state):
        return TransitionCallbackReturn.SUCCESS


@pytest.mark.parametrize(
    "transition", [Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_CONFIGURE]
)
def test_transition_that_is_not_possible_or_says_nothing_fails(ros, transition):
    device, manager = ros.node("device", Device), ros.node("manager")
    ros.spin(device)
    ros.spin(manager)
    request = ChangeState.Request(transition=Transition(id=transition))
    for _ in range(2):
        assert not ros.call(manager, ChangeState, "device/change_state", request).success
    assert ros.errors.empty()
