"""Shapes and values on the wire, and what answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_hub.connectors.http import HttpResponse
from learning_hub.connectors.imis.column import Column
from learning_hub.connectors.imis.responses import error_text, outcome_of, unreadable_response
from learning_hub.connectors.imis.wire import (
    are_same,
    changed_entity,
    new_entity,
    properties_of,
    read_object,
    read_page,
    unwrap,
    wrap,
    write_object,
)
from learning_hub.connectors.outcomes import Postponed, Refused
from learning_hub.connectors.responses import retry_after_seconds
from learning_hub.model.json_values import SpelledDecimal

NEW_YORK = ZoneInfo("America/New_York")
VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("wanted", "stored"),
    [
        (None, ""),
        ("", None),
        (None, "0001-01-01T00:00:00"),
        (Decimal("1.30"), Decimal("1.3")),
        (2, Decimal("2.0")),
        ("1.30", Decimal("1.3")),
        (Decimal("1.3"), "1.30"),
        (True, "True"),
        ("a", "a"),
        ("O'Hara & co", "O&#39;Hara &amp; co"),
        ("2031-03-14 15:20:00.000", "2031-03-14T15:20:00"),
        ("2031-03-14 15:20:00.125", "2031-03-14T15:20:00.127"),
        ("2031-03-14", "2031-03-14T00:00:00"),
        ("2031-03-14T19:20:00Z", "2031-03-14T15:20:00"),
        ("2031-03-14T21:20:00+0200", "2031-03-14T15:20:00"),
        (5, {"$type": "System.Int32", "$value": 5}),
    ],
)
def test_equal_values_are_the_same(wanted: Any, stored: Any) -> None:
    """Whichever way iMIS gives them back."""
    assert are_same(wanted, stored, NEW_YORK)


@pytest.mark.parametrize(
    ("wanted", "stored"),
    [
        (None, 0),
        (0, None),
        (True, 1),
        (1, True),
        ("a", "A"),
        ("1", "1.0"),
        ("x", Decimal(1)),
        ("2031-03-14 15:20:00.000", "2031-03-14T15:20:01"),
        ("2031-03-14 25:20:00.000", "2031-03-14T15:20:00"),
        ("0001-01-01T00:00:00Z", "x"),
    ],
)
def test_different_values_are_not_the_same(wanted: Any, stored: Any) -> None:
    """So that a change is written."""
    assert not are_same(wanted, stored, NEW_YORK)


@given(VALUES, VALUES)
def test_any_two_values_can_be_compared(wanted: Any, stored: Any) -> None:
    """Nothing that iMIS or a template gives raises."""
    assert isinstance(are_same(wanted, stored, NEW_YORK), bool)
    assert are_same(wanted, wanted, NEW_YORK)


@given(VALUES)
def test_values_survive_the_wire(value: Any) -> None:
    """Wrapped, written, read and unwrapped they are what they were."""
    read = read_object(write_object({"Value": wrap(value)}))
    assert read is not None
    assert unwrap(read["Value"]) == value


@pytest.mark.parametrize(
    ("value", "wrapped"),
    [
        (7, {"$type": "System.Int32", "$value": 7}),
        (2**31, {"$type": "System.Int64", "$value": 2**31}),
        (-(2**63), {"$type": "System.Int64", "$value": -(2**63)}),
        (2**63, {"$type": "System.Decimal", "$value": 2**63}),
        (-(2**63) - 1, {"$type": "System.Decimal", "$value": -(2**63) - 1}),
        (True, {"$type": "System.Boolean", "$value": True}),
        (Decimal("1E+2"), {"$type": "System.Decimal", "$value": Decimal(100)}),
        ("text", "text"),
        (None, None),
    ],
)
def test_values_are_wrapped_as_the_vendor_does(value: Any, wrapped: Any) -> None:
    """Text and null are not."""
    assert wrap(value) == wrapped


def test_a_new_entity_has_types_first() -> None:
    """A `$type` that comes later may be passed over."""
    text = write_object(new_entity("TopClass_Learning", "10042", {"ID": "10042", "Units": None}))
    assert text.startswith(b'{"$type":"Asi.Soa.Core.DataContracts.GenericEntityData, Asi.Contracts",')
    assert b"Units" not in text


def test_an_update_keeps_what_it_does_not_know() -> None:
    """Members and properties go back as they came, to the digit, names in iMIS's spelling."""
    came = read_object(
        b'{"$type":"X","Odd":{"a":1.50},"Properties":{"$type":"C","$values":['
        b'{"$type":"P","Name":"Keep","Value":{"$type":"System.Decimal","$value":3.0}},'
        b'{"$type":"P","Name":"Units"}]}}'
    )
    assert came is not None
    changed = changed_entity(came, {"UNITS": SpelledDecimal("1.30"), "New": None})
    text = write_object(changed)
    assert b'"Odd":{"a":1.50}' in text
    assert b'"$value":3.0}' in text
    assert b'"Name":"Units","Value":{"$type":"System.Decimal","$value":1.30}' in text
    assert b'"Name":"New","Value":null' in text
    assert list(properties_of(changed)) == ["Keep", "Units", "New"]


