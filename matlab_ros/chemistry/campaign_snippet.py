"""Sets of precursors as the lines of a campaign's file, for a person to read and paste."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from matlab_ros.chemistry.precursor_sets import PrecursorSet


class _Flow(dict[str, object]):
    """A mapping that stands on one line."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


_Dumper.add_representer(
    _Flow, lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data, True)
)


def campaign_snippet(sets: Sequence[PrecursorSet], heading: Sequence[str]) -> str:
    """``precursor_sets`` and the parameter that chooses among them, best first.

    Args:
        sets: in the order in which they are to stand.
        heading: lines of comment before them; what breaks a line in them is replaced.

    Returns:
        YAML text that belongs into a file of config/campaigns.
    """
    entries = []
    for item in sets:
        entry = _Flow(name=item.name, substances=[dose.substance for dose in item.doses])
        if item.excess_percent:
            entry["excess_percent"] = _Flow(item.excess_percent)
        entries.append(entry)
    names = [item.name for item in sets]
    data = {
        "precursor_sets": entries,
        "parameters": [{"name": "precursors", "kind": "categorical", "choices": names}],
    }
    comment = "".join(f"# {' '.join(line.split())}\n" for line in heading)
    text = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
    return comment + text
