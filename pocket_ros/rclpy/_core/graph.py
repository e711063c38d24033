"""The ROS graph as this process sees it: a cache of everybody's liveliness tokens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import zenoh
from zenoh import handlers

from . import wire

# How often to look whether zenoh has matched two ends, beside what the graph tells. A matching
# listener would tell it at once, but in the one thread that zenoh's tasks need to end. To undeclare
# an advanced publisher meanwhile keeps Python's lock: the process stands still for ten seconds.
MATCH_POLL_SEC = 0.01


@dataclass(frozen=True)
class Entity:
    """A node or endpoint, read from its token. Endpoint fields of a node are empty."""

    token: str
    kind: str
    enclave: str
    namespace: str
    node_name: str
    name: str = ""
    dds_type: str = ""
    type_hash: str = ""
    qos_text: str = ""

    @property
    def node_fqn(self) -> str:
        """The node's name with its namespace."""
        return f"{self.namespace.rstrip('/')}/{self.node_name}"


def parse_token(token: str) -> Entity | None:
    """Read a token by position and ignore what newer distributions append; None if it is none."""
    parts = token.split("/")
    if len(parts) < 9 or parts[0] != wire.LIVELINESS_SPACE:
        return None
    enclave, namespace = wire.demangle(parts[6]), wire.demangle(parts[7]) or "/"
    if parts[5] == wire.NODE:
        return Entity(token, wire.NODE, enclave, namespace, parts[8])
    if len(parts) < 13:
        return None
    return Entity(
        token,
        parts[5],
        enclave,
        namespace,
        parts[8],
        wire.demangle(parts[9]),
        parts[10],
        parts[11],
        parts[12],
    )


class Watcher(Protocol):
    """Is told of the endpoints of one kind and name, in the thread that learns of them."""

    def appeared(self, entity: Entity) -> None:
        """Note an endpoint that is there."""

    def vanished(self, entity: Entity) -> None:
        """Note an endpoint that has gone."""


class Graph:
    """Follows the liveliness tokens of one domain and tells waiters when something changed."""

    def __init__(self, session: zenoh.Session, domain_id: int) -> None:
        self._entities: dict[str, Entity] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._version = 0
        self._watchers: dict[tuple[str, str], list[Watcher]] = {}
        self._subscriber = session.liveliness().declare_subscriber(
            f"{wire.LIVELINESS_SPACE}/{domain_id}/**",
            handlers.Callback(self._on_token, indirect=False),
            history=True,
        )

    def _on_token(self, sample: zenoh.Sample) -> None:
        token = str(sample.key_expr)
        with self._changed:
            known = self._entities.get(token)
            if sample.kind == zenoh.SampleKind.DELETE:
                if known is not None:
                    del self._entities[token]
                    for watcher in self._watchers.get((known.kind, known.name), ()):
                        watcher.vanished(known)
            elif known is None:
                entity = parse_token(token)
                if entity is not None:
                    self._entities[token] = entity
                    for watcher in self._watchers.get((entity.kind, entity.name), ()):
                        watcher.appeared(entity)
            self._version += 1
            self._changed.notify_all()

    def entities(self, kind: str | None = None, name: str | None = None) -> list[Entity]:
        """Return what is known now, of one kind and of one topic or service name if given."""
        with self._changed:
            return [
                entity
                for entity in self._entities.values()
                if (kind is None or entity.kind == kind) and (name is None or entity.name == name)
            ]

    def watch(self, kind: str, name: str, watcher: Watcher) -> Callable[[], None]:
        """Tell ``watcher`` of all endpoints, those that are there first; return how to end it."""
        with self._changed:
            watchers = self._watchers.setdefault((kind, name), [])
            watchers.append(watcher)
            for entity in self.entities(kind, name):
                watcher.appeared(entity)

        def end() -> None:
            with self._changed:
                watchers.remove(watcher)
                if not watchers and self._watchers.get((kind, name)) is watchers:
                    del self._watchers[kind, name]

        return end

    def wait(
        self,
        predicate: Callable[[], bool],
        timeout_sec: float | None,
        poll_sec: float | None = None,
    ) -> bool:
        """Wait until ``predicate`` holds; False after ``timeout_sec`` or when the graph closed.

        The predicate is called without the lock, so it may ask the graph or zenoh. It is asked
        again when the graph changed, and every ``poll_sec`` if it depends on more than that.
        """
        deadline = None if timeout_sec is None else time.monotonic() + timeout_sec
        while True:
            with self._changed:
                version, closed = self._version, self._closed
            if predicate():
                return True
            if closed:
                return False
            with self._changed:
                while self._version == version and not self._closed:
                    remaining = None if deadline is None else deadline - time.monotonic()
                    if remaining is not None and remaining <= 0:
                        return False
                    if poll_sec is None:
                        self._changed.wait(remaining)
                    elif not self._changed.wait(
                        poll_sec if remaining is None else min(poll_sec, remaining)
                    ):
                        break

    def close(self) -> None:
        """Stop following and release all waiters. The session must still be open."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._subscriber.undeclare()
