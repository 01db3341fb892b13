"""What the sandbox does wrong on request."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sandbox.sandbox_entities import activity, bad_fields, password_grant, sign_in

ADMINISTRATOR = "An error occurred. Please contact the administrator."


def stored_activities(client: httpx.Client) -> int:
    return len(client.get("/_sandbox/state").json()["Activities"])


@pytest.mark.parametrize("status", ["429", "500", "503", "408", "502"])
def test_statuses(imis: httpx.Client, fault: Any, status: str) -> None:
    """A status fault answers with text and stores nothing; after its times all is well."""
    fault(status, Times=1)

    answer = imis.post("/api/Activity", json=activity())

    assert answer.status_code == int(status)
    assert answer.headers["content-type"].startswith("text/plain")
    assert "Retry-After" not in answer.headers
    assert stored_activities(imis) == 0
    assert imis.post("/api/Activity", json=activity()).status_code == 201


def test_text_of_500(imis: httpx.Client, fault: Any) -> None:
    """The 500 is the one that iMIS also gives for some bad payloads."""
    fault("500")

    assert imis.get("/api/Party").text == ADMINISTRATOR


@pytest.mark.parametrize(
    ("given", "sent"), [(7, "7"), ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:00 GMT")]
)
def test_retry_after(imis: httpx.Client, fault: Any, given: Any, sent: str) -> None:
    """Retry-After is sent as given, seconds or a date."""
    fault("429", RetryAfter=given)

    assert imis.get("/api/Party").headers["Retry-After"] == sent


def test_refuse(imis: httpx.Client, fault: Any) -> None:
    """A refusal is a validation error, whatever was sent."""
    fault("refuse", Times=1)

    assert bad_fields(imis.post("/api/Activity", json=activity())) == ["Sandbox"]
    assert stored_activities(imis) == 0


def test_rubbish(imis: httpx.Client, fault: Any) -> None:
    """Rubbish is a page of HTML with status 200, and nothing is stored."""
    fault("rubbish", Times=1)

    answer = imis.post("/api/Activity", json=activity())

    assert (answer.status_code, answer.text[:6]) == (200, "<html>")
    assert stored_activities(imis) == 0


@pytest.mark.parametrize(("kind", "stored"), [("cut-before", 0), ("cut-after", 1)])
def test_cut_connections(imis: httpx.Client, fault: Any, kind: str, stored: int) -> None:
    """The connection is really closed without an answer, before or after the work."""
    fault(kind, Times=1)

    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        imis.post("/api/Activity", json=activity())

    assert stored_activities(imis) == stored
    assert imis.get("/_sandbox/requests?method=POST").json()["Items"][-1]["Status"] is None
    assert imis.post("/api/Activity", json=activity()).status_code == 201


def statuses_of_posts(client: httpx.Client) -> list[int | None]:
    """Of the activities so far; None for one that is still being answered."""
    items = client.get("/_sandbox/requests?Method=POST&Path=/api/Activity").json()["Items"]
    return [item["Status"] for item in items]


def wait_until_answered(client: httpx.Client) -> None:
    """Until no answer is outstanding: one still in the works would be in the journal of the next test."""
    deadline = time.monotonic() + 15
    while None in statuses_of_posts(client):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_slow(imis: httpx.Client, fault: Any) -> None:
    """A slow answer comes late, but the work is done at once."""
    fault("slow", Seconds=3, Times=1)

    with pytest.raises(httpx.ReadTimeout):
        imis.post("/api/Activity", json=activity(), timeout=0.5)

    assert (stored_activities(imis), statuses_of_posts(imis)) == (1, [None])
    wait_until_answered(imis)


def test_slow_answers_in_the_end(imis: httpx.Client, fault: Any) -> None:
    """A caller that waits gets the answer."""
    fault("slow", Seconds=0.1, Times=1)
    start = time.monotonic()

    assert imis.post("/api/Activity", json=activity()).status_code == 201
    assert time.monotonic() - start >= 0.1


def test_late(imis: httpx.Client, fault: Any) -> None:
    """A late request is carried out after its caller has gone."""
    fault("late", Seconds=3, Times=1)

    with pytest.raises(httpx.ReadTimeout):
        imis.post("/api/Activity", json=activity(), timeout=0.5)

    assert stored_activities(imis) == 0
    wait_until_answered(imis)
    assert stored_activities(imis) == 1


def test_hold(imis: httpx.Client, fault: Any) -> None:
    """A held request is carried out at once and answered when its fault is deleted, not when another one is."""
    fault("hold", Method="POST", Times=1)
    fault("503", Method="GET")
    with ThreadPoolExecutor() as pool:
        posting = pool.submit(imis.post, "/api/Activity", json=activity(), timeout=60)
        deadline = time.monotonic() + 15
        while not stored_activities(imis) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert imis.delete("/_sandbox/faults?Fault=503").status_code == 204
        assert imis.post("/api/Activity", json=activity()).status_code == 201
        assert (statuses_of_posts(imis), posting.done()) == ([None, 201], False)

        imis.delete("/_sandbox/faults?Fault=Hold")

        assert posting.result().status_code == 201
    assert stored_activities(imis) == 2
    assert imis.get("/_sandbox/faults").json()["Items"] == []


def test_how_late_unless_told(visitor: httpx.Client) -> None:
    """Late is carried out after a caller of 2 seconds has gone and before its settling time of 2 is over."""
    assert 2 < visitor.post("/_sandbox/faults", json={"Fault": "late"}).json()["Seconds"] < 4


def test_forgotten_tokens(imis: httpx.Client, fault: Any) -> None:
    """Forgetting tokens happens once unless told otherwise, at a call to the API, and a new token works."""
    fault("forget-tokens")
    assert imis.post("/token", data=password_grant()).status_code == 200
    assert imis.get("/api/Party").status_code == 401
    imis.headers["Authorization"] = f"Bearer {sign_in(imis)}"
    assert imis.get("/api/Party").status_code == 200


@pytest.mark.parametrize(
    ("members", "hit"),
    [
        ({}, "POST /token, GET /api/Party, POST /api/Activity"),
        ({"Method": "post"}, "POST /token, POST /api/Activity"),
        ({"Method": "*", "Path": "*"}, "POST /token, GET /api/Party, POST /api/Activity"),
        ({"Path": "/API/"}, "GET /api/Party, POST /api/Activity"),
        ({"Path": "api/act"}, "POST /api/Activity"),
        ({"Path": "*/p*"}, "GET /api/Party"),
        ({"Path": "/api/*ty", "Method": "GET"}, "GET /api/Party"),
        ({"Path": "/token"}, "POST /token"),
        ({"Path": "/api/Nothing"}, ""),
        ({"Times": 0}, ""),
        ({"Share": 0}, ""),
    ],
)
def test_which_calls_are_hit(imis: httpx.Client, fault: Any, members: dict[str, Any], hit: str) -> None:
    """A fault hits the calls of its method and path: a prefix, or a pattern with stars, in any case."""
    fault("503", **members)
    calls = [("POST", "/token"), ("GET", "/api/Party"), ("POST", "/api/Activity")]

    statuses = {f"{method} {path}": imis.request(method, path).status_code for method, path in calls}

    assert ", ".join(call for call, status in statuses.items() if status == 503) == hit


def test_share(imis: httpx.Client, fault: Any) -> None:
    """A share hits about that part of the calls, the same ones at each posting."""
    runs = []
    for _ in range(2):
        imis.delete("/_sandbox/faults")
        fault("503", Path="/api", Share=0.5)
        runs.append([imis.get("/api/LegacyActivityType").status_code for _ in range(40)])

    assert runs[0] == runs[1]
    assert 10 <= runs[0].count(503) <= 30


def test_times_and_order(imis: httpx.Client, fault: Any) -> None:
    """Faults fire in the order of posting, each as often as it says; they can be listed and taken back."""
    fault("503", Times=2)
    fault("429", Times=1)
    fault("500")
    statuses = [imis.get("/api/Party").status_code for _ in range(4)]
    listed = imis.get("/_sandbox/faults").json()["Items"]

    assert statuses == [503, 503, 429, 500]
    assert [item["Fired"] for item in listed] == [2, 1, 1]
    assert imis.delete("/_sandbox/faults").status_code == 204
    assert imis.get("/api/Party").status_code == 200


def test_control_and_page_are_spared(visitor: httpx.Client, fault: Any) -> None:
    """Faults concern iMIS and neither the control addresses nor the page."""
    fault("cut-before")

    assert visitor.get("/_sandbox/state").status_code == 200
    assert visitor.get("/").status_code == 200


def test_faults_below_a_base_path(imis: httpx.Client, fault: Any, switch: Any) -> None:
    """The path of a fault is the one below the base path."""
    switch(BasePath="/iMIS0")
    fault("503", Path="/api/Party")

    assert imis.get("/iMIS0/api/Party").status_code == 503


@pytest.mark.parametrize(
    "sent",
    [
        {},
        [],
        "429",
        {"Fault": "418"},
        {"Fault": "429", "Colour": "red"},
        {"Fault": "429", "Times": "often"},
        {"Fault": "429", "Times": -1},
        {"Fault": "429", "Share": 2},
        {"Fault": "slow", "Seconds": True},
        {"Fault": "429", "Times": 1.5},
        {"Fault": "429", "Method": "PSOT"},
        {"Fault": "429", "Method": 5},
        {"Fault": "429", "Path": 5},
        {"Fault": "429", "Path": " "},
        {"Fault": "429", "RetryAfter": True},
        {"Fault": "429", "RetryAfter": {"Seconds": 5}},
        {"Fault": "429", "RetryAfter": "5\r\nX-Other: 1"},
        {"Fault": {"429": 1}},
        {"Fault": None},
        {"Fault": "slow", "Seconds": "NaN"},
    ],
)
def test_a_fault_that_cannot_be(visitor: httpx.Client, sent: Any) -> None:
    """A fault that makes no sense is refused with a sentence."""
    answer = visitor.post("/_sandbox/faults", json=sent)

    assert answer.status_code == 400
    assert answer.json()["Error"].endswith(".")
