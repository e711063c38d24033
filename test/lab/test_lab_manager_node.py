"""The lab manager on a ROS graph: devices are quick nodes of the real base class."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from matlab_ros.lab.validate import check_campaign
from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.model.lab_config import DeviceKind, load_lab
from matlab_ros.model.lab_words import ObservationKind, PositionState
from matlab_ros.model.recipe import load_recipe
from matlab_ros.nodes import hook

hook.install()

import rclpy  # noqa: E402
from action_msgs.msg import GoalStatus  # noqa: E402
from rclpy.action import ActionClient  # noqa: E402
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402

from matlab_ros.nodes import lab_manager_planner  # noqa: E402
from matlab_ros.nodes.conversions import (  # noqa: E402
    campaign_from_message,
    campaign_to_message,
    mixtures_from_message,
    settings_to,
)
from matlab_ros.nodes.device_node import LATCHED, DeviceNode  # noqa: E402
from matlab_ros.nodes.lab_manager import LabManagerNode  # noqa: E402
from matlab_ros.nodes.lab_manager_alerts import ALERTS  # noqa: E402
from matlab_ros_interfaces import action, msg, srv  # noqa: E402

DEADLINE_S = 60.0
REPOSITORY = Path(__file__).resolve().parents[2]
LAB_FILE = REPOSITORY / "config/labs/virtual_lab.yaml"


@pytest.fixture(scope="module")
def wire() -> Iterator[None]:
    """A router of our own."""
    if os.environ.get("AMENT_PREFIX_PATH"):
        yield
        return
    import zenoh

    from pocket_ros.session import router_config

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = router_config()
    config.insert_json5("listen/endpoints", json.dumps([f"tcp/127.0.0.1:{port}"]))
    patch = pytest.MonkeyPatch()
    with zenoh.open(config):
        patch.setenv("ZENOH_CONFIG_OVERRIDE", f'connect/endpoints=["tcp/127.0.0.1:{port}"]')
        patch.setenv("ROS_DOMAIN_ID", "88")
        yield
    patch.undo()


class QuickDevice(DeviceNode):
    """A device that is done at once, and keeps count of what it did.

    Attributes:
        done: attempts that it began.
        fails: by the beginnings of attempts' ids, with what code it fails them.
    """

    done: list[str]
    fails: dict[str, FaultCode]

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.done = []
        self.fails = {}
        self.gate = threading.Event()
        self.gate.set()
        kinds = {
            DeviceKind.DISPENSER: ((action.Dispense, "~/dispense", self._dispense),),
            DeviceKind.ARM: ((action.TransferSample, "transfer_sample", self._transfer),),
            DeviceKind.FURNACE: ((action.Heat, "~/heat", self._heat),),
            DeviceKind.CHARACTERISATION: (
                (action.MeasureXrd, "~/measure_xrd", self._measure),
                (action.AnalysePattern, "~/analyse_pattern", self._analyse),
            ),
        }
        for kind, where, run in kinds[self.device.kind]:
            self.offer(kind, where, run, self._samples)

    @staticmethod
    def _samples(goal):
        if hasattr(goal, "sample_ids"):
            return list(zip(goal.sample_ids, goal.positions, strict=True))
        return [(goal.sample_id, getattr(goal, "position", ""))]

    def _begin(self, attempt) -> None:
        assert self.gate.wait(DEADLINE_S)
        self.done.append(attempt.attempt_id)
        for beginning, code in self.fails.items():
            if attempt.attempt_id.startswith(beginning):
                raise DeviceError(Fault.of(code, "It failed."))

    def _dispense(self, attempt, goal, result):
        self._begin(attempt)
        result.doses = [
            msg.DoseReading(
                substance=dose.substance,
                requested_mg=dose.mass_mg,
                measured_mg=dose.mass_mg + 0.1,
                uncertainty_mg=0.05,
                within_tolerance=True,
            )
            for dose in goal.doses
        ]

    def _transfer(self, attempt, goal, result):
        self._begin(attempt)
        attempt.touched(goal.sample_id, msg.SampleOutcome.DONE, goal.target)
        result.final_position = goal.target

    def _heat(self, attempt, goal, result):
        self._begin(attempt)
        result.max_measured_c = goal.profile[0].target_c + 1.0
        result.dwell_min = goal.profile[0].dwell_min

    def _measure(self, attempt, goal, result):
        self._begin(attempt)
        result.pattern = msg.RawFile(uri=f"file:///{goal.sample_id}", sha256="0" * 64)

    def _analyse(self, attempt, goal, result):
        self._begin(attempt)
        result.target_fraction = 0.5
        result.target_sigma = 0.05
        result.verdict = action.AnalysePattern.Result.CONFIRMED


class QuickPlanner(Node):
    """Draws settings from the experiment's id."""

    def __init__(self) -> None:
        super().__init__("planner")
        self.reported: dict[str, object] = {}
        self.create_service(srv.SuggestExperiments, "suggest_experiments", self._suggest)
        self.create_service(srv.ReportObservation, "report_observation", self._report)

    def _suggest(self, request, response):
        for name in request.experiment_ids:
            chance = random.Random(name)
            values = {
                "precursors": chance.choice(["a", "b"]),
                "temperature_c": chance.choice([900.0, 1000.0]),
                "dwell_h": 4.0,
            }
            response.suggestions.append(
                msg.Suggestion(experiment_id=name, settings=settings_to(values), method="drawn")
            )
        return response

    def _report(self, request, response):
        self.reported[request.observation.experiment_id] = request.observation
        response.observations = len(self.reported)
        return response


