"""TLS of the outgoing client, and checks whether a server can be reached."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from pathlib import Path

import pytest
from connectors.misbehaving_server import HERE, OK, ask, receiver, saying
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.http import (
    HttpResponse,
    NotSent,
    reach,
)
from learning_hub.connectors.network import TargetNotAllowed


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that signs itself, with its key."""
    return self_signed(tmp_path_factory.mktemp("tls"), days_left=1)


def self_signed(folder: Path, *, days_left: int) -> Path:
    """A certificate for localhost that signs itself, with its key; expired where *days_left* is negative."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    today = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - dt.timedelta(days=9))
        .not_valid_after(today + dt.timedelta(days=days_left))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "localhost.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


async def test_tls_goes_by_the_name_though_the_connection_goes_by_number(certificate: Path) -> None:
    """The certificate is checked against the host of the address, and sent as the server's name."""
    names: list[str | None] = []
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    server.sni_callback = lambda _, name, __: names.append(name)
    async with receiver(saying(OK), server) as port:
        trusting = ssl.create_default_context(cafile=str(certificate))
        answer, _ = await ask(f"https://localhost:{port}/", tls=trusting)
        assert isinstance(answer, HttpResponse)
        by_number, _ = await ask(f"https://127.0.0.1:{port}/", tls=trusting)
        untrusted, _ = await ask(f"https://localhost:{port}/")
    assert names[0] == "localhost"
    assert isinstance(by_number, NotSent)
    assert isinstance(untrusted, NotSent)
    assert "the certificate of localhost is self-signed, and the hub does not trust it" in untrusted.message


async def test_a_certificate_that_has_expired_is_reported(tmp_path: Path) -> None:
    """The same words where something is sent, and where only the connection is tried."""
    expired = self_signed(tmp_path, days_left=-1)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(expired)
    trusting = ssl.create_default_context(cafile=str(expired))
    async with receiver(saying(OK), server) as port:
        address = f"https://localhost:{port}/"
        result, _ = await ask(address, tls=trusting)
        reached = await reach(HERE, address, timeout_seconds=15, tls=trusting)
    assert isinstance(result, NotSent)
    assert result.message == "Nothing was sent: the certificate of localhost has expired."
    assert reached
    assert reached.message == "The certificate of localhost has expired."


async def test_reaching_goes_as_far_as_the_certificate(certificate: Path) -> None:
    """Without sending anything it tells a server that is there from one with another certificate, and from none."""
    heads: list[bytes] = []

    async def notice(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        heads.append(await reader.read())

    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with receiver(notice, server) as port:
        assert await reach(HERE, f"https://localhost:{port}/x?a=b", timeout_seconds=15, tls=trusting) is None
        for address, tls, words in (
            (f"https://localhost:{port}", None, "The certificate of localhost is self-signed, and "),
            (f"https://127.0.0.1:{port}", trusting, "The certificate that answers at 127.0.0.1 is for another "),
        ):
            failed = await reach(HERE, address, timeout_seconds=15, tls=tls)
            assert failed
            assert failed.code == "connection_failed"
            assert failed.message.startswith(words)
    nobody = await reach(HERE, f"https://localhost:{port}", timeout_seconds=15)
    assert nobody
    assert nobody.code == "connection_failed"
    assert heads == []


async def test_reaching_a_server_that_says_nothing_ends() -> None:
    """A server that takes the connection and never speaks TLS does not hold the check for ever."""

    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with receiver(wait) as port:
        failed = await reach(HERE, f"https://127.0.0.1:{port}", timeout_seconds=0.5)
    assert failed
    assert failed.code == "timed_out"


@pytest.mark.parametrize(
    "url", ["https://localhost:1", "http://127.0.0.1:1", "https://[::ffff:127.0.0.1]:1", "https://h:port/"]
)
async def test_reaching_heeds_the_guard(url: str) -> None:
    """Where the hub may not connect it does not, not even to look."""
    with pytest.raises(TargetNotAllowed):
        await reach(Guard(), url, timeout_seconds=15)


async def test_a_server_without_tls_is_reported() -> None:
    """An address with https where only http is spoken is named, with the usual reason."""

    async def complain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(complain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        result, _ = await ask(f"https://127.0.0.1:{port}/")
    assert isinstance(result, NotSent)
    assert f"127.0.0.1:{port} does not speak TLS as the hub does" in result.message


async def test_a_server_that_does_not_begin_tls_is_distinguished_from_one_that_does_not_answer() -> None:
    """Time that ran out before there was a connection leaves nothing in doubt."""

    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with receiver(wait) as port:
        result, _ = await ask(f"https://127.0.0.1:{port}/", timeout_seconds=0.5)
    assert isinstance(result, NotSent)
    assert result.message == (f"Nothing was sent: no connection to 127.0.0.1:{port} came about within 0.5 seconds.")
