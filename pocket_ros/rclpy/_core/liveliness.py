"""Who is alive: the publishers of a subscription, and a publisher in its own eyes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..qos import QoSProfile, has_manual_lease
from .watches import Lease

if TYPE_CHECKING:
    from .. import event_handler as events
    from .ready import Inbox


class AlivePublishers:
    """Counts the publishers that are alive, for the liveliness event of a subscription.

    A publisher is alive while it is in the graph; one whose liveliness is manual, while it also
    publishes or asserts within its lease.
    """

    def __init__(self, handler: events.EventHandler) -> None:
        self._handler = handler
        self._leases: dict[bytes, Lease] = {}

    def appeared(self, gid: bytes, qos: QoSProfile) -> None:
        """A publisher with that QoS is there."""
        self._handler._happened(alive_count=1, not_alive_count=0)
        if has_manual_lease(qos):
            self._leases[gid] = Lease(
                self._handler._inbox, qos.liveliness_lease_duration.nanoseconds, self._changed
            )

    def _changed(self, alive: bool) -> None:
        step = 1 if alive else -1
        self._handler._happened_locked(alive_count=step, not_alive_count=-step)

    def asserted(self, gid: bytes) -> None:
        """A publisher published, or said that it is alive."""
        lease = self._leases.get(gid)
        if lease is not None:
            lease.note()

    def vanished(self, gid: bytes) -> None:
        """A publisher has gone."""
        lease = self._leases.pop(gid, None)
        if lease is not None:
            lease.close()
        alive = lease is None or lease.alive
        self._handler._happened(alive_count=-alive, not_alive_count=alive - 1)

    def close(self) -> None:
        """Count no more."""
        for lease in list(self._leases.values()):
            lease.close()


def own_lease(handler: events.EventHandler | None, inbox: Inbox, qos: QoSProfile) -> Lease | None:
    """Return the lease that a publisher must keep; None where it must not, or nobody listens."""
    if handler is None or not has_manual_lease(qos):
        return None

    def changed(alive: bool) -> None:
        if not alive:
            handler._happened_locked(total_count=1)

    return Lease(inbox, qos.liveliness_lease_duration.nanoseconds, changed)
