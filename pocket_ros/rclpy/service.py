"""Services: the answering side."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zenoh
from zenoh import handlers

from ..idl import CdrError, deserialize, serialize
from ._core import wire
from ._core.endpoint import Endpoint
from ._core.matching import ServiceMatching
from ._core.ready import Executable, Once
from .qos import QoSProfile

if TYPE_CHECKING:
    from .callback_groups import CallbackGroup
    from .node import Node


@dataclass(frozen=True)
class RequestHeader:
    """Who asked what number; needed to answer later."""

    query: Any
    attachment: wire.Attachment

    def drop(self) -> None:
        """Let the client's request end."""
        self.query.drop()


class ServiceServer(Executable):
    """Takes requests and hands them on as ``handle(request, header)``; answers at any time."""

    def __init__(
        self,
        node: Node,
        srv_type: Any,
        srv_name: str,
        handle: Callable[[Any, RequestHeader], Any],
        callback_group: CallbackGroup | None,
        qos: QoSProfile,
    ) -> None:
        super().__init__(node._rclpy_inbox, callback_group)
        self._context = node.context
        self.srv_type = srv_type
        self.srv_name = srv_name
        self.qos_profile = qos
        self._handle = handle
        self._complain = Once(node.get_logger().error)
        self._endpoint = Endpoint(node, wire.SERVICE, srv_name, srv_type, qos)
        self._matching = ServiceMatching(
            node, callback_group, wire.SERVICE, srv_name, self._endpoint.type_hash, qos
        )
        self._queryable = self._endpoint.session.declare_queryable(
            self._endpoint.key,
            handlers.Callback(self._post, indirect=False),
            complete=True,
        )
        self._endpoint.announce()

    def _execute(self, data: Any) -> Any:
        query = data
        try:
            attachment, payload = query.attachment, query.payload
            header = RequestHeader(
                query,
                wire.unpack_attachment(b"" if attachment is None else attachment.to_bytes()),
            )
            if header.attachment.gid in self._matching.unheard:
                header.drop()
                return None
            request = deserialize(
                b"" if payload is None else payload.to_bytes(), self.srv_type.Request
            )
        except (CdrError, ValueError) as error:
            query.drop()
            self._complain(f"dropped a request to '{self.srv_name}' that cannot be read: {error}")
            return None
        return self._handle(request, header)

    def send_response(self, response: Any, header: RequestHeader) -> None:
        """Answer a request; TypeError for a response of another type."""
        try:
            if not isinstance(response, self.srv_type.Response):
                raise TypeError(f"Expected {self.srv_type.Response}, got {type(response)}")
            number, _, gid = header.attachment
            if gid in self._matching.unanswered:
                return
            header.query.reply(
                self._endpoint.key,
                serialize(response),
                attachment=wire.pack_attachment(number, gid),
            )
        except zenoh.ZError as error:
            # After a shutdown there is nobody to answer any more.
            if self._context.ok():
                self._complain(f"a response of '{self.srv_name}' did not go out: {error}")
        finally:
            header.drop()

    def destroy(self) -> None:
        """Withdraw the service; requests that wait end without an answer."""
        if not self._destroyed:
            for query in self._discard_items():
                query.drop()
            self._matching.close()
            self._endpoint.withdraw(self._queryable)


class Service(ServiceServer):
    """A service whose callback returns the response, at once or as a coroutine."""

    def __init__(
        self,
        node: Node,
        srv_type: Any,
        srv_name: str,
        callback: Callable[[Any, Any], Any],
        callback_group: CallbackGroup | None,
        qos: QoSProfile,
    ) -> None:
        self.callback = callback
        super().__init__(node, srv_type, srv_name, self._call, callback_group, qos)

    def _call(self, request: Any, header: RequestHeader) -> Any:
        try:
            response = self.callback(request, self.srv_type.Response())
        except BaseException:
            header.drop()
            raise
        if inspect.isawaitable(response):
            return self._finish(response, header)
        self.send_response(response, header)
        return None

    async def _finish(self, awaitable: Any, header: RequestHeader) -> None:
        try:
            response = await awaitable
        except BaseException:
            header.drop()
            raise
        self.send_response(response, header)

    @property
    def service_name(self) -> str:
        """The service's full name."""
        return self.srv_name

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()
