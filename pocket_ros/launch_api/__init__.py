"""The Python API of ROS 2's launch, launch_ros and launch_testing on `pocket_ros.launch`.

The import hook gives these packages their own names: `launch` is `pocket_ros.launch_api.launch`.
"""
