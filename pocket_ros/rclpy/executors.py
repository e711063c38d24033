"""Executors: they take what is ready, in the order of its arrival, and run its callbacks."""

from __future__ import annotations

import atexit
import heapq
import inspect
import itertools
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ._core import ready
from ._core.ready import LOCK, Executable
from .context import Context
from .task import Future, Task
from .utilities import get_default_context, timeout_sec_to_nsec

if TYPE_CHECKING:
    from .node import Node

# Windows does not interrupt a wait for a lock when a signal comes.
_LONGEST_WAIT_SEC = 0.2 if sys.platform == "win32" else None

_LONGEST_JOIN_SEC = 1.0
_living: weakref.WeakSet[Executor] = weakref.WeakSet()

_Item = tuple[int, "Executable | None", Any]


class TimeoutException(Exception):
    """Nothing became ready in time."""


class ShutdownException(Exception):
    """The executor was shut down."""


class ExternalShutdownException(Exception):
    """The context was shut down while an executor waited."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)


class ConditionReachedException(Exception):
    """The future that a spin waited for is done."""


async def await_or_execute(callback: Any, *args: Any) -> Any:
    """Call a function, or await a coroutine function, and return the result."""
    result = callback(*args)
    return await result if inspect.isawaitable(result) else result


class Executor:
    """Base of executors: nodes, tasks and the choice of what comes next.

    A subclass may use all names but ``_rclpy_...``.
    """

    def __init__(self, *, context: Context | None = None) -> None:
        self._rclpy_context = get_default_context() if context is None else context
        self._rclpy_nodes: list[Node] = []
        self._rclpy_tasks: list[tuple[int, int, Task[Any]]] = []
        self._rclpy_task_numbers = itertools.count()
        self._rclpy_changed = threading.Condition(LOCK)
        self._rclpy_is_shutdown = False
        # Threads that execute an item; an interrupt may come before one signs off.
        self._rclpy_busy: set[int] = set()
        # A name of rclpy that others' code reads.
        self._context = self._rclpy_context
        self._rclpy_context._add_executor(self)
        _living.add(self)

    @property
    def context(self) -> Context:
        """The context that it belongs to."""
        return self._rclpy_context

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    # Nodes

    def add_node(self, node: Node) -> bool:
        """Take over a node; False if it has it already."""
        with LOCK:
            if node in self._rclpy_nodes:
                return False
            previous = node._rclpy_inbox.executor
            if previous is not None and node in previous._rclpy_nodes:
                previous._rclpy_nodes.remove(node)
            self._rclpy_nodes.append(node)
            node._rclpy_inbox.executor = self
            self._rclpy_wake_locked()
        return True

    def remove_node(self, node: Node) -> None:
        """Let a node go. What is ready there stays there."""
        with LOCK:
            if node in self._rclpy_nodes:
                self._rclpy_nodes.remove(node)
                if node._rclpy_inbox.executor is self:
                    node._rclpy_inbox.executor = None
            self._rclpy_wake_locked()

    def get_nodes(self) -> list[Node]:
        """Return its nodes."""
        with LOCK:
            return list(self._rclpy_nodes)

    # Tasks

    def create_task(
        self, callback: Callable[..., Any] | Coroutine[Any, Any, Any], *args: Any, **kwargs: Any
    ) -> Task[Any]:
        """Run a function or coroutine in this executor, outside all callback groups."""
        task: Task[Any] = Task(callback, args, kwargs, executor=self)
        self._rclpy_schedule(task, fresh=True)
        return task

    def create_future(self) -> Future[Any]:
        """Return a future whose callbacks run in this executor."""
        return Future(executor=self)

    def _rclpy_schedule(self, task: Task[Any], *, fresh: bool = False) -> None:
        arrival = ready.next_arrival() if fresh else ready.current_arrival()
        with LOCK:
            heapq.heappush(self._rclpy_tasks, (arrival, next(self._rclpy_task_numbers), task))
            self._rclpy_notify_work()

    # The choice. All with LOCK held.

    def _rclpy_notify_work(self) -> None:
        self._rclpy_changed.notify()

    def _rclpy_notify_timers(self) -> None:
        self._rclpy_changed.notify()

    def _rclpy_wake_locked(self) -> None:
        self._rclpy_changed.notify_all()

    def _rclpy_promote_due_timers(self) -> None:
        for node in self._rclpy_nodes:
            node._rclpy_inbox.promote_due_timers()

    def _rclpy_next_deadline(self) -> int | None:
        deadlines = [
            deadline
            for node in self._rclpy_nodes
            if (deadline := node._rclpy_inbox.next_deadline()) is not None
        ]
        return min(deadlines, default=None)

    def _rclpy_pick(self) -> _Item | None:
        """Take the item that arrived first among those that may run now."""
        best: Executable | None = None
        best_arrival = 0
        for node in self._rclpy_nodes:
            for entity in node._rclpy_inbox.ready:
                arrival = entity._items[0][0]
                if best is None or arrival < best_arrival:
                    group = entity.callback_group
                    if group is None or group.can_execute(entity):
                        best, best_arrival = entity, arrival
        if self._rclpy_tasks and (best is None or self._rclpy_tasks[0][0] <= best_arrival):
            arrival, _, task = heapq.heappop(self._rclpy_tasks)
            self._rclpy_busy.add(threading.get_ident())
            return arrival, None, task
        if best is None:
            return None
        group = best.callback_group
        if group is not None:
            group.beginning_execution(best)
        self._rclpy_busy.add(threading.get_ident())
        arrival, data = best._take_locked()
        return arrival, best, data

    def _rclpy_next_item(
        self, deadline_ns: int | None, reached: Callable[[], bool] | None = None
    ) -> _Item:
        """Wait for an item. Raises one of this module's exceptions where none comes."""
        with LOCK:
            while True:
                if reached is not None and reached():
                    raise ConditionReachedException
                if self._rclpy_is_shutdown:
                    raise ShutdownException
                if not self._rclpy_context.ok():
                    raise ExternalShutdownException
                self._rclpy_promote_due_timers()
                item = self._rclpy_pick()
                if item is not None:
                    return item
                self._rclpy_wait_locked(deadline_ns)

    def _rclpy_wait_locked(self, deadline_ns: int | None) -> None:
        now = time.monotonic_ns()
        if deadline_ns is not None and now >= deadline_ns:
            raise TimeoutException
        timer = self._rclpy_next_deadline()
        moments = [moment for moment in (deadline_ns, timer) if moment is not None]
        seconds = max(0, min(moments) - now) * 1e-9 if moments else None
        if _LONGEST_WAIT_SEC is not None:
            seconds = _LONGEST_WAIT_SEC if seconds is None else min(seconds, _LONGEST_WAIT_SEC)
        self._rclpy_changed.wait(seconds)

    # Execution, without LOCK.

    def _rclpy_run(self, item: _Item) -> None:
        """Execute an item; raises what its callback raised, unless a shutdown was the cause."""
        arrival, entity, data = item
        del item
        ready.set_current_arrival(arrival)
        suspended = False
        try:
            if entity is None:
                data()
                if data.done() and not data._exception_fetched and data._exception is not None:
                    raise data._exception
            else:
                outcome = entity._execute(data)
                if inspect.iscoroutine(outcome):
                    suspended = True
                    self._rclpy_run_coroutine(entity, outcome)
        except Exception as error:
            if not self._rclpy_context._overtook(error):
                raise
        finally:
            ready.set_current_arrival(0)
            # Dropping objects of zenoh is work too, which the end of the process must wait for.
            data = None
            with LOCK:
                self._rclpy_busy.discard(threading.get_ident())
                if entity is not None and not suspended:
                    self._rclpy_release_locked(entity)
                if self._rclpy_is_shutdown:
                    self._rclpy_changed.notify_all()

    def _rclpy_run_coroutine(self, entity: Executable, coroutine: Coroutine[Any, Any, Any]) -> None:
        task: Task[Any] = Task(coroutine, executor=self)

        def release() -> None:
            with LOCK:
                self._rclpy_release_locked(entity)

        task._add_wakeup(release)
        task()
        if task.done() and task._exception is not None:
            raise task._exception

    def _rclpy_release_locked(self, entity: Executable) -> None:
        if entity.callback_group is not None:
            entity.callback_group.ending_execution(entity)
            if entity._inbox.ready:
                self._rclpy_notify_work()

    # Spinning

    def spin(self) -> None:
        """Execute callbacks until the context or the executor is shut down."""
        while self._rclpy_context.ok() and not self._rclpy_is_shutdown:
            self._rclpy_spin_once(None)

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait for one callback and execute it; negative or no timeout waits for ever."""
        self._rclpy_spin_once(_deadline(timeout_sec))

    def spin_until_future_complete(
        self, future: Future[Any], timeout_sec: float | None = None
    ) -> None:
        """Execute callbacks until the future is done, or ``timeout_sec`` passed."""
        deadline = _deadline(timeout_sec)
        future._add_wakeup(self.wake)
        try:
            while self._rclpy_context.ok() and not self._rclpy_is_shutdown and not future.done():
                self._rclpy_spin_once(deadline, future.done)
                if deadline is not None and time.monotonic_ns() >= deadline:
                    return
        finally:
            future._remove_wakeup(self.wake)

    def spin_once_until_future_complete(
        self, future: Future[Any], timeout_sec: float | None = None
    ) -> None:
        """Execute one callback, unless the future is done before."""
        future._add_wakeup(self.wake)
        try:
            self._rclpy_spin_once(_deadline(timeout_sec), future.done)
        finally:
            future._remove_wakeup(self.wake)

    def _rclpy_spin_once(
        self, deadline_ns: int | None, reached: Callable[[], bool] | None = None
    ) -> None:
        raise NotImplementedError

    def wake(self) -> None:
        """Let whoever waits here look again."""
        with LOCK:
            self._rclpy_wake_locked()

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Stop executing and wait for callbacks that run; False if they took longer."""
        deadline = _deadline(timeout_sec)
        with LOCK:
            self._rclpy_is_shutdown = True
            self._rclpy_wake_locked()
            while self._rclpy_busy - {threading.get_ident()}:
                remaining = None if deadline is None else (deadline - time.monotonic_ns()) * 1e-9
                if remaining is not None and remaining <= 0:
                    return False
                self._rclpy_changed.wait(remaining)
            for node in self._rclpy_nodes:
                if node._rclpy_inbox.executor is self:
                    node._rclpy_inbox.executor = None
            self._rclpy_nodes.clear()
            tasks, self._rclpy_tasks = self._rclpy_tasks, []
        for _, _, task in tasks:
            task.cancel()
        return True


