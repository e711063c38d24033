"""What a device remembers of its attempts survives its process and never changes."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.nodes import attempt_memory
from matlab_ros.nodes.attempt_memory import AttemptMemory, Known, Recollection

SUCCEEDED, ABORTED = 4, 6


def test_an_attempt_is_new_once_then_begun_then_ended(tmp_path: Path) -> None:
    file = tmp_path / "made" / "on demand" / "furnace.sqlite"
    memory = AttemptMemory(file)
    assert memory.begin("c-e1/heat/1", "goal", 7) == Recollection(Known.NEW)
    memory.note("c-e1/heat/1", "program started")
    memory.close()

    memory = AttemptMemory(file)
    assert memory.begin("c-e1/heat/1", "goal", 9) == Recollection(
        Known.BEGUN, began_ns=7, note="program started"
    )
    memory.end("c-e1/heat/1", SUCCEEDED, b"outcome")
    memory.close()

    memory = AttemptMemory(file)
    found = memory.begin("c-e1/heat/1", "goal", 11)
    assert (found.known, found.status, found.result) == (Known.ENDED, SUCCEEDED, b"outcome")
    assert found.began_ns == 7
    memory.close()


def test_an_id_with_another_goal_is_a_conflict_and_changes_nothing() -> None:
    memory = AttemptMemory(None)
    memory.begin("c-e1/heat/1", "goal", 7)
    assert memory.begin("c-e1/heat/1", "another goal", 8).known is Known.CONFLICT
    assert memory.begin("c-e1/heat/1", "goal", 9).known is Known.BEGUN
    memory.end("c-e1/heat/1", SUCCEEDED, b"outcome")
    assert memory.begin("c-e1/heat/1", "another goal", 10).known is Known.CONFLICT


@settings(deadline=None)
@given(outcomes=st.lists(st.tuples(st.sampled_from([4, 5, 6]), st.binary()), min_size=1))
def test_the_first_outcome_stays(outcomes: list[tuple[int, bytes]]) -> None:
    memory = AttemptMemory(None)
    memory.begin("a", "goal", 1)
    for status, result in outcomes:
        memory.end("a", status, result)
    found = memory.begin("a", "goal", 2)
    assert (found.status, found.result) == outcomes[0]
    memory.close()


def test_old_outcomes_are_forgotten_but_nothing_that_is_under_way(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(attempt_memory, "KEPT", 10)
    memory = AttemptMemory(None)
    memory.begin("under way", "goal", 1)
    for number in range(30):
        memory.begin(f"short {number}", "goal", 1)
        memory.end(f"short {number}", ABORTED, b"")
    assert memory.begin("under way", "goal", 2).known is Known.BEGUN
    assert memory.begin("short 29", "goal", 2).known is Known.ENDED
    assert memory.begin("short 0", "goal", 2).known is Known.NEW
