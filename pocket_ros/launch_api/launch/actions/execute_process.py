"""The action that starts a process."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pocket_ros.launch.description import ProcessSpec
from pocket_ros.launch_api.launch.action import Action
from pocket_ros.launch_api.launch.condition import Condition
from pocket_ros.launch_api.launch.launch_description_entity import LaunchDescriptionEntity
from pocket_ros.launch_api.launch.some_substitutions_type import SomeSubstitutionsType
from pocket_ros.launch_api.launch.substitution import Substitution
from pocket_ros.launch_api.launch.utilities import Flag, Number, Text

if TYPE_CHECKING:
    from pocket_ros.launch_api.launch.launch_context import LaunchContext

# Where the texts of a real launch's `output` go here.
_OUTPUTS = {
    "screen": "screen",
    "log": "log",
    "both": "both",
    "own_log": "log",
    "full": "both",
}
Environment = Mapping[SomeSubstitutionsType, SomeSubstitutionsType]


class ExecuteProcess(Action):
    """Start a process, once.

    Args:
        cmd: words of the command line.
        prefix: command line that is put before it.
        name: of the process, without its number; by default the program's.
        cwd: working directory.
        env: the whole environment; by default the launch's.
        additional_env: added to it.
        shell: have the words read by a shell.
        sigterm_timeout: seconds from SIGINT to SIGTERM.
        sigkill_timeout: seconds from SIGTERM to SIGKILL.
        emulate_tty: accepted, and changes nothing.
        output: "screen", "log", "both", "own_log" or "full".
        log_cmd: accepted; who wants the command looks at the event.
        on_exit: entities to visit when the process has ended, or a function that returns some.
        respawn: start it again when it has ended.
        respawn_delay: seconds before that.
        respawn_max_retries: how often; negative: without end.
    """

    def __init__(
        self,
        *,
        cmd: Iterable[SomeSubstitutionsType],
        prefix: SomeSubstitutionsType | None = None,
        name: SomeSubstitutionsType | None = None,
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
        super().__init__(condition=condition)
        if isinstance(cmd, str):
            raise TypeError("'cmd' takes a list of words, not one text")
        self._cmd = [Text(word) for word in cmd]
        self._prefix = Text("" if prefix is None else prefix)
        self._name = None if name is None else Text(name)
        self._cwd = None if cwd is None else Text(cwd)
        self._env = None if env is None else _texts(env)
        self._additional_env = _texts(additional_env or {})
        self._shell = shell
        self._timeouts = [
            None if timeout is None else Number(timeout)
            for timeout in (sigterm_timeout, sigkill_timeout)
        ]
        self._output = Text(output)
        self._on_exit = on_exit
        self._respawn = Flag(respawn)
        self._respawn_delay = respawn_delay
        self._respawn_max_retries = respawn_max_retries
        self._executed = False
        self.process_details: dict[str, Any] | None = None
        """name, cmd, cwd, env and pid, from its start on."""

    @property
    def cmd(self) -> list[list[Substitution]]:
        """What each word is made of."""
        return [word.substitutions for word in self._cmd]

    @property
    def shell(self) -> bool:
        """Whether a shell reads the words."""
        return self._shell

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """What follows its end, as far as it is known before."""
        if isinstance(self._on_exit, LaunchDescriptionEntity):
            return [self._on_exit]
        return list(self._on_exit) if isinstance(self._on_exit, (list, tuple)) else []

    def execute(self, context: LaunchContext) -> None:
        """Start it; raises RuntimeError the second time."""
        from pocket_ros.launch_api.launch.actions.control import RegisterEventHandler
        from pocket_ros.launch_api.launch.event_handlers import OnProcessExit

        if self._executed:
            raise RuntimeError(f"{type(self).__name__} action {self!r} executed more than once")
        self._executed = True
        if self._on_exit is not None:
            handler = OnProcessExit(target_action=self, on_exit=self._on_exit)
            RegisterEventHandler(handler).execute(context)
        context.running().do(self.specification(context))

    def command(self, context: LaunchContext) -> list[str]:
        """The words of the command line."""
        words = [word.value(context) for word in self._cmd]
        return ["/bin/sh", "-c", " ".join(words)] if self._shell else words

    def default_name(self, context: LaunchContext) -> str:
        """Name of the process where none is given: the program's."""
        return self._cmd[0].value(context).split()[0].rpartition("/")[2]

    def specification(self, context: LaunchContext) -> ProcessSpec:
        """The process as the supervisor wants it."""
        if self._env is None:
            environment = dict(context.environment)
        else:
            environment = {name.value(context): value.value(context) for name, value in self._env}
        for name, value in self._additional_env:
            environment[name.value(context)] = value.value(context)
        output = self._output.value(context)
        if output not in _OUTPUTS:
            raise ValueError(f"'output' must be one of {', '.join(_OUTPUTS)}, not {output!r}")
        patience = [
            float(context.launch_configurations.get(variable, "5"))
            if timeout is None
            else timeout.value(context)
            for variable, timeout in zip(
                ("sigterm_timeout", "sigkill_timeout"), self._timeouts, strict=True
            )
        ]
        return ProcessSpec(
            name=self.default_name(context) if self._name is None else self._name.value(context),
            command=(*shlex.split(self._prefix.value(context)), *self.command(context)),
            environment=environment,
            directory=None if self._cwd is None else self._cwd.value(context),
            output=_OUTPUTS[output],
            respawn=self._respawn.value(context),
            respawn_delay_s=self._respawn_delay or 0.0,
            respawn_max_retries=self._respawn_max_retries,
            sigterm_timeout_s=patience[0],
            sigkill_timeout_s=patience[1],
            owner=self,
        )


ExecuteLocal = ExecuteProcess


def _texts(environment: Environment) -> list[tuple[Text, Text]]:
    return [(Text(name), Text(value)) for name, value in environment.items()]
