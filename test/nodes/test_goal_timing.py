"""The log of how fast goals are sent: written as it happens, read as far as it was written."""

from __future__ import annotations

from pathlib import Path

from matlab_ros.nodes.lab_manager_timing import GoalTiming, TimingLog, read_timings

FIRST = GoalTiming("c-e0001/heat/1", "heat", "AttemptFinished", 10, 20, 30)
SECOND = GoalTiming("c-e0002/heat/1", "heat", "Tick", 40, 50, 60)


def test_a_log_is_continued_by_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "run" / "timing.csv"
    TimingLog(path).note(FIRST)
    TimingLog(path).note(SECOND)
    assert read_timings(path) == (FIRST, SECOND)


def test_a_line_without_its_end_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "timing.csv"
    TimingLog(path).note(FIRST)
    with path.open("a") as file:
        file.write("c-e0002/heat/1,heat,Ti")
    assert read_timings(path) == (FIRST,)


def test_no_path_keeps_no_log() -> None:
    TimingLog(None).note(FIRST)