def test_raw_and_lower_case_forms_are_read() -> None:
    """Some versions write them."""
    page = read_page({"items": [{"a": 1}, "odd"], "nextoffset": {"$value": 3}, "SyncRoot": {}})
    assert page is not None
    assert (page.rows, page.next_offset, page.is_old) == ([{"a": 1}], 3, True)
    assert properties_of({"properties": [{"name": "A", "value": 1}]}) == {"A": 1}
    assert read_page({"Items": 5}) is None


def test_null_absent_and_empty_are_distinguished() -> None:
    """A property without a Value holds nothing, as one with null does, and one with an empty text holds that."""
    rows = [{"Name": "Absent"}, {"Name": "Null", "Value": None}, {"Name": "Empty", "Value": ""}]
    entity = {"Properties": {"$values": rows}}
    assert properties_of(entity) == {"Absent": None, "Null": None, "Empty": ""}
    written = changed_entity(entity, {"Null": "", "Empty": None})["Properties"]["$values"]
    assert [(one["Name"], one.get("Value", "absent")) for one in written] == [
        ("Absent", "absent"),
        ("Null", ""),
        ("Empty", None),
    ]


@pytest.mark.parametrize(
    ("sent", "stored", "is_same"),
    [
        # The same hour comes twice in autumn: on the site's clock both are half past one.
        ("2031-11-02T05:30:00Z", "2031-11-02T01:30:00", True),
        ("2031-11-02T06:30:00Z", "2031-11-02T01:30:00", True),
        ("2031-11-02T01:30:00-04:00", "2031-11-02T01:30:00-05:00", True),
        ("2031-11-02T07:30:00Z", "2031-11-02T02:30:00", True),
        ("2031-11-02T07:30:00Z", "2031-11-02T03:30:00", False),
        # In spring an hour is missing: what is left on the wire is taken as it stands.
        ("2031-03-09T06:59:00Z", "2031-03-09T01:59:00", True),
        ("2031-03-09T07:00:00Z", "2031-03-09T03:00:00", True),
        ("2031-03-09T07:00:00Z", "2031-03-09T02:00:00", False),
        ("2031-03-09 02:30:00.000", "2031-03-09T02:30:00", True),
        ("2031-03-09 02:30:00.000", "2031-03-09T03:30:00", False),
    ],
)
def test_dates_are_compared_on_the_clock_of_the_site(sent: str, stored: str, is_same: bool) -> None:
    """Right on both sides of a change to and from summer time, and within it."""
    assert are_same(sent, stored, NEW_YORK) is is_same


