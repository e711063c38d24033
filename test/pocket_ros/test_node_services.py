"""Services: answers, coroutines, failures, presence in the graph."""

from __future__ import annotations

import threading

import pytest
from example_interfaces.srv import AddTwoInts
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger

DEADLINE_SEC = 20.0

SERVER = """
    import rclpy
    from example_interfaces.srv import AddTwoInts
    rclpy.init()
    node = rclpy.create_node("adder")

    def add(request, response):
        response.sum = request.a + request.b
        return response

    node.create_service(AddTwoInts, "add", add)
    print("ready")
    rclpy.spin(node)
"""


def answer(request, response):
    response.success = True
    response.message = "yes"
    return response


def test_another_process_answers(ros, peer):
    other = peer(SERVER)
    assert other.line() == "ready"
    node = ros.node("caller")
    ros.spin(node)
    response = ros.call(node, AddTwoInts, "add", AddTwoInts.Request(a=2, b=40))
    assert response.sum == 42


def test_killed_server_leaves_the_graph(ros, peer):
    other = peer(SERVER)
    assert other.line() == "ready"
    node = ros.node("watcher")
    client = node.create_client(AddTwoInts, "add")
    assert client.wait_for_service(DEADLINE_SEC)
    gone = threading.Event()
    node.create_timer(0.01, lambda: None if client.service_is_ready() else gone.set())
    ros.spin(node)
    other.kill()
    ros.wait(gone)
    assert "adder" not in node.get_node_names()


def test_service_that_comes_back_answers_again(ros, peer):
    first = peer(SERVER)
    assert first.line() == "ready"
    node = ros.node("caller")
    client = node.create_client(AddTwoInts, "add")
    ros.spin(node)
    assert client.wait_for_service(DEADLINE_SEC)
    first.kill()
    ros.until(node, lambda: not client.service_is_ready())
    assert not client.wait_for_service(timeout_sec=0.05)
    second = peer(SERVER)
    assert client.wait_for_service(DEADLINE_SEC)
    assert ros.result(client.call_async(AddTwoInts.Request(a=1, b=2))).sum == 3
    second.kill()


def test_service_is_ready_while_one_of_its_servers_lives(ros, peer):
    other = peer(SERVER)
    assert other.line() == "ready"
    node, spare = ros.node("caller"), ros.node("spare")

    def add(request, response):
        response.sum = -1
        return response

    client = node.create_client(AddTwoInts, "add")
    service = spare.create_service(AddTwoInts, "add", add)
    ros.spin(node)
    ros.spin(spare)
    assert client.wait_for_service(DEADLINE_SEC)
    other.kill()
    ros.until(node, lambda: "adder" not in node.get_node_names())
    assert client.service_is_ready()
    assert ros.result(client.call_async(AddTwoInts.Request())).sum == -1
    assert spare.destroy_service(service)
    ros.until(node, lambda: not client.service_is_ready())


def test_waiting_for_a_service_ends_when_it_comes(ros):
    node, server = ros.node("caller"), ros.node("server")
    client = node.create_client(Trigger, "late")
    found = []
    waiter = threading.Thread(target=lambda: found.append(client.wait_for_service(DEADLINE_SEC)))
    waiter.start()
    server.create_service(Trigger, "late", answer)
    waiter.join(DEADLINE_SEC)
    assert found == [True]


def test_service_that_is_missing_is_not_ready(ros):
    client = ros.node("lonely").create_client(Trigger, "nowhere")
    assert not client.service_is_ready()
    assert not client.wait_for_service(timeout_sec=0.05)


def test_service_of_another_type_is_not_ready(ros):
    node = ros.node("typed")
    node.create_service(Trigger, "x", answer)
    assert not node.create_client(AddTwoInts, "x").wait_for_service(timeout_sec=0.05)
    assert node.create_client(Trigger, "x").wait_for_service(DEADLINE_SEC)


def test_coroutine_callback_may_await_another_service(ros):
    node = ros.node("chain")
    group = ReentrantCallbackGroup()
    client = node.create_client(Trigger, "inner", callback_group=group)
    node.create_service(Trigger, "inner", answer, callback_group=group)

    async def outer(request, response):
        inner = await client.call_async(Trigger.Request())
        response.success = inner.success
        response.message = inner.message + " indeed"
        return response

    node.create_service(Trigger, "outer", outer)
    ros.spin(node, executor=SingleThreadedExecutor())
    assert client.wait_for_service(DEADLINE_SEC)
    caller = ros.node("caller")
    ros.spin(caller)
    assert ros.call(caller, Trigger, "outer", Trigger.Request()).message == "yes indeed"


def test_blocking_call_works_from_a_callback_of_another_group(ros):
    node = ros.node("blocking")
    client = node.create_client(Trigger, "inner", callback_group=MutuallyExclusiveCallbackGroup())
    node.create_service(Trigger, "inner", answer, callback_group=MutuallyExclusiveCallbackGroup())

    def outer(request, response):
        response.message = client.call(Trigger.Request(), timeout_sec=DEADLINE_SEC).message
        return response

    node.create_service(Trigger, "outer", outer)
    ros.spin(node)
    assert client.wait_for_service(DEADLINE_SEC)
    assert ros.call(node, Trigger, "outer", Trigger.Request()).message == "yes"


@pytest.mark.parametrize("is_coroutine", [False, True])
def test_exception_in_a_service_callback_comes_out_of_spin(ros, is_coroutine):
    node = ros.node("failing")

    def fail(request, response):
        raise ZeroDivisionError("of the callback")

    async def fail_later(request, response):
        return fail(request, response)

    node.create_service(Trigger, "fail", fail_later if is_coroutine else fail)
    client = node.create_client(Trigger, "fail")
    assert client.wait_for_service(DEADLINE_SEC)
    ros.spin(node)
    future = client.call_async(Trigger.Request())
    assert isinstance(ros.errors.get(timeout=DEADLINE_SEC), ZeroDivisionError)
    assert not future.done()


def test_blocking_call_of_a_dead_service_ends_after_its_timeout(ros):
    node = ros.node("patient")
    client = node.create_client(Trigger, "nowhere")
    ros.spin(node)
    assert client.call(Trigger.Request(), timeout_sec=0.05) is None


def test_request_of_another_type_is_refused(ros):
    client = ros.node("strict").create_client(Trigger, "x")
    with pytest.raises(TypeError):
        client.call_async(AddTwoInts.Request())


def test_two_servers_of_one_name_give_one_response(ros):
    node = ros.node("twins")
    calls = []

    def count(request, response):
        calls.append(1)
        return answer(request, response)

    node.create_service(Trigger, "x", count)
    node.create_service(Trigger, "x", count)
    ros.spin(node)
    assert ros.call(node, Trigger, "x", Trigger.Request()).success
    assert calls


def test_services_are_in_the_graph(ros):
    node = ros.node("server", namespace="/lab")
    node.create_service(Trigger, "~/go", answer)
    client = node.create_client(Trigger, "/lab/server/go")
    assert client.wait_for_service(DEADLINE_SEC)
    assert ("/lab/server/go", ["std_srvs/srv/Trigger"]) in node.get_service_names_and_types()
    assert ("/lab/server/go", ["std_srvs/srv/Trigger"]) in (
        node.get_service_names_and_types_by_node("server", "/lab")
    )
