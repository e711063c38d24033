"""Same seed, same campaign: a virtual campaign repeats itself exactly, from what it kept alone."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from matlab_ros.nodes.campaign_folder import CampaignFolder
from matlab_ros.nodes.repeat_command import compare

REPOSITORY = Path(__file__).parents[2]
CAMPAIGN_S = 300.0


def test_a_campaign_repeated_has_the_same_history(
    finished: Any, tmp_path: Path, capsys: Any
) -> None:
    campaign = finished.process
    done = subprocess.run(
        [
            *(sys.executable, "-m", "matlab_ros.cli", "repeat", str(campaign.path)),
            *("--results", str(tmp_path), "--plain"),
        ],
        cwd=REPOSITORY,
        env={**os.environ, **campaign.graph, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=CAMPAIGN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"The same: all {len(campaign.entries())} entries" in done.stdout

    # And it would have been seen if one word were another.
    first, second = CampaignFolder(campaign.path), CampaignFolder(tmp_path / "steep")
    with sqlite3.connect(second.journal_file) as journal:
        (table, column) = _text_of(journal)
        journal.execute(
            f"UPDATE {table} SET {column} = replace({column}, 'crucible-02', 'crucible-20')"
        )
    journal.close()
    assert compare(first, second) == 1
    assert "crucible-20" in capsys.readouterr().err


def _text_of(journal: sqlite3.Connection) -> tuple[str, str]:
    """Table and column of the entries' words."""
    for (table,) in journal.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
        for row in journal.execute(f"PRAGMA table_info({table})"):
            found = journal.execute(
                f"SELECT count(*) FROM {table} WHERE {row[1]} LIKE '%crucible-02%'"
            ).fetchone()
            if found[0] > 3:
                return table, row[1]
    raise AssertionError("the journal names no crucible")
