"""The ASGI application: token endpoint, API, control addresses and page, with faults in between."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, unquote

from learning_hub.sandbox import page
from learning_hub.sandbox.answer import (
    NO_RESOURCE,
    Answer,
    html_answer,
    http_error,
    json_answer,
    refusal_answer,
    text_answer,
)
from learning_hub.sandbox.api import answer_api
from learning_hub.sandbox.control import answer_control
from learning_hub.sandbox.errors import Invalid, OAuthError, Problem, Refusal, ServiceFailure
from learning_hub.sandbox.faults import Fault
from learning_hub.sandbox.request import Receive, Request, Scope, Send, read_request
from learning_hub.sandbox.site import Site
from learning_hub.sandbox.tokens import grant

CONTROL = "/_sandbox"
LOOK_EVERY_SECONDS = 0.02
_logger = logging.getLogger(__name__)
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_FAULT_TEXTS = {
    "429": "Too many requests.",
    "500": ServiceFailure(),
    "503": "The service is unavailable.",
}


def build_app(site: Site) -> Application:
    """The application that shows *site*; several may show the same one."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # No start-up work, and no websockets: uvicorn is told so in `serving`.
            return
        request = await read_request(scope, receive)
        if request is None:
            return
        try:
            answer = await _answer(site, request)
        except Exception:
            # Whatever is wrong with the sandbox, its caller sees what iMIS would say.
            _logger.exception("unexpected_error")
            answer = text_answer(500, ServiceFailure().message)
        if answer is None:
            await _cut(scope, receive)
        else:
            await _send(scope, send, answer)

    return app


async def _answer(site: Site, request: Request) -> Answer | None:
    """The answer to a request; None where the connection is to be cut."""
    path = unquote(request.path)
    if path.casefold() == CONTROL or path.casefold().startswith(f"{CONTROL}/"):
        return answer_control(site, request, path[len(CONTROL) :].strip("/").split("/"))
    if path == "/":
        return html_answer(200, page.render(site, request))
    entry = site.journal.begin(
        method=request.method,
        path=path,
        query=unquote(request.query),
        headers=request.headers,
        body=request.body,
        at=site.now(),
    )
    status: int | None = None
    try:
        below = _below_base(site, request.path)
        fault = None if below is None else site.faults.pick(request.method, unquote(below))
        entry.fault = fault.kind if fault else None
        answer = await _answer_with_fault(site, request, below, fault)
        status = answer.status if answer else None
        return answer
    finally:
        site.journal.end(entry, status)


def _below_base(site: Site, path: str) -> str | None:
    """The path below the base path; None where iMIS does not live."""
    base = site.switches.base_path.casefold()
    return path[len(base) :] if path.casefold().startswith(f"{base}/") else None


async def _answer_with_fault(site: Site, request: Request, below: str | None, fault: Fault | None) -> Answer | None:
    """What *fault* makes of the request; see the head of `faults` for each."""
    kind = fault.kind if fault else ""
    if fault and kind.isdigit():
        return _status_answer(fault, site)
    if kind == "refuse":
        problem = Problem("Sandbox", "The sandbox was told to refuse this request.")
        return refusal_answer(Invalid("Sandbox", [problem]), site.switches)
    if kind == "rubbish":
        return html_answer(200, "<html><body>Please sign in</body></html>")
    if kind == "cut-before":
        return None
    if kind == "forget-tokens":
        site.tokens.live.clear()
    if fault and kind == "late":
        await asyncio.sleep(fault.seconds)
    answer = answer_imis(site, request, below)
    if fault and kind == "slow":
        await asyncio.sleep(fault.seconds)
    # Looked for, not told: a test in whose process the sandbox runs may delete faults from another thread.
    while fault and kind == "hold" and site.faults.holds(fault):  # noqa: ASYNC110
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    return None if kind == "cut-after" else answer


def _status_answer(fault: Fault, site: Site) -> Answer:
    headers = (("Retry-After", fault.retry_after),) if fault.retry_after is not None else ()
    text = _FAULT_TEXTS.get(fault.kind, f"The sandbox was told to answer {fault.kind}.")
    form = site.switches.too_many_requests if fault.kind == "429" else "text"
    if form == "empty":
        return Answer(int(fault.kind), headers=headers)
    if form == "http-error":
        return json_answer(int(fault.kind), http_error(str(text)), headers=headers)
    return text_answer(int(fault.kind), str(text), headers=headers)


def answer_imis(site: Site, request: Request, below: str | None) -> Answer:
    """The answer of iMIS itself to a request for *below*, which is None outside the base path."""
    try:
        segments = [segment for segment in (below or "").split("/") if segment]
        room = segments[0].casefold() if segments else ""
        if room == "token" and len(segments) == 1:
            return _answer_token(site, request)
        if room == "api":
            site.tokens.check(request.headers.get("authorization"), site.now())
            return answer_api(site, request, segments[1:])
    except Refusal as refusal:
        return refusal_answer(refusal, site.switches)
    return json_answer(404, http_error(NO_RESOURCE))


def _answer_token(site: Site, request: Request) -> Answer:
    if request.method != "POST":
        raise OAuthError("unsupported_grant_type")
    pairs = parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
    form = {name.casefold(): value for name, value in pairs}
    return json_answer(200, grant(form, site.account, site.tokens, site.now(), site.switches))


async def _send(scope: Scope, send: Send, answer: Answer) -> None:
    headers = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in answer.headers]
    if answer.content_type:
        headers.append((b"content-type", answer.content_type.encode()))
    if answer.status != 204:
        headers.append((b"content-length", str(len(answer.content)).encode()))
    connection = scope.get("extensions", {}).get("sandbox.connection")
    if answer.reason and connection:
        connection["say"](answer.reason)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.content})


async def _cut(scope: Scope, receive: Receive) -> None:
    """
    Close the connection without an answer.

    Raises:
        ConnectionAbortedError: The server does not offer it: the application runs without `serving`.
    """
    connection = scope.get("extensions", {}).get("sandbox.connection")
    if connection is None:
        raise ConnectionAbortedError("The sandbox cut this connection.")
    connection["abort"]()
    # The server answers in place of an application that returns silently, unless nobody listens any more.
    while (await receive())["type"] != "http.disconnect":
        pass
