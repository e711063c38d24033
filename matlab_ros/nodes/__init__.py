"""ROS 2 nodes of the lab: thin shells around the rooms that decide.

This is the one place that switches pocket_ros on. Its import hook stands at the end of
``sys.meta_path``, so wherever a real rclpy is installed the real one is used.
"""

from pocket_ros import hook

hook.install()
