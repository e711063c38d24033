"""rclpy's API on Zenoh, for machines that have no ROS 2: same node code, same wire as rmw_zenoh."""
