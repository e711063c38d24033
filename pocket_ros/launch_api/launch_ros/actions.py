"""Actions for nodes, and for what holds for all nodes of a scope."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pocket_ros.launch.interpreter import dump_value, join_namespaces, node_command
from pocket_ros.launch_api.launch.action import Action
from pocket_ros.launch_api.launch.actions.execute_process import Environment, ExecuteProcess
from pocket_ros.launch_api.launch.condition import Condition
from pocket_ros.launch_api.launch.some_substitutions_type import SomeSubstitutionsType
from pocket_ros.launch_api.launch.utilities import Flag, Text
from pocket_ros.launch_api.launch_ros.parameter_descriptions import (
    Parameter,
    ParameterFile,
    Parameters,
    node_options,
)

if TYPE_CHECKING:
    from pocket_ros.launch_api.launch.launch_context import LaunchContext

__all__ = [
    "Node",
    "PushROSNamespace",
    "PushRosNamespace",
    "SetParameter",
    "SetParametersFromFile",
    "SetRemap",
    "SetUseSimTime",
]

Remappings = Iterable[tuple[SomeSubstitutionsType, SomeSubstitutionsType]]


class Node(ExecuteProcess):
    """Start a node of a package.

    Args:
        executable: of the package; without a package the path of a program.
        package: whose executable it is.
        name: of the node; by default the one its code gives.
        namespace: of the node, below that of the scope.
        exec_name: of the process; by default the executable's.
        parameters: dictionaries, parameter files, `ParameterFile`s.
        remappings: pairs of names.
        ros_arguments: more words behind `--ros-args`.
        arguments: words before `--ros-args`.

    The others are those of `ExecuteProcess`.
    """

    def __init__(
        self,
        *,
        executable: SomeSubstitutionsType,
        package: SomeSubstitutionsType | None = None,
        name: SomeSubstitutionsType | None = None,
        namespace: SomeSubstitutionsType | None = None,
        exec_name: SomeSubstitutionsType | None = None,
        parameters: Parameters | None = None,
        remappings: Remappings | None = None,
        ros_arguments: Iterable[SomeSubstitutionsType] | None = None,
        arguments: Iterable[SomeSubstitutionsType] | None = None,
        prefix: SomeSubstitutionsType | None = None,
        cwd: SomeSubstitutionsType | None = None,
        env: Environment | None = None,
        additional_env: Environment | None = None,
        shell: bool = False,
        sigterm_timeout: float | SomeSubstitutionsType | None = None,
        sigkill_timeout: float | SomeSubstitutionsType | None = None,
        emulate_tty: bool = False,
        output: SomeSubstitutionsType = "log",
        log_cmd: bool = False,
        on_exit: Any = None,
        respawn: bool | SomeSubstitutionsType = False,
        respawn_delay: float | None = None,
        respawn_max_retries: int = -1,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(
            cmd=[executable],
            prefix=prefix,
            name=exec_name,
            cwd=cwd,
            env=env,
            additional_env=additional_env,
            shell=shell,
            sigterm_timeout=sigterm_timeout,
            sigkill_timeout=sigkill_timeout,
            emulate_tty=emulate_tty,
            output=output,
            log_cmd=log_cmd,
            on_exit=on_exit,
            respawn=respawn,
            respawn_delay=respawn_delay,
            respawn_max_retries=respawn_max_retries,
            condition=condition,
        )
        if parameters is not None and (
            isinstance(parameters, str) or not isinstance(parameters, (list, tuple))
        ):
            raise TypeError(f"'parameters' takes a list, not {parameters!r}")
        self._package = None if package is None else Text(package)
        self._executable = Text(executable)
        self._node_name = None if name is None else Text(name)
        self._namespace = None if namespace is None else Text(namespace)
        self._parameters = list(parameters or [])
        self._remappings = [(Text(old), Text(new)) for old, new in remappings or ()]
        self._ros_arguments = [Text(word) for word in ros_arguments or ()]
        self._arguments = [Text(word) for word in arguments or ()]
        self._full_name: str | None = None

    @property
    def node_name(self) -> str:
        """Namespace and name; raises RuntimeError before it was started."""
        if self._full_name is None:
            raise RuntimeError("cannot access 'node_name' before executing action")
        return self._full_name

    def default_name(self, context: LaunchContext) -> str:
        """Name of the process: the executable's."""
        return os.path.basename(self._executable.value(context))

    def command(self, context: LaunchContext) -> list[str]:
        """The words of the command line."""
        program = self._executable.value(context)
        if self._package is None:
            words = [program]
        else:
            words = node_command(self._package.value(context), program)
        words += [word.value(context) for word in self._arguments]
        options = self._options(context) + [word.value(context) for word in self._ros_arguments]
        return [*words, "--ros-args", *options] if options else words

    def _options(self, context: LaunchContext) -> list[str]:
        scope = context.scope
        options: list[str] = []
        name = "<node_name_unspecified>"
        if self._node_name is not None:
            name = self._node_name.value(context)
            options += ["-r", f"__node:={name}"]
        own = "" if self._namespace is None else self._namespace.value(context)
        namespace = join_namespaces(scope.namespace, own)
        if namespace:
            options += ["-r", f"__ns:={namespace}"]
        self._full_name = f"{namespace}/{name}"
        for option in scope.parameters:
            options += option
        options += node_options(self._parameters, context)
        pairs = [(old.value(context), new.value(context)) for old, new in self._remappings]
        for old, new in [*scope.remappings, *pairs]:
            options += ["-r", f"{old}:={new}"]
        return options


