"""ROS 2's launch_yaml: launch files in YAML as sources of descriptions."""
