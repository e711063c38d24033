"""Running the lab: recipe execution, allocation, journal and recovery; knows no ROS."""
