"""Journal, state, switches, reset, and the page."""

import re
from typing import Any

import httpx
import pytest
from sandbox.sandbox_entities import activity, completion, password_grant

from learning_hub.sandbox import RunningSandbox, seeds
from learning_hub.sandbox.journal import KEPT_ENTRIES, Journal


def test_journal(imis: httpx.Client) -> None:
    """Each iMIS request is written down with method, path, query, headers, body, status and time."""
    imis.post("/api/Activity?x=1%7C2", json=activity(UNITS=1.5))
    entry = imis.get("/_sandbox/requests").json()["Items"][-1]

    assert list(entry) == [
        *("Method", "Path", "Query", "Headers", "Body", "Status", "Fault", "InFlight", "AtUtc"),
    ]
    assert (entry["Method"], entry["Path"], entry["Query"]) == ("POST", "/api/Activity", "x=1|2")
    assert entry["Body"] == activity(UNITS=1.5)
    assert (entry["Status"], entry["InFlight"], entry["Fault"]) == (201, 1, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z", entry["AtUtc"])


def test_journal_keeps_no_secret(imis: httpx.Client) -> None:
    """Neither token nor password is in the journal, whatever became of the request."""
    imis.post("/token", data=password_grant(Password="hush-hush", Client_Secret="hush-hush"))
    imis.post("/token", content=b"grant_type=password&username=x&password=hush-hush")
    imis.post("/token", content=b"grant_type=password&username=x&password=hu&hush-hush")
    imis.post("/token", json={"grant_type": "password", "password": "hush-hush"})
    imis.get("/api/Party")
    text = imis.get("/_sandbox/requests").text

    assert "hush-hush" not in text
    assert imis.headers["Authorization"].removeprefix("Bearer ") not in text
    assert '"authorization":"(removed)"' in text


def test_journal_narrowed_and_emptied(imis: httpx.Client) -> None:
    """The journal can be asked for a method and a path, and be emptied."""
    imis.get("/api/Party")
    imis.post("/api/Activity", content=b"no json")
    (entry,) = imis.get("/_sandbox/requests?Method=post&Path=/api").json()["Items"]

    assert (entry["Body"], entry["Status"]) == ("no json", 400)
    assert imis.delete("/_sandbox/requests").status_code == 204
    assert imis.get("/_sandbox/requests").json()["Items"] == []


def test_journal_is_bounded(sandbox: RunningSandbox) -> None:
    """The journal keeps its newest entries and counts them all."""
    journal = Journal()
    for number in range(KEPT_ENTRIES + 5):
        entry = journal.begin(method="GET", path=str(number), query="", headers={}, body=b"", at=sandbox.site.now())
        journal.end(entry, 200)

    assert (len(journal.entries), journal.total) == (KEPT_ENTRIES, KEPT_ENTRIES + 5)
    assert journal.entries[0].path == "5"


def test_state(imis: httpx.Client) -> None:
    """The state shows contacts, activities and panel rows as plain JSON."""
    imis.post("/api/Activity", json=activity(UNITS=1.5, EFFECTIVE_DATE="2031-03-14"))
    imis.post("/api/TopClass_Learning", json=completion())
    state = imis.get("/_sandbox/state").json()
    (done,) = state["Activities"]
    (row,) = state["Panels"]["TopClass_Learning"]

    assert [contact["PartyId"] for contact in state["Contacts"]] == [c.party_id for c in seeds.CONTACTS]
    assert (done["Id"], done["PartyId"]) == ("880123", "10042")
    assert done["Properties"]["UNITS"] == 1.5
    assert done["Properties"]["EFFECTIVE_DATE"] == "2031-03-14T00:00:00"
    assert done["Properties"]["UF_1"] is None
    assert (row["ID"], row["Ordinal"], row["CourseCode"]) == ("10042", 1, "FIRE-201")
    assert state["ActivityTypes"] == list(seeds.ACTIVITY_TYPES)
    assert state["AvailableViaRest"] == {"TopClass_Learning": True}


def test_reset(imis: httpx.Client, fault: Any, switch: Any) -> None:
    """A reset brings back the seeds, and with them no tokens, faults, changed switches or journal."""
    imis.post("/api/Activity", json=activity())
    imis.put("/_sandbox/panels/TopClass_Learning", json={"AvailableViaRest": False})
    fault("503", Path="/api/Party")
    switch(PostOrdinal="real")
    imis.post("/_sandbox/reset")
    state = imis.get("/_sandbox/state").json()

    assert (state["Activities"], state["Tokens"]) == ([], 0)
    assert state["AvailableViaRest"] == {"TopClass_Learning": True}
    assert imis.get("/_sandbox/faults").json()["Items"] == []
    assert imis.get("/_sandbox/switches").json()["PostOrdinal"] == "zero"
    assert imis.get("/_sandbox/requests").json()["Total"] == 0


def test_switches(visitor: httpx.Client) -> None:
    """Switches are changed by name in any case, the others stay, and each says what it means."""
    before = visitor.get("/_sandbox/switches").json()
    after = visitor.put("/_sandbox/switches", json={"postordinal": "real"}).json()
    described = visitor.get("/_sandbox/switches?Describe=1").json()["Items"]

    assert after == before | {"PostOrdinal": "real"}
    assert [item["Name"] for item in described] == list(before)
    assert all(item["Meaning"].endswith(".") for item in described)


@pytest.mark.parametrize(
    "sent",
    [
        {"Colour": "red"},
        {"PostOrdinal": "two"},
        {"ClosedPanel": 418},
        {"TimeZone": "Mars/Base"},
        {"TimeZone": "../x"},
        {"BasePath": "no-slash"},
        {"Version": 5},
        {"LockOutAfter": -1},
        [],
    ],
)
def test_switches_that_cannot_be(visitor: httpx.Client, sent: Any) -> None:
    """A switch or value that is not there is refused with a reason and changes nothing."""
    before = visitor.get("/_sandbox/switches").json()
    answer = visitor.put("/_sandbox/switches", json=sent)

    assert (answer.status_code, list(answer.json())) == (400, ["Error"])
    assert visitor.get("/_sandbox/switches").json() == before


@pytest.mark.parametrize(
    ("method", "address", "body", "status"),
    [
        ("GET", "/_sandbox", None, 404),
        ("GET", "/_sandbox/nothing", None, 404),
        ("GET", "/_sandbox/state/more", None, 404),
        ("DELETE", "/_sandbox/state", None, 405),
        ("PUT", "/_sandbox/panels", {"AvailableViaRest": True}, 404),
        ("PUT", "/_sandbox/panels/Nothing", {"AvailableViaRest": True}, 404),
        ("PUT", "/_sandbox/panels/TopClass_Learning", {"AvailableViaRest": "yes"}, 400),
        ("PUT", "/_sandbox/tokens", {"ExpiresInSeconds": -1}, 400),
        ("PUT", "/_sandbox/account", {"Password": 5}, 400),
        ("PUT", "/_sandbox/account", {"Roles": "StaffUser"}, 400),
        ("PUT", "/_sandbox/account", {"Roles": [5]}, 400),
        ("POST", "/_sandbox/faults", None, 400),
        ("DELETE", "/_sandbox/faults?Fault=503s", None, 400),
        ("DELETE", "/_sandbox/faults?Kind=503", None, 400),
        ("GET", "/_sandbox/requests?Metod=POST", None, 400),
        ("PUT", "/_sandbox/panels/TopClass_Learning", {"AvailableViaRest": True, "Open": True}, 400),
        ("PUT", "/_sandbox/account", {"Pasword": "x"}, 400),
        ("PUT", "/_sandbox/tokens", {"Seconds": 5}, 400),
        ("PUT", "/_sandbox/switches", None, 400),
        ("PUT", "/_sandbox/switches", [], 400),
    ],
)
def test_control_addresses_refuse(visitor: httpx.Client, method: str, address: str, body: Any, status: int) -> None:
    """A control address that is wrong, or used wrongly, says so."""
    answer = visitor.request(method, address, json=body)

    assert answer.status_code == status
    assert answer.json()["Error"]


def test_page(imis: httpx.Client) -> None:
    """The page shows what arrived, escaped, with the control addresses, and fetches itself again."""
    imis.post("/api/Activity", json=activity(DESCRIPTION="<script>alert(1)</script> & more"))
    imis.post("/api/TopClass_Learning", json=completion(Course="Fire <b>safety</b>"))
    page = imis.get("/")

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page.text
    assert "Fire &lt;b&gt;safety&lt;/b&gt;" in page.text
    assert "<script" not in page.text
    assert "robin.vale@example.org" in page.text
    assert 'http-equiv="refresh"' in page.text
    assert "need no token" in page.text
    assert all(word in page.text for word in ("PostOrdinal", "faults", "refresh-tokens"))


def test_what_belongs_together_stays_together(imis: httpx.Client) -> None:
    """On the page times are not broken, a column stays with its value, and each cell knows its heading."""
    imis.post("/api/Activity", json=activity(EFFECTIVE_DATE="2026-11-20 15:20:00.000", UF_3="key of the hub"))
    imis.post("/api/TopClass_Learning", json=completion(CourseCompleted="2026-11-20 15:20:00.000"))
    page = imis.get("/").text

    assert '<td class="whole" data-label="Effective">2026-11-20T15:20:00</td>' in page
    assert '<td class="whole" data-label="CourseCompleted">2026-11-20T15:20:00</td>' in page
    assert '<span class="pair">UF_3 key of the hub</span>' in page
    assert page.count("<td") == len(re.findall(r'<td[^>]* data-label="[^"]+">', page))


def test_page_while_empty(visitor: httpx.Client) -> None:
    """The page also shows a sandbox in which nothing has happened."""
    page = visitor.get("/").text

    assert page.count("None yet.") == 2
    assert "Nobody has asked anything yet." in page
    assert "everything works" in page


def test_page_of_many_rows_shows_the_newest_first(imis: httpx.Client) -> None:
    """Of hundreds of rows the newest 50 are shown, with the names of their contacts, and all are counted."""
    for number in range(120):
        imis.post("/api/Activity", json=activity(DESCRIPTION=f"number {number}."))
        imis.post("/api/TopClass_Learning", json=completion(Course=f"course {number}."))
    page = imis.get("/").text

    assert [page.count(f"number {number}.") for number in (69, 70, 119)] == [0, 1, 1]
    assert page.index("number 119.") < page.index("number 118.")
    assert page.index("course 119.") < page.index("course 118.")
    assert page.count("The newest 50 of 120 are shown.") == 2
    assert '<a href="#activities">Activities: 120</a>' in page
    assert page.count('10042 <span class="name">Robin Vale</span>') == 100


def test_page_loads_nothing_from_elsewhere(imis: httpx.Client) -> None:
    """The page has neither scripts nor files of others, and asks for no icon, which would be in the journal."""
    page = imis.get("/").text

    assert re.findall(r'(?:src|href)="(?!#)([^"]*)"', page) == ["data:,"]
    assert "url(" not in page
    assert "@import" not in page


def test_page_escapes_everything_that_comes_from_outside(imis: httpx.Client, fault: Any) -> None:
    """Whatever is sent as a value, a name, a query or a fault shows as text."""
    bad = "<img src=x onerror=alert(1)>"
    imis.post("/api/Person", json={"PersonName": {"LastName": bad}, "Email": bad})
    imis.post("/api/Activity", json=activity(PartyId="10054", DESCRIPTION=bad, NOTE=bad))
    imis.post("/api/LegacyActivityType", json={"ActivityTypeId": "<b>"})
    imis.put("/_sandbox/account", json={"Username": bad})
    fault("503", Path=f"/{bad}")
    imis.get(f"/api/Party?{bad}={bad}", headers={"Host": '"><img src=x>'})
    page = imis.get("/", headers={"Host": '"><img src=x>'}).text

    assert "<img" not in page
    assert "<b>" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") >= 6
