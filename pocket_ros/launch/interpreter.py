"""Interprets launch files: their actions in order, in the scopes that ROS 2's launch gives them.

The tags and attributes are those that `ros2 launch` of Jazzy knows for XML and YAML. Those not
implemented here, and those that nobody knows, are errors.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from pocket_ros.launch.description import (
    Argument,
    Delay,
    Description,
    Item,
    Message,
    ProcessSpec,
    Stop,
)
from pocket_ros.launch.errors import LaunchError
from pocket_ros.launch.substitutions import SubstitutionError, expand, expand_command, is_true
from pocket_ros.launch.tree import Element, read
from pocket_ros.packages import PackageNotFoundError, executables

_PROCESS_ATTRIBUTES = {
    "name", "cwd", "launch-prefix", "output", "respawn", "respawn_delay", "respawn_max_retries",
    "on_exit", "sigterm_timeout", "sigkill_timeout", "emulate_tty",
}  # fmt: skip
_NODE_ATTRIBUTES = {"pkg", "exec", "namespace", "exec_name", "args", "ros_args"}
_CONDITIONS = {"if", "unless"}
_PARAMETER_TYPES: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "bool": is_true,
    "str": str,
}


@dataclass
class Scope:
    """What actions see and change; groups work on a copy."""

    file: Path
    variables: dict[str, str]
    environment: dict[str, str]
    log_dir: Path | None = None
    namespace: str = ""
    remappings: list[tuple[str, str]] = field(default_factory=list)
    parameters: list[tuple[str, str]] = field(default_factory=list)
    """Command line options for every node: ("-p", "name:=value") or ("--params-file", path)."""

    def copy(self) -> Scope:
        return replace(
            self,
            variables=dict(self.variables),
            environment=dict(self.environment),
            remappings=list(self.remappings),
            parameters=list(self.parameters),
        )

    def clear(self) -> None:
        """Forget what a group that is not forwarding must not see."""
        self.variables.clear()
        self.namespace, self.remappings, self.parameters = "", [], []


def interpret(
    path: str | os.PathLike[str],
    arguments: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
    log_dir: Path | None = None,
) -> Description:
    """Interpret a launch file with values for its arguments; nothing is started.

    Raises LaunchError, which names file and line.
    """
    return _Interpreter(Path(path).resolve(), dict(arguments or {}), environ, log_dir).run()


def interpret_included(path: str | os.PathLike[str], scope: Scope) -> Description:
    """Interpret a launch file that somebody includes; it sees and changes the includer's scope.

    Raises LaunchError, which names file and line.
    """
    interpreter = _Interpreter(Path(path).resolve(), {}, {}, None)
    file, scope.file = scope.file, interpreter.scope.file
    interpreter.scope = scope
    try:
        return interpreter.run()
    finally:
        scope.file = file


def declared_arguments(path: str | os.PathLike[str]) -> list[Argument]:
    """Arguments that the file itself declares, with their defaults as written."""
    file = Path(path).resolve()
    if file.suffix == ".py":
        from pocket_ros.launch_api import python_file

        return python_file.declared_arguments(file)
    return [_declaration(e) for e in read(file).children if e.tag == "arg"]


def _declaration(element: Element) -> Argument:
    choices = []
    for child in element.children:
        if child.tag != "choice" or set(child.attributes) != {"value"}:
            raise child.error('expected <choice value="..."/>')
        choices.append(child.attributes["value"])
    if "name" not in element.attributes:
        raise element.error("the attribute 'name' is missing")
    return Argument(
        element.attributes["name"],
        element.attributes.get("default"),
        element.attributes.get("description", ""),
        tuple(choices),
    )


class _Interpreter:
    def __init__(
        self,
        path: Path,
        given: dict[str, str],
        environ: Mapping[str, str],
        log_dir: Path | None,
    ) -> None:
        self.given = given
        self.declared: dict[str, Argument] = {}
        self.open_files: list[Path] = [path]
        self.scope = Scope(path, dict(given), dict(environ), log_dir)
        self.actions: dict[str, Callable[[Element, Scope], list[Item]]] = {
            "append_env": self.append_env,
            "arg": self.arg,
            "executable": self.executable,
            "group": self.group,
            "include": self.include,
            "let": self.let,
            "log": self.log,
            "node": self.node,
            "push-ros-namespace": self.push_namespace,
            "push_ros_namespace": self.push_namespace,
            "set_env": self.set_env,
            "set_parameter": self.set_parameter,
            "set_parameters_from_file": self.set_parameters_from_file,
            "set_remap": self.set_remap,
            "set_use_sim_time": self.set_use_sim_time,
            "shutdown": self.shutdown,
            "timer": self.timer,
            "unset_env": self.unset_env,
        }

    def run(self) -> Description:
        root = read(self.scope.file)
        _only(root, {"version"})
        items = self.execute(root.children, self.scope)
        unknown = sorted(set(self.given) - set(self.declared))
        if unknown:
            known = ", ".join(sorted(self.declared)) or "none"
            raise LaunchError(
                f"{self.scope.file}: there is no launch argument {unknown[0]!r} (there is: {known})"
            )
        return Description(tuple(items), tuple(self.declared.values()))

    def execute(self, elements: list[Element], scope: Scope) -> list[Item]:
        items: list[Item] = []
        for element in elements:
            action = self.actions.get(element.tag)
            if action is None:
                raise element.error(
                    f"this tag is not supported (supported are: {', '.join(sorted(self.actions))})"
                )
            try:
                if self.holds(element, scope):
                    items += action(element, scope)
            except SubstitutionError as error:
                raise element.error(str(error)) from None
        return items

    def holds(self, element: Element, scope: Scope) -> bool:
        attributes = element.attributes
        if "if" in attributes and "unless" in attributes:
            raise element.error("'if' and 'unless' exclude each other")
        if "if" in attributes:
            return is_true(expand(attributes["if"], scope))
        return not ("unless" in attributes and is_true(expand(attributes["unless"], scope)))

    # Actions: each checks what the element holds, and returns what there is to do.

    def arg(self, element: Element, scope: Scope) -> list[Item]:
        _only(element, {"name", "default", "description"}, {"choice"})
        argument = _declaration(element)
        name = argument.name
        if name not in scope.variables:
            if argument.default is None:
                raise element.error(f"the launch argument {name!r} needs a value: {name}:=...")
            scope.variables[name] = expand(argument.default, scope)
        value = scope.variables[name]
        if argument.choices and value not in argument.choices:
            raise element.error(
                f"{name} is {value!r}, but must be one of {', '.join(argument.choices)}"
            )
        self.declared.setdefault(name, argument)
        return []

    def let(self, element: Element, scope: Scope) -> list[Item]:
        _only(element, {"name", "value"})
        scope.variables[_get(element, "name", scope)] = _get(element, "value", scope)
        return []

    def set_env(self, element: Element, scope: Scope) -> list[Item]:
        _only(element, {"name", "value"})
        scope.environment[_get(element, "name", scope)] = _get(element, "value", scope)
        return []

    def unset_env(self, element: Element, scope: Scope) -> list[Item]:
        _only(element, {"name"})
        scope.environment.pop(_get(element, "name", scope), None)
        return []

    def append_env(self, element: Element, scope: Scope) -> list[Item]:
        _only(element, {"name", "value", "prepend", "separator"})
        name, value = _get(element, "name", scope), _get(element, "value", scope)
        separator = _get(element, "separator", scope, os.pathsep)
        before = scope.environment.get(name)
        parts = [value] if before is None else [before, value]
        if is_true(_get(element, "prepend", scope, "false")):
            parts.reverse()
        scope.environment[name] = separator.join(parts)
        return []

    def log(self, element: Element, scope: Scope) -> list[Item]:
        _only(element, {"message"})
        return [Message(_get(element, "message", scope))]

    def shutdown(self, element: Element, scope: Scope) -> list[Item]:
        _only(element, {"reason"})
        return [Stop(_get(element, "reason", scope, f"{element.file.name} says so"))]

    def push_namespace(self, element: Element, scope: Scope) -> list[Item]:
        _only(element, {"namespace"})
        scope.namespace = join_namespaces(scope.namespace, _get(element, "namespace", scope))
        return []

    def set_remap(self, element: Element, scope: Scope) -> list[Item]:
        _only(element, {"from", "to"})
        scope.remappings.append((_get(element, "from", scope), _get(element, "to", scope)))
        return []

    def set_parameter(self, element: Element, scope: Scope) -> list[Item]:
        _only(element, {"name", "value"})
        value = yaml_value(_get(element, "value", scope))
        scope.parameters.append(("-p", f"{_get(element, 'name', scope)}:={value}"))
        return []

    def set_use_sim_time(self, element: Element, scope: Scope) -> list[Item]:
        _only(element, {"value"})
        value = "true" if is_true(_get(element, "value", scope)) else "false"
        scope.parameters.append(("-p", f"use_sim_time:={value}"))
        return []

    def set_parameters_from_file(self, element: Element, scope: Scope) -> list[Item]:
        _only(element, {"filename"})
        scope.parameters.append(("--params-file", _existing(element, "filename", scope)))
        return []

    def group(self, element: Element, scope: Scope) -> list[Item]:
        _only(element, {"scoped", "forwarding"}, set(self.actions) | {"keep"})
        keeps = {}
        for child in element.children:
            if child.tag == "keep":
                _only(child, {"name", "value"})
                keeps[_get(child, "name", scope)] = _get(child, "value", scope)
        actions = [child for child in element.children if child.tag != "keep"]
        forwarding = is_true(_get(element, "forwarding", scope, "true"))
        if not is_true(_get(element, "scoped", scope, "true")):
            if not forwarding:
                raise element.error("a group that is not scoped must be forwarding")
            inner = scope
        else:
            inner = scope.copy()
        if not forwarding:
            inner.clear()
        inner.variables.update(keeps)
        return self.execute(actions, inner)

    def timer(self, element: Element, scope: Scope) -> list[Item]:
        _only(element, {"period", "cancel_on_shutdown"}, set(self.actions))
        period = _number(element, "period", scope)
        # What a real launch would do when the timer fires is settled now, on a copy.
        return [Delay(period, tuple(self.execute(element.children, scope.copy())))]

    def include(self, element: Element, scope: Scope) -> list[Item]:
        _only(element, {"file"}, {"arg"})
        path = Path(_get(element, "file", scope)).absolute()
        if path in self.open_files:
            raise element.error(f"{path} includes itself")
        values = {}
        for child in element.children:
            _only(child, {"name", "value"})
            values[_get(child, "name", scope)] = _get(child, "value", scope)
        if not path.is_file():
            raise element.error(f"the launch file {path} does not exist")
        if path.suffix == ".py":
            raise element.error("Python launch files cannot be included from XML or YAML")
        # As in a real launch, an included file sees and changes its includer's scope.
        scope.variables.update(values)
        including, scope.file = scope.file, path
        self.open_files.append(path)
        root = read(path)
        _only(root, {"version"})
        items = self.execute(root.children, scope)
        self.open_files.pop()
        scope.file = including
        return items

    def executable(self, element: Element, scope: Scope) -> list[Item]:
        _only(element, _PROCESS_ATTRIBUTES | {"cmd", "shell"}, {"env"})
        text = _attribute(element, "cmd")
        words = expand_command(text, scope)
        if not words:
            raise element.error("the attribute 'cmd' is empty")
        if is_true(_get(element, "shell", scope, "false")):
            command = ["/bin/sh", "-c", expand(text, scope)]
        else:
            command = words
        name = _get(element, "name", scope, Path(words[0]).name)
        return [self.process(element, scope, name, command)]

    def node(self, element: Element, scope: Scope) -> list[Item]:
        _only(element, _PROCESS_ATTRIBUTES | _NODE_ATTRIBUTES, {"env", "param", "remap"})
        package, program = _get(element, "pkg", scope), _get(element, "exec", scope)
        arguments = expand_command(element.attributes.get("args", ""), scope)
        options = self.ros_arguments(element, scope)
        options += expand_command(element.attributes.get("ros_args", ""), scope)
        if options:
            arguments += ["--ros-args", *options]
        try:
            command = [*node_command(package, program), *arguments]
        except LaunchError as error:
            raise element.error(str(error)) from None
        name = _get(element, "exec_name", scope, program)
        return [self.process(element, scope, name, command)]

    def ros_arguments(self, element: Element, scope: Scope) -> list[str]:
        """What follows `--ros-args` on a node's command line."""
        options: list[str] = []
        if "name" in element.attributes:
            options += ["-r", f"__node:={_get(element, 'name', scope)}"]
        namespace = join_namespaces(scope.namespace, _get(element, "namespace", scope, ""))
        if namespace:
            options += ["-r", f"__ns:={namespace}"]
        for option in scope.parameters:
            options += option
        remappings = list(scope.remappings)
        for child in element.children:
            if child.tag == "param":
                options += _parameter(child, scope)
            elif child.tag == "remap":
                _only(child, {"from", "to"})
                remappings.append((_get(child, "from", scope), _get(child, "to", scope)))
        for source, target in remappings:
            options += ["-r", f"{source}:={target}"]
        return options

    def process(self, element: Element, scope: Scope, name: str, command: list[str]) -> ProcessSpec:
        """The process of a node or executable, with the attributes both have."""
        environment = dict(scope.environment)
        for child in element.children:
            if child.tag == "env":
                _only(child, {"name", "value"})
                environment[_get(child, "name", scope)] = _get(child, "value", scope)
        output = _get(element, "output", scope, "log")
        if output not in ("screen", "log", "both"):
            raise element.error(f"'output' must be screen, log or both, not {output!r}")
        on_exit = element.attributes.get("on_exit")
        if on_exit not in (None, "shutdown"):
            raise element.error(f"'on_exit' can only be shutdown, not {on_exit!r}")
        prefix = expand_command(element.attributes.get("launch-prefix", ""), scope)
        retries = _number(element, "respawn_max_retries", scope, -1, lowest=-1)
        return ProcessSpec(
            name=name,
            command=(*prefix, *command),
            environment=environment,
            directory=_get(element, "cwd", scope) if "cwd" in element.attributes else None,
            output=output,
            respawn=is_true(_get(element, "respawn", scope, "false")),
            respawn_delay_s=_number(element, "respawn_delay", scope, 0.0),
            respawn_max_retries=int(retries),
            shutdown_on_exit=on_exit == "shutdown",
            sigterm_timeout_s=_number(element, "sigterm_timeout", scope, 5.0),
            sigkill_timeout_s=_number(element, "sigkill_timeout", scope, 5.0),
        )


