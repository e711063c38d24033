"""`pocket-ros doctor`: says in plain words why machines do not see each other."""

from pocket_ros.doctor.command import add_command

__all__ = ["add_command"]
