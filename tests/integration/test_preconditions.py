"""Nobody overwrites what somebody else has changed meanwhile: ETag, If-Match, If-None-Match."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from factories import a_subscriber_body, a_subscription_body, an_event_body
from running import RunningHub

MATCH = "/subscribers/imis/participants/robin.vale@example.org?ProgramId=NURSES"
# Each thing that can be put: its address, and two bodies for it.
THINGS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "program": ("/programs/NURSES", {"Name": "One"}, {"Name": "Two"}),
    "subscriber": ("/subscribers/imis", a_subscriber_body(Name="One"), a_subscriber_body(Name="Two")),
    "subscription": ("/subscriptions/s", a_subscription_body(Name="One"), a_subscription_body(Name="Two")),
    "participant": (MATCH, {"SubscriberParticipantId": "1"}, {"SubscriberParticipantId": "2"}),
}

# Where each of them does not exist yet.
NEW = {"program": "/programs/LAWYERS", "subscriber": "/subscribers/other", "subscription": "/subscriptions/t"}


@pytest.fixture
async def client(hub_without_worker: RunningHub) -> httpx.AsyncClient:
    """A client of a hub with the Program NURSES and the subscriber imis."""
    await hub_without_worker.make_program()
    made = await hub_without_worker.client.put("/subscribers/imis", json=a_subscriber_body())
    assert made.status_code == 201
    return hub_without_worker.client


def is_failed(answer: httpx.Response) -> bool:
    return answer.status_code == 412 and answer.json()["code"] == "precondition_failed"


@pytest.mark.parametrize("thing", THINGS)
async def test_a_put_with_a_tag_that_is_no_longer_true_changes_nothing(client: httpx.AsyncClient, thing: str) -> None:
    """GET and PUT answer with the ETag; a PUT with that tag is obeyed once, and 412 after the next change."""
    address, one, two = THINGS[thing]
    first = (await client.put(address, json=one)).headers["ETag"]
    assert (await client.get(address)).headers["ETag"] == first

    changed = await client.put(address, json=two, headers={"If-Match": f'"other", {first}'})
    late = await client.put(address, json=one, headers={"If-Match": first})

    assert changed.status_code == 200
    assert is_failed(late)
    now = await client.get(address)
    assert now.headers["ETag"] == changed.headers["ETag"] != first
    assert (await client.put(address, json=two, headers={"If-Match": "*"})).status_code == 200


@pytest.mark.parametrize("thing", THINGS)
async def test_a_put_that_must_make_overwrites_nothing(client: httpx.AsyncClient, thing: str) -> None:
    """With If-None-Match: * a PUT makes what does not exist, and is 412 where it exists; If-Match is the other way."""
    address, one, two = THINGS[thing]
    new = NEW.get(thing, address)

    assert is_failed(await client.put(new, json=one, headers={"If-Match": "*"}))
    made = await client.put(new, json=one, headers={"If-None-Match": "*"})
    assert made.status_code in (200, 201), made.text
    assert is_failed(await client.put(new, json=two, headers={"If-None-Match": "*"}))
    assert (await client.get(new)).headers["ETag"] == made.headers["ETag"]


@pytest.mark.parametrize("thing", THINGS)
async def test_a_delete_with_a_tag_that_is_no_longer_true_removes_nothing(
    client: httpx.AsyncClient, thing: str
) -> None:
    """DELETE obeys If-Match as well."""
    address, one, two = THINGS[thing]
    first = (await client.put(address, json=one)).headers["ETag"]
    second = (await client.put(address, json=two)).headers["ETag"]

    assert is_failed(await client.delete(address, headers={"If-Match": first}))
    assert (await client.get(address)).json().get("ArchivedUtc") is None
    assert (await client.delete(address, headers={"If-Match": second})).status_code == 204


@pytest.mark.parametrize("thing", THINGS)
async def test_of_many_puts_with_one_tag_one_is_obeyed(client: httpx.AsyncClient, thing: str) -> None:
    """Of many PUTs at once that have seen the same, exactly one changes it."""
    address, one, _ = THINGS[thing]
    tag = (await client.put(address, json=one)).headers["ETag"]
    field = "SubscriberParticipantId" if thing == "participant" else "Name"

    answers = await asyncio.gather(
        *(client.put(address, json=one | {field: f"{number}"}, headers={"If-Match": tag}) for number in range(20, 28))
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    (obeyed,) = (answer.json()[field] for answer in answers if answer.status_code == 200)
    assert (await client.get(address)).json()[field] == obeyed


async def test_a_weak_tag_never_matches(client: httpx.AsyncClient) -> None:
    """If-Match compares strongly, as RFC 9110 says; If-None-Match of a GET takes the weak form of a tag."""
    tag = (await client.get("/programs/NURSES")).headers["ETag"]

    assert is_failed(await client.put("/programs/NURSES", json={"Name": "N"}, headers={"If-Match": f"W/{tag}"}))
    assert (await client.get("/programs/NURSES", headers={"If-None-Match": f"W/{tag}"})).status_code == 304


@pytest.mark.parametrize("sent", ["5f3a", '"a" "b"', "", '"a", b', "W/5f3a"])
async def test_a_condition_that_cannot_be_read_is_refused(client: httpx.AsyncClient, sent: str) -> None:
    """A condition without quotes would never hold, and is 400 instead: the caller did not mean that."""
    for name in ("If-Match", "If-None-Match"):
        answer = await client.put("/programs/NURSES", json={"Name": "N"}, headers={name: sent})
        assert answer.status_code == 400, (name, sent)
        assert [error["field"] for error in answer.json()["errors"]] == [name]


async def test_what_is_wrong_is_told_before_a_condition_is_looked_at(client: httpx.AsyncClient) -> None:
    """A bad body is 400 and a thing that does not exist 404, whatever If-Match says."""
    stale = {"If-Match": '"stale"'}
    assert (await client.put("/programs/NURSES", json={}, headers=stale)).status_code == 400
    assert (await client.delete("/subscriptions/none", headers=stale)).status_code == 404


async def test_the_tag_stands_for_what_was_set_up(hub_without_worker: RunningHub, client: httpx.AsyncClient) -> None:
    """A pause of a subscriber and the use of a key change what a GET shows, and not the tag; they are never hidden."""
    made = (await client.post("/keys", json={"Name": "A", "Programs": ["NURSES"], "Scopes": ["read"]})).json()
    key = await client.get(f"/keys/{made['KeyId']}")
    subscriber = await client.get("/subscribers/imis")
    await hub_without_worker.database.execute("UPDATE api_key SET last_used_utc = now()")
    await hub_without_worker.database.execute(
        "INSERT INTO subscriber_pause (subscriber_id, code, class, message, probe_seconds) "
        "VALUES ('imis', 'timed_out', 'unavailable', 'Slow.', 5)"
    )

    for before, address in ((key, f"/keys/{made['KeyId']}"), (subscriber, "/subscribers/imis")):
        after = await client.get(address, headers={"If-None-Match": before.headers["ETag"]})
        assert (after.status_code, after.headers["ETag"]) == (200, before.headers["ETag"])
        assert after.json() != before.json()


async def test_other_credentials_are_another_tag(client: httpx.AsyncClient) -> None:
    """New credentials change the tag of a subscriber although they are not shown; the same ones again do not."""
    first = (await client.get("/subscribers/imis")).headers["ETag"]
    same = await client.put("/subscribers/imis", json=a_subscriber_body())
    other = a_subscriber_body(Credentials={"Username": "hub", "Password": "another"})
    changed = await client.put("/subscribers/imis", json=other)

    assert same.headers["ETag"] == first != changed.headers["ETag"]


class TestEvents:
    """The tag of an event is that of the latest revision, by whichever of them it is called."""

    async def test_a_revision_guards_against_one_that_came_meanwhile(self, client: httpx.AsyncClient) -> None:
        """PUT with the tag of the latest revision is obeyed, by any id of the source; with an earlier tag it is 412."""
        first = await publish(client)
        tag = (await client.get(first)).headers["ETag"]
        second = await client.put(first, json=an_event_body(EventEndUtc=None), headers={"If-Match": tag})
        assert second.status_code == 200
        assert second.headers["Location"] != first

        for address in (first, second.headers["Location"]):
            assert (await client.get(address)).headers["ETag"] == second.headers["ETag"] != tag
            late = await client.put(
                address, json=an_event_body(PublisherParticipantId="late"), headers={"If-Match": tag}
            )
            assert is_failed(late)
        third = await client.put(
            first, json=an_event_body(PublisherParticipantId="third"), headers={"If-Match": second.headers["ETag"]}
        )
        assert third.status_code == 200
        assert is_failed(await client.put(first, json=an_event_body(), headers={"If-None-Match": "*"}))

    async def test_only_what_was_seen_is_withdrawn(self, client: httpx.AsyncClient) -> None:
        """DELETE with If-Match withdraws the revision that was seen; repeated after it was done, it is 204 again."""
        first = await publish(client)
        seen = (await client.get(first)).headers["ETag"]
        await publish(client, EventEndUtc=None)
        assert is_failed(await client.delete(first, headers={"If-Match": seen}))
        assert "WithdrawnUtc" not in (await client.get(first)).json()

        latest = (await client.get(first)).headers["ETag"]
        for _ in range(2):
            assert (await client.delete(first, headers={"If-Match": latest})).status_code == 204
        withdrawn = (await client.get(first)).headers["ETag"]
        assert withdrawn != latest
        revived = await client.put(first, json=an_event_body(), headers={"If-Match": withdrawn})
        assert revived.status_code == 200
        assert is_failed(await client.delete(first, headers={"If-Match": latest}))

    async def test_of_many_revisions_with_one_tag_one_is_stored(self, client: httpx.AsyncClient) -> None:
        """Of many PUTs at once that have seen the same revision, exactly one is stored."""
        first = await publish(client)
        tag = (await client.get(first)).headers["ETag"]

        answers = await asyncio.gather(
            *(
                client.put(first, json=an_event_body(PublisherParticipantId=f"{number}"), headers={"If-Match": tag})
                for number in range(16)
            )
        )

        assert sorted(answer.status_code for answer in answers) == [200] + [412] * 15
        assert len((await client.get("/events", params={"ProgramId": "NURSES"})).json()["Items"]) == 2

    async def test_an_event_is_unchanged_while_its_source_is(self, client: httpx.AsyncClient) -> None:
        """GET with the tag is 304 until a revision or a withdrawal comes."""
        first = await publish(client)
        tag = (await client.get(first)).headers["ETag"]
        assert (await client.get(first, headers={"If-None-Match": tag})).status_code == 304
        await publish(client, EventEndUtc=None)
        assert (await client.get(first, headers={"If-None-Match": tag})).status_code == 200


async def publish(client: httpx.AsyncClient, **changes: Any) -> str:
    answer = await client.post("/events", json=an_event_body(**changes))
    assert answer.status_code == 201, answer.text
    return str(answer.headers["Location"])
