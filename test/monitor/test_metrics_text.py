"""A campaign's figures for people, for programs, and in the report."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from matlab_ros.lab.journal import JournalReader
from matlab_ros.model.lab_config import load_lab
from matlab_ros.monitor.from_journal import record_of
from matlab_ros.monitor.metrics_text import figures_of, metrics_json, metrics_text, tables_of
from matlab_ros.monitor.report import render_report

DATA = Path(__file__).parents[1] / "lab" / "data"


@pytest.fixture(scope="module")
def journal(tmp_path_factory) -> Path:
    """The file of a journal with three campaigns."""
    file = tmp_path_factory.mktemp("old") / "journal.sqlite"
    with sqlite3.connect(file) as connection:
        connection.executescript((DATA / "journal_1.sql").read_text())
    connection.close()
    return file


@pytest.fixture(scope="module")
def record(journal):
    """Of its first campaign."""
    reader = JournalReader(f"sqlite:///{journal}")
    found = record_of(reader.read(), "first", lambda _: load_lab(DATA / "journal_1.lab.yaml"))
    reader.close()
    return found


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line."""
    return subprocess.run(
        [sys.executable, "-m", "matlab_ros.cli", "metrics", *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_group_of_the_standard_has_its_figures(record):
    groups = list(dict.fromkeys(item.group for item in figures_of(record.metrics)))
    assert groups == [
        "Degree of autonomy",
        "Operational lifetime",
        "Throughput",
        "Failures and recoveries",
        "Experimental precision",
        "Accessible parameter space",
        "Optimization efficiency",
    ]
    titles = [item.title for item in tables_of(record.metrics)]
    assert "Material usage" in titles
    assert "Bottleneck" in titles


def test_the_command_line_prints_the_figures_of_a_journal(journal, record):
    done = run(str(journal), "--campaign", "first")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == metrics_text(record.metrics)
    assert "demonstrated unassisted" in done.stdout


def test_programs_get_json_of_the_last_campaign(journal):
    done = run(str(journal), "--json")
    found = json.loads(done.stdout)
    assert found["campaign"] == "second"
    assert found["autonomy"] == "semi_closed_loop"
    assert found["precision"] is None
    assert {item["device"] for item in found["stations"]} >= {"arm", "furnace_1"}


def test_what_is_not_there_is_said_in_a_sentence(journal, tmp_path):
    done = run(str(tmp_path / "missing"))
    assert done.returncode == 2
    assert "is not there" in done.stderr
    done = run(str(journal), "--campaign", "third")
    assert done.returncode == 1
    assert "no campaign 'third'" in done.stderr


def test_json_has_no_number_that_is_none(record):
    json.loads(metrics_json(record.metrics), parse_constant=pytest.fail)


def test_the_report_shows_the_figures_and_their_plot(record):
    page = render_report(record)
    assert "How the lab did" in page
    assert 'id="metrics"' in page
    assert "theoretical unassisted" in page
    embedded = page.split('id="campaign-data">')[1].split("</script>")[0].replace("<\\/", "</")
    drawn = json.loads(embedded)["metrics"]
    assert len(drawn["stations"]) == len(drawn["used"]) == 5
    assert all(0 <= value <= 100 for value in drawn["used"])
