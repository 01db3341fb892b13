"""The control addresses (request log, state, switches, reset) and the page."""

import re
from typing import Any

import httpx
import pytest
from sandbox.sandbox_entities import activity, completion, password_grant

from learning_hub.sandbox import RunningSandbox, seeds
from learning_hub.sandbox.request_log import MAX_ENTRIES, RequestLog


def test_every_request_is_in_the_log(imis: httpx.Client) -> None:
    """Each iMIS request is logged with method, path, query, headers, body, status and time."""
    imis.post("/api/Activity?x=1%7C2", json=activity(UNITS=1.5))
    entry = imis.get("/_sandbox/requests").json()["Items"][-1]

    assert list(entry) == [
        *("Method", "Path", "Query", "Headers", "Body", "Status", "Fault", "InFlight", "AtUtc"),
    ]
    assert (entry["Method"], entry["Path"], entry["Query"]) == ("POST", "/api/Activity", "x=1|2")
    assert entry["Body"] == activity(UNITS=1.5)
    assert (entry["Status"], entry["InFlight"], entry["Fault"]) == (201, 1, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z", entry["AtUtc"])


def test_request_log_has_no_secrets(imis: httpx.Client) -> None:
    """Neither tokens nor passwords are in the request log, even if the request failed."""
    imis.post("/token", data=password_grant(Password="hush-hush", Client_Secret="hush-hush"))
    imis.post("/token", content=b"grant_type=password&username=x&password=hush-hush")
    imis.post("/token", content=b"grant_type=password&username=x&password=hu&hush-hush")
    imis.post("/token", json={"grant_type": "password", "password": "hush-hush"})
    imis.get("/api/Party")
    text = imis.get("/_sandbox/requests").text

    assert "hush-hush" not in text
    assert imis.headers["Authorization"].removeprefix("Bearer ") not in text
    assert '"authorization":"(removed)"' in text


def test_request_log_is_filtered_and_cleared(imis: httpx.Client) -> None:
    """The request log can be filtered by method and path, and cleared."""
    imis.get("/api/Party")
    imis.post("/api/Activity", content=b"no json")
    (entry,) = imis.get("/_sandbox/requests?Method=post&Path=/api").json()["Items"]

    assert (entry["Body"], entry["Status"]) == ("no json", 400)
    assert imis.delete("/_sandbox/requests").status_code == 204
    assert imis.get("/_sandbox/requests").json()["Items"] == []


def test_request_log_is_bounded(sandbox: RunningSandbox) -> None:
    """The request log keeps its newest entries and counts all requests."""
    log = RequestLog()
    for number in range(MAX_ENTRIES + 5):
        entry = log.start(method="GET", path=str(number), query="", headers={}, body=b"", at=sandbox.site.now())
        log.finish(entry, 200)

    assert (len(log.entries), log.total) == (MAX_ENTRIES, MAX_ENTRIES + 5)
    assert log.entries[0].path == "5"


def test_the_state_shows_all_records(imis: httpx.Client) -> None:
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


def test_a_reset_restores_the_seeds(imis: httpx.Client, fault: Any, switch: Any) -> None:
    """A reset restores the seeds and clears tokens, faults, switches and the request log."""
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


def test_switches_are_read_and_changed(visitor: httpx.Client) -> None:
    """Switches are changed by name in any letter case, the others stay, and each has a description."""
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
def test_an_invalid_switch_is_rejected(visitor: httpx.Client, sent: Any) -> None:
    """An unknown switch or value is rejected with a reason and changes nothing."""
    before = visitor.get("/_sandbox/switches").json()
    response = visitor.put("/_sandbox/switches", json=sent)

    assert (response.status_code, list(response.json())) == (400, ["Error"])
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
def test_invalid_control_requests(visitor: httpx.Client, method: str, address: str, body: Any, status: int) -> None:
    """An invalid request to a control address gets an error with a reason."""
    response = visitor.request(method, address, json=body)

    assert response.status_code == status
    assert response.json()["Error"]


def test_the_page_shows_records_escaped(imis: httpx.Client) -> None:
    """The page shows activities and rows, escaped, shows the control addresses, and reloads itself."""
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


def test_the_page_keeps_each_value_with_its_heading(imis: httpx.Client) -> None:
    """Times on the page are not wrapped, a column stays with its value, and each cell has its heading."""
    imis.post("/api/Activity", json=activity(EFFECTIVE_DATE="2026-11-20 15:20:00.000", UF_3="key of the hub"))
    imis.post("/api/TopClass_Learning", json=completion(CourseCompleted="2026-11-20 15:20:00.000"))
    page = imis.get("/").text

    assert '<td class="whole" data-label="Effective">2026-11-20T15:20:00</td>' in page
    assert '<td class="whole" data-label="CourseCompleted">2026-11-20T15:20:00</td>' in page
    assert '<span class="pair">UF_3 key of the hub</span>' in page
    assert page.count("<td") == len(re.findall(r'<td[^>]* data-label="[^"]+">', page))


def test_page_while_empty(visitor: httpx.Client) -> None:
    """The page also works before any request."""
    page = visitor.get("/").text

    assert page.count("None yet.") == 2
    assert "Nobody has asked anything yet." in page
    assert "everything works" in page


def test_page_of_many_rows_shows_the_newest_first(imis: httpx.Client) -> None:
    """The page shows the newest 50 rows of hundreds, with the names of their contacts, and counts all."""
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


def test_page_loads_no_other_resources(imis: httpx.Client) -> None:
    """The page has no scripts or external files, and causes no icon request, which would be in the request log."""
    page = imis.get("/").text

    assert re.findall(r'(?:src|href)="(?!#)([^"]*)"', page) == ["data:,"]
    assert "url(" not in page
    assert "@import" not in page


def test_page_escapes_all_input(imis: httpx.Client, fault: Any) -> None:
    """Any text sent as a value, a name, a query or a fault is escaped."""
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
