"""The messages of a topic: hearing, publishing and measuring them."""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import yaml

from pocket_ros.tools.command import (
    ToolError,
    absolute,
    await_subscribers,
    interface,
)
from pocket_ros.tools.values import Style, fill, is_message, parse_yaml, to_csv, to_plain, to_yaml

_POLICIES = {
    "reliability": ("reliable", "best_effort", "system_default", "best_available"),
    "durability": ("transient_local", "volatile", "system_default", "best_available"),
    "history": ("keep_last", "keep_all", "system_default"),
}
_PROFILES = ("default", "sensor_data", "services_default", "parameters", "system_default")


def _add_qos_options(parser: Any) -> None:
    parser.add_argument("--qos-profile", choices=_PROFILES, help="a preset to begin with")
    parser.add_argument("--qos-depth", type=int, metavar="N", help="how many messages are kept")
    for policy, values in _POLICIES.items():
        parser.add_argument(f"--qos-{policy}", choices=values)


def add_subscribing_options(parser: Any) -> None:
    """Add what a subscription is made from."""
    parser.add_argument("topic_name")
    _add_qos_options(parser)


def add_publishing_options(parser: Any) -> None:
    """Add what `topic pub` takes."""
    parser.add_argument("topic_name")
    parser.add_argument("message_type", help="as std_msgs/msg/String")
    parser.add_argument("values", nargs="?", default="{}", help="YAML, as '{data: hello}'")
    parser.add_argument("-r", "--rate", type=float, default=1.0, metavar="HZ")
    parser.add_argument("-p", "--print", type=int, default=1, metavar="N", help="print every Nth")
    many = parser.add_mutually_exclusive_group()
    many.add_argument("-1", "--once", action="store_true", help="one message, then stop")
    many.add_argument("-t", "--times", type=int, default=0, metavar="N", help="so many messages")
    parser.add_argument(
        "-w", "--wait-matching-subscriptions", type=int, metavar="N",
        help="wait for so many subscriptions first (default 1 with --once or --times, else 0)",
    )  # fmt: skip
    parser.add_argument("--max-wait-time-secs", type=float, metavar="SECONDS")
    parser.add_argument("--keep-alive", type=float, default=0.1, metavar="SECONDS")
    _add_qos_options(parser)


def _profile(options: argparse.Namespace, otherwise: dict[str, str]) -> Any:
    """The QoS profile of the options; what they leave open is `otherwise`, then rclpy's default."""
    from pocket_ros.rclpy import qos

    preset = {
        None: qos.QoSProfile(depth=10),
        "default": qos.QoSProfile(depth=10),
        "sensor_data": qos.qos_profile_sensor_data,
        "services_default": qos.qos_profile_services_default,
        "parameters": qos.qos_profile_parameters,
        "system_default": qos.qos_profile_system_default,
    }[options.qos_profile]
    chosen = {} if options.qos_profile else dict(otherwise)
    chosen.update(
        {policy: value for policy in _POLICIES if (value := getattr(options, f"qos_{policy}"))}
    )
    enums: dict[str, Any] = {
        "reliability": qos.ReliabilityPolicy,
        "durability": qos.DurabilityPolicy,
        "history": qos.HistoryPolicy,
    }
    values = {name: getattr(preset, name) for name in enums}
    values |= {name: enums[name][value.upper()] for name, value in chosen.items()}
    depth = preset.depth if options.qos_depth is None else options.qos_depth
    return qos.QoSProfile(depth=depth, **values)


def _fitting(node: Any, topic: str) -> dict[str, str]:
    """Policies with which a subscription hears every publisher, and late the last messages."""
    publishers = [p.qos_profile for p in node.get_publishers_info_by_topic(topic)]
    if not publishers:
        return {}
    reliable = [p.reliability.name == "RELIABLE" for p in publishers]
    latched = [p.durability.name == "TRANSIENT_LOCAL" for p in publishers]
    for several, policy, fallback in (
        (reliable, "RELIABLE", "BEST_EFFORT"),
        (latched, "TRANSIENT_LOCAL", "VOLATILE"),
    ):
        if any(several) and not all(several):
            print(
                f"Some, but not all, publishers are offering {policy}. "
                f"Falling back to {fallback} as it will connect to all publishers",
                flush=True,
            )
    return {
        "reliability": "reliable" if all(reliable) else "best_effort",
        "durability": "transient_local" if all(latched) else "volatile",
    }


