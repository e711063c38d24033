"""Launch files: what they come to, and what is refused with file and line."""

import sys
import textwrap

import pytest

from pocket_ros import packages
from pocket_ros.launch import LaunchError, interpret
from pocket_ros.launch.description import Delay, Message, ProcessSpec, Stop


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes launch files beside an installed package `demo_pkg` with executable `talker`."""
    info = tmp_path / "demo_pkg-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: demo-pkg\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[console_scripts]\ntalker = demo.nodes:main\n")
    share = tmp_path / "packages" / "demo_pkg"
    share.mkdir(parents=True)
    (share / "package.xml").write_text("<package><name>demo_pkg</name></package>")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("POCKET_ROS_PACKAGE_PATH", str(tmp_path / "packages"))
    packages.refresh()

    def write(text, name="test.launch.xml"):
        path = tmp_path / name
        text = textwrap.dedent(text)
        path.write_text(f"<launch>\n{text}\n</launch>" if name.endswith("xml") else text)
        return path

    return write


def options(process):
    """The node's arguments behind --ros-args, in pairs."""
    words = list(process.command[process.command.index("--ros-args") + 1 :])
    return list(zip(words[::2], words[1::2], strict=True))


def test_a_node_becomes_an_ordinary_ros_command_line(write, tmp_path):
    parameters = tmp_path / "p.yaml"
    parameters.write_text("/**: {ros__parameters: {a: 1}}")
    [process] = interpret(
        write(
            f"""
            <node pkg="demo_pkg" exec="talker" name="t" namespace="lab" output="screen"
                  args="one 'two words'" respawn="true" respawn_delay="0.5" on_exit="shutdown">
              <param name="number" value="5"/>
              <param name="text" value="5" type="str"/>
              <param name="flag" value="True"/>
              <param name="list" value="1.0;2.0" value-sep=";"/>
              <param name="outer"><param name="inner" value="x: y"/></param>
              <param from="{parameters}"/>
              <remap from="chatter" to="/other"/>
              <env name="KEY" value="VALUE"/>
            </node>
            """
        )
    ).processes()
    head = list(process.command[: process.command.index("--ros-args")])
    assert head[1:] == [
        "-m",
        "pocket_ros.bootstrap",
        "demo.nodes:main",
        "talker",
        "one",
        "two words",
    ]
    assert options(process) == [
        ("-r", "__node:=t"),
        ("-r", "__ns:=/lab"),
        ("-p", "number:=5"),
        ("-p", "text:='5'"),
        ("-p", "flag:=true"),
        ("-p", "list:=[1.0, 2.0]"),
        ("-p", "outer.inner:='x: y'"),
        ("--params-file", str(parameters)),
        ("-r", "chatter:=/other"),
    ]
    assert process.environment["KEY"] == "VALUE"
    assert (process.name, process.output) == ("talker", "screen")
    assert (process.respawn, process.respawn_delay_s, process.shutdown_on_exit) == (True, 0.5, True)


def test_groups_keep_their_changes_to_themselves(write):
    first, second = interpret(
        write(
            """
            <let name="x" value="outside"/>
            <group>
              <let name="x" value="inside"/>
              <push_ros_namespace namespace="a"/>
              <push_ros_namespace namespace="b"/>
              <set_parameter name="use_sim_time" value="true"/>
              <set_remap from="p" to="q"/>
              <set_env name="WHERE" value="$(var x)"/>
              <node pkg="demo_pkg" exec="talker"/>
            </group>
            <node pkg="demo_pkg" exec="talker" args="$(var x)"/>
            """
        ),
        environ={},
    ).processes()
    assert options(first) == [
        ("-r", "__ns:=/a/b"),
        ("-p", "use_sim_time:=true"),
        ("-r", "p:=q"),
    ]
    assert first.environment == {"WHERE": "inside"}
    assert second.command[-1] == "outside"
    assert second.environment == {}


def test_includes_share_their_includers_scope(write):
    write(
        """
        <arg name="who"/>
        <arg name="greeting" default="hello"/>
        <let name="set_inside" value="$(var greeting) $(var who)"/>
        <log message="$(dirname)"/>
        """,
        "inner.launch.xml",
    )
    path = write(
        """
        <include file="$(dirname)/inner.launch.xml"><arg name="who" value="world"/></include>
        <log message="$(var set_inside)"/>
        <log message="$(filename)"/>
        """
    )
    description = interpret(path)
    texts = [item.text for item in description.items]
    assert texts == [str(path.parent), "hello world", str(path)]
    assert [a.name for a in description.arguments] == ["who", "greeting"]


