"""ROS 2's launch_xml: launch files in XML as sources of descriptions."""
