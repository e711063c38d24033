"""`matlab-ros completion SHELL`: prints what makes a shell complete these commands."""

from __future__ import annotations

import argparse

import shtab


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("shell", choices=shtab.SUPPORTED_SHELLS)
    parser.epilog = (
        'bash: eval "$(matlab-ros completion bash)" in ~/.bashrc. zsh: matlab-ros completion zsh > '
        "a folder of $fpath, as _matlab-ros. fish: matlab-ros completion fish > "
        "~/.config/fish/completions/matlab-ros.fish."
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print it.

    Returns:
        0.
    """
    print(shtab.complete(options.build_parser(), options.shell))
    return 0
