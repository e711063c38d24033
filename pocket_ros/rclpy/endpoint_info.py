"""What others can know about an endpoint of a topic."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from .qos import QoSProfile


class TopicEndpointTypeEnum(IntEnum):
    """Which end of a topic it is."""

    INVALID = 0
    PUBLISHER = 1
    SUBSCRIPTION = 2


EndpointTypeEnum = TopicEndpointTypeEnum


@dataclass
class TopicEndpointInfo:
    """One publisher or subscription of a topic."""

    node_name: str
    node_namespace: str
    topic_type: str
    topic_type_hash: str
    endpoint_type: TopicEndpointTypeEnum
    endpoint_gid: list[int] = field(default_factory=list)
    qos_profile: QoSProfile = field(default_factory=lambda: QoSProfile(depth=1))
