"""The import hook: ROS 2's import statements work, and a real ROS 2 always wins."""

import subprocess
import sys
import textwrap

import pytest


def run(code, tmp_path, path=(), **environment):
    """Run code in a fresh interpreter that can import pocket_ros; returns what it prints."""
    import pocket_ros

    root = pocket_ros.__path__[0].rpartition("/")[0]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        env={
            "PYTHONPATH": ":".join([*map(str, path), root]),
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            **environment,
        },
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_interfaces_import_as_from_ros(tmp_path):
    out = run(
        """
        from pocket_ros import hook
        hook.install()
        from sensor_msgs.msg import JointState
        from std_srvs.srv import Trigger, Trigger_Request
        from example_interfaces.action import Fibonacci
        import geometry_msgs.msg as geometry
        from geometry_msgs.msg import *
        assert Trigger.Request is Trigger_Request
        assert Pose is geometry.Pose and "PoseStamped" in dir(geometry)
        assert JointState.__module__ == "sensor_msgs.msg"
        print(Fibonacci.Goal(order=3))
        """,
        tmp_path,
    )
    assert out == "example_interfaces.action.Fibonacci_Goal(order=3)\n"


def test_names_that_do_not_exist_are_import_errors(tmp_path):
    run(
        """
        from pocket_ros import hook
        hook.install()
        for line in ("from std_msgs.msg import Nothing", "import std_msgs.bag",
                     "import nobody_msgs.msg", "import rclpy.nothing"):
            try:
                exec(line)
            except ImportError:
                continue
            raise SystemExit(line)
        """,
        tmp_path,
    )


def test_a_stand_in_is_the_same_module_under_both_names(tmp_path):
    run(
        """
        import sys
        from pocket_ros import hook
        hook.install()
        import ament_index_python.packages
        import pocket_ros.ament_index_python.packages as ours
        assert ament_index_python.packages is ours
        assert sys.modules["ament_index_python.packages"] is ours
        assert ours.__spec__.name == ours.__name__ == "pocket_ros.ament_index_python.packages"
        """,
        tmp_path,
    )


def test_installing_twice_changes_nothing_and_stays_light(tmp_path):
    out = run(
        """
        import sys
        from pocket_ros import hook
        before = len(sys.meta_path)
        hook.install(); hook.install()
        from std_msgs.msg import String
        print(len(sys.meta_path) - before, "zenoh" in sys.modules, "numpy" in sys.modules)
        """,
        tmp_path,
    )
    assert out.split() == ["1", "False", "False"]


def test_a_real_ros_wins(tmp_path):
    for package in ("rclpy", "std_msgs"):
        (tmp_path / "ros" / package).mkdir(parents=True)
        (tmp_path / "ros" / package / "__init__.py").write_text("REAL = True")
    (tmp_path / "ros" / "std_msgs" / "msg.py").write_text("String = 'real'")
    run(
        """
        from pocket_ros import hook
        hook.install()
        import rclpy
        from std_msgs.msg import String
        assert rclpy.REAL and String == "real"
        try:
            import std_msgs.srv
        except ImportError:
            pass
        else:
            raise SystemExit("ours mixed with the real one")
        """,
        tmp_path,
        path=[tmp_path / "ros"],
    )


@pytest.fixture
def workspace(tmp_path):
    """A source workspace: a package, and an interface package beside it."""
    src = tmp_path / "src"
    (src / "lab_interfaces" / "msg").mkdir(parents=True)
    (src / "package.xml").write_text("<package><name>lab</name></package>")
    (src / "lab_interfaces" / "package.xml").write_text(
        "<package><name>lab_interfaces</name></package>"
    )
    (src / "lab_interfaces" / "msg" / "Mass.msg").write_text("float64 mass_mg\n")
    return src


def test_interfaces_of_a_source_workspace_import_from_within_it(workspace):
    # The folder lab_interfaces is in sys.path too, where Python sees a namespace package.
    out = run(
        """
        import sys
        sys.path.insert(0, "")
        from pocket_ros import hook
        hook.install()
        from lab_interfaces.msg import Mass
        print(Mass(mass_mg=2.0))
        """,
        workspace,
        POCKET_ROS_PACKAGE_PATH=str(workspace),
    )
    assert out == "lab_interfaces.msg.Mass(mass_mg=2.0)\n"
