"""Messages to CDR and back."""

from __future__ import annotations

from typing import Any, TypeVar

from ..idl import deserialize, serialize
from ._core.endpoint import check_type

MsgT = TypeVar("MsgT")


def serialize_message(message: Any) -> bytes:
    """Return a message as CDR with its 4-byte header."""
    check_type(type(message))
    return serialize(message)


def deserialize_message(serialized_message: bytes, message_type: type[MsgT]) -> MsgT:
    """Read a message of the given type; CdrError where the bytes are not one."""
    check_type(message_type)
    return deserialize(serialized_message, message_type)
