"""The ASGI application: token endpoint, API, control addresses and page, with faults applied in between."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, unquote

from learning_hub.sandbox import page
from learning_hub.sandbox.api import handle_api
from learning_hub.sandbox.control import handle_control
from learning_hub.sandbox.errors import ApiError, OAuthError, Problem, ServiceFailure, ValidationError
from learning_hub.sandbox.faults import Fault
from learning_hub.sandbox.request import Receive, Request, Scope, Send, read_request
from learning_hub.sandbox.responses import (
    NO_RESOURCE,
    Response,
    error_response,
    html_response,
    http_error,
    json_response,
    text_response,
)
from learning_hub.sandbox.site import Site
from learning_hub.sandbox.tokens import grant

CONTROL = "/_sandbox"
POLL_SECONDS = 0.02
_logger = logging.getLogger(__name__)
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_FAULT_TEXTS = {
    "429": "Too many requests.",
    "500": ServiceFailure().message,
    "503": "The service is unavailable.",
}


def build_app(site: Site) -> Application:
    """The application that serves *site*; several applications may serve the same one."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # `server` configures uvicorn without lifespan events and websockets.
            return
        request = await read_request(scope, receive)
        if request is None:
            return
        try:
            response = await _handle(site, request)
        except Exception:
            # A bug in the sandbox looks to its caller like a failure of iMIS.
            _logger.exception("unexpected_error")
            response = text_response(500, ServiceFailure().message)
        if response is None:
            await _abort(scope, receive)
        else:
            await _send(scope, send, response)

    return app


async def _handle(site: Site, request: Request) -> Response | None:
    """The response to a request; None where the connection must be cut."""
    path = unquote(request.path)
    if path.casefold() == CONTROL or path.casefold().startswith(f"{CONTROL}/"):
        return handle_control(site, request, path[len(CONTROL) :].strip("/").split("/"))
    if path == "/":
        return html_response(200, page.render(site, request))
    entry = site.request_log.start(
        method=request.method,
        path=path,
        query=unquote(request.query),
        headers=request.headers,
        body=request.body,
        at=site.now(),
    )
    status: int | None = None
    try:
        imis_path = _path_below_base(site, request.path)
        fault = None if imis_path is None else site.faults.match(request.method, unquote(imis_path))
        entry.fault = fault.kind if fault else None
        response = await _handle_with_fault(site, request, imis_path, fault)
        status = response.status if response else None
        return response
    finally:
        site.request_log.finish(entry, status)


def _path_below_base(site: Site, path: str) -> str | None:
    """*path* without the base path (switch BasePath); None where it is not below the base path."""
    base = site.switches.base_path.casefold()
    return path[len(base) :] if path.casefold().startswith(f"{base}/") else None


async def _handle_with_fault(
    site: Site, request: Request, imis_path: str | None, fault: Fault | None
) -> Response | None:
    """The response to a request that *fault* hits; the docstring of `faults` describes each kind."""
    kind = fault.kind if fault else ""
    if fault and kind.isdigit():
        return _status_response(fault, site)
    if kind == "refuse":
        problem = Problem("Sandbox", "The sandbox was told to refuse this request.")
        return error_response(ValidationError("Sandbox", [problem]), site.switches)
    if kind == "rubbish":
        return html_response(200, "<html><body>Please sign in</body></html>")
    if kind == "cut-before":
        return None
    if kind == "forget-tokens":
        site.tokens.live.clear()
    if fault and kind == "late":
        await asyncio.sleep(fault.seconds)
    response = handle_imis(site, request, imis_path)
    if fault and kind == "slow":
        await asyncio.sleep(fault.seconds)
    # Polling, because a test that runs the sandbox in its own process may delete faults from another thread.
    while fault and kind == "hold" and site.faults.is_posted(fault):  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)
    return None if kind == "cut-after" else response


def _status_response(fault: Fault, site: Site) -> Response:
    headers: tuple[tuple[str, str], ...] = ()
    if fault.retry_after is not None:
        headers += (("Retry-After", fault.retry_after),)
    if fault.kind.startswith("3"):
        headers += (("Location", "/maintenance"),)
    text = _FAULT_TEXTS.get(fault.kind, f"The sandbox was told to answer {fault.kind}.")
    form = site.switches.too_many_requests if fault.kind == "429" else "text"
    if form == "empty":
        return Response(int(fault.kind), headers=headers)
    if form == "http-error":
        return json_response(int(fault.kind), http_error(text), headers=headers)
    return text_response(int(fault.kind), text, headers=headers)


def handle_imis(site: Site, request: Request, path: str | None) -> Response:
    """The response of iMIS itself to a request for *path* below the base path; None stands for a path outside it."""
    try:
        segments = [segment for segment in (path or "").split("/") if segment]
        endpoint = segments[0].casefold() if segments else ""
        if endpoint == "token" and len(segments) == 1:
            return _handle_token(site, request)
        if endpoint == "api":
            site.tokens.check(request.headers.get("authorization"), site.now())
            return handle_api(site, request, segments[1:])
    except ApiError as error:
        return error_response(error, site.switches)
    return json_response(404, http_error(NO_RESOURCE))


def _handle_token(site: Site, request: Request) -> Response:
    if request.method != "POST":
        raise OAuthError("unsupported_grant_type")
    pairs = parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
    form = {name.casefold(): value for name, value in pairs}
    return json_response(200, grant(form, site.account, site.tokens, site.now(), site.switches))


async def _send(scope: Scope, send: Send, response: Response) -> None:
    headers = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in response.headers]
    if response.content_type:
        headers.append((b"content-type", response.content_type.encode()))
    if response.status != 204:
        headers.append((b"content-length", str(len(response.content)).encode()))
    connection = scope.get("extensions", {}).get("sandbox.connection")
    if response.reason and connection:
        connection["set_reason"](response.reason)
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})


async def _abort(scope: Scope, receive: Receive) -> None:
    """
    Close the connection without a response.

    Raises:
        ConnectionAbortedError: The server has no `sandbox.connection` extension: the application does not run under
            `server`.
    """
    connection = scope.get("extensions", {}).get("sandbox.connection")
    if connection is None:
        raise ConnectionAbortedError("The sandbox cut this connection.")
    connection["abort"]()
    # Uvicorn sends a 500 when an application returns without a response before the client has disconnected.
    while (await receive())["type"] != "http.disconnect":
        pass
