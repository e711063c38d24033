"""Journals of older software are read for ever, and give the state that was.

`data/journal_1.sql` was written by the software of format 1, `data/journal_1.state.json` is the
state it had then. Neither changes any more; when a test fails here, the software lost its memory.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from matlab_ros.lab import upgrades
from matlab_ros.lab.engine import Engine
from matlab_ros.lab.events import EVENT_TYPES, Paused
from matlab_ros.lab.floor import Floor
from matlab_ros.lab.inputs import CorrectionAsked, ResumeAsked
from matlab_ros.lab.journal import JournalError, SqlJournal, read_event
from matlab_ros.lab.state import LabState, replay
from matlab_ros.lab.upgrades import UpgradeError, upgraded
from matlab_ros.model.lab_config import load_lab
from matlab_ros.model.lab_words import PositionState, SampleState, Scope
from matlab_ros.nodes.table_devices import TableDevices
from matlab_ros.nodes.table_lab import TableLab

DATA = Path(__file__).parent / "data"


@pytest.fixture
def old_journal(tmp_path) -> Path:
    """A journal's file of format 1, to be written to."""
    path = tmp_path / "journal.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript((DATA / "journal_1.sql").read_text())
    connection.close()
    return path


@pytest.fixture(scope="module")
def old_lab():
    """The lab of that journal."""
    return load_lab(DATA / "journal_1.lab.yaml")


def facts(state: LabState, names: set[str]) -> dict[str, object]:
    """What was noted of the state when the journal was written; positions only of `names`."""
    campaign = state.campaign
    assert campaign is not None
    return {
        "sequence": state.sequence,
        "time_ns": state.time_ns,
        "campaign": campaign.plan.name,
        "past_campaigns": state.past_campaigns,
        "last_ordinal": campaign.last_ordinal,
        "experiments": {
            run.experiment_id: {
                "state": run.state.name,
                "present_step": run.present_step,
                "tasks": {task.step_id: task.state.value for task in run.steps},
                "attempts": {task.step_id: task.attempts for task in run.tasks.values()},
                "settings": {
                    item.name: item.choice or item.value for item in run.suggestion.settings
                },
                "objective": run.observation.objective if run.observation else None,
                "taught": run.observation.status.name if run.observation else None,
                "reported": run.reported,
                "started_ns": run.started_ns,
                "ended_ns": run.ended_ns,
                "abort": run.abort.message if run.abort else None,
            }
            for run in state.experiments.values()
        },
        "samples": {
            sample.sample_id: {
                "state": sample.state.name,
                "container": sample.container_id,
                "filled": sample.filled,
            }
            for sample in state.samples.values()
        },
        "containers": {
            container.container_id: {
                "position": container.position,
                "sample": container.sample_id,
                "clean": container.clean,
            }
            for container in state.containers.values()
        },
        "positions": {
            name: state.position_state(name).name
            for name in state.positions
            if name in names or state.position_state(name) is not PositionState.EMPTY
        },
        "attempts": {
            attempt.attempt_id: {
                "device": attempt.device,
                "kind": attempt.goal.TAG,
                "samples": list(attempt.goal.sample_ids),
                "intended_ns": attempt.intended_ns,
                "deadline_ns": attempt.goal.deadline_ns,
                "cancel": attempt.cancel_requested,
            }
            for attempt in state.attempts.values()
        },
        "faults": {
            name: {
                "code": fault.raised.fault.code.name,
                "device": fault.raised.device,
                "resolution": fault.resolution.name,
                "by": fault.resolved_by,
            }
            for name, fault in state.faults.items()
        },
        "lost": sorted(state.lost),
        "paused": sorted([scope.name, subject] for scope, subject in state.paused),
        "estopped": state.estopped,
    }


def test_a_journal_of_format_1_gives_the_state_that_was(old_journal, old_lab):
    then = json.loads((DATA / "journal_1.state.json").read_text())
    journal = SqlJournal(f"sqlite:///{old_journal}")
    entries = [(entry.ros_time_ns, entry.event) for entry in journal.read()]
    journal.close()
    state = replay(Floor(old_lab), iter(entries))
    assert facts(state, set(then["positions"])) == then


def test_every_kind_of_event_of_format_1_stands_in_the_old_journal(old_journal):
    with sqlite3.connect(old_journal) as connection:
        kinds = {kind for (kind,) in connection.execute("select distinct kind from events")}
    connection.close()
    assert len(kinds) == 28
    assert kinds <= set(EVENT_TYPES)


def test_an_old_campaign_goes_on_to_its_end_with_new_software(
    old_journal, old_lab, table_world, drawing_planner
):
    journal = SqlJournal(f"sqlite:///{old_journal}")
    engine = Engine.recover(old_lab, journal)
    assert set(engine.state.attempts) == {"second-e0003/heat/1", "second-e0007/move/1"}
    table = TableLab(engine, TableDevices(table_world), drawing_planner(), engine.state.time_ns)
    table.bring_up()
    for position in ("diffractometer/1", "rack/8"):
        # Where the arm dropped it, and where ann then put it: both are known again.
        table.tell(CorrectionAsked("second-e0001-s1", position, SampleState.LOST, "ann"))
    table.tell(ResumeAsked(Scope.EXPERIMENT, "second-e0008", "ann"))
    table.run()
    assert len(engine.state.experiments) == 9
    assert all(run.state.is_final and run.reported for run in engine.state.experiments.values())
    assert not engine.state.attempts
    journal.close()


def test_a_body_goes_through_every_version_in_between():
    steps = {
        ("weighed", 1): lambda body: {"mass_mg": 1000.0 * body["mass_g"]},
        ("weighed", 2): lambda body: {**body, "tare_mg": 0.0},
    }
    assert upgraded("weighed", 1, 3, {"mass_g": 2.0}, steps) == {"mass_mg": 2000.0, "tare_mg": 0.0}
    assert upgraded("weighed", 2, 3, {"mass_mg": 5.0}, steps) == {"mass_mg": 5.0, "tare_mg": 0.0}
    assert upgraded("weighed", 3, 3, {"mass_mg": 5.0}, steps) == {"mass_mg": 5.0}


def test_a_missing_step_and_a_damaged_body_are_told_apart():
    steps = {("weighed", 1): lambda body: {"mass_mg": 1000.0 * body["mass_g"]}}
    with pytest.raises(UpgradeError, match=r"version 2.*no way"):
        upgraded("weighed", 1, 3, {"mass_g": 2.0}, steps)
    with pytest.raises(UpgradeError, match=r"damaged.*mass_g"):
        upgraded("weighed", 1, 2, {}, steps)


def test_an_old_event_is_read_through_its_upgrade(monkeypatch):
    body = '{"kind":"paused","operator":"ann","reason":"","scope":0,"subject":""}'
    monkeypatch.setattr(Paused, "VERSION", 2)
    with pytest.raises(JournalError, match="version 1"):
        read_event("paused", 1, body)
    monkeypatch.setitem(
        upgrades.UPGRADES, ("paused", 1), lambda old: {**old, "reason": old["reason"] or "unknown"}
    )
    assert read_event("paused", 1, body) == Paused(Scope.LAB, "", "ann", "unknown")
    with pytest.raises(JournalError, match="version 3"):
        read_event("paused", 3, body)


def test_every_version_that_was_ever_written_has_its_step():
    steps = {(kind, version) for kind, version in upgrades.UPGRADES}
    for tag, event in EVENT_TYPES.items():
        wanted = {(tag, version) for version in range(1, event.VERSION)}
        assert {step for step in steps if step[0] == tag} == wanted
    assert {kind for kind, _ in steps} <= set(EVENT_TYPES)
