"""A page gets everything once, then what changed: never less, and never twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from matlab_ros.monitor.live import LiveValues

WORDS = st.sampled_from("ab")
PUT = st.tuples(WORDS, WORDS, st.one_of(st.none(), st.integers(0, 2)))


@given(st.lists(st.one_of(PUT, st.just("look")), max_size=40))
def test_merged_changes_give_the_values_whenever_a_page_looks(steps):
    live = LiveValues()
    truth: dict[tuple[str, str], int] = {}
    seen: dict[tuple[str, str], int] = {}
    version = 0
    for step in [*steps, "look"]:
        if step == "look":
            found = live.changes(version)
            version = found.version
            for section, values in found.values.items():
                for key, value in values.items():
                    if value is None:
                        seen.pop((section, key), None)
                    else:
                        seen[section, key] = value
            assert seen == truth
            assert live.changes(version).values == {}
            continue
        section, key, value = step
        live.put(section, key, value)
        if value is None:
            truth.pop((section, key), None)
        else:
            truth[section, key] = value
    fresh = live.changes()
    assert {(s, k): v for s, values in fresh.values.items() for k, v in values.items()} == truth


def test_what_is_the_same_is_no_change():
    live = LiveValues()
    live.put("lab", "state", {"paused": False})
    version = live.changes().version
    live.put("lab", "state", {"paused": False})
    assert live.changes(version).values == {}


def test_a_section_put_whole_loses_what_is_not_named():
    live = LiveValues()
    live.put_all("faults", {"one": 1, "two": 2})
    version = live.changes().version
    live.put_all("faults", {"two": 2, "three": 3})
    assert live.changes(version).values == {"faults": {"one": None, "three": 3}}
    assert live.keys("faults") == {"two", "three"}
