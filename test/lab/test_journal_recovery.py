"""A campaign recovers from its journal, in a file or on a server, and writes the same in both."""

from __future__ import annotations

import pytest

from matlab_ros.lab.codec import to_json
from matlab_ros.lab.engine import Engine
from matlab_ros.lab.journal import MemoryJournal, SqlJournal
from matlab_ros.lab.state import replay
from matlab_ros.model.faults import FaultCode
from matlab_ros.nodes.table_lab import TableLab


def lines(journal) -> list[str]:
    """Every entry without its wall-clock time."""
    return [
        f"{entry.sequence} {entry.ros_time_ns} {entry.event.TAG} {to_json(entry.event)}"
        for entry in journal.read()
    ]


@pytest.mark.parametrize("seed", [3, 8])
def test_the_same_campaign_is_the_same_journal_wherever_it_is_kept(
    journal_url, lab, make_plan, faulty_devices, drawing_planner, seed
):
    written = []
    for journal in (MemoryJournal(), SqlJournal(journal_url)):
        table = TableLab(Engine(lab, journal), faulty_devices(lab, seed, 0.2), drawing_planner())
        table.start(make_plan())
        table.run()
        written.append(lines(journal))
    journal.close()
    assert written[0] == written[1]


def test_a_campaign_goes_on_from_its_database_after_every_restart(
    journal_url, lab, make_plan, faulty_devices, drawing_planner
):
    journal = SqlJournal(journal_url)
    devices = faulty_devices(lab, 5, 0.0)
    table = TableLab(Engine(lab, journal), devices, drawing_planner())
    table.start(make_plan())
    steps = 0
    while table.finished is None:
        assert table.step()
        steps += 1
        if steps % 9 == 0 and table.finished is None:
            before = table.engine.state
            journal.close()
            journal = SqlJournal(journal_url)
            again = replay(
                table.engine.floor, ((entry.ros_time_ns, entry.event) for entry in journal.read())
            )
            assert again == before
            table.replace_engine(Engine.recover(lab, journal, table.now_ns))
    assert steps > 9
    assert table.finished.code == FaultCode.NONE
    assert len(devices.doses) == len(set(devices.doses)) == 12
    assert [entry.sequence for entry in journal.read()] == list(
        range(1, table.engine.state.sequence + 1)
    )
    journal.close()
