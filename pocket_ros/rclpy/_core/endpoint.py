"""What publishers, subscriptions, services and clients share: token, gid, key expression."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import zenoh

from ..exceptions import NoTypeSupportImportedException
from . import wire

if TYPE_CHECKING:
    from ..node import Node
    from ..qos import QoSProfile


def check_type(interface: Any) -> None:
    """Raise NoTypeSupportImportedException where a class is not an interface."""
    if not hasattr(interface, "_type_hash") or not hasattr(interface, "_dds_name"):
        raise NoTypeSupportImportedException(f"{interface!r} is not an interface type")


class Endpoint:
    """The presence of one endpoint in the graph."""

    def __init__(self, node: Node, kind: str, name: str, interface: Any, qos: QoSProfile) -> None:
        context = node.context
        self.session = context._live_session()
        domain_id = context.get_domain_id()
        dds_type, type_hash = interface._dds_name, interface._type_hash
        self.type_hash: str = type_hash
        self.key = wire.topic_key(domain_id, name, dds_type, type_hash)
        self.token = wire.endpoint_token(
            domain_id,
            context._zid,
            node._rclpy_id,
            next(context._ids),
            kind,
            context._arguments.enclave,
            node.get_namespace(),
            node.get_name(),
            name,
            dds_type,
            type_hash,
            qos,
        )
        self.gid = wire.gid_of(self.token)
        self._context = context
        self._liveliness: Any = None

    def announce(self) -> None:
        """Show the endpoint in the graph, once it can do its work."""
        self._liveliness = self.session.liveliness().declare_token(self.token)

    def withdraw(self, *declared: Any) -> None:
        """Take it from the graph and undeclare what it declared; nothing if the session is gone."""
        liveliness, self._liveliness = self._liveliness, None
        for item in (liveliness, *declared):
            if item is not None and self._context.ok():
                # A signal may close the session meanwhile, and with it everything declared.
                with contextlib.suppress(zenoh.ZError):
                    item.undeclare()
