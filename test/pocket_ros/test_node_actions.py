"""Actions: every way a goal can go, for several clients and over processes."""

from __future__ import annotations

import queue
import threading
import time

import pytest
from action_msgs.msg import GoalStatus, GoalStatusArray
from action_msgs.srv import CancelGoal
from example_interfaces.action import Fibonacci
from rclpy.action import (
    ActionClient,
    ActionServer,
    CancelResponse,
    GoalResponse,
    get_action_client_names_and_types_by_node,
    get_action_names_and_types,
    get_action_server_names_and_types_by_node,
)
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_action_status_default
from rclpy.task import Future
from unique_identifier_msgs.msg import UUID

DEADLINE_SEC = 20.0


class Pair:
    """A server that does as told, and a client."""

    def __init__(self, ros, execute, executor=None, **options):
        self.ros = ros
        server_node = ros.node("server")
        self.node = ros.node("client")
        self.server_node = server_node
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


def nanoseconds(stamp):
    return stamp.sec * 10**9 + stamp.nanosec


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
        # The answer of the callback takes effect after it.
        end = time.monotonic() + DEADLINE_SEC
        while not goal_handle.is_cancel_requested and time.monotonic() < end:
            time.sleep(0)
        if self.obey:
            goal_handle.canceled()
        else:
            goal_handle.succeed()
        return Fibonacci.Result(sequence=[-1])


def test_goal_succeeds_with_feedback_in_order(ros):
    seen, all_seen = [], threading.Event()

    def note(message):
        seen.append(list(message.feedback.sequence))
        if len(seen) == 4:
            all_seen.set()

    def execute(goal_handle):
        feedback = Fibonacci.Feedback()
        for number in range(goal_handle.request.order):
            feedback.sequence.append(number)
            goal_handle.publish_feedback(feedback)
        # A client drops the feedback that comes after its goal's end.
        ros.wait(all_seen)
        goal_handle.succeed()
        return Fibonacci.Result(sequence=feedback.sequence)

    handle = Pair(ros, execute).send(4, note)
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
    begun, resumed = threading.Event(), Future()

    async def execute(goal_handle):
        begun.set()
        await resumed
        assert goal_handle.is_cancel_requested
        goal_handle.canceled()
        return Fibonacci.Result()

    def cancel(goal_handle):
        resumed.set_result(None)
        return CancelResponse.ACCEPT

    pair = Pair(ros, execute, executor=SingleThreadedExecutor(), cancel_callback=cancel)
    handle = pair.send()
    ros.wait(begun)
    result = handle.get_result_async()
    ros.result(handle.cancel_goal_async())
    assert ros.result(result).status == GoalStatus.STATUS_CANCELED


def test_actions_are_in_the_graph(ros):
    pair = Pair(ros, count)
    found = ("/count", ["example_interfaces/action/Fibonacci"])
    assert found in get_action_names_and_types(pair.node)
    assert found in get_action_server_names_and_types_by_node(pair.node, "server", "/")
    assert found in get_action_client_names_and_types_by_node(pair.node, "client", "/")


def test_accepted_goal_may_be_executed_later(ros):
    waiting = queue.Queue()
    pair = Pair(ros, count, handle_accepted_callback=waiting.put)
    result = pair.send().get_result_async()
    server_handle = waiting.get(timeout=DEADLINE_SEC)
    assert server_handle.status == GoalStatus.STATUS_ACCEPTED
    server_handle.execute()
    assert ros.result(result).status == GoalStatus.STATUS_SUCCEEDED


def test_goal_cancelled_before_its_execution_is_executed_as_cancelled(ros):
    waiting, seen = queue.Queue(), queue.Queue()

    def execute(goal_handle):
        seen.put(goal_handle.is_cancel_requested)
        goal_handle.canceled()
        return Fibonacci.Result()

    pair = Pair(
        ros,
        execute,
        handle_accepted_callback=waiting.put,
        cancel_callback=lambda _: CancelResponse.ACCEPT,
    )
    handle = pair.send()
    result = handle.get_result_async()
    server_handle = waiting.get(timeout=DEADLINE_SEC)
    assert len(ros.result(handle.cancel_goal_async()).goals_canceling) == 1
    assert server_handle.status == GoalStatus.STATUS_CANCELING
    server_handle.execute()
    assert seen.get(timeout=DEADLINE_SEC)
    assert ros.result(result).status == GoalStatus.STATUS_CANCELED
    assert not server_handle.is_active
    assert not server_handle.is_cancel_requested


def test_cancelled_goal_may_still_abort(ros):
    begun, asked = threading.Event(), threading.Event()

    def execute(goal_handle):
        begun.set()
        assert asked.wait(DEADLINE_SEC)
        goal_handle.abort()
        return Fibonacci.Result(sequence=[3])

    pair = Pair(ros, execute, cancel_callback=lambda _: CancelResponse.ACCEPT)
    handle = pair.send()
    result = handle.get_result_async()
    ros.wait(begun)
    ros.result(handle.cancel_goal_async())
    asked.set()
    end = ros.result(result)
    assert (end.status, list(end.result.sequence)) == (GoalStatus.STATUS_ABORTED, [3])


