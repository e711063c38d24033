"""A context: one session on the wire, with its domain, its arguments and its end."""

from __future__ import annotations

import atexit
import itertools
import sys
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import zenoh

from ..session import domain_id as domain_id_of_environment
from ..session import open_session
from ._core import arguments
from ._core.graph import Graph
from ._core.ready import LOCK
from .exceptions import InvalidHandle, NotInitializedException, RCLError

if TYPE_CHECKING:
    from .executors import Executor

_LONGEST_CLOSE_SEC = 10.0
_LONGEST_DRAIN_SEC = 1.0
_living: weakref.WeakSet[Context] = weakref.WeakSet()


class Context:
    """Encapsulates init and shutdown. The session on the wire lives from one to the other."""

    def __init__(self) -> None:
        self._state_lock = threading.RLock()
        self._up = False
        self._was_initialised = False
        # Queries whose end zenoh has not told yet; it may do so after its session is closed, and
        # an interpreter that is gone by then would be aborted.
        self._queries = 0
        self._queries_changed = threading.Condition()
        self._closing_thread: int | None = None
        self._closed = threading.Event()
        self._closed.set()
        self._session: zenoh.Session | None = None
        self._graph: Graph | None = None
        self._zid = ""
        self._domain_id: int | None = None
        self._arguments = arguments.RosArguments()
        self._ids = itertools.count()
        self._callbacks: list[Callable[[], Any]] = []
        self._executors: weakref.WeakSet[Executor] = weakref.WeakSet()
        self._sleepers: set[Callable[[], None]] = set()

    def init(
        self,
        args: list[str] | None = None,
        *,
        initialize_logging: bool = True,
        domain_id: int | None = None,
    ) -> None:
        """Parse the arguments (``sys.argv`` where None) and join the graph.

        Raises RuntimeError when called twice, UnknownROSArgsError for strange ROS arguments.
        """
        from . import logging

        with self._state_lock:
            if self._up:
                raise RuntimeError("Context.init() must only be called once")
            self._arguments = arguments.parse(sys.argv if args is None else args)
            if domain_id is not None and domain_id < 0:
                raise RuntimeError(f"Domain id ({domain_id}) should not be lower than zero.")
            if initialize_logging:
                logging._outputs["stdout"] = self._arguments.logs_to("stdout")
                for name, level in self._arguments.log_levels:
                    logging.set_logger_level(name, logging.get_logging_severity_from_string(level))
            self._domain_id = domain_id_of_environment() if domain_id is None else domain_id
            session = open_session()
            self._session = session
            self._zid = str(session.zid())
            self._graph = Graph(session, self._domain_id)
            self._up = self._was_initialised = True
            _living.add(self)

    def ok(self) -> bool:
        """Return whether it was initialised and not shut down since."""
        return self._up

    def get_domain_id(self) -> int:
        """Return the domain; NotInitializedException before init."""
        if self._domain_id is None:
            raise NotInitializedException
        return self._domain_id

    def shutdown(self) -> None:
        """Leave the graph and wake whoever waits; RuntimeError if it is not up."""
        if not self._shut_down():
            reason = "has been shut down" if self._was_initialised else "is not initialised"
            raise RuntimeError(f"cannot shut down: the context {reason}")

    def try_shutdown(self) -> None:
        """Leave the graph, if it is up."""
        self._shut_down()

    def on_shutdown(self, callback: Callable[[], Any]) -> None:
        """Call back after shutdown."""
        if not callable(callback):
            raise TypeError("callback should be callable")
        with self._state_lock:
            if self._up or not self._was_initialised:
                self._callbacks.append(callback)
                return
        callback()

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *_: object) -> None:
        self.try_shutdown()

    def _shut_down(self) -> bool:
        with self._state_lock:
            closes = self._up
            self._up = False
            if closes:
                self._closing_thread = threading.get_ident()
                self._closed.clear()
        if not closes:
            # Whoever ends the process now would end it in the middle of another thread's shutdown.
            if self._closing_thread != threading.get_ident():
                self._closed.wait(_LONGEST_CLOSE_SEC)
            return False
        try:
            self._close()
        finally:
            self._closing_thread = None
            self._closed.set()
        return True

    def _close(self) -> None:
        with self._state_lock:
            session, graph = self._session, self._graph
            callbacks, self._callbacks = self._callbacks, []
        with LOCK:
            for executor in list(self._executors):
                executor._rclpy_wake_locked()
            sleepers = list(self._sleepers)
        for wake in sleepers:
            wake()
        if graph is not None:
            graph.close()
        for callback in callbacks:
            callback()
        if session is not None:
            session.close()
            with self._queries_changed:
                self._queries_changed.wait_for(lambda: not self._queries, _LONGEST_DRAIN_SEC)

    def _query_begins(self) -> None:
        with self._queries_changed:
            self._queries += 1

    def _query_ended(self) -> None:
        with self._queries_changed:
            self._queries -= 1
            self._queries_changed.notify_all()

    def _add_executor(self, executor: Executor) -> None:
        with LOCK:
            self._executors.add(executor)

    def _add_sleeper(self, wake: Callable[[], None]) -> None:
        with LOCK:
            self._sleepers.add(wake)

    def _remove_sleeper(self, wake: Callable[[], None]) -> None:
        with LOCK:
            self._sleepers.discard(wake)

    def _overtook(self, error: BaseException) -> bool:
        """Return whether an error only tells that work went on while the context was shut down."""
        errors = (RCLError, InvalidHandle, NotInitializedException, zenoh.ZError)
        return not self._up and isinstance(error, errors)

    def _live_session(self) -> zenoh.Session:
        """Return the session; NotInitializedException where the context is not up."""
        if not self._up or self._session is None:
            raise NotInitializedException("the context is not up")
        return self._session

    def _live_graph(self) -> Graph:
        if not self._up or self._graph is None:
            raise NotInitializedException("the context is not up")
        return self._graph


def shut_down_all() -> None:
    """Shut down every context of this process."""
    for context in list(_living):
        context.try_shutdown()


# An interpreter that ends while zenoh still calls back would crash or hang.
atexit.register(shut_down_all)
