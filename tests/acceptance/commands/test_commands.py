"""Everything by commands: setting up, publishing, delivering and looking after it, mostly without a server."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from factories import an_event_body
from programs import command, quick_command, served, started
from running import ADMIN_KEY

from learning_hub.sandbox import RunningSandbox, seeds


def test_programs_and_keys(settings: dict[str, str]) -> None:
    """Programs and keys are made and ended by commands, with the API's own answers, and the audit log has it all."""

    def ask(*arguments: str) -> Any:
        return json.loads(_succeed(*arguments, "--json", settings=settings))

    assert ask("program", "put", "NURSES", "--name", "All nurses")["ProgramId"] == "NURSES"
    key = ask("key", "create", "--name", "TopClass", "--program", "NURSES", "--scope", "publish", "--scope", "read")
    assert key["Key"].startswith("lh_")
    changed = ask("key", "update", key["KeyId"], "--name", "TopClass LMS", "--expires", "2099-01-01T00:00:00Z")
    assert (changed["Name"], changed["ExpiresUtc"]) == ("TopClass LMS", "2099-01-01T00:00:00Z")
    assert ask("key", "update", key["KeyId"], "--expires", "never")["ExpiresUtc"] is None
    assert "is revoked" in _succeed("key", "revoke", key["KeyId"], settings=settings)
    assert "Key" not in ask("key", "show", key["KeyId"])
    assert ask("program", "archive", "NURSES")["ArchivedUtc"]
    changes = [(entry["KeyId"], entry["Action"], entry["ObjectId"]) for entry in ask("audit", "list")["Items"]]
    assert changes == [
        ("cli", "archive", "NURSES"),
        ("cli", "revoke", key["KeyId"]),
        ("cli", "update", key["KeyId"]),
        ("cli", "update", key["KeyId"]),
        ("cli", "create", key["KeyId"]),
        ("cli", "create", "NURSES"),
    ]


def test_the_key_is_printed_once_and_clearly(settings: dict[str, str]) -> None:
    """For a person it stands on a line of its own, at the end."""
    printed = _succeed("key", "create", "--name", "First", "--program", "*", "--scope", "admin", settings=settings)
    assert printed.splitlines()[-1].startswith("lh_")
    assert printed.count("lh_") == 1


def test_what_is_refused_is_told_field_by_field(settings: dict[str, str]) -> None:
    """A problem of the API is its sentence and each bad field on stderr, with exit status 1."""
    refused = quick_command("program", "put", "bad id", "--name", "", settings=settings)
    assert (refused.exit_code, refused.stdout) == (1, "")
    sentence, *fields = refused.stderr.splitlines()
    assert sentence == "Not accepted: ProgramId, Name."
    assert [field.partition(":")[0] for field in fields] == ["  ProgramId", "  Name"]


def test_a_database_that_is_away_is_told(settings: dict[str, str]) -> None:
    """One sentence, exit status 1, and no password."""
    away = settings | {"DATABASE_URL": "postgresql://hub:letmein@127.0.0.1:1/hub"}
    refused = command("program", "list", settings=away)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert refused.stderr.startswith("The database cannot be used: ")
    assert "letmein" not in refused.stderr


