"""The outgoing client, against small servers that misbehave."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

import pytest
from connectors.imis_site import RecordedExchanges
from connectors.misbehaving_server import HERE, OK, ask, receiver, saying

from learning_hub.connectors import http, network
from learning_hub.connectors.addresses import SETTING, Guard
from learning_hub.connectors.http import (
    Flaw,
    HttpRequest,
    HttpResponse,
    NotSent,
    OutcomeUnknown,
    exchange,
    reach,
)
from learning_hub.connectors.network import Client, TargetNotAllowed


async def test_an_answer_is_given_whole() -> None:
    """Status, headers in lower case, and body come back, and the exchange is taken down."""
    async with receiver(saying(OK)) as port:
        answer, recorder = await ask(f"http://127.0.0.1:{port}/x", body=b"{}", wrote=True)
    assert answer == HttpResponse(status=200, headers={"content-length": "2", "x-odd": "1"}, body=b"ok", text="ok")
    assert recorder.wrote == [True]
    assert (recorder.exchanges[0].status, recorder.exchanges[0].response_body) == (200, "ok")


async def test_an_address_is_sent_as_it_was_written() -> None:
    """Escapes that another would spell differently stay: the other side may compare them, or have signed them."""
    targets: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        targets.append((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1])
        writer.write(OK)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for target in ("/a/%7e10%7C3?x=a%20b+c&y=%2B%2f", "/%c3%a4?q='(1)'"):
        await ask(f"http://127.0.0.1:{port}{target}")
    await ask(f"http://127.0.0.1:{port}/\xe4")
    server.close()
    assert targets == [b"/a/%7e10%7C3?x=a%20b+c&y=%2B%2f", b"/%c3%a4?q='(1)'", b"/%C3%A4"]


async def test_a_header_that_cannot_be_sent_is_not_sent() -> None:
    """A value with a line break, as a token that is none, would be two headers."""
    result, recorder = await ask("http://127.0.0.1:1/", headers={"Authorization": "Bearer a\r\nb: c"})
    assert isinstance(result, NotSent)
    assert "Authorization" in result.message
    assert "Bearer" not in str(recorder.exchanges)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
async def test_nothing_is_sent_twice(method: str) -> None:
    """A request whose line is cut is not sent again by itself, whatever its method: it may have been carried out."""
    heads: list[bytes] = []

    async def cut_the_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        heads.append(await reader.readuntil(b"\r\n\r\n"))

    async with receiver(cut_the_second) as port:
        client = Client(HERE)
        sent = HttpRequest(method=method, url=f"http://127.0.0.1:{port}/", wrote=True)
        results = [await exchange(client, sent, RecordedExchanges(), timeout_seconds=15) for _ in range(2)]
        await client.close()
    assert [type(result) for result in results] == [HttpResponse, OutcomeUnknown]
    assert len(heads) == 1


async def test_a_line_that_was_closed_meanwhile_is_not_used() -> None:
    """A server that closes its lines without saying so leaves no doubt, also where the hub was too busy to notice."""
    closed = threading.Semaphore(0)

    def answer_and_close() -> None:
        for _ in range(3):
            line, _ = listening.accept()
            with line:
                line.recv(4096)
                line.sendall(OK)
            closed.release()

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as aside:
        listening.settimeout(15)
        answering = aside.submit(answer_and_close)
        client = Client(HERE)
        for _ in range(3):
            sent = HttpRequest(method="POST", url=f"http://127.0.0.1:{listening.getsockname()[1]}/", wrote=True)
            assert isinstance(await exchange(client, sent, RecordedExchanges(), timeout_seconds=15), HttpResponse)
            assert closed.acquire(timeout=15)
        await client.close()
        answering.result()


async def test_nothing_is_sent_to_a_port_where_nobody_listens() -> None:
    """A refused connection is distinguished from a lost answer, as a sentence with the address."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        result, recorder = await ask(f"http://127.0.0.1:{port}/")
        reached = await reach(HERE, f"http://127.0.0.1:{port}/", timeout_seconds=15)
    assert isinstance(result, NotSent)
    assert result.code == "connection_failed"
    assert result.message == f"Nothing was sent: nothing listens at 127.0.0.1:{port}."
    assert reached
    assert reached.message == f"Nothing listens at 127.0.0.1:{port}."
    assert recorder.exchanges[0].status is None