class Graph:
    """Nodes that spin, and a client of the lab manager."""

    def __init__(
        self, tmp_path: Path, recipes: Path = REPOSITORY / "config/recipes", *more: str
    ) -> None:
        self.lab = load_lab(LAB_FILE)
        self.journal_url = f"sqlite:///{tmp_path}/journal.sqlite"
        rclpy.init(
            args=[
                "--ros-args",
                "-p",
                f"lab_file:={LAB_FILE}",
                "-p",
                f"state_dir:={tmp_path}/devices",
                "-p",
                f"recipes_dir:={recipes}",
                "-p",
                f"structures_dir:={tmp_path}/structures",
                "-p",
                f"journal_url:={self.journal_url}",
                "-p",
                "bring_up_timeout_s:=6.0",
                *(word for parameter in more for word in ("-p", parameter)),
            ]
        )
        structures = tmp_path / "structures"
        structures.mkdir()
        names = {item.structure for item in self.lab.stock} | {"MgTiO3"}
        for name in names - {None}:
            (structures / f"{name}.cif").touch()
        self.phases = frozenset(names - {None})
        self.executor = MultiThreadedExecutor(num_threads=16)
        self.nodes: list[Node] = []
        self.states: queue.Queue[object] = queue.Queue()
        self.events: list[object] = []
        self.client_node = self.add(Node("client"))
        self.client_node.create_subscription(msg.LabState, "lab_state", self.states.put, LATCHED)
        self.client_node.create_subscription(msg.LabEvent, "lab_events", self.events.append, 1000)
        self.client = ActionClient(self.client_node, action.RunCampaign, "run_campaign")
        self.thread = threading.Thread(target=self._spin, daemon=True)
        self.thread.start()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self.executor.spin()

    def add(self, node):
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def remove(self, node) -> None:
        self.executor.remove_node(node)
        self.nodes.remove(node)
        node.destroy_node()

    def add_devices(self, *, without: str = "") -> dict[str, QuickDevice]:
        return {
            device.name: self.add(QuickDevice(device.name))
            for device in self.lab.devices
            if device.name != without
        }

    def result(self, future):
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(DEADLINE_S), "no answer in time"
        return future.result()

    def start(self, plan):
        assert self.client.wait_for_server(DEADLINE_S)
        goal = action.RunCampaign.Goal(campaign=campaign_to_message(plan))
        handle = self.result(self.client.send_goal_async(goal))
        assert handle.accepted
        return handle

    def end(self, handle):
        return self.result(handle.get_result_async())

    def call(self, kind, name, **fields):
        client = self.client_node.create_client(kind, name)
        assert client.wait_for_service(DEADLINE_S)
        return self.result(client.call_async(kind.Request(**fields)))

    def wait_for(self, condition) -> None:
        until = time.monotonic() + DEADLINE_S
        while True:
            state = self.states.get(timeout=max(0.01, until - time.monotonic()))
            if condition(state):
                return

    def close(self) -> None:
        rclpy.try_shutdown()
        self.executor.shutdown()
        self.thread.join(DEADLINE_S)
        for node in self.nodes:
            node.destroy_node()