def test_from_a_file_of_events_to_imis(settings: dict[str, str], imis: RunningSandbox, tmp_path: Path) -> None:
    """Subscriber, subscription, publishing, a run and the doctor: events of a file arrive at iMIS."""
    subscriber = {
        "Name": "Association iMIS",
        "Connector": "imis",
        "Settings": {"BaseUrl": imis.address, "TimeZone": "America/New_York", "ParticipantLookup": "email"},
        "Credentials": {"Username": imis.username, "Password": imis.password},
    }
    email = seeds.CONTACTS[0].email
    events = [
        an_event_body(PublisherEventId="AI:1", PublisherParticipantId=email),
        an_event_body(PublisherEventId="AI:2", PublisherParticipantId="nobody@example.org"),
    ]
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    _succeed("program", "put", "NURSES", "--name", "Nurses", settings=settings)
    _succeed("subscriber", "put", "imis", "--file", "-", settings=settings, stdin=json.dumps(subscriber))
    _succeed(
        *("subscription", "put", "completions", "--preset", "topclass-imis-activity", "--subscriber", "imis"),
        *("--program", "NURSES", "--start-from", "beginning"),
        settings=settings,
    )
    assert "stopped" in _succeed("subscription", "stop", "completions", settings=settings)
    stopped = _succeed("subscription", "stop", "completions", "--json", settings=settings)
    assert json.loads(stopped)["State"] == "stopped"
    with served("--no-worker", settings=settings | {"ADMIN_KEY": ADMIN_KEY}, log=tmp_path / "log") as hub:
        published = command("publish", str(file), "--url", hub.address, settings=settings, more={"HUB_KEY": ADMIN_KEY})
        assert published.stdout == "2 new, 0 the hub had already, 0 refused.\n", published.stderr
    run = json.loads(command("run", "start", "--subscription", "completions", "--json", settings=settings).stdout)
    counts = run.get("Counts", run)
    assert (counts["Matched"], counts["Delivered"], counts["Parked"]) == (2, 1, 1)
    log = _succeed("run", "log", run["RunId"], "--json", settings=settings)
    messages = [json.loads(line)["Message"].partition(":")[0] for line in log.splitlines()]
    assert messages in (
        ["Begun", "Gathered", "Sent", "Parked", "Finished"],
        ["Begun", "Gathered", "Parked", "Sent", "Finished"],
    )
    assert _succeed("run", "log", run["RunId"], "--follow", "--json", settings=settings) == log
    shown = _succeed("run", "log", run["RunId"], settings=settings).splitlines()
    assert (len(shown), shown[1].endswith("Z  -  Gathered: 2 deliveries.")) == (5, True)
    unknown = quick_command("run", "log", "nonsense", settings=settings)
    assert (unknown.exit_code, unknown.stderr) == (1, "There is no such run.\n")
    parked = json.loads(_succeed("delivery", "list", "--state", "parked", "--json", settings=settings))["Items"]
    assert [delivery["Code"] for delivery in parked] == ["participant_not_found"]
    told = command("doctor", settings=settings).stdout
    assert "imis: Signed in" in told
    assert "1 parked: participant_not_found" in told
    assert (
        "; then requeue. To requeue: learning-hub delivery requeue --state parked --code participant_not_found" in told
    )

    day = timedelta(days=1)
    span = (
        "--from",
        f"{datetime.now(UTC) - day:%Y-%m-%d}T00:00:00Z",
        "--to",
        f"{datetime.now(UTC) + day:%Y-%m-%dT%XZ}",
    )
    reconcile = ("subscription", "reconcile", "completions", *span)
    compared = json.loads(_succeed(*reconcile, "--json", settings=settings))
    assert (compared["There"], compared["Missing"]) == (1, [])
    _delete_activities(imis)
    missing = quick_command(*reconcile, settings=settings)
    assert (missing.exit_code, "Missing:" in missing.stdout) == (1, True)
    put_back = json.loads(_succeed(*reconcile, "--put-back", "--json", settings=settings))
    assert [run["Counts"]["Delivered"] for run in put_back["Runs"]] == [1]
    assert _succeed(*reconcile, settings=settings).split()[:2] == ["There", "1"]

    someone = ("imis", "nobody@example.org", "--program", "NURSES")
    settled = json.loads(_succeed("participant", "settle", *someone, "--as", "10042", "--json", settings=settings))
    assert (settled["SubscriberParticipantId"], settled["Requeued"]) == ("10042", 1)
    assert "10042" in _succeed("participant", "show", *someone, settings=settings)
    assert "nobody@example.org" in _succeed("participant", "list", "imis", "--program", "NURSES", settings=settings)
    assert "is forgotten" in _succeed("participant", "forget", *someone, settings=settings)
    assert quick_command("participant", "show", *someone, settings=settings).exit_code == 1


