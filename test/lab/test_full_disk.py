"""A full disk stops the lab before a goal leaves whose intent is not on it, and breaks nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from matlab_ros.lab.engine import Engine
from matlab_ros.lab.events import AttemptIntended
from matlab_ros.lab.journal import JournalError, JournalReader, SqlJournal
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_words import ExperimentState
from matlab_ros.nodes.table_lab import TableLab

resource = pytest.importorskip("resource", reason="limits of a process are POSIX's")


@dataclass(frozen=True)
class Disk:
    """A folder whose space ends and comes again.

    Attributes:
        folder: for the journal.
        fill: leave so many bytes for what the journal still writes.
        empty: give it all the space it wants.
    """

    folder: Path
    fill: Callable[[int], None]
    empty: Callable[[], None]


@pytest.fixture
def tiny_filesystem(tmp_path) -> Iterator[Disk]:
    """A file system of its own; needs the rights to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*arguments: str) -> bool:
        done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, check=False)
        return done.returncode == 0

    if os.geteuid() != 0 or not mount("-t", "tmpfs", "-o", "size=16m", "tmpfs"):
        pytest.skip("mounting a file system needs rights that this user does not have")
    ballast = folder / "ballast"

    def fill(spare: int) -> None:
        free = os.statvfs(folder)
        with ballast.open("wb") as file:
            file.write(bytes(free.f_bavail * free.f_frsize - spare))

    yield Disk(folder, fill, ballast.unlink)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def file_limit(tmp_path) -> Iterator[Disk]:
    """No file of this process may grow further; such writes fail as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(spare: int) -> None:
        longest = max(file.stat().st_size for file in tmp_path.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (longest + spare, hard))

    def empty() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    yield Disk(tmp_path, fill, empty)
    empty()


@pytest.mark.parametrize("spare", [0, 9_000, 40_000, 130_000])
@pytest.mark.parametrize("kind", ["tiny_filesystem", "file_limit"])
def test_no_goal_leaves_a_full_disk_and_the_lab_goes_on_with_a_free_one(
    request, kind, spare, lab, make_plan, faulty_devices, drawing_planner
):
    disk = request.getfixturevalue(kind)
    url = f"sqlite:///{disk.folder}/journal.sqlite"
    journal = SqlJournal(url)
    devices = faulty_devices(lab, 0, 0.0)
    table = TableLab(Engine(lab, journal), devices, drawing_planner())
    table.start(make_plan())
    for _ in range(3):
        table.step()
    disk.fill(spare)
    try:
        with pytest.raises(JournalError, match="Check the disk's space"):
            table.run()
    finally:
        disk.empty()
    journal.close()

    reader = JournalReader(url)
    intended = {
        entry.event.attempt_id
        for entry in reader.read()
        if isinstance(entry.event, AttemptIntended)
    }
    reader.close()
    assert set(devices._known) <= intended

    journal = SqlJournal(url)
    table.replace_engine(Engine.recover(lab, journal, table.now_ns))
    assert table.run().code == FaultCode.NONE
    runs = table.engine.state.experiments.values()
    assert [run.state for run in runs] == [ExperimentState.SUCCEEDED] * 6
    assert len(devices.doses) == len(set(devices.doses)) == 12
    journal.close()
