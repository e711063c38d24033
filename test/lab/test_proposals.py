"""What a person is told to say is followed when he says it, in every state that faults can make."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import Any

import pytest

from matlab_ros.lab.engine import Engine
from matlab_ros.lab.inputs import FaultResolutionAsked, PositionAsked
from matlab_ros.lab.journal import MemoryJournal
from matlab_ros.lab.proposals import about_fault, about_position
from matlab_ros.lab.validate import check_campaign
from matlab_ros.model.lab_words import PositionState, Resolution
from matlab_ros.model.recipe import Recipe
from matlab_ros.nodes.table_lab import TableLab

OFTEN = 2
"""How often each kind of proposal is tried in a run; each trial recovers a lab of its own."""


def input_of(command: str) -> Any:
    """What the command line makes of a command."""
    program, room, word, subject, *rest = shlex.split(command, comments=True)
    assert (program, room) == ("matlab-ros", "lab")
    if word == "resolve":
        (decision,) = rest
        return FaultResolutionAsked(subject, Resolution[decision.upper().replace("-", "_")], "anna")
    if word == "clear":
        assert not rest
        return PositionAsked(subject, operator="anna", cleared=True)
    assert word == "look"
    return PositionAsked(subject, rest[0] if rest else "", "anna")


def asking_plan(lab, recipe, make_campaign) -> Any:
    """A campaign each of whose steps is asked about when it fails."""
    policy = {"retry": 0, "then": ["ask", "abort_sample"], "ask_deadline_min": 600}
    data = recipe.model_dump(by_alias=True, exclude_unset=True)
    for step in data["steps"]:
        step["on_failure"] = policy
    phases = frozenset({item.structure for item in lab.stock} | {"MgTiO3"})
    recipe = Recipe.model_validate(data)
    return check_campaign(make_campaign(), lab, recipe, phases, "test.yaml")


@pytest.mark.parametrize("seed", range(4))
def test_every_proposal_is_followed_as_it_stands(
    lab, recipe, make_campaign, faulty_devices, drawing_planner, seed
):
    manned = lab.model_copy(update={"never_ask": False})
    journal = MemoryJournal()
    devices = faulty_devices(manned, seed, 0.35)
    table = TableLab(Engine(manned, journal), devices, drawing_planner())
    table.start(asking_plan(manned, recipe, make_campaign))
    tried: Counter[tuple[str, ...]] = Counter()

    def try_out(command: str, kind: tuple[str, ...]) -> None:
        tried[kind] += 1
        if tried[kind] > OFTEN:
            return
        copy = MemoryJournal()
        for entry in journal.read():
            copy.append(entry.campaign, entry.ros_time_ns, [entry.event])
        engine = Engine.recover(manned, copy, table.now_ns)
        given = input_of(command)
        engine.handle(given, table.now_ns)
        if isinstance(given, PositionAsked):
            assert engine.state.position_state(given.position) in (
                (PositionState.OCCUPIED,)
                if given.container_id
                else (PositionState.EMPTY, PositionState.RESERVED)
            )
        else:
            assert engine.state.faults[given.fault_id].resolution is given.resolution

    while table.finished is None:
        assert table.step()
        state = table.engine.state
        for name in state.positions:
            known = state.position_state(name)
            for item in about_position(state, name):
                try_out(item.line, (item.command.split()[2], known.name, str(len(item.command))))
        for fault in state.open_faults():
            asked = about_fault(state, fault)
            assert bool(asked) == (fault.asked is not None and bool(fault.raised.experiment_id))
            for item in asked:
                try_out(item.line, (*item.command.split()[4:], fault.raised.step_id))
    assert any(kind[0] == "abort-sample" for kind in tried)
