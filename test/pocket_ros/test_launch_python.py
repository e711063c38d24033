"""Launch descriptions in Python: what their actions do to processes, and in which order."""

from __future__ import annotations

import os
import sys
import textwrap

import pytest

import pocket_ros.hook
from pocket_ros.launch import LaunchError, launch_file
from pocket_ros.launch.interpreter import declared_arguments

pocket_ros.hook.install()

from launch.actions import (  # noqa: E402
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    SetLaunchConfiguration,
    Shutdown,
    TimerAction,
)
from launch.conditions import IfCondition, UnlessCondition  # noqa: E402
from launch.event_handlers import (  # noqa: E402
    OnProcessExit,
    OnProcessIO,
    OnProcessStart,
    OnShutdown,
)
from launch.events import matches_action  # noqa: E402
from launch.events.process import ShutdownProcess, SignalProcess  # noqa: E402
from launch.launch_description_sources import PythonLaunchDescriptionSource  # noqa: E402
from launch.substitutions import (  # noqa: E402
    EnvironmentVariable,
    LaunchConfiguration,
    LocalSubstitution,
    PathJoinSubstitution,
    PythonExpression,
    TextSubstitution,
)
from launch_ros.actions import Node, PushRosNamespace, SetParameter, SetRemap  # noqa: E402
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue  # noqa: E402
from launch_ros.substitutions import FindPackageShare  # noqa: E402
from launch_xml.launch_description_sources import XMLLaunchDescriptionSource  # noqa: E402
from launch_yaml.launch_description_sources import YAMLLaunchDescriptionSource  # noqa: E402

from launch import LaunchDescription, LaunchService  # noqa: E402

DEADLINE_S = 30.0


def python(code, *words, **kwargs):
    """A process that runs some Python."""
    return ExecuteProcess(cmd=[sys.executable, "-c", code, *words], **kwargs)


def endless(**kwargs):
    return python("import signal; print('ready', flush=True); signal.pause()", **kwargs)


@pytest.fixture
def run(wire):
    """Runs a description to its end; gives the service and what was printed."""

    def run(*entities, environ=None):
        lines = []
        service = LaunchService()
        service.include_launch_description(LaunchDescription(entities))
        going = service.start(environ or os.environ, on_output=lines.append)
        try:
            assert going.wait(DEADLINE_S), "the launch did not end"
        finally:
            going.shutdown(timeout=5)
        return service, [line.text for line in lines if line.stream != "stderr"]

    return run


def said(lines):
    """What processes and LogInfo have written, without the launcher's own words."""
    own = ("process ", "shutting down")
    return [line for line in lines if not line.startswith(own)]


def test_substitutions_conditions_and_arguments(run, tmp_path):
    service, lines = run(
        DeclareLaunchArgument("flag", default_value="true"),
        DeclareLaunchArgument("size", default_value=["1", TextSubstitution(text="2")]),
        SetEnvironmentVariable("WORD", ["a", LaunchConfiguration("size")]),
        LogInfo(
            msg=["yes ", EnvironmentVariable("WORD")],
            condition=IfCondition(LaunchConfiguration("flag")),
        ),
        LogInfo(msg="no", condition=UnlessCondition(LaunchConfiguration("flag"))),
        LogInfo(msg=PathJoinSubstitution([LaunchConfiguration("none", default="/x"), "y"])),
        LogInfo(msg=PythonExpression([LaunchConfiguration("size"), " * 2"])),
        python("import os; print(os.environ['WORD'])"),
    )  # fmt: skip
    assert service.error is None
    assert said(lines) == ["yes a12", "/x/y", "24", "a12"]


def test_groups_keep_their_changes_to_themselves(run):
    _, lines = run(
        SetLaunchConfiguration("a", "out"),
        GroupAction([SetLaunchConfiguration("a", "in"), LogInfo(msg=LaunchConfiguration("a"))]),
        LogInfo(msg=LaunchConfiguration("a")),
        GroupAction([SetLaunchConfiguration("a", "leaked")], scoped=False),
        LogInfo(msg=LaunchConfiguration("a")),
        GroupAction(
            [LogInfo(msg=[LaunchConfiguration("a", default="gone"), LaunchConfiguration("b")])],
            forwarding=False,
            launch_configurations={"b": "!"},
        ),
    )
    assert said(lines) == ["in", "out", "leaked", "gone!"]


