"""Which sources and columns a site tells of, and what the hub makes of a site that does not tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from connectors.imis_site import ACTIVITY, PANEL_WITHOUT_KEY, ImisSite, RecordedExchanges, an_outbound_record
from panels import make_panel, make_panels

from learning_hub.connectors.discovery import Field, Fields, NoTarget, Targets
from learning_hub.connectors.imis.connector import ImisConnector
from learning_hub.connectors.outcomes import Postponed, Refused

MakeConnector = Callable[..., ImisConnector]


async def targets(connector: ImisConnector) -> Targets:
    found = await connector.targets(RecordedExchanges())
    assert isinstance(found, Targets), found
    return found


async def fields(connector: ImisConnector, name: str) -> Fields:
    found = await connector.fields(name, RecordedExchanges())
    assert isinstance(found, Fields), found
    return found


def by_name(found: Fields) -> dict[str, Field]:
    return {field.name: field for field in found.items}


async def test_targets_are_activities_and_panel_sources(site: ImisSite, connector: ImisConnector) -> None:
    """Sources of contacts are listed by name, each with whether a contact has one row or many."""
    site.make_single_panel("LH_Profile", ["Motto"])

    found = await targets(connector)

    assert [(one.name, one.kind, one.instances) for one in found.items] == [
        ("Activity", "activity", "multi"),
        ("LH_Learning", "panel", "multi"),
        ("LH_Profile", "panel", "single"),
        ("TopClass_Learning", "panel", "multi"),
    ]
    assert found.warnings == []


async def test_five_hundred_sources_are_all_listed(site: ImisSite, connector: ImisConnector) -> None:
    """The list goes on until the site says that it is over, in whichever case the names are ordered."""
    names = [f"{'lh' if number % 2 else 'LH'}_{number:03}" for number in range(500)]
    make_panels(site.address, names, {"Title": 80})

    found = [one.name for one in (await targets(connector)).items]

    assert len(found) == len(names) + 3
    assert set(names) <= set(found)
    assert found == sorted(found, key=str.casefold)


@pytest.mark.parametrize("status", ["403", "404", "501"])
async def test_a_site_that_does_not_list_its_sources(site: ImisSite, connector: ImisConnector, status: str) -> None:
    """Activities are there all the same, and a warning says as a sentence why the panel sources are not."""
    site.fault(status, Path="/api/BOEntityDefinition", Times=None)

    found = await targets(connector)

    assert [one.name for one in found.items] == ["Activity"]
    (warning,) = found.warnings
    assert "list the panel sources" in warning
    assert status in warning


async def test_the_columns_of_a_panel(connector: ImisConnector) -> None:
    """Each column has its type, length and caption, and those no template can fill say who fills them."""
    found = await fields(connector, "topclass_LEARNING")

    assert (found.target.name, found.target.instances) == ("TopClass_Learning", "multi")
    columns = by_name(found)
    assert columns["CourseCode"] == Field(name="CourseCode", type="String", length=80, caption="Course code")
    assert {name: field.type for name, field in columns.items() if not field.read_only} == {
        "CourseCode": "String",
        "Course": "String",
        "CourseCompleted": "Date",
        "Units": "Decimal",
        "CreditType": "String",
        "CEUType": "String",
    }
    assert {name: field.filled_by for name, field in columns.items() if field.read_only} == {
        "ID": "hub",
        "Ordinal": "imis",
        "CreatedOn": "imis",
        "UpdatedOn": "imis",
        "CreatedByUserKey": "imis",
        "UpdatedByUserKey": "imis",
    }
    assert (found.rows_readable, found.warnings) == (True, [])


async def test_columns_are_asked_for_each_time(site: ImisSite, connector: ImisConnector) -> None:
    """What is added at the site meanwhile is there the next time."""
    assert isinstance(await connector.fields("LH_New", RecordedExchanges()), NoTarget)
    make_panel(site.address, "LH_New", {"Title": {"Type": "String", "MaxLength": 60, "Required": True}})

    assert by_name(await fields(connector, "lh_new"))["Title"] == Field(
        name="Title", type="String", length=60, required=True
    )


@pytest.mark.parametrize("status", [404, 501, 403])
async def test_a_source_that_is_not_available_says_so(site: ImisSite, connector: ImisConnector, status: int) -> None:
    """Where the box is not ticked, the columns are reported all the same, and what to do before rows can be written."""
    site.switch(ClosedPanel=status)
    site.open_panel("TopClass_Learning", is_open=False)

    found = await fields(connector, "TopClass_Learning")

    assert "CourseCode" in by_name(found)
    assert found.rows_readable is False
    (warning,) = found.warnings
    assert "Available via the REST API" in warning


@pytest.mark.parametrize("status", ["403", "404", "501"])
async def test_metadata_describes_a_source_where_definitions_do_not(
    site: ImisSite, connector: ImisConnector, status: str
) -> None:
    """An account that may not read definitions gets the same columns from the metadata."""
    whole = await fields(connector, "TopClass_Learning")
    site.fault(status, Path="/api/BOEntityDefinition", Times=None)

    found = await fields(connector, "topclass_learning")

    assert found == whole
    assert site.requests(path="/api/metadata")


async def test_a_row_tells_the_names_where_nothing_describes_them(site: ImisSite, connector: ImisConnector) -> None:
    """Without definition and metadata the columns are those of a row, without types, and a warning says so."""
    site.fault("501", Path="/api/BOEntityDefinition", Times=None)
    site.switch(Metadata=501)
    empty = await fields(connector, "TopClass_Learning")
    assert empty.items == []
    assert len(empty.warnings) == 1

    await connector.send(an_outbound_record(PANEL_WITHOUT_KEY), RecordedExchanges())
    found = await fields(connector, "topclass_learning")

    assert (found.target.name, found.target.instances) == ("TopClass_Learning", "multi")
    assert {"CourseCode", "Units"} <= by_name(found).keys()
    assert by_name(found)["CourseCode"].type is None
    assert by_name(found)["Ordinal"].filled_by == "imis"
    assert "types and lengths are not known" in found.warnings[0]


async def test_the_columns_of_activities(site: ImisSite, make_connector: MakeConnector) -> None:
    """They have the labels that templates may use, and the column for the record key is the hub's."""
    columns = by_name(await fields(make_connector({"ActivityKeyProperty": "note_2"}), "activity"))

    assert columns["ACTIVITY_TYPE"] == Field(
        name="ACTIVITY_TYPE", label="ActivityType", type="String", length=10, required=True
    )
    filled = {name: field.filled_by for name, field in columns.items() if field.read_only}
    assert filled == {"PartyId": "hub", "SEQN": "imis", "NOTE_2": "hub"}

    site.fault("501", Path="/api/BOEntityDefinition", Times=None)
    site.switch(Metadata=501)
    usual = await fields(make_connector(), "ACTIVITY")

    assert by_name(usual).keys() == columns.keys()
    assert by_name(usual)["UNITS"] == Field(name="UNITS", label="Units", type="Decimal")
    assert by_name(usual)["UF_3"].filled_by == "hub"
    assert "does not describe its activities" in usual.warnings[0]


