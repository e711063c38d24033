"""rmw_zenoh's wire format: key expressions, liveliness tokens, attachments, gids and QoS text."""

from __future__ import annotations

import struct
import time
from typing import NamedTuple

import xxhash

from ..constants import S_TO_NS
from ..duration import Duration, Infinite
from ..qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
)

_ATTACHMENT = struct.Struct("<qqB16s")
_GID_SIZE = 16
_LEGACY_ATTACHMENT_SIZE = 77
_DEFAULT_DEPTH = 42
_NEVER = divmod(Infinite.nanoseconds, S_TO_NS)
LIVELINESS_SPACE = "@ros2_lv"

NODE = "NN"
PUBLISHER = "MP"
SUBSCRIPTION = "MS"
SERVICE = "SS"
CLIENT = "SC"


class Attachment(NamedTuple):
    """What accompanies every message: who sent it, as which number, when."""

    sequence_number: int
    source_timestamp: int
    gid: bytes


def pack_attachment(sequence_number: int, gid: bytes) -> bytes:
    """Return the 33 bytes that go with a message sent now."""
    return _ATTACHMENT.pack(sequence_number, time.time_ns(), _GID_SIZE, gid)


def unpack_attachment(raw: bytes) -> Attachment:
    """Read an attachment of 33 bytes, or the 77 with field names of rmw_zenoh before 0.2.4.

    Raises ValueError where it is neither.
    """
    if len(raw) == _ATTACHMENT.size:
        number, stamp, size, gid = _ATTACHMENT.unpack(raw)
        if size == _GID_SIZE:
            return Attachment(number, stamp, gid)
    elif len(raw) == _LEGACY_ATTACHMENT_SIZE and raw[1:16] == b"sequence_number":
        (number,) = struct.unpack_from("<q", raw, 16)
        (stamp,) = struct.unpack_from("<q", raw, 41)
        return Attachment(number, stamp, raw[61:77])
    raise ValueError(f"an attachment of {len(raw)} bytes is not one of rmw_zenoh's")


def mangle(name: str) -> str:
    """Make a ROS name one chunk of a key expression."""
    return name.replace("/", "%")


def demangle(chunk: str) -> str:
    """Turn back what :func:`mangle` made."""
    return chunk.replace("%", "/")


def topic_key(domain_id: int, name: str, dds_type: str, type_hash: str) -> str:
    """Return the key expression of a topic or service with a fully qualified ``name``."""
    return f"{domain_id}/{name.strip('/')}/{dds_type}/{type_hash}"


def assertion_key(key: str, gid: bytes | None = None) -> str:
    """Return the key on which a publisher says that it is alive; without ``gid``, all of a topic's.

    rmw_zenoh has no such thing. The chunk begins with @, so that no wildcard of others meets it.
    """
    return f"{key}/@alive/{'*' if gid is None else gid.hex()}"


def node_token(
    domain_id: int, zid: str, node_id: int, enclave: str, namespace: str, node_name: str
) -> str:
    """Return the liveliness token of a node."""
    return (
        f"{LIVELINESS_SPACE}/{domain_id}/{zid}/{node_id}/{node_id}/{NODE}"
        f"/{mangle(enclave)}/{mangle(namespace)}/{node_name}"
    )


def endpoint_token(
    domain_id: int,
    zid: str,
    node_id: int,
    entity_id: int,
    kind: str,
    enclave: str,
    namespace: str,
    node_name: str,
    name: str,
    dds_type: str,
    type_hash: str,
    qos: QoSProfile,
) -> str:
    """Return the liveliness token of a publisher, subscription, service or client."""
    return (
        f"{LIVELINESS_SPACE}/{domain_id}/{zid}/{node_id}/{entity_id}/{kind}"
        f"/{mangle(enclave)}/{mangle(namespace)}/{node_name}"
        f"/{mangle(name)}/{dds_type}/{type_hash}/{encode_qos(qos)}"
    )


def gid_of(token: str) -> bytes:
    """Return the 16-byte gid of an endpoint: XXH3-128 of its token, low half first."""
    digest = xxhash.xxh3_128_intdigest(token.encode())
    return struct.pack("<QQ", digest & 0xFFFFFFFFFFFFFFFF, digest >> 64)


def ros_type(dds_type: str) -> str:
    """``std_msgs::msg::dds_::String_`` -> ``std_msgs/msg/String``; anything else is unchanged."""
    parts = dds_type.split("::")
    if len(parts) == 4 and parts[2] == "dds_" and parts[3].endswith("_"):
        return f"{parts[0]}/{parts[1]}/{parts[3][:-1]}"
    return dds_type


def _encode_duration(duration: Duration) -> str:
    """Return seconds and nanoseconds; zero is ROS 2's way to say nothing of a duration."""
    if duration == Infinite or not duration.nanoseconds:
        return ","
    seconds, nanoseconds = divmod(duration.nanoseconds, S_TO_NS)
    return f"{seconds},{nanoseconds}"


def _decode_duration(text: str) -> Duration:
    seconds, _, nanoseconds = text.partition(",")
    if not (seconds.isdecimal() and nanoseconds.isdecimal()):
        return Infinite
    total = int(seconds) * S_TO_NS + int(nanoseconds)
    return Duration(nanoseconds=total) if total < Infinite.nanoseconds else Infinite


def encode_qos(qos: QoSProfile) -> str:
    """Return the QoS chunk of a token; what equals rmw_zenoh's default stays empty."""
    reliability = "2" if qos.reliability is ReliabilityPolicy.BEST_EFFORT else ""
    durability = "1" if qos.durability is DurabilityPolicy.TRANSIENT_LOCAL else ""
    history = "2" if qos.history is HistoryPolicy.KEEP_ALL else ""
    depth = "" if qos.depth == _DEFAULT_DEPTH else str(qos.depth)
    deadline, lifespan = _encode_duration(qos.deadline), _encode_duration(qos.lifespan)
    manual = qos.liveliness is LivelinessPolicy.MANUAL_BY_TOPIC
    liveliness = str(int(LivelinessPolicy.MANUAL_BY_TOPIC)) if manual else ""
    lease = _encode_duration(qos.liveliness_lease_duration)
    return (
        f"{reliability}:{durability}:{history},{depth}:{deadline}:{lifespan}:{liveliness},{lease}"
    )


def decode_qos(text: str) -> QoSProfile:
    """Read a QoS chunk; parts that are missing or strange count as rmw_zenoh's default."""
    parts = text.split(":") + [""] * 6
    reliability, durability, keep, deadline, lifespan, alive = parts[:6]
    history, _, depth = keep.partition(",")
    liveliness, _, lease = alive.partition(",")
    return QoSProfile(
        reliability=ReliabilityPolicy.BEST_EFFORT
        if reliability == "2"
        else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL
        if durability == "1"
        else DurabilityPolicy.VOLATILE,
        history=HistoryPolicy.KEEP_ALL if history == "2" else HistoryPolicy.KEEP_LAST,
        depth=int(depth) if depth.isdecimal() else _DEFAULT_DEPTH,
        deadline=_decode_duration(deadline),
        lifespan=_decode_duration(lifespan),
        liveliness=LivelinessPolicy.MANUAL_BY_TOPIC
        if liveliness == "3"
        else LivelinessPolicy.AUTOMATIC,
        liveliness_lease_duration=_decode_duration(lease),
    )