def test_goal_that_nobody_cancelled_cannot_end_as_cancelled(ros):
    errors = queue.Queue()

    def execute(goal_handle):
        try:
            goal_handle.canceled()
        except Exception as error:
            errors.put(error)
        goal_handle.succeed()
        return Fibonacci.Result()

    end = ros.result(Pair(ros, execute).send().get_result_async())
    assert end.status == GoalStatus.STATUS_SUCCEEDED
    assert errors.get_nowait()


def test_coroutine_may_execute_a_goal_and_send_feedback(ros):
    async def execute(goal_handle):
        goal_handle.publish_feedback(Fibonacci.Feedback(sequence=[1]))
        goal_handle.succeed()
        return Fibonacci.Result(sequence=[1, 2])

    seen = queue.Queue()
    handle = Pair(ros, execute).send(feedback=seen.put)
    end = ros.result(handle.get_result_async())
    assert (end.status, list(end.result.sequence)) == (GoalStatus.STATUS_SUCCEEDED, [1, 2])
    assert list(seen.get(timeout=DEADLINE_SEC).feedback.sequence) == [1]


def test_coroutine_that_raises_aborts_its_goal(ros):
    async def execute(goal_handle):
        raise ZeroDivisionError

    end = ros.result(Pair(ros, execute).send().get_result_async())
    assert end.status == GoalStatus.STATUS_ABORTED


def test_result_of_an_unknown_goal_is_unknown(ros):
    pair = Pair(ros, count)
    service = Fibonacci.Impl.GetResultService
    request = service.Request(goal_id=UUID(uuid=list(range(16))))
    response = ros.call(pair.node, service, "count/_action/get_result", request)
    assert response.status == GoalStatus.STATUS_UNKNOWN
    assert list(response.result.sequence) == []


def test_stamp_cancels_all_goals_accepted_before_it(ros):
    execute = UntilCancelled()
    pair = Pair(ros, execute, cancel_callback=execute.cancel)
    old = [pair.send() for _ in range(2)]
    young = pair.send()
    # rcl stamps an accepted goal itself, a little later than the stamp that its client hears.
    between = nanoseconds(young.stamp) - 1
    assert between > nanoseconds(old[1].stamp)
    results = [handle.get_result_async() for handle in (*old, young)]
    request = CancelGoal.Request()
    request.goal_info.stamp.sec, request.goal_info.stamp.nanosec = divmod(between, 10**9)
    response = ros.call(pair.node, CancelGoal, "count/_action/cancel_goal", request)
    assert {bytes(info.goal_id.uuid) for info in response.goals_canceling} == {
        bytes(handle.goal_id.uuid) for handle in old
    }
    for result in results[:2]:
        assert ros.result(result).status == GoalStatus.STATUS_CANCELED
    assert not results[2].done()
    request.goal_info.goal_id = young.goal_id
    response = ros.call(pair.node, CancelGoal, "count/_action/cancel_goal", request)
    assert len(response.goals_canceling) == 1
    assert ros.result(results[2]).status == GoalStatus.STATUS_CANCELED


def test_states_of_goals_are_told_to_whoever_comes_later(ros):
    pair = Pair(ros, count)
    handle = pair.send()
    ros.result(handle.get_result_async())
    seen = queue.Queue()
    pair.node.create_subscription(
        GoalStatusArray, "count/_action/status", seen.put, qos_profile_action_status_default
    )
    statuses = seen.get(timeout=DEADLINE_SEC).status_list
    while statuses[0].status != GoalStatus.STATUS_SUCCEEDED:
        statuses = seen.get(timeout=DEADLINE_SEC).status_list
    assert bytes(statuses[0].goal_info.goal_id.uuid) == bytes(handle.goal_id.uuid)


def test_server_that_goes_is_not_ready_and_may_come_back(ros):
    pair = Pair(ros, count)
    pair.server.destroy()
    ros.until(pair.node, lambda: not pair.client.server_is_ready())
    assert not pair.client.wait_for_server(timeout_sec=0.05)
    ActionServer(pair.server_node, Fibonacci, "count", count)
    assert pair.client.wait_for_server(DEADLINE_SEC)
    end = ros.result(pair.send().get_result_async())
    assert end.status == GoalStatus.STATUS_SUCCEEDED


def test_goal_of_another_type_is_refused(ros):
    client = ActionClient(ros.node("client"), Fibonacci, "count")
    with pytest.raises(TypeError):
        client.send_goal_async(Fibonacci.Result())
    assert not client.wait_for_server(timeout_sec=0.05)


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