def test_looking_around_at_imis(settings: dict[str, str], imis: RunningSandbox) -> None:
    """Targets and fields come as tables or JSON; what iMIS does not tell, or may fail, is a warning on stderr."""
    subscriber = {
        "Name": "Association iMIS",
        "Connector": "imis",
        "Settings": {"BaseUrl": imis.address, "TimeZone": "America/New_York"},
        "Credentials": {"Username": imis.username, "Password": imis.password},
    }
    _succeed("program", "put", "NURSES", "--name", "Nurses", settings=settings)
    _succeed("subscriber", "put", "imis", "--file", "-", settings=settings, stdin=json.dumps(subscriber))

    listed = _succeed("subscriber", "targets", "imis", settings=settings).splitlines()
    assert [line.split()[:3] for line in listed[1:]] == [
        ["Activity", "activity", "multi"],
        ["TopClass_Learning", "panel", "multi"],
    ]
    shown = quick_command("subscriber", "fields", "imis", "topclass_learning", settings=settings)
    assert (shown.exit_code, shown.stderr) == (0, "")
    (units,) = [line.split() for line in shown.stdout.splitlines() if line.startswith("Units")]
    assert units == ["Units", "-", "Decimal", "-", "no", "-", "-"]
    fields = json.loads(_succeed("subscriber", "fields", "imis", "Activity", "--json", settings=settings))
    assert fields["Target"]["Kind"] == "activity"

    with httpx.Client(base_url=imis.address, trust_env=False) as client:
        client.put("/_sandbox/panels/TopClass_Learning", json={"AvailableViaRest": False}).raise_for_status()
    closed = quick_command("subscriber", "fields", "imis", "TopClass_Learning", settings=settings)
    assert closed.exit_code == 0
    assert closed.stderr.startswith("Warning: ")
    preset = ("--preset", "topclass-imis-panel", "--subscriber", "imis", "--program", "NURSES", "--json")
    saved = json.loads(_succeed("subscription", "put", "completions", *preset, settings=settings))
    assert len(saved["Warnings"]) == 1
    started = quick_command("subscription", "start", "completions", settings=settings)
    assert (started.stdout, started.stderr) == ("completions is started.\n", "")
    missing = quick_command("subscriber", "fields", "imis", "LH_Nothing", settings=settings)
    assert missing.exit_code == 1
    assert "LH_Nothing" in missing.stderr


def test_the_doctor_names_the_address_of_a_subscriber_that_is_away(settings: dict[str, str]) -> None:
    """Whoever reads it knows where to look."""
    subscriber = {
        "Name": "Association iMIS",
        "Connector": "imis",
        "Settings": {"BaseUrl": "http://127.0.0.1:1", "TimeZone": "UTC", "ParticipantLookup": "email"},
        "Credentials": {"Username": "hub", "Password": "secret"},
    }
    _succeed("subscriber", "put", "imis", "--file", "-", settings=settings, stdin=json.dumps(subscriber))
    told = quick_command("doctor", settings=settings)
    assert told.exit_code == 1
    assert " Its address is http://127.0.0.1:1." in told.stdout


def test_the_doctor_does_not_sign_in_where_the_credentials_are_refused(
    settings: dict[str, str], imis: RunningSandbox, database_address: str
) -> None:
    """Called by a monitor it would lock the account; it reports the pause instead."""
    subscriber = {
        "Name": "Association iMIS",
        "Connector": "imis",
        "Settings": {"BaseUrl": imis.address, "TimeZone": "UTC", "ParticipantLookup": "email"},
        "Credentials": {"Username": imis.username, "Password": "changed meanwhile"},
    }
    _succeed("subscriber", "put", "imis", "--file", "-", settings=settings, stdin=json.dumps(subscriber))

    async def pause() -> None:
        connection = await asyncpg.connect(database_address)
        await connection.execute(
            "INSERT INTO subscriber_pause (subscriber_id, code, class, message, since_utc, probe_seconds)"
            " VALUES ('imis', 'credentials_refused', 'refused', 'The password is wrong.', now(), 0)"
        )
        await connection.close()

    asyncio.run(pause())
    told = quick_command("doctor", settings=settings)
    assert (told.exit_code, "The password is wrong." in told.stdout) == (1, True)
    requests = httpx.get(f"{imis.address}/_sandbox/requests", trust_env=False).json()["Items"]
    assert [one["Path"] for one in requests if not one["Path"].startswith("/_sandbox")] == []


def test_subscribers_of_other_kinds(settings: dict[str, str]) -> None:
    """A webhook and a LearningBuilder are put by commands; the secret that the hub made is printed this once, whole."""
    webhook = {"Name": "Hook", "Connector": "webhook", "Settings": {"Url": "http://127.0.0.1:1/learning"}}
    learningbuilder = {
        "Name": "LearningBuilder",
        "Connector": "learningbuilder",
        "Settings": {"BaseUrl": "http://127.0.0.1:1", "FailureEmail": "imports@example.org"},
        "Credentials": {"ApiKey": "lb-key-0123456789"},
    }

    def put(subscriber_id: str, body: dict[str, Any]) -> str:
        return _succeed("subscriber", "put", subscriber_id, "--file", "-", settings=settings, stdin=json.dumps(body))

    made = re.findall(r"^SigningSecret +(whsec_\S+)$", put("hook", webhook), re.MULTILINE)
    assert len(base64.b64decode(made[0].removeprefix("whsec_"), validate=True)) == 32
    assert "whsec_" not in put("hook", {**webhook, "Name": "Other"})
    told = put("lb", learningbuilder) + _succeed("subscriber", "list", settings=settings)
    told += _succeed("subscriber", "show", "hook", settings=settings)
    assert "lb-key" not in told
    assert made[0] not in told
    for subscriber_id in ("hook", "lb"):
        checked = quick_command("subscriber", "check", subscriber_id, settings=settings)
        assert (checked.exit_code, "http://127.0.0.1:1" in checked.output) == (1, True)


