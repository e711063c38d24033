"""A lab that was started already: a campaign is brought to it; real instruments that are missing
are named."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from matlab_ros import cli
from matlab_ros.nodes.campaign_folder import CampaignFolder
from matlab_ros.nodes.launching import LabProcesses, free_port, launcher

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 300.0
MISSING = ("no-balance", "no-such-cable", "no action server; start its driver")
"""One of each kind: where the dispenser's was, so are those of the devices behind it."""


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], dict[str, str]]:
    """How files are launched, and the environment of a graph of this test's own."""
    monkeypatch.delenv("ZENOH_CONFIG_OVERRIDE", raising=False)
    command, environment = launcher()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return command, environment


def lab_command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "matlab_ros.cli", *words],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_a_campaign_of_ones_own_lab_runs_in_a_lab_that_runs_already(
    graph: Any, tmp_path: Path
) -> None:
    command, environment = graph
    home = tmp_path / "mylab"
    assert cli.main(["init", str(home), "--furnaces", "1", "--crucibles", "6"]) == 0
    arguments = {
        "lab_file": str(home / "labs/mylab.yaml"),
        "recipes_dir": str(home / "recipes"),
        "run_dir": str(tmp_path / "run"),
        "furnaces": "1",
        "aeris_port": str(free_port()),
        "shaker_port": str(free_port()),
    }
    file = REPOSITORY / "launch/virtual_lab.launch.xml"
    with LabProcesses(file, arguments, tmp_path / "lab.log", command, environment) as processes:
        processes.wait_until_started(60.0)
        done = lab_command(
            *("campaign", str(home / "campaigns/first.yaml"), "--world", "running"),
            *("--results", str(tmp_path / "results"), "--experiments", "2", "--json"),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "The lab runs already" in done.stderr
        ended = json.loads(done.stdout)
        assert ended["experiments"] == {"succeeded": 2}
        assert 0 <= ended["best"] <= 1
        # The lab goes on; it was not this command's to end.
        processes.check()
        again = lab_command("lab", "status", "--json")
        assert again.returncode == 0, again.stdout + again.stderr
        state = json.loads(again.stdout)
        assert state["lab"]["lab"] == "mylab"
        assert {item["state"] for item in state["experiments"].values()} == {"succeeded"}
        assert json.loads(lab_command("lab", "faults", "--json").stdout) == {}
    folder = CampaignFolder.existing(tmp_path / "results/first")
    assert (folder.path / "report.html").is_file()
    assert folder.journal_url == f"sqlite:///{tmp_path}/run/journal.sqlite"


def test_a_real_lab_without_its_instruments_says_which_are_missing_and_ends_cleanly(
    graph: Any, tmp_path: Path
) -> None:
    command, environment = graph
    home = tmp_path / "mylab"
    assert cli.main(["init", str(home), "--furnaces", "1"]) == 0
    lab_file = home / "labs/mylab.yaml"
    text = lab_file.read_text()
    for line, part in (
        ("# ports: {controller: /dev/ttyUSB1}", f"ports: {{controller: {tmp_path}/no-such-cable}}"),
        ("# ports: {balance: /dev/ttyUSB0}", f"ports: {{balance: {tmp_path}/no-balance}}"),
    ):
        assert line in text
        text = text.replace(line, part)
    lab_file.write_text(text)
    arguments = {
        "lab_file": str(lab_file),
        "recipes_dir": str(home / "recipes"),
        "run_dir": str(tmp_path / "run"),
        "share_dir": str(tmp_path),
        "furnaces": "1",
        "monitor": "false",
    }
    file = REPOSITORY / "launch/lab.launch.xml"
    log = tmp_path / "lab.log"
    with LabProcesses(file, arguments, log, command, environment) as processes:
        processes.wait_until_started(60.0)
        until, pause, said = time.monotonic() + PATIENCE_S, threading.Event(), ""
        while not all(word in said for word in MISSING):
            assert time.monotonic() < until, said
            processes.check()
            pause.wait(0.2)
            said = log.read_text()
    told = [line for line in said.splitlines() if "[lab_manager]: " in line]
    assert any("no-such-cable" in line for line in told)
    assert "check cable, power, rights" in said
    # Who misses its first signals is ended by the launcher's later ones, but never by force.
    codes = {int(code) for code in re.findall(r"exit code (-?\d+)", log.read_text())}
    assert codes <= {-signal.SIGINT, -signal.SIGTERM}
    assert "Traceback" not in said