async def test_nothing_is_sent_to_a_name_that_is_not_there() -> None:
    """A name without an address is a connection that failed."""
    result, _ = await ask("https://nowhere.invalid/", timeout_seconds=60)
    assert isinstance(result, NotSent)
    assert result.message.startswith("Nothing was sent: the name nowhere.invalid ")


async def test_a_line_cut_after_sending_leaves_the_outcome_unknown() -> None:
    """The request may have been carried out."""
    async with receiver(saying(b"")) as port:
        result, _ = await ask(f"http://127.0.0.1:{port}/")
    assert isinstance(result, OutcomeUnknown)
    assert result.code == "connection_failed"


async def test_no_http_leaves_the_outcome_unknown() -> None:
    """An answer without a status is none; the sentence quotes how it begins, without secrets."""
    async with receiver(saying(b"SSH-2.0-s3cret-x\r\n")) as port:
        result, _ = await ask(f"http://127.0.0.1:{port}/", secrets=("s3cret",))
    assert isinstance(result, OutcomeUnknown)
    assert result.message == "The request was sent, but the answer is no HTTP; it begins with SSH-2.0-***-x."


async def test_half_an_answer_has_its_status() -> None:
    """What was received of it is kept, and why it is not whole."""
    async with receiver(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf")) as port:
        answer, recorder = await ask(f"http://127.0.0.1:{port}/")
    assert (answer.status, answer.body) == (200, b"half")
    assert answer.flaw == Flaw("connection_failed", "the connection was cut before the whole answer came")
    assert recorder.exchanges[0].response_body == "half"


async def test_a_compressed_body_is_bounded() -> None:
    """A body that was not asked for compressed is decompressed up to the limit of any body."""
    bomb = gzip.compress(b"x" * (http.MAX_BODY_BYTES + 1000))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    async with receiver(saying(head + bomb)) as port:
        answer, _ = await ask(f"http://127.0.0.1:{port}/")
    assert len(answer.body) == http.MAX_BODY_BYTES


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"], ids=["alone", "interim"])
async def test_a_surplus_body_is_not_the_next_answer(before: bytes) -> None:
    """The connection of a 204 that announces a body is not used again: its body would be read as an answer."""
    connections: list[int] = []

    async def announce_and_send_later(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        writer.write(before + b"HTTP/1.1 204 No Content\r\nContent-Length: 38\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.write(b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n")

    async with receiver(announce_and_send_later) as port:
        client = Client(HERE)
        sent = HttpRequest(method="POST", url=f"http://127.0.0.1:{port}/", wrote=True)
        results = [await exchange(client, sent, RecordedExchanges(), timeout_seconds=15) for _ in range(2)]
        await client.close()
    assert [result.status for result in results if isinstance(result, HttpResponse)] == [204, 204]
    assert len(connections) == 2


@pytest.mark.parametrize("late", [OK, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", b"\r\n"])
async def test_what_nobody_asked_for_is_not_the_next_answer(late: bytes) -> None:
    """A connection that receives something while it is idle is closed: it would be read as the next answer."""
    is_idle, is_closed = asyncio.Event(), asyncio.Event()

    async def send_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        if is_closed.is_set():
            return
        await is_idle.wait()
        writer.write(late)
        assert await reader.read() == b""
        is_closed.set()

    async with receiver(send_late) as port:
        client = Client(HERE)
        sent = HttpRequest(method="POST", url=f"http://127.0.0.1:{port}/", wrote=True)
        results = [await exchange(client, sent, RecordedExchanges(), timeout_seconds=15)]
        is_idle.set()
        # Sooner than idle connections are closed anyway.
        await asyncio.wait_for(is_closed.wait(), 2)
        results += [await exchange(client, sent, RecordedExchanges(), timeout_seconds=15)]
        await client.close()
    assert [result.status for result in results if isinstance(result, HttpResponse)] == [204, 204]


async def test_a_slow_answer_runs_out_of_time() -> None:
    """The outcome is unknown when the time is over."""

    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with receiver(wait) as port:
        result, _ = await ask(f"http://127.0.0.1:{port}/", timeout_seconds=1)
    assert isinstance(result, OutcomeUnknown)
    assert (result.code, result.message) == (
        "timed_out",
        "The request was sent, but no answer came within 1 seconds.",
    )


async def test_a_dripping_body_does_not_beat_the_time_limit() -> None:
    """The limit is for the whole exchange, however often a byte arrives."""

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with receiver(drip) as port:
        began = time.monotonic()
        result, _ = await ask(f"http://127.0.0.1:{port}/", timeout_seconds=1)
        took = time.monotonic() - began
    assert result.flaw == Flaw("timed_out", "the rest of the answer did not come within 1 seconds")
    assert took < 10


async def test_a_huge_answer_is_cut() -> None:
    """No more is read than the limit, and less is kept."""
    size = http.MAX_BODY_BYTES + 10
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()
    async with receiver(saying(head + b"x" * size)) as port:
        answer, recorder = await ask(f"http://127.0.0.1:{port}/", timeout_seconds=60)
    assert (answer.is_cut, len(answer.body)) == (True, http.MAX_BODY_BYTES)
    assert len(recorder.exchanges[0].response_body or "") == http.KEPT_BODY_BYTES


async def test_redirects_are_not_followed() -> None:
    """A redirect is an answer like any other."""
    async with receiver(
        saying(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    ) as port:
        answer, recorder = await ask(f"http://127.0.0.1:{port}/")
    assert answer.status == 302
    assert len(recorder.exchanges) == 1


@pytest.mark.parametrize(
    "location", ["javascript:alert(1)", "http://[::1", "https://h:port/", "//", "http://xn--a/", "\xe4\xff"]
)
async def test_a_redirect_to_anything_is_an_answer(location: str) -> None:
    """Nobody reads the address it names, so it may be none."""
    head = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
    async with receiver(saying(head)) as port:
        answer, recorder = await ask(f"http://127.0.0.1:{port}/")
    assert (answer.status, answer.headers["location"]) == (302, location)
    assert recorder.exchanges[0].response_headers["location"] == location


async def test_the_environment_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies of the environment are passed over: a proxy would connect to what was never checked."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with receiver(saying(OK)) as port:
        answer, _ = await ask(f"http://127.0.0.1:{port}/")
    assert answer.status == 200


async def test_cookies_are_not_kept() -> None:
    """What one answer sets is not sent with the next request, which may be another account's."""
    heads: list[bytes] = []

    async def set_cookie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)

    async with receiver(set_cookie) as port:
        client = Client(HERE)
        for _ in range(2):
            sent = HttpRequest(method="GET", url=f"http://127.0.0.1:{port}/")
            await exchange(client, sent, RecordedExchanges(), timeout_seconds=15)
        await client.close()
    assert len(heads) == 1
    assert b"cookie" not in heads[0].lower()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "0x7f.1"])
async def test_a_name_that_leads_to_this_machine_is_not_connected_to(host: str) -> None:
    """The guard checks what a name resolves to; nothing is sent, nothing is recorded."""
    connected: list[bool] = []

    async def notice(*_: Any) -> None:
        connected.append(True)

    async with receiver(notice) as port:
        with pytest.raises(TargetNotAllowed, match=SETTING):
            await ask(f"https://{host}:{port}/", Guard())
    assert not connected


@pytest.mark.parametrize("url", ["ftp://example.org/", "file:///etc/passwd", "http://[::1", "//x", "https://xn--a/"])
async def test_only_http_is_spoken(url: str) -> None:
    """Other schemes and broken addresses are not allowed."""
    with pytest.raises(TargetNotAllowed):
        await ask(url)


async def test_a_name_is_resolved_once_and_its_allowed_address_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is something else when asked again gains nothing: it is not asked again."""
    asked: list[Any] = []
    resolve = socket.getaddrinfo

    def answer(host: Any, *more: Any, **named: Any) -> Any:
        if host != "rebind.example":
            return resolve(host, *more, **named)
        asked.append(host)
        first = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 0))]
        return [*first, (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    async with receiver(saying(OK)) as port:
        result, _ = await ask(f"http://rebind.example:{port}/", Guard(["127.0.0.0/8"]))
    assert result.status == 200
    assert asked == ["rebind.example"]


async def test_the_next_address_is_tried_where_one_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with several addresses is reached through any of them."""
    resolved = [ip_address("127.0.0.2"), ip_address("127.0.0.1")]

    async def answer(*_: Any) -> Any:
        return resolved

    monkeypatch.setattr(network, "resolve", answer)
    async with receiver(saying(OK)) as port:
        result, _ = await ask(f"http://two.example:{port}/", Guard(["127.0.0.0/8"]))
    assert result.status == 200


async def test_secrets_are_masked_wherever_they_stand() -> None:
    """In headers, addresses and bodies, also encoded and when the other side repeats them."""
    secret = 's3cr"t & +x'
    body = b'{"echo": "s3cr\\"t & +x"}'
    echo = b"HTTP/1.1 500 No\r\nX-Echo: %s\r\nSet-Cookie: a=b\r\nContent-Length: %d\r\n\r\n%s" % (
        secret.encode(),
        len(body),
        body,
    )
    async with receiver(saying(echo)) as port:
        _, recorder = await ask(
            f"http://127.0.0.1:{port}/?a=s3cr%22t%20%26%20%2Bx",
            headers={"Authorization": "Bearer token", "X-Also": secret},
            body=b'{"a": "s3cr\\"t & +x", "b": "s3cr%22t+%26+%2Bx"}',
            secrets=(secret,),
        )
    kept = str(recorder.exchanges[0])
    assert "s3cr" not in kept
    assert "Bearer" not in kept
    assert "a=b" not in kept
    assert recorder.exchanges[0].headers["Authorization"] == "***"


async def test_what_sentences_are_made_of_has_no_secrets() -> None:
    """Text, headers and what is wrong with an answer are masked; the protocol gets the body as it came."""
    for status in (200, 302, 500):
        head = f"HTTP/1.1 {status} X\r\nLocation: /?token=s3cr%22t\r\nContent-Length: 6\r\n\r\n".encode()
        async with receiver(saying(head + b's3cr"t')) as port:
            answer, _ = await ask(f"http://127.0.0.1:{port}/", secrets=('s3cr"t',))
        assert (answer.text, answer.headers["location"], answer.body) == ("***", "/?token=***", b's3cr"t')
    async with receiver(saying(b'HTTP/1.1 OK s3cr"t\r\n\r\n')) as port:
        result, _ = await ask(f"http://127.0.0.1:{port}/", secrets=('s3cr"t',))
    assert isinstance(result, OutcomeUnknown)
    assert "s3cr" not in result.message


async def test_secret_bodies_are_not_kept() -> None:
    """Neither the form of a sign-in nor the token in its answer; an error is kept."""
    async with receiver(saying(OK)) as port:
        _, recorder = await ask(f"http://127.0.0.1:{port}/", body=b"password=x", body_is_secret=True)
    assert (recorder.exchanges[0].body, recorder.exchanges[0].response_body) == ("***", "***")


async def test_what_is_kept_can_be_stored() -> None:
    """NUL and bytes that are no text, which no database takes, are replaced."""
    async with receiver(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na\0\xff")) as port:
        _, recorder = await ask(f"http://127.0.0.1:{port}/")
    assert recorder.exchanges[0].response_body == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"
