"""A terminal to print tables to, or the file or pipe that stands in for it."""

from __future__ import annotations

from rich.console import Console

_PLAIN_WIDTH = 140


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leaves it to the command what to do when nobody reads any more."""
        raise BrokenPipeError


def console(stderr: bool = False) -> Console:
    """A console that does not cut off what is written to a file."""
    made = _Console(stderr=stderr, highlight=False)
    if made.is_terminal:
        return made
    return _Console(stderr=stderr, highlight=False, width=_PLAIN_WIDTH)
