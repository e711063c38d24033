"""A recording of a graph's messages: MCAP in a rosbag2 folder, types and all.

`ros2 bag play`, Foxglove and rosbags read it. What is written is on disk some seconds later, and
what a killed recorder left behind is read up to its last whole chunk.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from matlab_ros.model.errors import ConfigError, LabError

PackageShare = Callable[[str], Path | None]
"""The folder of a package that holds its msg/, None where the package is not known."""

_BAG_VERSION = 9


@dataclass(frozen=True)
class Offer:
    """The quality of service that one publisher of a topic offers."""

    depth: int = 10
    reliable: bool = True
    latched: bool = False


@dataclass(frozen=True)
class Recorded:
    """One message of a recording.

    Attributes:
        topic: its full name.
        type_name: such as ``sensor_msgs/msg/Temperature``.
        time_ns: ROS time at which it came.
        data: CDR with its four bytes of header.
        latched: whether its topic keeps its last message for those who come later.
    """

    topic: str
    type_name: str
    time_ns: int
    data: bytes
    latched: bool


class Definitions:
    """What message types look like: of packages on this machine first, then of Jazzy's own.

    Args:
        share: where packages are.
    """

    def __init__(self, share: PackageShare) -> None:
        typesys = _library("rosbags.typesys")
        self._share = share
        self._parse = typesys.get_types_from_msg
        self._wrong = typesys.TypesysError
        self._asked: set[str] = set()
        self.store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)

    def knows(self, type_name: str) -> bool:
        """Whether a type and all that it is made of are known; they are in `store` then."""
        if type_name not in self._asked:
            self._asked.add(type_name)
            self._learn(type_name)
        try:
            self.store.generate_msgdef(type_name, ros_version=2)
        except (self._wrong, KeyError):
            return False
        return True

    def _learn(self, type_name: str) -> None:
        """Take over a whole package: what a type is made of is mostly its neighbour."""
        package = type_name.partition("/")[0]
        folder = self._share(package)
        if folder is None:
            return
        found: dict[str, Any] = {}
        for file in sorted((folder / "msg").glob("*.msg")):
            name = f"{package}/msg/{file.stem}"
            if name not in self.store.types:
                # One file that cannot be read must not keep the others from being recorded.
                with contextlib.suppress(self._wrong, UnicodeDecodeError):
                    found.update(self._parse(file.read_text(encoding="utf-8"), name))
        if found:
            self.store.register(found)


class Recording:
    """A recording being written. Callable from several threads.

    Args:
        folder: a new one.
        definitions: of the types.

    Raises:
        LabError: the folder is there already, or cannot be made.
    """

    def __init__(self, folder: Path, definitions: Definitions) -> None:
        rosbag2 = _library("rosbags.rosbag2")
        self.folder = folder
        self._definitions = definitions
        self._lock = threading.Lock()
        self._connections: dict[str, Any] = {}
        self._closed = False
        self.messages = 0
        try:
            self._writer = rosbag2.Writer(
                folder, version=_BAG_VERSION, storage_plugin=rosbag2.StoragePlugin.MCAP
            )
            self._writer.open()
        except (rosbag2.WriterError, OSError) as error:
            raise LabError(
                f"The recording {folder} cannot be made ({error}); name another folder."
            ) from error

    def add_topic(self, topic: str, type_name: str, offers: Sequence[Offer]) -> None:
        """Begin with a topic whose type `Definitions.knows`; again is nothing."""
        with self._lock:
            if topic not in self._connections and not self._closed:
                self._connections[topic] = self._writer.add_connection(
                    topic,
                    type_name,
                    typestore=self._definitions.store,
                    offered_qos_profiles=[_qos(offer) for offer in offers],
                )

    def write(self, topic: str, time_ns: int, data: bytes) -> None:
        """Note a message of a topic that was added; nothing after `close`."""
        with self._lock:
            if not self._closed:
                self._writer.write(self._connections[topic], time_ns, data)
                self.messages += 1

    def flush(self) -> None:
        """Bring to disk what is still in memory."""
        with self._lock:
            if self._closed or not self._writer.storage.chunk.msgs:
                return
            self._writer.storage.close_chunk()
            self._writer.storage.bio.flush()

    def close(self) -> None:
        """Write what is left, the index and metadata.yaml; again is nothing."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._writer.close()


def read_recording(path: Path) -> Iterator[Recorded]:
    """The messages of a recording, in the order in which they came.

    Args:
        path: a rosbag2 folder or an MCAP file; one that was broken off is read as far as it goes.

    Raises:
        LabError: there is none, or it holds something else than ROS 2 messages.
    """
    files = sorted(path.glob("*.mcap")) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise LabError(
            f"There is no recording at {path}; expected a folder with an .mcap file, or the file."
        )
    for file in files:
        yield from _read_file(file)


def _read_file(file: Path) -> Iterator[Recorded]:
    records = _library("mcap.records")
    reader = _library("mcap.stream_reader")
    wrong = _library("mcap.exceptions")
    schemas: dict[int, str] = {}
    channels: dict[int, tuple[str, str, bool]] = {}
    with file.open("rb") as stream:
        try:
            for record in reader.StreamReader(stream).records:
                if isinstance(record, records.Schema):
                    schemas[record.id] = record.name
                elif isinstance(record, records.Channel):
                    if record.message_encoding != "cdr":
                        raise LabError(
                            f"{file}: {record.topic} is {record.message_encoding!r}, not CDR; "
                            "expected a recording of ROS 2."
                        )
                    channels[record.id] = (
                        record.topic,
                        schemas[record.schema_id],
                        "transient_local" in record.metadata.get("offered_qos_profiles", ""),
                    )
                elif isinstance(record, records.Message):
                    topic, type_name, latched = channels[record.channel_id]
                    yield Recorded(topic, type_name, record.log_time, record.data, latched)
                elif isinstance(record, records.DataEnd):
                    return
        except wrong.EndOfFile:
            return
        except (wrong.McapError, KeyError) as error:
            raise LabError(f"{file} is no MCAP recording ({error}).") from error


def _qos(offer: Offer) -> Any:
    kinds = _library("rosbags.interfaces")
    never = kinds.QosTime(0, 0)
    return kinds.Qos(
        kinds.QosHistory.KEEP_LAST,
        offer.depth,
        kinds.QosReliability.RELIABLE if offer.reliable else kinds.QosReliability.BEST_EFFORT,
        kinds.QosDurability.TRANSIENT_LOCAL if offer.latched else kinds.QosDurability.VOLATILE,
        never,
        never,
        kinds.QosLiveliness.AUTOMATIC,
        never,
        False,
    )


def _library(name: str) -> ModuleType:
    """A library of the extra `record`, which a lab that records nothing does without."""
    import importlib

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            "this installation",
            error.name or name,
            "is missing",
            "pip install 'matlab_ros[record]'",
        ) from error
