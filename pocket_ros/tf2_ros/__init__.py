"""tf2_ros's API: a buffer of transforms, a listener that fills it, and broadcasters.

Missing are the buffer's action client and server, velocities, and the registry for types to be
transformed.
"""

from pocket_ros.tf2_ros.broadcaster import StaticTransformBroadcaster, TransformBroadcaster
from pocket_ros.tf2_ros.buffer import Buffer
from pocket_ros.tf2_ros.exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TimeoutException,
    TransformException,
)
from pocket_ros.tf2_ros.listener import TransformListener

__all__ = [
    "Buffer",
    "ConnectivityException",
    "ExtrapolationException",
    "InvalidArgumentException",
    "LookupException",
    "StaticTransformBroadcaster",
    "TimeoutException",
    "TransformBroadcaster",
    "TransformException",
    "TransformListener",
]
