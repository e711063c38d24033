"""`StaticTransformBroadcaster` by the module name that tf2_ros gives it."""

from pocket_ros.tf2_ros.broadcaster import StaticTransformBroadcaster

__all__ = ["StaticTransformBroadcaster"]
