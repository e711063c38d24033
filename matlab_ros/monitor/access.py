"""Who may look and who may act: tokens of people, kept as hashes in a file."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from matlab_ros.model.errors import ConfigError

_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_.-]{0,39}$")
_HASH = re.compile(r"^[0-9a-f]{64}$")


class Role(str, Enum):
    """What somebody may do."""

    VIEWER = "viewer"
    """Look."""
    OPERATOR = "operator"
    """Also decide about faults, pause, resume, cancel and stop."""


@dataclass(frozen=True)
class Person:
    """Who is at a page."""

    name: str
    role: Role


class Access:
    """Who has which token.

    Args:
        people: with the SHA-256 of their tokens.
        everybody: who counts as known without a token; None: nobody.
    """

    def __init__(
        self, people: Iterable[tuple[str, Person]] = (), everybody: Person | None = None
    ) -> None:
        self._people = tuple(people)
        self._everybody = everybody

    @property
    def demands_token(self) -> bool:
        """Whether nobody gets in without one."""
        return self._everybody is None

    def person(self, token: str | None) -> Person | None:
        """Whose token it is; None where it is nobody's."""
        if token is None:
            return self._everybody
        given = _hash_of(token)
        found = None
        # Every entry is compared in full, so that time tells nothing.
        for known, person in self._people:
            if hmac.compare_digest(known, given):
                found = person
        return found


def load_access(file: Path) -> Access:
    """The people of a file of lines ``role name sha256-of-token``.

    Raises:
        ConfigError: it cannot be read, others than its owner can read it, or a line makes no sense.
    """
    try:
        mode = file.stat().st_mode
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(
            file, "", str(error), "a file made by matlab-ros monitor --make-token"
        ) from error
    if os.name == "posix" and mode & 0o077:
        raise ConfigError(file, "", "can be read by others", f"chmod 600 {file}")
    people = []
    for number, line in enumerate(lines, start=1):
        words = line.split("#")[0].split()
        if not words:
            continue
        roles = [role.value for role in Role]
        if len(words) != 3 or words[0] not in roles or not _HASH.match(words[2]):
            raise ConfigError(
                file, f"line {number}", "is not understood", "role name sha256-of-token"
            )
        people.append((words[2], Person(words[1], Role(words[0]))))
    if not people:
        raise ConfigError(file, "", "names nobody", "a line made by --make-token")
    return Access(people)


def make_token(file: Path, name: str, role: Role) -> str:
    """Give somebody a token; an earlier one of the same name is valid no longer.

    Returns:
        The token. The file keeps its hash alone, so it is seen this once.

    Raises:
        ConfigError: the name is no name, or the file cannot be written.
    """
    if not _NAME.match(name):
        raise ConfigError("command line", "--make-token", f"{name!r} is no name", "such as anna")
    token = secrets.token_urlsafe(32)
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        kept = [line for line in lines if line.split()[1:2] != [name]]
        kept.append(f"{role.value} {name} {_hash_of(token)}")
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{file.name}.{os.getpid()}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write("\n".join(kept) + "\n")
        beside.replace(file)
    except OSError as error:
        raise ConfigError(file, "", str(error), "a file that can be written") from error
    return token


def _hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