def _only(element: Element, attributes: set[str], children: set[str] | None = None) -> None:
    """Refuse attributes and children that the element does not have."""
    for name in element.attributes:
        if name not in attributes and name not in _CONDITIONS:
            known = ", ".join(sorted(attributes)) or "none"
            raise element.error(f"the attribute {name!r} is not supported (supported: {known})")
    for child in element.children:
        if element.tag != "launch" and child.tag not in (children or set()):
            raise child.error(f"this tag cannot stand inside <{element.tag}>")


def _attribute(element: Element, name: str) -> str:
    if name not in element.attributes:
        raise element.error(f"the attribute {name!r} is missing")
    return element.attributes[name]


def _get(element: Element, name: str, scope: Scope, default: str | None = None) -> str:
    """An attribute's text with its substitutions expanded."""
    if default is not None and name not in element.attributes:
        return default
    try:
        return expand(_attribute(element, name), scope)
    except SubstitutionError as error:
        raise element.error(f"{name}: {error}") from None


def _number(
    element: Element, name: str, scope: Scope, default: float | None = None, lowest: float = 0.0
) -> float:
    if default is not None and name not in element.attributes:
        return default
    text = _get(element, name, scope)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not value >= lowest:
        raise element.error(f"{name!r} must be a number of at least {lowest:g}, not {text!r}")
    return value


