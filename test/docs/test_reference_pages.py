"""The reference says all of what the code says: states, ways between them, error codes, keys."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from matlab_ros.lab.floor import Floor
from matlab_ros.lab.journal import JournalReader
from matlab_ros.lab.state import LabState
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_config import LabConfig, load_lab

DATA = Path(__file__).parents[1] / "lab" / "data"


def test_every_state_is_drawn_and_no_other() -> None:
    import states

    for machine in states.MACHINES:
        known = set(states.states_in_code()[machine.title])
        assert set(machine.places) == set(machine.meanings) == known
        assert {end for way in machine.ways for end in way} == known
        assert machine.final <= known


def test_ends_are_those_of_the_code() -> None:
    import states

    from matlab_ros.model.lab_words import ExperimentState, TaskState

    assert states.STEPS.final == {item.name for item in TaskState if item.is_final}
    assert states.EXPERIMENTS.final == {item.name for item in ExperimentState if item.is_final}


def test_a_real_journal_goes_only_ways_that_are_drawn(tmp_path: Path) -> None:
    import states

    file = tmp_path / "journal.sqlite"
    connection = sqlite3.connect(file)
    connection.executescript((DATA / "journal_1.sql").read_text())
    connection.close()
    lab = LabState(Floor(load_lab(DATA / "journal_1.lab.yaml")))
    steps, samples, positions = {}, {}, {}
    seen: set[tuple[str, str, str]] = set()

    def note(title: str, before: dict[object, str], key: object, state: str) -> None:
        if before.get(key, state) != state:
            seen.add((title, before[key], state))
        before[key] = state

    reader = JournalReader(f"sqlite:///{file}")
    for entry in reader.read():
        lab.apply(entry.event, entry.ros_time_ns)
        for run in lab.experiments.values():
            for task in run.steps:
                note(states.STEPS.title, steps, (run.experiment_id, task.step_id), task.state.name)
        for sample in lab.samples.values():
            note(states.SAMPLES.title, samples, sample.sample_id, sample.state.name)
        for name in lab.positions:
            note(states.POSITIONS.title, positions, name, lab.position_state(name).name)
    reader.close()
    drawn = {(machine.title, *way) for machine in states.MACHINES for way in machine.ways}
    assert seen
    assert seen <= drawn, sorted(seen - drawn)


def test_every_error_code_is_listed_as_the_interfaces_number_it() -> None:
    import interfaces

    page = interfaces.error_codes_page()
    in_interfaces = interfaces.error_codes()
    for code in FaultCode:
        assert f"| {int(code)} | `{code.name}` |" in page or code is FaultCode.NONE
        if int(code) in in_interfaces:
            assert in_interfaces[int(code)][0] == code.name


def test_every_interface_is_on_its_page(repository: Path) -> None:
    import interfaces

    page = interfaces.interfaces_page()
    for path in (repository / "matlab_ros_interfaces").glob("*/*.*"):
        if path.suffix in (".msg", ".srv", ".action"):
            assert f"### {path.stem}\n" in page
            for line in path.read_text().splitlines():
                assert line.startswith("#") or line == "---" or line.rstrip() in page


def test_every_key_of_a_lab_is_on_its_page_with_what_it_means() -> None:
    import files

    page = files.files_page()
    for model in files.reachable(LabConfig):
        assert f"### {model.__name__}\n" in page
        for name in model.model_fields:
            assert f"| `{name}` |" in page
    assert "Minutes of silence after which nobody is sure any more" in page


@pytest.mark.parametrize(
    "words", ["matlab-ros lab resolve", "matlab-ros init", "pocket-ros topic echo"]
)
def test_commands_and_their_verbs_are_on_their_page(words: str) -> None:
    import command_line

    assert f"### {words}\n" in command_line.command_line_page()
