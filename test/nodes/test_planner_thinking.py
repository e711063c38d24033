"""One thread thinks: equal questions are thought about once, a newer one comes first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from matlab_ros.nodes.planner_thinking import Superseded, Thinker

DEADLINE_S = 30.0


@pytest.fixture
def thinker() -> Iterator[Thinker[str]]:
    found: Thinker[str] = Thinker()
    yield found
    found.close()


class Slow:
    """A question that is thought about until the test says so, or until nobody wants the answer."""

    def __init__(self, answer: str = "late") -> None:
        self.began = threading.Event()
        self.go_on = threading.Event()
        self.count = 0
        self._answer = answer

    def __call__(self, unwanted: threading.Event) -> str:
        self.count += 1
        self.began.set()
        while not (self.go_on.wait(0.01) or unwanted.is_set()):
            pass
        return self._answer


def asked(
    thinker: Thinker[str], key: object, think: Callable[[threading.Event], str]
) -> Future[str]:
    """A question from a thread of its own."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(thinker.ask, key, think)
    pool.shutdown(wait=False)
    return future


def test_an_equal_question_waits_for_the_same_answer(thinker: Thinker[str]) -> None:
    slow = Slow()
    first = asked(thinker, ("a", 1), slow)
    assert slow.began.wait(DEADLINE_S)
    second = asked(thinker, ("a", 1), slow)
    slow.go_on.set()
    assert first.result(DEADLINE_S) == second.result(DEADLINE_S) == "late"
    assert thinker.ask(("a", 1), slow) == "late"
    assert slow.count == 1


def test_a_newer_question_does_not_wait_for_an_old_one(thinker: Thinker[str]) -> None:
    slow = Slow()
    old = asked(thinker, "old", slow)
    assert slow.began.wait(DEADLINE_S)
    assert thinker.ask("new", lambda _: "prompt") == "prompt"
    with pytest.raises(Superseded):
        old.result(DEADLINE_S)


def test_an_answer_that_was_ready_is_given_though_another_question_came(
    thinker: Thinker[str],
) -> None:
    assert thinker.ask("old", lambda _: "one") == "one"
    assert thinker.ask("new", lambda _: "two") == "two"
    assert thinker.ask("new", lambda _: "three") == "two"


def test_a_failure_is_told_and_the_question_may_be_asked_again(thinker: Thinker[str]) -> None:
    def fails(_unwanted: threading.Event) -> str:
        raise ArithmeticError("no Cholesky factor")

    with pytest.raises(ArithmeticError):
        thinker.ask("a", fails)
    assert thinker.ask("a", lambda _: "better") == "better"


def test_other_work_comes_after_what_is_thought_about(thinker: Thinker[str]) -> None:
    slow = Slow()
    order: list[str] = []
    first = asked(thinker, "a", slow)
    assert slow.began.wait(DEADLINE_S)
    later = thinker.do_later(lambda: order.append("work"))
    assert not later.done()
    slow.go_on.set()
    assert first.result(DEADLINE_S) == "late"
    later.result(DEADLINE_S)
    assert order == ["work"]


def test_closing_ends_what_is_thought_about() -> None:
    thinker: Thinker[str] = Thinker()
    slow = Slow()
    first = asked(thinker, "a", slow)
    assert slow.began.wait(DEADLINE_S)
    thinker.close()
    with pytest.raises(Superseded):
        first.result(DEADLINE_S)
