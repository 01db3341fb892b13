"""The pages about the kinds of subscribers say what the connectors do."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.kinds import KINDS
from learning_hub.connectors.webhook.signing import sign
from learning_hub.rendering.compiler import compile_templates

DOCS = Path(__file__).parents[2] / "docs"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", KINDS)
def test_every_setting_and_credential_is_documented_and_no_other(name: str) -> None:
    """Each kind has a page in the reference, whose first section lists the fields that a subscriber takes."""
    text = (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")
    section = text.partition("\n## Settings of a subscriber\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", section, re.MULTILINE)
    structs = (KINDS[name].settings, *KINDS[name].credentials)

    documented = [field.strip("`") for row in rows for field in row.split(", ")]
    assert documented == [field.encode_name for struct in structs for field in msgspec.structs.fields(struct)]


@pytest.mark.parametrize("name", KINDS)
def test_the_map_of_the_readme_has_the_page_of_each_kind(name: str) -> None:
    """The README links the page of the reference about each kind of subscriber."""
    assert f"(docs/reference/{name}.md)" in (DOCS.parent / "README.md").read_text(encoding="utf-8")


def test_the_recipe_verifies_what_the_hub_sends() -> None:
    """The lines for a receiver run: a request of the hub is handled, a forged one is not."""
    (recipe,) = blocks("reference/webhook.md", "python")
    assert SECRET in recipe
    handled: list[tuple[str, str, Any]] = []
    names: dict[str, Any] = {"handle_once": lambda *what: handled.append(what)}
    exec(compile(recipe, "webhook.md", "exec"), names)
    body, now = b'{"Units":1.30}', int(time.time())
    headers = {
        "webhook-id": "NURSES-1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign("NURSES-1", now, body, [SECRET]),
        "learning-hub-action": "send",
    }

    assert names["receive"](body, headers) == 204
    assert names["receive"](b'{"Units":9.99}', headers) == 401
    assert handled == [("NURSES-1", "send", {"Units": 1.3})]


@pytest.mark.parametrize("page", ["how-to/send-to-a-webhook.md", "reference/learningbuilder.md"])
def test_bodies_of_the_pages_are_taken(page: str) -> None:
    """Each subscriber and each subscription that is shown has settings, target and templates without a fault."""
    bodies = [json.loads(block) for block in blocks(page, "json")]
    subscribers = [body for body in bodies if "Connector" in body]
    assert len(subscribers) == 1
    kind = KINDS[subscribers[0]["Connector"]]

    assert kind.check_settings(subscribers[0]["Settings"], Guard()) == []
    assert kind.check_credentials(subscribers[0].get("Credentials", {})) == []
    for body in bodies:
        if "Target" in body:
            assert kind.check_target(body["Target"]) == []
            assert compile_templates(json.dumps(body["Templates"])).errors == []
