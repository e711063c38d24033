"""ROS 2 interfaces: Python classes, CDR bytes and type hashes from .msg, .srv and .action text.

>>> String = load("std_msgs/msg/String")
>>> deserialize(serialize(String(data="hello")), String).data
'hello'
"""

from pocket_ros.idl.catalog import InterfaceNotFoundError, interface_names
from pocket_ros.idl.cdr import CdrError, deserialize, serialize
from pocket_ros.idl.checks import FieldError
from pocket_ros.idl.classes import load
from pocket_ros.idl.parser import InterfaceSyntaxError

__all__ = [
    "CdrError",
    "FieldError",
    "InterfaceNotFoundError",
    "InterfaceSyntaxError",
    "deserialize",
    "interface_names",
    "load",
    "serialize",
]
