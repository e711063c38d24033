"""A service is ready only if a call would be answered: whatever else the wire may show."""

from __future__ import annotations

import pytest
import zenoh
from example_interfaces.srv import AddTwoInts
from rclpy.qos import qos_profile_services_default
from std_srvs.srv import Trigger

import pocket_ros.rclpy
from pocket_ros.rclpy._core import wire

OTHER_HASH = "RIHS01_" + "0" * 64


class Intruder:
    """Declares half a server, or one of another version of the type."""

    def __init__(self, name, type_hash):
        self._session = pocket_ros.rclpy.get_default_context()._live_session()
        self._name, self._hash = name, type_hash

    def show(self):
        """Put a server in the graph."""
        return self._session.liveliness().declare_token(
            wire.endpoint_token(
                87, "aabb", 1, 2, wire.SERVICE, "/", "/", "other", self._name,
                Trigger._dds_name, self._hash, qos_profile_services_default,
            )
        )  # fmt: skip

    def listen(self, complete=True):
        """Take calls, and answer none."""
        return self._session.declare_queryable(
            wire.topic_key(87, self._name, Trigger._dds_name, self._hash),
            zenoh.handlers.Callback(lambda query: query.drop(), indirect=False),
            complete=complete,
        )


@pytest.fixture
def client(ros):
    return ros.node("caller").create_client(Trigger, "go")


def test_server_of_another_version_of_the_type_is_not_ready(client):
    intruder = Intruder("/go", OTHER_HASH)
    declared = intruder.listen(), intruder.show()
    assert not client.wait_for_service(timeout_sec=0.05)
    for item in declared:
        item.undeclare()


def test_server_that_is_only_in_the_graph_is_not_ready(client):
    token = Intruder("/go", Trigger._type_hash).show()
    assert not client.wait_for_service(timeout_sec=0.05)
    token.undeclare()


def test_queryable_that_is_no_server_of_the_graph_is_not_ready(client):
    queryable = Intruder("/go", Trigger._type_hash).listen()
    assert not client.wait_for_service(timeout_sec=0.05)
    queryable.undeclare()


def test_queryable_that_is_not_complete_is_not_ready(client):
    intruder = Intruder("/go", Trigger._type_hash)
    declared = intruder.listen(complete=False), intruder.show()
    assert not client.wait_for_service(timeout_sec=0.05)
    for item in declared:
        item.undeclare()


def test_server_is_ready_when_token_and_queryable_are_there(client):
    intruder = Intruder("/go", Trigger._type_hash)
    declared = intruder.listen(), intruder.show()
    assert client.wait_for_service(timeout_sec=20.0)
    declared[0].undeclare()
    assert not client.wait_for_service(timeout_sec=0.05)
    declared[1].undeclare()


def test_service_of_another_name_does_not_count(ros):
    node = ros.node("server")
    node.create_service(AddTwoInts, "go_on", lambda request, response: response)
    assert not node.create_client(AddTwoInts, "go").wait_for_service(timeout_sec=0.05)
