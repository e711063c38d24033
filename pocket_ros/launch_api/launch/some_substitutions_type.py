"""Type of an argument that takes a text, a substitution, or several of them to be joined."""

from __future__ import annotations

from collections.abc import Iterable

from pocket_ros.launch_api.launch.substitution import Substitution

SomeSubstitutionsType = str | Substitution | Iterable[str | Substitution]
SomeSubstitutionsType_types_tuple = (str, Substitution, Iterable)
