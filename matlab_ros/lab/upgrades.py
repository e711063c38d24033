"""Events of older software, brought version by version to the form that this software reads.

Whoever changes an event's written form so that an old body no longer reads raises the event's
`VERSION` and adds the step from the version before to `UPGRADES`. A new field with a default needs
neither. Steps are never changed afterwards: journals live for years.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from matlab_ros.model.errors import LabError

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
"""From the parsed body of one version to that of the next; may change what it is given."""

UPGRADES: dict[tuple[str, int], Upgrade] = {}
"""Step from (kind of event, version) to the version after it."""


class UpgradeError(LabError):
    """No way leads from a version of an event to the one that this software reads."""


def upgraded(
    kind: str,
    version: int,
    target: int,
    body: dict[str, Any],
    steps: Mapping[tuple[str, int], Upgrade] = UPGRADES,
) -> dict[str, Any]:
    """A parsed body in the version that this software reads.

    Args:
        kind: the event's tag.
        version: that wrote the body.
        target: that is wanted; not below `version`.
        body: parsed JSON; it may be changed.
        steps: by kind and the version that they start from.

    Raises:
        UpgradeError: a step is missing, or one stumbled over the body.
    """
    for present in range(version, target):
        step = steps.get((kind, present))
        if step is None:
            raise UpgradeError(
                f"The journal holds an event {kind!r} in version {present}, and this software "
                f"reads version {target} and has no way from one to the other; use the software "
                "that wrote it, or one in between."
            )
        try:
            body = step(body)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise UpgradeError(
                f"An event {kind!r} of the journal is damaged: its body is none of version "
                f"{present} ({error!r})."
            ) from error
    return body
