"""What is checked when a subscriber and a subscription are saved."""

from __future__ import annotations

from typing import Any

import pytest

from learning_hub.connectors.addresses import SETTING, Guard
from learning_hub.connectors.imis.activity import KEY_COLUMNS
from learning_hub.connectors.imis.connector import check_template
from learning_hub.connectors.imis.settings import (
    check_credentials,
    check_settings,
    check_target,
    max_concurrency,
    read_settings,
    time_zone,
)
from learning_hub.sandbox.activity import COLUMNS as sandbox_columns  # noqa: N811 - a name of its own beside ours

SETTINGS = {
    "BaseUrl": "https://members.example.org/iMIS0/",
    "TimeZone": "America/New_York",
    "ParticipantLookup": {"Query": "$/LearningHub/Contact", "Prompt": "Email"},
    "MaxConcurrency": 4,
    "ActivityKeyProperty": "UF_1",
}
PASSWORD = {"Username": "hub", "Password": "secret"}
CLIENT = {"ClientId": "LearningHub", "ClientSecret": "s" * 32, "RefreshToken": "t" * 2000}
PANEL = {"Kind": "panel", "Name": "TopClass_Learning", "KeyProperty": "RecordKey"}


def fields(errors: Any) -> list[str]:
    return sorted(error.field for error in errors)


def test_settings_that_are_right_pass() -> None:
    """All of them, and the one that is needed."""
    assert check_settings(SETTINGS) == []
    assert check_settings({"BaseUrl": "https://members.example.org"}, Guard()) == []
    assert (time_zone(SETTINGS), max_concurrency(SETTINGS)) == ("America/New_York", 4)
    assert (time_zone({"BaseUrl": "x"}), max_concurrency({"BaseUrl": "x"})) == ("UTC", 1)


def test_every_bad_setting_is_named() -> None:
    """Not only the first."""
    bad = {
        "TimeZone": "Mars/Olympus",
        "ParticipantLookup": "guess",
        "MaxConcurrency": 0,
        "ActivityKeyProperty": "1st",
        "Colour": "red",
    }
    names = ["ActivityKeyProperty", "BaseUrl", "Colour", "MaxConcurrency", "ParticipantLookup", "TimeZone"]
    assert fields(check_settings(bad)) == [f"Settings.{name}" for name in names]


@pytest.mark.parametrize(
    "bad",
    [
        {"BaseUrl": 5},
        {"BaseUrl": ""},
        {"BaseUrl": "members.example.org"},
        {"BaseUrl": "https://"},
        {"BaseUrl": "https://[::1"},
        {"BaseUrl": "https://members.example.org/?a=b"},
        {"BaseUrl": "https://members.example.org/api"},
        {"BaseUrl": "https://members.example.org/iMIS0/Token/"},
        {"TimeZone": "America"},
        {"TimeZone": "../../etc/passwd"},
        {"TimeZone": "a\0b"},
        {"BaseUrl": None},
        {"ParticipantLookup": 5},
        {"ParticipantLookup": {"Query": "Contact", "Prompt": "Email"}},
        {"ParticipantLookup": {"Query": "$/Contact"}},
        {"ParticipantLookup": {"Query": "$/Contact", "Prompt": "Email", "Colour": "red"}},
        {"MaxConcurrency": True},
        {"MaxConcurrency": 1.5},
        {"MaxConcurrency": 10**30},
        {"ActivityKeyProperty": ""},
        {"ActivityKeyProperty": "UF_9"},
        {"ActivityKeyProperty": "UNITS"},
        {"ActivityKeyProperty": "SEQN"},
        {"ActivityKeyProperty": "SOURCE_SYSTEM"},
    ],
    ids=str,
)
def test_bad_settings_are_refused(bad: dict[str, Any]) -> None:
    """Each with its field and a sentence."""
    errors = check_settings({**SETTINGS, **bad})
    assert [error.field.split(".")[1] for error in errors] == [*bad]
    assert all(error.message for error in errors)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"ParticipantLookup": {"Query": "Contact", "Prompt": "Email"}}, "must begin with $/"),
        ({"ParticipantLookup": {"Prompt": "Email"}}, "is required"),
        ({"ParticipantLookup": "guess"}, 'must be "as-is", "email" or'),
        ({"ActivityKeyProperty": "1st"}, "must be a text column of activities"),
        ({"ActivityKeyProperty": 5}, "must be a text column of activities"),
    ],
    ids=str,
)
def test_what_a_setting_must_be_is_reported(bad: dict[str, Any], words: str) -> None:
    """Not only that it has a form that is not allowed."""
    [error] = check_settings({**SETTINGS, **bad})
    assert error.message.startswith(words)


@pytest.mark.parametrize("name", ["TimeZone", "ParticipantLookup", "MaxConcurrency", "ActivityKeyProperty"])
def test_null_is_the_same_as_missing(name: str) -> None:
    """An optional setting that is null has its default."""
    given = {"BaseUrl": "https://members.example.org"}
    assert check_settings({**given, name: None}) == []
    assert read_settings({**given, name: None}) == read_settings(given)


def test_the_key_column_is_one_that_holds_a_key() -> None:
    """Those of 36 characters or more in common installations, by name or label in any case, and they are listed."""
    widths = {column.name: column.max_length or 0 for column in sandbox_columns if column.kind == "text"}
    assert sorted(KEY_COLUMNS) == sorted(name for name, width in widths.items() if width >= 36)
    for name in (*KEY_COLUMNS, "source", "uf_2"):
        assert check_settings({**SETTINGS, "ActivityKeyProperty": name}) == []
    [error] = check_settings({**SETTINGS, "ActivityKeyProperty": "UNITS"})
    assert error.message.endswith(f": {', '.join(KEY_COLUMNS)}")


