"""What was said on the graph can be read again, by libraries that are not ours, types and all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import matlab_ros.nodes  # noqa: F401  (switches pocket_ros on where there is no ROS 2)

pytest.importorskip("rclpy", reason="there is neither ROS 2 nor pocket_ros")
pytest.importorskip("rosbags.rosbag2", reason="pip install 'matlab_ros[record]'")
pytest.importorskip("mcap", reason="pip install 'matlab_ros[record]'")

import rclpy
import rclpy.executors
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rosbags.highlevel import AnyReader
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Temperature

from matlab_ros import cli
from matlab_ros.model.errors import LabError
from matlab_ros.monitor.recording import read_recording
from matlab_ros_interfaces.msg import LabEvent

PATIENCE_S = 60.0
LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


class Lab(Node):
    """Says three things under simulated time; each again and again, until it was recorded."""

    def __init__(self, context: Any) -> None:
        super().__init__("speaker", context=context)
        self.heat = self.create_publisher(Temperature, "furnace_1/temperature", 10)
        self.events = self.create_publisher(LabEvent, "lab_events", 10)
        self.last = self.create_publisher(LabEvent, "last_event", LATCHED)
        self.clock = self.create_publisher(Clock, "/clock", 10)


@pytest.fixture
def lab(graph) -> Iterator[Lab]:
    context = rclpy.Context()
    context.init()
    node = Lab(context)
    yield node
    context.try_shutdown()
    node.destroy_node()


def eventually(seen: Callable[[], bool], doing: Callable[[], None], what: str) -> None:
    """Do something until it shows."""
    deadline = time.monotonic() + PATIENCE_S
    pause = threading.Event()
    while not seen():
        assert time.monotonic() < deadline, what
        doing()
        pause.wait(0.05)


class Writer:
    """A recorder in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        words = ["--ros-args", "-p", f"folder:={folder}", "-p", "use_sim_time:=true"]
        code = "from matlab_ros.nodes.recorder import main; import sys; sys.exit(main())"
        self.process = subprocess.Popen([sys.executable, "-c", code, *words], env=dict(os.environ))

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def speak(lab: Lab) -> Callable[[], None]:
    """Every word has a number of its own; the clock stands at 1000 s."""
    lab.last.publish(LabEvent(sequence=77, text="first"))
    count = 0

    def say() -> None:
        nonlocal count
        count += 1
        lab.clock.publish(Clock(clock=Time(sec=1000)))
        lab.heat.publish(Temperature(temperature=500.0 + count, variance=float("nan")))
        lab.events.publish(LabEvent(sequence=count, text=f"ein Tiegel, №{count}"))

    return say


def heard(lab: Lab) -> bool:
    """Whether the recorder listens to all of it."""
    return all(item.get_subscription_count() for item in (lab.heat, lab.events, lab.last))


def test_two_other_libraries_read_every_message_of_a_recording(lab, tmp_path):
    say = speak(lab)
    with Writer(tmp_path / "night") as writer:
        eventually(lambda: heard(lab), say, "the recorder never listened")
        marked = LabEvent(sequence=123456, text="the last one")

        def again() -> None:
            say()
            lab.events.publish(marked)

        eventually(lambda: 123456 in sequences(writer.folder), again, "never on disk")
        assert writer.end() == 0
    with AnyReader([writer.folder]) as reader:
        said = {c.topic: [] for c in reader.connections}
        for connection, time_ns, data in reader.messages():
            said[connection.topic].append(
                (time_ns, reader.deserialize(data, connection.msgtype), bytes(data))
            )
    assert {"/furnace_1/temperature", "/lab_events", "/last_event", "/clock"} <= set(said)
    assert [item.text for _, item, _ in said["/last_event"]] == ["first"]
    assert all(t == 1000 * 10**9 for t, _, _ in said["/furnace_1/temperature"])
    numbers = [item.temperature for _, item, _ in said["/furnace_1/temperature"]]
    assert numbers == sorted(numbers)
    assert numbers[0] > 500
    assert serialize_message(marked) in [data for _, _, data in said["/lab_events"]]
    for item in [item for _, item, _ in said["/lab_events"] if item.sequence != 123456]:
        assert item.text == f"ein Tiegel, №{item.sequence}"

    decoder = pytest.importorskip("mcap_ros2.decoder")
    from mcap.reader import make_reader

    with next(writer.folder.glob("*.mcap")).open("rb") as stream:
        reader = make_reader(stream, decoder_factories=[decoder.DecoderFactory()])
        assert reader.get_header().profile == "ros2"
        decoded = [
            (channel.topic, message) for _, channel, _, message in reader.iter_decoded_messages()
        ]
    assert len(decoded) == sum(len(items) for items in said.values())
    assert [m.text for topic, m in decoded if topic == "/last_event"] == ["first"]
    ours = [item.topic for item in read_recording(writer.folder)]
    assert sorted(ours) == sorted(topic for topic, _ in decoded)


