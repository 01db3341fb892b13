"""A participant is the same in every spelling of the id: in the feed, in matches and in what was looked up."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import quote

import pytest
from factories import an_event_body
from feed_visibility import reads_all
from imis_hub import ImisHub
from running import RunningHub

from learning_hub.model.participant_id import participant_key
from learning_hub.store import deliveries, participants
from learning_hub.store.database import Database

ADDRESS = "robin.vale@example.org"
SPELLINGS = (
    ADDRESS,
    "Robin.Vale@Example.ORG",
    f"mailto:{ADDRESS}",
    f"MAILTO: {ADDRESS}",
    f"\ufeff{ADDRESS}\u200b",
    "robin.vale\u2060@example.org",
    f"\u00a0{ADDRESS} ",
)
# Ids of which nothing is left without what does not count.
EMPTY = ("mailto:", "\u200b", " ", "\ufeff mailto:")
# With look-alikes that another rule would take for one another: dotless i, long s, sharp s, final sigma, kelvin.
PARTS = (
    *("mailto:", "MailTo:", "ma\u0131lto:", " ", "\t", "\n", "\x1c", "\x85", "\u00a0", "\u200b", "\ufeff"),
    *("&#39;", "&#X0027;", "&amp;", "&AMP;", "&amp;#39;", "&#38;lt;", "&quot", "&apo\u017f;", "&", "'", "\\", "%27"),
    *(
        "robin",
        "ROBIN",
        "É",
        "é",
        "ß",
        "ẞ",
        "İ",
        "\u0131",
        "I",
        "\u212a",
        "Σ",
        "ς",
        "Ж",
        "\uff21",
        "😀",
        "@example.org",
    ),
)


def where(participant: str, **query: str) -> str:
    parameters = "&".join(f"{name}={value}" for name, value in {"ProgramId": "NURSES", **query}.items())
    return f"/subscribers/imis/participants/{quote(participant, safe='')}?{parameters}"


@pytest.mark.quick
async def test_the_database_and_the_model_have_the_same_keys(database: Database) -> None:
    """participant_key of the database gives what the model gives, for every character of the alphabets in use."""
    chance = random.Random(1)
    characters = [
        chr(number) for number in (*range(1, 0xD800), *range(0xE000, 0x10000, 7), *range(0x10000, 0x110000, 997))
    ]
    ids = [
        *("".join(characters[start : start + 100]) for start in range(0, len(characters), 100)),
        *(f"{one}x{one}" for one in characters if not one.isprintable() or one.isspace()),
        *(f"mailto:{one}x" for one in characters if one.isspace()),
        *("".join(chance.choices(PARTS, k=chance.randint(1, 6))) for _ in range(2000)),
        *SPELLINGS,
        *EMPTY,
    ]

    rows = await database.fetch("SELECT id, participant_key(id) AS key FROM unnest($1::text[]) AS id", ids)

    assert {row["id"]: row["key"] for row in rows} == {one: participant_key(one) for one in ids}


@pytest.mark.quick
@pytest.mark.parametrize("collation", ["C", "POSIX", "default"])
async def test_a_key_does_not_depend_on_the_locale(database: Database, collation: str) -> None:
    """A key is the same whatever the collation, and letters beyond ASCII are compared without regard to case."""
    found = await database.fetchval(f'SELECT participant_key($1::text COLLATE "{collation}")', "ÉLODIE.ŻAK@EXAMPLE.ORG")

    assert found == "élodie.żak@example.org"


async def test_the_feed_of_a_participant_has_every_spelling(hub_without_worker: RunningHub, database: Database) -> None:
    """The filter PublisherParticipantId finds the events of a person in every spelling of the id, page by page."""
    client = reads_all(hub_without_worker.client, database)
    await hub_without_worker.make_program("NURSES")
    ids = (*SPELLINGS, "kim.lund@example.org", *EMPTY)
    batch = [an_event_body(PublisherEventId=one, PublisherParticipantId=one) for one in ids]
    answer = await client.post("/events/batch", json=batch)
    assert {result["Status"] for result in answer.json()["Results"]} == {201}

    async def follow(**query: Any) -> list[str]:
        stored: list[str] = []
        while True:
            answer = await client.get("/events", params={"ProgramId": "NURSES", "Limit": 3, **query})
            assert answer.status_code == 200, answer.text
            if not answer.json()["Items"]:
                return stored
            stored += [entry["PublisherParticipantId"] for entry in answer.json()["Items"]]
            query["Cursor"] = answer.json()["NextCursor"]

    for spelling in SPELLINGS:
        assert await follow(PublisherParticipantId=spelling) == list(SPELLINGS)
        # Other filters read along other indexes.
        assert await follow(PublisherParticipantId=spelling, PublisherEventId=SPELLINGS[1]) == [SPELLINGS[1]]
    assert await follow(PublisherParticipantId="KIM.LUND@example.org", Category="Online") == ["kim.lund@example.org"]
    for nothing in EMPTY:
        assert await follow(PublisherParticipantId=nothing) == [nothing]


async def test_a_match_serves_every_spelling(imis_hub: ImisHub) -> None:
    """A match requeues the person's parked deliveries in every spelling, and serves later events without a look-up."""
    await imis_hub.set_up()
    spellings = ("Nobody@Example.org", "mailto:nobody@example.org", "nobody\u200b@example.org")
    parked = [await imis_hub.publish(PublisherEventId=one, PublisherParticipantId=one) for one in spellings]
    for location in parked:
        assert (await imis_hub.settled(location, "parked"))["Class"] == "identity"

    answer = await imis_hub.client.put(where(spellings[1]), json={"SubscriberParticipantId": "10042"})

    assert answer.json()["Requeued"] == len(spellings)
    for location in parked:
        await imis_hub.delivered(location)
    requests = len(await imis_hub.requests("/api/PartySummary"))
    for one in ("NOBODY@example.org", "\ufeffnobody@example.org"):
        await imis_hub.delivered(await imis_hub.publish(PublisherEventId=one, PublisherParticipantId=one))
    assert len(await imis_hub.requests("/api/PartySummary")) == requests
    assert {str(one["PartyId"]) for one in await imis_hub.activities()} == {"10042"}