@pytest.fixture
def graph(wire, tmp_path) -> Iterator[Graph]:
    """A ROS graph for one test."""
    graph = Graph(tmp_path)
    yield graph
    graph.close()


@pytest.fixture
def plan(graph, make_campaign):
    """A small campaign."""
    recipe = load_recipe(REPOSITORY / "config/recipes/solid_state.yaml")
    return check_campaign(make_campaign(), graph.lab, recipe, graph.phases, "test.yaml")


def test_a_campaign_survives_the_way_through_its_message(wire, make_plan):
    plan = make_plan()
    message = campaign_to_message(plan)
    assert campaign_from_message(message, plan.config.lab) == plan.config
    assert mixtures_from_message(message) == plan.mixtures


def test_a_campaign_runs_over_the_graph_and_every_event_is_numbered(graph, plan):
    devices = graph.add_devices()
    planner = graph.add(QuickPlanner())
    graph.add(LabManagerNode())
    answer = graph.end(graph.start(plan))
    assert answer.result.error_message == ""
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert answer.result.experiments_succeeded == 6
    assert answer.result.best_objective == 0.5
    assert sorted(planner.reported) == [f"trial-e{number:04d}" for number in range(1, 7)]
    measured = planner.reported["trial-e0001"]
    assert measured.status == ObservationKind.MEASURED
    temperature = {item.name: item.value for item in measured.settings}["temperature_c"]
    assert temperature in (901.0, 1001.0)
    assert len(devices["dispenser"].done) == 6
    graph.wait_for(lambda state: state.quiescent and not state.campaign)
    numbers = [event.sequence for event in graph.events]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_missing_device_is_named_and_nothing_is_started(graph, plan):
    graph.add_devices(without="furnace_2")
    graph.add(QuickPlanner())
    graph.add(LabManagerNode())
    answer = graph.end(graph.start(plan))
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.error_code == action.RunCampaign.Result.DEVICE_MISSING
    assert "furnace_2" in answer.result.error_message
    assert not graph.events


def test_a_restarted_lab_manager_goes_on_and_repeats_nothing(graph, plan):
    devices = graph.add_devices()
    graph.add(QuickPlanner())
    first = graph.add(LabManagerNode())
    devices["furnace_1"].gate.clear()
    devices["furnace_2"].gate.clear()
    graph.start(plan)
    graph.wait_for(lambda state: "furnace_1" in state.attempt_devices)
    graph.remove(first)
    devices["furnace_1"].gate.set()
    devices["furnace_2"].gate.set()
    graph.add(LabManagerNode())
    answer = graph.end(graph.start(plan))
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert answer.result.experiments_succeeded == 6
    for device in devices.values():
        assert len(device.done) == len(set(device.done))
    assert len(devices["dispenser"].done) == 6


def test_an_attempt_that_its_device_does_not_list_is_sent_again_and_done_once(
    graph, plan, monkeypatch
):
    devices = graph.add_devices()
    graph.add(QuickPlanner())
    dispenser = devices["dispenser"]
    sent = []
    execute, publish = dispenser._execute, dispenser._publish_state

    def hear(handle, *rest):
        sent.append(handle.request.attempt_id)
        return execute(handle, *rest)

    def hide():
        under_way, dispenser._under_way = dispenser._under_way, {}
        publish()
        dispenser._under_way = under_way

    monkeypatch.setattr(dispenser, "_execute", hear)
    graph.add(LabManagerNode())
    dispenser.gate.clear()
    handle = graph.start(plan)
    graph.wait_for(lambda state: "dispenser" in state.attempt_devices)
    with dispenser._device_lock:
        monkeypatch.setattr(dispenser, "_publish_state", hide)
    graph.wait_for(lambda state: len(sent) > 1)
    assert sent[0] == sent[1]
    with dispenser._device_lock:
        monkeypatch.setattr(dispenser, "_publish_state", publish)
    dispenser.gate.set()
    answer = graph.end(handle)
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert len(dispenser.done) == len(set(dispenser.done)) == 6


