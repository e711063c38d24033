"""``action_msgs/msg/GoalStatusArray`` in CDR, packed and read at once.

A server sends the array with every step of every goal, and goals that ended stay in it until
their results expire. With hundreds of them, objects for each would cost more than the goals.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

_HEADER = b"\x00\x01\x00\x00"

# Id, stamp and state. The id has no alignment, the stamp one of 4: all but the first are padded.
_FIRST = "16siIb"
_FOLLOWING = "16s3xiIb"


def pack(goals: Sequence[tuple[bytes, int, int, int]]) -> bytes:
    """Return the array of goals (id, seconds, nanoseconds, state)."""
    parts = [_HEADER, struct.pack("<I", len(goals))]
    following = struct.Struct("<" + _FOLLOWING).pack
    for goal in goals[:1]:
        parts.append(struct.pack("<" + _FIRST, *goal))
    parts.extend(following(*goal) for goal in goals[1:])
    return b"".join(parts)


def read(raw: bytes) -> list[tuple[bytes, int]]:
    """Return (id, state) of every goal of an array; ValueError where the bytes are none."""
    order = "<" if len(raw) > 1 and raw[1] & 1 else ">"
    try:
        (count,) = struct.unpack_from(order + "I", raw, 4)
        if not count:
            return []
        first = struct.unpack_from(order + _FIRST, raw, 8)
        layout = struct.Struct(order + _FOLLOWING)
        begin = 8 + struct.calcsize("<" + _FIRST)
        end = begin + (count - 1) * layout.size
        if len(raw) < end:
            raise struct.error(f"{count} goals need {end}")
        goals = [first, *layout.iter_unpack(memoryview(raw)[begin:end])]
    except struct.error as error:
        raise ValueError(f"{len(raw)} bytes are no GoalStatusArray: {error}") from None
    return [(goal_id, state) for goal_id, _, _, state in goals]
