"""Import hook: `import rclpy` and `from sensor_msgs.msg import JointState` without ROS 2.

The finder asks every other finder first, so a real ROS 2 always wins. It stands at the front of
`sys.meta_path` all the same: an interface package in a source tree is a folder without
__init__.py, which Python's own finder would take for an empty namespace package.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_HERE = Path(__file__).resolve().parent
_BUNDLED = _HERE / "interfaces"
_KINDS = ("msg", "srv", "action")
# Packages of ours that stand in for ROS 2's, and where they are.
_STAND_INS = {
    "ament_index_python": "pocket_ros.ament_index_python",
    "launch": "pocket_ros.launch_api.launch",
    "launch_ros": "pocket_ros.launch_api.launch_ros",
    "launch_testing": "pocket_ros.launch_api.launch_testing",
    "launch_testing_ros": "pocket_ros.launch_api.launch_testing_ros",
    "launch_xml": "pocket_ros.launch_api.launch_xml",
    "launch_yaml": "pocket_ros.launch_api.launch_yaml",
    "rclpy": "pocket_ros.rclpy",
    "tf2_ros": "pocket_ros.tf2_ros",
}


def install() -> None:
    """Switch the hook on; once more does no harm, and notices new packages."""
    for finder in sys.meta_path:
        if isinstance(finder, _Finder):
            finder.refresh()
            return
    sys.meta_path.insert(0, _Finder())
    importlib.invalidate_caches()


class _Finder(MetaPathFinder):
    def __init__(self) -> None:
        self._interfaces: set[str] = set()
        self.refresh()

    def refresh(self) -> None:
        from pocket_ros import packages

        packages.refresh()
        self._interfaces = packages.interface_packages()
        self._interfaces.update(path.name for path in _BUNDLED.iterdir() if path.is_dir())

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        root, _, rest = name.partition(".")
        if root not in _STAND_INS and root not in self._interfaces:
            return None
        if rest:
            # Submodules are ours exactly if their package is.
            if not _is_ours(sys.modules.get(root)):
                return None
        elif self._exists_elsewhere(name, path):
            return None
        if root in _STAND_INS:
            ours = ".".join([_STAND_INS[root], *([rest] if rest else [])])
            if rest and importlib.util.find_spec(ours) is None:
                return None
            return ModuleSpec(name, _Alias(ours), is_package=True)
        if not rest or rest in _KINDS:
            return ModuleSpec(name, _InterfaceLoader(), is_package=not rest)
        return None

    def _exists_elsewhere(self, name: str, path: Sequence[str] | None) -> bool:
        for finder in sys.meta_path:
            if finder is not self:
                spec = finder.find_spec(name, path)
                # A namespace package has no origin: it is but a folder of that name.
                if spec is not None and spec.origin is not None:
                    return True
        return False


def _is_ours(module: ModuleType | None) -> bool:
    if module is None:
        return False
    if module.__name__.startswith("pocket_ros."):
        return True
    # Ours have no origin. Nor has a namespace package that was imported before the hook was on.
    return module.__spec__ is not None and module.__spec__.origin is None


class _Alias(Loader):
    """Gives out a module of ours itself, so that its state exists once."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._module)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has put the alias's spec in its place.
        module.__spec__ = self._spec


class _InterfaceLoader(Loader):
    """Makes the modules `<package>` and `<package>.msg`, `.srv`, `.action`."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        package, _, kind = module.__name__.partition(".")
        if not kind:
            module.__doc__ = f"Interfaces of {package}."
            return
        from pocket_ros import idl

        def attribute(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            try:
                value = idl.load(f"{package}/{kind}/{name}")
            except idl.InterfaceNotFoundError as error:
                raise AttributeError(str(error)) from None
            setattr(module, name, value)
            return value

        def names() -> list[str]:
            return idl.interface_names(package, kind)

        module.__doc__ = f"{kind} interfaces of {package}, generated on first use."
        module.__getattr__ = attribute  # type: ignore[method-assign]
        module.__dir__ = names  # type: ignore[method-assign]
        module.__all__ = names()  # type: ignore[attr-defined]
