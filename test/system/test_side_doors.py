"""Ground truth stays inside the virtual lab: nothing but wires, robot and clock leads out of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from matlab_ros.lab.events import AttemptEnded
from matlab_ros.xrd.analyse import analyse
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.readers import read_pattern
from matlab_ros_interfaces.msg import CampaignDefinition, Observation
from matlab_ros_interfaces.srv import ReportObservation, SuggestExperiments

STRUCTURES = Path(__file__).parents[2] / "config" / "structures"
ROBOT_ACTIONS = {
    "/arm_controller/follow_joint_trajectory",
    "/gripper_controller/gripper_cmd",
    "/navigate_to_pose",
}
PARAMETER_SERVICES = {
    "describe_parameters",
    "get_parameter_types",
    "get_parameters",
    "list_parameters",
    "set_parameters",
    "set_parameters_atomically",
    "get_type_description",
}
EVERYBODY_PUBLISHES = {"/parameter_events", "/rosout"}
LAB_NODES = {
    "lab_manager",
    "planner",
    "dispenser",
    "arm",
    "furnace_1",
    "furnace_2",
    "characterisation",
    "virtual_lab",
    "campaign_client",
}


def _own_services(names: frozenset[str], node: str) -> set[str]:
    """Services beside a node's parameters."""
    return {name for name in names if name not in {f"/{node}/{s}" for s in PARAMETER_SERVICES}}


def _of_actions(actions: set[str], *parts: str) -> set[str]:
    return {f"{action}/_action/{part}" for action in actions for part in parts}


def test_the_lab_is_made_of_the_nodes_of_its_launch_file_and_nothing_else(finished: Any) -> None:
    assert finished.nodes.keys() - {"onlooker"} == LAB_NODES


def test_the_virtual_lab_offers_nothing_but_its_robot_and_the_clock(finished: Any) -> None:
    node = finished.nodes["virtual_lab"]
    assert _own_services(node.serves, "virtual_lab") == _of_actions(
        ROBOT_ACTIONS, "send_goal", "cancel_goal", "get_result"
    )
    published = node.publishes - _of_actions(ROBOT_ACTIONS, "feedback", "status")
    assert published - EVERYBODY_PUBLISHES == {"/clock", "/joint_states", "/tf"}
    assert node.asks == frozenset()


def test_only_the_arm_talks_to_the_virtual_robot(finished: Any) -> None:
    doors = _of_actions(ROBOT_ACTIONS, "send_goal", "cancel_goal", "get_result")
    for name, node in finished.nodes.items():
        assert name == "arm" or not node.asks & doors, name


def test_the_planner_is_told_what_was_measured_and_hears_nothing_else(finished: Any) -> None:
    node = finished.nodes["planner"]
    calls = {"/suggest_experiments", "/report_observation"}
    assert _own_services(node.serves, "planner") == calls
    assert node.hears - {"/parameter_events"} == {"/clock"}
    assert node.asks == frozenset()
    assert [n for n, other in finished.nodes.items() if other.asks & calls] == ["lab_manager"]
    # Nothing in these calls has room for patterns, files or what is truly in a crucible; phases are
    # those that the analysis found.
    told = {
        *ReportObservation.Request.get_fields_and_field_types(),
        *SuggestExperiments.Request.get_fields_and_field_types(),
        *Observation.get_fields_and_field_types(),
    }
    assert not {word for word in told if "truth" in word or "pattern" in word or "file" in word}
    assert "target_phase" in CampaignDefinition.get_fields_and_field_types()


def test_the_objective_comes_from_the_measured_file(finished: Any) -> None:
    campaign = finished.process
    library = Library(STRUCTURES)
    goals = {goal.attempt_id: goal for goal in campaign.intended("analyse")}
    measured = {outcome.pattern.sha256 for outcome in campaign.outcomes("measure")}
    observations = campaign.observations()
    ends = [event for event in campaign.events(AttemptEnded) if event.outcome.TAG == "analyse"]
    assert len(ends) == len(observations) > 0
    for event in ends:
        goal = goals[event.attempt_id]
        assert goal.pattern.sha256 in measured
        again = analyse(
            read_pattern(Path(unquote(urlparse(goal.pattern.uri).path))),
            library,
            elements=list(goal.elements),
            phases=list(goal.phases) or None,
        )
        fractions = {phase.structure.name: phase.weight_fraction for phase in again.phases}
        assert {item.phase for item in event.outcome.phases} == fractions.keys()
        observation = observations[event.effects[0].work.experiment_id]
        assert observation.phases == event.outcome.phases
        assert math.isclose(
            observation.objective, fractions.get(goal.target_phase, 0.0), abs_tol=1e-6
        )
