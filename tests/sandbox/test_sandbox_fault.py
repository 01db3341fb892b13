"""Faults: failures of the sandbox on request."""

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
def test_a_status_fault_stores_nothing_and_ends(imis: httpx.Client, fault: Any, status: str) -> None:
    """A status fault answers with text and stores nothing; after *Times* requests it ends."""
    fault(status, Times=1)

    response = imis.post("/api/Activity", json=activity())

    assert response.status_code == int(status)
    assert response.headers["content-type"].startswith("text/plain")
    assert "Retry-After" not in response.headers
    assert stored_activities(imis) == 0
    assert imis.post("/api/Activity", json=activity()).status_code == 201


def test_text_of_500(imis: httpx.Client, fault: Any) -> None:
    """The 500 has the same text as the one of iMIS for some invalid payloads."""
    fault("500")

    assert imis.get("/api/Party").text == ADMINISTRATOR


@pytest.mark.parametrize(
    ("given", "sent"), [(7, "7"), ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:00 GMT")]
)
def test_retry_after_is_sent_as_given(imis: httpx.Client, fault: Any, given: Any, sent: str) -> None:
    """Retry-After is sent as given, seconds or a date."""
    fault("429", RetryAfter=given)

    assert imis.get("/api/Party").headers["Retry-After"] == sent


def test_refuse_answers_with_a_validation_error(imis: httpx.Client, fault: Any) -> None:
    """The fault answers a valid request with a validation error and stores nothing."""
    fault("refuse", Times=1)

    assert bad_fields(imis.post("/api/Activity", json=activity())) == ["Sandbox"]
    assert stored_activities(imis) == 0


def test_rubbish_is_an_html_page_with_status_200(imis: httpx.Client, fault: Any) -> None:
    """The fault answers with an HTML page and status 200, and stores nothing."""
    fault("rubbish", Times=1)

    response = imis.post("/api/Activity", json=activity())

    assert (response.status_code, response.text[:6]) == (200, "<html>")
    assert stored_activities(imis) == 0


@pytest.mark.parametrize(("kind", "stored"), [("cut-before", 0), ("cut-after", 1)])
def test_a_connection_is_cut_before_or_after_the_work(imis: httpx.Client, fault: Any, kind: str, stored: int) -> None:
    """The connection is closed without a response, before or after the request is carried out."""
    fault(kind, Times=1)

    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        imis.post("/api/Activity", json=activity())

    assert stored_activities(imis) == stored
    assert imis.get("/_sandbox/requests?method=POST").json()["Items"][-1]["Status"] is None
    assert imis.post("/api/Activity", json=activity()).status_code == 201


def statuses_of_posts(client: httpx.Client) -> list[int | None]:
    """The statuses of the activity requests so far; None for a request in progress."""
    items = client.get("/_sandbox/requests?Method=POST&Path=/api/Activity").json()["Items"]
    return [item["Status"] for item in items]


def wait_until_answered(client: httpx.Client) -> None:
    """Wait until no request is in progress; otherwise it would appear in the request log of the next test."""
    deadline = time.monotonic() + 15
    while None in statuses_of_posts(client):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_slow_response_follows_finished_work(imis: httpx.Client, fault: Any) -> None:
    """The request is carried out at once, and the response is delayed."""
    fault("slow", Seconds=3, Times=1)

    with pytest.raises(httpx.ReadTimeout):
        imis.post("/api/Activity", json=activity(), timeout=0.5)

    assert (stored_activities(imis), statuses_of_posts(imis)) == (1, [None])
    wait_until_answered(imis)


def test_slow_sends_the_response(imis: httpx.Client, fault: Any) -> None:
    """A client that waits gets the delayed response."""
    fault("slow", Seconds=0.1, Times=1)
    start = time.monotonic()

    assert imis.post("/api/Activity", json=activity()).status_code == 201
    assert time.monotonic() - start >= 0.1


def test_a_late_request_is_carried_out_after_the_client_left(imis: httpx.Client, fault: Any) -> None:
    """The request is carried out after the client has disconnected."""
    fault("late", Seconds=3, Times=1)

    with pytest.raises(httpx.ReadTimeout):
        imis.post("/api/Activity", json=activity(), timeout=0.5)

    assert stored_activities(imis) == 0
    wait_until_answered(imis)
    assert stored_activities(imis) == 1


def test_a_held_request_is_answered_when_its_fault_ends(imis: httpx.Client, fault: Any) -> None:
    """The request is carried out at once and answered when its fault, and not another one, is deleted."""
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


def test_default_delay_of_late(visitor: httpx.Client) -> None:
    """The default delay ends after the time-out of a client (2 seconds) and before its recheck 2 seconds later."""
    assert 2 < visitor.post("/_sandbox/faults", json={"Fault": "late"}).json()["Seconds"] < 4


def test_forget_tokens_revokes_them_once(imis: httpx.Client, fault: Any) -> None:
    """By default the fault revokes tokens once, at a request to the API, and a new token works."""
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
def test_a_fault_hits_requests_by_method_and_path(
    imis: httpx.Client, fault: Any, members: dict[str, Any], hit: str
) -> None:
    """A fault hits requests by method and path: a prefix, or a pattern with stars, in any letter case."""
    fault("503", **members)
    calls = [("POST", "/token"), ("GET", "/api/Party"), ("POST", "/api/Activity")]

    statuses = {f"{method} {path}": imis.request(method, path).status_code for method, path in calls}

    assert ", ".join(call for call, status in statuses.items() if status == 503) == hit


def test_a_share_hits_the_same_sequence_each_time(imis: httpx.Client, fault: Any) -> None:
    """A share hits about that part of the requests, in the same sequence at each posting."""
    runs = []
    for _ in range(2):
        imis.delete("/_sandbox/faults")
        fault("503", Path="/api", Share=0.5)
        runs.append([imis.get("/api/LegacyActivityType").status_code for _ in range(40)])

    assert runs[0] == runs[1]
    assert 10 <= runs[0].count(503) <= 30


def test_times_and_order(imis: httpx.Client, fault: Any) -> None:
    """Faults fire in the order of posting, each as often as its *Times*; they can be listed and deleted."""
    fault("503", Times=2)
    fault("429", Times=1)
    fault("500")
    statuses = [imis.get("/api/Party").status_code for _ in range(4)]
    listed = imis.get("/_sandbox/faults").json()["Items"]

    assert statuses == [503, 503, 429, 500]
    assert [item["Fired"] for item in listed] == [2, 1, 1]
    assert imis.delete("/_sandbox/faults").status_code == 204
    assert imis.get("/api/Party").status_code == 200


def test_faults_spare_control_addresses_and_page(visitor: httpx.Client, fault: Any) -> None:
    """Faults hit neither the control addresses nor the page."""
    fault("cut-before")

    assert visitor.get("/_sandbox/state").status_code == 200
    assert visitor.get("/").status_code == 200


def test_faults_below_a_base_path(imis: httpx.Client, fault: Any, switch: Any) -> None:
    """The path of a fault is relative to the base path."""
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
def test_an_invalid_fault_is_rejected_with_a_sentence(visitor: httpx.Client, sent: Any) -> None:
    """An invalid fault is rejected with a sentence."""
    response = visitor.post("/_sandbox/faults", json=sent)

    assert response.status_code == 400
    assert response.json()["Error"].endswith(".")
