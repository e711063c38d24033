"""Launch files of ROS 2 (XML and YAML): reading them, and running what they describe.

>>> with launch_file("virtual_lab.launch.xml", {"speed": "10"}) as run:
...     run.wait()
"""

from pocket_ros.launch.description import Argument, Description
from pocket_ros.launch.errors import LaunchError
from pocket_ros.launch.interpreter import interpret
from pocket_ros.launch.supervisor import LaunchRun, OutputLine, ProcessState, launch_file

__all__ = [
    "Argument",
    "Description",
    "LaunchError",
    "LaunchRun",
    "OutputLine",
    "ProcessState",
    "interpret",
    "launch_file",
]
