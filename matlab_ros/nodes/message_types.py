"""The Python class of a message type that is only known by its name."""

from __future__ import annotations

import importlib
from typing import Any


def message_class(type_name: str) -> type[Any] | None:
    """The class of a type such as ``sensor_msgs/msg/Temperature``; None where it is not here."""
    package, kind, name = type_name.split("/")
    try:
        module = importlib.import_module(f"{package}.{kind}")
    except ImportError:
        return None
    found: type[Any] | None = getattr(module, name, None)
    return found
