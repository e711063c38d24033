"""The error of commands that cannot be followed."""

from __future__ import annotations

from matlab_ros.model.errors import LabError
from matlab_ros.model.faults import FaultCode


class Refused(LabError):
    """A command cannot be followed; nothing was changed.

    Attributes:
        code: what for a program.
    """

    def __init__(self, code: FaultCode, message: str) -> None:
        self.code = code
        super().__init__(message)
