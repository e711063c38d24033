"""ROS 2's launch_ros in Python: nodes, namespaces, remappings and parameters."""

from pocket_ros.launch_api.launch_ros import actions, parameter_descriptions, substitutions

__all__ = ["actions", "parameter_descriptions", "substitutions"]