def answered(status: int, body: bytes = b"", *, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """An answer that holds no secrets."""
    return HttpResponse(status=status, headers=headers or {}, body=body, text=body.decode("utf-8", "replace"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            (
                b'{"$type":"x","Errors":{"$values":[{"FieldName":"Units","Message":"is odd"},'
                b'{"Message":"No Course","FieldName":"Course"},{}]},"Warnings":{"$values":[]}}'
            ),
            "Units: is odd No Course is not valid",
        ),
        (
            b'{"$type":"x","Errors":{"$values":[]},"Warnings":{"$values":[{"Message":"Twice."}]}}',
            "Twice.",
        ),
        (b'{"$type":"System.Web.Http.HttpError","Message":"No resource.","MessageDetail":"x"}', "No resource."),
        (b'{"Errors":{"$values":[{"Message":"First."}]},"Message":"Second.","error":"third"}', "First."),
        (b'{"error":"invalid_client","Message":"First."}', "First."),
        (b'{"Message":"Denied.","ExceptionMessage":"x"}', "Denied."),
        (
            (
                b'{"$type":"System.Web.Http.HttpError","Message":"The request is invalid.","ModelState":'
                b'{"$type":"System.Web.Http.HttpError","entity.Email":["The Email field is required."],'
                b'"entity.Units":["is odd",""],"":"No."}}'
            ),
            "The request is invalid. The Email field is required. entity.Units: is odd entity.Units: is not valid No.",
        ),
        (
            b'{"modelState":{"Course":{"$type":"x","$values":["Too long."]},"a":{"Errors":[{"ErrorMessage":"No."}]}}}',
            "Course: Too long. a: No.",
        ),
        (b'{"Message":"Denied.","ModelState":null}', "Denied."),
        (b'{"Message":"Denied.","ModelState":["x"],"ExceptionMessage":3}', "Denied. x"),
        (
            b'{"Message":"No.","ModelState":{"entity":{"$type":"x","Units":["is odd"],"Course":{"Code":"is long"}}}}',
            "No. entity.Units: is odd entity.Course.Code: is long",
        ),
        (
            (
                b'{"Message":"No.","ModelState":{"$values":[{"Key":"Units","Value":["is odd"]},'
                b'{"Key":"a.Course","Value":{"Errors":[{"ErrorMessage":"is long"}]}}]}}'
            ),
            "No. Units: is odd a.Course: is long",
        ),
        (
            b'{"title":"Validation errors.","status":400,"errors":{"Units":["is odd"]},"traceId":"x"}',
            "Validation errors. Units: is odd",
        ),
        (b'{"title":"Not allowed","detail":"Ask the staff."}', "Ask the staff."),
        (b'{"Message":["One.","Two."]}', "One. Two."),
        (b'{"Errors":["One.","Two."]}', "One. Two."),
        (b'{"Errors":{"Units":["is odd"]}}', "Units: is odd"),
        (b'{"errors":[{"code":"E1","errorMessage":"is odd","propertyName":"Units"}]}', "Units: is odd"),
        (b'{"ValidationResults":{"Errors":{"$values":[{"Message":"No."}]}},"IsSuccessStatusCode":false}', "No."),
        (b'{"error":{"code":"x","message":"Quota reached."}}', "Quota reached."),
        (b'{"fault":{"faultstring":"No route."}}', '{"fault":{"faultstring":"No route."}}'),
        (b'{"Message":null,"ModelState":null}', ""),
        (b'{"$type":"x"}', ""),
        (
            (
                b'{"Message":"An error has occurred.","ExceptionMessage":"The write failed.","StackTrace":"at x",'
                b'"InnerException":{"Message":"An error has occurred.","ExceptionMessage":"Text would be truncated."}}'
            ),
            "An error has occurred. The write failed. Text would be truncated.",
        ),
        (b'{"error":"invalid_grant","error_description":"Wrong."}', "Wrong."),
        (b'{"error":"invalid_grant"}', "invalid_grant"),
        (b"An error  occurred.\r\n", "An error occurred."),
        (b'"quoted"', "quoted"),
        (b"<!doctype html><p>x", "an HTML page"),
        (b"", ""),
        (b"[]", "[]"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"x" * 1000, "x" * 500 + "…"),
    ],
)
def test_the_words_of_imis_are_found(body: bytes, words: str) -> None:
    """Validation results, then the error of Web API, then that of OAuth, then text; shortened."""
    assert error_text(answered(400, body)) == words