class PushROSNamespace(Action):
    """Put the nodes of this scope into a namespace below the present one."""

    def __init__(
        self, namespace: SomeSubstitutionsType, *, condition: Condition | None = None
    ) -> None:
        super().__init__(condition=condition)
        self._namespace = Text(namespace)

    def execute(self, context: LaunchContext) -> None:
        """Push it."""
        scope = context.scope
        scope.namespace = join_namespaces(scope.namespace, self._namespace.value(context))


PushRosNamespace = PushROSNamespace


class SetRemap(Action):
    """Remap a name for the nodes of this scope."""

    def __init__(
        self,
        src: SomeSubstitutionsType,
        dst: SomeSubstitutionsType,
        *,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        self._src, self._dst = Text(src), Text(dst)

    def execute(self, context: LaunchContext) -> None:
        """Set it."""
        context.scope.remappings.append((self._src.value(context), self._dst.value(context)))


class SetParameter(Action):
    """Set a parameter for the nodes of this scope."""

    def __init__(
        self, name: SomeSubstitutionsType, value: Any, *, condition: Condition | None = None
    ) -> None:
        super().__init__(condition=condition)
        self._parameter = Parameter(name, value)

    def execute(self, context: LaunchContext) -> None:
        """Set it."""
        name, value = self._parameter.evaluate(context)
        context.scope.parameters.append(("-p", f"{name}:={dump_value(value)}"))


class SetParametersFromFile(Action):
    """Set the parameters of a file for the nodes of this scope."""

    def __init__(
        self, filename: SomeSubstitutionsType, *, condition: Condition | None = None
    ) -> None:
        super().__init__(condition=condition)
        self._file = ParameterFile(filename)

    def execute(self, context: LaunchContext) -> None:
        """Set them."""
        context.scope.parameters.append(("--params-file", self._file.evaluate(context)))


class SetUseSimTime(Action):
    """Set use_sim_time for the nodes of this scope."""

    def __init__(
        self, value: bool | SomeSubstitutionsType, *, condition: Condition | None = None
    ) -> None:
        super().__init__(condition=condition)
        self._value = Flag(value)

    def execute(self, context: LaunchContext) -> None:
        """Set it."""
        value = dump_value(self._value.value(context))
        context.scope.parameters.append(("-p", f"use_sim_time:={value}"))
