"""Actions: every way a goal can go, for several clients and over processes."""

from __future__ import annotations

import queue
import threading

import pytest
from action_msgs.msg import GoalStatus
from action_msgs.srv import CancelGoal
from example_interfaces.action import Fibonacci
from rclpy.action import (
    ActionClient,
    ActionServer,
    CancelResponse,
    GoalResponse,
    get_action_names_and_types,
)
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import SingleThreadedExecutor

DEADLINE_SEC = 20.0


class Pair:
    """A server that does as told, and a client."""

    def __init__(self, ros, execute, executor=None, **options):
        self.ros = ros
        server_node = ros.node("server")
        self.node = ros.node("client")
        self.server = ActionServer(
            server_node,
            Fibonacci,
            "count",
            execute,
            callback_group=ReentrantCallbackGroup(),
            **options,
        )
        self.client = ActionClient(self.node, Fibonacci, "count")
        ros.spin(server_node, executor=executor)
        ros.spin(self.node)
        assert self.client.wait_for_server(DEADLINE_SEC)

    def send(self, order=3, feedback=None):
        return self.ros.result(
            self.client.send_goal_async(Fibonacci.Goal(order=order), feedback_callback=feedback)
        )


def count(goal_handle):
    feedback = Fibonacci.Feedback()
    for number in range(goal_handle.request.order):
        feedback.sequence.append(number)
        goal_handle.publish_feedback(feedback)
    goal_handle.succeed()
    return Fibonacci.Result(sequence=feedback.sequence)


class UntilCancelled:
    """Executes until a cancel request comes."""

    def __init__(self, obey=True):
        self.begun, self.asked = threading.Event(), threading.Event()
        self.obey = obey

    def cancel(self, goal_handle):
        self.asked.set()
        return CancelResponse.ACCEPT

    def __call__(self, goal_handle):
        self.begun.set()
        assert self.asked.wait(DEADLINE_SEC)
        while not goal_handle.is_cancel_requested:
            pass
        if self.obey:
            goal_handle.canceled()
        else:
            goal_handle.succeed()
        return Fibonacci.Result(sequence=[-1])


def test_goal_succeeds_with_feedback_in_order(ros):
    pair = Pair(ros, count)
    seen = []
    handle = pair.send(4, lambda message: seen.append(list(message.feedback.sequence)))
    assert handle.accepted
    end = ros.result(handle.get_result_async())
    assert end.status == GoalStatus.STATUS_SUCCEEDED
    assert list(end.result.sequence) == [0, 1, 2, 3]
    assert seen == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]


def test_goal_aborts_with_its_result(ros):
    def fail(goal_handle):
        goal_handle.abort()
        return Fibonacci.Result(sequence=[7])

    end = ros.result(Pair(ros, fail).send().get_result_async())
    assert end.status == GoalStatus.STATUS_ABORTED
    assert list(end.result.sequence) == [7]


@pytest.mark.parametrize("raises", [True, False])
def test_execution_that_sets_no_state_counts_as_aborted(ros, raises):
    def forget(goal_handle):
        if raises:
            raise ZeroDivisionError
        return Fibonacci.Result()

    end = ros.result(Pair(ros, forget).send().get_result_async())
    assert end.status == GoalStatus.STATUS_ABORTED
    assert ros.errors.empty()


def test_rejected_goal_is_not_executed(ros):
    executed = []
    pair = Pair(
        ros,
        executed.append,
        goal_callback=lambda goal: GoalResponse.ACCEPT if goal.order else GoalResponse.REJECT,
    )
    assert not pair.send(0).accepted
    assert not executed


def test_goal_callback_may_be_a_coroutine(ros):
    async def decide(goal):
        return GoalResponse.REJECT

    assert not Pair(ros, count, goal_callback=decide).send().accepted


@pytest.mark.parametrize("obey", [True, False])
def test_cancelled_goal_ends_as_its_server_says(ros, obey):
    execute = UntilCancelled(obey)
    pair = Pair(ros, execute, cancel_callback=execute.cancel)
    handle = pair.send()
    result = handle.get_result_async()
    ros.wait(execute.begun)
    response = ros.result(handle.cancel_goal_async())
    assert response.return_code == CancelGoal.Response.ERROR_NONE
    assert bytes(response.goals_canceling[0].goal_id.uuid) == bytes(handle.goal_id.uuid)
    expected = GoalStatus.STATUS_CANCELED if obey else GoalStatus.STATUS_SUCCEEDED
    assert ros.result(result).status == expected


def test_cancel_is_refused_by_default(ros):
    going, finish = threading.Event(), threading.Event()

    def execute(goal_handle):
        going.set()
        finish.wait(DEADLINE_SEC)
        goal_handle.succeed()
        return Fibonacci.Result()

    handle = Pair(ros, execute).send()
    ros.wait(going)
    response = ros.result(handle.cancel_goal_async())
    finish.set()
    assert response.return_code == CancelGoal.Response.ERROR_REJECTED
    assert not response.goals_canceling
    assert ros.result(handle.get_result_async()).status == GoalStatus.STATUS_SUCCEEDED


def test_goal_that_ended_or_never_was_cannot_be_cancelled(ros):
    pair = Pair(ros, count, cancel_callback=lambda _: CancelResponse.ACCEPT)
    handle = pair.send()
    ros.result(handle.get_result_async())
    response = ros.result(handle.cancel_goal_async())
    assert response.return_code == CancelGoal.Response.ERROR_GOAL_TERMINATED
    unknown = CancelGoal.Request()
    unknown.goal_info.goal_id.uuid[0] = 1
    response = ros.call(pair.node, CancelGoal, "count/_action/cancel_goal", unknown)
    assert response.return_code == CancelGoal.Response.ERROR_UNKNOWN_GOAL_ID


