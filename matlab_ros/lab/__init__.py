"""Running the lab: recipe execution, allocator, journal, recovery. Knows no ROS."""
