"""Subscribers over HTTP, and their credentials."""

from __future__ import annotations

import asyncio
import logging
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from dirty_equals import IsList, IsPartialDict, IsStr
from factories import a_subscriber_body, a_subscription_body
from msgspec.structs import replace
from running import RunningHub, running_hub

from learning_hub.model.errors import CredentialsUnreadable
from learning_hub.sandbox import running_sandbox
from learning_hub.store import participants, subscribers
from learning_hub.store.database import Database
from learning_hub.store.vault import Vault

PASSWORD = "correct horse battery staple"


async def test_credentials_go_in_and_never_come_out(
    hub_without_worker: RunningHub, caplog: pytest.LogCaptureFixture
) -> None:
    """No answer, audit entry, log line or column holds a password, but the hub itself can read it."""
    caplog.set_level(logging.DEBUG)
    hub = hub_without_worker
    made = await hub.client.put("/subscribers/imis", json=a_subscriber_body())

    assert made.status_code == 201
    assert made.json() == {
        "SubscriberId": "imis",
        "Name": "Association iMIS",
        "Connector": "imis",
        "Settings": {"BaseUrl": "https://imis.example.org", "TimeZone": "America/New_York"},
        "HasCredentials": True,
        "CredentialFields": ["Username", "Password"],
        "CredentialsChangedUtc": IsStr,
        "CreatedUtc": IsStr,
        "ChangedUtc": IsStr,
        "ArchivedUtc": None,
        "Paused": None,
    }
    answers = [await hub.client.get(path) for path in ("/subscribers", "/subscribers/imis", "/audit")]
    subscriber = await subscribers.find(hub.database, "imis")
    assert subscriber
    told = made.text + "".join(answer.text for answer in answers) + caplog.text + str(subscriber)
    assert PASSWORD not in told
    assert "encrypted" not in made.text + "".join(answer.text for answer in answers)
    kept = await subscribers.credentials(hub.database, Vault.of(hub.settings), "imis")
    assert kept == {"Username": "hub", "Password": PASSWORD}


async def test_a_put_without_credentials_keeps_them(hub_without_worker: RunningHub) -> None:
    """Left out or null, credentials stay; sent, they are replaced as a whole."""
    hub = hub_without_worker
    vault = Vault.of(hub.settings)
    await hub.client.put("/subscribers/imis", json=a_subscriber_body())

    renamed = await hub.client.put("/subscribers/imis", json=a_subscriber_body(Name="New", Credentials=None))
    assert (renamed.status_code, renamed.json()["Name"], renamed.json()["HasCredentials"]) == (200, "New", True)
    with_null = a_subscriber_body(Name="Newer") | {"Credentials": None}
    assert (await hub.client.put("/subscribers/imis", json=with_null)).status_code == 200
    assert (await subscribers.credentials(hub.database, vault, "imis"))["Password"] == PASSWORD

    tokens = {"ClientId": "c", "ClientSecret": "s", "RefreshToken": "r"}
    changed = await hub.client.put("/subscribers/imis", json=a_subscriber_body(Credentials=tokens))
    assert changed.json()["CredentialFields"] == ["ClientId", "ClientSecret", "RefreshToken"]
    assert await subscribers.credentials(hub.database, vault, "imis") == tokens


async def test_a_put_that_changes_nothing_leaves_no_trace(hub_without_worker: RunningHub) -> None:
    """The same PUT without credentials again changes neither ChangedUtc nor the audit log."""
    hub = hub_without_worker
    made = await hub.client.put("/subscribers/imis", json=a_subscriber_body())
    again = await hub.client.put("/subscribers/imis", json=a_subscriber_body(Credentials=None))

    assert (again.status_code, again.json()) == (200, made.json())
    assert len((await hub.client.get("/audit", params={"ObjectType": "subscriber"})).json()["Items"]) == 1


async def test_every_bad_field_is_named(hub_without_worker: RunningHub) -> None:
    """Bad settings, bad credentials and unknown fields are reported together, and no message repeats a secret."""
    body = a_subscriber_body(
        Settings={"TimeZone": "Mars/Olympus", "MaxConcurrency": 0, "Colour": "red"},
        Credentials={"Username": "", "Password": 7, "Pin": "4711"},
        Colour="red",
    )

    answer = await hub_without_worker.client.put("/subscribers/a%20b", json=body)

    assert answer.status_code == 400
    assert {error["field"] for error in answer.json()["errors"]} == {
        "SubscriberId",
        "Colour",
        "Settings.BaseUrl",
        "Settings.TimeZone",
        "Settings.MaxConcurrency",
        "Settings.Colour",
        "Credentials.Username",
        "Credentials.Password",
        "Credentials.Pin",
    }
    assert "4711" not in answer.text