def test_one_process_follows_another(run):
    first = python("raise SystemExit(3)")

    def on_exit(event, context):
        assert event.action is first
        return LogInfo(msg=f"{event.process_name[-2:]} {event.returncode} {context.is_shutdown}")

    _, lines = run(
        first,
        RegisterEventHandler(OnProcessExit(target_action=first, on_exit=on_exit)),
        RegisterEventHandler(
            OnProcessExit(target_action=first, on_exit=[python("print('second')")])
        ),
        RegisterEventHandler(
            OnProcessStart(target_action=first, on_start=[LogInfo(msg="first runs")])
        ),
    )
    assert set(said(lines)) == {"first runs", "-1 3 False", "second"}


def test_output_and_timers_drive_the_launch_to_its_end(run):
    process = endless(on_exit=Shutdown(reason="it ended"))
    ready = OnProcessIO(
        target_action=process,
        on_stdout=lambda event: TimerAction(
            period=0.05,
            actions=[EmitEvent(event=ShutdownProcess(process_matcher=matches_action(process)))],
        ),
    )
    goodbye = OnShutdown(on_shutdown=[LogInfo(msg=["because ", LocalSubstitution("event.reason")])])
    service, lines = run(
        process, RegisterEventHandler(ready), RegisterEventHandler(goodbye), endless()
    )
    assert "because it ended" in lines
    assert service.error is None
    assert process.process_details["name"].endswith("-1")


def test_signals_reach_one_process_only(run):
    one, other = endless(), python("print('other', flush=True); input()")
    stop = EmitEvent(
        event=SignalProcess(signal_number="SIGKILL", process_matcher=matches_action(one))
    )
    codes = []
    _, _lines = run(
        one,
        other,
        RegisterEventHandler(OnProcessIO(target_action=one, on_stdout=lambda _: [stop])),
        RegisterEventHandler(
            OnProcessExit(
                target_action=one, on_exit=lambda event, _: codes.append(event.returncode)
            )
        ),
    )
    assert codes == [-9]


def test_an_error_ends_the_launch_and_is_kept(run):
    def fail(context):
        raise RuntimeError("no such luck")

    service, lines = run(endless(), OpaqueFunction(function=fail))
    assert str(service.error) == "no such luck"
    assert "shutting down: caught exception in launch: no such luck" in lines


def test_a_missing_argument_and_a_wrong_choice_are_errors(run):
    service, _ = run(DeclareLaunchArgument("needed"))
    assert "'needed'" in str(service.error)
    service, _ = run(DeclareLaunchArgument("colour", default_value="red", choices=["blue"]))
    assert "must be one of blue" in str(service.error)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LogInfo(msg="x", nonsense=1),
        lambda: ExecuteProcess(cmd=["true"], speed=3),
        lambda: Node(executable="x", package="y", node_executable="z"),
        lambda: TimerAction(period=1.0, actions=[], repeat=True),
        lambda: GroupAction([], nonsense=1),
        lambda: OnProcessExit(on_end=[]),
        lambda: ExecuteProcess(cmd="true"),
        lambda: ExecuteProcess(cmd=[1]),
        lambda: LaunchDescription(["text"]),
        lambda: Node(executable="x", parameters={"a": 1}),
    ],
)
def test_arguments_that_nobody_knows_are_refused(make):
    with pytest.raises(TypeError):
        make()