def _existing(element: Element, name: str, scope: Scope) -> str:
    path = Path(_get(element, name, scope))
    if not path.is_file():
        raise element.error(f"the parameter file {path} does not exist")
    return str(path.absolute())


def join_namespaces(base: str, namespace: str) -> str:
    """A namespace below another, absolute; empty for none."""
    if namespace.startswith("/"):
        base = ""
    joined = "/".join(part.strip("/") for part in (base, namespace) if part.strip("/"))
    return f"/{joined}" if joined else ""


def node_command(package: str, program: str) -> list[str]:
    """Command line that runs an executable of a package. Raises LaunchError."""
    try:
        known = executables(package)
    except PackageNotFoundError as error:
        raise LaunchError(str(error)) from None
    if program not in known:
        names = ", ".join(sorted(known)) or "none"
        raise LaunchError(
            f"the package {package!r} has no executable {program!r} (it has: {names})"
        )
    entry = known[program].value.split("[")[0].strip()
    return [sys.executable, "-m", "pocket_ros.bootstrap", entry, program]


def _parameter(element: Element, scope: Scope) -> list[str]:
    """Command line options of a <param> of a node."""
    if "from" in element.attributes:
        _only(element, {"from"})
        return ["--params-file", _existing(element, "from", scope)]
    options = []
    for name, value in _named_values(element, scope):
        options += ["-p", f"{name}:={value}"]
    return options


