"""Command line of pocket_ros: `pocket-ros launch`, `router`, `topic`, `doctor` and so on."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
_LAUNCH_SUFFIXES = (".xml", ".yaml", ".yml", ".launch.py")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 1 (it failed) or 2 (bad input)."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["test"]:
        # Its options are those of launch_test, and only it loads the launch API.
        from pocket_ros.launch_api.launch_testing import launch_test

        return launch_test.main(words[1:])
    options = whole_parser().parse_args(words)
    return int(options.run(options))


def whole_parser() -> argparse.ArgumentParser:
    """With the arguments of every command."""
    from pocket_ros import doctor, security, tools

    parser = argparse.ArgumentParser(prog="pocket-ros", description="ROS 2's tools, on Zenoh.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    launch = commands.add_parser(
        "launch",
        help="run a launch file (XML, YAML or Python)",
        usage="pocket-ros launch [options] PACKAGE FILE | PATH  [name:=value ...]",
    )
    launch.add_argument("target", nargs="+", metavar="PACKAGE FILE | PATH")
    launch.add_argument(
        "-s", "--show-args", action="store_true", help="print the file's arguments and stop"
    )
    launch.add_argument("--log-dir", type=Path, help="folder for launch.log")
    launch.set_defaults(run=_launch)

    commands.add_parser("test", help="run launch tests, as launch_test does")

    router = commands.add_parser("router", help="run the router that nodes find each other by")
    router.add_argument(
        "listen", nargs="*", metavar="ENDPOINT", help="where to listen, as tcp/127.0.0.1:7447"
    )
    router.set_defaults(run=_router)

    tools.add_commands(commands)
    doctor.add_command(commands)
    security.add_command(commands)
    return parser


def _router(options: argparse.Namespace) -> int:
    from pocket_ros import router

    return router.main(options.listen)


def _launch(options: argparse.Namespace) -> int:
    from pocket_ros.launch import LaunchError, launch_file
    from pocket_ros.launch.interpreter import declared_arguments

    try:
        path, values = _launch_target(options.target)
        if options.show_args:
            for argument in declared_arguments(path):
                default = "required" if argument.default is None else repr(argument.default)
                choices = f" one of {', '.join(argument.choices)}" if argument.choices else ""
                print(f"{argument.name} ({default}){choices}: {argument.description}")
            return 0
        run = launch_file(path, values, log_dir=options.log_dir or _log_dir())
    except LaunchError as error:
        print(f"pocket-ros launch: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if run.reason is None:
            run.request_shutdown(f"{signal.Signals(number).name} received")
        else:
            run.kill()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    run.wait()
    return EXIT_FAILED if run.failed or run.error else 0


def _log_dir() -> Path | None:
    """ROS 2's variable for log files; without it, there are none."""
    folder = os.environ.get("ROS_LOG_DIR")
    return Path(folder) if folder else None


def _launch_target(words: list[str]) -> tuple[Path, dict[str, str]]:
    """The launch file and its arguments that the words of a command line mean."""
    from pocket_ros.launch import LaunchError
    from pocket_ros.packages import PackageNotFoundError, share_directory

    names = [word for word in words if ":=" not in word]
    values = dict(word.split(":=", 1) for word in words if ":=" in word)
    if len(names) == 1:
        path = Path(names[0])
        if not path.is_file():
            raise LaunchError(f"the launch file {path} does not exist")
        return path, values
    if len(names) != 2:
        raise LaunchError("expected PACKAGE FILE or PATH, then arguments as name:=value")
    package, file = names
    try:
        share = share_directory(package)
    except PackageNotFoundError as error:
        raise LaunchError(str(error)) from None
    candidates = sorted(path for path in share.rglob(file) if path.is_file())
    installed = [path for path in candidates if path.name.endswith(_LAUNCH_SUFFIXES)]
    for path in (share / "launch" / file, share / file, *installed):
        if path.is_file():
            return path, values
    raise LaunchError(f"the package {package!r} has no launch file {file!r} in {share}")


if __name__ == "__main__":
    sys.exit(main())