async def test_what_cannot_be_kept_hides_nothing(hub_without_worker: RunningHub) -> None:
    """A NUL in one setting, or one bad part of the lookup, leaves every other bad field named."""
    body = a_subscriber_body(
        Settings={
            "BaseUrl": "\0",
            "TimeZone": "Mars/Olympus",
            "ParticipantLookup": {"Query": "x", "Prompt": "", "Colour": "red"},
        },
        Credentials={"Username": "\0", "Password": 7},
    )

    answer = await hub_without_worker.client.put("/subscribers/imis", json=body)

    assert sorted(error["field"] for error in answer.json()["errors"]) == [
        "Credentials.Password",
        "Credentials.Username",
        "Settings.BaseUrl",
        "Settings.ParticipantLookup.Colour",
        "Settings.ParticipantLookup.Prompt",
        "Settings.ParticipantLookup.Query",
        "Settings.TimeZone",
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"Settings": []}, "Settings"),
        ({"Settings": "x"}, "Settings"),
        ({"Credentials": [1]}, "Credentials"),
        ({"Credentials": None}, "Credentials"),
        ({"Name": None}, "Name"),
        ({"Connector": None}, "Connector"),
        ({"Connector": 5}, "Connector"),
        ({"Connector": "fax"}, "Connector"),
        ({"Settings": {"BaseUrl": "https://x.example", "MaxConcurrency": 1.5}}, "Settings.MaxConcurrency"),
        ({"Settings": {"BaseUrl": "https://x.example", "MaxConcurrency": 10**30}}, "Settings.MaxConcurrency"),
        ({"Settings": {"BaseUrl": "https://x.example", "TimeZone": ""}}, "Settings.TimeZone"),
        ({"Settings": {"BaseUrl": "https://x.example", "TimeZone": "../../etc/passwd"}}, "Settings.TimeZone"),
        ({"Settings": {"BaseUrl": "https://x.example", "ParticipantLookup": "guess"}}, "Settings.ParticipantLookup"),
    ],
)
async def test_one_bad_field(hub_without_worker: RunningHub, changes: dict[str, object], field: str) -> None:
    """A field that is missing, of the wrong kind or with a wrong value is 400 with its name."""
    answer = await hub_without_worker.client.put("/subscribers/imis", json=a_subscriber_body(**changes))
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    "address",
    [
        "https://10.0.0.1",
        "https://192.168.1.1/imis",
        "https://[::1]",
        "https://[::ffff:10.0.0.1]",
        "https://[64:ff9b::a00:1]",
        "https://169.254.169.254",
        "https://0x0a000001",
        "http://imis.example.org",
    ],
)
async def test_a_forbidden_address_names_the_setting(hub_without_worker: RunningHub, address: str) -> None:
    """A private address in whatever spelling, or one without https, is 400 and says which setting would allow it."""
    answer = await hub_without_worker.client.put(
        "/subscribers/imis", json=a_subscriber_body(Settings={"BaseUrl": address})
    )
    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {"field": "Settings.BaseUrl", "message": IsStr(regex=r".*LEARNING_HUB_ALLOWED_PRIVATE_TARGETS.*")}
    ]


async def test_a_key_for_some_programs_sees_their_subscribers(hub_without_worker: RunningHub) -> None:
    """A limited key sees the subscribers that get events of its Programs; the others are not there for it."""
    hub = hub_without_worker
    await hub.make_program("NURSES")
    await hub.make_program("DOCTORS")
    for subscriber_id, program_id in (("a", "NURSES"), ("b", "DOCTORS")):
        await hub.client.put(f"/subscribers/{subscriber_id}", json=a_subscriber_body())
        body = a_subscription_body(SubscriberId=subscriber_id, ProgramId=program_id)
        assert (await hub.client.put(f"/subscriptions/{subscriber_id}", json=body)).status_code == 201
    staff = await hub.caller("staff", programs=["NURSES"])

    listed = (await staff.get("/subscribers")).json()["Items"]

    assert [one["SubscriberId"] for one in listed] == ["a"]
    assert (await staff.get("/subscribers/a")).status_code == 200
    assert [(await staff.get(f"/subscribers/{one}")).status_code for one in ("b", "none")] == [404, 404]
    assert (await staff.post("/subscribers/b/check")).status_code == 404
    for caller in (staff, await hub.caller("publish", "read", "process")):
        assert (await caller.put("/subscribers/a", json={})).status_code == 403
        assert (await caller.delete("/subscribers/a")).status_code == 403


