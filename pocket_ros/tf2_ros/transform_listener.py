"""`TransformListener` by the module name that tf2_ros gives it."""

from pocket_ros.tf2_ros.listener import TransformListener

__all__ = ["TransformListener"]