def test_files_of_all_kinds_share_their_includers_scope(run, tmp_path):
    (tmp_path / "a.launch.xml").write_text(
        """<launch><arg name="who"/><let name="from_xml" value="x"/>
           <log message="xml $(var who) $(dirname)"/>
           <executable cmd="echo process"/></launch>"""
    )
    (tmp_path / "b.launch.yaml").write_text(
        "launch:\n- arg: {name: who}\n- log: {message: 'yaml $(var who) $(var from_xml)'}\n"
    )
    (tmp_path / "c.launch.py").write_text(
        textwrap.dedent(
            """
            from launch import LaunchDescription
            from launch.actions import DeclareLaunchArgument, LogInfo
            from launch.substitutions import LaunchConfiguration, ThisLaunchFileDir

            def generate_launch_description():
                return LaunchDescription([
                    DeclareLaunchArgument("who"),
                    LogInfo(msg=["python ", LaunchConfiguration("who"), " ", ThisLaunchFileDir()]),
                ])
            """
        )
    )
    started = []
    service, lines = run(
        RegisterEventHandler(
            OnProcessStart(on_start=lambda event, _: started.append(event.action))
        ),
        *(
            IncludeLaunchDescription(
                source(str(tmp_path / name)), launch_arguments={"who": name[0]}.items()
            )
            for source, name in [
                (XMLLaunchDescriptionSource, "a.launch.xml"),
                (YAMLLaunchDescriptionSource, "b.launch.yaml"),
                (PythonLaunchDescriptionSource, "c.launch.py"),
            ]
        ),
        IncludeLaunchDescription(str(tmp_path / "b.launch.yaml")),
    )
    assert service.error is None
    wanted = [f"xml a {tmp_path}", "yaml b x", f"python c {tmp_path}", "yaml c x"]
    assert [line for line in said(lines) if line != "process"] == wanted
    assert [action.process_details["cmd"] for action in started] == [["echo", "process"]]


def test_a_wrong_included_file_is_named_with_its_line(run, tmp_path):
    (tmp_path / "a.launch.xml").write_text("<launch>\n<nonsense/></launch>")
    service, _ = run(
        IncludeLaunchDescription(XMLLaunchDescriptionSource(str(tmp_path / "a.launch.xml")))
    )
    assert isinstance(service.error, LaunchError)
    assert "a.launch.xml, line 2" in str(service.error)


def test_a_node_becomes_an_ordinary_ros_command_line(tmp_path):
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text("/**: {ros__parameters: {a: 1}}")
    service = LaunchService()
    context = service.context
    context.launch_configurations["speed"] = "2.5"
    for action in (
        PushRosNamespace("outer"),
        SetParameter("use_sim_time", True),
        SetRemap("a", "b"),
    ):
        action.execute(context)
    node = Node(
        executable=str(tmp_path / "talker"),
        name="talker",
        namespace="inner",
        parameters=[
            str(parameters),
            ParameterFile(parameters),
            {
                "speed": LaunchConfiguration("speed"),
                "text": ParameterValue(LaunchConfiguration("speed"), value_type=str),
                "code": "007",
                "nested": {"gains": [1, 2.5], "names": ["x", "y"]},
            },
        ],
        remappings=[("in", "out")],
        arguments=["--fast"],
        ros_arguments=["--log-level", "debug"],
    )
    assert node.command(context) == [
        str(tmp_path / "talker"), "--fast", "--ros-args",
        "-r", "__node:=talker", "-r", "__ns:=/outer/inner", "-p", "use_sim_time:=true",
        "--params-file", str(parameters), "--params-file", str(parameters),
        "-p", "speed:=2.5", "-p", "text:='2.5'", "-p", "code:='007'",
        "-p", "nested.gains:=[1.0, 2.5]", "-p", "nested.names:=[x, y]",
        "-r", "a:=b", "-r", "in:=out", "--log-level", "debug",
    ]  # fmt: skip
    assert node.node_name == "/outer/inner/talker"
    assert node.default_name(context) == "talker"
    share = FindPackageShare("matlab_ros").perform(context)
    assert share


def test_a_python_file_is_launched_like_any_other(tmp_path, wire):
    path = tmp_path / "x.launch.py"
    path.write_text(
        textwrap.dedent(
            """
            from launch import LaunchDescription
            from launch.actions import DeclareLaunchArgument, ExecuteProcess
            from launch.substitutions import LaunchConfiguration

            def generate_launch_description():
                return LaunchDescription([
                    DeclareLaunchArgument("word", default_value="x", description="to be said"),
                    ExecuteProcess(cmd=["echo", LaunchConfiguration("word")]),
                ])
            """
        )
    )
    [argument] = declared_arguments(path)
    assert (argument.name, argument.default, argument.description) == ("word", "x", "to be said")
    lines = []
    with launch_file(path, {"word": "spoken"}, on_output=lines.append) as going:
        assert going.wait(DEADLINE_S)
    assert "spoken" in [line.text for line in lines]
    path.write_text("def generate_launch_description(): raise OSError('broken')")
    with pytest.raises(LaunchError, match="broken"):
        launch_file(path)
