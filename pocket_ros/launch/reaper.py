"""Ends a launch's processes if the launcher dies without ending them: a program of its own.

Its standard input is a pipe of which only the launcher holds the other end. Lines "+PID" and
"-PID" tell which process groups live. When the pipe closes, whatever is left gets SIGTERM, and
SIGKILL after a while. It runs without `site`, and imports nothing but what it needs at once.
"""

import os
import signal
import sys
import time

GRACE_S = 3.0
_POLL_S = 0.05


def _signal(groups: set[int], number: int) -> None:
    for group in list(groups):
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            groups.discard(group)
        except PermissionError:
            # macOS says so of a group in which only zombies are left.
            groups.discard(group)


def main() -> None:
    """Follow the launcher's lines until they end, then end the groups that are left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        change, group = line[0], int(line[1:])
        if change == "+":
            groups.add(group)
        else:
            groups.discard(group)
    _signal(groups, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while groups and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        _signal(groups, 0)
    _signal(groups, signal.SIGKILL)


if __name__ == "__main__":
    main()
