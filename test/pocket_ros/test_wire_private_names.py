"""Private names: a user's subclass may call its own attributes and methods what it likes."""

from __future__ import annotations

import threading

import pytest
import rclpy
from example_interfaces.action import Fibonacci
from rclpy.action import ActionClient, ActionServer, CancelResponse
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.parameter_event_handler import ParameterEventHandler
from std_msgs.msg import String
from std_srvs.srv import Trigger

OWN = object()
WORDS = """
    action action_client action_name action_server action_type active announce arguments ask
    begin busy call callback callback_group callback_groups callbacks cancel change changed check
    client clients clock clock_sub condition config context count core counter data default_group
    depth destroy destroyed domain_id done enabled endpoint errors event events executor feedback
    feedback_publisher find forget future futures gid goal goal_callback goal_handle goal_handles
    goals graph group guard guards handed handle id ids inbox info infos init is_shutdown items
    key last_time lifecycle lock log logger loop managed message messages move mutex name
    namespace next node node_name nodes num_threads on_cancel on_change_state on_get_state on_goal
    on_result on_status overrides parameter_events parameter_service parameters params pending
    pick post process pub publish publish_status publisher publishers qos queue rate rates ready
    register resolve result results rosout run running schedule sequence sequence_number serve
    server service services session set_result spin spin_once start started state state_id
    state_machine status stop stopped sub subscriber subscription subscriptions take task tasks
    thread threads time time_source timer timers token topic transition transition_event
    transition_lock trigger up update wait waitables wake work worker workers
"""
PLAUSIBLE = WORDS.split()
# These are rclpy's own names too, so a value from before super().__init__() does not outlive it.
OF_RCLPY = {
    "_action_name",
    "_action_type",
    "_allow_undeclared_parameters",
    "_clients",
    "_clock",
    "_context",
    "_default_callback_group",
    "_descriptors",
    "_guards",
    "_logger",
    "_node",
    "_parameter_event_publisher",
    "_parameter_overrides",
    "_parameters",
    "_publishers",
    "_services",
    "_subscriptions",
    "_time_source",
    "_timers",
}
OF_PYTHON = {"_is_protocol"}


def greedy(base: type) -> type:
    """Return a subclass that takes all plausible names before and after the base's own."""

    def __init__(self, *args, **kwargs):
        for name in PLAUSIBLE:
            setattr(self, f"_{name}", OWN)
        base.__init__(self, *args, **kwargs)
        for name in PLAUSIBLE:
            if f"_{name}" not in OF_RCLPY:
                assert getattr(self, f"_{name}") is OWN, name
            setattr(self, f"_{name}", OWN)

    return type("Greedy", (base,), {"__init__": __init__})


@pytest.mark.parametrize("base", [Node, LifecycleNode])
def test_node_whose_subclass_took_the_names_works(ros, base):
    node = ros.node("greedy", greedy(base))
    heard, answered, ticked = threading.Event(), threading.Event(), threading.Event()

    def answer(request, response):
        answered.set()
        return response

    node.create_subscription(String, "talk", lambda message: heard.set(), 10)
    publisher = node.create_publisher(String, "talk", 10)
    node.create_service(Trigger, "ask", answer)
    timer = node.create_timer(0.001, ticked.set)
    node.declare_parameter("speed", 1)
    ros.spin(node)
    publisher.publish(String(data="hello"))
    ros.wait(heard)
    ros.call(node, Trigger, "ask", Trigger.Request())
    ros.wait(ticked)
    assert node.set_parameters([Parameter("speed", value=2)])[0].successful
    assert node.get_parameter("speed").value == 2
    assert node.count_publishers("talk") == 1
    assert node.get_publishers_info_by_topic("talk")[0].node_name == "greedy"
    assert node.get_clock().now().nanoseconds > 0
    assert node.get_logger().info("still here")
    assert node.destroy_timer(timer)
    if base is LifecycleNode:
        assert node.trigger_configure() is TransitionCallbackReturn.SUCCESS
        assert node.trigger_activate() is TransitionCallbackReturn.SUCCESS
    node.destroy_node()
    assert ros.errors.empty()


@pytest.mark.parametrize("base", [SingleThreadedExecutor, MultiThreadedExecutor])
def test_executor_whose_subclass_took_the_names_works(ros, base):
    node = ros.node("patient")
    ticked = threading.Event()
    node.create_timer(0.001, ticked.set)
    executor = ros.spin(node, executor=greedy(base)())
    ros.wait(ticked)
    assert ros.result(executor.create_task(lambda: 7)) == 7
    executor.remove_node(node)
    assert executor.get_nodes() == []


def test_action_whose_ends_took_the_names_works(ros):
    def execute(goal):
        goal.publish_feedback(Fibonacci.Feedback(sequence=[1]))
        goal.succeed()
        return Fibonacci.Result(sequence=[0, 1])

    serving, asking = ros.node("serving"), ros.node("asking")
    greedy(ActionServer)(
        serving, Fibonacci, "count", execute, cancel_callback=lambda _: CancelResponse.ACCEPT
    )
    client = greedy(ActionClient)(asking, Fibonacci, "count")
    ros.spin(serving, asking)
    assert client.wait_for_server(20.0)
    told = threading.Event()
    handle = ros.result(client.send_goal_async(Fibonacci.Goal(order=2), lambda _: told.set()))
    assert list(ros.result(handle.get_result_async()).result.sequence) == [0, 1]
    assert ros.result(handle.cancel_goal_async()).return_code != 0
    ros.wait(told)
    client.destroy()


def test_runtime_has_no_private_names_but_its_own_and_those_of_rclpy(ros):
    node = ros.node("neat", LifecycleNode)
    owners = (
        AsyncParameterClient(node, "neat"),
        ParameterEventHandler(node),
        node,
        node.create_lifecycle_publisher(String, "talk", 10),
        MultiThreadedExecutor(),
        MutuallyExclusiveCallbackGroup(),
        ActionClient(node, Fibonacci, "count"),
        ActionServer(node, Fibonacci, "count", None),
    )
    for owner in owners:
        names = {*vars(owner), *(name for kind in type(owner).__mro__ for name in vars(kind))}
        private = {name for name in names if name.startswith("_") and not name.startswith("__")}
        strange = {name for name in private if not name.startswith("_rclpy_")}
        assert strange <= OF_RCLPY | OF_PYTHON, type(owner)


def test_names_of_rclpy_that_others_read_are_there(ros):
    node = ros.node("open")
    node.declare_parameter("speed", 1)
    publisher = node.create_publisher(String, "talk", 10)
    assert node._context is node.context is rclpy.get_default_context()
    assert node._default_callback_group is node.default_callback_group
    assert node._parameters["speed"].value == 1
    assert publisher in node._publishers
    assert node._clock is node.get_clock()
    assert ActionClient(node, Fibonacci, "count")._action_name == "count"
