"""Futures, and tasks that run functions and coroutines in an executor."""

from __future__ import annotations

import contextlib
import inspect
import threading
import weakref
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from .executors import Executor

T = TypeVar("T")


class Future(Generic[T]):
    """A result that comes later. Safe to use from all threads."""

    def __init__(self, *, executor: Executor | None = None) -> None:
        self._lock = threading.Lock()
        self._done = False
        self._cancelled = False
        self._result: T | None = None
        self._exception: BaseException | None = None
        self._exception_fetched = False
        self._callbacks: list[Callable[[Future[T]], Any]] = []
        self._wakeups: list[Callable[[], None]] = []
        self._executor: weakref.ref[Executor] | None = None
        self._set_executor(executor)

    def _set_executor(self, executor: Executor | None) -> None:
        self._executor = None if executor is None else weakref.ref(executor)

    def __await__(self) -> Generator[Any, None, T | None]:
        while not self.done():
            yield self
        return self.result()

    def done(self) -> bool:
        """Return whether there is a result, an exception, or a cancellation."""
        return self._done or self._cancelled

    def cancelled(self) -> bool:
        """Return whether it was cancelled."""
        return self._cancelled

    def result(self) -> T | None:
        """Return the result, or None where there is none yet; raise the exception if it has one."""
        if self._exception is not None:
            self._exception_fetched = True
            raise self._exception
        return self._result

    def exception(self) -> BaseException | None:
        """Return the exception, if it ended with one."""
        self._exception_fetched = True
        return self._exception

    def set_result(self, result: T) -> None:
        """Complete it."""
        with self._lock:
            self._result = result
            self._done = True
            self._cancelled = False
        self._complete()

    def set_exception(self, exception: BaseException) -> None:
        """Complete it with an exception."""
        with self._lock:
            self._exception = exception
            self._exception_fetched = False
            self._done = True
            self._cancelled = False
        self._complete()

    def cancel(self) -> None:
        """Give it up; nothing happens if it is done."""
        with self._lock:
            if self._done or self._cancelled:
                return
            self._cancelled = True
        self._complete()

    def add_done_callback(self, callback: Callable[[Future[T]], Any]) -> None:
        """Call ``callback(self)`` when done: as a task of the executor if there is one, else here.

        If it is done already, the callback is scheduled or called at once.
        """
        with self._lock:
            if not (self._done or self._cancelled):
                self._callbacks.append(callback)
                return
        self._call_back([callback])

    def remove_done_callback(self, callback: Callable[[Future[T]], Any]) -> bool:
        """Forget a callback; return whether it was there."""
        with self._lock:
            try:
                self._callbacks.remove(callback)
            except ValueError:
                return False
            return True

    def _add_wakeup(self, wakeup: Callable[[], None]) -> None:
        """Call ``wakeup()`` in the completing thread, always, before the done callbacks."""
        with self._lock:
            if not (self._done or self._cancelled):
                self._wakeups.append(wakeup)
                return
        wakeup()

    def _remove_wakeup(self, wakeup: Callable[[], None]) -> None:
        with self._lock, contextlib.suppress(ValueError):
            self._wakeups.remove(wakeup)

    def _complete(self) -> None:
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
            wakeups, self._wakeups = self._wakeups, []
        for wakeup in wakeups:
            wakeup()
        self._call_back(callbacks)

    def _call_back(self, callbacks: list[Callable[[Future[T]], Any]]) -> None:
        executor = None if self._executor is None else self._executor()
        for callback in callbacks:
            if executor is not None:
                executor._rclpy_schedule(Task(callback, (self,), executor=executor))
            else:
                callback(self)


class Task(Future[T]):
    """A function or coroutine that an executor runs; also the future of its result."""

    def __init__(
        self,
        handler: Any,
        args: tuple[Any, ...] | list[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        executor: Executor | None = None,
    ) -> None:
        super().__init__(executor=executor)
        if inspect.iscoroutine(handler):
            self._coroutine: Any = handler
            self._function = None
        else:
            self._coroutine = None
            self._function = handler
        self._args = tuple(args or ())
        self._kwargs = dict(kwargs or {})
        self._running = threading.Lock()

    def executing(self) -> bool:
        """Return whether a thread runs it now."""
        return self._running.locked()

    def cancel(self) -> None:
        """Give it up; a suspended coroutine is closed."""
        super().cancel()
        coroutine = self._coroutine
        if coroutine is not None and self._running.acquire(blocking=False):
            try:
                coroutine.close()
            finally:
                self._running.release()

    def __call__(self) -> None:
        """Run it up to its end or its next await. A second thread that calls meanwhile returns."""
        if self.done() or not self._running.acquire(blocking=False):
            return
        awaited: Any = None
        try:
            if self._function is not None:
                function, self._function = self._function, None
                outcome = function(*self._args, **self._kwargs)
                if not inspect.iscoroutine(outcome):
                    self.set_result(outcome)
                    return
                self._coroutine = outcome
            awaited = self._coroutine.send(None)
        except StopIteration as end:
            self._coroutine = None
            self.set_result(end.value)
            return
        except Exception as error:
            self._coroutine = None
            self.set_exception(error)
            return
        finally:
            self._running.release()
        self._suspend(awaited)

    def _suspend(self, awaited: Any) -> None:
        executor = None if self._executor is None else self._executor()
        if isinstance(awaited, Future):
            if executor is not None:
                awaited._add_wakeup(lambda: executor._rclpy_schedule(self))
        elif executor is not None:
            executor._rclpy_schedule(self, fresh=True)