def test_publishing_notices_a_hub_that_went_back_in_time(settings: dict[str, str], tmp_path: Path) -> None:
    """
    A hub that lacks the newest of what was published gets the whole file again, and what it has is the same.

    So does one that lacks the newest revisions; one where somebody else has revised the events does not.
    """
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps(an_event_body(PublisherEventId=f"AI:{number}")) + "\n" for number in range(40)))
    hub_settings = settings | {"ADMIN_KEY": ADMIN_KEY}
    with served("--no-worker", settings=hub_settings, log=tmp_path / "log") as hub:
        hub.client.put("/programs/NURSES", json={"Name": "Nurses"})

        def publish(*more: str) -> str:
            arguments = ("publish", str(file), "--url", hub.address, "--key", ADMIN_KEY, *more)
            done = quick_command(*arguments, settings=settings)
            assert done.exit_code == 0, done.stderr
            return done.stdout

        assert publish() == "40 new, 0 the hub had already, 0 refused.\n"
        assert publish().endswith("40 were published before and were not sent again.\n")
        lose = "DELETE FROM event WHERE publisher_event_id IN ('AI:37', 'AI:38', 'AI:39')"
        asyncio.run(_execute(settings["DATABASE_URL"], lose))

        assert publish() == (
            "The hub lacks events that were published before: it was restored. All events were sent again.\n"
            "3 new, 37 the hub had already, 0 refused.\n"
        )
        assert json.loads(publish("--json")) == {"New": 0, "Same": 0, "Before": 40, "Failed": []}
        asyncio.run(_execute(settings["DATABASE_URL"], lose))
        assert json.loads(publish("--json"))["HubWentBack"]

        revised = [an_event_body(PublisherEventId=f"AI:{number}", PublisherEventData={"n": 1}) for number in range(40)]
        file.write_text("".join(json.dumps(event) + "\n" for event in revised))
        assert publish() == "40 new, 0 the hub had already, 0 refused.\n"
        lose = "DELETE FROM event WHERE revision = 2 AND publisher_event_id IN ('AI:38', 'AI:39')"
        asyncio.run(_execute(settings["DATABASE_URL"], lose))
        assert json.loads(publish("--json")) | {"Failed": []} == {
            "New": 2,
            "Same": 38,
            "Before": 0,
            "Failed": [],
            "HubWentBack": True,
        }
        for number in (38, 39):
            newer = an_event_body(PublisherEventId=f"AI:{number}", PublisherEventData={"n": 2})
            assert hub.client.post("/events", json=newer).status_code == 201
        assert publish().endswith("40 were published before and were not sent again.\n")


async def _execute(address: str, statement: str) -> None:
    connection = await asyncpg.connect(address)
    await connection.execute(statement)
    await connection.close()


