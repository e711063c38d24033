"""Operators at a whole lab of processes: a question is answered, a pause and a stop are obeyed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from matlab_ros import cli
from matlab_ros.lab.events import (
    AttemptIntended,
    ContainerReplaced,
    EmergencyStopEngaged,
    EmergencyStopReleased,
    FaultResolved,
    OperatorAsked,
    Paused,
    Resumed,
)
from matlab_ros.model.lab_words import ExperimentState, Resolution
from matlab_ros.nodes.launching import free_port

REPOSITORY = Path(__file__).parents[2]
COMMAND_S = 120.0


def operate(campaign: Any, *words: str) -> tuple[int, str]:
    """Give a command of ``matlab-ros lab``; exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "matlab_ros.cli", "lab", *words, "--wait", "60"],
        cwd=REPOSITORY,
        env={**os.environ, **campaign.graph, "OMP_NUM_THREADS": "1", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def shift(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Gives commands of ``matlab-ros lab`` in this process: many take no longer than a few."""

    def say(campaign: Any, *words: str) -> tuple[int, str]:
        for name, value in {**campaign.graph, "COLUMNS": "200"}.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        wait = () if "--wait" in words else ("--wait", "60")
        code = cli.main(["lab", *words, *wait])
        told = capsys.readouterr()
        return code, " ".join((told.out + told.err).split())

    return say


def test_a_question_stays_open_while_others_go_on_and_is_answered(
    asking_campaign: Any, look_at: Callable[[Any], Any]
) -> None:
    campaign = asking_campaign
    onlooker = look_at(campaign)
    onlooker.wait_for(
        lambda: (
            onlooker.lab is not None
            and onlooker.lab.questions > 0
            and onlooker.lab.experiments_succeeded + onlooker.lab.questions == 4
        ),
        "every experiment but those that are asked about has ended",
    )
    asked = campaign.events(OperatorAsked)
    assert 0 < len(asked) < 4
    code, text = operate(campaign, "faults")
    assert code == 0, text
    assert all(event.fault_id in text for event in asked)
    assert "you decide" in text
    code, text = operate(campaign, "resolve", asked[0].fault_id, "assume-done")
    assert code == 1
    assert "nobody can assume" in " ".join(text.split())
    for event in asked:
        words = ("resolve", event.fault_id, "abort-experiment", "--operator", "anna")
        code, text = operate(campaign, *words, "--remark", "no such program")
        assert code == 0, text
    assert campaign.end() == 0, campaign.told()
    decided = [event for event in campaign.events(FaultResolved) if event.resolved_by == "anna"]
    assert [event.fault_id for event in decided] == [event.fault_id for event in asked]
    assert {event.resolution for event in decided} == {Resolution.ABORT_EXPERIMENT}
    assert {event.remark for event in decided} == {"no such program"}
    states = [run.state for run in campaign.state().experiments.values()]
    assert states.count(ExperimentState.SUCCEEDED) == 4 - len(asked)
    assert states.count(ExperimentState.FAILED) == len(asked)


def test_pause_and_emergency_stop_are_obeyed_and_outlive_the_lab_manager(
    start: Callable[..., Any], look_at: Callable[[Any], Any]
) -> None:
    # A heating that lasts as long as the operator needs.
    campaign = start("--speed", "20000")
    onlooker = look_at(campaign)
    onlooker.wait_for_work("furnace_1", "heat")
    code, text = operate(campaign, "pause", "--operator", "anna", "--reason", "lunch")
    assert code == 0, text
    assert "cannot be paused" in " ".join(text.split())
    intended = len(campaign.events(AttemptIntended))
    code, text = operate(campaign, "status")
    assert code == 0, text
    assert "PAUSED" in text
    assert len(campaign.events(AttemptIntended)) == intended
    assert operate(campaign, "resume", "--operator", "anna")[0] == 0

    code, text = operate(campaign, "estop", "--operator", "anna", "--reason", "smoke")
    assert code == 0, text
    assert "EMERGENCY STOP" in text
    onlooker.wait_for(lambda: onlooker.lab.estopped, "the stop is latched")
    before = onlooker.lab.sequence
    campaign.kill("lab_manager")
    onlooker.wait_for(lambda: onlooker.lab.sequence < before, "the lab manager is back")
    onlooker.wait_for(lambda: onlooker.lab.estopped, "the stop is latched still")
    intended = len(campaign.events(AttemptIntended))
    code, text = operate(campaign, "estop", "--release", "--operator", "anna")
    assert code == 0, text
    assert "paused" in text
    onlooker.wait_for(
        lambda: onlooker.lab.paused and not onlooker.lab.estopped, "the lab is paused"
    )
    assert len(campaign.events(AttemptIntended)) == intended
    assert operate(campaign, "resume", "--operator", "anna")[0] == 0
    # What was half heated is lost, and the rest is made.
    assert campaign.end() == 0, campaign.told()
    who = {
        event.operator
        for kind in (Paused, Resumed, EmergencyStopEngaged, EmergencyStopReleased)
        for event in campaign.events(kind)
    }
    assert who == {"anna"}
    state = campaign.state()
    assert not state.attempts
    assert not state.estopped
    assert campaign.remaining() == {}


def test_a_shift_of_an_operator(
    start: Callable[..., Any], look_at: Callable[[Any], Any], shift: Callable[..., tuple[int, str]]
) -> None:
    campaign = start("--speed", "3000")
    onlooker = look_at(campaign)
    onlooker.wait_for_work("furnace_1", "heat")
    # The commands join the graph from this very process.
    onlooker.close()
    first = "steep-e0001"

    def say(*words: str) -> tuple[int, str]:
        return shift(campaign, *words)

    def done(*words: str) -> str:
        code, text = say(*words)
        assert code == 0, text
        return text

    def refused(*words: str) -> str:
        code, text = say(*words)
        assert code == 1, text
        return text

    assert "crucible-01" in done("locate", f"{first}-s1")
    assert "No sample 'nobody'" in refused("locate", "nobody")
    assert "'nobody'; campaign: steep" in refused("pause", "nobody")
    assert "no position 'shelf/9'" in refused("look", "shelf/9")
    assert "known to stand at rack/9" in refused("look", "rack/9")
    assert "no container 'beaker'" in refused("restock", "beaker")
    assert "is in use by steep-e0001" in refused("restock", "crucible-01")
    assert "No sample 'nobody'" in refused("correct", "nobody", "rack/1")
    assert "No fault 'fault-0999'" in refused("resolve", "fault-0999", "retry")
    assert "No fault is open" in done("faults")

    assert "is paused" in done("pause", first, "--operator", "anna")
    assert "paused before" in done("pause", first, "--operator", "anna")
    assert f"matlab-ros lab resume {first}" in done("status")
    assert f"The lab is not paused; paused: {first}" in refused("resume")
    assert "goes on" in done("resume", first, "--operator", "anna")

    assert "safe and put away" in done("cancel", first, "--operator", "anna", "--reason", "wrong")
    assert "not under way any more: canceled" in refused("cancel", first)
    assert "1 container is clean" in done("restock", "crucible-01", "--operator", "anna")
    assert "safe and put away" in done("cancel", "steep", "--operator", "anna")
    assert campaign.end() == 1, campaign.told()
    assert "cancelled by anna" in campaign.told()
    noted = [event.operator for kind in (Paused, Resumed) for event in campaign.events(kind)]
    assert noted == ["anna", "anna"]
    (replaced,) = campaign.events(ContainerReplaced)
    assert (replaced.container_id, replaced.operator) == ("crucible-01", "anna")
    state = campaign.state()
    assert all(item.position == item.home for item in state.containers.values())
    assert campaign.remaining() == {}


def test_without_a_lab_a_command_says_so(shift: Callable[..., tuple[int, str]]) -> None:
    class Nowhere:
        graph: ClassVar[dict[str, str]] = {
            "ZENOH_CONFIG_OVERRIDE": f'connect/endpoints=["tcp/127.0.0.1:{free_port()}"]',
            "ROS_DOMAIN_ID": "99",
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        }

    code, text = shift(Nowhere, "status", "--wait", "1")
    assert code == 1
    assert "No lab manager is to be found" in text