def test_empty_id_cancels_all_goals(ros):
    execute = UntilCancelled()
    pair = Pair(ros, execute, cancel_callback=execute.cancel)
    results = [pair.send().get_result_async() for _ in range(2)]
    response = ros.call(pair.node, CancelGoal, "count/_action/cancel_goal", CancelGoal.Request())
    assert len(response.goals_canceling) == 2
    assert {ros.result(result).status for result in results} == {GoalStatus.STATUS_CANCELED}


def test_result_can_be_asked_for_after_the_end(ros):
    pair = Pair(ros, count)
    handle = pair.send()
    ros.result(handle.get_result_async())
    again = ros.result(handle.get_result_async())
    assert again.status == GoalStatus.STATUS_SUCCEEDED
    assert list(again.result.sequence) == [0, 1, 2]


def test_result_is_forgotten_after_its_timeout(ros):
    pair = Pair(ros, count, result_timeout=0)
    handle = pair.send()
    ros.result(handle.get_result_async())
    assert ros.result(handle.get_result_async()).status == GoalStatus.STATUS_UNKNOWN


def test_two_clients_get_their_own_feedback_and_results(ros):
    pair = Pair(ros, count)
    other_node = ros.node("other_client")
    other = ActionClient(other_node, Fibonacci, "count")
    ros.spin(other_node)
    assert other.wait_for_server(DEADLINE_SEC)
    seen = {2: [], 5: []}
    futures = {
        order: client.send_goal_async(
            Fibonacci.Goal(order=order),
            feedback_callback=lambda m, o=order: seen[o].append(len(m.feedback.sequence)),
        )
        for order, client in ((2, pair.client), (5, other))
    }
    for order, future in futures.items():
        end = ros.result(ros.result(future).get_result_async())
        assert len(end.result.sequence) == order
        assert seen[order] == list(range(1, order + 1))


def test_same_goal_id_is_not_accepted_twice(ros):
    pair = Pair(ros, count)
    first = pair.send()
    future = pair.client.send_goal_async(Fibonacci.Goal(), goal_uuid=first.goal_id)
    assert not ros.result(future).accepted


def test_coroutine_server_in_one_thread_cancels_while_it_waits(ros):
    node = ros.node("helper")
    begun, resume = threading.Event(), queue.Queue()

    async def execute(goal_handle):
        future = goal_handle._action_server._node.executor.create_future()
        resume.put(future)
        begun.set()
        await future
        assert goal_handle.is_cancel_requested
        goal_handle.canceled()
        return Fibonacci.Result()

    def cancel(goal_handle):
        resume.get_nowait().set_result(None)
        return CancelResponse.ACCEPT

    pair = Pair(ros, execute, executor=SingleThreadedExecutor(), cancel_callback=cancel)
    handle = pair.send()
    ros.wait(begun)
    result = handle.get_result_async()
    ros.result(handle.cancel_goal_async())
    assert ros.result(result).status == GoalStatus.STATUS_CANCELED
    assert ("/count", ["example_interfaces/action/Fibonacci"]) in get_action_names_and_types(node)


def test_accepted_goal_may_be_executed_later(ros):
    waiting = queue.Queue()
    pair = Pair(ros, count, handle_accepted_callback=waiting.put)
    result = pair.send().get_result_async()
    server_handle = waiting.get(timeout=DEADLINE_SEC)
    assert server_handle.status == GoalStatus.STATUS_ACCEPTED
    server_handle.execute()
    assert ros.result(result).status == GoalStatus.STATUS_SUCCEEDED


def test_goal_cannot_leave_its_end_state(ros):
    errors = queue.Queue()

    def execute(goal_handle):
        goal_handle.succeed()
        try:
            goal_handle.abort()
        except Exception as error:
            errors.put(error)
        return Fibonacci.Result()

    end = ros.result(Pair(ros, execute).send().get_result_async())
    assert end.status == GoalStatus.STATUS_SUCCEEDED
    assert errors.get_nowait()


def test_action_works_between_processes(ros, peer):
    other = peer("""
        import rclpy
        from example_interfaces.action import Fibonacci
        from rclpy.action import ActionServer
        from rclpy.executors import MultiThreadedExecutor
        rclpy.init()
        node = rclpy.create_node("remote")

        def execute(goal_handle):
            feedback = Fibonacci.Feedback(sequence=[1])
            goal_handle.publish_feedback(feedback)
            goal_handle.succeed()
            return Fibonacci.Result(sequence=[goal_handle.request.order])

        ActionServer(node, Fibonacci, "remote_count", execute)
        print("ready")
        rclpy.spin(node, MultiThreadedExecutor(2))
    """)
    assert other.line() == "ready"
    node = ros.node("client")
    client = ActionClient(node, Fibonacci, "remote_count")
    ros.spin(node)
    assert client.wait_for_server(DEADLINE_SEC)
    seen = []
    future = client.send_goal_async(Fibonacci.Goal(order=5), feedback_callback=seen.append)
    end = ros.result(ros.result(future).get_result_async())
    assert list(end.result.sequence) == [5]
    assert [list(message.feedback.sequence) for message in seen] == [[1]]
    gone = threading.Event()
    node.create_timer(0.01, lambda: None if client.server_is_ready() else gone.set())
    other.kill()
    ros.wait(gone)