async def test_an_archived_subscriber_takes_its_subscriptions_along(hub_without_worker: RunningHub) -> None:
    """Archiving archives the subscriptions as well and is in the audit log; a PUT brings the subscriber back."""
    hub = hub_without_worker
    await hub.make_program()
    await hub.client.put("/subscribers/imis", json=a_subscriber_body())
    await hub.client.put("/subscriptions/s", json=a_subscription_body())

    archived = [await hub.client.delete("/subscribers/imis") for _ in range(2)]

    assert [answer.status_code for answer in archived] == [204, 204]
    assert (await hub.client.get("/subscribers/imis")).json()["ArchivedUtc"] is not None
    assert (await hub.client.get("/subscriptions/s")).json()["ArchivedUtc"] is not None
    refused = await hub.client.put("/subscriptions/t", json=a_subscription_body())
    assert [error["field"] for error in refused.json()["errors"]] == ["SubscriberId"]
    log = (await hub.client.get("/audit", params={"Limit": 2})).json()["Items"]
    assert {(entry["Action"], entry["ObjectId"]) for entry in log} == {("archive", "imis"), ("archive", "s")}
    back = await hub.client.put("/subscribers/imis", json=a_subscriber_body(Credentials=None))
    assert (back.status_code, back.json()["ArchivedUtc"]) == (200, None)


async def test_there_is_no_such_subscriber(hub_without_worker: RunningHub) -> None:
    """What is not there is 404; an id that cannot be one is 400."""
    client = hub_without_worker.client
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/check")):
        assert (await client.request(method, f"/subscribers/none{path}")).status_code == 404
        assert (await client.request(method, f"/subscribers/a%00{path}")).status_code == 400


async def test_a_check_says_in_words_what_is_wrong(hub_without_worker: RunningHub) -> None:
    """A subscriber that cannot be reached is an answer of the check, not an error."""
    hub = hub_without_worker
    body = a_subscriber_body(Settings={"BaseUrl": "http://127.0.0.1:1"})
    assert (await hub.client.put("/subscribers/imis", json=body)).status_code == 201

    checked = await hub.client.post("/subscribers/imis/check")

    assert (checked.status_code, checked.json()) == (
        200,
        {"Works": False, "Findings": IsList(length=1), "Details": IsList(length=1)},
    )
    assert PASSWORD not in checked.text


async def test_an_archived_subscriber_is_not_checked(hub_without_worker: RunningHub) -> None:
    """It gets nothing, so the check must not say that it works: 404, as of archived subscriptions, which says so."""
    client = hub_without_worker.client
    with running_sandbox() as imis:
        right = {"Username": imis.username, "Password": imis.password}
        body = a_subscriber_body(Settings={"BaseUrl": imis.address}, Credentials=right)
        await client.put("/subscribers/imis", json=body)
        assert (await client.delete("/subscribers/imis")).status_code == 204
        checked = await client.post("/subscribers/imis/check")
        assert (checked.status_code, checked.json()["code"]) == (404, "not_found")
        assert "is archived" in checked.json()["detail"]
        await client.put("/subscribers/imis", json=body)
        assert (await client.post("/subscribers/imis/check")).json()["Works"] is True


async def test_a_check_signs_in(hub_without_worker: RunningHub) -> None:
    """With an iMIS that is there the check works, and with a wrong password it says that it does not."""
    client = hub_without_worker.client
    with running_sandbox() as imis:
        right = {"Username": imis.username, "Password": imis.password}
        body = a_subscriber_body(Settings={"BaseUrl": imis.address}, Credentials=right)
        await client.put("/subscribers/imis", json=body)
        works = await client.post("/subscribers/imis/check")
        await client.put("/subscribers/imis", json=body | {"Credentials": right | {"Password": "wrong-pass"}})
        refused = await client.post("/subscribers/imis/check")

    assert works.json() == {"Works": True, "Findings": IsList(length=(1, ...)), "Details": IsList(length=(1, ...))}
    assert refused.json() == {"Works": False, "Findings": IsList(length=1), "Details": IsList(length=1)}
    assert "wrong-pass" not in refused.text


async def test_a_hub_that_can_keep_no_key_says_so(hub_without_worker: RunningHub, tmp_path: Path) -> None:
    """Without LEARNING_HUB_SECRET_KEYS and a home to write to, saving credentials is 503 and names the setting."""
    (tmp_path / "file").touch()
    settings = replace(hub_without_worker.settings, secret_keys=(), home=tmp_path / "file")
    async with running_hub(settings, hub_without_worker.database, with_worker=False) as hub:
        answer = await hub.client.put("/subscribers/imis", json=a_subscriber_body())

    assert (answer.status_code, answer.json()["code"]) == (503, "secret_keys_missing")
    assert "LEARNING_HUB_SECRET_KEYS" in answer.json()["detail"]


