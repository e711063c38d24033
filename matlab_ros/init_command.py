"""`matlab-ros init FOLDER`: a lab of your own that runs at once, and becomes real step by step."""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path
from string import Template

from matlab_ros.model.errors import ConfigError
from matlab_ros.share import config_file

RECIPES = ("solid_state", "regrind", "adaptive_xrd")
MOST_FURNACES = 4
COLUMNS = 12
_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
_STATION = """\
  - name: {name}
    kind: furnace
    base_pose: [{x:.1f}, 0.0, 1.5708]
    grid: {{count: 4, columns: 2, origin_m: [{left:.2f}, 0.60, 0.90], pitch_m: [0.08, 0.08]}}"""
_DEVICE = """\
  - name: {name}
    kind: furnace
    station: {name}
    # driver: eurotherm_2416                      # docs/instruments.md has the others
    # ports: {{controller: /dev/ttyUSB{number}}}
    furnace: {{max_temperature_c: {hottest}, max_ramp_c_per_min: 10}}
    calibration: *exact"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("folder", type=Path, help="made by it; its name is the lab's")
    parser.add_argument(
        "--furnaces", type=int, default=2, help=f"how many, up to {MOST_FURNACES} (default: 2)"
    )
    parser.add_argument("--crucibles", type=int, default=24, help="how many (default: 24)")
    parser.add_argument(
        "--max-temperature", type=int, default=1200, metavar="C", help="of the furnaces"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write it.

    Returns:
        0.

    Raises:
        ConfigError: the folder is there already, or a number makes no sense.
    """
    folder: Path = options.folder
    name = folder.resolve().name
    if not _NAME.match(name):
        raise ConfigError(
            "command line", "folder", f"{name!r} is no name", "small letters, digits and _"
        )
    if not 1 <= options.furnaces <= MOST_FURNACES:
        raise ConfigError(
            "command line", "--furnaces", f"is {options.furnaces}", f"1 to {MOST_FURNACES}"
        )
    if options.crucibles < 1:
        raise ConfigError("command line", "--crucibles", f"is {options.crucibles}", "at least 1")
    if not 850 <= options.max_temperature <= 1800:
        raise ConfigError(
            "command line", "--max-temperature", f"is {options.max_temperature}", "850 to 1800"
        )
    if folder.exists():
        raise ConfigError(folder, "", "is there already", "a new folder")
    furnaces = [f"furnace_{number}" for number in range(1, options.furnaces + 1)]
    words = {
        "name": name,
        "hottest": options.max_temperature - 50,
        "crucibles": options.crucibles,
        "places": -(-options.crucibles // COLUMNS) * COLUMNS,
        "end": f"{4.0 + 1.5 * len(furnaces):.1f}",
        "furnace_stations": "\n".join(
            _STATION.format(name=item, x=4.0 + 1.5 * index, left=3.96 + 1.5 * index)
            for index, item in enumerate(furnaces)
        ),
        "furnaces": "\n".join(
            _DEVICE.format(name=item, number=index + 1, hottest=options.max_temperature)
            for index, item in enumerate(furnaces)
        ),
    }
    for template, place in (
        ("lab.yaml", f"labs/{name}.yaml"),
        ("campaign.yaml", "campaigns/first.yaml"),
        ("README.md", "README.md"),
    ):
        text = config_file("init", template, suffix="").read_text(encoding="utf-8")
        file = folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(Template(text).substitute(words), encoding="utf-8")
    (folder / "recipes").mkdir()
    for recipe in RECIPES:
        shutil.copyfile(config_file("recipes", recipe), folder / "recipes" / f"{recipe}.yaml")
    print(f"{folder} is a lab: matlab-ros campaign {folder}/campaigns/first.yaml")
    return 0
