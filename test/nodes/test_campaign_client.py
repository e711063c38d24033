"""The client of a campaign finds it again: when the lab manager began anew, or it was deaf."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from typing import Any

import pytest

from matlab_ros import cli
from matlab_ros.model.campaign_config import load_campaign
from matlab_ros.model.errors import LabError
from matlab_ros.nodes import hook

hook.install()

import rclpy  # noqa: E402
from rclpy.action import ActionServer  # noqa: E402
from rclpy.callback_groups import ReentrantCallbackGroup  # noqa: E402
from rclpy.clock import Clock, ClockType  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402

from matlab_ros.nodes import virtual_campaign  # noqa: E402
from matlab_ros.nodes.device_node import LATCHED  # noqa: E402
from matlab_ros.nodes.launching import free_port  # noqa: E402
from matlab_ros.nodes.virtual_campaign import CampaignClient, prepare  # noqa: E402
from matlab_ros.share import config_file  # noqa: E402
from matlab_ros_interfaces.action import RunCampaign  # noqa: E402
from matlab_ros_interfaces.msg import ExperimentState, LabState  # noqa: E402

DEADLINE_S = 20.0


class StandIn:
    """Offers a lab manager's action, and says every 0.1 s that it is there.

    Attributes:
        goals: how often a campaign was asked for.
        asked: set by each goal; cleared by the test.
        may_end: whether campaigns end.
        is_silent: whether it says nothing, as one that cannot be reached.
        says: fields of what it says.

    Args:
        sequence: how often it has said something before.
        apart: whether it has a way of its own to the graph, as another process would.
    """

    def __init__(self, sequence: int = 0, *, apart: bool = False) -> None:
        context = Context() if apart else rclpy.get_default_context()
        if apart:
            context.init()
        self._context = context if apart else None
        self.goals = 0
        self.asked = threading.Event()
        self.may_end = threading.Event()
        self.is_gone = threading.Event()
        self.is_silent = threading.Event()
        self.says: dict[str, Any] = {}
        self._sequence = sequence
        self._node = Node("lab_manager", context=context)
        self._states = self._node.create_publisher(LabState, "lab_state", LATCHED)
        self._server = ActionServer(
            self._node,
            RunCampaign,
            "run_campaign",
            self._run,
            callback_group=ReentrantCallbackGroup(),
        )
        self._node.create_timer(0.1, self._say, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._executor = MultiThreadedExecutor(num_threads=6, context=context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def _say(self) -> None:
        if self.is_silent.is_set():
            return
        self._sequence += 1
        self._states.publish(LabState(sequence=self._sequence, **self.says))

    def _run(self, handle: Any) -> Any:
        self.goals += 1
        self.asked.set()
        while not self.may_end.wait(0.05):
            if self.is_gone.is_set():
                break
        if self.is_gone.is_set():
            return RunCampaign.Result()
        handle.succeed()
        return RunCampaign.Result(experiments_succeeded=7)

    def wait_for_goal(self) -> None:
        assert self.asked.wait(DEADLINE_S), "nobody asked for the campaign"
        self.asked.clear()

    def go(self) -> None:
        """Leave the graph without a word about the goals."""
        self.is_gone.set()
        self._node.destroy_node()
        self._executor.shutdown(timeout_sec=2.0)
        if self._context is not None:
            self._context.try_shutdown()


@pytest.fixture
def campaign(graph: None) -> Iterator[Callable[[], Any]]:
    """Runs a campaign in a thread; what it gives is waited for."""
    file = config_file("campaigns", "demo")
    plan, _ = prepare(load_campaign(file), file, config_file("labs", "virtual_lab"))
    with CampaignClient() as client, ThreadPoolExecutor(1) as pool:
        is_over = threading.Event()

        def check() -> None:
            if is_over.is_set():
                raise LabError("The test is over.")

        def begin() -> Any:
            return pool.submit(client.run, plan, lambda *_: None, check)

        yield begin
        is_over.set()


@pytest.fixture
def stand_in(campaign: Any) -> Iterator[Callable[[], StandIn]]:
    """Makes lab managers; ends them and their goals."""
    made: list[StandIn] = []

    def make(sequence: int = 0, *, apart: bool = False) -> StandIn:
        made.append(StandIn(sequence, apart=apart))
        return made[-1]

    yield make
    for item in made:
        item.may_end.set()
        if not item.is_gone.is_set():
            item.go()


def test_a_lab_manager_that_began_anew_is_asked_again(campaign, stand_in, monkeypatch):
    # Its goal may go to the one that died.
    monkeypatch.setattr(virtual_campaign, "ACCEPT_S", 2.0)
    # It has said much before, as one that brought its devices up has.
    first = stand_in(1000)
    ended = campaign()
    first.wait_for_goal()
    first.go()
    second = stand_in()
    second.wait_for_goal()
    assert not ended.done()
    second.may_end.set()
    assert ended.result(DEADLINE_S).experiments_succeeded == 7
    assert first.goals == 1


def test_a_client_that_hears_nothing_joins_anew_and_asks_again(campaign, stand_in, monkeypatch):
    monkeypatch.setattr(virtual_campaign, "DEAF_S", 1.0)
    manager = stand_in()
    ended = campaign()
    manager.wait_for_goal()
    manager.is_silent.set()
    manager.wait_for_goal()
    manager.is_silent.clear()
    manager.may_end.set()
    assert ended.result(DEADLINE_S).experiments_succeeded == 7
    assert manager.goals > 1


def test_the_lab_stays_until_what_ran_beside_the_campaign_has_ended(campaign, stand_in):
    manager = stand_in()
    manager.says = {"experiments": [ExperimentState(experiment_id="aside", campaign="aside")]}
    ended = campaign()
    manager.wait_for_goal()
    manager.may_end.set()
    with pytest.raises(TimeoutError):
        ended.result(2.0)
    manager.says = {}
    assert ended.result(DEADLINE_S).experiments_succeeded == 7


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A router of the test's own that can be closed and come back; where there is ROS 2, none."""
    if os.environ.get("AMENT_PREFIX_PATH"):
        pytest.skip("a ROS 2 install finds its nodes without a router of ours")
    import zenoh

    from pocket_ros.session import router_config

    endpoint = f"tcp/127.0.0.1:{free_port()}"

    class Router:
        session: Any = None

        def open(self) -> None:
            config = router_config({})
            config.insert_json5("listen/endpoints", json.dumps([endpoint]))
            self.session = zenoh.open(config)

        def close(self) -> None:
            if self.session is not None:
                self.session.close()
            self.session = None

    found = Router()
    found.open()
    # Clients have no links among themselves: everything passes the router.
    everything = f'mode="client";connect/endpoints=["{endpoint}"]'
    monkeypatch.setenv("ZENOH_CONFIG_OVERRIDE", everything)
    yield found
    found.close()


