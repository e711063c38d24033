"""Runs one executable of a package with the import hook on: `python -m pocket_ros.bootstrap`.

Arguments: the entry point (module:function), the name of the program, and its arguments.
"""

from __future__ import annotations

import importlib
import sys

from pocket_ros import hook


def main() -> object:
    """Call the entry point that the command line names; returns what it returns."""
    entry_point, name, *arguments = sys.argv[1:]
    module, _, attribute = entry_point.partition(":")
    sys.argv = [name, *arguments]
    hook.install()
    function = importlib.import_module(module)
    for part in attribute.split("."):
        function = getattr(function, part)
    return function()  # type: ignore[operator]


if __name__ == "__main__":
    sys.exit(main())  # type: ignore[arg-type]
