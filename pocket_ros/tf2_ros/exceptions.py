"""Why a transform cannot be given."""

from __future__ import annotations


class TransformException(Exception):
    """Base of tf2's exceptions."""


class LookupException(TransformException):
    """A frame is not known at all."""


class ConnectivityException(TransformException):
    """Two frames are known but not parts of one tree."""


class ExtrapolationException(TransformException):
    """The time lies before or behind what is known."""


class InvalidArgumentException(TransformException):
    """A transform or a frame's name is no valid one."""


class TimeoutException(TransformException):
    """It took too long."""