MISTAKE = """
import sys
from matlab_ros.nodes import hook
hook.install()
from matlab_ros.lab.engine import Engine
from matlab_ros.nodes.lab_manager import main

def wrong(self):
    raise ZeroDivisionError("a mistake")

Engine.next_wakeup = wrong
sys.exit(main())
"""


def test_a_mistake_in_the_engine_ends_the_process_instead_of_leaving_a_silent_lab(wire, tmp_path):
    parameters = {
        "lab_file": LAB_FILE,
        "recipes_dir": REPOSITORY / "config/recipes",
        "structures_dir": REPOSITORY / "config/structures",
        "journal_url": f"sqlite:///{tmp_path / 'journal.sqlite'}",
    }
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    ended = subprocess.run(
        [sys.executable, "-c", MISTAKE, "--ros-args", *words],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert ended.returncode == 1, ended.stderr
    assert "unexpected ZeroDivisionError: a mistake" in ended.stdout + ended.stderr


def test_a_campaign_can_be_cancelled_and_samples_found(graph, plan):
    devices = graph.add_devices()
    graph.add(QuickPlanner())
    graph.add(LabManagerNode())
    devices["characterisation"].gate.clear()
    handle = graph.start(plan)
    graph.wait_for(lambda state: "characterisation" in state.attempt_devices)
    snapshot = graph.call(srv.GetSnapshot, "get_snapshot")
    assert len(snapshot.samples) >= 1
    found = graph.call(srv.LocateSample, "locate_sample", sample_id=snapshot.samples[0].sample_id)
    assert found.found
    paused = graph.call(srv.Pause, "pause", scope=srv.Pause.Request.EXPERIMENT, id="nobody")
    assert not paused.success
    assert "nobody" in paused.message
    graph.result(handle.cancel_goal_async())
    devices["characterisation"].gate.set()
    answer = graph.end(handle)
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert answer.result.error_code == action.RunCampaign.Result.CANCELED


@pytest.fixture
def asking(wire, tmp_path) -> Iterator[Graph]:
    """A lab in which a measurement that fails is asked about, and a firing is given up."""
    data = yaml.safe_load((REPOSITORY / "config/recipes/solid_state.yaml").read_text())
    for step in data["steps"]:
        if step["id"] == "measure":
            step["on_failure"] = {"retry": 0, "then": ["ask"], "ask_deadline_min": 600}
        elif step["id"] == "heat":
            step["on_failure"] = {"retry": 0, "then": "abort_experiment"}
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    (recipes / "solid_state.yaml").write_text(yaml.safe_dump(data))
    graph = Graph(tmp_path, recipes, "never_ask:=false")
    graph.recipe = load_recipe(recipes / "solid_state.yaml")
    yield graph
    graph.close()


@pytest.fixture
def shell(tmp_path) -> Callable[[str], str]:
    """Runs a line as a person pastes it into a shell; what it printed."""
    program = tmp_path / "bin/matlab-ros"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m matlab_ros.cli "$@"\n')
    program.chmod(0o755)

    def run(line: str) -> str:
        found = subprocess.run(
            ["sh", "-c", line],
            cwd=REPOSITORY,
            env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "COLUMNS": "90"},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        assert found.returncode == 0, found.stdout + found.stderr
        return found.stdout

    return run


def test_what_status_proposes_can_be_pasted_and_works(asking, make_campaign, shell):
    graph = asking
    devices = graph.add_devices()
    devices["characterisation"].fails = {"trial-e0001/measure": FaultCode.MEASURE_DEVICE_FAILED}
    for name in ("furnace_1", "furnace_2"):
        devices[name].fails = {"trial-e0002/heat": FaultCode.HEAT_CONTACT_LOST}
    graph.add(QuickPlanner())
    manager = graph.add(LabManagerNode())
    config = make_campaign(
        budget={"experiments": 2, "max_in_flight": 2},
        planner={"method": "random", "initial_experiments": 1, "batch_size": 1},
    )
    plan = check_campaign(config, graph.lab, graph.recipe, graph.phases, "test.yaml")
    handle = graph.start(plan)
    blocked = []

    def is_asking(state):
        places = graph.call(srv.GetSnapshot, "get_snapshot").positions
        blocked[:] = [item for item in places if item.state == msg.PositionState.BLOCKED]
        return state.questions == 1 and bool(blocked)

    graph.wait_for(is_asking)
    (place,) = blocked
    assert graph.call(srv.Pause, "pause", scope=srv.Pause.Request.LAB).success

    said = shell("matlab-ros lab status --wait 60").splitlines()
    lines = [line for line in said if line.startswith("matlab-ros lab ")]
    assert [line.split()[2] for line in lines] == [
        "clear",
        *["resolve"] * 4,
        "resume",
    ], "assume-done is none of them: nobody can assume a measurement"
    assert place.position in lines[0]
    assert f"once {place.container_id} is back in" in lines[0]
    shell(lines[0])
    state = manager.engine.state
    container = state.containers[place.container_id]
    assert container.position == container.home
    assert state.position_state(place.position) is PositionState.EMPTY
    shell(next(line for line in lines if " abort-experiment " in line))
    shell(lines[-1])
    assert graph.end(handle).result.error_message == ""
    assert not state.is_paused()


NAMES = ("planner_missing", "planner_back")
SETTINGS = {"precursors": "a", "temperature_c": 900.0, "dwell_h": 4.0}


def run_experiment(graph, plan, name="", told=None):
    client = ActionClient(graph.client_node, action.RunExperiment, "run_experiment")
    assert client.wait_for_server(DEADLINE_S)
    goal = action.RunExperiment.Goal(
        experiment_id=name,
        campaign=campaign_to_message(plan),
        settings=settings_to(SETTINGS),
        operator_name="anna",
    )
    handle = graph.result(
        client.send_goal_async(goal, feedback_callback=None if told is None else told.append)
    )
    assert handle.accepted
    return handle


def test_one_experiment_runs_without_a_planner_and_once_for_each_id(graph, plan):
    devices = graph.add_devices()
    graph.add(LabManagerNode())
    told = []
    answer = graph.end(run_experiment(graph, plan, "firing-1", told))
    assert answer.result.error_message == ""
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert answer.result.observation.experiment_id == "firing-1"
    assert answer.result.observation.objective == 0.5
    assert [dose.measured_mg - dose.requested_mg > 0 for dose in answer.result.doses] == [True] * 2
    assert told
    before = len(devices["furnace_1"].done) + len(devices["furnace_2"].done)
    again = graph.end(run_experiment(graph, plan, "firing-1"))
    assert again.status == GoalStatus.STATUS_SUCCEEDED
    assert again.result.observation.stamp == answer.result.observation.stamp
    assert again.result.observation.objective == answer.result.observation.objective
    assert len(devices["furnace_1"].done) + len(devices["furnace_2"].done) == before == 1
    unnamed = graph.end(run_experiment(graph, plan))
    assert unnamed.status == GoalStatus.STATUS_SUCCEEDED
    assert unnamed.result.observation.experiment_id == "trial-x0001-e0001"


def test_an_experiment_runs_inside_a_campaign_and_its_cancel_ends_it_alone(graph, plan):
    devices = graph.add_devices()
    planner = graph.add(QuickPlanner())
    graph.add(LabManagerNode())
    devices["characterisation"].gate.clear()
    campaign = graph.start(plan)
    graph.wait_for(lambda state: "characterisation" in state.attempt_devices)
    handle = run_experiment(graph, plan, "extra")
    graph.wait_for(lambda state: "extra" in [item.experiment_id for item in state.experiments])
    graph.result(handle.cancel_goal_async())
    devices["characterisation"].gate.set()
    answer = graph.end(handle)
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert answer.result.error_code == action.RunExperiment.Result.CANCELED
    ended = graph.end(campaign)
    assert ended.status == GoalStatus.STATUS_SUCCEEDED
    assert "extra" in planner.reported


def test_another_recipe_runs_beside_a_campaign_and_the_planner_hears_nothing_of_it(graph, plan):
    devices = graph.add_devices()
    planner = graph.add(QuickPlanner())
    graph.add(LabManagerNode())
    devices["characterisation"].gate.clear()
    campaign = graph.start(plan)
    graph.wait_for(lambda state: "characterisation" in state.attempt_devices)
    config = plan.config.model_copy(update={"name": "aside", "recipe": "screening"})
    recipe = load_recipe(REPOSITORY / "config/recipes/screening.yaml")
    handle = run_experiment(graph, replace(plan, config=config, recipe=recipe), "firing-1")
    graph.wait_for(lambda state: "firing-1" in [item.experiment_id for item in state.experiments])
    devices["characterisation"].gate.set()
    answer = graph.end(handle)
    assert answer.result.error_message == ""
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert answer.result.observation.objective == 0.5
    snapshot = graph.call(srv.GetSnapshot, "get_snapshot")
    found = {item.experiment_id: item.campaign for item in snapshot.experiments}
    assert found.pop("firing-1") == "firing-1"
    assert set(found.values()) == {"trial"}
    ended = graph.end(campaign)
    assert ended.status == GoalStatus.STATUS_SUCCEEDED
    assert ended.result.experiments_succeeded == plan.config.budget.experiments
    assert "firing-1" not in planner.reported
    done = [name for device in devices.values() for name in device.done]
    assert "firing-1/guess/1" in done
    nobody_s = replace(plan, recipe=recipe.model_copy(update={"name": "nobody"}))
    refused = graph.end(run_experiment(graph, nobody_s, "firing-2"))
    assert refused.result.error_code == action.RunExperiment.Result.RECIPE_UNKNOWN


def test_a_planner_that_is_missing_is_told_once_and_its_return_too(graph, plan, monkeypatch):
    monkeypatch.setattr(lab_manager_planner, "_ALERT_S", 0.5)
    monkeypatch.setattr(lab_manager_planner, "_GONE_S", 0.5)
    devices = graph.add_devices()
    planner = graph.add(QuickPlanner())
    graph.add(LabManagerNode())
    alerts: queue.Queue[object] = queue.Queue()
    graph.client_node.create_subscription(msg.Alert, "alerts", alerts.put, ALERTS)
    devices["characterisation"].gate.clear()
    handle = graph.start(plan)
    graph.wait_for(lambda state: "characterisation" in state.attempt_devices)
    graph.remove(planner)
    devices["characterisation"].gate.set()

    def next_alert():
        while (found := alerts.get(timeout=DEADLINE_S)).what not in NAMES:
            pass
        return found

    missing = next_alert()
    assert missing.what == "planner_missing"
    assert missing.level == msg.Alert.ERROR
    assert "planner and its process" in missing.to_do
    graph.add(QuickPlanner())
    back = next_alert()
    assert (back.what, back.level, back.to_do) == ("planner_back", msg.Alert.NOTICE, "")
    assert graph.end(handle).status == GoalStatus.STATUS_SUCCEEDED
    assert "planner_missing" not in [item.what for item in list(alerts.queue)]


def test_an_emergency_stop_outlives_the_lab_manager_and_is_released_by_hand_alone(graph, plan):
    devices = graph.add_devices()
    graph.add(QuickPlanner())
    first = graph.add(LabManagerNode())
    alerts = []
    graph.client_node.create_subscription(msg.Alert, "alerts", alerts.append, ALERTS)
    devices["characterisation"].gate.clear()
    graph.start(plan)
    graph.wait_for(lambda state: "characterisation" in state.attempt_devices)
    stop = {"operator_name": "anna", "reason": "smoke"}
    assert graph.call(srv.EmergencyStop, "emergency_stop", engage=True, **stop).success
    graph.wait_for(lambda state: state.estopped)
    graph.remove(first)
    devices["characterisation"].gate.set()
    graph.add(LabManagerNode())
    graph.wait_for(lambda state: state.estopped and state.sequence < 20)
    assert all(device._estopped for device in devices.values())
    graph.wait_for(lambda state: state.estopped and not any(d.busy for d in devices.values()))
    begun = sum(len(device.done) for device in devices.values())
    released = graph.call(srv.EmergencyStop, "emergency_stop", engage=False, operator_name="anna")
    assert released.success
    assert "paused" in released.message
    graph.wait_for(
        lambda state: (
            state.paused and not state.estopped and all(item.ready for item in state.devices)
        )
    )
    assert sum(len(device.done) for device in devices.values()) == begun
    handle = graph.start(plan)
    assert graph.call(srv.Resume, "resume", operator_name="anna").success
    assert graph.end(handle).status == GoalStatus.STATUS_SUCCEEDED
    assert msg.Alert.CRITICAL in [item.level for item in alerts if "emergency" in item.what]


def test_a_device_that_begins_anew_during_an_emergency_stop_is_stopped_too(graph, plan):
    devices = graph.add_devices()
    graph.add(QuickPlanner())
    graph.add(LabManagerNode())
    graph.wait_for(lambda state: state.devices and all(item.ready for item in state.devices))
    assert graph.call(srv.EmergencyStop, "emergency_stop", engage=True).success
    graph.remove(devices["arm"])
    arm = graph.add(QuickDevice("arm"))
    until = time.monotonic() + DEADLINE_S
    while not arm._estopped:
        graph.states.get(timeout=max(0.01, until - time.monotonic()))


def test_a_pause_says_what_it_does_not_stop(graph, plan):
    devices = graph.add_devices()
    graph.add(QuickPlanner())
    graph.add(LabManagerNode())
    for name in ("furnace_1", "furnace_2"):
        devices[name].gate.clear()
    handle = graph.start(plan)
    graph.wait_for(lambda state: "furnace_1" in state.attempt_devices)
    paused = graph.call(srv.Pause, "pause", scope=srv.Pause.Request.LAB, operator_name="anna")
    assert paused.success
    assert "a furnace run cannot be paused" in paused.message
    for name in ("furnace_1", "furnace_2"):
        devices[name].gate.set()
    graph.wait_for(lambda state: state.paused and not state.attempts_in_flight)
    assert graph.call(srv.Resume, "resume").success
    assert graph.end(handle).status == GoalStatus.STATUS_SUCCEEDED


def test_a_cancel_is_accepted_at_once_and_done_when_the_device_says_so(graph, plan):
    devices = graph.add_devices()
    graph.add(QuickPlanner())
    graph.add(LabManagerNode())
    devices["characterisation"].gate.clear()
    handle = graph.start(plan)
    graph.wait_for(lambda state: "characterisation" in state.attempt_devices)
    cancel = graph.call(srv.Cancel, "cancel", scope=srv.Cancel.Request.CAMPAIGN, id="trial")
    assert cancel.success
    assert "characterisation" in cancel.message
    graph.wait_for(lambda state: state.canceling)
    ended = handle.get_result_async()
    assert not ended.done()
    devices["characterisation"].gate.set()
    assert graph.result(ended).result.error_code == action.RunCampaign.Result.CANCELED


def test_corrections_are_followed_or_refused_with_a_sentence(graph, plan):
    graph.add_devices()
    graph.add(QuickPlanner())
    graph.add(LabManagerNode())
    assert graph.end(graph.start(plan)).status == GoalStatus.STATUS_SUCCEEDED
    looked = graph.call(srv.CorrectPosition, "correct_position", position="rack/1")
    assert not looked.success
    assert "crucible-01 is known to stand at rack/1" in looked.message
    looked = graph.call(
        srv.CorrectPosition, "correct_position", position="furnace_1/1", operator_name="anna"
    )
    assert looked.success
    restocked = graph.call(srv.Restock, "restock", operator_name="anna", remark="washed")
    assert len(restocked.restocked) == 6
    again = graph.call(srv.Restock, "restock")
    assert again.success
    assert not again.restocked
    unknown = graph.call(srv.Restock, "restock", container_ids=["beaker"])
    assert not unknown.success
    assert "beaker" in unknown.message
    named = [event.what for event in graph.events if event.what == "container_replaced"]
    assert len(named) == 6
