"""From the environment to one frozen Settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from learning_hub.settings import EXCHANGES_PER_ATTEMPT, Settings, SettingsError, read_settings


def test_an_empty_environment_gives_the_defaults() -> None:
    """So does one where the variables are there and empty."""
    assert read_settings({}) == read_settings({"LEARNING_HUB_RATE_LIMIT": " ", "PATH": "/bin"}) == Settings()


def test_settings_are_read() -> None:
    """Each in its own form."""
    key = Fernet.generate_key().decode()
    read = read_settings(
        {
            "LEARNING_HUB_DATABASE_URL": "postgresql://hub@db/hub",
            "LEARNING_HUB_HOME": "/var/lib/hub",
            "LEARNING_HUB_SECRET_KEYS": f"{key}, {key}",
            "LEARNING_HUB_RETRY_SECONDS": "1, 2.5",
            "LEARNING_HUB_ALLOWED_PRIVATE_TARGETS": "imis.local,10.1.0.0/16,",
            "LEARNING_HUB_LOG_FORMAT": "JSON",
        }
    )
    assert read == Settings(
        database_url="postgresql://hub@db/hub",
        home=Path("/var/lib/hub"),
        secret_keys=(key, key),
        retry_seconds=(1, 2.5),
        allowed_private_targets=("imis.local", "10.1.0.0/16"),
        log_format="json",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://db/hub"),
        ("ADMIN_KEY", "short"),
        ("ADMIN_KEY", "a" * 20),
        ("ADMIN_KEY", "abcdefg" * 10),
        ("SECRET_KEYS", "no-fernet-key"),
        ("RETRY_SECONDS", "5,soon"),
        ("RETRY_SECONDS", ","),
        ("SEND_TIMEOUT_SECONDS", "0"),
        ("SEND_TIMEOUT_SECONDS", "inf"),
        ("SETTLE_SECONDS", "nan"),
        ("SETTLE_SECONDS", "-1"),
        ("RATE_LIMIT", "0"),
        ("MAX_BODY_BYTES", "1e6"),
        ("MAX_CONNECTIONS", "4"),
        ("RENDER_PROCESSES", "٣"),
        ("SECRET_KEYS", ","),
        ("RETRY_SECONDS", "1e300"),
        ("SEND_TIMEOUT_SECONDS", "1e308"),
        ("SETTLE_SECONDS", "1e300"),
        ("PROBE_SECONDS", "3601"),
        ("PARTICIPANT_REMEMBERED_SECONDS", "1e300"),
        ("RUN_WAIT_SECONDS", "1e9"),
        ("RATE_LIMIT", "1e-320"),
        ("RATE_LIMIT", "1e300"),
        ("MAX_BODY_BYTES", "99999999999999999999"),
        ("MAX_BODY_BYTES", "9" * 5000),
        ("MAX_DATA_BYTES", "1048577"),
        ("MAX_CONNECTIONS", "100000"),
        ("RENDER_PROCESSES", "999999"),
        ("ALLOWED_PRIVATE_TARGETS", "imis.local,127.0.0.1:8090"),
        ("ALLOWED_PRIVATE_TARGETS", "[::1]:8090"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str) -> None:
    """The sentence begins with the variable."""
    with pytest.raises(SettingsError, match=f"^LEARNING_HUB_{name}: must "):
        read_settings({f"LEARNING_HUB_{name}": value})


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://hub@db/hub",
        "postgres://hub:pa%2Fss%40@db.example.org:5432/hub?sslmode=require&application_name=x",
        "postgresql://hub:pa:ss@db/hub?user=me@corp",
        "postgresql://hub@one:5432,two:5433/hub",
        "postgresql://hub@[::1]:5432/hub",
        "postgresql://postgres:@/postgres?host=/run/postgresql",
        "postgresql:///hub",
        "postgresql://%2Frun%2Fpostgresql/hub",
    ],
)
def test_addresses_of_databases(address: str) -> None:
    """Whatever the driver takes is taken: several hosts, sockets, options."""
    assert read_settings({"LEARNING_HUB_DATABASE_URL": address}).database_url == address


@pytest.mark.parametrize("password", ["let/mein", "12/mein", "let?mein", "let#mein", "le@mein", "[mein", "12?mein"])
def test_a_password_that_must_be_escaped_is_not_repeated(password: str) -> None:
    """An address that would be taken apart wrongly is refused, naming the setting and quoting none of it."""
    with pytest.raises(SettingsError, match=r"^LEARNING_HUB_DATABASE_URL: must be as .* write / as %2F") as caught:
        read_settings({"LEARNING_HUB_DATABASE_URL": f"postgresql://hub:{password}@db.example.org/hub"})
    assert "mein" not in str(caught.value)
    assert "let" not in str(caught.value)


def test_the_bounds_are_told() -> None:
    """With the unit that the setting has."""
    for name, value, told in (
        ("RATE_LIMIT", "fast", "a number of requests a second from 0.001 to 1000000"),
        ("RATE_LIMIT", "-3", "a number of requests a second from 0.001 to 1000000"),
        ("SEND_TIMEOUT_SECONDS", "soon", "a number of seconds from 0.1 to 3600"),
        ("RETRY_SECONDS", "5,soon", "a number of seconds from 0 to 31536000"),
        ("MAX_CONNECTIONS", "4", "a whole number of connections from 5 to 1000"),
    ):
        with pytest.raises(SettingsError) as caught:
            read_settings({f"LEARNING_HUB_{name}": value})
        assert str(caught.value) == f"LEARNING_HUB_{name}: must be {told}, not {value.rpartition(',')[2]!r}"


def test_data_may_be_as_large_as_a_body() -> None:
    """Not larger; a smaller body alone needs no other limit for the data."""
    read = read_settings({"LEARNING_HUB_MAX_BODY_BYTES": "2000000", "LEARNING_HUB_MAX_DATA_BYTES": "2000000"})
    assert read.max_data_bytes == 2_000_000
    assert read_settings({"LEARNING_HUB_MAX_BODY_BYTES": "2048"}).max_body_bytes == 2048


def test_networks_have_no_port() -> None:
    """Colons of IPv6 addresses are none."""
    targets = "::1,fd00::/8,[::1],imis.local,10.0.0.0/8"
    read = read_settings({"LEARNING_HUB_ALLOWED_PRIVATE_TARGETS": targets})
    assert read.allowed_private_targets == tuple(targets.split(","))


def test_names_are_told_apart_by_case() -> None:
    """A setting in lower case is another variable, and stops the start."""
    with pytest.raises(SettingsError, match=r"^Not a setting of the hub: LEARNING_HUB_database_url\."):
        read_settings({"LEARNING_HUB_database_url": "postgresql://db/hub"})


@pytest.mark.parametrize(("name", "value"), [("ADMIN_KEY", "hunter2"), ("SECRET_KEYS", "hunter2")])
def test_a_wrong_secret_is_not_repeated(name: str, value: str) -> None:
    """What is wrong with it is reported without it."""
    with pytest.raises(SettingsError) as caught:
        read_settings({f"LEARNING_HUB_{name}": value})
    assert value not in str(caught.value)


@pytest.mark.parametrize("timeout", [0.1, 30, 3600])
def test_a_lease_is_longer_than_the_time_outs_of_a_try(timeout: float) -> None:
    """A try ends by itself after nine tenths of its lease, and each of its exchanges has had its whole time by then."""
    lease = Settings(send_timeout_seconds=timeout).lease_seconds
    assert lease * 0.9 > EXCHANGES_PER_ATTEMPT * timeout


def test_a_mistyped_name_is_told() -> None:
    """A variable of the hub that is no setting stops the start rather than being passed over."""
    with pytest.raises(SettingsError, match="LEARNING_HUB_DATABSE_URL"):
        read_settings({"LEARNING_HUB_DATABSE_URL": "postgresql://db/hub"})