def _message_class(node: Any, topic: str, given: str | None, *, wait: bool) -> Any:
    """The class of a topic's messages; waits for somebody who knows it, where `wait`."""
    if given:
        return interface(given, "msg")

    def types() -> list[str]:
        known: dict[str, list[str]] = dict(node.get_topic_names_and_types())
        return known.get(topic, [])

    found = types()
    if not found:
        print(f"WARNING: topic [{topic}] does not appear to be published yet", flush=True)
        if not wait:
            raise ToolError("Could not determine the type for the passed topic")
        # In slices, since a wait without end would not see Ctrl-C on every system.
        while not node.context._live_graph().wait(lambda: bool(types()), 1.0):
            continue
        found = types()
    if len(found) > 1:
        raise ToolError(
            f"Cannot echo topic '{topic}', as it contains more than one type: [{', '.join(found)}]"
        )
    return interface(found[0], "msg")


def echo(node: Any, options: argparse.Namespace) -> None:
    """print a topic's messages"""
    from pocket_ros import rclpy
    from pocket_ros.rclpy.task import Future

    topic = absolute(options.topic_name)
    cls = _message_class(node, topic, options.message_type, wait=False)
    style = Style(
        truncate=None if options.full_length else options.truncate_length,
        no_arrays=options.no_arr,
        no_strings=options.no_str,
        flow=options.flow_style,
    )
    path = [part for part in (options.field or "").split(".") if part]
    if options.field is not None:
        _check_field(cls, path, options.field)
    done: Future[bool] = Future()

    def stop() -> None:
        if not done.done():
            done.set_result(False)

    def show(message: Any, info: Any) -> None:
        if done.done():
            return
        for part in path:
            message = getattr(message, part)
        print(_shown(message, info, options, style), flush=True)
        if options.once:
            done.set_result(True)

    node.create_subscription(
        cls, topic, show, _profile(options, _fitting(node, topic)), raw=options.raw
    )
    if options.timeout is not None:
        node.create_timer(options.timeout, stop)
    rclpy.spin_until_future_complete(node, done)


def _check_field(cls: Any, path: list[str], given: str) -> None:
    value = cls()
    for part in path:
        if not is_message(value) or part not in value.get_fields_and_field_types():
            known = ", ".join(value.get_fields_and_field_types()) if is_message(value) else "none"
            raise ToolError(f"Invalid field '{given}': there is no {part!r} (there is: {known})")
        value = getattr(value, part)
    if not path:
        raise ToolError(f"Invalid field value '{given}'")


def _shown(message: Any, info: Any, options: argparse.Namespace, style: Style) -> str:
    """What `echo` prints of a message, without the last line end."""
    about = dict(info) if options.include_message_info else None
    if options.csv and not isinstance(message, bytes):
        values = to_csv(message, style)
        return ",".join([*map(str, about.values()), values]) if about else values
    if is_message(message):
        text = to_yaml(message, style)
    else:
        plain = message if isinstance(message, (bytes, str)) else to_plain(message, style)
        text = f"{plain!s}\n"
    head = f"{yaml.safe_dump(about)}---\n" if about else ""
    return f"{head}{text}---"


def _measure(
    node: Any,
    options: argparse.Namespace,
    on_message: Callable[[Any], None],
    report: Callable[[], str | None],
    *,
    raw: bool = False,
) -> None:
    """Hear a topic for ever and print a report about every second."""
    from pocket_ros import rclpy

    topic = absolute(options.topic_name)
    cls = _message_class(node, topic, None, wait=True)
    profile = _profile(options, {"reliability": "best_effort"} | _fitting(node, topic))
    node.create_subscription(cls, topic, on_message, profile, raw=raw)
    told = time.monotonic()
    while True:
        rclpy.spin_once(node, timeout_sec=0.2)
        if time.monotonic() - told >= 1.0:
            told = time.monotonic()
            if (text := report()) is not None:
                print(text, flush=True)


def _statistics(values: Sequence[float]) -> tuple[float, float, float, float]:
    """Mean, least, greatest and standard deviation."""
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    return mean, min(values), max(values), deviation


def rate(node: Any, options: argparse.Namespace) -> None:
    """print how often messages come"""
    arrivals: deque[float] = deque(maxlen=options.window + 1)
    reported = 0.0

    def note(_message: Any) -> None:
        now = time.time_ns() if options.wall_time else node.get_clock().now().nanoseconds
        if arrivals and now * 1e-9 < arrivals[-1]:
            print("time has reset, resetting counters", flush=True)
            arrivals.clear()
        arrivals.append(now * 1e-9)

    def report() -> str | None:
        nonlocal reported
        if len(arrivals) < 2 or arrivals[-1] == reported:
            return None
        reported = arrivals[-1]
        known = list(arrivals)
        periods = [after - before for before, after in itertools.pairwise(known)]
        mean, least, most, deviation = _statistics(periods)
        return (
            f"average rate: {1.0 / mean if mean > 0 else 0.0:.3f}\n"
            f"\tmin: {least:.3f}s max: {most:.3f}s std dev: {deviation:.5f}s window: {len(periods)}"
        )

    _measure(node, options, note, report)