def sequences(folder: Path) -> list[int]:
    """Numbers of the events that are on disk now, while the recorder writes."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    if not list(folder.glob("*.mcap")):
        return []
    store = get_typestore(Stores.ROS2_JAZZY)
    file = Path(__file__).parents[2] / "matlab_ros_interfaces/msg/LabEvent.msg"
    store.register(get_types_from_msg(file.read_text(), "matlab_ros_interfaces/msg/LabEvent"))
    return [
        store.deserialize_cdr(item.data, item.type_name).sequence
        for item in read_recording(folder)
        if item.topic == "/lab_events"
    ]


def test_a_killed_recorder_leaves_what_it_had_written(lab, tmp_path):
    say = speak(lab)
    with Writer(tmp_path / "night") as writer:
        eventually(lambda: len(sequences(writer.folder)) > 0, say, "nothing came to disk")
        writer.end(signal.SIGKILL)
    last = [item for item in read_recording(writer.folder) if item.topic == "/last_event"]
    assert [item.latched for item in last] == [True]
    assert sequences(writer.folder)


def test_an_earlier_recording_is_never_overwritten(lab, tmp_path):
    folder = tmp_path / "night"
    folder.mkdir()
    (folder / "precious").write_text("of yesterday")
    say = speak(lab)
    with Writer(folder) as writer:
        eventually(lambda: sequences(tmp_path / "night.1") != [], say, "no folder of its own")
        assert writer.end() == 0
    assert [item.name for item in folder.iterdir()] == ["precious"]


def test_a_recording_is_said_again_in_its_order(lab, tmp_path, capsys):
    say = speak(lab)
    with Writer(tmp_path / "night") as writer:
        eventually(lambda: len(sequences(writer.folder)) > 3, say, "nothing came to disk")
        assert writer.end() == 0
    recorded = sequences(writer.folder)
    heard_again: list[int] = []
    lab.create_subscription(LabEvent, "lab_events", lambda m: heard_again.append(m.sequence), 1000)
    last: list[str] = []
    lab.create_subscription(LabEvent, "last_event", lambda m: last.append(m.text), LATCHED)
    executor = rclpy.executors.SingleThreadedExecutor(context=lab.context)
    executor.add_node(lab)
    words = ["replay", str(writer.folder), "--speed", "0", "--topics", ".*event.*"]
    assert cli.main(words) == 0
    eventually(
        lambda: len(heard_again) >= len(recorded),
        lambda: executor.spin_once(timeout_sec=0.1),
        "not all was heard",
    )
    assert heard_again == recorded
    assert set(last) == {"first"}
    assert "on 2 topics" in capsys.readouterr().out
    executor.shutdown()


def test_what_is_no_recording_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(LabError, match="no recording at"):
        list(read_recording(tmp_path))
    file = tmp_path / "letter.mcap"
    file.write_bytes(b"Dear colleague, " * 20)
    with pytest.raises(LabError, match="is no MCAP recording"):
        list(read_recording(file))
