"""The ROS part of a command line: remap rules, parameters, log levels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from ..exceptions import RCLInvalidROSArgsError, UnknownROSArgsError
from . import names

_FLAGS_WITHOUT_EFFECT = {"--enable-external-lib-logs", "--disable-external-lib-logs"}
_LOG_OUTPUTS = {
    f"--{verb}-{output}-logs": (output, verb == "enable")
    for verb in ("enable", "disable")
    for output in ("rosout", "stdout")
}
_NODE_PREFIX = re.compile(r"^([A-Za-z_][A-Za-z0-9_]*):(?!=)(?!//)(.*)$")


class _Loader(yaml.SafeLoader):
    """YAML scalars as rcl reads them: 1e-3 is a number, 2026-01-31 and 1:30 are text."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag.rpartition(":")[2] not in ("timestamp", "int", "float")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(0x[0-9a-fA-F]+|[0-9]+)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^([-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


def _value(value: Any, where: str) -> Any:
    """Return a parameter's value; RCLInvalidROSArgsError where parameters cannot hold it."""
    items = value if isinstance(value, list) else [value]
    kinds = {type(item) for item in items}
    if value is None or len(kinds) > 1 or not kinds <= {bool, int, float, str}:
        raise RCLInvalidROSArgsError(
            f"{where}: {value!r} is not a bool, int, float, string or a list of one of them"
        )
    return value


@dataclass(frozen=True)
class Remap:
    """One rule. ``kind`` is any, topic, service, node or ns; ``node`` limits it to one node."""

    kind: str
    node: str | None
    source: str
    target: str


@dataclass(frozen=True)
class Override:
    """One parameter from the command line or a file, for the nodes that a pattern matches."""

    pattern: str
    name: str
    value: Any


@dataclass
class RosArguments:
    """What one command line says, in its order."""

    remaps: list[Remap] = field(default_factory=list)
    overrides: list[Override] = field(default_factory=list)
    log_levels: list[tuple[str, str]] = field(default_factory=list)
    enclave: str = "/"
    log_outputs: dict[str, bool] = field(default_factory=dict)

    def logs_to(self, output: str) -> bool:
        """Return whether logs go to "rosout" or "stdout" (which is stderr)."""
        return self.log_outputs.get(output, True)