def bandwidth(node: Any, options: argparse.Namespace) -> None:
    """print how many bytes a topic carries"""
    seen: deque[tuple[float, int]] = deque(maxlen=options.window)

    def report() -> str | None:
        if len(seen) < 2:
            return None
        sizes = [size for _, size in seen]
        per_second = sum(sizes) / (time.monotonic() - seen[0][0])
        mean = sum(sizes) / len(sizes)
        words = [_bytes_text(v, per_second) for v in (per_second, mean, min(sizes), max(sizes))]
        return (
            f"{words[0]}/s from {len(sizes)} messages\n"
            f"\tMessage size mean: {words[1]} min: {words[2]} max: {words[3]}"
        )

    print(f"Subscribed to [{absolute(options.topic_name)}]", flush=True)
    _measure(
        node, options, lambda raw: seen.append((time.monotonic(), len(raw))), report, raw=True
    )  # fmt: skip


def _bytes_text(value: float, scale: float) -> str:
    """A number of bytes in the unit that fits `scale`."""
    if scale < 1e3:
        return f"{value:.0f} B"
    return f"{value / 1e3:.2f} KB" if scale < 1e6 else f"{value / 1e6:.2f} MB"


def delay(node: Any, options: argparse.Namespace) -> None:
    """print how old messages are when they come, by the stamp in their header"""
    delays: deque[float] = deque(maxlen=options.window)
    fresh = False

    def note(message: Any) -> None:
        nonlocal fresh
        if not hasattr(message, "header"):
            raise ToolError("msg does not have header")
        stamp = message.header.stamp
        delays.append(node.get_clock().now().nanoseconds * 1e-9 - stamp.sec - stamp.nanosec * 1e-9)
        fresh = True

    def report() -> str | None:
        nonlocal fresh
        if not delays:
            return None
        if not fresh:
            return "no new messages"
        fresh = False
        mean, least, most, deviation = _statistics(list(delays))
        return (
            f"average delay: {mean:.3f}\n"
            f"\tmin: {least:.3f}s max: {most:.3f}s std dev: {deviation:.5f}s window: {len(delays)}"
        )

    _measure(node, options, note, report)


def publish(node: Any, options: argparse.Namespace) -> None:
    """publish messages on a topic"""
    from pocket_ros import rclpy

    cls = interface(options.message_type, "msg")
    times = 1 if options.once else options.times
    if options.rate <= 0:
        raise ToolError("rate must be greater than zero")
    message = cls()
    stamps = fill(message, parse_yaml(options.values))
    publisher = node.create_publisher(cls, absolute(options.topic_name), _profile(options, {}))
    _await_matches(node, options, publisher, times)
    print("publisher: beginning loop", flush=True)
    count = 0

    def send() -> None:
        nonlocal count
        for stamp in stamps:
            stamp(node.get_clock().now().to_msg())
        count += 1
        if options.print and count % options.print == 0:
            print(f"publishing #{count}: {message!r}\n", flush=True)
        publisher.publish(message)

    send()
    if times != 1:
        node.create_timer(1.0 / options.rate, send)
        while times == 0 or count < times:
            rclpy.spin_once(node)
    # What was sent last is on its way while the session closes.
    time.sleep(options.keep_alive)


def _await_matches(node: Any, options: argparse.Namespace, publisher: Any, times: int) -> None:
    """Wait for the subscriptions that the options ask for."""
    wanted = options.wait_matching_subscriptions
    longest = options.max_wait_time_secs
    if wanted is None:
        wanted = int(times != 0)
    if not wanted and longest is not None:
        raise ToolError(
            "--max-wait-time-secs option is only effective with "
            "--wait-matching-subscriptions, --once or --times"
        )
    deadline = None if longest is None else time.monotonic() + longest
    while publisher.get_subscription_count() < wanted:
        if deadline is not None and time.monotonic() >= deadline:
            raise ToolError(
                f"Timed out waiting for subscribers: Expected {wanted} subcribers but only got "
                f"{publisher.get_subscription_count()} subscribers"
            )
        print(f"Waiting for at least {wanted} matching subscription(s)...", flush=True)
        wait_s = 1.0 if deadline is None else min(1.0, max(0.0, deadline - time.monotonic()))
        node.context._live_graph().wait(
            lambda: publisher.get_subscription_count() >= wanted, wait_s
        )
    if publisher.get_subscription_count():
        await_subscribers(node, publisher)
