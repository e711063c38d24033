"""Rules for names of nodes, namespaces, topics and services; expansion to full names."""

from __future__ import annotations

import re

from ..exceptions import (
    InvalidNamespaceException,
    InvalidNodeNameException,
    InvalidServiceNameException,
    InvalidTopicNameException,
)

_MAX_NODE_NAME = 255
_SUBSTITUTION = re.compile(r"\{([^{}]*)\}")


def _bad_character(name: str, allowed: str) -> int | None:
    match = re.search(f"[^{allowed}]", name)
    return match.start() if match else None


def check_node_name(name: str) -> None:
    """Raise InvalidNodeNameException where the name breaks the rules."""
    if not name:
        raise InvalidNodeNameException(name, "node name must not be empty", 0)
    if (index := _bad_character(name, "A-Za-z0-9_")) is not None:
        raise InvalidNodeNameException(
            name, "node name must not contain characters other than alphanumerics or '_'", index
        )
    if name[0].isdigit():
        raise InvalidNodeNameException(name, "node name must not start with a number", 0)
    if len(name) > _MAX_NODE_NAME:
        raise InvalidNodeNameException(name, "node name length should not exceed 255", 255)


def _problem_of_full_name(name: str) -> tuple[str, int] | None:
    if not name:
        return "must not be empty", 0
    if not name.startswith("/"):
        return "must be absolute", 0
    if (index := _bad_character(name, "A-Za-z0-9_/")) is not None:
        return "must not contain characters other than alphanumerics, '_' or '/'", index
    if "//" in name:
        return "must not contain repeated '/'", name.index("//") + 1
    match = re.search(r"/\d", name)
    if match:
        return "must not have a token that starts with a number", match.start() + 1
    return None


def check_namespace(namespace: str) -> None:
    """Raise InvalidNamespaceException where the namespace breaks the rules."""
    problem = None if namespace == "/" else _problem_of_full_name(namespace)
    if problem is None and len(namespace) > 1 and namespace.endswith("/"):
        problem = "must not end with '/'", len(namespace) - 1
    if problem:
        raise InvalidNamespaceException(namespace, f"namespace {problem[0]}", problem[1])


def check_full_name(name: str, *, is_service: bool = False) -> None:
    """Raise Invalid{Topic,Service}NameException where a fully qualified name breaks the rules."""
    problem = _problem_of_full_name(name)
    if problem is None and name.endswith("/"):
        problem = "must not end with '/'", len(name) - 1
    if problem:
        if is_service:
            raise InvalidServiceNameException(name, f"service name {problem[0]}", problem[1])
        raise InvalidTopicNameException(name, f"topic name {problem[0]}", problem[1])


def _problem_of_relative_name(name: str) -> tuple[str, int] | None:
    if not name:
        return "must not be empty", 0
    if name.endswith("/"):
        return "must not end with '/'", len(name) - 1
    if (index := _bad_character(name, "A-Za-z0-9_/~{}")) is not None:
        return (
            "must not contain characters other than alphanumerics, '_', '/', '~', '{', '}'",
            index,
        )
    if "//" in name:
        return "must not contain repeated '/'", name.index("//") + 1
    if "~" in name[1:]:
        return "must not have '~' other than at its beginning", name.index("~", 1)
    match = re.search(r"(^|/)\d", name)
    if match:
        return "must not have a token that starts with a number", match.end() - 1
    return None


def check_relative_name(name: str, *, is_service: bool = False) -> None:
    """Raise Invalid{Topic,Service}NameException where a name given by a user breaks the rules."""
    problem = _problem_of_relative_name(name)
    if problem:
        if is_service:
            raise InvalidServiceNameException(name, f"service name {problem[0]}", problem[1])
        raise InvalidTopicNameException(name, f"topic name {problem[0]}", problem[1])


def expand(name: str, node_name: str, namespace: str, *, is_service: bool = False) -> str:
    """Return the fully qualified form of a topic's or service's name."""
    check_relative_name(name, is_service=is_service)
    prefix = namespace.rstrip("/")
    full = f"{prefix}/{node_name}"
    values = {"node": node_name, "ns": namespace, "namespace": namespace}

    def substitute(match: re.Match[str]) -> str:
        try:
            return values[match[1]]
        except KeyError:
            kind = InvalidServiceNameException if is_service else InvalidTopicNameException
            raise kind(name, f"unknown substitution '{match[0]}'", match.start()) from None

    name = _SUBSTITUTION.sub(substitute, name)
    if name.startswith("~"):
        name = full + name[1:]
    elif not name.startswith("/"):
        name = f"{prefix}/{name}"
    check_full_name(name, is_service=is_service)
    return name


def is_hidden(name: str) -> bool:
    """Return whether a part of the name begins with an underscore."""
    return any(part.startswith("_") for part in name.split("/"))
