"""Managed nodes: transitions by service, what callbacks return, and managed publishers."""

from __future__ import annotations

import queue

import pytest
from lifecycle_msgs.msg import State, Transition, TransitionEvent
from lifecycle_msgs.srv import (
    ChangeState,
    GetAvailableStates,
    GetAvailableTransitions,
    GetState,
)
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from std_msgs.msg import String

DEADLINE_SEC = 20.0
SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR


class Device(LifecycleNode):
    """Notes its callbacks and returns (or raises) what it is told to."""

    def __init__(self, name):
        self.outcomes = {}
        self.calls = []
        super().__init__(name)

    def _note(self, name, state):
        self.calls.append((name, state.label))
        outcome = self.outcomes.get(name, SUCCESS)
        if isinstance(outcome, type):
            raise outcome(name)
        return outcome

    def on_configure(self, state):
        self.publisher = self.create_lifecycle_publisher(String, "out", 10)
        return self._note("configure", state)

    def on_activate(self, state):
        super().on_activate(state)
        return self._note("activate", state)

    def on_deactivate(self, state):
        super().on_deactivate(state)
        return self._note("deactivate", state)

    def on_cleanup(self, state):
        self.destroy_lifecycle_publisher(self.publisher)
        return self._note("cleanup", state)

    def on_shutdown(self, state):
        return self._note("shutdown", state)

    def on_error(self, state):
        return self._note("error", state)


class Managed:
    """A device and its manager."""

    def __init__(self, ros):
        self.ros = ros
        self.device = ros.node("device", Device)
        self.manager = ros.node("manager")
        ros.spin(self.device)
        ros.spin(self.manager)

    def change(self, transition=0, label=""):
        request = ChangeState.Request(transition=Transition(id=transition, label=label))
        return self.ros.call(self.manager, ChangeState, "device/change_state", request).success

    def events(self):
        """Return a queue of the transitions from now on."""
        events = queue.Queue()
        topic = "device/transition_event"
        self.manager.create_subscription(TransitionEvent, topic, events.put, 10)
        self.ros.until(self.manager, lambda: self.manager.count_publishers(topic) == 1)
        self.ros.until(self.manager, lambda: self.device.count_subscribers(topic) == 1)
        return events

    def state(self):
        response = self.ros.call(self.manager, GetState, "device/get_state", GetState.Request())
        return response.current_state.label


@pytest.fixture
def managed(ros):
    managed = Managed(ros)
    yield managed
    # A real rclpy's transition event is in the graph as long as its node is referred to.
    del managed.device


def test_node_goes_up_and_down_by_service(managed):
    assert managed.state() == "unconfigured"
    for transition, state in (
        (Transition.TRANSITION_CONFIGURE, "inactive"),
        (Transition.TRANSITION_ACTIVATE, "active"),
        (Transition.TRANSITION_DEACTIVATE, "inactive"),
        (Transition.TRANSITION_CLEANUP, "unconfigured"),
        (Transition.TRANSITION_UNCONFIGURED_SHUTDOWN, "finalized"),
    ):
        assert managed.change(transition)
        assert managed.state() == state
    assert managed.device.calls == [
        ("configure", "unconfigured"),
        ("activate", "inactive"),
        ("deactivate", "active"),
        ("cleanup", "inactive"),
        ("shutdown", "unconfigured"),
    ]


def test_label_that_the_state_does_not_have_changes_nothing(managed):
    assert not managed.change(label="activate")
    assert managed.state() == "unconfigured"
    assert managed.device.calls == []


def test_label_comes_before_the_number(managed):
    assert managed.change(Transition.TRANSITION_ACTIVATE, label="configure")
    assert managed.state() == "inactive"


@pytest.mark.parametrize(
    ("outcome", "handling", "state"),
    [
        (FAILURE, SUCCESS, "unconfigured"),
        (ERROR, SUCCESS, "unconfigured"),
        (ERROR, FAILURE, "finalized"),
        (ValueError, SUCCESS, "unconfigured"),
        (ValueError, ValueError, "finalized"),
    ],
)
def test_configuration_that_fails_leads_to(managed, outcome, handling, state):
    managed.device.outcomes = {"configure": outcome, "error": handling}
    assert not managed.change(Transition.TRANSITION_CONFIGURE)
    assert managed.state() == state
    handled = ("error", "unconfigured") in managed.device.calls
    assert handled is (outcome is not FAILURE)