def test_a_campaign_goes_on_when_a_router_that_was_gone_comes_back(
    router, campaign, stand_in, monkeypatch
):
    monkeypatch.setattr(virtual_campaign, "DEAF_S", 1.0)
    joined = threading.Event()
    join_anew = CampaignClient._join_anew
    monkeypatch.setattr(
        CampaignClient, "_join_anew", lambda self: (join_anew(self), joined.set())[0]
    )
    manager = stand_in(apart=True)
    ended = campaign()
    manager.wait_for_goal()
    router.close()
    assert joined.wait(DEADLINE_S), "the client did not notice"
    assert not ended.done()
    manager.may_end.set()
    router.open()
    assert ended.result(3 * DEADLINE_S).experiments_succeeded == 7


def test_a_router_that_stays_away_ends_the_campaign_s_client_with_a_sentence(
    router, campaign, stand_in, monkeypatch, capsys
):
    monkeypatch.setattr(virtual_campaign, "DEAF_S", 1.0)
    monkeypatch.setattr(virtual_campaign, "START_PATIENCE_S", 3.0)
    manager = stand_in(apart=True)
    ended = campaign()
    manager.wait_for_goal()
    router.close()
    with pytest.raises(LabError, match=r"not heard for \d+ s.*router.*same command goes on"):
        ended.result(3 * DEADLINE_S)

    def run(_self: Any) -> int:
        ended.result(0)
        raise AssertionError("it ended well")

    monkeypatch.setattr(virtual_campaign.VirtualCampaign, "run", run)
    demo = str(config_file("campaigns", "demo"))
    assert cli.main(["campaign", demo]) == cli.FAILED
    assert "the router of its graph" in capsys.readouterr().err


@pytest.mark.parametrize(
    "says", [{"paused_names": ["lab"]}, {"estopped": True}, {"questions": 1}], ids=str
)
def test_a_lab_that_waits_for_a_person_does_not_stand_still(campaign, stand_in, monkeypatch, says):
    monkeypatch.setattr(virtual_campaign, "STANDSTILL_S", 1.0)
    manager = stand_in()
    manager.says = says
    ended = campaign()
    manager.wait_for_goal()
    with pytest.raises(TimeoutError):
        ended.result(3.0)
    # Nothing waits for a person any more, and still nothing happens.
    manager.says = {}
    with pytest.raises(LabError, match="nothing has changed"):
        ended.result(DEADLINE_S)