async def test_an_older_site_tells_as_well(site: ImisSite, make_connector: MakeConnector) -> None:
    """A site of 20.2 below a path of its own lists its sources and columns."""
    site.switch(Version="20.2", BasePath="/Asi.Scheduler_Sandbox")
    connector = make_connector({"BaseUrl": f"{site.address}/Asi.Scheduler_Sandbox"})

    assert [one.name for one in (await targets(connector)).items] == ["Activity", "LH_Learning", "TopClass_Learning"]
    assert "RecordKey" in by_name(await fields(connector, "LH_Learning"))


async def test_what_is_no_source_is_none(connector: ImisConnector) -> None:
    """A name that nothing answers to is no target, and the sentence says what to look after."""
    found = await connector.fields("LH_Nothing", RecordedExchanges())

    assert isinstance(found, NoTarget)
    assert "LH_Nothing" in found.message
    assert "Available via the REST API" in found.message


async def test_an_account_that_may_see_nothing_is_reported_so(site: ImisSite, connector: ImisConnector) -> None:
    """Where the account may neither read definitions nor rows, the refusal is reported, not that there is no source."""
    site.fault("403", Path="/api", Times=None)

    found = await connector.fields("TopClass_Learning", RecordedExchanges())

    assert isinstance(found, Refused)
    assert "403" in found.message


@pytest.mark.parametrize("question", ["targets", "fields", "validation"])
async def test_a_site_that_is_away_is_no_site_without_sources(
    site: ImisSite, connector: ImisConnector, question: str
) -> None:
    """Nothing is made up while the site is away."""
    site.fault("503", Path="/api", Times=None)
    asked: dict[str, Any] = {
        "targets": connector.targets(RecordedExchanges()),
        "fields": connector.fields("Activity", RecordedExchanges()),
        "validation": connector.validate_templates(ACTIVITY, {}, {}, RecordedExchanges()),
    }
    found = await asked.pop(question)
    for unused in asked.values():
        unused.close()

    assert isinstance(found, Postponed)
    assert found.subscriber_is_away


async def test_a_refused_sign_in_is_reported_once(site: ImisSite, make_connector: MakeConnector) -> None:
    """Asking again does not sign in again, so that no account is locked out."""
    connector = make_connector(credentials={"Username": "sandbox", "Password": "wrong"})

    answers = [await connector.targets(RecordedExchanges()), await connector.fields("Activity", RecordedExchanges())]

    assert [getattr(one, "code", None) for one in answers] == ["credentials_refused", "credentials_refused"]
    assert len(site.requests(path="/token")) == 1