@pytest.mark.parametrize(
    "status", [300, 301, 302, 304, 307, 308, 400, 403, 404, 405, 409, 410, 413, 415, 418, 422, 501]
)
def test_what_does_not_pass_by_itself_is_refused(status: int) -> None:
    """Redirects among it: the hub does not follow them, and says where they point."""
    outcome = outcome_of(answered(status, headers={"location": "https://elsewhere.example/"}), "read x", wrote=True)
    assert isinstance(outcome, Refused)
    assert outcome.code == "refused"
    assert ("elsewhere" in outcome.message) == (status < 400)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (answered(304), "The hub could not read x: iMIS answered 304."),
        (answered(300, b"Choose."), "The hub could not read x: iMIS answered 300, Choose."),
        (answered(404, b"No x"), "The hub could not read x: iMIS answered 404, No x."),
        (
            answered(302, b"moved", headers={"location": "/y"}),
            "The hub could not read x: iMIS answered 302, it points to /y, and the hub follows no redirects.",
        ),
    ],
)
def test_a_refusal_is_reported_in_whole_sentences(answer: HttpResponse, sentence: str) -> None:
    """Who could not do what, what iMIS said, and nothing that it did not say."""
    assert outcome_of(answer, "read x", wrote=False).message == sentence


def test_rubbish_is_reported_in_whole_sentences() -> None:
    """What follows begins a sentence of its own."""
    message = unreadable_response(answered(200, b"<html>"), "read x", wrote=True).message
    assert message == "What answered when the hub was to read x does not speak as iMIS does: 200, an HTML page."


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 507, 599])
def test_what_may_pass_by_itself_is_postponed(status: int) -> None:
    """A failed read is never in doubt."""
    outcome = outcome_of(answered(status), "read x", wrote=False)
    assert isinstance(outcome, Postponed)
    assert not outcome.in_doubt
    assert outcome.subscriber_is_away == (status in (502, 503, 504))


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("0", 0),
        ("17", 17),
        ("1.5", 1.5),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_waits_are_read(said: str, seconds: float | None) -> None:
    """Seconds or a date; what cannot be read asks for none."""
    assert retry_after_seconds(answered(429, headers={"retry-after": said})) == seconds


@given(st.text(max_size=40))
def test_any_wait_can_be_read(said: str) -> None:
    """Nothing a server sends there raises."""
    assert isinstance(retry_after_seconds(answered(429, headers={"retry-after": said})), float | None)


@pytest.mark.parametrize(
    ("column", "value", "stored"),
    [
        (Column("Decimal", scale=2), SpelledDecimal("1.005"), Decimal("1.01")),
        (Column("Decimal", scale=2), "1.005", Decimal("1.01")),
        (Column("Decimal", scale=2), "x", "x"),
        (Column("Decimal"), SpelledDecimal("1.005"), Decimal("1.005")),
        (Column("Date", is_date_only=True), "2031-03-14 15:20:00.000", "2031-03-14"),
        (Column("Date"), "2031-03-14 15:20:00.000", "2031-03-14 15:20:00.000"),
        (Column("Monetary", scale=4), None, None),
        (Column("String"), 5, 5),
    ],
)
def test_columns_keep_what_fits_into_them(column: Column, value: Any, stored: Any) -> None:
    """So that a rounded value does not look changed for ever."""
    assert column.as_stored(value) == stored


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        ("Date", "2031-03-14T19:20:00Z", "2031-03-14T15:20:00"),
        ("Date", "2031-01-14T19:20:00.1234567Z", "2031-01-14T14:20:00.123"),
        ("Date", "2031-03-14T20:20:00+01:00", "2031-03-14T15:20:00"),
        ("Date", "2031-11-02T05:30:00Z", "2031-11-02T01:30:00"),
        ("Date", "2031-11-02T06:30:00Z", "2031-11-02T01:30:00"),
        ("Date", "2031-03-09T07:00:00Z", "2031-03-09T03:00:00"),
        ("Date", "2031-03-09 02:30:00.000", "2031-03-09 02:30:00.000"),
        ("Date", "2031-03-14", "2031-03-14"),
        ("Date", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("Date", "soon", "soon"),
        ("Date", None, None),
        ("String", "2031-03-14T19:20:00Z", "2031-03-14T19:20:00Z"),
        ("", "2031-03-14T19:20:00Z", "2031-03-14T19:20:00Z"),
        ("Decimal", 2, SpelledDecimal("2")),
    ],
)
def test_columns_get_what_they_take(kind: str, value: Any, wanted: Any) -> None:
    """Dates with an offset go out on the clock of the site, and only into columns for dates."""
    assert Column(kind).as_sent(value, NEW_YORK) == wanted
