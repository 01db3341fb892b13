"""Lookup entities (sections 9.1 and 10.1)."""

import httpx
import pytest
from sandbox.sandbox_entities import activity, items_of, key_of, values_of

from learning_hub.sandbox import seeds


def test_a_user_is_found_by_login_name(imis: httpx.Client) -> None:
    """A user is found by the login name and has the id of the contact."""
    (row,) = items_of(imis.get("/api/User?UserName=rvale"))

    assert (row["UserId"], row["UserName"]) == ("10042", "RVALE")
    assert imis.get("/api/User/10042").json() == row
    assert items_of(imis.get("/api/User?UserName=robin.vale@example.org")) == []


@pytest.mark.parametrize("query", ["email=eq:robin.vale@example.org", "MajorKey=10042"])
def test_basic_contacts_are_generic_rows(imis: httpx.Client, query: str) -> None:
    """The basic contact table has generic entities, which are found by e-mail address or key."""
    (row,) = items_of(imis.get(f"/api/CsContactBasic?{query}"))

    assert key_of(row) == ["10042"]
    assert values_of(row)["FullName"] == "Robin Vale"
    assert imis.get("/api/cscontactbasic/10042").json() == row


def test_a_code_list_is_found_by_its_table(imis: httpx.Client) -> None:
    """The code list of a drop-down is found by the name of its table."""
    rows = items_of(imis.get("/api/GenTable?TableName=credit_type"))

    assert {row["Code"]: row["Description"] for row in rows} == seeds.CODE_LISTS["CREDIT_TYPE"]


def test_each_panel_source_has_a_panel_definition(imis: httpx.Client) -> None:
    """Each source has one panel definition, which describes its screen."""
    (row,) = items_of(imis.get("/api/PanelDefinition?Name=TopClass_Learning"))

    assert row["IsMultipleInstance"] is True
    assert row["SelectedEntityNames"]["$values"] == ["TopClass_Learning"]
    assert imis.get(f"/api/PanelDefinition/{row['PanelDefinitionId']}").json() == row


def test_one_address_purpose_is_the_default(imis: httpx.Client) -> None:
    """Exactly one address purpose is the default."""
    rows = items_of(imis.get("/api/AddressPurpose"))

    assert [row["Name"] for row in rows if row.get("IsDefaultAddress")] == ["Address"]


@pytest.mark.parametrize("entity", ["User", "CsContactBasic", "GenTable", "PanelDefinition", "AddressPurpose"])
def test_lookup_entities_are_read_only(imis: httpx.Client, entity: str) -> None:
    """Lookup entities reject writes, and answer 404 for an unknown record."""
    assert imis.get(f"/api/{entity}/nothing").status_code == 404
    assert imis.post(f"/api/{entity}", json=activity()).status_code == 501
    assert imis.get(f"/api/{entity}?Colour=red").status_code == 400


def test_an_activity_type_has_screen_labels(imis: httpx.Client) -> None:
    """An activity type has the labels of its fields."""
    row = imis.get("/api/LegacyActivityType/TCLEARNING").json()

    assert (row["UnitsPrompt"], row["CeuTypePrompt"]) == ("Quantity/CEU", "CEU/type")
    assert "AmountPrompt" not in row