async def test_a_look_up_is_remembered_for_every_spelling(imis_hub: ImisHub) -> None:
    """A person who was looked up by one spelling of the id is not looked up by another."""
    await imis_hub.set_up()
    for one in SPELLINGS[:4]:
        await imis_hub.delivered(await imis_hub.publish(PublisherEventId=one, PublisherParticipantId=one))

    assert len(await imis_hub.requests("/api/PartySummary")) == 1


async def test_the_address_of_a_match_takes_every_spelling(imis_hub: ImisHub) -> None:
    """A match is read, obeys If-Match, is replaced and is deleted in another spelling than it was made in."""
    client = imis_hub.client
    await imis_hub.set_up()
    made = await client.put(where(SPELLINGS[0]), json={"SubscriberParticipantId": "1"})
    for spelling in SPELLINGS:
        shown = await client.get(where(spelling))
        assert (shown.json()["PublisherParticipantId"], shown.headers["ETag"]) == (SPELLINGS[0], made.headers["ETag"])
    refused = await client.put(
        where(SPELLINGS[1]), json={"SubscriberParticipantId": "2"}, headers={"If-None-Match": "*"}
    )
    assert refused.status_code == 412
    for spelling in SPELLINGS:
        tag = (await client.get(where(ADDRESS))).headers["ETag"]
        replaced = await client.put(where(spelling), json={"SubscriberParticipantId": "2"}, headers={"If-Match": tag})
        assert replaced.json()["PublisherParticipantId"] == spelling
        listed = (await client.get("/subscribers/imis/participants?ProgramId=NURSES")).json()
        assert [one["PublisherParticipantId"] for one in listed["Items"]] == [spelling]
    log = (await client.get("/audit?ObjectType=participant")).json()["Items"]
    assert [(one["Before"] or {}).get("SubscriberParticipantId") for one in log] == [*["2"] * 6, "1", None]

    assert [(await client.delete(where(SPELLINGS[2]))).status_code for _ in range(2)] == [204, 204]
    assert (await client.get(where(SPELLINGS[-1]))).status_code == 404


async def test_a_match_of_an_empty_id_is_nobody_elses(imis_hub: ImisHub) -> None:
    """An id of which nothing is left without `mailto:` and marks is compared as it was sent."""
    await imis_hub.set_up()
    assert (await imis_hub.client.put(where("mailto:"), json={"SubscriberParticipantId": "1"})).status_code == 200
    for other in (*EMPTY[1:], ADDRESS):
        assert (await imis_hub.client.get(where(other))).status_code == 404


ROWS = """
INSERT INTO subscriber (subscriber_id, name, connector, settings) VALUES ('imis', 'iMIS', 'imis', '{}');
INSERT INTO participant (subscriber_id, program_id, publisher_system_id, publisher_participant_id,
                         subscriber_participant_id, settled_by, changed_utc, expires_utc)
SELECT 'imis', 'NURSES', system, id, contact, settled_by, now() - make_interval(hours => hours),
       CASE WHEN settled_by IS NULL THEN now() + interval '1 hour' END
  FROM (VALUES ('', 'mailto:' || $1, 'older match', 'admin', 3), ('', upper($1), 'later match', 'admin', 2),
               ('TopClass', $1, 'look-up', NULL, 1), ('LB', upper($1), 'older look-up', NULL, 2),
               ('LB', $1, 'later look-up', NULL, 1)) AS row (system, id, contact, settled_by, hours)
"""


@pytest.mark.quick
async def test_rows_of_several_spellings(database: Database) -> None:
    """Where rows of several spellings are stored, a match counts before a look-up, and the latest before the others."""
    insert, rows = ROWS.split(";", 1)
    await database.execute(insert)
    await database.execute(rows, ADDRESS)

    async def found(system: str, spelling: str) -> str:
        one = await participants.find(
            database,
            subscriber_id="imis",
            program_id="NURSES",
            publisher_system_id=system,
            publisher_participant_id=spelling,
        )
        assert one
        return one.subscriber_participant_id

    for spelling in SPELLINGS:
        assert await found("TopClass", spelling) == "later match"
    await database.execute("DELETE FROM participant WHERE settled_by IS NOT NULL")
    for spelling in SPELLINGS:
        assert await found("LB", spelling) == "later look-up"


@pytest.mark.quick
async def test_matches_are_found_by_an_index(database: Database) -> None:
    """The rows and the deliveries of a participant are found by its key, not by reading those of the others."""
    of_participant = deliveries.queries.of_participant, ("NURSES", ADDRESS, None, "imis"), "event_participant_key"
    find = participants.queries.find, ("imis", "NURSES", "TopClass", ADDRESS), "participant_by_key"
    for query, values, index in (of_participant, find):
        for mode in ("force_custom_plan", "force_generic_plan"):
            async with database.transaction() as connection:
                await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
                await connection.execute("SET LOCAL enable_seqscan = off")
                plan = await connection.fetch(f"EXPLAIN {query}", *values)
            conditions = [row[0] for row in plan]
            assert any(index in line for line in conditions), plan
            assert any("Index Cond" in line and "participant_folded" in line for line in conditions), plan