def _named_values(element: Element, scope: Scope) -> list[tuple[str, str]]:
    _only(element, {"name", "value", "value-sep", "type"}, {"param"})
    name = _get(element, "name", scope)
    if not element.children:
        return [(name, _typed_value(element, scope))]
    if "value" in element.attributes:
        raise element.error("a parameter has a value or nested parameters, not both")
    return [
        (f"{name}.{inner}", value)
        for child in element.children
        for inner, value in _named_values(child, scope)
    ]


def _typed_value(element: Element, scope: Scope) -> str:
    """A parameter's value as YAML."""
    text = _get(element, "value", scope)
    separator = element.attributes.get("value-sep")
    kind = element.attributes.get("type")
    is_list = separator is not None
    if kind is not None and kind.startswith("list_of_"):
        if not is_list:
            raise element.error(f"a {kind} needs 'value-sep', the text between its values")
        kind = kind[len("list_of_") :]
    if kind is not None and kind not in _PARAMETER_TYPES:
        known = ", ".join(_PARAMETER_TYPES)
        raise element.error(f"unknown type {kind!r} (there is: {known}, list_of_...)")
    try:
        convert = _PARAMETER_TYPES[kind] if kind else _plain
        if is_list:
            return dump_value([convert(part.strip()) for part in text.split(separator)])
        return dump_value(convert(text))
    except ValueError as error:
        raise element.error(f"the value {text!r} is no {kind or 'YAML'}: {error}") from None


def yaml_value(text: str) -> str:
    """Text of an attribute as the YAML of a parameter's value."""
    return dump_value(_plain(text))


def _plain(text: str) -> Any:
    """What a text stands for if no type is given; YAML decides, as in a real launch."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list) and all(isinstance(v, (bool, int, float, str)) for v in value):
        return value
    return text


def dump_value(value: Any) -> str:
    """A parameter's value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), allow_unicode=True)
    return text.removesuffix("...\n").strip()
