"""Keys: their form, what they may do, and how they are sent."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_hub.api.http.headers import sent_key
from learning_hub.model.api_key import key_hash, key_id_of, new_key, same_secret
from learning_hub.model.caller import SCOPES, Caller, Scope, check_grant
from learning_hub.model.errors import InvalidFields, NotAllowed


def caller(*scopes: Scope, programs: tuple[str, ...] = ("NURSES",)) -> Caller:
    return Caller(key_id="k", name="k", programs=programs, scopes=frozenset(scopes))


def test_a_key_contains_its_id() -> None:
    """The KeyId can be read off a key; every other character protects it."""
    key = new_key("01KAN3S8E0QW5V8GJ1T2Z9RX4M")
    assert key_id_of(key) == "01KAN3S8E0QW5V8GJ1T2Z9RX4M"
    assert all(key_id_of(key[:place] + "!" + key[place + 1 :]) is None for place in range(len(key)))


def test_no_two_keys_are_alike() -> None:
    """Each key has its own secret."""
    assert len({new_key("K") for _ in range(1000)}) == 1000


@given(st.text())
def test_any_text_can_be_looked_at(text: str) -> None:
    """Whatever is sent as a key has a hash and either an id or none; nothing raises."""
    key_id_of(text)
    assert len(key_hash(text.encode("utf-8", "replace").decode())) == 32


def test_admin_includes_the_other_scopes() -> None:
    """A key with admin may do everything, any other only what it names."""
    for scope in SCOPES:
        caller("admin").need(scope)
    for scope in set(SCOPES) - {"staff"}:
        with pytest.raises(NotAllowed, match=f"the scope {scope}"):
            caller("staff").need(scope)
    caller("staff").need("staff")


def test_one_of_several_scopes_is_enough() -> None:
    """An operation that names several scopes takes a key with any one of them."""
    caller("read").need("publish", "read")
    with pytest.raises(NotAllowed, match="publish or process"):
        caller("read").need("publish", "process")


def test_a_key_is_for_its_programs() -> None:
    """A key may use the Programs it names, one for all of them any."""
    caller("read").need_program("NURSES")
    caller("read", programs=("*",)).need_program("DOCTORS")
    with pytest.raises(NotAllowed):
        caller("read").need_program("DOCTORS")
    assert caller("read").only_program() == "NURSES"
    assert caller("read", programs=("*",)).only_program() is None
    assert caller("read", programs=("A", "B")).only_program() is None


def test_admin_is_for_all_programs() -> None:
    """Admin for some Programs, and all Programs among others, are refused together."""
    check_grant(["*"], ["admin"])
    check_grant(["NURSES"], ["publish", "staff"])
    with pytest.raises(InvalidFields) as refused:
        check_grant(["*", "NURSES"], ["admin"])
    assert [error.field for error in refused.value.errors] == ["Programs", "Scopes"]


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([], None),
        ([(b"x-api-key", b" KEY ")], "KEY"),
        ([(b"authorization", b"Bearer KEY")], "KEY"),
        ([(b"authorization", b"bearer  KEY")], "KEY"),
        ([(b"authorization", b"Basic " + base64.b64encode(b"anybody:KEY"))], "KEY"),
        ([(b"authorization", b"Basic " + base64.b64encode(b":KEY:x"))], "KEY:x"),
        ([(b"authorization", b"Basic " + base64.b64encode(b"KEY"))], None),
        ([(b"authorization", b"Basic %%%")], None),
        ([(b"authorization", b"Basic \xff")], None),
        ([(b"authorization", b"Basic " + base64.b64encode(b"\xfcmlaut:KEY"))], "KEY"),
        ([(b"authorization", b"Digest KEY")], None),
        ([(b"authorization", b"Bearer")], None),
        ([(b"authorization", b"Bearer OTHER"), (b"x-api-key", b"KEY")], "KEY"),
    ],
)
def test_the_three_ways_to_send_a_key(headers: list[tuple[bytes, bytes]], key: str | None) -> None:
    """X-API-Key goes first, then Bearer, then the password of Basic; what cannot be read is no key."""
    assert sent_key(headers) == key


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_key_may_have_any_characters(encoding: str) -> None:
    """A key beyond ASCII is read alike in all three ways, sent as UTF-8 or as Latin-1."""
    sent = "Schlüssel für das Büro".encode(encoding)
    for header in (
        (b"x-api-key", sent),
        (b"authorization", b"Bearer " + sent),
        (b"authorization", b"Basic " + base64.b64encode(b"admin:" + sent)),
    ):
        assert sent_key([header]) == "Schlüssel für das Büro"


def test_secrets_are_compared_whole() -> None:
    """Equal secrets are the same, others are not."""
    assert same_secret(key_hash("a"), key_hash("a"))
    assert not same_secret(key_hash("a"), key_hash("b"))
