"""The journal keeps what it was given, in order, on disk, and says so when it cannot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.lab.codec import CodecError, from_json, to_json
from matlab_ros.lab.engine import Engine
from matlab_ros.lab.events import (
    EVENT_TYPES,
    AttemptEnded,
    Effect,
    Event,
    ManagerRestarted,
    Paused,
    Work,
)
from matlab_ros.lab.goals import (
    AttemptReport,
    CalibrationMark,
    DoseReading,
    HeatOutcome,
    MeasureOutcome,
    RawFile,
    SampleOutcome,
    TemperatureTrace,
)
from matlab_ros.lab.inputs import DeviceReady, PauseAsked
from matlab_ros.lab.journal import JournalError, JournalReader, MemoryJournal, SqlJournal
from matlab_ros.model.lab_words import SampleFate, Scope

REPOSITORY = Path(__file__).resolve().parents[2]
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
REPORT = AttemptReport(0, "", 1, 2, (SampleOutcome("s", SampleFate.DONE, "p/1"),), "d")


@given(values=st.lists(st.none() | NUMBERS, max_size=5), highest=st.none() | NUMBERS)
@settings(deadline=None)
def test_a_value_survives_its_written_form(values, highest):
    trace = TemperatureTrace(5, tuple(float(i) for i in range(len(values))), tuple(values), ())
    event = AttemptEnded(
        "e/heat/1",
        "furnace_1",
        HeatOutcome(REPORT, trace, highest, None),
        (Effect(Work("e", "heat", "s"), True, SampleFate.DONE, "p/1"),),
    )
    assert from_json(AttemptEnded, to_json(event)) == event


def test_a_reading_written_before_calibrations_were_reads_without_one():
    mark = CalibrationMark("B-3", 1, 2, 0.5, 1.01, True)
    dose = DoseReading("MgO", 200.0, 200.1, 0.003, True, 5, mark)
    heat = HeatOutcome(REPORT, None, 900.0, 60.0, mark)
    assert from_json(DoseReading, to_json(dose)) == dose
    assert from_json(HeatOutcome, to_json(heat)) == heat
    for value in (dose, heat):
        old = json.loads(to_json(value))
        del old["calibration"]
        assert from_json(type(value), json.dumps(old)) == replace(value, calibration=None)


def test_a_number_that_is_none_is_refused_and_not_written_as_something_else():
    with pytest.raises(CodecError, match="None"):
        to_json(HeatOutcome(REPORT, None, float("nan")))


def test_every_event_has_its_own_stable_word():
    assert len(EVENT_TYPES) == len(Event.__subclasses__())
    assert all(tag == kind.TAG for tag, kind in EVENT_TYPES.items())


def test_entries_come_back_in_order_after_a_new_start(journal_url):
    first = SqlJournal(journal_url)
    first.append("c", 10, [ManagerRestarted(), Paused(Scope.LAB, "")])
    first.append("c", 20, [ManagerRestarted()])
    first.close()
    again = SqlJournal(journal_url)
    entries = list(again.read())
    assert [entry.sequence for entry in entries] == [1, 2, 3]
    assert [entry.ros_time_ns for entry in entries] == [10, 10, 20]
    assert entries[1].event == Paused(Scope.LAB, "")
    assert [entry.sequence for entry in again.read(after=2)] == [3]
    assert again.append("c", 30, [ManagerRestarted()])[0].sequence == 4


def test_raw_files_are_indexed_once_by_their_content(journal_url):
    journal = SqlJournal(journal_url)
    raw = RawFile("file:///a", "ab" * 32, 5, "text/plain")
    for uri in ("file:///a", "file:///b"):
        outcome = MeasureOutcome(REPORT, replace(raw, uri=uri))
        journal.append("c", 1, [AttemptEnded("e/measure/1", "d", outcome, ())])
    assert journal.raw_files() == (raw,)


def test_a_journal_of_newer_software_is_refused(journal_url):
    SqlJournal(journal_url).close()
    engine = sa.create_engine(journal_url)
    with engine.begin() as connection:
        connection.execute(sa.text("insert into journal_format values (99)"))
    engine.dispose()
    for kind in (SqlJournal, JournalReader):
        with pytest.raises(JournalError, match="format 99"):
            kind(journal_url)


def test_an_unknown_event_is_refused(journal_url):
    journal = SqlJournal(journal_url)
    journal.append("c", 1, [ManagerRestarted()])
    engine = sa.create_engine(journal_url)
    with engine.begin() as connection:
        connection.execute(sa.text("update events set version = 7"))
    engine.dispose()
    with pytest.raises(JournalError, match="version 7"):
        list(journal.read())


def test_what_was_appended_is_there_after_kill_9(journal_url):
    script = f"""
from matlab_ros.lab.events import ManagerRestarted
from matlab_ros.lab.journal import SqlJournal
journal = SqlJournal({journal_url!r})
journal.append("c", 1, [ManagerRestarted()])
print("written", flush=True)
input()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    assert [entry.event for entry in SqlJournal(journal_url).read()] == [ManagerRestarted()]


def test_nothing_leaves_when_the_journal_cannot_be_written(lab, make_plan):
    class FullDisk(MemoryJournal):
        def append(self, campaign, ros_time_ns, events):
            raise JournalError("The disk is full.")

    engine = Engine(lab, FullDisk())
    assert engine.handle(DeviceReady("arm"), 1) == []
    with pytest.raises(JournalError):
        engine.handle(PauseAsked(Scope.LAB), 2)
    with pytest.raises(Exception, match="start the lab manager again"):
        engine.handle(DeviceReady("dispenser"), 3)