def strip_ros_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the arguments outside ``--ros-args ... --``."""
    kept: list[str] = []
    inside = False
    for argument in arguments:
        if not inside and argument == "--ros-args":
            inside = True
        elif inside and argument == "--":
            inside = False
        elif not inside:
            kept.append(argument)
    return kept


def parse(arguments: Sequence[str] | None) -> RosArguments:
    """Read the ROS part of a command line.

    Raises UnknownROSArgsError for words that mean nothing and RCLInvalidROSArgsError for
    malformed ones.
    """
    parsed = RosArguments()
    words = iter(arguments or ())
    inside = False
    unknown: list[str] = []
    for word in words:
        if word == "--ros-args":
            inside = True
        elif word == "--":
            inside = False
        elif inside and not _parse_word(parsed, word, words):
            unknown.append(word)
    if unknown:
        raise UnknownROSArgsError(unknown)
    return parsed


def _parse_word(parsed: RosArguments, word: str, words: Iterable[str]) -> bool:
    def value() -> str:
        following = next(iter(words), None)
        if following is None:
            raise RCLInvalidROSArgsError(f"Couldn't parse trailing {word} flag: no value")
        return following

    if word in ("-r", "--remap"):
        parsed.remaps.append(_parse_remap(value()))
    elif word in ("-p", "--param"):
        parsed.overrides.append(_parse_parameter(value()))
    elif word == "--params-file":
        parsed.overrides.extend(load_parameter_file(value()))
    elif word == "--log-level":
        name, separator, level = value().rpartition(":=")
        parsed.log_levels.append((name if separator else "", level))
    elif word in ("-e", "--enclave"):
        parsed.enclave = value()
    elif word in ("--log-config-file", "--log-file-name"):
        value()
    elif word.startswith("--log-level="):
        parsed.log_levels.append(("", word.partition("=")[2]))
    elif word in _LOG_OUTPUTS:
        output, enabled = _LOG_OUTPUTS[word]
        parsed.log_outputs[output] = enabled
    elif word not in _FLAGS_WITHOUT_EFFECT:
        return False
    return True


def _split_rule(rule: str) -> tuple[str, str]:
    source, separator, target = rule.partition(":=")
    if not separator or not source or not target:
        raise RCLInvalidROSArgsError(f"Couldn't parse '{rule}': expected name:=value")
    return source, target


def _parse_remap(rule: str) -> Remap:
    source, target = _split_rule(rule)
    node = None
    match = _NODE_PREFIX.match(source)
    if match and match[1] not in ("rostopic", "rosservice"):
        node, source = match[1], match[2]
    kind = "any"
    for scheme, meant in (("rostopic://", "topic"), ("rosservice://", "service")):
        if source.startswith(scheme):
            kind, source = meant, source[len(scheme) :]
    if source in ("__node", "__name"):
        kind = "node"
    elif source == "__ns":
        kind = "ns"
    return Remap(kind, node, source, target)


def _parse_parameter(rule: str) -> Override:
    source, text = _split_rule(rule)
    match = _NODE_PREFIX.match(source)
    node, name = (match[1], match[2]) if match else (None, source)
    try:
        value = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise RCLInvalidROSArgsError(f"Couldn't parse the value of '{rule}': {error}") from error
    value = _value(value, f"Parameter '{source}'")
    # A node's name on a command line is one without a namespace, as in rcl.
    return Override("/**" if node is None else f"/{node}", name, value)


def load_parameter_file(path: str) -> list[Override]:
    """Read a YAML parameter file of a command line; RCLInvalidROSArgsError where it is none."""
    try:
        return read_parameter_file(path)
    except OSError as error:
        raise RCLInvalidROSArgsError(f"Couldn't read parameter file '{path}': {error}") from error


def read_parameter_file(path: str) -> list[Override]:
    """Read a YAML parameter file; OSError, or RCLInvalidROSArgsError where it is malformed."""
    try:
        with open(path, encoding="utf-8") as stream:
            document = yaml.load(stream, _Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RCLInvalidROSArgsError(f"Couldn't read parameter file '{path}': {error}") from error
    if document is None:
        return []
    if not isinstance(document, dict):
        raise RCLInvalidROSArgsError(f"Parameter file '{path}' is not a mapping of node names")
    overrides: list[Override] = []
    _collect_nodes(document, "", overrides, path)
    return overrides


def _collect_nodes(tree: dict[Any, Any], prefix: str, overrides: list[Override], path: str) -> None:
    for key, value in tree.items():
        if key == "ros__parameters":
            if not prefix:
                raise RCLInvalidROSArgsError(
                    f"Parameter file '{path}': ros__parameters stands outside any node"
                )
            if not isinstance(value or {}, dict):
                raise RCLInvalidROSArgsError(
                    f"Parameter file '{path}': ros__parameters of '{prefix}' is not a mapping"
                )
            _collect_parameters(value or {}, "", prefix, overrides, path)
        elif isinstance(value, dict):
            _collect_nodes(value, f"{prefix}/{str(key).strip('/')}", overrides, path)
        else:
            raise RCLInvalidROSArgsError(
                f"Parameter file '{path}': '{prefix}/{key}' has no ros__parameters"
            )


def _collect_parameters(
    tree: dict[Any, Any], prefix: str, pattern: str, overrides: list[Override], path: str
) -> None:
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            _collect_parameters(value, f"{name}.", pattern, overrides, path)
        else:
            where = f"Parameter file '{path}': '{name}' of '{pattern}'"
            overrides.append(Override(pattern, name, _value(value, where)))


def _matches(pattern: str, node_fqn: str) -> bool:
    expression = "".join(
        ""
        if not part
        else "(/[^/]+)*"
        if part == "**"
        else "/" + re.escape(part).replace(r"\*", "[^/]*")
        for part in pattern.split("/")
    )
    return re.fullmatch(expression, node_fqn) is not None


def overrides_for(arguments: Iterable[RosArguments], node_fqn: str) -> dict[str, Any]:
    """Return the parameters meant for a node; what comes later wins."""
    return {
        override.name: override.value
        for part in arguments
        for override in part.overrides
        if _matches(override.pattern, node_fqn)
    }


def remapped_node_name(arguments: Iterable[RosArguments], name: str) -> str:
    """Return the node's name after the first rule that speaks of it."""
    return _first(arguments, "node", name, name)


def remapped_namespace(arguments: Iterable[RosArguments], name: str, namespace: str) -> str:
    """Return the node's namespace after the first rule that speaks of it."""
    return _first(arguments, "ns", name, namespace)


def _first(arguments: Iterable[RosArguments], kind: str, node: str, otherwise: str) -> str:
    for part in arguments:
        for rule in part.remaps:
            if rule.kind == kind and rule.node in (None, node):
                return rule.target
    return otherwise


def remapped_name(
    arguments: Iterable[RosArguments],
    full_name: str,
    node_name: str,
    namespace: str,
    *,
    is_service: bool,
) -> str:
    """Return the full name after the first rule whose left side means it."""
    kinds = ("any", "service" if is_service else "topic")
    for part in arguments:
        for rule in part.remaps:
            if rule.kind not in kinds or rule.node not in (None, node_name):
                continue
            source = names.expand(rule.source, node_name, namespace, is_service=is_service)
            if source == full_name:
                return names.expand(rule.target, node_name, namespace, is_service=is_service)
    return full_name
