"""Development tool: writes the standard messages as text into `pocket_ros/interfaces`.

    python -m pocket_ros.idl.vendor

Message definitions come from the Jazzy store of `rosbags`, which has neither services, nor
actions, nor default values. Defaults are listed here; services, actions and the packages that
the store lacks stand in `pocket_ros/interfaces`, and this tool leaves them alone. Declarations
of control_msgs and nav2_msgs are those of the Jazzy branches of these packages, without comments;
nav_msgs/Goals is Kilted's.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pocket_ros.idl.catalog import BUNDLED

_LEFT_OUT = {"rmw_dds_common", "rosbag2_interfaces"}
_DEFAULTS = {
    "geometry_msgs/msg/Quaternion": {"x": "0", "y": "0", "z": "0", "w": "1"},
    "rcl_interfaces/msg/ParameterDescriptor": {"read_only": "false", "dynamic_typing": "false"},
    "sensor_msgs/msg/NavSatStatus": {"status": "-2"},
    "type_description_interfaces/msg/FieldType": {"type_id": "0"},
}
_PLACEHOLDER = "structure_needs_at_least_one_member"


def message_text(name: str, constants: list[Any], fields: list[Any]) -> str:
    """The .msg text of one definition of rosbags' store."""
    from rosbags.interfaces import Nodetype

    def base_name(node: Any, argument: Any) -> str:
        if node == Nodetype.NAME:
            package, _, short = argument.split("/")
            return short if package == name.split("/")[0] else f"{package}/{short}"
        base, bound = argument
        base = {"octet": "byte"}.get(base, base)
        return f"{base}<={bound}" if bound else base

    lines = []
    for constant, base, value in constants:
        if base == "octet":
            base, value = "byte", value[0] if isinstance(value, bytes) else value
        if base == "bool":
            value = "true" if value else "false"
        lines.append(f"{base} {constant}={value}")
    for field, (node, argument) in fields:
        if field == _PLACEHOLDER:
            continue
        if node in (Nodetype.ARRAY, Nodetype.SEQUENCE):
            (inner, inner_argument), count = argument
            suffix = f"[{count}]" if node == Nodetype.ARRAY else f"[<={count}]" if count else "[]"
            type_name = base_name(inner, inner_argument) + suffix
        else:
            type_name = base_name(node, argument)
        default = _DEFAULTS.get(name, {}).get(field)
        lines.append(f"{type_name} {field}" + (f" {default}" if default else ""))
    return "".join(f"{line}\n" for line in lines)


def write_messages(target: Path) -> int:
    """Write every message of the store below `target`; returns how many there are."""
    from rosbags.typesys import Stores, get_typestore

    count = 0
    for name, (constants, fields) in get_typestore(Stores.ROS2_JAZZY).fielddefs.items():
        package, kind, short = name.split("/")
        if package in _LEFT_OUT:
            continue
        path = target / package / kind / f"{short}.msg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(message_text(name, constants, fields), encoding="utf-8")
        count += 1
    return count


if __name__ == "__main__":
    sys.stdout.write(f"{write_messages(BUNDLED)} messages written to {BUNDLED}\n")