def test_timers_logs_and_shutdown_come_in_order(write):
    items = interpret(
        write(
            """
            <log message="a"/>
            <timer period="2.5"><log message="b"/></timer>
            <shutdown reason="enough"/>
            """
        )
    ).items
    assert items == (Message("a"), Delay(2.5, (Message("b"),)), Stop("enough"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$(var a)", "1.5"),
        ("$(var none 'by default')", "by default"),
        ("$(env HOME_OF_TEST)", "here"),
        ("$(env NOT_SET fallback)", "fallback"),
        ("x$(var $(var name))y", "x1.5y"),
        ("$(eval '$(var a) * 2 + max(1, 2)')", "5.0"),
        ("$(eval \"'$(var name)' == 'a'\")", "True"),
        ("$(eval '\\'$(var name)\\' in [\\'a\\', \\'b\\']')", "True"),
        ("$(not true)", "false"),
        ("$(and true $(equals $(var a) 1.50))", "true"),
        ("$(or 0 false)", "false"),
        ("$(not-equals x y)", "true"),
        ("$(if true yes no)", "yes"),
        ("\\$(var a)", "$(var a)"),
        ("$(command 'echo -n out')", "out"),
    ],
)
def test_substitutions(write, text, value):
    escaped = text.replace('"', "&quot;")
    path = write(
        f"""
        <let name="a" value="1.5"/><let name="name" value="a"/>
        <log message="{escaped}"/>
        """
    )
    environ = {"HOME_OF_TEST": "here", "PATH": "/usr/bin:/bin"}
    assert interpret(path, environ=environ).items == (Message(value),)


def test_conditions(write):
    path = write(
        """
        <arg name="on" default="true"><choice value="true"/><choice value="false"/></arg>
        <log message="if" if="$(var on)"/>
        <log message="unless" unless="$(var on)"/>
        """
    )
    assert interpret(path).items == (Message("if"),)
    assert interpret(path, {"on": "false"}).items == (Message("unless"),)


def test_packages_are_found(write, tmp_path):
    path = write('<log message="$(find-pkg-share demo_pkg)/x"/>')
    assert interpret(path).items == (Message(f"{tmp_path}/packages/demo_pkg/x"),)


def test_yaml_says_the_same_as_xml(write):
    xml = write(
        """
        <arg name="speed" default="2"/>
        <group>
          <push_ros_namespace namespace="lab"/>
          <node pkg="demo_pkg" exec="talker" if="true">
            <param name="speed" value="$(var speed)"/>
            <remap from="a" to="b"/>
          </node>
        </group>
        """
    )
    yaml = write(
        """
        launch:
        - arg: {name: speed, default: "2"}
        - group:
            children:
            - push_ros_namespace: {namespace: lab}
            - node:
                pkg: demo_pkg
                exec: talker
                if: true
                param:
                - {name: speed, value: $(var speed)}
                remap:
                - {from: a, to: b}
        """,
        "test.launch.yaml",
    )
    assert interpret(yaml) == interpret(xml)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<nod/>", "<nod>: this tag is not supported"),
        ('<node pkg="demo_pkg" exec="talker" nam="x"/>', "<node>: the attribute 'nam'"),
        ('<node pkg="demo_pkg"/>', "'exec' is missing"),
        ('<node pkg="demo_pkg" exec="tolker"/>', "no executable 'tolker' .it has: talker"),
        ('<node pkg="nobody" exec="talker"/>', "'nobody'"),
        ('<node pkg="demo_pkg" exec="talker"><parm/></node>', "<parm>: this tag cannot stand"),
        (
            '<node pkg="demo_pkg" exec="talker"><param from="/nowhere.yaml"/></node>',
            "/nowhere.yaml does not exist",
        ),
        ('<node pkg="demo_pkg" exec="talker" on_exit="restart"/>', "only be shutdown"),
        ('<node pkg="demo_pkg" exec="talker" respawn_delay="soon"/>', "'respawn_delay' must be"),
        ('<node pkg="demo_pkg" exec="talker" respawn="maybe"/>', "expected true, false"),
        ('<log message="$(var nothing)"/>', "'nothing' does not exist"),
        ('<log message="$(vat nothing)"/>', r"unknown substitution \$\(vat\)"),
        ('<log message="$(var nothing"/>', "not closed"),
        ('<log message="$(find-pkg-share nobody)"/>', "'nobody' was not found"),
        ("<log message=\"$(eval '__import__(1)')\"/>", "does not know"),
        ("<log message=\"$(eval '1 / 0')\"/>", "division by zero"),
        ('<arg name="needed"/>', "'needed' needs a value"),
        ('<arg name="a" default="x"><choice value="y"/></arg>', "must be one of y"),
        ('<include file="/nowhere.launch.xml"/>', "does not exist"),
        ('<include file="$(filename)"/>', "includes itself"),
        ("<group>text</group>", "unexpected text"),
        ('<log message="a"', "line 3"),
        ('<log message="a" if="true" unless="false"/>', "exclude each other"),
    ],
)
def test_mistakes_are_named_with_file_and_line(write, text, reason):
    with pytest.raises(LaunchError, match=f"test.launch.xml, line .*{reason}"):
        interpret(write(text))


def test_an_argument_nobody_declares_is_refused(write):
    path = write('<arg name="speed" default="1"/>')
    with pytest.raises(LaunchError, match=r"no launch argument 'sped' \(there is: speed\)"):
        interpret(path, {"sped": "2"})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(LaunchError, match=r"nothing\.launch\.xml cannot be read"):
        interpret(tmp_path / "nothing.launch.xml")


def test_executables_are_taken_as_they_are(write):
    [process] = interpret(write('<executable cmd="echo $(eval \'1 + 1\') b" cwd="/"/>')).processes()
    assert isinstance(process, ProcessSpec)
    assert process.command == ("echo", "2", "b")
    assert (process.name, process.directory) == ("echo", "/")