def test_publishing_goes_on_where_it_stopped(settings: dict[str, str], tmp_path: Path) -> None:
    """Bad lines are reported with number and fields; the next time only they are sent; too fast is only slower."""
    events = [an_event_body(PublisherEventId=f"AI:{number}") for number in range(40)]
    lines = [json.dumps(event) for event in events]
    lines[7] = json.dumps(an_event_body(EventType="DANCED"))
    lines[9] = "{not json"
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(lines) + "\n")
    hub_settings = settings | {"ADMIN_KEY": ADMIN_KEY, "RATE_LIMIT": "1"}
    with served("--no-worker", settings=hub_settings, log=tmp_path / "log") as hub:
        hub.client.put("/programs/NURSES", json={"Name": "Nurses"})

        def publish(*arguments: str) -> tuple[int, Any, str]:
            key = {"HUB_KEY": ADMIN_KEY}
            done = quick_command("publish", *arguments, "--url", hub.address, settings=settings, more=key)
            return done.exit_code, done.stdout, done.stderr

        status, told, errors = publish(str(file))
        assert (status, told) == (1, "38 new, 0 the hub had already, 2 refused.\n")
        assert errors.splitlines()[0].startswith("Line 8: ")
        assert errors.splitlines()[1].startswith("  EventType: ")
        assert "Line 10: " in errors

        lines[7], lines[9] = json.dumps(events[7]), json.dumps(events[9])
        file.write_text("\n".join(lines) + "\n")
        status, told, _ = publish(str(file), "--json")
        assert (status, json.loads(told)) == (0, {"New": 2, "Same": 0, "Before": 38, "Failed": []})
        assert len((tmp_path / "events.jsonl.published").read_text().splitlines()) == 40

        wrong = quick_command("publish", str(file), "--url", hub.address, "--key", "wrong" * 5, settings=settings)
        assert wrong.exit_code == 0, "there is nothing left to send"
        assert "38" not in wrong.stdout
    # Bound, so that nobody else gets the port, and not listened at.
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{bound.getsockname()[1]}"
        away = quick_command("publish", "-", "--url", nowhere, "--key", "any", settings=settings, stdin=lines[0])
    assert away.exit_code == 1
    assert (
        away.stderr == f"The hub at {nowhere} does not answer: nothing listens at {nowhere.removeprefix('http://')}.\n"
    )


def test_publishing_stores_every_change_and_nothing_twice(settings: dict[str, str], tmp_path: Path) -> None:
    """A change back, a withdrawn event and other files are reported as what they are; a repetition stores nothing."""
    file, other = tmp_path / "events.jsonl", tmp_path / "other.json"
    with served("--no-worker", settings=settings | {"ADMIN_KEY": ADMIN_KEY}, log=tmp_path / "log") as hub:
        hub.client.put("/programs/NURSES", json={"Name": "Nurses"})

        def publish(credits_: int, name: str, address: str = hub.address) -> str:
            event = an_event_body(PublisherEventId="AI:1", PublisherEventData={"Credits": credits_})
            # On several lines, as people keep single events.
            other.write_text(json.dumps([event], indent=2))
            file.write_text(json.dumps(event) + "\n")
            arguments = ("publish", name, "--url", address)
            key = {"HUB_KEY": ADMIN_KEY}
            if name != "/dev/stdin":
                done = quick_command(*arguments, settings=settings, more=key, stdin=file.read_text())
                assert done.exit_code == 0, done.stderr
                return done.stdout.partition(",")[0]
            whole = command(*arguments, settings=settings, more=key, stdin=file.read_text())
            assert whole.returncode == 0, whole.stderr
            return whole.stdout.partition(",")[0]

        def entries(count: int) -> list[dict[str, Any]]:
            """The feed once it has *count* entries: transactions of tests beside this one hold it back."""
            deadline = time.monotonic() + 60
            while True:
                items = hub.client.get("/events", params={"ProgramId": "NURSES"}).json()["Items"]
                if len(items) >= count or time.monotonic() > deadline:
                    assert len(items) == count
                    return list(items)

        def revisions(count: int) -> list[tuple[int, int]]:
            return [(item["Revision"], item["PublisherEventData"]["Credits"]) for item in entries(count)]

        assert [publish(credits_, str(file)) for credits_ in (1, 2, 1)] == ["1 new"] * 3
        assert revisions(3) == [(1, 1), (2, 2), (3, 1)]
        for name, address in (("-", hub.address), (str(other), f"{hub.address}/api"), ("/dev/stdin", hub.address)):
            assert publish(1, name, address) == "0 new"
        assert [publish(credits_, str(other)) for credits_ in (2, 1)] == ["1 new"] * 2

        last = entries(5)[-1]["EventId"]
        assert hub.client.delete(f"/events/{last}").status_code == 204
        assert publish(1, "-") == "1 new"
        assert revisions(7)[-1] == (6, 1)
    assert not Path("/dev/stdin.published").exists()