async def test_new_settings_forget_who_was_looked_up(hub_without_worker: RunningHub) -> None:
    """What look-ups found belongs to the settings they were made with; what was settled by hand stays."""
    hub = hub_without_worker
    await hub.client.put("/subscribers/imis", json=a_subscriber_body())
    who = {"subscriber_id": "imis", "program_id": "NURSES", "publisher_system_id": "LB"}
    async with hub.database.transaction() as connection:
        for name in ("robin", "kim"):
            await participants.save_look_up(
                connection, **who, publisher_participant_id=name, subscriber_participant_id="1", seconds=60
            )
        await participants.save_match(
            connection, **who, publisher_participant_id="kim", subscriber_participant_id="2", settled_by="me"
        )

    await hub.client.put("/subscribers/imis", json=a_subscriber_body(Settings={"BaseUrl": "https://x.example"}))

    assert await participants.find(hub.database, **who, publisher_participant_id="robin") is None
    kept = await participants.find(hub.database, **who, publisher_participant_id="kim")
    assert kept
    assert kept.subscriber_participant_id == "2"


async def test_a_lost_key_is_told_in_words(hub_without_worker: RunningHub) -> None:
    """With other secret keys the subscriber still reads, the check says what is wrong, and new credentials fix it."""
    hub = hub_without_worker
    await hub.client.put("/subscribers/imis", json=a_subscriber_body())
    settings = replace(hub.settings, secret_keys=(Fernet.generate_key().decode(),))
    async with running_hub(settings, hub.database, with_worker=False) as other:
        read = await other.client.get("/subscribers/imis")
        checked = await other.client.post("/subscribers/imis/check")
        mended = await other.client.put("/subscribers/imis", json=a_subscriber_body())

    assert read.json() == IsPartialDict(HasCredentials=True, CredentialFields=[])
    assert checked.json()["Works"] is False
    assert checked.json()["Findings"] == [IsStr(regex=r".*LEARNING_HUB_SECRET_KEYS.*")]
    assert mended.json() == IsPartialDict(CredentialFields=["Username", "Password"])


async def test_a_renewed_refresh_token_is_kept_unless_an_administrator_was_faster(database: Database) -> None:
    """What a subscriber renews is kept without counting as a change; credentials saved meanwhile win."""
    vault = Vault([Fernet.generate_key().decode()], Path("unused"))

    async def put() -> None:
        async with database.transaction() as connection:
            await subscribers.put(
                connection,
                "imis",
                name="x",
                connector="imis",
                settings={},
                encrypted_credentials=vault.encrypt({"RefreshToken": "admin's"}),
                max_concurrency=1,
            )

    await put()
    there = await subscribers.find(database, "imis")
    async with subscribers.credentials_lock(database, vault, "imis") as turn:
        assert await turn.read() == {"RefreshToken": "admin's"}
        await turn.keep({"RefreshToken": "new"})
        assert await subscribers.credentials(database, vault, "imis") == {"RefreshToken": "new"}
    unchanged = await subscribers.find(database, "imis")
    assert there
    assert unchanged
    assert unchanged.changed_utc == there.changed_utc
    async with subscribers.credentials_lock(database, vault, "imis") as turn:
        await turn.read()
        await put()
        await turn.keep({"RefreshToken": "late"})
    assert await subscribers.credentials(database, vault, "imis") == {"RefreshToken": "admin's"}


async def test_credentials_are_renewed_by_one_at_a_time(database: Database) -> None:
    """Turns of one subscriber follow each other, those of another do not wait, and a failed one ends as well."""
    vault = Vault([Fernet.generate_key().decode()], Path("unused"))
    inside: list[str] = []

    async def take(subscriber_id: str) -> None:
        async with subscribers.credentials_lock(database, vault, subscriber_id):
            assert subscriber_id not in inside
            inside.append(subscriber_id)
            await asyncio.sleep(0.05)
            inside.remove(subscriber_id)
            raise LookupError

    ended = await asyncio.gather(*(take(name) for name in ("one", "one", "one", "two")), return_exceptions=True)
    assert [type(error) for error in ended] == [LookupError] * 4


def test_without_secret_keys_a_key_file_is_made_once(tmp_path: Path) -> None:
    """Two vaults over one home share a key file that only its owner can read."""
    file = tmp_path / "home" / "secret.key"
    one, other = Vault([], file), Vault([], file)

    assert other.decrypt(one.encrypt({"Password": "x"})) == {"Password": "x"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["secret.key"]


def test_keys_can_be_changed_one_by_one() -> None:
    """What an old key encrypted is read as long as that key is listed, and new keys come first."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    encrypted = Vault([old], Path("unused")).encrypt({"Password": "x"})

    assert Vault([new, old], Path("unused")).decrypt(encrypted) == {"Password": "x"}
    with pytest.raises(CredentialsUnreadable, match="LEARNING_HUB_SECRET_KEYS"):
        Vault([new], Path("unused")).decrypt(encrypted)