UP_TO = {
    "configure": (),
    "activate": ("configure",),
    "cleanup": ("configure",),
    "deactivate": ("configure", "activate"),
    "shutdown": ("configure", "activate"),
}


@pytest.mark.parametrize("handling", [SUCCESS, FAILURE, ERROR])
@pytest.mark.parametrize("transition", list(UP_TO))
def test_error_of_any_transition_is_processed(managed, transition, handling):
    managed.device.outcomes = {transition: ValueError, "error": handling}
    for label in UP_TO[transition]:
        assert managed.change(label=label)
    before = managed.state()
    events = managed.events()
    assert not managed.change(label=transition)
    assert managed.device.calls[-1] == ("error", before)
    end = "unconfigured" if handling is SUCCESS else "finalized"
    assert managed.state() == end
    told = [events.get(timeout=DEADLINE_SEC) for _ in range(3)]
    assert [event.goal_state.label for event in told][1:] == ["errorprocessing", end]


@pytest.mark.parametrize("labels", [(), ("configure",), ("configure", "activate")])
def test_node_may_be_shut_down_from_every_state(managed, labels):
    for label in labels:
        assert managed.change(label=label)
    assert managed.change(label="shutdown")
    assert managed.state() == "finalized"
    assert managed.device.calls[-1][0] == "shutdown"
    for label in ("configure", "activate", "shutdown"):
        assert not managed.change(label=label)
    assert managed.state() == "finalized"


def test_deactivation_that_fails_leaves_the_node_active(managed):
    managed.device.outcomes = {"deactivate": FAILURE}
    for label in ("configure", "activate"):
        assert managed.change(label=label)
    assert not managed.change(label="deactivate")
    assert managed.state() == "active"


def test_activation_that_fails_leaves_the_node_inactive(managed):
    managed.device.outcomes = {"activate": FAILURE}
    managed.change(Transition.TRANSITION_CONFIGURE)
    assert not managed.change(Transition.TRANSITION_ACTIVATE)
    assert managed.state() == "inactive"


def test_managed_publisher_speaks_only_while_active(managed):
    received = queue.Queue()
    managed.manager.create_subscription(String, "out", lambda m: received.put(m.data), 10)
    managed.change(Transition.TRANSITION_CONFIGURE)
    managed.device.publisher.publish(String(data="inactive"))
    managed.change(Transition.TRANSITION_ACTIVATE)
    managed.device.publisher.publish(String(data="active"))
    assert received.get(timeout=DEADLINE_SEC) == "active"
    managed.change(Transition.TRANSITION_DEACTIVATE)
    managed.device.publisher.publish(String(data="inactive again"))
    managed.change(Transition.TRANSITION_ACTIVATE)
    managed.device.publisher.publish(String(data="active again"))
    assert received.get(timeout=DEADLINE_SEC) == "active again"


def test_transitions_are_announced(managed):
    events = managed.events()
    managed.change(Transition.TRANSITION_CONFIGURE)
    first, second = (events.get(timeout=DEADLINE_SEC) for _ in range(2))
    # rcl tells of the states, not of the transition.
    assert (first.transition.id, first.transition.label) == (0, "")
    assert (first.start_state.label, first.goal_state.label) == ("unconfigured", "configuring")
    assert second.goal_state.id == State.PRIMARY_STATE_INACTIVE


def test_available_states_and_transitions(managed):
    call, manager = managed.ros.call, managed.manager
    states = call(
        manager, GetAvailableStates, "device/get_available_states", GetAvailableStates.Request()
    )
    assert {state.label for state in states.available_states} >= {
        "unconfigured",
        "inactive",
        "active",
        "finalized",
        "errorprocessing",
    }
    request = GetAvailableTransitions.Request()
    now = call(manager, GetAvailableTransitions, "device/get_available_transitions", request)
    assert {t.transition.label for t in now.available_transitions} == {"configure", "shutdown"}
    graph = call(manager, GetAvailableTransitions, "device/get_transition_graph", request)
    assert len(graph.available_transitions) == 25


def test_node_may_change_itself(managed):
    assert managed.device.trigger_configure() is SUCCESS
    assert managed.device.trigger_activate() is SUCCESS
    assert managed.state() == "active"
    with pytest.raises(Exception, match="Failed to trigger lifecycle state machine transition"):
        managed.device.trigger_configure()
