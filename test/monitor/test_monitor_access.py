"""A token opens the page to its owner alone, and only an operator's moves anything."""

from __future__ import annotations

import os

import pytest

from matlab_ros.cli import BAD_INPUT, main
from matlab_ros.model.errors import ConfigError
from matlab_ros.monitor.access import Access, Person, Role, load_access, make_token


def test_a_token_is_its_owners_and_no_other_is_anybodys(tmp_path):
    file = tmp_path / "tokens"
    anna = make_token(file, "anna", Role.OPERATOR)
    ben = make_token(file, "ben", Role.VIEWER)
    access = load_access(file)
    assert access.person(anna) == Person("anna", Role.OPERATOR)
    assert access.person(ben) == Person("ben", Role.VIEWER)
    for wrong in (None, "", anna + " ", anna[:-1], anna.upper(), "anna"):
        assert access.person(wrong) is None
    assert access.demands_token


def test_the_file_holds_no_token_and_is_its_owners_alone(tmp_path):
    file = tmp_path / "tokens"
    token = make_token(file, "anna", Role.OPERATOR)
    assert token not in file.read_text()
    if os.name == "posix":
        assert file.stat().st_mode & 0o077 == 0
        file.chmod(0o644)
        with pytest.raises(ConfigError, match="can be read by others"):
            load_access(file)


def test_a_new_token_ends_the_old_one(tmp_path):
    file = tmp_path / "tokens"
    old = make_token(file, "anna", Role.OPERATOR)
    new = make_token(file, "anna", Role.VIEWER)
    access = load_access(file)
    assert access.person(old) is None
    assert access.person(new) == Person("anna", Role.VIEWER)


@pytest.mark.parametrize("text", ["", "operator anna\n", "chief anna " + "0" * 64 + "\n"])
def test_a_file_that_makes_no_sense_opens_nothing(tmp_path, text):
    file = tmp_path / "tokens"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(ConfigError):
        load_access(file)


def test_without_tokens_everybody_is_who_was_named():
    person = Person("me", Role.OPERATOR)
    assert Access(everybody=person).person(None) == person


def test_an_address_that_others_reach_demands_tokens(capsys):
    pytest.importorskip("aiohttp", reason="pip install 'matlab_ros[monitor]'")
    assert main(["monitor", "--host", "0.0.0.0"]) == BAD_INPUT
    assert "--tokens FILE" in capsys.readouterr().err
