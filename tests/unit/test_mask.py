"""Secrets are found in whatever spelling they come back."""

from __future__ import annotations

import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_hub.connectors.mask import Mask

SECRET = "pä\"ss\\w/ö%rd &+ 1'<é😀"
SPELLINGS = {
    "plain": SECRET,
    "address": quote(SECRET, safe=""),
    "path": quote(SECRET),
    "form": quote_plus(SECRET),
    "lower": quote(SECRET).lower(),
    "json": json.dumps(SECRET)[1:-1],
    "json in unicode": json.dumps(SECRET, ensure_ascii=False)[1:-1],
    "json with slashes escaped": json.dumps(SECRET)[1:-1].replace("/", "\\/"),
    "json in json": json.dumps(json.dumps(SECRET))[3:-3],
    "html": html.escape(SECRET),
    "bytes": repr(SECRET.encode())[2:-1],
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_secret_is_masked_in_every_spelling(spelling: str) -> None:
    """Wherever it stands, and as often."""
    assert Mask([SECRET])(f"is {spelling}, {spelling}!") == "is ***, ***!"


def test_a_secret_within_another_leaves_nothing_behind() -> None:
    """The longer one goes first; an empty one is none."""
    assert Mask(["", "pass", "pass-word"])("pass-word, pass") == "***, ***"


def test_another_text_stays_as_it_is() -> None:
    """Also one that would be the secret in another spelling of letters."""
    assert Mask(["a.c"])("abc A.C") == "abc A.C"


@given(st.text(min_size=1), st.text(), st.text())
def test_no_secret_gets_through(secret: str, before: str, after: str) -> None:
    """Whatever the secret is and whatever stands around it, plain or in JSON."""
    mask = Mask([secret])
    if secret not in "***":
        assert secret not in mask(before + secret + after).replace("***", "\0" if "\0" not in secret else "\1")
        assert json.dumps(secret)[1:-1] not in mask(json.dumps(secret))[1:-1].replace("***", "")


def test_hostile_texts_take_no_time() -> None:
    """Half a million backslashes are looked through as fast as anything."""
    assert Mask(['"'])("\\" * 500_000).endswith("\\")