def test_the_target_is_checked_when_saved() -> None:
    """With the sentence that names the setting."""
    [error] = check_settings({"BaseUrl": "https://127.1/"}, Guard())
    assert error.field == "Settings.BaseUrl"
    assert SETTING in error.message
    assert check_settings({"BaseUrl": "http://127.0.0.1:8080"}, Guard(["127.0.0.1"])) == []


def test_credentials_are_of_one_kind() -> None:
    """A user's or a client application's, whole; what was sent is never repeated."""
    assert check_credentials(PASSWORD) == check_credentials(CLIENT) == []
    assert fields(check_credentials({})) == ["Credentials.Password", "Credentials.Username"]
    twofold = check_credentials({**PASSWORD, **CLIENT})
    assert fields(twofold) == ["Credentials.Password", "Credentials.Username"]
    assert all("or Username and Password alone" in error.message for error in twofold)
    assert fields(check_credentials({"ClientId": ""})) == [
        "Credentials.ClientId",
        "Credentials.ClientSecret",
        "Credentials.RefreshToken",
    ]
    assert "hunter2" not in str(check_credentials({"Username": "hub", "Password": ["hunter2"]}))


@pytest.mark.parametrize(
    "target", [{"Kind": "activity"}, PANEL, {"Kind": "panel", "Name": "ow_x", "KeyProperty": None}]
)
def test_targets_that_are_right_pass(target: dict[str, Any]) -> None:
    """Activities, and panels with and without a column for the key."""
    assert check_target(target) == []


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ({}, ["Kind"]),
        ({"Kind": "post"}, ["Kind"]),
        ({"Kind": "activity", "Name": "x"}, ["Name"]),
        ({"Kind": "panel"}, ["Name"]),
        ({"Kind": "panel", "Name": "a b", "KeyProperty": "c d"}, ["KeyProperty", "Name"]),
        ({"Kind": "panel", "Name": "../Party"}, ["Name"]),
        ({"Kind": ["panel"]}, ["Kind"]),
        ({"Kind": "panle", "Name": "a b", "Colour": 1}, ["Colour", "Kind", "Name"]),
        ({"Kind": "panel", "Name": "Party", "KeyProperty": "c d"}, ["KeyProperty", "Name"]),
    ],
    ids=str,
)
def test_bad_targets_are_refused(target: dict[str, Any], names: list[str]) -> None:
    """With every field that is wrong."""
    assert fields(check_target(target)) == [f"Target.{name}" for name in names]


def test_the_form_of_a_name_is_reported() -> None:
    """What a panel source and its column may be called is said, not only that this is not allowed."""
    for error in check_target({"Kind": "panel", "Name": "a b", "KeyProperty": "1st"}):
        assert error.message == ("must start with a letter, and have letters, digits and underscores only, at most 100")


@pytest.mark.parametrize(
    "template",
    [
        {"ActivityType": "TCLEARNING"},
        {"activitytype": "{{ x }}", "SOURCE": "TopClass", "subtype": "a", "ceuTYPE": "b", "Units": 1},
        {"ACTIVITY_TYPE": "A", "source_code": "B", "Description": {"$omit": "{{ data.x }}"}, "UF_1": None},
    ],
    ids=str,
)
def test_templates_for_activities_name_columns_or_labels(template: dict[str, Any]) -> None:
    """In any letter case."""
    assert check_template({"Kind": "activity"}, template) == []


@pytest.mark.parametrize(
    ("template", "place"),
    [
        ({"Source": "x"}, "ActivityType"),
        ({"ActivityType": None}, "ActivityType"),
        ({"ActivityType": "A", "Colour": "x"}, "Colour"),
        ({"ActivityType": "A", "Source": "x", "SOURCE_CODE": "y"}, "SOURCE_CODE"),
        ({"ActivityType": "A", "uf_3": "x"}, "uf_3"),
        ({"ActivityType": "A", "SEQN": 1}, "SEQN"),
        ({"ActivityType": "A", "id": 1}, "id"),
        ({"ActivityType": "A", "Description": {"a": "b"}}, "Description"),
        ({"ActivityType": "A", "Description": ["b"]}, "Description"),
    ],
    ids=str,
)
def test_template_errors_have_their_place(template: dict[str, Any], place: str) -> None:
    """The key as it stands in the template."""
    [problem] = check_template({"Kind": "activity"}, template)
    assert problem.place == place


def test_the_key_column_is_that_of_the_subscriber() -> None:
    """A subscriber that keeps the key elsewhere leaves the usual column free."""
    template = {"ActivityType": "A", "UF_3": "x", "UF_1": "y"}
    [problem] = check_template({"Kind": "activity"}, template, SETTINGS)
    assert problem.place == "UF_1"
    by_label = {"ActivityType": "A", "Source": "x"}
    [problem] = check_template({"Kind": "activity"}, by_label, SETTINGS | {"ActivityKeyProperty": "SOURCE_CODE"})
    assert problem.place == "Source"


@pytest.mark.parametrize(
    ("template", "places"),
    [
        ({"CourseCode": "x", "Units": {"$omit": "{{ x }}"}}, []),
        ({"ID": "x", "ordinal": 1, "recordkey": "x", "CreatedOn": "x"}, ["ID", "ordinal", "recordkey", "CreatedOn"]),
        ({"Course": "x", "COURSE": "y", "List": []}, ["COURSE", "List"]),
    ],
    ids=str,
)
def test_templates_for_panels_leave_the_keys_to_the_hub(template: dict[str, Any], places: list[str]) -> None:
    """Whether a column exists is asked of iMIS when sending."""
    assert [problem.place for problem in check_template(PANEL, template)] == places