def _deadline(timeout_sec: float | None) -> int | None:
    nanoseconds = timeout_sec_to_nsec(timeout_sec)
    return None if nanoseconds < 0 else time.monotonic_ns() + nanoseconds


class SingleThreadedExecutor(Executor):
    """Runs callbacks in the thread that spins."""

    def _rclpy_spin_once(
        self, deadline_ns: int | None, reached: Callable[[], bool] | None = None
    ) -> None:
        try:
            item = self._rclpy_next_item(deadline_ns, reached)
        except (TimeoutException, ShutdownException, ConditionReachedException):
            return
        held = [item]
        del item
        self._rclpy_run(held.pop())


class MultiThreadedExecutor(Executor):
    """Runs callbacks in a fixed pool of threads, which take their work themselves.

    The thread that spins only watches timers, shutdown and callbacks' exceptions, which it raises.
    """

    def __init__(self, num_threads: int | None = None, *, context: Context | None = None) -> None:
        super().__init__(context=context)
        self._rclpy_num_threads = num_threads or os.cpu_count() or 2
        self._rclpy_threads: list[threading.Thread] = []
        self._rclpy_work = threading.Condition(LOCK)
        self._rclpy_free_running = 0
        self._rclpy_handed: deque[_Item] = deque()
        self._rclpy_errors: deque[BaseException] = deque()

    def _rclpy_notify_work(self) -> None:
        if self._rclpy_free_running:
            self._rclpy_work.notify()
        else:
            self._rclpy_changed.notify()

    def _rclpy_wake_locked(self) -> None:
        self._rclpy_changed.notify_all()
        self._rclpy_work.notify_all()

    def _rclpy_start_threads(self) -> None:
        while len(self._rclpy_threads) < self._rclpy_num_threads:
            # Daemons, so that a process that forgets to shut down ends all the same.
            thread = threading.Thread(
                target=self._rclpy_work_loop,
                name=f"executor-{len(self._rclpy_threads)}",
                daemon=True,
            )
            # Started before it is listed: whoever shuts down joins what is listed.
            thread.start()
            self._rclpy_threads.append(thread)

    def _rclpy_take_work(self) -> _Item:
        """Wait for the next item; ShutdownException when the executor is shut down."""
        with LOCK:
            while not self._rclpy_is_shutdown:
                item = None
                if self._rclpy_handed:
                    item = self._rclpy_handed.popleft()
                    self._rclpy_busy.add(threading.get_ident())
                elif self._rclpy_free_running and self._rclpy_context.ok():
                    item = self._rclpy_pick()
                if item is not None:
                    if self._rclpy_tasks or any(
                        node._rclpy_inbox.ready for node in self._rclpy_nodes
                    ):
                        self._rclpy_notify_work()
                    return item
                self._rclpy_work.wait()
        raise ShutdownException

    def _rclpy_work_loop(self) -> None:
        while True:
            try:
                self._rclpy_run(self._rclpy_take_work())
            except ShutdownException:
                return
            except BaseException as error:
                with LOCK:
                    self._rclpy_errors.append(error)
                    self._rclpy_changed.notify_all()

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Stop executing, wait for callbacks that run and end the threads."""
        ended = super().shutdown(timeout_sec)
        if ended:
            for thread in self._rclpy_threads:
                if thread is not threading.current_thread():
                    thread.join(_LONGEST_JOIN_SEC)
        return ended

    def _rclpy_raise_error(self) -> None:
        if self._rclpy_errors:
            raise self._rclpy_errors.popleft()

    def _rclpy_spin_once(
        self, deadline_ns: int | None, reached: Callable[[], bool] | None = None
    ) -> None:
        self._rclpy_start_threads()
        try:
            item = self._rclpy_next_item(deadline_ns, reached)
        except (TimeoutException, ShutdownException, ConditionReachedException):
            self._rclpy_raise_error()
            return
        with LOCK:
            self._rclpy_busy.discard(threading.get_ident())
            self._rclpy_handed.append(item)
            self._rclpy_work.notify()
        self._rclpy_raise_error()

    def spin(self) -> None:
        self._rclpy_spin_freely(None, None)

    def spin_until_future_complete(
        self, future: Future[Any], timeout_sec: float | None = None
    ) -> None:
        future._add_wakeup(self.wake)
        try:
            self._rclpy_spin_freely(_deadline(timeout_sec), future.done)
        finally:
            future._remove_wakeup(self.wake)

    def _rclpy_spin_freely(
        self, deadline_ns: int | None, reached: Callable[[], bool] | None
    ) -> None:
        self._rclpy_start_threads()
        with LOCK:
            if self._rclpy_is_shutdown or not self._rclpy_context.ok():
                return
            self._rclpy_free_running += 1
            self._rclpy_work.notify_all()
            try:
                while not self._rclpy_is_shutdown and not (reached is not None and reached()):
                    self._rclpy_raise_error()
                    if not self._rclpy_context.ok():
                        raise ExternalShutdownException
                    self._rclpy_promote_due_timers()
                    self._rclpy_wait_locked(deadline_ns)
            except TimeoutException:
                return
            finally:
                self._rclpy_free_running -= 1
            self._rclpy_raise_error()


def _shut_down_all() -> None:
    for executor in list(_living):
        executor.shutdown(_LONGEST_JOIN_SEC)


# A thread that is inside zenoh when the interpreter goes would abort the process.
atexit.register(_shut_down_all)
