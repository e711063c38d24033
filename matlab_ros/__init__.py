"""A self-driving solid-state synthesis lab on ROS 2 (the name means materials laboratory)."""

__version__ = "0.1.0"
