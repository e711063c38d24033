"""ROS 2's launch_testing_ros: waiting for topics."""

from pocket_ros.launch_api.launch_testing_ros.wait_for_topics import WaitForTopics

__all__ = ["WaitForTopics"]