def test_publishing_that_is_stopped_says_how_to_go_on(settings: dict[str, str], tmp_path: Path) -> None:
    """Ctrl-C says how many went out; the same command sends the rest."""
    file = tmp_path / "events.jsonl"
    events = (an_event_body(PublisherEventId=f"AI:{number}") for number in range(4_000))
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    progress = Path(f"{file}.published")
    # One batch a second, so that there is something left when it is stopped.
    slow = settings | {"ADMIN_KEY": ADMIN_KEY, "RATE_LIMIT": "1"}
    with served("--no-worker", settings=slow, log=tmp_path / "log") as hub:
        hub.client.put("/programs/NURSES", json={"Name": "Nurses"})
        publish = ("publish", str(file), "--url", hub.address, "--key", ADMIN_KEY, "--connections", "1", "--json")
        with started(*publish, settings=settings, log=tmp_path / "publishing") as publishing:
            while not progress.exists() or not progress.stat().st_size:
                assert publishing.process.poll() is None, publishing.log
                time.sleep(0.05)
            # What is under way when it is stopped gets no answer.
            hub.process.send_signal(signal.SIGSTOP)
            assert publishing.process.poll() is None
            assert publishing.stop(signal.SIGINT) == 130
            hub.process.send_signal(signal.SIGCONT)
            assert publishing.process.stdout
            told = json.loads(publishing.process.stdout.read())
            assert 0 < told["New"] < 4_000
            assert publishing.log == "Stopped. The same command continues from there.\n"
        rest = json.loads(command(*publish, settings=settings).stdout)
        assert (rest["Before"], rest["Before"] + rest["New"] + rest["Same"]) == (told["New"], 4_000)


@pytest.mark.parametrize("address", ["http://127.0.0.1:99999", "http://", "nowhere"])
def test_an_address_that_cannot_be_called_is_told(settings: dict[str, str], tmp_path: Path, address: str) -> None:
    """One sentence that names it."""
    done = quick_command("publish", "-", "--url", address, "--key", "any", settings=settings, stdin="{}")
    assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)
    assert "is not the address of a hub" in done.stderr


def test_publishing_with_any_key_and_a_mark_before_the_document(settings: dict[str, str], tmp_path: Path) -> None:
    """A key beyond ASCII opens, and a byte order mark before a document or before lines is passed over."""
    key = "schlüssel schlüssel 🔑 schlüssel"
    with served("--no-worker", settings=settings | {"ADMIN_KEY": key}, log=tmp_path / "log") as hub:
        made = httpx.put(
            f"{hub.address}/programs/NURSES", json={"Name": "N"}, headers={b"X-API-Key": key.encode()}, trust_env=False
        )
        assert made.status_code == 201
        for number, indent in ((1, 2), (2, None)):
            content = json.dumps(an_event_body(PublisherEventId=f"AI:{number}"), indent=indent)
            file = tmp_path / f"{number}.json"
            file.write_bytes(b"\xef\xbb\xbf" + content.encode())
            done = command("publish", str(file), "--url", hub.address, "--key", key, settings=settings)
            assert done.stdout.startswith("1 new"), done.stderr


def test_what_is_no_hub_is_told_once(settings: dict[str, str], tmp_path: Path) -> None:
    """Whatever answers there, it is one sentence."""
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps(an_event_body(PublisherEventId=f"AI:{number}")) + "\n" for number in range(9)))
    with started("sandbox-imis", "--json", settings={}, log=tmp_path / "log") as sandbox:
        address = json.loads(sandbox.line())["Address"]
        done = quick_command("publish", str(file), "--url", address, "--key", "any", settings=settings)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{address} is not the address of a hub: it answers 404")
    assert len(done.stderr.splitlines()) == 1


def test_the_sandbox_says_where_it_is_and_stops(tmp_path: Path) -> None:
    """Its first line names the address, which answers; SIGTERM ends it with 0."""
    with started("sandbox-imis", "--json", settings={}, log=tmp_path / "log") as sandbox:
        told = json.loads(sandbox.line())
        assert httpx.get(told["Address"], timeout=60, trust_env=False).status_code == 200
        assert (told["Username"], told["Password"]) == ("sandbox", "sandbox")
        assert sandbox.stop() == 0


def _delete_activities(imis: RunningSandbox) -> None:
    """Somebody deletes all activities at iMIS."""
    form = {"grant_type": "password", "username": imis.username, "password": imis.password}
    with httpx.Client(base_url=imis.address, trust_env=False) as client:
        headers = {"Authorization": f"Bearer {client.post('/token', data=form).json()['access_token']}"}
        for activity in client.get("/_sandbox/state").json()["Activities"]:
            client.delete(f"/api/Activity/{activity['Properties']['SEQN']}", headers=headers).raise_for_status()


def _succeed(*arguments: str, settings: dict[str, str], stdin: str | None = None) -> str:
    done = quick_command(*arguments, settings=settings, stdin=stdin)
    assert done.exit_code == 0, done.stderr
    return done.stdout
