"""`matlab-ros repeat CAMPAIGN`: run a campaign again from what it kept, and compare."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

from matlab_ros.lab.codec import to_json
from matlab_ros.lab.journal import JournalEntry
from matlab_ros.model.errors import ConfigError
from matlab_ros.nodes.campaign_folder import CampaignFolder
from matlab_ros.nodes.virtual_campaign import VirtualCampaign

_FILE = re.compile(r'"file://[^"]*"')
_SOFTWARE = re.compile(r'"software":"[^"]*"')
_SHOWN = 300


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("folder", type=Path, help="the campaign's folder, such as results/demo")
    parser.add_argument(
        "--results",
        type=Path,
        help="folder for the repetition (default: repeated/ in the campaign's folder)",
    )
    parser.add_argument("--plain", action="store_true", help="lines instead of a live picture")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Repeat and compare.

    Returns:
        0 where every entry of both journals is the same, 1 where one differs or the campaign did
        not end well.

    Raises:
        ConfigError: there is nothing to repeat.
        LabError: the lab could not be started.
    """
    folder = CampaignFolder.existing(options.folder)
    settings = folder.run_settings
    arguments = settings.get("launch_arguments") or {}
    if "journal_url" in arguments:
        raise ConfigError(
            folder.path, "journal_url", "names a server's journal", "a campaign with its own"
        )
    results = options.results or folder.path / "repeated"
    again = VirtualCampaign(
        folder.campaign_file,
        results,
        speed=float(settings.get("speed", 0.0)),
        launch_arguments={str(name): str(value) for name, value in arguments.items()},
        plain=options.plain or not sys.stdout.isatty(),
    )
    code = again.run()
    return max(code, compare(folder, CampaignFolder.existing(results / again.name)))


def compare(first: CampaignFolder, second: CampaignFolder) -> int:
    """Say whether two campaigns have the same history; 0 or 1."""
    number = 0
    for number, (one, other) in enumerate(zip_longest(_history(first), _history(second)), start=1):
        if one != other:
            print(f"Entry {number} of the journal is another.", file=sys.stderr)
            print(f"  then: {_around(one, other)}", file=sys.stderr)
            print(f"  now:  {_around(other, one)}", file=sys.stderr)
            return 1
    print(f"The same: all {number} entries of the journal, to the last digit.")
    return 0


def _history(folder: CampaignFolder) -> Iterator[str]:
    journal = folder.journal()
    try:
        yield from lines(journal.read())
    finally:
        journal.close()


def lines(entries: Iterable[JournalEntry]) -> Iterator[str]:
    """Each entry in one line, without what another run may do otherwise: the wall's time, the
    folder's place, versions."""
    for entry in entries:
        text = _SOFTWARE.sub('"software":"…"', _FILE.sub('"…"', to_json(entry.event)))
        yield f"{entry.sequence} {entry.ros_time_ns} {entry.event.TAG} {text}"


def _around(text: str | None, other: str | None) -> str:
    """The part of a line in which it begins to differ."""
    if text is None:
        return "nothing any more"
    pairs = enumerate(zip(text, other or "", strict=False))
    same = next((index for index, (one, another) in pairs if one != another), 0)
    start = max(same - _SHOWN // 3, 0)
    part = text[start : start + _SHOWN]
    return f"{'…' if start else ''}{part}{'…' if start + _SHOWN < len(text) else ''}"
