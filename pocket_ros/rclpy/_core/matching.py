"""With whom an endpoint of a topic may talk, by DDS's rules.

Zenoh connects any publisher with any subscription, and rmw_zenoh leaves it at that. DDS does not,
and code that relied on it would be silent there. So a pair that DDS would refuse is reported at
both ends, and a subscription drops what such a publisher sends. ``POCKET_ROS_QOS_RULES=zenoh`` in
the environment lets everybody talk, as rmw_zenoh does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import event_handler as events
from ..qos import QoSPolicyKind, QoSProfile, incompatibilities
from . import wire

if TYPE_CHECKING:
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
        self._has_rules = os.environ.get("POCKET_ROS_QOS_RULES") != "zenoh"
        self._handlers = {handler.event_type.name: handler for handler in handlers}
        self.matched: dict[str, None] = {}
        self.withheld: set[bytes] = set()
        other = wire.SUBSCRIPTION if self._is_publisher else wire.PUBLISHER
        self._end = graph.watch(other, topic, self)

    def _refusal(self, entity: Entity) -> QoSPolicyKind | None:
        if not self._has_rules:
            return None
        other = wire.decode_qos(entity.qos_text)
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
        refusal = self._refusal(entity)
        if refusal is None:
            self.matched[entity.token] = None
            self._matched_changed(total_count=1, current_count=1)
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
        else:
            self.withheld.discard(wire.gid_of(entity.token))

    def _matched_changed(self, *, total_count: int, current_count: int) -> None:
        handler = self._handler("MATCHED", "MATCHED")
        if handler is not None:
            handler._happened(total_count=total_count, current_count=current_count)
        alive = self._handlers.get("RCL_SUBSCRIPTION_LIVELINESS_CHANGED")
        if alive is not None:
            alive._happened(alive_count=current_count, not_alive_count=0)

    def close(self) -> None:
        """Follow no more and call back no more."""
        self._end()
        for handler in self._handlers.values():
            handler.destroy()


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
