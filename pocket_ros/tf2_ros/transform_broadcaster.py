"""`TransformBroadcaster` by the module name that tf2_ros gives it."""

from pocket_ros.tf2_ros.broadcaster import TransformBroadcaster

__all__ = ["TransformBroadcaster"]
