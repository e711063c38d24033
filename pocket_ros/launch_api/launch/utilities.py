"""Helpers for those who write actions: texts from substitutions, lists from single things."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pocket_ros.launch.substitutions import is_true
from pocket_ros.launch_api.launch.launch_description_entity import LaunchDescriptionEntity
from pocket_ros.launch_api.launch.some_entities_type import SomeEntitiesType
from pocket_ros.launch_api.launch.some_substitutions_type import SomeSubstitutionsType
from pocket_ros.launch_api.launch.substitution import Substitution

if TYPE_CHECKING:
    from pocket_ros.launch_api.launch.launch_context import LaunchContext


def normalize_to_list_of_substitutions(subs: SomeSubstitutionsType) -> list[Substitution]:
    """Substitutions from a text, a substitution or several; raises TypeError for others."""
    from pocket_ros.launch_api.launch.substitutions import TextSubstitution

    if isinstance(subs, Substitution):
        return [subs]
    if isinstance(subs, str):
        return [TextSubstitution(text=subs)]
    found: list[Substitution] = []
    for one in subs:
        if not isinstance(one, (str, Substitution)):
            raise TypeError(f"expected a text or a Substitution, got {one!r}")
        found += normalize_to_list_of_substitutions(one)
    return found


def perform_substitutions(context: LaunchContext, subs: Iterable[Substitution]) -> str:
    """The joined texts of substitutions."""
    return "".join(context.perform_substitution(sub) for sub in subs)


def normalize_to_list_of_entities(entities: SomeEntitiesType | None) -> list[Any]:
    """A flat list of entities; raises TypeError for anything else."""
    if entities is None:
        return []
    if isinstance(entities, LaunchDescriptionEntity):
        return [entities]
    if isinstance(entities, (str, bytes)) or not isinstance(entities, Iterable):
        raise TypeError(f"expected launch entities, got {entities!r}")
    return [entity for one in entities for entity in normalize_to_list_of_entities(one)]


class Text:
    """An argument that takes substitutions; `None` stays None.

    Refuses wrong types where it is made, as a real launch does.
    """

    def __init__(self, subs: SomeSubstitutionsType) -> None:
        self.substitutions = normalize_to_list_of_substitutions(subs)

    def value(self, context: LaunchContext) -> str:
        """The text."""
        return perform_substitutions(context, self.substitutions)

    def __repr__(self) -> str:
        return " + ".join(sub.describe() for sub in self.substitutions)


class Flag:
    """An argument that takes a bool, or substitutions for one."""

    def __init__(self, value: bool | SomeSubstitutionsType) -> None:
        self._value = value if isinstance(value, bool) else Text(value)

    def value(self, context: LaunchContext) -> bool:
        """The truth at this moment; raises SubstitutionError if the text is none."""
        return self._value if isinstance(self._value, bool) else is_true(self._value.value(context))


class Number:
    """An argument that takes a number, or substitutions for one."""

    def __init__(self, value: float | SomeSubstitutionsType) -> None:
        if isinstance(value, bool):
            raise TypeError(f"expected a number, got {value!r}")
        self._value = float(value) if isinstance(value, (int, float)) else Text(value)

    def value(self, context: LaunchContext) -> float:
        """The number at this moment; raises ValueError if the text is none."""
        return self._value if isinstance(self._value, float) else float(self._value.value(context))
