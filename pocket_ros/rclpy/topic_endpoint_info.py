"""What others can know about an endpoint of a topic."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from .qos import QoSProfile
from .type_hash import TypeHash


class TopicEndpointTypeEnum(IntEnum):
    """Which end of a topic it is."""

    INVALID = 0
    PUBLISHER = 1
    SUBSCRIPTION = 2


EndpointTypeEnum = TopicEndpointTypeEnum


@dataclass
class TopicEndpointInfo:
    """One publisher or subscription of a topic. Its text is what ``ros2 topic info -v`` shows."""

    node_name: str
    node_namespace: str
    topic_type: str
    topic_type_hash: TypeHash
    endpoint_type: TopicEndpointTypeEnum
    endpoint_gid: list[int] = field(default_factory=list)
    qos_profile: QoSProfile = field(default_factory=lambda: QoSProfile(depth=1))

    def __str__(self) -> str:
        qos = self.qos_profile
        lines = (
            f"Node name: {self.node_name}",
            f"Node namespace: {self.node_namespace}",
            f"Topic type: {self.topic_type}",
            f"Topic type hash: {self.topic_type_hash}",
            f"Endpoint type: {self.endpoint_type.name}",
            f"GID: {'.'.join(f'{byte:02x}' for byte in self.endpoint_gid)}",
            "QoS profile:",
            f"  Reliability: {qos.reliability.name}",
            f"  History (Depth): {qos.history.name} ({qos.depth})",
            f"  Durability: {qos.durability.name}",
            f"  Lifespan: {qos.lifespan}",
            f"  Deadline: {qos.deadline}",
            f"  Liveliness: {qos.liveliness.name}",
            f"  Liveliness lease duration: {qos.liveliness_lease_duration}",
        )
        return "\n".join(lines)
