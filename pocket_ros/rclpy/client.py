"""Clients of services."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import zenoh
from zenoh import handlers

from ..idl import CdrError, deserialize, serialize
from ._core import wire
from ._core.endpoint import Endpoint
from ._core.graph import MATCH_POLL_SEC
from ._core.matching import ServiceMatching
from ._core.ready import Executable, Once
from .exceptions import InvalidHandle, RCLError
from .qos import QoSProfile
from .task import Future

if TYPE_CHECKING:
    from .callback_groups import CallbackGroup
    from .node import Node


class Client(Executable):
    """Calls a service.

    A response completes its future in the executor, in the client's callback group. As in rclpy,
    a call whose server dies stays pending: whoever calls watches the time or the graph.
    """

    def __init__(
        self,
        node: Node,
        srv_type: Any,
        srv_name: str,
        qos: QoSProfile,
        callback_group: CallbackGroup | None,
        *,
        query_timeout_sec: float | None = None,
    ) -> None:
        super().__init__(node._rclpy_inbox, callback_group)
        self.context = node.context
        self._node = node
        self.srv_type = srv_type
        self.srv_name = srv_name
        self.qos_profile = qos
        self._complain = Once(node.get_logger().error)
        self._lock = threading.Lock()
        self._sequence_number = 0
        self._pending: dict[int, Future[Any]] = {}
        self._endpoint = Endpoint(node, wire.CLIENT, srv_name, srv_type, qos)
        self._querier = self._endpoint.session.declare_querier(
            self._endpoint.key,
            target=zenoh.QueryTarget.ALL_COMPLETE,
            consolidation=zenoh.ConsolidationMode.NONE,
            timeout=query_timeout_sec,
        )
        self._servers = ServiceMatching(
            node, callback_group, wire.CLIENT, srv_name, self._endpoint.type_hash, qos
        )
        self._endpoint.announce()

    def call(self, request: Any, timeout_sec: float | None = None) -> Any:
        """Call and wait for the response; another thread must spin the node.

        None after ``timeout_sec``. Raises TypeError for a request of another type.
        """
        event = threading.Event()
        future = self.call_async(request)
        future._add_wakeup(event.set)
        if not event.wait(timeout_sec):
            self.remove_pending_request(future)
            return None
        return future.result()

    def call_async(self, request: Any) -> Future[Any]:
        """Call and return the future of the response; TypeError for a request of another type."""
        if not isinstance(request, self.srv_type.Request):
            raise TypeError(f"Expected {self.srv_type.Request}, got {type(request)}")
        if self._destroyed:
            raise InvalidHandle(f"the client of {self.srv_name} was destroyed")
        future: Future[Any] = Future()
        payload = serialize(request)
        with self._lock:
            self._sequence_number += 1
            number = self._sequence_number
            self._pending[number] = future
        future.add_done_callback(self.remove_pending_request)

        answered = False

        def on_reply(reply: Any) -> None:
            nonlocal answered
            if reply.ok is not None:
                answered = True
                self._post((number, reply.ok.payload))

        def on_end() -> None:
            if not answered:
                self._post((number, None))
            self.context._query_ended()

        self.context._query_begins()
        try:
            self._querier.get(
                handlers.Callback(on_reply, on_end, indirect=False),
                payload=payload,
                attachment=wire.pack_attachment(number, self._endpoint.gid),
            )
        except zenoh.ZError as error:
            self.remove_pending_request(future)
            raise RCLError(f"Failed to send a request to {self.srv_name}: {error}") from error
        return future

    def _execute(self, data: Any) -> None:
        number, payload = data
        with self._lock:
            future = self._pending.get(number)
        if future is None:
            return
        if payload is None:
            self._node.get_logger().warning(
                f"a call of '{self.srv_name}' ended without a response: no server answered it"
            )
            return
        try:
            response = deserialize(payload.to_bytes(), self.srv_type.Response)
        except (CdrError, ValueError) as error:
            self._complain(f"dropped a response of '{self.srv_name}' that cannot be read: {error}")
            return
        future._set_executor(self._inbox.executor)
        future.set_result(response)

    def get_pending_request(self, sequence_number: int) -> Future[Any]:
        """Return the future of a call that is not answered; KeyError where there is none."""
        with self._lock:
            return self._pending[sequence_number]

    def remove_pending_request(self, future: Future[Any]) -> None:
        """Forget a call; a response that still comes is dropped."""
        with self._lock:
            for number, pending in self._pending.items():
                if pending is future:
                    del self._pending[number]
                    break

    def service_is_ready(self) -> bool:
        """Return whether a call would reach a server now."""
        if not self.context.ok() or self._destroyed:
            return False
        if not self._servers.matched:
            return False
        status = self._querier.matching_status
        return bool(getattr(status, "matching", status))

    def wait_for_service(self, timeout_sec: float | None = None) -> bool:
        """Wait until a call would reach a server; False after ``timeout_sec`` or shutdown."""
        return self.context._live_graph().wait(self.service_is_ready, timeout_sec, MATCH_POLL_SEC)

    @property
    def service_name(self) -> str:
        """The service's full name."""
        return self.srv_name

    def destroy(self) -> None:
        """Withdraw the client; its calls stay without response."""
        if not self._destroyed:
            self._discard_items()
            self._servers.close()
            self._endpoint.withdraw(self._querier)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()
