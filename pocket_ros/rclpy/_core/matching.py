"""With whom an endpoint may talk, by DDS's rules.

Zenoh connects any publisher with any subscription, and rmw_zenoh leaves it at that. DDS does not,
and code that relied on it would be silent there. So a pair that DDS would refuse is reported at
both ends, and a subscription drops what such a publisher sends. A service is a pair of topics for
DDS: it hears a client whose requests it accepts, and is heard if the client accepts its responses.
``POCKET_ROS_QOS_RULES=zenoh`` in the environment lets everybody talk, as rmw_zenoh does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import event_handler as events
from ..qos import QoSPolicyKind, QoSProfile, incompatibilities
from . import wire
from .liveliness import AlivePublishers
from .ready import Executable

if TYPE_CHECKING:
    from ..callback_groups import CallbackGroup
    from ..node import Node
    from .graph import Entity, Graph


class Matching:
    """Follows the other end of a topic for one endpoint and tells its event handlers."""

    def __init__(
        self,
        graph: Graph,
        kind: str,
        topic: str,
        type_hash: str,
        qos: QoSProfile,
        handlers: Sequence[events.EventHandler],
    ) -> None:
        """Follow for an endpoint of ``kind``, a publisher or a subscription."""
        self._is_publisher = kind == wire.PUBLISHER
        self._type_hash = type_hash
        self._qos = qos
        self._has_rules = _has_rules()
        self._handlers = {handler.event_type.name: handler for handler in handlers}
        self.matched: dict[str, None] = {}
        self.withheld: set[bytes] = set()
        alive = self._handlers.get("RCL_SUBSCRIPTION_LIVELINESS_CHANGED")
        self.alive = None if alive is None else AlivePublishers(alive)
        other = wire.SUBSCRIPTION if self._is_publisher else wire.PUBLISHER
        self._end = graph.watch(other, topic, self)

    def _refusal(self, other: QoSProfile) -> QoSPolicyKind | None:
        if not self._has_rules:
            return None
        pair = (self._qos, other) if self._is_publisher else (other, self._qos)
        refusals = incompatibilities(*pair)
        return refusals[-1][0] if refusals else None

    def _handler(self, publishers: str, subscriptions: str) -> events.EventHandler | None:
        if self._is_publisher:
            return self._handlers.get(f"RCL_PUBLISHER_{publishers}")
        return self._handlers.get(f"RCL_SUBSCRIPTION_{subscriptions}")

    def appeared(self, entity: Entity) -> None:
        """Judge an endpoint that is there."""
        if entity.type_hash != self._type_hash:
            handler = self._handler("INCOMPATIBLE_TYPE", "INCOMPATIBLE_TYPE")
            if handler is not None:
                handler._happened(total_count=1)
            return
        qos = wire.decode_qos(entity.qos_text)
        refusal = self._refusal(qos)
        if refusal is None:
            self.matched[entity.token] = None
            self._matched_changed(total_count=1, current_count=1)
            if self.alive is not None:
                self.alive.appeared(wire.gid_of(entity.token), qos)
            return
        self.withheld.add(wire.gid_of(entity.token))
        handler = self._handler("OFFERED_INCOMPATIBLE_QOS", "REQUESTED_INCOMPATIBLE_QOS")
        if handler is not None:
            handler._happened(last_policy_kind=refusal, total_count=1)

    def vanished(self, entity: Entity) -> None:
        """Forget an endpoint that has gone."""
        if entity.token in self.matched:
            del self.matched[entity.token]
            self._matched_changed(total_count=0, current_count=-1)
            if self.alive is not None:
                self.alive.vanished(wire.gid_of(entity.token))
        else:
            self.withheld.discard(wire.gid_of(entity.token))

    def _matched_changed(self, *, total_count: int, current_count: int) -> None:
        handler = self._handler("MATCHED", "MATCHED")
        if handler is not None:
            handler._happened(total_count=total_count, current_count=current_count)

    def close(self) -> None:
        """Follow no more and call back no more."""
        self._end()
        if self.alive is not None:
            self.alive.close()
        for handler in self._handlers.values():
            handler.destroy()


class ServiceMatching(Executable):
    """Follows the other end of a service, and warns of those that DDS would keep apart.

    The warnings come from the executor, since nothing may be sent while the graph is told.
    """

    def __init__(
        self,
        node: Node,
        callback_group: CallbackGroup | None,
        kind: str,
        name: str,
        type_hash: str,
        qos: QoSProfile,
    ) -> None:
        """Follow for an endpoint of ``kind``, a service or a client."""
        super().__init__(node._rclpy_inbox, callback_group)
        self._name = name
        self._type_hash = type_hash
        self._qos = qos
        self._logger = node.get_logger()
        self._other = wire.CLIENT if kind == wire.SERVICE else wire.SERVICE
        self.matched: dict[str, None] = {}
        self.unheard: set[bytes] = set()
        self.unanswered: set[bytes] = set()
        self._end = node.context._live_graph().watch(self._other, name, self)

    def appeared(self, entity: Entity) -> None:
        """Judge an endpoint that is there."""
        if entity.type_hash != self._type_hash:
            return
        qos = wire.decode_qos(entity.qos_text)
        # What comes from the other end, and what goes there.
        inwards, outwards = incompatibilities(qos, self._qos), incompatibilities(self._qos, qos)
        refusals = inwards + outwards
        if not refusals or not _has_rules():
            self.matched[entity.token] = None
            return
        for refused, gids in ((inwards, self.unheard), (outwards, self.unanswered)):
            if refused:
                gids.add(wire.gid_of(entity.token))
        who = "client" if self._other == wire.CLIENT else "server"
        self._post(
            f"A {who} of '{self._name}' in {entity.node_fqn} has a QoS that differs from this "
            f"end's, so no call will be answered. Policy: {refusals[-1][0].name}"
        )

    def vanished(self, entity: Entity) -> None:
        """Forget an endpoint that has gone."""
        self.matched.pop(entity.token, None)
        gid = wire.gid_of(entity.token)
        self.unheard.discard(gid)
        self.unanswered.discard(gid)

    def _execute(self, data: Any) -> None:
        self._logger.warning(data)

    def close(self) -> None:
        """Follow no more."""
        self._end()
        self._discard_items()


def _has_rules() -> bool:
    return os.environ.get("POCKET_ROS_QOS_RULES") != "zenoh"


class LossCounter:
    """Notices gaps in the numbers of each publisher's messages."""

    def __init__(self, handler: events.EventHandler) -> None:
        self._handler = handler
        self._last: dict[bytes, int] = {}

    def note(self, attachment: wire.Attachment) -> None:
        """Count what is missing between this message and the one before."""
        last = self._last.get(attachment.gid)
        number = attachment.sequence_number
        if last is None or number > last:
            self._last[attachment.gid] = number
        if last is not None and number > last + 1:
            self._handler._happened(total_count=number - last - 1)
