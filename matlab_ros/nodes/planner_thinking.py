"""One thread that thinks for the planner: one question at a time, and a newer one comes first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from matlab_ros.model.errors import LabError

Answer = TypeVar("Answer")


class Superseded(LabError):
    """Another question came before this one was answered."""


@dataclass(frozen=True)
class _Question(Generic[Answer]):
    """What is being thought about.

    Attributes:
        key: equal for equal questions.
        future: its answer.
        unwanted: set when another question has come.
    """

    key: object
    future: Future[Answer]
    unwanted: threading.Event = field(default_factory=threading.Event)


class Thinker(Generic[Answer]):
    """Answers questions in a thread of its own.

    An equal question that is asked again, while the first is thought about or just after it, gets
    the same answer without thinking twice. A different one supersedes what is thought about: that
    is told to stop, and whoever waits for it gets `Superseded`.

    Args:
        prepare: run in the thread before anything else.
    """

    def __init__(self, prepare: Callable[[], None] | None = None) -> None:
        self._pool = ThreadPoolExecutor(1, "thinking", initializer=prepare)
        self._lock = threading.Lock()
        self._question: _Question[Answer] | None = None

    def ask(self, key: object, think: Callable[[threading.Event], Answer]) -> Answer:
        """Wait for the answer to a question.

        Args:
            key: equal for equal questions.
            think: gives the answer; told to give what it has by the event.

        Raises:
            Superseded: a different question came first. Whatever `think` raises is raised too.
        """
        with self._lock:
            question = self._question
            if question is None or question.key != key or _has_failed(question.future):
                if question is not None and not question.future.done():
                    question.unwanted.set()
                question = self._question = self._begin(key, think)
        answer = question.future.result()
        if question.unwanted.is_set():
            raise Superseded("Another question came before this one was answered; ask again.")
        return answer

    def do_later(self, work: Callable[[], None]) -> Future[None]:
        """Have something done in the same thread, after what is thought about."""
        return self._pool.submit(work)

    def close(self) -> None:
        """Stop thinking; what is thought about is told to stop, and not waited for."""
        with self._lock:
            if self._question is not None:
                self._question.unwanted.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, key: object, think: Callable[[threading.Event], Answer]) -> _Question[Answer]:
        unwanted = threading.Event()

        def run() -> Answer:
            if unwanted.is_set():
                raise Superseded("Another question came before this one was begun; ask again.")
            return think(unwanted)

        return _Question(key, self._pool.submit(run), unwanted)


def _has_failed(future: Future[Answer]) -> bool:
    return future.done() and (future.cancelled() or future.exception() is not None)
