"""The planner's node answers while it thinks, and explains itself to whoever listens."""

from __future__ import annotations

import contextlib
import importlib
import math
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node

from matlab_ros.nodes.conversions import settings_to
from matlab_ros.nodes.device_node import LATCHED
from matlab_ros.nodes.planner import THREADS, PlannerNode
from matlab_ros_interfaces import msg, srv

DEADLINE_S = 60.0

GATED = '''
"""A planner that thinks until it is let go."""

import threading

from matlab_ros.planning.baselines import SobolProposer

began = threading.Semaphore(0)
gate = threading.Event()


class Gated:
    packages = ()

    def propose(self, request):
        began.release()
        while not (gate.wait(0.01) or request.deadline.is_over):
            pass
        return SobolProposer().propose(request)


def gated(options):
    return Gated()
'''


@pytest.fixture(scope="module")
def gated_plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A package of its own with an entry point, as somebody else would install it."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "gated_planner.py").write_text(GATED)
    info = folder / "gated_planner-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gated-planner\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[matlab_ros.planners]\ngated = gated_planner:gated\n")
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield importlib.import_module("gated_planner")
    sys.path.remove(str(folder))
    sys.modules.pop("gated_planner", None)


class Bench:
    """A planner's node and a client that talks with it."""

    def __init__(self) -> None:
        rclpy.init()
        self.states: queue.Queue[Any] = queue.Queue()
        self.explanations: queue.Queue[Any] = queue.Queue()
        self.planner = PlannerNode()
        self.client = Node("client")
        self.client.create_subscription(msg.PlannerState, "planner_state", self.states.put, LATCHED)
        self.suggest = self.client.create_client(srv.SuggestExperiments, "suggest_experiments")
        self.report = self.client.create_client(srv.ReportObservation, "report_observation")
        self._executor = MultiThreadedExecutor(num_threads=THREADS)
        for node in (self.planner, self.client):
            self._executor.add_node(node)
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()
        assert self.suggest.wait_for_service(DEADLINE_S)
        assert self.report.wait_for_service(DEADLINE_S)

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def close(self) -> None:
        rclpy.try_shutdown()
        self._executor.shutdown()
        self._thread.join(DEADLINE_S)
        for node in (self.planner, self.client):
            node.destroy_node()

    def listen(self) -> None:
        """From now on explanations are wanted."""
        self.client.create_subscription(
            msg.PlannerExplanation, "planner_explanation", self.explanations.put, LATCHED
        )

    def ask(self, definition: Any, *names: str, reported: int = 0) -> Any:
        return self.suggest.call_async(
            srv.SuggestExperiments.Request(
                campaign=definition, experiment_ids=list(names), observations_reported=reported
            )
        )

    def tell(self, definition: Any, name: str, settings: dict[str, Any], value: float) -> Any:
        observation = msg.Observation(
            experiment_id=name,
            settings=settings_to(settings),
            requested=settings_to(settings),
            status=msg.Observation.MEASURED,
            objective=value,
            sigma=math.nan,
        )
        return answer(
            self.report.call_async(
                srv.ReportObservation.Request(campaign=definition, observation=observation)
            )
        )

    def state(self, fits: Callable[[Any], bool]) -> Any:
        """The next state that fits."""
        while True:
            state = self.states.get(timeout=DEADLINE_S)
            if fits(state):
                return state


def answer(future: Any) -> Any:
    """What a call gave."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    assert done.wait(DEADLINE_S)
    return future.result()


def campaign(method: str, name: str = "test", **changes: Any) -> Any:
    """A definition over one number."""
    fields = {
        "name": name,
        "target_formula": "BaTiO3",
        "target_phase": "BaTiO3-tetragonal",
        "sample_mass_mg": 500.0,
        "parameters": [
            msg.ParameterSpec(
                name="temperature_c", kind=msg.ParameterSpec.CONTINUOUS, low=600.0, high=900.0
            )
        ],
        "direction": msg.CampaignDefinition.MAXIMIZE,
        "max_experiments": 20,
        "max_in_flight": 4,
        "planner_method": method,
        "initial_experiments": 3,
        "batch_size": 2,
        "recipe_name": "solid_state",
    }
    return msg.CampaignDefinition(**{**fields, **changes})


@pytest.fixture
def bench(graph: None, gated_plugin: Any) -> Iterator[Bench]:
    gated_plugin.gate.clear()
    while gated_plugin.began.acquire(blocking=False):
        pass
    found = Bench()
    yield found
    gated_plugin.gate.set()
    found.close()


def test_it_takes_reports_and_says_that_it_thinks_while_it_thinks(
    bench: Bench, gated_plugin: Any
) -> None:
    definition = campaign("gated")
    open_call = bench.ask(definition, "e1")
    assert gated_plugin.began.acquire(timeout=DEADLINE_S)
    assert bench.state(lambda state: state.thinking).thinking_s >= 0
    told = bench.tell(definition, "e0", {"temperature_c": 700.0}, 0.5)
    assert (told.error_code, told.observations) == (0, 1)
    state = bench.state(lambda state: state.observations == 1)
    assert state.thinking
    assert not open_call.done()
    # The heartbeat goes on, too.
    assert bench.state(lambda later: later.thinking_s > state.thinking_s)
    gated_plugin.gate.set()
    found = answer(open_call)
    assert found.error_code == 0
    assert [item.experiment_id for item in found.suggestions] == ["e1"]
    assert math.isnan(bench.state(lambda state: not state.thinking).thinking_s)


def test_a_lab_manager_that_asks_the_same_again_is_not_made_to_wait_twice(
    bench: Bench, gated_plugin: Any
) -> None:
    definition = campaign("gated")
    first = bench.ask(definition, "e1")
    assert gated_plugin.began.acquire(timeout=DEADLINE_S)
    second = bench.ask(definition, "e1")
    gated_plugin.gate.set()
    one, other = answer(first), answer(second)
    assert one.suggestions[0].settings[0].value == other.suggestions[0].settings[0].value
    # It thought once.
    assert not gated_plugin.began.acquire(blocking=False)


def test_another_question_supersedes_the_one_that_is_thought_about(
    bench: Bench, gated_plugin: Any
) -> None:
    old = bench.ask(campaign("gated"), "e1")
    assert gated_plugin.began.acquire(timeout=DEADLINE_S)
    new = answer(bench.ask(campaign("sobol", "other"), "o1"))
    assert new.error_code == 0
    assert [item.method for item in new.suggestions] == ["sobol"]
    superseded = answer(old)
    assert superseded.error_code == srv.SuggestExperiments.Response.SUGGEST_SUPERSEDED
    assert "ask again" in superseded.error_message


def test_a_budget_that_is_over_gives_the_best_so_far(bench: Bench, gated_plugin: Any) -> None:
    bench.planner._budget_s = 0.0
    found = answer(bench.ask(campaign("gated"), "e1"))
    assert found.error_code == 0
    assert len(found.suggestions) == 1


def test_a_planner_that_nobody_has_is_refused_in_words(bench: Bench) -> None:
    found = answer(bench.ask(campaign("guesswork"), "e1"))
    assert found.error_code == srv.SuggestExperiments.Response.SUGGEST_SPACE_INVALID
    assert "'guesswork' is unknown" in found.error_message
    assert "gated" in found.error_message


def test_options_come_with_the_campaign(bench: Bench) -> None:
    options = settings_to({"level": 3.0})
    found = answer(bench.ask(campaign("random", planner_options=options), "e1"))
    assert found.error_code == srv.SuggestExperiments.Response.SUGGEST_SPACE_INVALID
    assert "option 'level'" in found.error_message


def test_whoever_listens_hears_why(bench: Bench) -> None:
    bench.listen()
    definition = campaign("bayesian", initial_experiments=2)
    values = {"e1": 0.2, "e2": 0.9, "e3": 0.4, "e4": 0.6}
    for number, (name, value) in enumerate(values.items()):
        found = answer(bench.ask(definition, name, reported=number))
        assert found.error_code == 0, found.error_message
        assert found.seed > 0
        assert len(found.plan_sha256) == 64
        settings = {"temperature_c": found.suggestions[0].settings[0].value}
        bench.tell(definition, name, settings, value)
    while True:
        heard = bench.explanations.get(timeout=DEADLINE_S)
        if heard.observations == 4 and len(heard.suggestions) == 4:
            break
    assert [item.name for item in heard.importance] == ["temperature_c"]
    (line,) = heard.slices
    assert line.values[0] == 600
    assert line.values[-1] == 900
    bands = zip(line.low, line.mean, line.high, strict=True)
    assert all(low < mean < high for low, mean, high in bands)
    # The first two came without a model; what was expected of the others has come.
    assert (heard.forecasts, heard.level) == (2, 0.95)
    last = heard.suggestions[-1]
    assert last.suggestion.experiment_id == "e4"
    assert last.low < last.suggestion.predicted_mean < last.high
    assert last.observations == 3
    assert {item.experiment_id for item in last.nearest} == {"e1", "e2", "e3"}
    distances = [item.distance for item in last.nearest]
    assert distances == sorted(distances)
